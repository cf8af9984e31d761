"""Wrong gradients at a kink: outside the Clarke subdifferential, the convex hull of the gradients nearby.

The cases without a cause are smooth at their corner, where only the second derivative jumps.
"""

from __future__ import annotations

from functools import partial

import numpy as np

import tinynet as tn
from tinynet import functions

from . import Case
from .own_pairs import DELTA
from .wrong_terms import Row, function_cases

KINK = "kink"


def vector() -> tuple[np.ndarray, ...]:
    return (np.array([[-1.3, 0.0, 0.7], [0.0, -0.4, 2.1]]),)


def corners() -> tuple[np.ndarray, ...]:
    return (np.array([[-1.4, 1.0, 0.3], [-1.0, 0.6, 1.8]]),)


def ties() -> tuple[np.ndarray, ...]:
    return (np.array([[0.5, 2.0, 2.0, -1.0], [3.0, 1.0, -2.0, 0.1]]),)


def picture_with_ties() -> tuple[np.ndarray, ...]:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 0, :2] = 7
    x[0, 0, 3, 2:] = 20
    return (x,)


def slope_at(x: np.ndarray, corner: float, slope: float, elsewhere: np.ndarray) -> np.ndarray:
    """Return `slope` where x is at the corner."""
    return np.where(x == corner, slope, elsewhere)


def relu_with(slope: float):
    return lambda dy, x: dy * slope_at(x, 0, slope, x > 0)


def abs_with(slope: float):
    return lambda dy, x: dy * slope_at(x, 0, slope, np.sign(x))


def leaky_with(slope: float):
    return lambda dy, x: dy * slope_at(x, 0, slope, np.where(x > 0, 1, 0.1))


def clip_with(slope: float):
    return lambda dy, x: dy * slope_at(abs(x), 1, slope, abs(x) < 1)


def is_largest(x: np.ndarray) -> np.ndarray:
    return x == x.max(axis=1, keepdims=True)


def max_pool_to_all(dy, x):
    largest = functions.max_pool2d(x, 2).repeat(2, axis=-2).repeat(2, axis=-1)
    return dy.repeat(2, axis=-2).repeat(2, axis=-1) * (x == largest)


def sort_with_ties_twice(dy, x):
    equal = x[:, :, None] == np.sort(x, axis=1)[:, None, :]
    return (equal * dy[:, None, :]).sum(axis=-1)


def hinge(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    return np.maximum(1 - z * t, 0)


def at_the_margin() -> tuple[np.ndarray, ...]:
    return np.array([[1.0, 0.4], [-0.3, -1.0]]), np.array([[1.0, 1.0], [-1.0, -1.0]])


class ReLUWithSlope(tn.ReLU):
    """ReLU with a slope of 3 at 0."""

    def forward(self, x, train=False):
        y = super().forward(x, train)
        self.memory = x
        return y

    def backward(self, dy):
        return relu_with(3)(dy, self.memory)


class MaxOfTies(tn.Layer):
    """y = the largest number of each row, with the whole dy for every one of equal numbers."""

    def forward(self, x, train=False):
        self.memory = x
        return x.max(axis=1, keepdims=True)

    def backward(self, dy):
        return dy * is_largest(self.memory)


class AbsoluteError(tn.losses.Loss):
    """L = 1/(N M) sum |z - t|, with the slope 2 at 0"""

    classifies = False

    def forward(self, z, t):
        self.memory = z - t
        return abs(z - t).mean(axis=(-2, -1))

    def backward(self):
        return abs_with(2)(1 / self.memory.size, self.memory)


ROWS: list[Row] = [
    *((f"relu with slope {slope} at 0", functions.relu, relu_with(slope), vector, KINK) for slope in (7, -3, 2, 1.1)),
    *((f"abs with slope {slope} at 0", np.abs, abs_with(slope), vector, KINK) for slope in (2, -1.5, 30)),
    *(
        (f"leaky relu with slope {slope} at 0", lambda x: np.maximum(x, 0.1 * x), leaky_with(slope), vector, KINK)
        for slope in (-1, 1.5, 0)
    ),
    *(
        (f"hard tanh with slope {slope} at the corner", lambda x: np.clip(x, -1, 1), clip_with(slope), corners, KINK)
        for slope in (2, -1)
    ),
    (
        "hard sigmoid with the slope of the identity at the corner",
        lambda x: np.clip(x / 2 + 0.5, 0, 1),
        lambda dy, x: dy * slope_at(abs(x), 1, 1.0, (abs(x) < 1) / 2),
        corners,
        KINK,
    ),
    (
        "relu6 with slope 6 at both corners",
        lambda x: np.clip(x, 0, 6),
        lambda dy, x: dy * slope_at(x, 6, 6, slope_at(x, 0, 6, (x > 0) & (x < 6))),
        lambda: (np.array([[0.0, 6.0, 2.0], [-1.0, 7.0, 6.0]]),),
        KINK,
    ),
    ("max of ties, all for each", lambda x: x.max(axis=1), lambda dy, x: dy[:, None] * is_largest(x), ties, KINK),
    (
        "max of ties, half more for each",
        lambda x: x.max(axis=1),
        lambda dy, x: dy[:, None] * is_largest(x) * [[0.75], [1]],
        ties,
        KINK,
    ),
    (
        "max of ties, none for each",
        lambda x: x.max(axis=1),
        lambda dy, x: dy[:, None] * (is_largest(x).sum(axis=1, keepdims=True) < 2) * is_largest(x),
        ties,
        KINK,
    ),
    (
        "min of ties, all for each",
        lambda x: x.min(axis=1),
        lambda dy, x: dy[:, None] * is_largest(-x),
        lambda: (-ties()[0],),
        KINK,
    ),
    (
        "maximum of two equal numbers, all for both",
        np.maximum,
        lambda dy, a, b: (dy * (a >= b), dy * (b >= a)),
        lambda: (np.array([1.0, 2.0, -1.0]), np.array([1.0, 0.5, 0.0])),
        KINK,
    ),
    ("max pool of ties, all for each", partial(functions.max_pool2d, size=2), max_pool_to_all, picture_with_ties, KINK),
    ("sort of ties, the sum for each", partial(np.sort, axis=1), sort_with_ties_twice, ties, KINK),
    (
        "norm at 0 with a gradient of length 2",
        lambda x: np.sqrt((x * x).sum()),
        lambda dy, x: dy * np.array([2.0, 0, 0]),
        lambda: (np.zeros(3),),
        KINK,
    ),
    (
        "norm at 0 with a gradient of ones",
        lambda x: np.sqrt((x * x).sum()),
        lambda dy, x: dy * np.ones(3),
        lambda: (np.zeros(3),),
        KINK,
    ),
    (
        "sum of absolute values at 0 with slope 1.2",
        lambda x: abs(x).sum(),
        lambda dy, x: dy * np.full(3, 1.2),
        lambda: (np.zeros(3),),
        KINK,
    ),
    (
        "hinge with twice the slope at the margin",
        hinge,
        lambda dy, z, t: (-dy * t * (z * t < 1) - 2 * dy * t * (z * t == 1), None),
        at_the_margin,
        KINK,
    ),
    (
        "huber with the slope 0 at its corner",
        lambda r: np.minimum(abs(r), DELTA) * (abs(r) - np.minimum(abs(r), DELTA) / 2),
        lambda dy, r: dy * np.clip(r, -DELTA, DELTA) * (abs(r) != DELTA),
        lambda: (np.array([0.1, 0.5, -0.8]),),
        "",
    ),
    (
        "huber with both slopes at its corner",
        lambda r: np.minimum(abs(r), DELTA) * (abs(r) - np.minimum(abs(r), DELTA) / 2),
        lambda dy, r: dy * np.clip(r, -DELTA, DELTA) * (1 + (abs(r) == DELTA)),
        lambda: (np.array([0.1, -0.5, -0.8]),),
        "",
    ),
    (
        "square of relu with slope 1 at 0",
        lambda x: np.maximum(x, 0) ** 2,
        lambda dy, x: dy * slope_at(x, 0, 1, 2 * np.maximum(x, 0)),
        vector,
        "",
    ),
]

CASES = [
    *function_cases("kink", ROWS),
    Case("ReLU, slope 3 at 0", "kink", "layer", lambda: (ReLUWithSlope(), *vector()), KINK),
    Case("max of the row, all for each tie", "kink", "layer", lambda: (MaxOfTies(), *ties()), KINK),
    Case("absolute error, slope 2 at 0", "kink", "loss", lambda: (AbsoluteError(), *vector(), 0 * vector()[0]), KINK),
]
