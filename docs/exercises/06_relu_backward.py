"""Chapter 3. y = max(x, 0). The gradient check of this backward fails, and training works only a little. Which number
decides whether a gradient passes?
"""


def relu_backward(dy, y):
    """dy and y (N, M) -> dx (N, M)"""
    return dy * (dy > 0)
