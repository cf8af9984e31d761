"""The functions of `functions.py` as one CUDA kernel each. cuBLAS computes the matrix products.

Arrays with axes in front of the last two go to `functions.py`, and so do the functions that are not here.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from ... import functions
from ...arrays import Array
from .device import launch

_contiguous = cupy.ascontiguousarray


def dense(x: Array, W: Array, b: Array) -> Array:
    if x.ndim != 2:
        return functions.dense(x, W, b)
    y = x @ W
    launch("add_bias", y.dtype, y.size, y, _contiguous(b), np.int32(y.shape[1]))
    return y


def relu(x: Array) -> Array:
    return _elementwise("relu", x)


def relu_backward(dy: Array, y: Array) -> Array:
    return _elementwise("relu_backward", dy, y)


def gelu(x: Array) -> Array:
    return _elementwise("gelu", x)


def gelu_backward(dy: Array, x: Array) -> Array:
    return _elementwise("gelu_backward", dy, x)


def _elementwise(kernel: str, *arrays: Array) -> Array:
    y = cupy.empty(arrays[0].shape, arrays[0].dtype)
    launch(kernel, y.dtype, y.size, *map(_contiguous, arrays), y)
    return y


def dropout(x: Array, rate: float, key: tuple[int, int], first: int = 0) -> tuple[Array, Array]:
    y, mask = cupy.empty(x.shape, x.dtype), cupy.empty(x.shape, x.dtype)
    words, threshold = map(np.uint32, (*key, first % 2**32)), np.uint64(round(rate * 2**32))
    launch("dropout", x.dtype, x.size, _contiguous(x), y, mask, *words, threshold, x.dtype.type(1 / (1 - rate)))
    return y, mask


def softmax_cross_entropy(z: Array, t: Array) -> tuple[Array, Array]:
    if z.ndim != 2:
        return functions.softmax_cross_entropy(z, t)
    p, row_loss = cupy.empty(z.shape, z.dtype), cupy.empty(len(z), z.dtype)
    launch("softmax_cross_entropy", z.dtype, len(z), _contiguous(z), _contiguous(t), p, row_loss, np.int32(z.shape[1]))
    return row_loss.mean(), p


def count_correct(z: Array, t: Array) -> Array:
    if z.ndim != 2:
        return functions.count_correct(z, t)
    correct = cupy.empty(len(z), np.uint8)
    launch("count_correct", z.dtype, len(z), _contiguous(z), _contiguous(t), correct, np.int32(z.shape[1]))
    return correct.sum(dtype=np.int64)


def sgd(theta: Array, grad: Array, velocity: Array, lr: float, momentum: float, nesterov: bool) -> None:
    if not _are_contiguous(theta, grad, velocity):
        return functions.sgd(theta, grad, velocity, lr, momentum, nesterov)
    number = theta.dtype.type
    launch("sgd", theta.dtype, theta.size, theta, grad, velocity, number(lr), number(momentum), np.int32(nesterov))


def adam(
    theta: Array, grad: Array, m: Array, v: Array, step: int, lr: float, beta1: float, beta2: float, eps: float
) -> None:
    if not _are_contiguous(theta, grad, m, v):
        return functions.adam(theta, grad, m, v, step, lr, beta1, beta2, eps)
    number, root = theta.dtype.type, (1 - beta2**step) ** 0.5
    factors = number(lr / (1 - beta1**step) * root), np.float64(beta1), np.float64(beta2), number(eps * root)
    launch("adam", theta.dtype, theta.size, theta, grad, m, v, *factors)


def gather(x: Array, index: Array, dtype: Any) -> Array:
    if x.ndim != 2 or x.dtype not in (np.uint8, dtype):
        return functions.gather(x, index, dtype)
    y = cupy.empty((len(index), x.shape[1]), dtype)
    name = "gather_pixels" if x.dtype == np.uint8 else "gather_rows"
    launch(name, dtype, y.size, _contiguous(x), _contiguous(index), y, np.int32(x.shape[1]))
    return y


def _are_contiguous(*arrays: Array) -> bool:
    return all(array.flags.c_contiguous for array in arrays)
