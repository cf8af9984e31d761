"""Chapters 1 and 2. A residual block adds its input to what it makes of it: y = x + tanh(x W).

x reaches y on two ways. Bring the gradient back on both.
"""

import numpy as np


def residual(x, W):
    return x + np.tanh(x @ W)


def residual_dx(dy, x, W):
    """dy (N, D), x (N, D), W (D, D) -> dx (N, D)"""
    h = np.tanh(x @ W)
    through_the_block = (dy * (1 - h**2)) @ W.T
    return ...
