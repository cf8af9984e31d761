import numpy as np
from checking import Mistake, compare

HINTS = (
    "draw.random(shape) is below rate with probability rate. Drop these numbers.",
    "A mask of zeros and ones has the mean 1 - rate. Scale it to mean 1.",
    "(draw.random(shape) >= rate) / (1 - rate), and the backward of y = x mask is dx = dy mask.",
)


def check(answer):
    rate = 0.2
    mask = answer.dropout_mask((100, 1000), rate, np.random.default_rng(11))
    mask = np.asarray(mask, dtype=float)
    if mask.shape != (100, 1000):
        raise Mistake(f"the mask has the shape {mask.shape}, and should have that of x, (100, 1000)")
    dropped = (mask == 0).mean()
    if abs(dropped - (1 - rate)) < 0.02:
        raise Mistake(f"{dropped:.0%} are dropped at rate {rate}: the comparison is the wrong way round")
    if abs(dropped - rate) > 0.02:
        raise Mistake(f"{dropped:.0%} are dropped at rate {rate}, in a hundred thousand numbers")
    mistakes = {
        "not scaled: on the average y is 0.8 x, and a network without dropout would see larger numbers": [1.0],
        "scaled by the share that was dropped, where it should be the share that is left": [1 / rate],
        "scaled down; what is left has to make up for what is gone": [1 - rate],
    }
    compare("what is left", np.unique(mask[mask != 0]), [1 / (1 - rate)], mistakes)

    draw = np.random.default_rng(11)
    dy, mask = draw.normal(size=(3, 4)), (draw.random((3, 4)) >= rate) / (1 - rate)
    mistakes = {
        "what was dropped gets a gradient all the same": dy,
        "the scale is missing: y = x mask has the slope mask": dy * (mask > 0),
        "divided by the mask's scale; the slope of y = x mask is mask": dy * (mask > 0) * (1 - rate),
    }
    compare("dx", answer.dropout_backward(dy, mask), dy * mask, mistakes)
