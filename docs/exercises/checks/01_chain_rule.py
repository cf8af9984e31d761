from checking import compare, slope

HINTS = (
    "Each line needs its own slope and the gradient that arrives, and nothing else. What is the slope of max(z, 0)?",
    "max(z, 0) has the slope 1 where z > 0, and 0 elsewhere. So dz is dy, or nothing.",
    "a = w x grows with w as fast as x is large: da/dw = x, and da/dx = w.",
)
SHUT = "z is below zero, where max(z, 0) is flat, and yet a gradient comes through"
SWAPPED = "w and x are the wrong way round: a = w x grows with w as fast as x is large"
LEFT_OUT = "the slope of a = w x is left out"


def loss(x, w, b, t):
    return (max(w * x + b, 0.0) - t) ** 2


def check(answer):
    for x, w, b, t in [(2.0, 0.5, 0.4, 3.0), (2.0, -0.5, 0.4, 3.0)]:
        check_at(answer, x, w, b, t)


def check_at(answer, x, w, b, t):
    _, dw, db, dx = answer.neuron(x, w, b, t)
    z = w * x + b
    dy = 2 * (max(z, 0.0) - t)
    compare("db", db, slope(lambda b: loss(x, w, b, t), b), {SHUT: dy} if z < 0 else {})
    compare("dw", dw, slope(lambda w: loss(x, w, b, t), w), {SWAPPED: dy * w, LEFT_OUT: dy})
    compare("dx", dx, slope(lambda x: loss(x, w, b, t), x), {SWAPPED: dy * x, LEFT_OUT: dy})
