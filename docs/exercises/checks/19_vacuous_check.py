import numpy as np
from checking import Mistake, compare, slope

from tinynet.functions import softmax, softmax_backward

HINTS = (
    "The rows of y sum to one, whatever x is. What is f, then, and how fast does it change?",
    "With the same dy in a whole row, f does not depend on x at all: its gradient is zero, and 0 = 0 proves nothing.",
    "A random dy, draw.normal(size=y.shape), detects all of these.",
)
WRONG = {
    "one that returns zeros": lambda dy, y: np.zeros_like(y),
    "one that is twice too large": lambda dy, y: 2 * softmax_backward(dy, y),
    "one whose sum runs over all rows": lambda dy, y: y * (dy - (dy * y).sum()),
    "one with the diagonal only": lambda dy, y: dy * y * (1 - y),
}


def check(answer):
    draw = np.random.default_rng(19)
    x = draw.normal(size=(3, 4))
    y = softmax(x)
    dy = answer.direction(y.copy(), draw)
    dy = np.asarray(dy, dtype=float)
    if dy.shape != y.shape:
        raise Mistake(f"dy has the shape {dy.shape}, and y has {y.shape}")
    measured = slope(lambda x: (dy * softmax(x)).sum(), x)
    compare("dx of a right backward", softmax_backward(dy, y), measured)
    if np.abs(measured).max() < 1e-9:
        raise Mistake(f"the difference quotient is zero everywhere, so a backward that returns zeros passes{why(dy)}")
    passed = [name for name, backward in WRONG.items() if np.allclose(backward(dy, y), measured, atol=1e-6)]
    if passed:
        raise Mistake(f"this still passes: {', '.join(passed)}")
    blind = [n for n in range(len(y)) if np.abs(measured[n]).max() < 1e-9]
    if blind:
        raise Mistake(f"rows {blind} have a gradient of zero, so errors in them are not detected")


def why(dy):
    if not dy.any():
        return ":\n    with dy = 0, f is 0, whatever x is"
    return (
        ""
        if (dy == 1).all()
        else ":\n    dy is the same in a whole row, and the rows of y sum to one, so f never changes"
    )
