import numpy as np
from checking import Mistake, compare

HINTS = (
    "exp(710) overflows in float64. What happens to y if c is subtracted from all z of a row?",
    "exp(z - c) = exp(z) exp(-c): the factor is in numerator and denominator, and cancels. Which c is safe?",
    "Take the largest z of each row, with keepdims=True, before exp.",
)


def check(answer):
    with np.errstate(all="ignore"):
        plain = np.array([[1.0, 2.0, 0.5], [-1.0, 0.0, 3.0]])
        right = np.exp(plain) / np.exp(plain).sum(axis=1, keepdims=True)
        mistakes = {"the whole array sums to one; it is each row that must": np.exp(plain) / np.exp(plain).sum()}
        compare("y for small z", answer.softmax(plain), right, mistakes)
        if not np.isfinite(answer.softmax(plain + 1000)).all():
            raise Mistake("z around 1000: exp overflows to inf, and inf / inf is nan")
        mistakes = {
            "all the same: z is cut off, and what was different is not any more": np.full((2, 3), 1 / 3),
        }
        compare("y for z around 1000", answer.softmax(plain + 1000), right, mistakes)
        if not np.isfinite(answer.softmax(plain + np.array([[0.0], [-2000.0]]))).all():
            raise Mistake(
                "one row around 0, one around -2000: with one shift for all rows a whole row is exp(-2000) = 0"
            )
        apart = np.array([[0.0, 0.0, 2000.0]])
        mistakes = {
            "a shift by the mean leaves something large; the largest z itself must go to 0": answer_of_a_mean(apart),
        }
        compare("y for z = 0, 0, 2000", answer.softmax(apart), [[0.0, 0.0, 1.0]], mistakes)


def answer_of_a_mean(z):
    e = np.exp(z - z.mean(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
