"""The first layer where most of x is zero, as in pictures of digits: lists of the numbers that are not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from .functions import inner, jit, random_bits
from .intrinsics import (
    LANES,
    LOOKED_AT,
    gather_1,
    gather_3,
    gather_4,
    lowest_bit,
    not_zero,
    scatter_1,
    scatter_3,
    scatter_4,
)
from .plan import piece_of

MOSTLY_ZERO, LISTED_ROWS = 0.3, 4096
"""Lists pay if at most this part of x is not zero, and for at most so many rows in a batch."""

FIRST_LOOK = 1000
"""Rows in which zeros are counted."""


class Lists(NamedTuple):
    """The numbers of a batch that are not zero: (where, what) of each, and how many there are in each line.

    Line p N + n is row n in the columns of piece p; or line d is column d.
    """

    entries: np.ndarray
    counts: np.ndarray


def lists_for(x: Array, batch_size: int, pieces: int, with_columns: bool = True) -> tuple[Lists, Lists]:
    """Room for the lists of rows, and for those of columns; none where x is dense."""
    D, first = x.shape[1], x[:FIRST_LOOK]
    if np.count_nonzero(first) > MOSTLY_ZERO * first.size or batch_size > LISTED_ROWS or pieces * LOOKED_AT > D:
        return NO_LISTS
    return _lists(pieces * batch_size, D), _lists(D if with_columns else 0, batch_size)


def _lists(lines: int, room: int) -> Lists:
    return Lists(np.empty((lines, room, 2), np.float32), np.zeros(lines, np.int64))


NO_LISTS = _lists(0, 0), _lists(0, 0)


@jit
def are_used(lists):
    return lists[0].counts.size > 0


@inner
def list_pixels(x, index, lists, p, pieces, drop):
    """The lists of piece p of the rows of x at `index`, scaled and dropped out."""
    threshold, scale, key, first_row = drop
    by_row, by_column = lists
    unit = np.float32(1 / 255 if x.itemsize == 1 else 1) * scale
    first, end = piece_of(x.shape[1], p, pieces)
    to_columns = by_column.counts.size > 0
    if to_columns:
        by_column.counts[first:end] = 0
    for n in range(index.size):
        row, count, line = x[index[n]], 0, p * index.size + n
        in_row = by_row.entries[line]
        for begin in range(first, end, LOOKED_AT):
            bits = not_zero(row, min(begin, end - LOOKED_AT)) >> np.uint64(max(0, begin + LOOKED_AT - end))
            while bits:
                d = begin + lowest_bit(bits)
                bits &= bits - np.uint64(1)
                if threshold == 0 or random_bits((first_row + n) * x.shape[1] + d, key) >= threshold:
                    value = np.float32(row[d]) * unit
                    in_row[count, 0], in_row[count, 1] = d, value
                    count += 1
                    if to_columns:
                        place = by_column.counts[d]
                        by_column.entries[d, place, 0], by_column.entries[d, place, 1] = n, value
                        by_column.counts[d] = place + 1
        by_row.counts[line] = count


@inner
def product_of_rows(by_row, W, pieces, y):
    """y = x W"""
    N = y.shape[0]
    for n in range(N):
        row = y[n]
        row[:] = 0
        for p in range(pieces):
            _gather(by_row, p * N + n, W, 0, row)


@inner
def gradient_of_rows(by_row, dz, dW):
    """dW = x^T dz"""
    dW[:] = 0
    for n in range(dz.shape[0]):
        _scatter(by_row, n, dz[n], dW)


@inner
def gradient_of_columns(by_column, dz, first, begin, dW):
    """dW = x^T dz, of its rows those from `begin` on and of its columns those from `first` on."""
    for d in range(dW.shape[0]):
        row = dW[d]
        row[:] = 0
        _gather(by_column, begin + d, dz, first, row)


@inner
def _gather(lists, line, rows, first, out):
    """out += sum of the listed rows, from column `first` on, each times its number."""
    entries, count, begin = lists.entries[line], lists.counts[line], 0
    while begin < out.size:
        vectors, lanes = _tile(out.size - begin)
        if vectors == 4:
            gather_4(entries, count, rows, first + begin, out, begin, lanes)
        elif vectors == 3:
            gather_3(entries, count, rows, first + begin, out, begin, lanes)
        else:
            gather_1(entries, count, rows, first + begin, out, begin, lanes)
        begin += vectors * LANES


@inner
def _scatter(lists, line, vector, rows):
    """Each of the listed rows += the vector times its number."""
    entries, count, begin = lists.entries[line], lists.counts[line], 0
    while begin < vector.size:
        vectors, lanes = _tile(vector.size - begin)
        if vectors == 4:
            scatter_4(entries, count, rows, begin, vector, begin, lanes)
        elif vectors == 3:
            scatter_3(entries, count, rows, begin, vector, begin, lanes)
        else:
            scatter_1(entries, count, rows, begin, vector, begin, lanes)
        begin += vectors * LANES


@inner
def _tile(columns):
    """How many vectors to take at once of so many columns, and how many numbers of the last."""
    vectors = 4 if columns > 3 * LANES else 3 if columns > 2 * LANES else 1
    return vectors, min(LANES, columns - (vectors - 1) * LANES)
