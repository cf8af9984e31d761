def dense_dW(dy, x):
    return x.T @ dy
