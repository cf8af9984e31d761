def softmax_backward(dy, y):
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))
