import numpy as np
from checking import Mistake, compare, slope

HINTS = (
    "In a patch of zeros every number is as large as the largest. How many of them get dy?",
    "y moves by 1 when the whole patch does. So one number of the patch must get dy, once.",
    "patch.argmax() is the first of the largest, counted row by row; np.unravel_index gives its row and column.",
    "p, q = np.unravel_index(patch.argmax(), patch.shape), and then dx[i * size + p, j * size + q] = dy[i, j]",
)


def check(answer):
    draw = np.random.default_rng(25)
    for size in (2, 3):
        x, dy = draw.normal(size=(6, 12)), draw.normal(size=(6 // size, 12 // size))
        right = slope(lambda x, dy=dy, size=size: (dy * whole(x, size).max(axis=(1, 3))).sum(), x)
        mistakes = {
            "it goes to the smallest number of each patch": sent(dy, -x, size),
            "it goes to all numbers of the patch; only the largest moves y": spread(dy, size),
            "each gets an equal share; that is the backward of a mean": spread(dy, size) / size**2,
            "this is the largest number itself; what goes there is dy": sent(whole(x, size).max(axis=(1, 3)), x, size),
            "this is where the largest number is; it must be multiplied with the dy that arrives": sent(
                np.ones_like(dy), x, size
            ),
            "it goes to the first number of each patch": sent(dy, -np.arange(72.0).reshape(6, 12), size),
            "places are counted within the patch; its corner, i size and j size, is missing": cornered(dy, x, size),
        }
        compare("dx", answer.max_pool_backward(dy, x, size), right, mistakes)

    x = np.array([[0.0, 0, 2, 0], [0, 0, 2, 1]])
    dy = np.array([[3.0, 5.0]])
    dx = np.asarray(answer.max_pool_backward(dy, x, 2), dtype=float)
    if dx[0, 3] or dx[1, 3]:
        raise Mistake(f"where 2 stands twice beside 1 and 0, a smaller number gets {dx[:, 3][dx[:, 3] != 0][0]:g}")
    for got, back, what in [(3, dx[:, :2].sum(), "patch of zeros"), (5, dx[:, 2:].sum(), "patch with two largest")]:
        if not np.isclose(back, got):
            times = f", {back / got:g} times as much" if back else ""
            raise Mistake(
                f"a {what} gets {got} from behind and gives back {back:g}{times}\n"
                "    Of equal numbers one gives its value to y, and that one gets the gradient."
            )


def whole(x, size):
    """x (rows, columns) -> (I, size, J, size)"""
    return x.reshape(len(x) // size, size, -1, size)


def spread(dy, size):
    return dy.repeat(size, axis=0).repeat(size, axis=1)


def sent(dy, x, size):
    """Return dx with dy at the largest x of each patch."""
    return spread(dy, size) * (x == spread(whole(x, size).max(axis=(1, 3)), size))


def cornered(dy, x, size):
    """Return dx with all dy written into the first patch."""
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(dy.shape):
        patch = whole(x, size)[i, :, j]
        dx[np.unravel_index(patch.argmax(), patch.shape)] = dy[i, j]
    return dx
