import numpy as np


def conv2d(x, W, stride):
    size, (rows, columns) = W.shape[-1], x.shape[1:]
    y = np.zeros((len(W), (rows - size) // stride + 1, (columns - size) // stride + 1))
    for m, i, j in np.ndindex(y.shape):
        down, across = i * stride, j * stride
        y[m, i, j] = (W[m] * x[:, down : down + size, across : across + size]).sum()
    return y


def conv2d_dx(dy, W, shape, stride):
    size = W.shape[-1]
    dx = np.zeros(shape)
    for m in range(len(dy)):
        for i, j in np.ndindex(dy[m].shape):
            down, across = i * stride, j * stride
            dx[:, down : down + size, across : across + size] += dy[m, i, j] * W[m]
    return dx
