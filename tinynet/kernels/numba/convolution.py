"""Convolutions without unrolled patches: each tap of a patch is a shift of the picture, as one long row of numbers.

    y[m, f] = sum over taps t of W[m, t] x[f + shift_t]        f = i width + j, on a picture with its zeros around it

So vectors run on across the ends of rows; what they compute there is left out. With a stride s a picture becomes s^2
pictures, of every s-th row and column, between which the taps choose. Pictures are shared out among threads. Patches of
3 x 3 have a faster way, in winograd.py.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ... import functions
from ...arrays import Array, positions
from . import winograd
from .functions import inner, jit, total
from .intrinsics import LANES, OUTPUTS, ROWS, STEP, TAPS, convolve, copy, correlate
from .memory import empty
from .threads import PARTS, in_parts, parts, shared

GROUP = 4
"""Pictures whose gradients are summed in registers: as many as stay in the cache."""


def conv2d(x: Array, W: Array, b: Array, stride: int, padding: int) -> Array:
    if not _is_covered(x, W):
        return functions.conv2d(x, W, b, stride, padding)
    if winograd.suits(x.shape, W, stride, padding):
        return winograd.conv2d(x, W, b, padding)
    size = W.shape[-1]
    y = empty((len(x), len(W), *positions(x.shape, size, stride, padding)), np.float32)
    place, shifts = _places(y.shape[2:], x.shape[1], size, stride)
    weights, x, b = _packed(W), np.ascontiguousarray(x), np.ascontiguousarray(b.reshape(-1))
    in_parts(_convolve, x, weights, b, y, shifts[: W[0].size], (*place, padding, stride, 1))
    return y


def conv2d_backward(dy: Array, W: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """A convolution too: of dy, with stride - 1 zeros between its numbers, with W upside down."""
    size = W.shape[-1]
    if not _is_covered(dy, W) or padding >= size:
        return functions.conv2d_backward(dy, W, shape, stride, padding)
    turned, no_bias = W[..., ::-1, ::-1].swapaxes(0, 1), np.zeros(shape[1], np.float32)
    if winograd.suits(dy.shape, turned, stride, size - 1 - padding):
        return winograd.conv2d(dy, turned, no_bias, size - 1 - padding)
    dx = empty(shape, np.float32)
    place, shifts = _places(shape[2:], len(W), size, 1)
    weights, dy = _packed(turned), np.ascontiguousarray(dy)
    in_parts(_convolve, dy, weights, no_bias, dx, shifts[: W[:, 0].size], (*place, size - 1 - padding, 1, stride))
    return dx


def conv2d_backward_parameters(dy: Array, x: Array, dW: Array, db: Array, stride: int, padding: int) -> None:
    if not (_is_covered(x, dW) and dy.dtype == np.float32):
        return functions.conv2d_backward_parameters(dy, x, dW, db, stride, padding)
    if winograd.suits(x.shape, dW, stride, padding):
        return winograd.conv2d_backward_parameters(dy, x, dW, db, padding)
    M, C, size, _ = dW.shape
    place, shifts = _places(dy.shape[2:], C, size, stride)
    sums = np.zeros((PARTS, M + -M % ROWS, len(shifts)), np.float32)
    bias_sums = np.zeros((PARTS, M), np.float32)
    dy, x = np.ascontiguousarray(dy), np.ascontiguousarray(x)
    in_parts(_correlate, dy, x, sums, bias_sums, shifts, (*place, padding, stride, 1))
    dW[...] = sums.sum(axis=0)[:M, : dW[0].size].reshape(dW.shape)
    db[...] = bias_sums.sum(axis=0).reshape(db.shape)


def _is_covered(x: Array, W: Array) -> bool:
    return x.ndim == 4 and x.dtype == W.dtype == np.float32


@cache
def _places(y_pixels: tuple[int, ...], channels: int, size: int, stride: int) -> tuple[tuple[int, int], np.ndarray]:
    """Rows and columns of a picture with its zeros, of which y comes; the shift of each tap, and 0 up to whole TAPS."""
    more = (size - 1) // stride
    rows, columns = y_pixels[0] + more, y_pixels[1] + more
    c, p, q = np.ogrid[:channels, :size, :size]
    picture = (p % stride * stride + q % stride) * channels + c
    shifts = ((picture * rows + p // stride) * columns + q // stride).ravel()
    return (rows, columns), np.pad(shifts, (0, -shifts.size % TAPS))


def _packed(W: Array) -> np.ndarray:
    """W (M, C, size, size) as (M / OUTPUTS, taps, OUTPUTS): in the order in which a tile reads it."""
    matrix = np.zeros((len(W) + -len(W) % OUTPUTS, W[0].size), np.float32)
    matrix[: len(W)] = W.reshape(len(W), -1)
    return np.ascontiguousarray(matrix.reshape(-1, OUTPUTS, matrix.shape[1]).swapaxes(1, 2)).ravel()


@jit
def _convolve(x, weights, b, y, shifts, place, call):
    channels, (outputs, down, across) = x.shape[1], y.shape[1:]
    columns, stride = place[1], place[3]
    numbers, taps = _whole(down * columns, STEP), shifts.size
    padded = np.zeros(stride * stride * channels * place[0] * columns + 2 * STEP, np.float32)
    out = np.empty(_whole(outputs, OUTPUTS) * numbers, np.float32)
    for n in shared(len(x), call):
        _fill(x[n], padded, place)
        for m in range(0, outputs, OUTPUTS):
            for f in range(0, numbers, STEP):
                convolve(padded, f, shifts, taps, weights, m * taps, out, m * numbers + f, numbers)
        for m in range(outputs):
            bias = b[m]
            for i in range(down):
                row, line = y[n, m, i], out[m * numbers + i * columns :]
                for j in range(across):
                    row[j] = line[j] + bias


@jit
def _correlate(dy, x, sums, bias_sums, shifts, place, call):
    channels, outputs, down = x.shape[1], dy.shape[1], dy.shape[2]
    columns, stride = place[1], place[3]
    numbers, taps, rows = _whole(down * columns, LANES), shifts.size, _whole(outputs, ROWS)
    size = stride * stride * channels * place[0] * columns + 2 * STEP
    padded, slopes = np.zeros(GROUP * size, np.float32), np.zeros(GROUP * rows * numbers, np.float32)
    for part, first, last in parts(len(x), call):
        gradients = sums[part].reshape(-1)
        for begin in range(first, last, GROUP):
            pictures = min(GROUP, last - begin)
            for k in range(pictures):
                _fill(x[begin + k], padded[k * size :], place)
                _lay(dy[begin + k], slopes[k * rows * numbers :], numbers, columns, bias_sums[part])
            sizes = numbers // LANES, pictures, taps
            for m in range(0, outputs, ROWS):
                for t in range(0, taps, TAPS):
                    dy_at = m * numbers, numbers, rows * numbers
                    correlate(slopes, *dy_at, padded, 0, size, shifts, t, sizes, gradients, m * taps + t)


@inner
def _fill(picture, padded, place):
    """The picture's numbers, `gap` apart, where its zeros leave room: in stride^2 pictures, of rows and columns."""
    rows, columns, padding, stride, gap = place
    channels = picture.shape[0]
    for c in range(channels):
        for i in range(picture.shape[1]):
            r = padding + gap * i
            if r // stride >= rows:
                break
            row = picture[c, i]
            begin = ((r % stride * stride * channels + c) * rows + r // stride) * columns
            if stride == gap == 1:
                copy(row, padded, begin + padding, row.size)
            elif stride == 1:
                for j in range(row.size):
                    padded[begin + padding + gap * j] = row[j]
            else:
                for j in range(row.size):
                    k = padding + j
                    if k // stride < columns:
                        padded[begin + k % stride * channels * rows * columns + k // stride] = row[j]


@inner
def _lay(dy, slopes, numbers, columns, bias_sums):
    """dy in rows as long as those of x with its zeros, and added to the gradient of b."""
    for m in range(dy.shape[0]):
        for i in range(dy.shape[1]):
            copy(dy[m, i], slopes, m * numbers + i * columns, dy.shape[2])
        bias_sums[m] += total(dy[m].reshape(-1))


@inner
def _whole(number, step):
    """The number, rounded up to a multiple."""
    return (number + step - 1) // step * step
