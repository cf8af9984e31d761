"""Chapter 2. A dense layer is y = x W + b. How does the loss change with each weight?

W[d, m] contributes to y[n, m] in every row n, with the factor x[n, d]. What forward uses several times, backward sums.
"""


def dense_dW(dy, x):
    """x (N, D), dy (N, M) -> dW (D, M)"""
    return ...
