import numpy as np
from checking import compare, slope

from tinynet.functions import softmax, softmax_cross_entropy

HINTS = (
    "L is a mean. How much does one row contribute to it if there are N rows?",
    "Each row contributes 1/N of its loss, so its gradient has the factor 1/N.",
    "Divide by len(p), the rows; not by p.size, which counts the classes too.",
)


def check(answer):
    draw = np.random.default_rng(10)
    z, t = draw.normal(size=(6, 4)), np.eye(4)[[0, 3, 1, 1, 2, 0]]
    p = softmax(z)
    mistakes = {
        "6 times too large with 6 rows, 12 times with 12": p - t,
        "divided by N K; the mean runs over the rows only": (p - t) / p.size,
        "divided by K, the classes; the mean runs over the rows": (p - t) / 4,
        "the sign is wrong: this increases the loss": (t - p) / 6,
        "this is the gradient of the probabilities, dp = -t / p / N; the loss also depends on z through softmax": -t
        / p
        / 6,
    }
    compare(
        "dz", answer.softmax_cross_entropy_backward(p, t), slope(lambda z: softmax_cross_entropy(z, t)[0], z), mistakes
    )
