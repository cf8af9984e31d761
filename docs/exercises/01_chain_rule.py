"""Chapter 1. A neuron, line by line:

    a = w x,   z = a + b,   y = max(z, 0),   r = y - t,   L = r^2

max(z, 0) is z if z is positive, else 0; chapter 3 calls it ReLU. Here it replaces the tanh of the chapter.
Compute the gradients from the last line back to the first. dy means dL/dy: how fast the loss grows with y.
"""


def neuron(x, w, b, t):
    """Return L, dw, db and dx, each a number."""
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
