"""Convolutions of a few pictures at a time, so that their windows stay in the cache, and pools without windows.

The rows of a picture, with its zeros around it, follow each other as one long row of numbers; a tap of all windows is
a piece of it, shifted. So windows are unrolled by copying long pieces. What stands across the ends of rows is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import functions
from ...arrays import Array, positions

TOGETHER = 2**20
"""Numbers in unrolled windows, at most, unless one picture has more."""


def conv2d(x: Array, W: Array, b: Array, stride: int, padding: int) -> Array:
    if x.ndim != 4 or stride != 1:
        return functions.conv2d(x, W, b, stride, padding)
    M, _, size, _ = W.shape
    y = np.empty((len(x), M, *positions(x.shape, size, 1, padding)), x.dtype)
    for few in _few(x, size, padding):
        rows = W.reshape(M, -1) @ _taps(x[few], size, padding)
        y[few] = rows.reshape(*y[few].shape[:3], -1)[..., : y.shape[-1]]
    y += b
    return y


def conv2d_backward(dy: Array, W: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """A convolution of dy, with W upside down and its channels in and out exchanged."""
    more = W.shape[-1] - 1 - padding
    if dy.ndim != 4 or stride != 1 or more < 0:
        return functions.conv2d_backward(dy, W, shape, stride, padding)
    return conv2d(dy, W[..., ::-1, ::-1].swapaxes(0, 1), np.zeros((shape[1], 1, 1), dy.dtype), 1, more)


def conv2d_backward_parameters(dy: Array, x: Array, dW: Array, db: Array, stride: int, padding: int) -> None:
    if x.ndim != 4 or stride != 1:
        return functions.conv2d_backward_parameters(dy, x, dW, db, stride, padding)
    M, _, size, _ = dW.shape
    total = np.zeros((M, dW[0].size), dW.dtype)
    for few in _few(x, size, padding):
        rows = np.zeros((*dy[few].shape[:3], x.shape[-1] + 2 * padding), dy.dtype)
        rows[..., : dy.shape[-1]] = dy[few]
        total += (rows.reshape(len(rows), M, -1) @ _taps(x[few], size, padding).mT).sum(axis=0)
    dW[...] = total.reshape(dW.shape)
    db[...] = dy.sum(axis=(0, 2, 3))[:, None, None]


def max_pool2d(x: Array, size: int) -> Array:
    y, *others = (x[window] for window in _side_by_side(x, size))
    y = y.copy()
    for other in others:
        np.maximum(y, other, out=y)
    return y


def max_pool2d_backward(dy: Array, x: Array, size: int) -> Array:
    y, dx = max_pool2d(x, size), np.zeros_like(x)
    waiting = np.ones(y.shape, bool)
    for window in _side_by_side(x, size):
        is_largest = (x[window] == y) & waiting
        np.multiply(dy, is_largest, out=dx[window])
        waiting &= ~is_largest
    return dx


def _few(x: Array, size: int, padding: int) -> Iterator[slice]:
    """Places of pictures whose windows are unrolled together."""
    numbers = x[0].size * size**2 * (1 + 2 * padding / x.shape[-1])
    count = max(1, int(TOGETHER / numbers))
    return (slice(start, start + count) for start in range(0, len(x), count))


def _taps(x: Array, size: int, padding: int) -> Array:
    """All windows, unrolled as by `functions.windows`, and some more between rows        -> (N, C size^2, I width)"""
    N, C, rows, columns = x.shape
    width, down = columns + 2 * padding, rows + 2 * padding - size + 1
    around = np.zeros((N, C, rows + 2 * padding + 1, width), x.dtype)
    around[..., padding : padding + rows, padding : padding + columns] = x
    flat, y = around.reshape(N, C, -1), np.empty((N, C, size, size, down * width), x.dtype)
    for p in range(size):
        for q in range(size):
            y[:, :, p, q] = flat[..., p * width + q : p * width + q + down * width]
    return y.reshape(N, C * size**2, -1)


def _side_by_side(x: Array, size: int) -> Iterator[tuple[Any, ...]]:
    """The places of the first numbers of all windows, of the second, and so on."""
    down, across = positions(x.shape, size, size, 0)
    for p in range(size):
        for q in range(size):
            yield ..., slice(p, p + size * down, size), slice(q, q + size * across, size)
