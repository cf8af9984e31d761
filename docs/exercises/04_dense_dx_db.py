"""Chapter 2. The two other gradients of y = x W + b.

x[n, d] takes part in y[n, m] for every feature m, with the factor W[d, m]. b[0, m] takes part in y[n, m] for every
row n. The layer here has as many features going in as coming out, so a wrong transpose will not show in a shape.
"""


def dense_dx(dy, W):
    """dy (N, M), W (D, M) -> dx (N, D)"""
    return ...


def dense_db(dy):
    """dy (N, M) -> db (1, M), in the shape of b"""
    return ...
