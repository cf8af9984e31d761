import numpy as np
from checking import Mistake, compare

HINTS = (
    "Store x[index]. Set it a little higher and call f, set it a little lower and call f again. Restore it.",
    "From x - h to x + h is a distance of 2 h.",
    "(f above - f below) / (2 h), with an error of h^2; one side alone, (f above - f here) / h, has one of h.",
)
A = np.array([[1.0, -2.0, 0.5], [0.3, 1.5, -1.0]])


def f(x):
    return float((A * np.exp(x)).sum() + x[0, 0] * x[1, 2])


def gradient(x):
    found = A * np.exp(x)
    found[0, 0] += x[1, 2]
    found[1, 2] += x[0, 0]
    return found


def check(answer):
    x = np.array([[0.5, -0.2, 1.0], [2.0, 0.1, -0.7]])
    start, right = x.copy(), gradient(x)
    yours = answer.measured_gradient(f, x)
    if not np.array_equal(x, start):
        raise Mistake("x is changed: restore each number, or the next one is measured at another x")
    for h in (1e-2, 1e-3):
        wide = answer.measured_gradient(f, start.copy(), h)
        if np.allclose(wide, right + h / 2 * A * np.exp(start), rtol=2 * h**2, atol=2 * h**2):
            raise Mistake(
                f"only one side is asked, f(x + h) - f(x): at h = {h} the error is h/2 f'', and not of order h^2"
            )
    mistakes = {
        "from x - h to x + h is a distance of 2 h, not h": 2 * right,
        "the sign is wrong: what is above minus what is below": -right,
    }
    compare("df/dx", yours, right, mistakes, tolerance=1e-7)
