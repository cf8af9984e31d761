"""The functions of `functions.py` as serial Numba loops over NumPy arrays. BLAS computes the matrix products.

Loops run row by row (`row = z[n]`), so that LLVM sees plain pointers and vectorizes them. Numbers are first cast to the
arrays' dtype; otherwise everything would be computed in float64. The fast-math flags keep NaN. Arrays with
axes in front of the last two go to `functions.py`, and so do the functions that are not here.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np

from ... import functions
from ...arrays import Array

FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
SOURCES = [(path.name, path.stat().st_mtime_ns) for path in sorted(Path(__file__).parent.glob("*.py"))]


def jit(function: Any, **options: Any) -> Any:
    """Return the function compiled by Numba, on its first call. The machine code is cached on disk, if possible.

    A change of any file of this folder, not only of the function's own, makes the cache invalid, because the functions
    that it calls are compiled into it.
    """
    options |= {"nogil": True, "error_model": "numpy", "fastmath": FAST_MATH}
    try:
        compiled: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the home folder can be written
        return numba.njit(**options)(function)
    compiled._cache._cache_file._source_stamp = SOURCES
    return compiled


generator = numba.njit(error_model="numpy")
"""Decorator of generators for compiled code. Numba compiles them into the function that iterates, without a cache."""

inner = partial(jit, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Decorator of functions that only compiled code calls. Compilation takes a fifth less time."""

TINY = 1e-30
"""Moments below this are set to 0: denormal numbers slow the loop down by half and do not change any weight."""


def dense(x: Array, W: Array, b: Array) -> Array:
    if x.ndim != 2:
        return functions.dense(x, W, b)
    y = x @ W
    add_to_rows(y, 0, b[0])
    return y


@jit
def add_to_rows(y, first, b):
    """y[:, first : first + b.size] += b"""
    for n in range(y.shape[0]):
        row = y[n, first : first + b.size]
        for m in range(row.size):
            row[m] += b[m]


def dense_backward_parameters(dy: Array, x: Array, dW: Array, db: Array) -> None:
    if x.ndim != 2:
        return functions.dense_backward_parameters(dy, x, dW, db)
    np.matmul(x.T, dy, out=dW)
    sum_rows(dy, 0, db[0])


@jit
def sum_rows(dy, first, db):
    """db = sum of the rows of dy[:, first : first + db.size]"""
    db[:] = 0
    for n in range(dy.shape[0]):
        row = dy[n, first : first + db.size]
        for m in range(row.size):
            db[m] += row[m]


def relu(x: Array) -> Array:
    y = np.empty(x.shape, x.dtype)
    relu_loop(x.ravel(), y.ravel())
    return y


@jit
def relu_loop(x, y):
    zero = x.dtype.type(0)
    for k in range(x.size):
        y[k] = zero if x[k] <= zero else x[k]


def relu_backward(dy: Array, y: Array) -> Array:
    dx = np.empty(dy.shape, dy.dtype)
    relu_backward_loop(dy.ravel(), y.ravel(), dx.ravel())
    return dx


@jit
def relu_backward_loop(dy, y, dx):
    zero = dy.dtype.type(0)
    for k in range(dy.size):
        dx[k] = dy[k] if y[k] > zero else zero


def gelu(x: Array) -> Array:
    y = np.empty(x.shape, x.dtype)
    _gelu(x.ravel(), y.ravel())
    return y


@jit
def _gelu(x, y):
    number = x.dtype.type
    root, half = number(math.sqrt(1 / 2)), number(1 / 2)
    for k in range(x.size):
        y[k] = x[k] * (1 + math.erf(x[k] * root)) * half


def gelu_backward(dy: Array, x: Array) -> Array:
    dx = np.empty(x.shape, x.dtype)
    _gelu_backward(dy.ravel(), x.ravel(), dx.ravel())
    return dx


@jit
def _gelu_backward(dy, x, dx):
    number = x.dtype.type
    root, half, top = number(math.sqrt(1 / 2)), number(1 / 2), number(math.sqrt(1 / (2 * math.pi)))
    for k in range(x.size):
        density = top * math.exp(-x[k] * x[k] * half)
        dx[k] = dy[k] * ((1 + math.erf(x[k] * root)) * half + x[k] * density)


def dropout(x: Array, rate: float, key: tuple[int, int], first: int = 0) -> tuple[Array, Array]:
    y, mask = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    words = np.uint32(key[0]), np.uint32(key[1])
    _dropout(x.ravel(), y.ravel(), mask.ravel(), words, first, threshold(rate), x.dtype.type(1 / (1 - rate)))
    return y, mask


def threshold(rate: float) -> np.uint32:
    """Return the limit below which 32 random bits mean that a number is dropped.

    A 32-bit limit halves the time of the loop, but cannot express a rate of 1.
    """
    return np.uint32(min(round(rate * 2**32), 2**32 - 1))


@jit
def _dropout(x, y, mask, key, first, threshold, scale):
    zero = x.dtype.type(0)
    for k in range(x.size):
        kept = scale if random_bits(first + k, key) >= threshold else zero
        mask[k] = kept
        y[k] = x[k] * kept


@inner
def total(row):
    result = row.dtype.type(0)
    for k in range(row.size):
        result += row[k]
    return result


@inner
def random_bits(k, key):
    """`rng.random_bits` at position k"""
    word = np.uint32
    bits = word(k) ^ key[0]
    bits = word((bits ^ (bits >> word(16))) * word(0x7FEB352D) + key[1])
    bits = word((bits ^ (bits >> word(15))) * word(0x846CA68B))
    return bits ^ (bits >> word(16))


def softmax_cross_entropy(z: Array, t: Array) -> tuple[Array, Array]:
    if z.ndim != 2:
        return functions.softmax_cross_entropy(z, t)
    p, loss = np.empty(z.shape, z.dtype), np.empty((), z.dtype)
    _softmax_cross_entropy(z, t, p, loss)
    return loss, p


@jit
def _softmax_cross_entropy(z, t, p, loss):
    total = 0.0
    for n in range(z.shape[0]):
        z_row, t_row, p_row = z[n], t[n], p[n]
        top = z_row.max()
        sum_e, sum_tz = z.dtype.type(0), z.dtype.type(0)
        for k in range(z_row.size):
            shifted = z_row[k] - top
            p_row[k] = np.exp(shifted)
            sum_e += p_row[k]
            sum_tz += t_row[k] * shifted
        for k in range(z_row.size):
            p_row[k] /= sum_e
        total += np.log(sum_e) - sum_tz
    loss[()] = total / z.shape[0]


def count_correct(z: Array, t: Array) -> Array:
    return _count_correct(z, t) if z.ndim == 2 else functions.count_correct(z, t)


@jit
def _count_correct(z, t):
    correct = 0
    for n in range(z.shape[0]):
        correct += z[n].argmax() == t[n].argmax()
    return correct


@jit
def sgd(theta: Array, grad: Array, velocity: Array, lr: float, momentum: float, nesterov: bool) -> None:
    number = theta.dtype.type
    step, mu = number(lr), number(momentum)
    for k in range(theta.size):
        velocity[k] = mu * velocity[k] + grad[k]
        theta[k] -= step * (grad[k] + mu * velocity[k] if nesterov else velocity[k])


def adam(
    theta: Array, grad: Array, m: Array, v: Array, step: int, lr: float, beta1: float, beta2: float, eps: float
) -> None:
    root = (1 - beta2**step) ** 0.5
    adam_loop(theta, grad, m, v, lr / (1 - beta1**step) * root, beta1, beta2, eps * root)


@jit
def adam_loop(theta, grad, m, v, lr, beta1, beta2, eps):
    number = theta.dtype.type
    rate, keep_m, keep_v, new_m, new_v = number(lr), number(beta1), number(beta2), number(1 - beta1), number(1 - beta2)
    eps, tiny, zero = number(eps), number(TINY), number(0)
    for k in range(theta.size):
        g = grad[k]
        m_k = keep_m * m[k] + new_m * g
        v_k = keep_v * v[k] + new_v * g * g
        m_k = zero if abs(m_k) < tiny else m_k
        v_k = zero if v_k < tiny else v_k
        m[k] = m_k
        v[k] = v_k
        theta[k] -= rate * m_k / (np.sqrt(v_k) + eps)


@jit
def rmsprop(theta: Array, grad: Array, v: Array, lr: float, rho: float, eps: float) -> None:
    number = theta.dtype.type
    rate, keep, new, eps, tiny, zero = number(lr), number(rho), number(1 - rho), number(eps), number(TINY), number(0)
    for k in range(theta.size):
        g = grad[k]
        v_k = keep * v[k] + new * g * g
        v_k = zero if v_k < tiny else v_k
        v[k] = v_k
        theta[k] -= rate * g / (np.sqrt(v_k) + eps)


@jit
def clip_norm(grad: Array, largest: float) -> None:
    size = 0.0
    for k in range(grad.size):
        size = max(size, abs(np.float64(grad[k])))
    if size == 0:
        return
    total = 0.0
    for k in range(grad.size):
        part = np.float64(grad[k]) / size
        total += part * part
    norm = size * total**0.5
    if norm <= largest:
        return
    factor = grad.dtype.type(largest / norm)
    for k in range(grad.size):
        grad[k] *= factor


def gather(x: Array, index: Array, dtype: Any) -> Array:
    if x.ndim != 2 or x.dtype not in (np.uint8, dtype):
        return functions.gather(x, index, dtype)
    y = np.empty((len(index), x.shape[1]), dtype)
    _gather(x, index, y, y.dtype.type(1 / 255 if x.dtype == np.uint8 else 1))
    return y


@jit
def _gather(x, index, y, scale):
    for n in range(index.size):
        x_row, y_row = x[index[n]], y[n]
        for d in range(y_row.size):
            y_row[d] = y.dtype.type(x_row[d]) * scale
