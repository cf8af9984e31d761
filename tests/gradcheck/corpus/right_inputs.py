"""Right functions of unusual inputs and outputs: integers, None, lists, single numbers, other dtypes and layouts."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import Case
from .case_builders import Function, function, linear

KIND = "inputs"


def times_sin(x):
    return x * np.sin(x)


def times_sin_backward(dy, x):
    return dy * (np.sin(x) + x * np.cos(x))


def laid_out(change: Function, *shape: int) -> Function:
    """Return an input of normal numbers that was changed in dtype or layout."""
    return lambda draw: change(draw.normal(size=shape))


def read_only(x):
    x.flags.writeable = False
    return x


def of_layout(name: str, x: Any) -> Case:
    return function(KIND, f"x is {name}", times_sin, times_sin_backward, x)


LAYOUTS = [
    of_layout("float32", laid_out(np.float32, 3, 4)),
    of_layout("float16", laid_out(np.float16, 3, 4)),
    of_layout("longdouble", laid_out(np.longdouble, 3, 4)),
    of_layout("big-endian", laid_out(lambda x: x.astype(">f8"), 3, 4)),
    of_layout("read-only", laid_out(read_only, 3, 4)),
    of_layout("in Fortran order", laid_out(np.asfortranarray, 3, 4)),
    of_layout("transposed", laid_out(np.transpose, 4, 3)),
    of_layout("every second row", laid_out(lambda x: x[::2], 6, 3)),
    of_layout("reversed", laid_out(lambda x: x[::-1, ::-1], 3, 4)),
    of_layout("broadcast", laid_out(lambda x: np.broadcast_to(x, (3, 4)), 4)),
    of_layout("three axes in another order", laid_out(lambda x: x.transpose(1, 2, 0), 2, 3, 4)),
    of_layout("a list", [0.5, -1.2, 2.0]),
    of_layout("a list of lists", [[0.5, -1.2], [2.0, 0.1]]),
    of_layout("a list of arrays", lambda draw: list(draw.normal(size=(2, 3)))),
    of_layout("one number", 0.7),
    of_layout("a NumPy number", np.float32(0.7)),
    of_layout("an array without axes", np.array(-1.1)),
    of_layout("one number in an array", (1, 1)),
    of_layout("an array with six axes", (1, 2, 1, 3, 2, 1)),
    of_layout("a long row", (60,)),
]


def power(x, n):
    return x**n


def power_with_none(dy, x, n):
    return dy * n * x ** (n - 1), None


def power_with_zeros(dy, x, n):
    return dy * n * x ** (n - 1), np.zeros(np.shape(n))


def scaled(x, slope):
    return slope * x


def scaled_backward(dy, x, slope):
    return dy * slope, float((dy * x).sum())


def masked(x, mask):
    return np.where(mask, x, 0)


def masked_backward(dy, x, mask):
    return np.where(mask, dy, 0), None


def swapped(index, x):
    return x[index]


def swapped_backward(dy, index, x):
    dx = np.zeros_like(x)
    dx[index] = dy
    return None, dx


def five(a, b, c, d, e):
    return a * b + np.sin(c) * d - e


def five_backward(dy, a, b, c, d, e):
    return dy * b, dy * a, dy * np.cos(c) * d, dy * np.sin(c), -dy


def unused(x, y):
    return x * x


def unused_backward(dy, x, y):
    return 2 * dy * x, np.zeros_like(y)


def with_target(x, t):
    return ((x - t) ** 2).sum()


def with_target_backward(dy, x, t):
    return 2 * dy * (x - t), None


THREE = np.array([1, 2, 3])
SEVERAL = [
    function(KIND, name, forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("integer exponents, None", power, power_with_none, [(2, 3), THREE]),
        ("integer exponents, zeros", power, power_with_zeros, [(2, 3), THREE]),
        ("one integer", power, power_with_none, [(2, 3), 3]),
        ("a list of integers", power, power_with_none, [(2, 3), [1, 2, 3]]),
        ("unsigned integers", power, power_with_none, [(2, 3), THREE.astype(np.uint8)]),
        ("a mask of booleans", masked, masked_backward, [(3, 3), np.eye(3, dtype=bool)]),
        ("integers in front", swapped, swapped_backward, [np.array([2, 0]), (3, 2)]),
        ("a factor of one number", scaled, scaled_backward, [(4, 3), 0.3]),
        ("five inputs", five, five_backward, [(3,)] * 5),
        ("five inputs of float32", five, five_backward, [np.float32([0.1, 0.2])] * 5),
        ("an input that is not used", unused, unused_backward, [(3,), (2, 2)]),
        ("a target without a gradient", with_target, with_target_backward, [(3, 2), (3, 2)]),
        (
            "two single numbers",
            lambda a, b: a * np.exp(b),
            lambda dy, a, b: (dy * np.exp(b), dy * a * np.exp(b)),
            [2.0, 0.5],
        ),
        ("lists and arrays", np.multiply, lambda dy, a, b: (dy * b, dy * a), [[1.0, 2.0], np.array([0.5, -1])]),
        (
            "float32 beside float64",
            np.multiply,
            lambda dy, a, b: (dy * b, dy * a),
            [np.float32([1.5, -2]), np.array([0.5, -1])],
        ),
    ]
]


def with_own_memory(dy, x):
    """Return the gradient as a view into a larger array."""
    memory = np.zeros((2, *x.shape))
    memory[0] = times_sin_backward(dy, x)
    return memory[0]


OUTPUTS = [
    function(KIND, "y is one number", lambda x: times_sin(x).sum(), times_sin_backward, (3, 4)),
    function(KIND, "y is a Python number", lambda x: float(times_sin(x).sum()), times_sin_backward, (3, 4)),
    function(KIND, "y has the shape (1, 1)", lambda x: times_sin(x).sum(keepdims=True), times_sin_backward, (3, 4)),
    function(
        KIND,
        "y has five axes",
        lambda x: times_sin(x).reshape(1, 2, 3, 1, 2),
        lambda dy, x: times_sin_backward(dy.reshape(x.shape), x),
        (4, 3),
    ),
    function(
        KIND,
        "y is larger than x",
        lambda x: np.stack([x, x * x, x**3]),
        lambda dy, x: dy[0] + 2 * x * dy[1] + 3 * x * x * dy[2],
        (4,),
    ),
    function(KIND, "y is in Fortran order", lambda x: np.asfortranarray(times_sin(x)), times_sin_backward, (3, 4)),
    function(KIND, "y is a view of x", lambda x: x[:, ::2], lambda dy, x: np.kron(dy, [1, 0]), (3, 4)),
    function(KIND, "y is read-only", lambda x: read_only(times_sin(x)), times_sin_backward, (3, 4)),
    function(KIND, "the gradient is a tuple of one", times_sin, lambda dy, x: (times_sin_backward(dy, x),), (3, 4)),
    function(KIND, "the gradient is a list of one", times_sin, lambda dy, x: [times_sin_backward(dy, x)], (3, 4)),
    function(KIND, "the gradients are a list", np.multiply, lambda dy, a, b: [dy * b, dy * a], (3,), (3,)),
    function(
        KIND, "the gradient is a list of lists", times_sin, lambda dy, x: (times_sin_backward(dy, x).tolist(),), (3, 4)
    ),
    function(
        KIND,
        "the gradient is in Fortran order",
        times_sin,
        lambda dy, x: np.asfortranarray(times_sin_backward(dy, x)),
        (3, 4),
    ),
    function(KIND, "the gradient is a view", times_sin, with_own_memory, (3, 4)),
    function(KIND, "the gradient is read-only", lambda x: x.sum(), lambda dy, x: np.broadcast_to(dy, x.shape), (3, 4)),
    function(KIND, "the gradient is dy itself", lambda a, b: a + b, lambda dy, a, b: (dy, dy), (3, 4), (3, 4)),
    linear(KIND, "complex numbers inside", lambda x: (x * (1 + 2j)).imag, lambda dy: 2 * dy, (4,)),
]

CASES = [*LAYOUTS, *SEVERAL, *OUTPUTS]
