"""Chapter 2. The two other gradients of y = x W + b.

x[n, d] contributes to y[n, m] for every feature m, with the factor W[d, m]. b[0, m] contributes to y[n, m] for every
row n. This layer has as many outputs as inputs, so a wrong transpose does not show in the shapes.
"""


def dense_dx(dy, W):
    """dy (N, M), W (D, M) -> dx (N, D)"""
    return ...


def dense_db(dy):
    """dy (N, M) -> db (1, M), in the shape of b"""
    return ...
