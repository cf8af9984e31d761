import numpy as np


def max_pool(x, size):
    y = np.zeros((x.shape[0] // size, x.shape[1] // size))
    for i, j in np.ndindex(y.shape):
        y[i, j] = x[i * size : (i + 1) * size, j * size : (j + 1) * size].max()
    return y


def max_pool_backward(dy, x, size):
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(dy.shape):
        patch = x[i * size : (i + 1) * size, j * size : (j + 1) * size]
        p, q = np.unravel_index(patch.argmax(), patch.shape)
        dx[i * size + p, j * size + q] = dy[i, j]
    return dx
