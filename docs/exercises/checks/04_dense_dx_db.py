import numpy as np
from checking import compare, slope

HINTS = (
    "dx[n, d] is the sum over m of dy[n, m] W[d, m]. m is last in both; a product needs it first in the second.",
    "dy @ W.T",
    "Every row uses b, so db sums dy over the rows. keepdims=True keeps the shape (1, M).",
)


def check(answer):
    draw = np.random.default_rng(4)
    x, dy, W, b = (draw.normal(size=shape) for shape in [(5, 3), (5, 3), (3, 3), (1, 3)])

    def f(x, b):
        return (dy * (x @ W + b)).sum()

    dx, db = answer.dense_dx(dy, W), answer.dense_db(dy)
    mistakes = {
        "the transpose of W is missing; forward went from D to M, backward goes from M to D": dy @ W,
    }
    compare("dx", dx, slope(lambda x: f(x, b), x), mistakes)
    mistakes = {
        "a mean over the rows; 1/N belongs to the loss, a layer adds up": dy.mean(axis=0, keepdims=True),
        "right numbers in the wrong shape; keepdims=True keeps the (1, M) of b": dy.sum(axis=0),
        "summed over the features; b is used by every row, so the sum runs over the rows": dy.sum(
            axis=1, keepdims=True
        ),
        "one gradient for each row; all rows use the same b, so add them up": dy,
    }
    compare("db", db, slope(lambda b: f(x, b), b), mistakes)
