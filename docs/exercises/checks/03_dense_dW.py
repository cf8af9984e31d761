import numpy as np
from checking import compare, slope

HINTS = (
    "dL/dW[d, m] is the sum over the rows n of x[n, d] dy[n, m]. Which matrix product sums over the rows?",
    "A product sums over the last axis of its left factor and the first of its right factor. Which axis of x is n?",
    "x.T is (D, N) and dy is (N, M).",
)


def check(answer):
    draw = np.random.default_rng(3)
    x, dy, W = draw.normal(size=(5, 3)), draw.normal(size=(5, 4)), draw.normal(size=(3, 4))
    mistakes = {
        "x and dy are the wrong way round; this is the transpose of dW": dy.T @ x,
        "a mean over the rows; 1/N belongs to the loss, a layer adds up": x.T @ dy / len(x),
        "the product of two sums is not the sum of the products; multiply row by row, then add up": np.outer(
            x.sum(axis=0), dy.sum(axis=0)
        ),
        "only the first row counts; each weight is used by every row": np.outer(x[0], dy[0]),
    }
    compare("dW", answer.dense_dW(dy, x), slope(lambda W: (dy * (x @ W)).sum(), W), mistakes)
