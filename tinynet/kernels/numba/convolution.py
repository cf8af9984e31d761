"""Convolutions without unrolled patches: each tap of a patch is a shift of the picture, as one long row of numbers.

    y[m, f] = sum over taps t of W[m, t] x[f + shift_t]        f = i columns + j, on a picture padded with zeros

Vectors run across the ends of rows, and what they compute there is left out. With a stride s, a picture becomes s^2
pictures, each of every s-th row and column, and each tap belongs to one of them. Threads share the pictures. For 3 x 3
patches, winograd.py has a faster algorithm.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ... import functions
from ...arrays import Array, positions
from . import winograd
from .functions import inner, jit, total
from .intrinsics import LANES, OUTPUTS, ROWS, STEP, TAPS, convolve, copy, correlate
from .memory import empty
from .thread_pool import CHUNKS, own_chunks, own_rows, parallel_for

GROUP = 4
"""Pictures whose gradients are summed in registers: as many as fit the cache."""


class Layout(NamedTuple):
    """How a padded picture lies in memory: as stride^2 pictures of rows x columns.

    Numbers that are neighbors in the original picture are `gap` apart.
    """

    rows: int
    columns: int
    padding: int
    stride: int
    gap: int


def conv2d(x: Array, W: Array, b: Array, stride: int, padding: int) -> Array:
    if not _is_covered(x, W):
        return functions.conv2d(x, W, b, stride, padding)
    y = empty((len(x), len(W), *positions(x.shape, W.shape[-1], stride, padding)), np.float32)
    _compute(y, x, W, b, stride, padding)
    return y


def conv2d_backward(dy: Array, W: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """The convolution of dy, with stride - 1 zeros between its numbers, with W rotated by 180 degrees."""
    size = W.shape[-1]
    if not _is_covered(dy, W) or padding >= size:
        return functions.conv2d_backward(dy, W, shape, stride, padding)
    dx, rotated = empty(shape, np.float32), W[..., ::-1, ::-1].swapaxes(0, 1)
    _compute(dx, dy, rotated, np.zeros(shape[1], np.float32), 1, size - 1 - padding, gap=stride)
    return dx


def _compute(y: Array, x: Array, W: Array, b: Array, stride: int, padding: int, gap: int = 1) -> None:
    """Compute the convolution y of x with gap - 1 zeros between its numbers."""
    x, b, C, size = np.ascontiguousarray(x), np.ascontiguousarray(b.reshape(-1)), W.shape[1], W.shape[-1]
    if winograd.is_faster(x.shape, W, stride * gap, padding):
        tile_layout, shifts = winograd.layout_of(y.shape[2:], C, padding)
        parallel_for(winograd.convolve_pictures, x, winograd.packed(W), b, y, shifts[: C * size], tile_layout)
    else:
        layout, shifts = _layout(y.shape[2:], C, size, stride, padding, gap)
        parallel_for(_convolve, x, _packed(W), b, y, shifts[: C * size**2], layout)


def conv2d_backward_parameters(dy: Array, x: Array, dW: Array, db: Array, stride: int, padding: int) -> None:
    if not (_is_covered(x, dW) and dy.dtype == np.float32):
        return functions.conv2d_backward_parameters(dy, x, dW, db, stride, padding)
    M, C, size, _ = dW.shape
    rows, bias_sums = M + -M % ROWS, np.zeros((CHUNKS, M), np.float32)
    dy, x = np.ascontiguousarray(dy), np.ascontiguousarray(x)
    if winograd.is_faster(x.shape, dW, stride, padding):
        tile_layout, shifts = winograd.layout_of(dy.shape[2:], C, padding)
        sums = np.zeros((CHUNKS, size, rows, len(shifts)), np.float32)
        parallel_for(winograd.correlate_pictures, dy, x, sums, bias_sums, shifts, tile_layout)
        dW[...] = sums.sum(axis=0)[:, :M, : C * size].reshape(size, M, C, size).transpose(1, 2, 0, 3)
    else:
        layout, shifts = _layout(dy.shape[2:], C, size, stride, padding)
        sums = np.zeros((CHUNKS, rows, len(shifts)), np.float32)
        parallel_for(_correlate, dy, x, sums, bias_sums, shifts, layout)
        dW[...] = sums.sum(axis=0)[:M, : C * size**2].reshape(dW.shape)
    db[...] = bias_sums.sum(axis=0).reshape(db.shape)


def _is_covered(x: Array, W: Array) -> bool:
    return x.ndim == 4 and x.dtype == W.dtype == np.float32


@cache
def _layout(
    y_pixels: tuple[int, ...], channels: int, size: int, stride: int, padding: int, gap: int = 1
) -> tuple[Layout, np.ndarray]:
    """Return the layout of the pictures that give y, and the shift of each tap, with 0 appended up to whole TAPS."""
    more = (size - 1) // stride
    rows, columns = y_pixels[0] + more, y_pixels[1] + more
    c, p, q = np.ogrid[:channels, :size, :size]
    picture = (p % stride * stride + q % stride) * channels + c
    shifts = ((picture * rows + p // stride) * columns + q // stride).ravel()
    return Layout(rows, columns, padding, stride, gap), np.pad(shifts, (0, -shifts.size % TAPS))


def _packed(W: Array) -> np.ndarray:
    """Return W (M, C, size, size) as (M / OUTPUTS, taps, OUTPUTS): in the order in which a tile reads it."""
    matrix = np.zeros((len(W) + -len(W) % OUTPUTS, W[0].size), np.float32)
    matrix[: len(W)] = W.reshape(len(W), -1)
    return np.ascontiguousarray(matrix.reshape(-1, OUTPUTS, matrix.shape[1]).swapaxes(1, 2)).ravel()


@jit
def _convolve(x, weights, b, y, shifts, layout, call):
    channels, (outputs, down, across) = x.shape[1], y.shape[1:]
    rows, columns, _, stride, _ = layout
    numbers, taps = _round_up(down * columns, STEP), shifts.size
    padded = np.zeros(stride * stride * channels * rows * columns + 2 * STEP, np.float32)
    out = np.empty(_round_up(outputs, OUTPUTS) * numbers, np.float32)
    for n in own_rows(len(x), call):
        _pad(x[n], padded, layout)
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
def _correlate(dy, x, sums, bias_sums, shifts, layout, call):
    channels, outputs, down = x.shape[1], dy.shape[1], dy.shape[2]
    rows, columns, _, stride, _ = layout
    numbers, taps, dy_rows = _round_up(down * columns, LANES), shifts.size, _round_up(outputs, ROWS)
    size, dy_size = stride * stride * channels * rows * columns + 2 * STEP, dy_rows * numbers
    padded, padded_dy = np.zeros(GROUP * size, np.float32), np.zeros(GROUP * dy_size, np.float32)
    for chunk, first, end in own_chunks(len(x), call):
        dW = sums[chunk].reshape(-1)
        for begin in range(first, end, GROUP):
            pictures = min(GROUP, end - begin)
            for k in range(pictures):
                _pad(x[begin + k], padded[k * size :], layout)
                _pad_rows(dy[begin + k], padded_dy[k * dy_size :], numbers, columns, bias_sums[chunk])
            sizes = numbers // LANES, pictures, taps
            for m in range(0, outputs, ROWS):
                for t in range(0, taps, TAPS):
                    rows_of_dy = m * numbers, numbers, dy_size
                    correlate(padded_dy, *rows_of_dy, padded, 0, size, shifts, t, sizes, dW, m * taps + t)


@inner
def _pad(picture, padded, layout):
    """Write the picture's numbers to their positions among the zeros."""
    rows, columns, padding, stride, gap = layout
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
def _pad_rows(dy, padded, numbers, columns, bias_sums):
    """Write dy in rows as long as those of the padded x, and add it to the gradient of b."""
    for m in range(dy.shape[0]):
        for i in range(dy.shape[1]):
            copy(dy[m, i], padded, m * numbers + i * columns, dy.shape[2])
        bias_sums[m] += total(dy[m].reshape(-1))


@inner
def _round_up(number, step):
    return (number + step - 1) // step * step
