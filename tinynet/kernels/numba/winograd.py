"""Convolutions of 3 x 3 taps with half as many products: Winograd's F(4, 3), down the columns (Lavin and Gray 2016).

    y = A^T (G g * B x)        four rows of y, three taps g, six rows of x: six products in place of twelve
    dg = G^T (A dy * B x)      the same, turned; dx is a convolution of dy

Rows lie one behind the other by their place among the four, or six, those of several small pictures too: vectors run on
across the ends of rows and pictures, and what they compute there is left out. A line of whole vectors goes beyond its
row, and the next row is written over that; behind the numbers of dy are zeros. Not-a-number reaches all four rows.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ...arrays import Array, positions
from .functions import inner, jit, total
from .intrinsics import LANES, OUTPUTS, ROWS, STEP, TAPS, combination, convolve, copy, correlate
from .memory import empty
from .threads import PARTS, in_parts, parts

A = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1], [1, 2, 4, 8], [1, -2, 4, -8], [0, 0, 0, 1]])
G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
B = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
PRODUCTS, TILE = A.shape
SIZE = G.shape[1]
times_a, times_b, times_g = combination(A), combination(B), combination(G)
times_a_turned, times_g_turned = combination(A.T), combination(G.T)

LEAST_CHANNELS = 4
"""With fewer, what the products save is spent on the sums."""
NUMBERS, MOST_NUMBERS = 256, 4096
"""Of a row that small pictures share: as many as stay in the cache, in all channels. Of a picture at most."""
ZERO = np.float32(0)


class Place(NamedTuple):
    """How rows lie: tiles of four rows down y, columns across x with its zeros, a line of these in whole vectors;
    pictures in one row, and all its numbers."""

    padding: int
    tiles: int
    columns: int
    line: int
    pictures: int
    numbers: int


def suits(x_shape: tuple[int, ...], W: Array, stride: int, padding: int) -> bool:
    """Whether these are such a convolution, and it is faster."""
    if W.shape[-1] != SIZE or stride != 1 or W.shape[1] < LEAST_CHANNELS:
        return False
    rows, columns = positions(x_shape, SIZE, 1, padding)
    return rows >= TILE and rows * columns <= TILE * MOST_NUMBERS


def conv2d(x: Array, W: Array, b: Array, padding: int) -> Array:
    C = x.shape[1]
    y = empty((len(x), len(W), *positions(x.shape, SIZE, 1, padding)), np.float32)
    place, shifts = _places(y.shape[2:], C, padding)
    weights, x, b = _packed(W), np.ascontiguousarray(x), np.ascontiguousarray(b.reshape(-1))
    in_parts(_convolve, x, weights, b, y, shifts[: C * SIZE], place)
    return y


def conv2d_backward_parameters(dy: Array, x: Array, dW: Array, db: Array, padding: int) -> None:
    M, C = dW.shape[:2]
    place, shifts = _places(dy.shape[2:], C, padding)
    sums = np.zeros((PARTS, SIZE, M + -M % ROWS, len(shifts)), np.float32)
    bias_sums = np.zeros((PARTS, M), np.float32)
    in_parts(_correlate, np.ascontiguousarray(dy), np.ascontiguousarray(x), sums, bias_sums, shifts, place)
    dW[...] = sums.sum(axis=0)[:, :M, : C * SIZE].reshape(SIZE, M, C, SIZE).transpose(1, 2, 0, 3)
    db[...] = bias_sums.sum(axis=0).reshape(db.shape)


@cache
def _places(y_pixels: tuple[int, ...], channels: int, padding: int) -> tuple[Place, np.ndarray]:
    """How rows lie; the shift of each channel and tap, and 0 up to whole TAPS."""
    tiles, columns = -(-y_pixels[0] // TILE), y_pixels[1] + SIZE - 1
    line = columns + -columns % LANES
    pictures = max(1, (NUMBERS - line + columns) // (tiles * columns))
    numbers = (pictures * tiles - 1) * columns + line
    numbers += -numbers % STEP
    c, q = np.ogrid[:channels, :SIZE]
    shifts = (c * numbers + q).ravel()
    return Place(padding, tiles, columns, line, pictures, numbers), np.pad(shifts, (0, -shifts.size % TAPS))


def _packed(W: Array) -> np.ndarray:
    """G W as (products, M / OUTPUTS, taps, OUTPUTS): in the order in which a tile reads it."""
    M, C = W.shape[:2]
    whole = M + -M % LANES
    turned, products = np.zeros((SIZE, C, SIZE, whole), np.float32), np.empty((PRODUCTS, C, SIZE, whole), np.float32)
    turned[..., :M] = W.transpose(2, 1, 3, 0)
    _times_g(turned.reshape(-1), products.reshape(-1))
    return np.ascontiguousarray(products.reshape(PRODUCTS, C * SIZE, -1, OUTPUTS).swapaxes(1, 2)).reshape(-1)


@jit
def _times_g(W, products):
    size = W.size // SIZE
    times_g(W, 0, size, products, 0, size, size // LANES, ZERO)


@jit
def _convolve(x, weights, b, y, shifts, place, call):
    channels, outputs, taps = x.shape[1], y.shape[1], shifts.size
    pictures, numbers = place.pictures, place.numbers
    whole = weights.size // (PRODUCTS * taps)
    tall, flat = np.zeros(PRODUCTS * channels * numbers + STEP, np.float32), _flat(place)
    out, flat_y = np.empty(PRODUCTS * whole * numbers, np.float32), _flat(place)
    for _, first, last in parts(len(x), call):
        for begin in range(first, last, pictures):
            end = min(begin + pictures, last)
            _make_tall(x[begin:end], flat, tall, place)
            for k in range(PRODUCTS):
                for m in range(k * whole, k * whole + outputs, OUTPUTS):
                    for f in range(0, _used(end - begin, place), STEP):
                        x_at, y_at = k * channels * numbers + f, m * numbers + f
                        convolve(tall, x_at, shifts, taps, weights, m * taps, out, y_at, numbers)
            _make_y(out, whole * numbers, b, flat_y, y[begin:end], place)


@jit
def _correlate(dy, x, sums, bias_sums, shifts, place, call):
    channels, rows, taps = x.shape[1], sums.shape[2], shifts.size
    pictures, numbers = place.pictures, place.numbers
    tall, flat = np.zeros(PRODUCTS * channels * numbers + STEP, np.float32), _flat(place)
    slopes, flat_dy = np.zeros(PRODUCTS * rows * numbers, np.float32), _flat(place)
    gradients, size = np.empty(PRODUCTS * rows * taps, np.float32), rows * taps
    for part, first, last in parts(len(x), call):
        gradients[:] = 0
        for begin in range(first, last, pictures):
            end = min(begin + pictures, last)
            if end - begin < pictures:
                slopes[:] = 0
            _make_tall(x[begin:end], flat, tall, place)
            _make_slopes(dy[begin:end], flat_dy, slopes, rows * numbers, bias_sums[part], place)
            vectors = (_used(end - begin, place) + LANES - 1) // LANES
            for k in range(PRODUCTS):
                for m in range(k * rows, (k + 1) * rows, ROWS):
                    for t in range(0, taps, TAPS):
                        at, x_at, sizes = m * numbers, k * channels * numbers, (vectors, 1, taps)
                        correlate(slopes, at, numbers, 0, tall, x_at, 0, shifts, t, sizes, gradients, m * taps + t)
        times_g_turned(gradients, 0, size, sums[part].reshape(-1), 0, size, size // LANES, ZERO)


@inner
def _flat(place):
    """Room for one channel of a picture with its zeros, in rows of whole vectors."""
    return np.zeros((TILE * place.tiles + SIZE - 1) * place.line, np.float32)


@inner
def _used(pictures, place):
    """Numbers of a row that so many pictures take."""
    return pictures * place.tiles * place.columns


@inner
def _make_tall(x, flat, tall, place):
    """B x, of the pictures with their zeros."""
    tiles, columns, line, numbers = place.tiles, place.columns, place.line, place.numbers
    channels, height, width = x.shape[1:]
    for c in range(channels):
        for n in range(len(x)):
            for i in range(height):
                copy(x[n, c, i], flat, (i + place.padding) * line + place.padding, width)
            for i in range(tiles):
                start = c * numbers + (n * tiles + i) * columns
                times_b(flat, TILE * i * line, line, tall, start, channels * numbers, line // LANES, ZERO)


@inner
def _make_slopes(dy, flat, slopes, plane, bias_sums, place):
    """A dy, and dy added to the gradient of b."""
    tiles, columns, line, numbers = place.tiles, place.columns, place.line, place.numbers
    outputs, height, width = dy.shape[1:]
    for m in range(outputs):
        for n in range(len(dy)):
            for i in range(height):
                copy(dy[n, m, i], flat, i * line, width)
            for i in range(tiles):
                start = m * numbers + (n * tiles + i) * columns
                times_a(flat, TILE * i * line, line, slopes, start, plane, line // LANES, ZERO)
            bias_sums[m] += total(dy[n, m].reshape(-1))


@inner
def _make_y(out, plane, b, flat, y, place):
    """A^T of the products, and b."""
    tiles, columns, line, numbers = place.tiles, place.columns, place.line, place.numbers
    outputs, height, width = y.shape[1:]
    for m in range(outputs):
        for n in range(len(y)):
            for i in range(tiles):
                begin = m * numbers + (n * tiles + i) * columns
                times_a_turned(out, begin, plane, flat, TILE * i * line, line, line // LANES, b[m])
            for i in range(height):
                copy(flat[i * line :], y[n, m].reshape(-1), i * width, width)
