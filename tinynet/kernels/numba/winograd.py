"""Convolutions of 3 x 3 taps with half as many products: Winograd's F(4, 3), down the columns (Lavin and Gray 2016).

    y = A^T (G g * B x)        four rows of y, three taps g, six rows of x: six products instead of twelve
    dg = G^T (A dy * B x)      the same, transposed; dx is a convolution of dy

The first of the four (or six) rows of all tiles follow each other in memory, then the second ones, and so on, also
those of several small pictures. So vectors run across the ends of rows and pictures, and what they compute there is
left out. A line of whole vectors is longer than its row; the next row overwrites the rest. Zeros follow the numbers of
dy. A NaN in x spreads to all four rows of its tile.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ...arrays import Array, positions
from .functions import inner, jit, total
from .intrinsics import LANES, OUTPUTS, ROWS, STEP, TAPS, combination, convolve, copy, correlate
from .thread_pool import own_chunks

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
times_a_transposed, times_g_transposed = combination(A.T), combination(G.T)

LEAST_CHANNELS = 4
"""With fewer channels, the additional sums take as much time as the products save."""

NUMBERS, MOST_NUMBERS = 256, 4096
"""Numbers of a row that small pictures share, so that all channels fit the cache; and the most for one picture."""

ZERO = np.float32(0)


class Layout(NamedTuple):
    """How the tiles of four rows lie in memory.

    There are `tiles` down y and `columns` in the padded x, and `line` is `columns` rounded up to whole vectors. A row
    holds the `numbers` of several `pictures`.
    """

    padding: int
    tiles: int
    columns: int
    line: int
    pictures: int
    numbers: int


def is_faster(x_shape: tuple[int, ...], W: Array, stride: int, padding: int) -> bool:
    """Return True if this algorithm covers the convolution and is faster."""
    if W.shape[-1] != SIZE or stride != 1 or W.shape[1] < LEAST_CHANNELS:
        return False
    rows, columns = positions(x_shape, SIZE, 1, padding)
    return rows >= TILE and rows * columns <= TILE * MOST_NUMBERS


@cache
def layout_of(y_pixels: tuple[int, ...], channels: int, padding: int) -> tuple[Layout, np.ndarray]:
    """Return the layout, and the shift of each channel and tap, with 0 appended up to whole TAPS."""
    tiles, columns = -(-y_pixels[0] // TILE), y_pixels[1] + SIZE - 1
    line = columns + -columns % LANES
    pictures = max(1, (NUMBERS - line + columns) // (tiles * columns))
    numbers = (pictures * tiles - 1) * columns + line
    numbers += -numbers % STEP
    c, q = np.ogrid[:channels, :SIZE]
    shifts = (c * numbers + q).ravel()
    return Layout(padding, tiles, columns, line, pictures, numbers), np.pad(shifts, (0, -shifts.size % TAPS))


def packed(W: Array) -> np.ndarray:
    """Return G W as (products, M / OUTPUTS, taps, OUTPUTS): in the order in which a tile reads it."""
    M, C = W.shape[:2]
    rounded = M + -M % LANES
    transposed = np.zeros((SIZE, C, SIZE, rounded), np.float32)
    products = np.empty((PRODUCTS, C, SIZE, rounded), np.float32)
    transposed[..., :M] = W.transpose(2, 1, 3, 0)
    _times_g(transposed.reshape(-1), products.reshape(-1))
    return np.ascontiguousarray(products.reshape(PRODUCTS, C * SIZE, -1, OUTPUTS).swapaxes(1, 2)).reshape(-1)


@jit
def _times_g(W, products):
    size = W.size // SIZE
    times_g(W, 0, size, products, 0, size, size // LANES, ZERO)


@jit
def convolve_pictures(x, weights, b, y, shifts, layout, call):
    channels, outputs, taps = x.shape[1], y.shape[1], shifts.size
    pictures, numbers = layout.pictures, layout.numbers
    rows = weights.size // (PRODUCTS * taps)
    Bx, lines = np.zeros(PRODUCTS * channels * numbers + STEP, np.float32), _lines(layout)
    out, y_lines = np.empty(PRODUCTS * rows * numbers, np.float32), _lines(layout)
    for _, first, end in own_chunks(len(x), call):
        for begin in range(first, end, pictures):
            stop = min(begin + pictures, end)
            _times_b(x[begin:stop], lines, Bx, layout)
            for k in range(PRODUCTS):
                for m in range(k * rows, k * rows + outputs, OUTPUTS):
                    for f in range(0, _used(stop - begin, layout), STEP):
                        x_start, y_start = k * channels * numbers + f, m * numbers + f
                        convolve(Bx, x_start, shifts, taps, weights, m * taps, out, y_start, numbers)
            _make_y(out, rows * numbers, b, y_lines, y[begin:stop], layout)


@jit
def correlate_pictures(dy, x, sums, bias_sums, shifts, layout, call):
    channels, rows, taps = x.shape[1], sums.shape[2], shifts.size
    pictures, numbers = layout.pictures, layout.numbers
    Bx, lines = np.zeros(PRODUCTS * channels * numbers + STEP, np.float32), _lines(layout)
    Ady, dy_lines = np.zeros(PRODUCTS * rows * numbers, np.float32), _lines(layout)
    dproducts, size = np.empty(PRODUCTS * rows * taps, np.float32), rows * taps
    for chunk, first, end in own_chunks(len(x), call):
        dproducts[:] = 0
        for begin in range(first, end, pictures):
            stop = min(begin + pictures, end)
            if stop - begin < pictures:
                Ady[:] = 0
            _times_b(x[begin:stop], lines, Bx, layout)
            _times_a(dy[begin:stop], dy_lines, Ady, rows * numbers, bias_sums[chunk], layout)
            vectors = (_used(stop - begin, layout) + LANES - 1) // LANES
            for k in range(PRODUCTS):
                for m in range(k * rows, (k + 1) * rows, ROWS):
                    for t in range(0, taps, TAPS):
                        dy_start, x_start, sizes = m * numbers, k * channels * numbers, (vectors, 1, taps)
                        correlate(Ady, dy_start, numbers, 0, Bx, x_start, 0, shifts, t, sizes, dproducts, m * taps + t)
        times_g_transposed(dproducts, 0, size, sums[chunk].reshape(-1), 0, size, size // LANES, ZERO)


@inner
def _lines(layout):
    """Return memory for one channel of a padded picture, in rows of whole vectors."""
    return np.zeros((TILE * layout.tiles + SIZE - 1) * layout.line, np.float32)


@inner
def _used(pictures, layout):
    """Return how many numbers of a row are used by this many pictures."""
    return pictures * layout.tiles * layout.columns


@inner
def _times_b(x, lines, Bx, layout):
    """Compute B x, of the padded pictures."""
    tiles, columns, line, numbers = layout.tiles, layout.columns, layout.line, layout.numbers
    channels, height, width = x.shape[1:]
    for c in range(channels):
        for n in range(len(x)):
            for i in range(height):
                copy(x[n, c, i], lines, (i + layout.padding) * line + layout.padding, width)
            for i in range(tiles):
                start = c * numbers + (n * tiles + i) * columns
                times_b(lines, TILE * i * line, line, Bx, start, channels * numbers, line // LANES, ZERO)


@inner
def _times_a(dy, lines, Ady, plane, bias_sums, layout):
    """Compute A dy, and add dy to the gradient of b."""
    tiles, columns, line, numbers = layout.tiles, layout.columns, layout.line, layout.numbers
    outputs, height, width = dy.shape[1:]
    for m in range(outputs):
        for n in range(len(dy)):
            for i in range(height):
                copy(dy[n, m, i], lines, i * line, width)
            for i in range(tiles):
                start = m * numbers + (n * tiles + i) * columns
                times_a(lines, TILE * i * line, line, Ady, start, plane, line // LANES, ZERO)
            bias_sums[m] += total(dy[n, m].reshape(-1))


@inner
def _make_y(out, plane, b, lines, y, layout):
    """Compute y: A^T times the products, plus b."""
    tiles, columns, line, numbers = layout.tiles, layout.columns, layout.line, layout.numbers
    outputs, height, width = y.shape[1:]
    for m in range(outputs):
        for n in range(len(y)):
            for i in range(tiles):
                begin = m * numbers + (n * tiles + i) * columns
                times_a_transposed(out, begin, plane, lines, TILE * i * line, line, line // LANES, b[m])
            for i in range(height):
                copy(lines[i * line :], y[n, m].reshape(-1), i * width, width)
