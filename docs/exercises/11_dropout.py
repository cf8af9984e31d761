"""Chapter 5. Dropout sets each number to 0 with probability `rate`, in training only. The other numbers are scaled up,
so that the mean of y is x, and prediction needs no correction.
"""


def dropout_mask(shape, rate, draw):
    """Return the mask by which x is multiplied. draw.random(shape) returns numbers from 0 to 1."""
    return ...


def dropout_backward(dy, mask):
    """Return dx of y = x mask."""
    return ...
