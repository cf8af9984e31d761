"""The first layer where most numbers of x are zero, as in pictures of digits: lists of the other numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from .functions import inner, jit, random_bits
from .intrinsics import COMPARED, LANES, gather, lowest_bit, not_zero, scatter
from .plan import piece_of

MOST_NONZERO, MOST_ROWS = 0.3, 4096
"""Lists pay off up to this share of numbers that are not zero, and up to this many rows in a batch."""

SAMPLE = 1000
"""Rows of x in which zeros are counted."""


class Entries(NamedTuple):
    """For each line, pairs (index, number) of the numbers that are not zero, and their count."""

    pairs: np.ndarray
    counts: np.ndarray


class Lists(NamedTuple):
    """The numbers of a batch that are not zero, once by row and once by column.

    Line p N + n of `by_row` is row n in the columns of piece p; its indices are columns. Line d of `by_column` is
    column d; its indices are rows.
    """

    by_row: Entries
    by_column: Entries


def lists_for(x: Array, batch_size: int, pieces: int, with_columns: bool = True) -> Lists:
    """Return empty lists with enough memory for any batch, or NO_LISTS if x is dense."""
    D, sample = x.shape[1], x[:SAMPLE]
    if np.count_nonzero(sample) > MOST_NONZERO * sample.size or batch_size > MOST_ROWS or pieces * COMPARED > D:
        return NO_LISTS
    return Lists(_empty_entries(pieces * batch_size, D), _empty_entries(D if with_columns else 0, batch_size))


def _empty_entries(lines: int, room: int) -> Entries:
    return Entries(np.empty((lines, room, 2), np.float32), np.zeros(lines, np.int64))


NO_LISTS = Lists(_empty_entries(0, 0), _empty_entries(0, 0))


@jit
def are_used(lists):
    return lists.by_row.counts.size > 0


@inner
def list_pixels(x, index, lists, p, pieces, mask):
    """List the numbers of x[index] in the columns of piece p, scaled and after dropout."""
    threshold, scale, key, first_row = mask
    by_row, by_column = lists.by_row, lists.by_column
    unit = np.float32(1 / 255 if x.itemsize == 1 else 1) * scale
    first, end = piece_of(x.shape[1], p, pieces)
    with_columns = by_column.counts.size > 0
    if with_columns:
        by_column.counts[first:end] = 0
    for n in range(index.size):
        row, count, line = x[index[n]], 0, p * index.size + n
        pairs = by_row.pairs[line]
        for begin in range(first, end, COMPARED):
            bits = not_zero(row, min(begin, end - COMPARED)) >> np.uint64(max(0, begin + COMPARED - end))
            while bits:
                d = begin + lowest_bit(bits)
                bits &= bits - np.uint64(1)
                if threshold == 0 or random_bits((first_row + n) * x.shape[1] + d, key) >= threshold:
                    value = np.float32(row[d]) * unit
                    pairs[count, 0], pairs[count, 1] = d, value
                    count += 1
                    if with_columns:
                        k = by_column.counts[d]
                        by_column.pairs[d, k, 0], by_column.pairs[d, k, 1] = n, value
                        by_column.counts[d] = k + 1
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
    """dW = x^T dz, only its rows from `begin` on and its columns from `first` on"""
    for d in range(dW.shape[0]):
        row = dW[d]
        row[:] = 0
        _gather(by_column, begin + d, dz, first, row)


@inner
def _gather(entries, line, rows, first, out):
    """out += sum over the line's pairs (j, w) of w rows[j, first:]"""
    pairs, count, begin = entries.pairs[line], entries.counts[line], 0
    while begin < out.size:
        vectors, lanes = _tile(out.size - begin)
        gather(pairs, count, rows, rows.shape[1], first + begin, out, begin, vectors, lanes)
        begin += vectors * LANES


@inner
def _scatter(entries, line, vector, rows):
    """rows[j] += w vector, for each of the line's pairs (j, w)"""
    pairs, count, begin = entries.pairs[line], entries.counts[line], 0
    while begin < vector.size:
        vectors, lanes = _tile(vector.size - begin)
        scatter(pairs, count, rows, rows.shape[1], vector, begin, vectors, lanes)
        begin += vectors * LANES


@inner
def _tile(columns):
    """Return how many of the remaining columns to take at once: how many vectors, and how many lanes of the last."""
    vectors = 4 if columns > 3 * LANES else 3 if columns > 2 * LANES else 1
    return vectors, min(LANES, columns - (vectors - 1) * LANES)
