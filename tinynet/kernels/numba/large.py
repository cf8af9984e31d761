"""`loop.train_steps` for larger networks as `mlp` makes them: many steps in one compiled loop, on threads of our own.

Forward each thread makes its own columns of y, for all rows of the batch; backward its own rows of W, which are its
own columns of dx: their gradient, and at once their update, while both are in the cache. Threads meet once a layer.
What is a piece depends on the machine's cores alone, never on how many threads share the pieces, so no bit does.

Where most numbers of x are zero, as in pictures of digits, the first layer takes lists of those that are not.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...arrays import Array
from ...network import Network
from .functions import inner, jit, random_bits
from .plan import (
    ROWS_AT_ONCE,
    Plan,
    Timetable,
    advance,
    aligned,
    fold_in,
    four,
    piece_of,
    plan_of,
    settings_at,
    timetable,
    update,
    vectors_of,
    without_training,
)
from .sparse import Lists, are_used, gradient_of_columns, list_pixels, lists_for, product_of_rows
from .threads import Pace, meet, most_threads, product, together

TRIAL = 4
"""Steps for which another number of threads is tried."""


MOVED_ROWS = 16
"""Rows of the first W whose gradient is still in the cache when they are moved."""

EVALUATED = 256
"""Rows in a batch when nothing is trained."""


_paces: weakref.WeakKeyDictionary[Network, Pace] = weakref.WeakKeyDictionary()
"""What was learned in the epochs before."""


def train(
    network: Network, optimizer: Any, x: Array, t: Array, order: np.ndarray, batch_size: int
) -> Iterator[tuple[int, float, int]]:
    """Compiles at once, and trains as the totals are asked for."""
    plan, lists = plan_of(network, batch_size), lists_for(x, batch_size, most_threads())
    vectors = vectors_of(network, optimizer)
    moving = [_laid_out(vector, plan, lists, most_threads()) for vector in vectors]

    def steps(rows: np.ndarray, threads: int) -> tuple[int, float, int]:
        count = -(-len(rows) // batch_size)
        try:
            table = timetable(network, optimizer, count)
            return _on_threads(threads, four(*moving), plan, lists, table, (x, t, rows, batch_size, 0, 0))
        finally:
            advance(network, optimizer, count)

    def all_steps() -> Iterator[tuple[int, float, int]]:
        try:
            yield from _in_parts(steps, order, batch_size, _paces.setdefault(network, Pace()))
        finally:
            for vector, moved in zip(vectors, moving, strict=True):
                _put_back(moved, vector, plan, lists, most_threads())

    steps(order[:0], 1)
    return all_steps()


def evaluate(network: Network, x: Array, t: Array) -> Iterator[tuple[int, float, int]]:
    plan, lists = plan_of(network, EVALUATED, dropout=False), lists_for(x, EVALUATED, most_threads())
    theta, table = four(_laid_out(network.theta, plan, lists, most_threads())), without_training(network)

    def steps(rows: np.ndarray, threads: int) -> tuple[int, float, int]:
        return _on_threads(threads, theta, plan, lists, table, (x, t, rows, EVALUATED, 0, 0))

    return _in_parts(steps, np.arange(len(x)), EVALUATED, Pace())


def share(
    network: Network, optimizer: Any, x: Array, t: Array, shares: list[Any], add_up: Callable[[Array], None]
) -> Iterator[tuple[int, float, int]]:
    """The gradients of this process's share of each batch, what `add_up` makes of them, and then the update.

    In one piece, so that vectors lie alike on machines with different numbers of cores.
    """
    largest = max(1, *(len(share.rows) for share in shares))
    plan, lists = plan_of(network, largest), lists_for(x, largest, 1)
    vectors = vectors_of(network, optimizer)
    moving = [_laid_out(vector, plan, lists, 1) for vector in vectors]
    theta, grad, *_ = moving
    met, alone = np.zeros(1, np.int64), (0, 1, 1)
    try:
        for rows, first_row, whole in shares:
            table, totals = timetable(network, optimizer, 1), np.zeros((1, 2))
            if not len(rows):
                grad[:] = 0
            _steps(
                (*alone, met), four(theta, grad), plan, lists, table, (x, t, rows, largest, first_row, whole), totals
            )
            add_up(grad)
            _update(four(*moving), table)
            advance(network, optimizer, 1)
            yield whole, totals[0, 0], int(totals[0, 1])
    finally:
        for vector, moved in zip(vectors, moving, strict=True):
            _put_back(moved, vector, plan, lists, 1)


@jit
def _update(vectors, table):
    theta, grad, m, v = vectors
    update(theta, grad, m, v, settings_at(table, 0))


def _in_parts(
    steps: Callable[[np.ndarray, int], tuple[int, float, int]], order: np.ndarray, batch_size: int, pace: Pace
) -> Iterator[tuple[int, float, int]]:
    """steps(rows, threads) over all rows, on as many threads as are fastest just now."""
    start = 0
    while start < len(order):
        threads, is_trial = pace.next()
        at_once = TRIAL if is_trial else max(1, ROWS_AT_ONCE // batch_size)
        rows = order[start : start + at_once * batch_size]
        with pace.timed(threads, len(rows)):
            totals = steps(rows, threads)
        start += len(rows)
        yield totals


def _laid_out(vector: np.ndarray, plan: Plan, lists: tuple[Lists, Lists], pieces: int) -> np.ndarray:
    """A copy that starts on a cache line; with lists, each piece of the first W's columns lies by itself."""
    copy = aligned(vector.size)
    for part, place in _parts(copy, vector, plan, lists, pieces):
        part[...] = place
    return copy


def _put_back(copy: np.ndarray, vector: np.ndarray, plan: Plan, lists: tuple[Lists, Lists], pieces: int) -> None:
    for part, place in _parts(copy, vector, plan, lists, pieces):
        place[...] = part


def _parts(
    copy: np.ndarray, vector: np.ndarray, plan: Plan, lists: tuple[Lists, Lists], pieces: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every part of the copy, and its place in the vector."""
    D, M = plan.layout[:2, 0] if are_used(lists) else (0, 0)
    for p in range(pieces):
        first, end = piece_of(M, p, pieces)
        yield copy[D * first : D * end].reshape(D, end - first), vector[: D * M].reshape(D, M)[:, first:end]
    yield copy[D * M :], vector[D * M :]


def _on_threads(
    threads: int,
    vectors: tuple[np.ndarray, ...],
    plan: Plan,
    lists: tuple[Lists, Lists],
    table: Timetable,
    data: tuple[Array, Array, np.ndarray, int, int, int],
) -> tuple[int, float, int]:
    pieces = most_threads()
    met, totals = np.zeros(1, np.int64), np.zeros((pieces, 2))
    together(threads, lambda rank: _steps((rank, threads, pieces, met), vectors, plan, lists, table, data, totals))
    loss, correct = totals.sum(axis=0)
    return len(data[2]), loss, int(correct)


# ------------------------------------------------------------------------------------------- the step


@jit
def _steps(team, vectors, plan, lists, table, data, totals):
    rank, threads, pieces, met = team
    theta, grad, _, _ = vectors
    x, t, order, batch_size, first_row, whole = data
    listed, last = are_used(lists), len(plan.layout) - 1
    meetings = 0
    for start in range(0, order.size, batch_size):
        index, counters, step = order[start : start + batch_size], table.counters, start // batch_size
        N = index.size
        for p in range(rank, pieces, threads):
            drop = plan.thresholds[0], plan.scales[0], fold_in(plan.random_keys[0], counters[0] + step), first_row
            if listed:
                list_pixels(x, index, lists, p, pieces, drop)
            else:
                _gather_columns(x, index, _rows(plan.h, plan.layout, 0, N), p, pieces, drop)
        meet(met, threads, meetings)
        for k in range(last):
            for p in range(rank, pieces, threads):
                after = (k + 1) % last
                drop = (
                    plan.thresholds[after],
                    plan.scales[after],
                    fold_in(plan.random_keys[after], counters[after] + step),
                    first_row,
                )
                if k == 0 and listed:
                    _forward_listed(theta, plan, lists[0], N, p, pieces)
                else:
                    _forward(theta, plan, k, N, p, pieces)
                _activate(theta, plan, k, N, p, pieces, drop)
            meet(met, threads, meetings + 1 + k)
        for p in range(rank, pieces, threads):
            batch_loss, batch_correct = _softmax_cross_entropy(plan, t, index, whole or N, p, pieces)
            totals[p, 0] += batch_loss
            totals[p, 1] += batch_correct
        meet(met, threads, meetings + 1 + last)
        meetings += 2 + last
        if grad.size:
            now = settings_at(table, step)
            for k in range(last - 1, -1, -1):
                for p in range(rank, pieces, threads):
                    if k == 0 and listed:
                        _backward_listed(vectors, plan, lists[1], N, p, pieces, now)
                    else:
                        _backward(vectors, plan, k, N, p, pieces, now)
                    _backward_bias(vectors, plan, k, N, p, pieces, now)
                meet(met, threads, meetings)
                meetings += 1


@inner
def _forward(theta, plan, k, N, p, pieces):
    """Columns of x W."""
    layout = plan.layout
    D, M, start = layout[k, 0], layout[k + 1, 0], layout[k, 1]
    first, end = piece_of(M, p, pieces)
    if first < end:
        x, W, y = plan.h[layout[k, 2] :], theta[start + first :], plan.h[layout[k + 1, 2] + first :]
        product(False, False, (N, end - first, D), x, D, W, M, y, M)


@inner
def _forward_listed(theta, plan, by_row, N, p, pieces):
    """The first layer's columns of x W."""
    D, M = plan.layout[0, 0], plan.layout[1, 0]
    first, end = piece_of(M, p, pieces)
    if first < end:
        W, y = theta[D * first : D * end].reshape(D, end - first), _rows(plan.h, plan.layout, 1, N)
        product_of_rows(by_row, W, pieces, y[:, first:end])


@inner
def _activate(theta, plan, k, N, p, pieces, drop):
    """Columns of dropout(relu(x W + b)), or of the logits x W + b, from those of x W."""
    layout = plan.layout
    D, M, start = layout[k, 0], layout[k + 1, 0], layout[k, 1]
    first, end = piece_of(M, p, pieces)
    y, b = _rows(plan.h, layout, k + 1, N), theta[start + D * M + first : start + D * M + end]
    for n in range(N):
        if k + 2 < len(layout):
            _bias_relu_dropout(y[n, first:end], b, (drop[3] + n) * M + first, drop)
        else:
            _add_bias(y[n, first:end], b)


@inner
def _backward(vectors, plan, k, N, p, pieces, now):
    """Columns of dx through dropout and ReLU; the same rows of W, their gradient and their update."""
    layout = plan.layout
    D, M, start = layout[k, 0], layout[k + 1, 0], layout[k, 1]
    first, end = piece_of(D, p, pieces)
    if first == end:
        return
    x, dz, begin, stop = plan.h[layout[k, 2] + first :], plan.dh[layout[k + 1, 2] :], start + first * M, start + end * M
    if k:
        product(False, True, (N, end - first, M), dz, M, vectors[0][begin:stop], M, plan.dh[layout[k, 2] + first :], D)
        _relu_dropout_backward(plan, k, N, first, end)
    product(True, False, (end - first, M, N), x, D, dz, M, vectors[1][begin:stop], M)
    _move(vectors, begin, stop, now)


@inner
def _backward_listed(vectors, plan, by_column, N, p, pieces, now):
    """The first layer's columns of W, some rows at a time: their gradient and their update."""
    D, M = plan.layout[0, 0], plan.layout[1, 0]
    first, end = piece_of(M, p, pieces)
    dz, width = _rows(plan.dh, plan.layout, 1, N), end - first
    for row in range(0, D if width else 0, MOVED_ROWS):
        begin, stop = D * first + row * width, D * first + min(row + MOVED_ROWS, D) * width
        gradient_of_columns(by_column, dz, first, row, vectors[1][begin:stop].reshape(-1, width))
        _move(vectors, begin, stop, now)


@inner
def _backward_bias(vectors, plan, k, N, p, pieces, now):
    layout = plan.layout
    D, M, start = layout[k, 0], layout[k + 1, 0], layout[k, 1]
    first, end = piece_of(M, p, pieces)
    begin, stop = start + D * M + first, start + D * M + end
    _sum_rows(_rows(plan.dh, layout, k + 1, N), first, end, vectors[1][begin:stop])
    _move(vectors, begin, stop, now)


@inner
def _move(vectors, begin, stop, now):
    theta, grad, m, v = vectors
    if m.size:
        update(theta[begin:stop], grad[begin:stop], m[begin:stop], v[begin:stop] if v.size else v, now)


@inner
def _rows(work, layout, k, N):
    """What goes into the k-th Dense, or the logits behind the last: (N, D)."""
    D, start = layout[k, 0], layout[k, 2]
    return work[start : start + N * D].reshape(N, D)


# --------------------------------------------------------------------------------------- the first layer


@inner
def _gather_columns(x, index, y, p, pieces, drop):
    threshold, scale, key, first_row = drop
    first, end = piece_of(y.shape[1], p, pieces)
    unit, zero = np.float32(1 / 255 if x.itemsize == 1 else 1), np.float32(0)
    for n in range(index.size):
        x_row, y_row, position = x[index[n], first:end], y[n, first:end], (first_row + n) * y.shape[1] + first
        for d in range(y_row.size):
            y_row[d] = np.float32(x_row[d]) * unit
        if threshold:
            for d in range(y_row.size):
                y_row[d] *= scale if random_bits(position + d, key) >= threshold else zero


# ------------------------------------------------------------------------------------- everything else


@inner
def _bias_relu_dropout(row, b, position, drop):
    threshold, scale, key, _ = drop
    zero = np.float32(0)
    for m in range(row.size):
        z = row[m] + b[m]
        row[m] = zero if z <= zero else z
    if threshold:
        for m in range(row.size):
            row[m] *= scale if random_bits(position + m, key) >= threshold else zero


@inner
def _add_bias(row, b):
    for m in range(row.size):
        row[m] += b[m]


@inner
def _relu_dropout_backward(plan, k, N, first, end):
    dy, y = _rows(plan.dh, plan.layout, k, N), _rows(plan.h, plan.layout, k, N)
    scale, zero = plan.scales[k], np.float32(0)
    for n in range(N):
        dy_row, y_row = dy[n, first:end], y[n, first:end]
        for m in range(dy_row.size):
            dy_row[m] *= scale if y_row[m] > zero else zero


@inner
def _sum_rows(dy, first, end, db):
    db[:] = 0
    for n in range(dy.shape[0]):
        row = dy[n, first:end]
        for m in range(db.size):
            db[m] += row[m]


@inner
def _softmax_cross_entropy(plan, t, index, whole, p, pieces):
    """dz of piece p of the rows in a batch of so many as a whole; and their loss and right answers together."""
    N, last = index.size, len(plan.layout) - 1
    K = plan.layout[last, 0]
    z, dz = _rows(plan.h, plan.layout, last, N), _rows(plan.dh, plan.layout, last, N)
    loss, correct = 0.0, 0
    for n in range(p * N // pieces, (p + 1) * N // pieces):
        z_row, t_row, dz_row = z[n], t[index[n]], dz[n]
        top = z_row.max()
        total, shifted_t = np.float32(0), np.float32(0)
        for k in range(K):
            shifted = z_row[k] - top
            dz_row[k] = np.exp(shifted)
            total += dz_row[k]
            shifted_t += t_row[k] * shifted
        for k in range(K):
            dz_row[k] = (dz_row[k] / total - t_row[k]) / np.float32(whole)
        loss += np.log(total) - shifted_t
        correct += z_row.argmax() == t_row.argmax()
    return loss, correct
