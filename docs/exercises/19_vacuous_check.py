"""Chapter 9. A gradient check needs one number f to differentiate, so it takes f = the sum of dy y for some dy. With
the dy below every backward of softmax passes, even a wrong one. Why? Choose a dy for which wrong ones fail.
"""

import numpy as np


def direction(y, draw):
    """dy (N, K), from y = softmax(x) (N, K); draw.normal(size=...) returns random numbers."""
    return np.ones(y.shape)
