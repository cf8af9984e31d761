"""Chapter 9. The gradient check behind all other exercises. How fast does f grow with each number of x? Measure it
number by number, with a small step up and a small step down. Change x in place, and restore it.
"""

import numpy as np


def measured_gradient(f, x, h=1e-5):
    """f(x) is a number -> df/dx, in the shape of x"""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        gradient[index] = ...
    return gradient
