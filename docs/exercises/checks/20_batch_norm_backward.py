import numpy as np
from checking import compare, slope

HINTS = (
    "Directly: dy / sqrt(var + eps). Two terms are subtracted from it, one for the mean and one for the variance.",
    "The mean: adding the same number to all x changes no y, so each column of dx must sum to zero.",
    "The variance: scaling x changes no y, so the part of dy along y is subtracted too: y times the mean of dy y.",
    "inverse * (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0))",
)


def check(answer):
    draw = np.random.default_rng(20)
    x, dy = draw.normal(2, 3, size=(6, 3)), draw.normal(size=(6, 3))
    y, inverse = answer.batch_norm(x), (x.var(axis=0) + 1e-5) ** -0.5
    mistakes = {
        "mean and variance are taken as constants; both depend on x": inverse * dy,
        "the way through the variance is missing": inverse * (dy - dy.mean(axis=0)),
        "the way through the mean is missing": inverse * (dy - y * (dy * y).mean(axis=0)),
        "sums, where forward has means: N = 6 times too much goes away": inverse
        * (dy - dy.sum(axis=0) - y * (dy * y).sum(axis=0)),
        "1 / sqrt(var + eps) is missing": dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0),
        "x stands where y should: it is y whose mean is 0 and whose variance is 1": inverse
        * (dy - dy.mean(axis=0) - x * (dy * x).mean(axis=0)),
    }
    compare("dx", answer.batch_norm_backward(dy, x), slope(lambda x: (dy * answer.batch_norm(x)).sum(), x), mistakes)
