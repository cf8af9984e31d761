import numpy as np


def residual(x, W):
    return x + np.tanh(x @ W)


def residual_dx(dy, x, W):
    h = np.tanh(x @ W)
    through_the_block = (dy * (1 - h**2)) @ W.T
    return dy + through_the_block
