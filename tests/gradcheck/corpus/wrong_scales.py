"""Wrong gradients of functions with large offsets, of unequal scales, or at large and small x."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from .own_pairs import normal
from .wrong_terms import Row, function_cases

x_of_one = partial(normal, 1, (3, 4))


def scaled_x(scale: float) -> Callable[[], tuple[np.ndarray, ...]]:
    return lambda: (scale * x_of_one()[0],)


def sine(
    offset: float, scale: float, factor: float, frequency: float = 1, at: float = 1, cause: str = "times too"
) -> Row:
    """Return y = offset + scale sin(frequency x) at x of the size `at`, with `factor` times its gradient."""
    name = f"{offset:g} + {scale:g} sin({frequency:g} x), times {factor:g}, x of size {at:g}"

    def forward(x):
        return offset + scale * np.sin(frequency * x)

    def backward(dy, x):
        return factor * dy * scale * frequency * np.cos(frequency * x)

    return name, forward, backward, scaled_x(at), cause


def both_terms(x: np.ndarray) -> np.ndarray:
    """Return 1e5 cos(x_0) and 1e-3 sin of the others, in one array."""
    return np.concatenate([1e5 * np.cos(x[:1]), 1e-3 * np.sin(x[1:])])


def log(x: np.ndarray) -> np.ndarray:
    """Return log x, or NaN where a step of the check made x negative."""
    with np.errstate(invalid="ignore"):
        return np.log(x)


def entries(sizes: list[float], factors: list[float]) -> Row:
    """Return y = sizes sin(x), with `factors` times its gradient."""
    size, factor = np.array(sizes), np.array(factors)
    name = f"entries of sizes {sizes}, times {factors}"
    return (
        name,
        lambda x: size * np.sin(x),
        lambda dy, x: factor * dy * size * np.cos(x),
        partial(normal, 2, (len(size),)),
        "",
    )


ROWS: list[Row] = [
    sine(1e6, 1, 1.001),
    sine(1e6, 1, 0.5),
    sine(-1e7, 1, 1.01),
    sine(1e8, 1, 1.01),
    sine(1e3, 1e-3, 1.001),
    sine(0, 1e-8, 1.01),
    sine(0, 1e-8, -1, cause="the sign is wrong"),
    sine(0, 1e8, 1.001),
    sine(0, 1e-12, 1.1),
    sine(0, 1e-12, 0, cause="backward gives zero"),
    sine(0, 1e12, 1.0001),
    sine(0, 1e-5, 1.0001),
    sine(0, 1, 1.01, frequency=1e-6, at=1e6),
    sine(0, 1, 1.001, frequency=1e6, at=1e-6),
    sine(0, 1e6, 1.01, frequency=1e-6),
    sine(0, 1e-6, 1.01, frequency=1e3),
    sine(0, 1, 1.01, frequency=100),
    (
        "a term of 1e-3 beside one of 1e5, twice",
        both_terms,
        lambda dy, x: dy * np.concatenate([-1e5 * np.sin(x[:1]), 2e-3 * np.cos(x[1:])]),
        partial(normal, 3, (5,)),
        "",
    ),
    (
        "an input of 1e-3 beside one of 1e5, twice",
        lambda a, b: 1e5 * np.cos(a) + 1e-3 * np.sin(b),
        lambda dy, a, b: (-1e5 * dy * np.sin(a), 2e-3 * dy * np.cos(b)),
        partial(normal, 4, (2, 3), (2, 3)),
        "2 times too large",
    ),
    (
        "an input of 1e-2 beside one of 1e4, the sign",
        lambda a, b: 1e4 * a * a + 1e-2 * b**3,
        lambda dy, a, b: (2e4 * dy * a, -3e-2 * dy * b * b),
        partial(normal, 5, (2, 3), (2, 3)),
        "the sign is wrong",
    ),
    (
        "the mean of x at 1e6, 1/N missing twice",
        lambda x: (x - 1e6).mean(),
        lambda dy, x: dy * np.full(x.shape, 1 / x.size**2),
        lambda: (1e6 + normal(6, (4, 3))[0],),
        "times too",
    ),
    (
        "log of small numbers, 1 % off",
        log,
        lambda dy, x: 1.01 * dy / x,
        lambda: (np.random.default_rng(7).uniform(1e-6, 2e-6, (3, 4)),),
        "times too",
    ),
    ("square of large numbers, 0.1 % off", np.square, lambda dy, x: 2.002 * dy * x, scaled_x(1e6), "times too"),
    ("square of small numbers, 0.1 % off", np.square, lambda dy, x: 2.002 * dy * x, scaled_x(1e-6), "times too"),
    ("cube of small numbers, twice", lambda x: x**3, lambda dy, x: 6 * dy * x * x, scaled_x(1e-3), "2 times too large"),
    entries([1, 1, 1, 1e-6, 1], [1, 1, 1, 2, 1]),
    entries([1, 1, 1e-6, 1, 1], [1, 1, -1, 1, 1]),
    entries([1, 1e-4, 1, 1e-4], [1, 1.5, 1, 1]),
    entries([1e4, 1, 1e-4], [1, 1, 0]),
    entries([1e6, 1e-3, 1, 1], [1, 3, 1, 1]),
]

CASES = function_cases("scale", ROWS)
