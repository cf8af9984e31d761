"""NumPy kernels with fewer passes through memory. All bits equal `functions.py`, except for pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ... import functions
from ...arrays import Array
from .pictures import (
    batch_norm,
    batch_norm_backward,
    batch_norm_backward_parameters,
    conv2d,
    conv2d_backward,
    conv2d_backward_parameters,
    max_pool2d,
    max_pool2d_backward,
)

PART = 32_768
"""Numbers in a part, at most: what stays in the cache until it is done with."""


def dense(x: Array, W: Array, b: Array) -> Array:
    y = x @ W
    y += b
    return y


def gather(x: Array, index: Array, dtype: Any) -> Array:
    if x.dtype != np.uint8:
        return functions.gather(x, index, dtype)
    return np.multiply(x.take(index, axis=0), 1 / 255, dtype=dtype)


def _in_parts(function: Callable[..., None], vectors: int) -> Callable[..., None]:
    """The function, whose first arguments are so many vectors of one length, on one part of them after another."""

    @wraps(function)
    def apply(*arguments: Any) -> None:
        size = len(arguments[0])
        if size <= PART:
            return function(*arguments)
        length = math.ceil(size / math.ceil(size / PART))
        for start in range(0, size, length):
            parts = (vector[start : start + length] for vector in arguments[:vectors])
            function(*parts, *arguments[vectors:])

    return apply


def _adam(
    theta: Array, grad: Array, m: Array, v: Array, step: int, lr: float, beta1: float, beta2: float, eps: float
) -> None:
    """The same numbers in the same order, in two arrays besides those that are given."""
    work = grad - m
    work *= 1 - beta1
    m += work
    np.multiply(grad, grad, out=work)
    work -= v
    work *= 1 - beta2
    v += work
    root = np.divide(v, 1 - beta2**step, out=work)
    np.sqrt(root, out=root)
    root += eps
    move = m * (lr / (1 - beta1**step))
    move /= root
    theta -= move


sgd = _in_parts(functions.sgd, 3)
adam = _in_parts(_adam, 4)
rmsprop = _in_parts(functions.rmsprop, 3)

__all__ = [
    "dense",
    "gather",
    "conv2d",
    "conv2d_backward",
    "conv2d_backward_parameters",
    "max_pool2d",
    "max_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_backward_parameters",
    "sgd",
    "adam",
    "rmsprop",
]
