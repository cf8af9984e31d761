import numpy as np
from checking import compare, slope

HINTS = (
    "If forward uses a value twice, backward sums both gradients.",
    "One term is the block. The other is the identity: what is the dx of y = x?",
    "dy + through_the_block",
)


def check(answer):
    draw = np.random.default_rng(5)
    x, dy, W = (draw.normal(size=shape) for shape in [(4, 3), (4, 3), (3, 3)])
    block = (dy * (1 - np.tanh(x @ W) ** 2)) @ W.T
    mistakes = {
        "the way around the block is missing": block,
        "the way through the block is missing": dy,
        "the two ways are multiplied; they stand side by side, so they add up": dy * block,
        "the mean of the two ways; a sum in forward is a sum in backward": (dy + block) / 2,
        "x is added, where its gradient should be": x + block,
        "1 is the slope of the way around; the dy that arrives is missing": 1 + block,
        "the way through the block has dy in it already, and is multiplied with it again": dy * (1 + block),
        "the way around is sent through W as well; it goes past the block": dy @ W.T + block,
        "one way is taken off the other; a plus in forward is a plus in backward": dy - block,
        "this is y, what forward gives, and no gradient": x + np.tanh(x @ W),
    }
    compare("dx", answer.residual_dx(dy, x, W), slope(lambda x: (dy * answer.residual(x, W)).sum(), x), mistakes)
