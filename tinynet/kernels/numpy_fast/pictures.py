"""Functions for pictures, a few pictures at a time so that temporary arrays stay in the cache; pooling without patches.

The rows of a padded picture follow each other as one long row of numbers, and one tap of all patches is a shifted view
of it. So patches are unrolled by copying long views. Results that mix the end of a row with the next are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import functions
from ...arrays import Array, positions
from .. import PIXELS

AT_ONCE = 2**17
"""Most numbers of the pictures taken at once, or of their unrolled patches, unless one picture has more."""


def conv2d(x: Array, W: Array, b: Array, stride: int, padding: int) -> Array:
    if x.ndim != 4 or stride != 1:
        return functions.conv2d(x, W, b, stride, padding)
    M, C, size, _ = W.shape
    y = np.empty((len(x), M, *positions(x.shape, size, 1, padding)), x.dtype)
    weights = W.transpose(2, 0, 1, 3).reshape(size, M, C * size)
    for few, patches in _patches(x, M, size, padding):
        total = weights[0] @ patches[0]
        for p in range(1, size):
            total += weights[p] @ patches[p]
        np.add(total.reshape(*y[few].shape[:3], -1)[..., : y.shape[-1]], b, out=y[few])
    return y


def conv2d_backward(dy: Array, W: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """The convolution of dy with W rotated by 180 degrees, its input and output channels exchanged."""
    dy_padding = W.shape[-1] - 1 - padding
    if dy.ndim != 4 or stride != 1 or dy_padding < 0:
        return functions.conv2d_backward(dy, W, shape, stride, padding)
    return conv2d(dy, W[..., ::-1, ::-1].swapaxes(0, 1), np.zeros((shape[1], 1, 1), dy.dtype), 1, dy_padding)


def conv2d_backward_parameters(dy: Array, x: Array, dW: Array, db: Array, stride: int, padding: int) -> None:
    """dW^T = patches dy^T: BLAS takes half as long for this product as for its transpose"""
    if x.ndim != 4 or stride != 1:
        return functions.conv2d_backward_parameters(dy, x, dW, db, stride, padding)
    M, C, size, _ = dW.shape
    total = np.zeros((size, C * size, M), dW.dtype)
    for few, patches in _patches(x, M, size, padding):
        rows = np.zeros((*dy[few].shape[:3], x.shape[-1] + 2 * padding), dy.dtype)
        rows[..., : dy.shape[-1]] = dy[few]
        for p in range(size):
            total[p] += (patches[p] @ rows.reshape(len(rows), M, -1).mT).sum(axis=0)
    dW[...] = total.reshape(size, C, size, M).transpose(3, 1, 0, 2)
    db[...] = dy.sum(axis=(0, 2, 3))[:, None, None]


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float) -> Array:
    if not _are_channels(x, gamma, PIXELS):
        return functions.batch_norm(x, gamma, beta, mean, variance, eps)
    y, slope = np.empty_like(x), gamma / np.sqrt(variance + eps)
    for few in _few(x):
        centered = x[few] - mean
        centered *= slope
        np.add(centered, beta, out=y[few])
    return y


def batch_norm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    if not _are_channels(x, gamma, PIXELS):
        return functions.batch_norm_backward(dy, x, gamma, mean, variance, eps, dgamma, dbeta)
    dx, n, slope = np.empty_like(x), x.size // dgamma.size, 1 / np.sqrt(variance + eps)
    for few in _few(x):
        part = mean - x[few]
        part *= slope * dgamma / n
        part += dy[few]
        part -= dbeta / n
        np.multiply(part, gamma * slope, out=dx[few])
    return dx


def batch_norm_backward_parameters(
    dy: Array, x: Array, mean: Array, variance: Array, eps: float, axes: tuple[int, ...], dgamma: Array, dbeta: Array
) -> None:
    if not _are_channels(x, mean, axes):
        return functions.batch_norm_backward_parameters(dy, x, mean, variance, eps, axes, dgamma, dbeta)
    products = np.empty(x.shape[:2], x.dtype)
    for few in _few(x):
        products[few] = np.einsum("nchw,nchw->nc", dy[few], x[few] - mean)
    dgamma[...] = products.sum(axis=0)[:, None, None] / np.sqrt(variance + eps)
    dy.sum(axis=axes, keepdims=True, out=dbeta)


def max_pool2d(x: Array, size: int) -> Array:
    y, *others = (x[index] for index in _same_position(x, size))
    y = y.copy()
    for other in others:
        np.maximum(y, other, out=y)
    return y


def max_pool2d_backward(dy: Array, x: Array, size: int) -> Array:
    y, dx = max_pool2d(x, size), np.zeros_like(x)
    if np.isnan(y).any():
        return functions.max_pool2d_backward(dy, x, size)
    not_found = np.ones(y.shape, bool)
    for index in _same_position(x, size):
        is_largest = (x[index] == y) & not_found
        np.multiply(dy, is_largest, out=dx[index])
        not_found &= ~is_largest
    return dx


def _patches(x: Array, M: int, size: int, padding: int) -> Iterator[tuple[slice, list[Array]]]:
    """Yield the slice of a few pictures, and row p of all their patches for each p        (few, C size, I width)

    Row p + 1 is a view that starts one row of the picture after row p, so only the columns of patches are unrolled.
    """
    N, C, rows, columns = x.shape
    width, down = columns + 2 * padding, rows + 2 * padding - size + 1
    count = max(1, min(N, AT_ONCE // (max(C * size, M) * width * (rows + 2 * padding))))
    padded = np.zeros((count, C, rows + 2 * padding, width), x.dtype)
    flat = padded.reshape(count, C, -1)
    unrolled = np.zeros((count, C, size, flat.shape[-1]), x.dtype)
    for start in range(0, N, count):
        few = slice(start, min(start + count, N))
        pictures = few.stop - start
        padded[:pictures, ..., padding : padding + rows, padding : padding + columns] = x[few]
        for q in range(size):
            unrolled[..., q, : flat.shape[-1] - q] = flat[..., q:]
        lines = unrolled[:pictures].reshape(pictures, C * size, -1)
        yield few, [lines[..., p * width : (p + down) * width] for p in range(size)]


def _are_channels(x: Array, channels: Array, axes: tuple[int, ...]) -> bool:
    return x.ndim == channels.ndim == 4 and axes == PIXELS and x.size > 0


def _few(x: Array) -> list[slice]:
    """Return slices of a few pictures each."""
    count = max(1, AT_ONCE // x[0].size)
    return [slice(start, start + count) for start in range(0, len(x), count)]


def _same_position(x: Array, size: int) -> Iterator[tuple[Any, ...]]:
    """Yield the index of the first numbers of all patches, of the second, and so on."""
    down, across = positions(x.shape, size, size, 0)
    for p in range(size):
        for q in range(size):
            yield ..., slice(p, p + size * down, size), slice(q, q + size * across, size)
