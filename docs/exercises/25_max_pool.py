"""Chapter 13. Max pooling returns the largest number of each patch; patches do not overlap. This backward passes its
gradient check on random numbers. After a ReLU, on pictures with many zeros, its gradients are too large. Why?
"""

import numpy as np


def max_pool(x, size):
    """x (rows, columns) -> y (rows / size, columns / size)"""
    y = np.zeros((x.shape[0] // size, x.shape[1] // size))
    for i, j in np.ndindex(y.shape):
        y[i, j] = x[i * size : (i + 1) * size, j * size : (j + 1) * size].max()
    return y


def max_pool_backward(dy, x, size):
    """dy (rows / size, columns / size), x (rows, columns) -> dx (rows, columns)"""
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(dy.shape):
        patch = x[i * size : (i + 1) * size, j * size : (j + 1) * size]
        is_largest = patch == patch.max()
        dx[i * size : (i + 1) * size, j * size : (j + 1) * size] = dy[i, j] * is_largest
    return dx
