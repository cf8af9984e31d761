import numpy as np
from checking import compare

HINTS = (
    "The mean of n runs with standard deviation s has the standard error s / sqrt(n). The variances of two means add.",
    "error^2 = s_a^2 / n_a + s_b^2 / n_b",
    "s^2 is a.var(ddof=1): the mean comes from the same runs, which leaves n - 1 degrees of freedom.",
)


def check(answer):
    a = np.array([0.931, 0.935, 0.929, 0.934, 0.932])
    b = np.array([0.905, 0.921, 0.899, 0.912, 0.917, 0.908, 0.915])
    mean, error = answer.difference(a, b)
    compare("the difference", mean, b.mean() - a.mean(), {"b less a, not a less b": a.mean() - b.mean()})
    s_a, s_b, n_a, n_b = a.var(ddof=1), b.var(ddof=1), len(a), len(b)
    mistakes = {
        "that is how far single runs spread; a mean of n runs varies sqrt(n) times less": (s_a + s_b) ** 0.5,
        "the variance; the standard error is its root": s_a / n_a + s_b / n_b,
        "var() divides by n; the mean comes from the same runs, so it must be n - 1: ddof=1": (
            a.var() / n_a + b.var() / n_b
        )
        ** 0.5,
        "the errors themselves do not add up, their squares do": (s_a / n_a) ** 0.5 + (s_b / n_b) ** 0.5,
        "the spread of both thrown together also has their difference in it": np.concatenate([a, b]).std(ddof=1)
        / (n_a + n_b) ** 0.5,
    }
    compare("its standard error", error, (s_a / n_a + s_b / n_b) ** 0.5, mistakes, tolerance=1e-9)
