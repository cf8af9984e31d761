"""Chapters 1 and 2. A residual block adds its input to its output: y = x + tanh(x W).

x reaches y in two ways: through the block and around it. Return the sum of both gradients.
"""

import numpy as np


def residual(x, W):
    return x + np.tanh(x @ W)


def residual_dx(dy, x, W):
    """dy (N, D), x (N, D), W (D, D) -> dx (N, D)"""
    h = np.tanh(x @ W)
    through_the_block = (dy * (1 - h**2)) @ W.T
    return ...
