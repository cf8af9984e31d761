import numpy as np
from checking import compare, slope

HINTS = (
    "The slope of max(x, 0) is 1 where x > 0, else 0. The sign of dy does not matter.",
    "x is not among the arguments, but y is: y > 0 exactly where x > 0.",
    "dy * (y > 0)",
)


def check(answer):
    draw = np.random.default_rng(6)
    x, dy = draw.normal(size=(4, 5)), draw.normal(size=(4, 5))
    y = np.maximum(x, 0)
    mistakes = {
        "nothing that is negative comes through, yet L depends on those x too": dy * (dy > 0),
        "everything passes; y is never below 0, so y >= 0 holds everywhere": dy,
        "this is the slope alone; it must be multiplied with the dy that arrives": y > 0,
        "multiplied by y; the slope is 1 or 0, however large y is": dy * y,
        "two numbers decide, and only one should; a negative dy is a gradient like any other": dy * (y > 0) * (dy > 0),
        "the wrong way round: the gradient comes through where y is 0": dy * (y <= 0),
        "nothing comes through; y is never below 0": 0 * dy,
        "y is compared with dy; it is 0 that it must be compared with": dy * (y > dy),
        "this is y, what forward gives; dx is made of the dy that arrives": y,
    }
    compare("dx", answer.relu_backward(dy, y), slope(lambda x: (dy * np.maximum(x, 0)).sum(), x), mistakes)
