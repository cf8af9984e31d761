"""Chapter 2. A dense layer is y = x W + b. How does the loss change with each weight?

W[d, m] takes part in y[n, m] for every row n, with the factor x[n, d]. What forward uses twice, backward adds up.
"""


def dense_dW(dy, x):
    """x (N, D), dy (N, M) -> dW (D, M)"""
    return ...
