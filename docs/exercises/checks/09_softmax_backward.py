import tracemalloc

import numpy as np
from checking import Mistake, compare, slope

from tinynet.functions import softmax

HINTS = (
    "dx_k = sum over j of dy_j y_j ([j = k] - y_k). Split the bracket into two sums.",
    "The first is dy_k y_k. In the second, y_k multiplies a sum that does not depend on k: one number per row.",
    "dx = y (dy - s), s = the sum of dy y over each row, with keepdims=True.",
)


def check(answer):
    draw = np.random.default_rng(9)
    x, dy = draw.normal(size=(3, 4)), draw.normal(size=(3, 4))
    y = softmax(x)
    mistakes = {
        "only the diagonal of the Jacobian; raising x_k lowers all the other y as well": dy * y * (1 - y),
        "the sum runs over all rows; each row has its own": y * (dy - (dy * y).sum()),
        "the factor y in front is missing": dy - (dy * y).sum(axis=1, keepdims=True),
        "in the sum, dy must be weighted with y": y * (dy - dy.sum(axis=1, keepdims=True)),
    }
    compare("dx", answer.softmax_backward(dy, y), slope(lambda x: (dy * softmax(x)).sum(), x), mistakes)

    wide = np.full((1, 2000), 1 / 2000)
    tracemalloc.start()
    answer.softmax_backward(wide, wide)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if peak > 100 * wide.nbytes:
        raise Mistake(
            f"right, but the Jacobian is built: {peak / 1e6:.0f} MB for a row of 2000 numbers; a few rows suffice"
        )
