"""Chapter 6. The first steps of this Adam are three times too long. Its moments start at zero, so they are too small at
first, and the second moment more so than the first. Repair it: Kingma and Ba, Algorithm 1.
"""

import numpy as np


def adam(theta, grad, m, v, step, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """Take one step; the first has step = 1. Change theta, m and v in place."""
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad**2 - v)
    theta -= lr * m / (np.sqrt(v) + eps)
