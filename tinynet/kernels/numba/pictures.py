"""Normalization, pooling and ReLU of pictures, on threads. Arrays that are not covered go to `functions.py`."""

from __future__ import annotations

import numpy as np

from ... import functions
from ...arrays import Array, positions
from .. import PIXELS
from . import functions as rows
from .functions import inner, jit
from .memory import empty
from .thread_pool import own_rows, parallel_for


def relu(x: Array) -> Array:
    if x.ndim != 4:
        return rows.relu(x)
    x, y = np.ascontiguousarray(x), empty(x.shape, x.dtype)
    parallel_for(_relu, x.reshape(len(x), -1), y.reshape(len(x), -1))
    return y


def relu_backward(dy: Array, y: Array) -> Array:
    if dy.ndim != 4:
        return rows.relu_backward(dy, y)
    dy, y, dx = np.ascontiguousarray(dy), np.ascontiguousarray(y), empty(dy.shape, dy.dtype)
    parallel_for(_relu_backward, *(array.reshape(len(dy), -1) for array in (dy, y, dx)))
    return dx


def max_pool2d(x: Array, size: int) -> Array:
    if x.ndim != 4 or size != 2:
        return functions.max_pool2d(x, size)
    x, y = np.ascontiguousarray(x), empty((*x.shape[:2], *positions(x.shape, size, size, 0)), x.dtype)
    parallel_for(_max_pool2d, x, y)
    return y


def max_pool2d_backward(dy: Array, x: Array, size: int) -> Array:
    if x.ndim != 4 or size != 2:
        return functions.max_pool2d_backward(dy, x, size)
    dy, x, dx = np.ascontiguousarray(dy), np.ascontiguousarray(x), empty(x.shape, x.dtype)
    if x.shape[2] % 2 or x.shape[3] % 2:
        dx[...] = 0
    parallel_for(_max_pool2d_backward, dy, x, dx)
    return dx


def moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """The moments of each picture n first, then mean = mean of mean_n, var = mean of (var_n + (mean_n - mean)^2)"""
    if not _are_channels(x, axes):
        return functions.moments(x, axes)
    x, means, variances = np.ascontiguousarray(x), np.empty(x.shape[:2]), np.empty(x.shape[:2])
    parallel_for(_moments, x, means, variances)
    mean = means.mean(axis=0)
    variance = (variances + (means - mean) ** 2).mean(axis=0)
    return _along_channels(mean, x), _along_channels(variance, x)


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float) -> Array:
    if not (_are_channels(x, PIXELS) and gamma.ndim == 4):
        return functions.batch_norm(x, gamma, beta, mean, variance, eps)
    x, y = np.ascontiguousarray(x), empty(x.shape, x.dtype)
    slope = (gamma / np.sqrt(variance + eps)).ravel()
    parallel_for(_batch_norm, x, y, slope, mean.ravel(), beta.ravel())
    return y


def batch_norm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    if not (_are_channels(x, PIXELS) and gamma.ndim == 4):
        return functions.batch_norm_backward(dy, x, gamma, mean, variance, eps, dgamma, dbeta)
    dy, x, dx, n = np.ascontiguousarray(dy), np.ascontiguousarray(x), empty(x.shape, x.dtype), x.size // gamma.size
    precision = 1 / np.sqrt(variance + eps)
    channels = (vector.ravel() for vector in (mean, gamma * precision, dbeta / n, dgamma * precision / n))
    parallel_for(_batch_norm_backward, dy, x, dx, *channels)
    return dx


def batch_norm_backward_parameters(
    dy: Array, x: Array, mean: Array, variance: Array, eps: float, axes: tuple[int, ...], dgamma: Array, dbeta: Array
) -> None:
    if not (_are_channels(x, axes) and mean.ndim == 4):
        return functions.batch_norm_backward_parameters(dy, x, mean, variance, eps, axes, dgamma, dbeta)
    sums, products = np.empty(x.shape[:2]), np.empty(x.shape[:2])
    dy, x = np.ascontiguousarray(dy), np.ascontiguousarray(x)
    parallel_for(_sums_of_pictures, dy, x, mean.ravel(), sums, products)
    dbeta[...] = _along_channels(sums.sum(axis=0), x)
    dgamma[...] = _along_channels(products.sum(axis=0), x) / np.sqrt(variance + eps)


def _are_channels(x: Array, axes: tuple[int, ...]) -> bool:
    return x.ndim == 4 and axes == PIXELS and x.shape[1] > 0


def _along_channels(numbers: np.ndarray, x: Array) -> Array:
    return numbers.astype(x.dtype).reshape(1, -1, 1, 1)


@jit
def _relu(x, y, call):
    for n in own_rows(len(x), call):
        rows.relu_loop(x[n], y[n])


@jit
def _relu_backward(dy, y, dx, call):
    for n in own_rows(len(y), call):
        rows.relu_backward_loop(dy[n], y[n], dx[n])


@jit
def _max_pool2d(x, y, call):
    for n in own_rows(len(x), call):
        for c in range(y.shape[1]):
            for i in range(y.shape[2]):
                upper, lower, out = x[n, c, 2 * i], x[n, c, 2 * i + 1], y[n, c, i]
                for j in range(out.size):
                    above, below = _larger(upper[2 * j], upper[2 * j + 1]), _larger(lower[2 * j], lower[2 * j + 1])
                    out[j] = _larger(above, below)


@inner
def _larger(a, b):
    return a if _first_wins(a, b) else b


@inner
def _first_wins(a, b):
    """Return True if a >= b or a is NaN: the first of equal numbers wins."""
    return (a >= b) | (a != a)


@jit
def _max_pool2d_backward(dy, x, dx, call):
    zero = dy.dtype.type(0)
    for n in own_rows(len(x), call):
        for c in range(dy.shape[1]):
            for i in range(dy.shape[2]):
                dy_row, upper, lower = dy[n, c, i], x[n, c, 2 * i], x[n, c, 2 * i + 1]
                dx_upper, dx_lower = dx[n, c, 2 * i], dx[n, c, 2 * i + 1]
                for j in range(dy_row.size):
                    left, right, dy_j = 2 * j, 2 * j + 1, dy_row[j]
                    a, b, c_, d = upper[left], upper[right], lower[left], lower[right]
                    upper_wins = _first_wins(_larger(a, b), _larger(c_, d))
                    above, below = _routed(dy_j, upper_wins, zero)
                    dx_upper[left], dx_upper[right] = _routed(above, _first_wins(a, b), zero)
                    dx_lower[left], dx_lower[right] = _routed(below, _first_wins(c_, d), zero)


@inner
def _routed(dy, first_wins, zero):
    """Return the gradients of two numbers: that of the maximum is dy."""
    return dy if first_wins else zero, zero if first_wins else dy


@jit
def _moments(x, means, variances, call):
    for n in own_rows(len(x), call):
        for c in range(x.shape[1]):
            picture = x[n, c].reshape(-1)
            mean, squares = rows.total(picture) / x.dtype.type(picture.size), x.dtype.type(0)
            for k in range(picture.size):
                squares += (picture[k] - mean) ** 2
            means[n, c], variances[n, c] = mean, squares / x.dtype.type(picture.size)


@jit
def _batch_norm(x, y, slope, mean, beta, call):
    for n in own_rows(len(x), call):
        for c in range(x.shape[1]):
            picture, out = x[n, c].reshape(-1), y[n, c].reshape(-1)
            a, m, b = slope[c], mean[c], beta[c]
            for k in range(picture.size):
                out[k] = a * (picture[k] - m) + b


@jit
def _sums_of_pictures(dy, x, mean, sums, products, call):
    for n in own_rows(len(x), call):
        for c in range(x.shape[1]):
            picture, dy_picture, m = x[n, c].reshape(-1), dy[n, c].reshape(-1), mean[c]
            total, product = x.dtype.type(0), x.dtype.type(0)
            for k in range(picture.size):
                total += dy_picture[k]
                product += dy_picture[k] * (picture[k] - m)
            sums[n, c], products[n, c] = total, product


@jit
def _batch_norm_backward(dy, x, dx, mean, scale, dy_mean, slope, call):
    for n in own_rows(len(x), call):
        for c in range(x.shape[1]):
            picture, dy_picture, out = x[n, c].reshape(-1), dy[n, c].reshape(-1), dx[n, c].reshape(-1)
            a, m, shift, tilt = scale[c], mean[c], dy_mean[c], slope[c]
            for k in range(picture.size):
                out[k] = a * (dy_picture[k] - shift - (picture[k] - m) * tilt)
