import numpy as np
from checking import Mistake, compare, slope

HINTS = (
    "Each line needs only its own slope and the gradient that arrives. What is the slope of max(z, 0)?",
    "max(z, 0) has the slope 1 where z > 0, and 0 elsewhere. So dz is dy or 0.",
    "a = w x grows with w as fast as x is large: da/dw = x, and da/dx = w.",
)
SHUT = "z is below zero, where max(z, 0) is flat, but a gradient passes"
SWAPPED = "w and x are the wrong way round: a = w x grows with w as fast as x is large"
LEFT_OUT = "the slope of a = w x is left out"
TANH = "1 - y^2 is the slope of tanh, and here y = max(z, 0)"
ITSELF = "y stands where the slope of y = max(z, 0) should"
SIGN = "the sign is wrong: nothing in these lines changes it"


def loss(x, w, b, t):
    return (max(w * x + b, 0.0) - t) ** 2


def check(answer):
    for x, w, b, t in [(2.0, 0.7, 0.4, 3.0), (2.0, -0.7, 0.4, 3.0)]:
        try:
            check_at(answer, x, w, b, t)
        except Mistake as mistake:
            raise Mistake(f"{mistake}\n    at x = {x}, w = {w}, b = {b}, t = {t}, with z = {w * x + b:.4g}") from None


def check_at(answer, x, w, b, t):
    _, dw, db, dx = answer.neuron(x, w, b, t)
    z = w * x + b
    y = max(z, 0.0)
    dy = 2 * (y - t)
    wrong_dz = {SHUT: dy} if z < 0 else {SIGN: -dy, TANH: dy * (1 - y**2), ITSELF: dy * y}
    compare("dz" if hands_on(dw, db, dx, x, w) else "db", db, slope(lambda b: loss(x, w, b, t), b), wrong_dz)
    wrong = {SWAPPED: dy * w, LEFT_OUT: dy, SIGN: -dy * x} if z > 0 else {SHUT: dy * x}
    compare("dw", dw, slope(lambda w: loss(x, w, b, t), w), wrong)
    wrong = {SWAPPED: dy * x, LEFT_OUT: dy, SIGN: -dy * w} if z > 0 else {SHUT: dy * w}
    compare("dx", dx, slope(lambda x: loss(x, w, b, t), x), wrong)


def hands_on(dw, db, dx, x, w):
    """Return True if these follow from dz, so that any error in them comes from dz."""
    try:
        return np.allclose([dw, dx], [db * x, db * w])
    except (TypeError, ValueError):
        return False
