def softmax_cross_entropy_backward(p, t):
    return (p - t) / len(p)
