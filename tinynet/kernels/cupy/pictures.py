"""The functions for pictures as CUDA kernels. Arrays that are not covered go to `functions.py`.

Covered are pictures (N, C, rows, columns), and vectors of one number for each channel (1, C, 1, 1).
"""

from __future__ import annotations

import math

import cupy
import numpy as np

from ... import functions
from ...arrays import Array, positions
from .. import PIXELS
from .device import launch, launch_blocks
from .functions import _are_contiguous, _contiguous

TOO_LARGE = 2**30
"""Arrays must have fewer numbers, so that an int can count them."""

OUTPUTS, PIXELS_AT_ONCE, TILE, THREADS, MAX_THREADS = 8, 4, 4, 256, 1024
"""Work of a thread or a block, as in pictures.cu."""


def conv2d(x: Array, W: Array, b: Array, stride: int, padding: int) -> Array:
    y_shape = len(x), len(W), *positions(x.shape, W.shape[-1], stride, padding)
    if not (_are_pictures(x, W, b) and math.prod(y_shape) < TOO_LARGE):
        return functions.conv2d(x, W, b, stride, padding)
    y = cupy.empty(y_shape, x.dtype)
    arrays, sizes = map(_contiguous, (x, W, b)), _sizes(x.shape, y_shape, W.shape[-1], stride, padding)
    launch("conv2d", x.dtype, _threads(y_shape), *arrays, y, *sizes)
    return y


def conv2d_backward(dy: Array, W: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    if not (_are_pictures(dy, W) and math.prod(shape) < TOO_LARGE):
        return functions.conv2d_backward(dy, W, shape, stride, padding)
    dx = cupy.empty(shape, dy.dtype)
    sizes = _sizes(shape, dy.shape, W.shape[-1], stride, padding)
    launch("conv2d_backward", dy.dtype, _threads(shape), _contiguous(dy), _contiguous(W), dx, *sizes)
    return dx


def conv2d_backward_parameters(dy: Array, x: Array, dW: Array, db: Array, stride: int, padding: int) -> None:
    if not (_are_pictures(x, dy, dW, db) and _are_contiguous(dW, db)):
        return functions.conv2d_backward_parameters(dy, x, dW, db, stride, padding)
    M, C, size, _ = dW.shape
    dy, x = _contiguous(dy), _contiguous(x)
    blocks = -(-M // TILE) * -(-C // TILE) * size**2
    sizes = _sizes(x.shape, dy.shape, size, stride, padding)
    launch_blocks("conv2d_backward_weights", x.dtype, blocks, THREADS, dy, x, dW, np.int32(len(x)), *sizes)
    launch_blocks("channel_sums", x.dtype, M, MAX_THREADS, dy, db, *_channels(dy))


def max_pool2d(x: Array, size: int) -> Array:
    if not _are_pictures(x):
        return functions.max_pool2d(x, size)
    return _pooled("max_pool2d", x, size)


def max_pool2d_backward(dy: Array, x: Array, size: int) -> Array:
    if not _are_pictures(x, dy):
        return functions.max_pool2d_backward(dy, x, size)
    return _pooled_backward("max_pool2d_backward", (dy, x), x.shape, size)


def average_pool2d(x: Array, size: int) -> Array:
    if not _are_pictures(x):
        return functions.average_pool2d(x, size)
    return _pooled("average_pool2d", x, size)


def average_pool2d_backward(dy: Array, shape: tuple[int, ...], size: int) -> Array:
    if not (_are_pictures(dy) and math.prod(shape) < TOO_LARGE):
        return functions.average_pool2d_backward(dy, shape, size)
    return _pooled_backward("average_pool2d_backward", (dy,), shape, size)


def moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    if not (_are_pictures(x) and axes == PIXELS):
        return functions.moments(x, axes)
    mean, variance = (cupy.empty((1, x.shape[1], 1, 1), x.dtype) for _ in range(2))
    launch_blocks("moments", x.dtype, x.shape[1], MAX_THREADS, _contiguous(x), mean, variance, *_channels(x))
    return mean, variance


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float) -> Array:
    vectors = gamma, beta, mean, variance
    if not (_are_pictures(x) and _are_channels(x, *vectors)):
        return functions.batch_norm(x, gamma, beta, mean, variance, eps)
    y = cupy.empty(x.shape, x.dtype)
    arrays = map(_contiguous, (x, *vectors))
    launch("batch_norm", x.dtype, x.size, *arrays, y, *_channels(x)[:2], x.dtype.type(eps))
    return y


def batch_norm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    vectors = gamma, mean, variance, dgamma, dbeta
    if not (_are_pictures(x, dy) and _are_channels(x, *vectors)):
        return functions.batch_norm_backward(dy, x, gamma, mean, variance, eps, dgamma, dbeta)
    dx = cupy.empty(x.shape, x.dtype)
    arrays = map(_contiguous, (dy, x, *vectors))
    launch("batch_norm_backward", x.dtype, x.size, *arrays, dx, *_channels(x), x.dtype.type(eps))
    return dx


def batch_norm_backward_parameters(
    dy: Array, x: Array, mean: Array, variance: Array, eps: float, axes: tuple[int, ...], dgamma: Array, dbeta: Array
) -> None:
    are_covered = _are_pictures(x, dy) and _are_channels(x, mean, variance, dgamma, dbeta) and axes == PIXELS
    if not (are_covered and _are_contiguous(dgamma, dbeta)):
        return functions.batch_norm_backward_parameters(dy, x, mean, variance, eps, axes, dgamma, dbeta)
    arrays = *map(_contiguous, (dy, x, mean, variance)), dgamma, dbeta
    launch_blocks("batch_norm_sums", x.dtype, x.shape[1], MAX_THREADS, *arrays, *_channels(x), x.dtype.type(eps))


def _are_pictures(x: Array, *others: Array) -> bool:
    """Return True if the kernels cover them: floats of one dtype, and sizes that fit an int."""
    same_dtype = x.dtype.char in "fd" and all(array.dtype == x.dtype for array in others)
    return x.ndim == 4 and same_dtype and all(0 < array.size < TOO_LARGE for array in (x, *others))


def _are_channels(x: Array, *vectors: Array) -> bool:
    return all(vector.shape == (1, x.shape[1], 1, 1) and vector.dtype == x.dtype for vector in vectors)


def _channels(x: Array) -> tuple[np.int32, np.int32, np.int32]:
    """Return the number of channels, the pixels of a channel in one picture, and those in all pictures."""
    N, C, rows, columns = x.shape
    return np.int32(C), np.int32(rows * columns), np.int32(N * rows * columns)


def _sizes(x_shape: tuple[int, ...], y_shape: tuple[int, ...], *patch: int) -> list[np.int32]:
    """Return C, M, rows and columns of x and of y, and the numbers that describe the patch, as int32."""
    return [np.int32(number) for number in (x_shape[1], y_shape[1], *x_shape[2:], *y_shape[2:], *patch)]


def _threads(shape: tuple[int, ...]) -> int:
    """Return how many threads compute a convolution whose result has that shape."""
    return shape[0] * -(-shape[1] // OUTPUTS) * -(-shape[2] * shape[3] // PIXELS_AT_ONCE)


def _pooled(kernel: str, x: Array, size: int) -> Array:
    y = cupy.empty((*x.shape[:2], *positions(x.shape, size, size, 0)), x.dtype)
    launch(kernel, x.dtype, y.size, _contiguous(x), y, *map(np.int32, (*x.shape[2:], *y.shape[2:], size)))
    return y


def _pooled_backward(kernel: str, arrays: tuple[Array, ...], shape: tuple[int, ...], size: int) -> Array:
    dy = arrays[0]
    dx = cupy.empty(shape, dy.dtype)
    sizes = map(np.int32, (*shape[2:], *dy.shape[2:], size))
    launch(kernel, dy.dtype, dx.size, *map(_contiguous, arrays), dx, *sizes)
    return dx
