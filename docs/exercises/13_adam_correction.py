"""Chapter 6. An Adam whose first steps are three times too long, and nobody knows why. Its moments start at zero, so at
first they are far too small, and the second one is much more so than the first. Repair it: Kingma and Ba, Algorithm 1.
"""

import numpy as np


def adam(theta, grad, m, v, step, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """One step, the first one with step = 1. theta, m and v are changed in place."""
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad**2 - v)
    theta -= lr * m / (np.sqrt(v) + eps)
