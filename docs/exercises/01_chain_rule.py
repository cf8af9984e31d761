"""Chapter 1. A neuron, line by line:

    a = w x,   z = a + b,   y = max(z, 0),   r = y - t,   L = r^2

max(z, 0) is z where z is positive, and else 0; chapter 3 calls it ReLU. It takes the place of the chapter's tanh.
Walk back from the last line to the first. dy means dL/dy: how fast the loss grows with y.
"""


def neuron(x, w, b, t):
    """L, dw, db and dx; every one of them is a number."""
    a = w * x
    z = a + b
    y = max(z, 0.0)
    r = y - t
    L = r**2

    dr = 2 * r
    dy = dr
    dz = ...
    dw = ...
    db = ...
    dx = ...
    return L, dw, db, dx
