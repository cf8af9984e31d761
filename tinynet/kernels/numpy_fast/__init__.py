"""NumPy kernels with fewer passes through memory. Results equal `functions.py` bit for bit, except for pictures."""

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
"""Most numbers of a part, so that it stays in the cache until all its operations are done."""


def dense(x: Array, W: Array, b: Array) -> Array:
    y = x @ W
    y += b
    return y


def gather(x: Array, index: Array, dtype: Any) -> Array:
    if x.dtype != np.uint8:
        return functions.gather(x, index, dtype)
    return np.multiply(x.take(index, axis=0), 1 / 255, dtype=dtype)


def _in_parts(function: Callable[..., None], vectors: int) -> Callable[..., None]:
    """Return the function applied to one part of its vectors after another. They are its first arguments."""

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
    """`functions.adam` with the same operations in the same order, but only two temporary arrays."""
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
    change = m * (lr / (1 - beta1**step))
    change /= root
    theta -= change


sgd = _in_parts(functions.sgd, 3)
adam = _in_parts(_adam, 4)
rmsprop = _in_parts(functions.rmsprop, 3)
