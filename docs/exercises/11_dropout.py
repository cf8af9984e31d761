"""Chapter 5. Dropout sets each number to 0 with the probability `rate`, in training only. What is left is scaled up, so
that the mean of y is x, and nothing has to be done when the network is used.
"""


def dropout_mask(shape, rate, draw):
    """The numbers that x is multiplied with; draw.random(shape) gives numbers from 0 to 1."""
    return ...


def dropout_backward(dy, mask):
    """dx of y = x mask"""
    return ...
