"""Chapter 13. A convolution applies the same W to every patch of a picture; patches are `stride` apart:

    y[m, i, j] = sum of W[m] times the patch whose corner is at row i stride, column j stride

A pixel belongs to several patches. How does the loss change with it?
"""

import numpy as np


def conv2d(x, W, stride):
    """x (C, rows, columns), W (M, C, size, size) -> y (M, I, J)"""
    size, (rows, columns) = W.shape[-1], x.shape[1:]
    y = np.zeros((len(W), (rows - size) // stride + 1, (columns - size) // stride + 1))
    for m, i, j in np.ndindex(y.shape):
        down, across = i * stride, j * stride
        y[m, i, j] = (W[m] * x[:, down : down + size, across : across + size]).sum()
    return y


def conv2d_dx(dy, W, shape, stride):
    """dy (M, I, J), W (M, C, size, size) -> dx of x's shape (C, rows, columns)"""
    size = W.shape[-1]
    dx = np.zeros(shape)
    for m in range(len(dy)):
        for i, j in np.ndindex(dy[m].shape):
            down, across = i * stride, j * stride
            ...
    return dx
