"""Right functions: reductions, cumulative functions, and broadcasts."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import Case
from .case_builders import Function, function, uniform

# ------------------------------------------------------------------------------------------ reductions

AXES: list[Any] = [None, 0, 1, -1, (0, 2)]

REDUCTIONS: dict[str, tuple[Function, Function]] = {
    "sum": (np.sum, lambda x, y: np.ones_like(x)),
    "mean": (np.mean, lambda x, y: np.full_like(x, y.size / x.size)),
    "prod": (np.prod, lambda x, y: y / x),
    "max": (np.max, lambda x, y: x == y),
    "min": (np.min, lambda x, y: x == y),
    "norm": (lambda x, **of: np.sqrt((x * x).sum(**of)), lambda x, y: x / y),
    "logsumexp": (lambda x, **of: np.log(np.exp(x).sum(**of)), lambda x, y: np.exp(x - y)),
}


def reduction(name: str, shape: tuple[int, ...], axis: Any, keepdims: bool = False) -> Case:
    """Return the case of a reduction; its slope takes x and y, y with axes of length 1."""
    reduce, slope = REDUCTIONS[name]

    def backward(dy, x):
        y = reduce(x, axis=axis, keepdims=True)
        return np.reshape(dy, y.shape) * slope(x, y)

    title = f"{name} of {shape} over axis {axis}{', kept' if keepdims else ''}"
    return function("reduction", title, lambda x: reduce(x, axis=axis, keepdims=keepdims), backward, shape)


def variance(axis: Any, ddof: int, keepdims: bool = False) -> Case:
    def backward(dy, x):
        deviation = x - x.mean(axis=axis, keepdims=True)
        n = x.size // x.mean(axis=axis).size - ddof
        return np.reshape(dy, x.mean(axis=axis, keepdims=True).shape) * 2 * deviation / n

    title = f"var over axis {axis}, ddof {ddof}{', kept' if keepdims else ''}"
    return function("reduction", title, lambda x: x.var(axis=axis, ddof=ddof, keepdims=keepdims), backward, (3, 2, 4))


def deviation(axis: Any) -> Case:
    def backward(dy, x):
        y = x.std(axis=axis, keepdims=True)
        n = x.size // y.size
        return np.reshape(dy, y.shape) * (x - x.mean(axis=axis, keepdims=True)) / (n * y)

    return function("reduction", f"std over axis {axis}", lambda x: x.std(axis=axis), backward, (3, 2, 4))


def reversed_sums(dy, axis):
    return np.flip(np.flip(dy, axis).cumsum(axis), axis)


def cumulative(axis: int) -> list[Case]:
    return [
        function(
            "reduction",
            f"cumsum along axis {axis}",
            lambda x: x.cumsum(axis),
            lambda dy, x: reversed_sums(dy, axis),
            (4, 3),
        ),
        function(
            "reduction",
            f"cumprod along axis {axis}",
            lambda x: x.cumprod(axis),
            lambda dy, x: reversed_sums(dy * x.cumprod(axis), axis) / x,
            (4, 3),
        ),
        function(
            "reduction",
            f"diff along axis {axis}",
            lambda x: np.diff(x, axis=axis),
            lambda dy, x: -np.diff(dy, axis=axis, prepend=0, append=0),
            (4, 3),
        ),
    ]


def second_difference_backward(dy, x):
    return np.diff(dy, n=2, prepend=[0, 0], append=[0, 0])


def prod_with_zero_backward(dy, x):
    others = np.array([np.delete(x, k).prod() for k in range(len(x))])
    return dy * others


def masked_mean_backward(dy, x, mask):
    return dy * mask / mask.sum(), None


def segment_sums(x, segment):
    y = np.zeros((3, *x.shape[1:]), x.dtype)
    np.add.at(y, segment, x)
    return y


def weighted_mean(x, w):
    return (w * x).sum() / w.sum()


def weighted_mean_backward(dy, x, w):
    return dy * w / w.sum(), dy * (x - weighted_mean(x, w)) / w.sum()


SPECIAL = [
    function("reduction", name, forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("second difference", lambda x: np.diff(x, n=2), second_difference_backward, [(6,)]),
        ("prod with one zero", np.prod, prod_with_zero_backward, [[0.5, 0.0, -2.0, 1.5]]),
        ("prod with two zeros", np.prod, prod_with_zero_backward, [[0.5, 0.0, 0.0, 1.5]]),
        ("mean of a mask", lambda x, mask: x[mask].mean(), masked_mean_backward, [(2, 3), np.eye(2, 3, dtype=bool)]),
        ("sums of segments", segment_sums, lambda dy, x, s: (dy[s], None), [(5, 2), np.array([0, 2, 2, 0, 0])]),
        ("weighted mean", weighted_mean, weighted_mean_backward, [(5,), uniform(0.5, 2, 5)]),
        (
            "geometric mean",
            lambda x: np.exp(np.log(x).mean()),
            lambda dy, x: dy * np.exp(np.log(x).mean()) / x / x.size,
            [uniform(0.5, 2, 5)],
        ),
        (
            "harmonic mean",
            lambda x: 1 / (1 / x).mean(),
            lambda dy, x: dy / (x * (1 / x).mean()) ** 2 / x.size,
            [uniform(0.5, 2, 5)],
        ),
        (
            "p-norm, p = 3",
            lambda x: (abs(x) ** 3).sum() ** (1 / 3),
            lambda dy, x: dy * x * abs(x) / (abs(x) ** 3).sum() ** (2 / 3),
            [(5,)],
        ),
        ("entropy", lambda p: -(p * np.log(p)).sum(), lambda dy, p: -dy * (np.log(p) + 1), [uniform(0.1, 0.9, 5)]),
        (
            "moving average",
            lambda x: np.convolve(x, np.ones(3) / 3, "valid"),
            lambda dy, x: np.convolve(dy, np.ones(3) / 3),
            [(7,)],
        ),
    ]
]


def empty_and_more(x, y):
    return x.sum(axis=0) + y


def empty_and_more_backward(dy, x, y):
    return np.broadcast_to(dy, x.shape), dy


EMPTY = [
    function("empty", name, forward, backward, *shapes)
    for name, forward, backward, shapes in [
        ("sum over an empty axis", empty_and_more, empty_and_more_backward, [(0, 3), (3,)]),
        (
            "concatenation with an empty array",
            lambda x, y: np.concatenate([x, y]),
            lambda dy, x, y: (dy[:0], dy),
            [(0, 3), (2, 3)],
        ),
        (
            "product of no rows",
            lambda x, W, b: np.append((x @ W).ravel(), b),
            lambda dy, x, W, b: (np.zeros(x.shape), np.zeros(W.shape), dy),
            [(0, 3), (3, 2), (4,)],
        ),
        (
            "prod over an empty axis",
            lambda x, y: x.prod(axis=0) * y,
            lambda dy, x, y: (np.zeros(x.shape), dy),
            [(0, 3), (3,)],
        ),
    ]
]
SINGLETON = [reduction(name, (1, 3, 1), axis) for name in ("sum", "mean", "max") for axis in (0, 2, None)]

# ------------------------------------------------------------------------------------------ broadcasts

OPERATIONS: dict[str, tuple[Function, Function]] = {
    "+": (np.add, lambda a, b: (1, 1)),
    "-": (np.subtract, lambda a, b: (1, -1)),
    "*": (np.multiply, lambda a, b: (b, a)),
    "/": (np.divide, lambda a, b: (1 / b, -a / b**2)),
    "hypot": (np.hypot, lambda a, b: (a / np.hypot(a, b), b / np.hypot(a, b))),
    "arctan2": (np.arctan2, lambda a, b: (b / (a * a + b * b), -a / (a * a + b * b))),
    "**": (np.power, lambda a, b: (b * a ** (b - 1), a**b * np.log(a))),
    "logaddexp": (np.logaddexp, lambda a, b: (1 / (1 + np.exp(b - a)), 1 / (1 + np.exp(a - b)))),
    "maximum": (np.maximum, lambda a, b: (a > b, b > a)),
}
SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3, 1), (1, 4)),
    ((4,), (3, 4)),
    ((), (3, 4)),
    ((3, 4), ()),
    ((), ()),
    ((1,), (5,)),
    ((2, 1, 3), (4, 1)),
    ((1, 1, 2), (3, 2, 1)),
]


def summed_to(dy, shape):
    """Return dy summed over the axes along which an array of this shape was repeated."""
    dy = dy.sum(axis=tuple(range(dy.ndim - len(shape))))
    return dy.sum(axis=tuple(axis for axis, length in enumerate(shape) if length == 1), keepdims=True)


def broadcast(name: str, *shapes: tuple[int, ...]) -> Case:
    operate, slopes = OPERATIONS[name]

    def backward(dy, a, b):
        da, db = slopes(a, b)
        return summed_to(dy * da, a.shape), summed_to(dy * db, b.shape)

    inputs = [uniform(0.5, 2, *shape) for shape in shapes]
    return function("broadcast", f"{shapes[0]} {name} {shapes[1]}", operate, backward, *inputs)


def affine_backward(dy, a, x, b):
    return summed_to(dy * x, a.shape), dy * a, summed_to(dy, b.shape)


BROADCASTS = [
    *(broadcast(name, *shapes) for name in ("+", "*", "/") for shapes in SHAPES),
    *(broadcast(name, *SHAPES[0]) for name in ("-", "hypot", "arctan2", "**", "logaddexp", "maximum")),
    *(broadcast(name, (3, 4), (3, 4)) for name in ("-", "*", "/", "**")),
    function("broadcast", "a x + b", lambda a, x, b: a * x + b, affine_backward, (3, 1), (2, 3, 4), (4,)),
    function(
        "broadcast",
        "broadcast_to",
        lambda x: np.broadcast_to(x, (3, 2, 4)),
        lambda dy, x: summed_to(dy, x.shape),
        (2, 1),
    ),
    function("broadcast", "one number for a whole array", lambda x: np.full((2, 3), x), lambda dy, x: dy.sum(), ()),
    function(
        "broadcast",
        "pairwise differences",
        lambda x: x[:, None] - x,
        lambda dy, x: dy.sum(axis=1) - dy.sum(axis=0),
        (5,),
    ),
]

CASES = [
    *(reduction(name, (2, 3, 4), axis, keepdims=axis == 1) for name in REDUCTIONS for axis in AXES),
    *(variance(axis, ddof, keepdims=axis == 1) for axis, ddof in [(None, 0), (0, 1), (1, 0), (-1, 1)]),
    *(deviation(axis) for axis in (None, 0, (0, 2))),
    *(case for axis in (0, 1) for case in cumulative(axis)),
    *SPECIAL,
    *EMPTY,
    *SINGLETON,
    *BROADCASTS,
]
