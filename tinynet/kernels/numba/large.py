"""`loop.train_steps` for larger networks such as `mlp` makes: many steps in one compiled loop, on threads with BLAS.

In the forward pass a thread computes some columns of y, for all rows of the batch. In the backward pass it computes
the same columns of dx and the gradient of the same rows of W, which it updates while they are in the cache. Threads
wait for each other once a layer. The number of pieces into which columns are cut depends only on the cores of the
machine. So every bit is the same on any number of threads.

Where most numbers of x are zero, as in pictures of digits, the first layer uses lists of the others (sparse.py).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...network import Network
from .barrier import barrier, run_together
from .blas import sgemm
from .functions import add_to_rows, inner, jit, random_bits, sum_rows
from .plan import (
    ROWS_AT_ONCE,
    Plan,
    Timetable,
    Vectors,
    advance,
    copied,
    copy_back,
    evaluation_timetable,
    gather_columns,
    mask_of,
    piece_of,
    plan_of,
    step_of,
    timetable_of,
    update,
    vectors_of,
)
from .sparse import Lists, are_used, gradient_of_columns, list_pixels, lists_for, product_of_rows
from .thread_count import FastestThreads, most_threads

TRIAL_STEPS = 4
"""Steps for which another number of threads is tried."""

UPDATED_ROWS = 16
"""Rows of the first W that are updated at once, while their gradient is still in the cache."""

EVALUATED = 256
"""Rows in a batch of an evaluation."""

_fastest_threads: weakref.WeakKeyDictionary[Network, FastestThreads] = weakref.WeakKeyDictionary()
"""What earlier epochs have measured for each network."""


class Worker(NamedTuple):
    """A thread's number among the threads, into how many pieces columns are cut, and the counter of the barriers."""

    number: int
    threads: int
    pieces: int
    counter: np.ndarray


class Data(NamedTuple):
    """All rows and targets, and the order in which batches of `batch_size` are taken from them.

    In data-parallel training, `first_row` is the number of the first row in the whole batch, and `whole` the size of
    that; otherwise both are 0.
    """

    x: Array
    t: Array
    order: np.ndarray
    batch_size: int
    first_row: int = 0
    whole: int = 0


def train(
    network: Network, optimizer: Any, x: Array, t: Array, order: np.ndarray, batch_size: int
) -> Iterator[tuple[int, float, int]]:
    """Return an iterator that trains. Calling this function already compiles the loop."""
    plan, lists = plan_of(network, batch_size), lists_for(x, batch_size, most_threads())
    vectors = vectors_of(network, optimizer)
    blocks = partial(_blocks, plan, lists, most_threads())
    copies = [copied(vector, blocks) for vector in vectors]

    def steps(rows: np.ndarray, threads: int) -> tuple[int, float, int]:
        count = -(-len(rows) // batch_size)
        timetable = timetable_of(network, optimizer, count)
        try:
            return _on_threads(threads, Vectors(*copies), plan, lists, timetable, Data(x, t, rows, batch_size))
        finally:
            advance(network, optimizer, count)

    def all_steps() -> Iterator[tuple[int, float, int]]:
        try:
            yield from _in_parts(steps, order, batch_size, _fastest_threads.setdefault(network, FastestThreads()))
        finally:
            copy_back(copies, vectors, blocks)

    steps(order[:0], 1)
    return all_steps()


def evaluate(network: Network, x: Array, t: Array) -> Iterator[tuple[int, float, int]]:
    plan, lists = plan_of(network, EVALUATED, dropout=False), lists_for(x, EVALUATED, most_threads())
    vectors = Vectors(copied(network.theta, partial(_blocks, plan, lists, most_threads())))
    no_steps = evaluation_timetable(network)

    def steps(rows: np.ndarray, threads: int) -> tuple[int, float, int]:
        return _on_threads(threads, vectors, plan, lists, no_steps, Data(x, t, rows, EVALUATED))

    return _in_parts(steps, np.arange(len(x)), EVALUATED, FastestThreads())


def share(
    network: Network, optimizer: Any, x: Array, t: Array, shares: list[Any], all_reduce: Callable[[Array], None]
) -> Iterator[tuple[int, float, int]]:
    """For each batch, compute the gradient of this rank's share, call all_reduce(gradient), and update.

    Columns are in one piece, so that the vectors of machines with different numbers of cores have the same order.
    """
    largest = max(1, *(len(share.rows) for share in shares))
    plan, lists = plan_of(network, largest), lists_for(x, largest, 1)
    vectors = vectors_of(network, optimizer)
    blocks = partial(_blocks, plan, lists, 1)
    copies = [copied(vector, blocks) for vector in vectors]
    theta, grad, *_ = copies
    only_thread = Worker(0, threads=1, pieces=1, counter=np.zeros(1, np.int64))
    try:
        for rows, first_row, whole in shares:
            one_step, totals = timetable_of(network, optimizer, 1), np.zeros((1, 2))
            if not len(rows):
                grad[:] = 0
            data = Data(x, t, rows, largest, first_row, whole)
            _steps(only_thread, Vectors(theta, grad), plan, lists, one_step, data, totals)
            all_reduce(grad)
            _update(Vectors(*copies), one_step)
            advance(network, optimizer, 1)
            yield whole, totals[0, 0], int(totals[0, 1])
    finally:
        copy_back(copies, vectors, blocks)


@jit
def _update(vectors, timetable):
    update(vectors.theta, vectors.grad, vectors.m, vectors.v, step_of(timetable, 0))


def _in_parts(
    steps: Callable[[np.ndarray, int], tuple[int, float, int]],
    order: np.ndarray,
    batch_size: int,
    fastest: FastestThreads,
) -> Iterator[tuple[int, float, int]]:
    """Yield steps(rows, threads) for one part of the rows after another, on the fastest number of threads."""
    start = 0
    while start < len(order):
        threads, is_trial = fastest.next()
        steps_at_once = TRIAL_STEPS if is_trial else max(1, ROWS_AT_ONCE // batch_size)
        rows = order[start : start + steps_at_once * batch_size]
        with fastest.timed(threads, len(rows)):
            totals = steps(rows, threads)
        start += len(rows)
        yield totals


def _blocks(
    plan: Plan, lists: Lists, pieces: int, copy: np.ndarray, vector: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """With lists, each piece of the first W's columns is one block of the copy."""
    D, M = plan.widths[:2] if are_used(lists) else (0, 0)
    for p in range(pieces):
        first, end = piece_of(M, p, pieces)
        yield copy[D * first : D * end].reshape(D, end - first), vector[: D * M].reshape(D, M)[:, first:end]
    yield copy[D * M :], vector[D * M :]


def _on_threads(
    threads: int, vectors: Vectors, plan: Plan, lists: Lists, timetable: Timetable, data: Data
) -> tuple[int, float, int]:
    """Return the number of rows, their summed loss, and the number of correct ones."""
    pieces = most_threads()
    counter, totals = np.zeros(1, np.int64), np.zeros((pieces, 2))

    def work(number: int) -> None:
        _steps(Worker(number, threads, pieces, counter), vectors, plan, lists, timetable, data, totals)

    run_together(threads, work)
    loss, correct = totals.sum(axis=0)
    return len(data.order), loss, int(correct)


# ------------------------------------------------------------------------------------------- the step


@jit
def _steps(worker, vectors, plan, lists, timetable, data, totals):
    """Take the steps of one thread. Adds loss and correct rows of each piece to totals (pieces, 2)."""
    passed, last, pieces = 0, len(plan.widths) - 1, worker.pieces
    for start in range(0, data.order.size, data.batch_size):
        index = data.order[start : start + data.batch_size]
        steps_done, N = start // data.batch_size, index.size
        passed = _forward(worker, passed, vectors.theta, plan, lists, timetable.counters + steps_done, data, index)
        for p in range(worker.number, pieces, worker.threads):
            loss, correct = _softmax_cross_entropy(plan, data.t, index, data.whole or N, p, pieces)
            totals[p, 0] += loss
            totals[p, 1] += correct
        passed = barrier(worker.counter, worker.threads, passed)
        if vectors.grad.size:
            step = step_of(timetable, steps_done)
            for k in range(last - 1, -1, -1):
                for p in range(worker.number, pieces, worker.threads):
                    if k == 0 and are_used(lists):
                        _backward_listed(vectors, plan, lists.by_column, N, p, pieces, step)
                    else:
                        _backward_dense(vectors, plan, k, N, p, pieces, step)
                    _backward_bias(vectors, plan, k, N, p, pieces, step)
                passed = barrier(worker.counter, worker.threads, passed)


@inner
def _forward(worker, passed, theta, plan, lists, counters, data, index):
    """Compute the logits, and return how many barriers were passed."""
    last, pieces, N = len(plan.widths) - 1, worker.pieces, index.size
    for p in range(worker.number, pieces, worker.threads):
        mask = mask_of(plan, 0, counters[0], data.first_row)
        if are_used(lists):
            list_pixels(data.x, index, lists, p, pieces, mask)
        else:
            gather_columns(data.x, index, _rows(plan.h, plan, 0, N), p, pieces, mask)
    passed = barrier(worker.counter, worker.threads, passed)
    for k in range(last):
        for p in range(worker.number, pieces, worker.threads):
            first, end = piece_of(plan.widths[k + 1], p, pieces)
            if k == 0 and are_used(lists):
                _forward_listed(theta, plan, lists.by_row, N, first, end, pieces)
            else:
                _forward_dense(theta, plan, k, N, first, end)
            b = _bias(theta, plan, k, first, end)
            if k + 1 < last:
                _add_bias_relu_dropout(plan, k + 1, N, first, b, mask_of(plan, k + 1, counters[k + 1], data.first_row))
            else:
                add_to_rows(_rows(plan.h, plan, last, N), first, b)
        passed = barrier(worker.counter, worker.threads, passed)
    return passed


@inner
def _forward_dense(theta, plan, k, N, first, end):
    """Columns of x W."""
    D, M, W_start = plan.widths[k], plan.widths[k + 1], plan.theta_starts[k]
    if first < end:
        x, W, y = plan.h[plan.h_starts[k] :], theta[W_start + first :], plan.h[plan.h_starts[k + 1] + first :]
        sgemm(False, False, (N, end - first, D), x, D, W, M, y, M)


@inner
def _forward_listed(theta, plan, by_row, N, first, end, pieces):
    """Columns of the first layer's x W."""
    D = plan.widths[0]
    if first < end:
        W, y = theta[D * first : D * end].reshape(D, end - first), _rows(plan.h, plan, 1, N)
        product_of_rows(by_row, W, pieces, y[:, first:end])


@inner
def _backward_dense(vectors, plan, k, N, p, pieces, step):
    """Columns of dx, through dropout and ReLU; the gradient of the same rows of W, and their update."""
    D, M, W_start = plan.widths[k], plan.widths[k + 1], plan.theta_starts[k]
    first, end = piece_of(D, p, pieces)
    if first == end:
        return
    begin, stop = W_start + first * M, W_start + end * M
    x, dz = plan.h[plan.h_starts[k] + first :], plan.dh[plan.h_starts[k + 1] :]
    if k:
        W, dx = vectors.theta[begin:stop], plan.dh[plan.h_starts[k] + first :]
        sgemm(False, True, (N, end - first, M), dz, M, W, M, dx, D)
        _relu_dropout_backward(plan, k, N, first, end)
    sgemm(True, False, (end - first, M, N), x, D, dz, M, vectors.grad[begin:stop], M)
    _update_view(vectors, begin, stop, step)


@inner
def _backward_listed(vectors, plan, by_column, N, p, pieces, step):
    """Columns of the first layer's W, some rows at a time: their gradient and their update."""
    D, M = plan.widths[0], plan.widths[1]
    first, end = piece_of(M, p, pieces)
    dz, width = _rows(plan.dh, plan, 1, N), end - first
    for row in range(0, D if width else 0, UPDATED_ROWS):
        begin, stop = D * first + row * width, D * first + min(row + UPDATED_ROWS, D) * width
        gradient_of_columns(by_column, dz, first, row, vectors.grad[begin:stop].reshape(-1, width))
        _update_view(vectors, begin, stop, step)


@inner
def _backward_bias(vectors, plan, k, N, p, pieces, step):
    """Numbers of b: their gradient and their update."""
    D, M, W_start = plan.widths[k], plan.widths[k + 1], plan.theta_starts[k]
    first, end = piece_of(M, p, pieces)
    begin, stop = W_start + D * M + first, W_start + D * M + end
    sum_rows(_rows(plan.dh, plan, k + 1, N), first, vectors.grad[begin:stop])
    _update_view(vectors, begin, stop, step)


@inner
def _update_view(vectors, begin, stop, step):
    theta, grad, m, v = vectors
    if m.size:
        update(theta[begin:stop], grad[begin:stop], m[begin:stop], v[begin:stop] if v.size else v, step)


@inner
def _rows(work, plan, k, N):
    """Return the view of Dense k's input in `h`, or of its gradient in `dh`: (N, D). The last is that of the logits."""
    D, start = plan.widths[k], plan.h_starts[k]
    return work[start : start + N * D].reshape(N, D)


# ------------------------------------------------------------------------- between the matrix products


@inner
def _add_bias_relu_dropout(plan, k, N, first, b, mask):
    """Columns of Dense k's input dropout(relu(x W + b)), from those of x W."""
    threshold, scale, key, first_row = mask
    y, zero = _rows(plan.h, plan, k, N), np.float32(0)
    for n in range(N):
        row, position = y[n, first : first + b.size], (first_row + n) * y.shape[1] + first
        for m in range(row.size):
            z = row[m] + b[m]
            row[m] = zero if z <= zero else z
        if threshold:
            for m in range(row.size):
                row[m] *= scale if random_bits(position + m, key) >= threshold else zero


@inner
def _bias(theta, plan, k, first, end):
    """Return the view of columns of b."""
    start = plan.theta_starts[k] + plan.widths[k] * plan.widths[k + 1]
    return theta[start + first : start + end]


@inner
def _relu_dropout_backward(plan, k, N, first, end):
    """dx times the scale of the dropout, where ReLU and dropout let a number through: where y > 0"""
    dy, y = _rows(plan.dh, plan, k, N), _rows(plan.h, plan, k, N)
    scale, zero = plan.scales[k], np.float32(0)
    for n in range(N):
        dy_row, y_row = dy[n, first:end], y[n, first:end]
        for m in range(dy_row.size):
            dy_row[m] *= scale if y_row[m] > zero else zero


@inner
def _softmax_cross_entropy(plan, t, index, whole, p, pieces):
    """Compute dz of piece p of the rows; `whole` is the size of the batch. Return summed loss and correct rows."""
    N, last = index.size, len(plan.widths) - 1
    K = plan.widths[last]
    z, dz = _rows(plan.h, plan, last, N), _rows(plan.dh, plan, last, N)
    loss, correct = 0.0, 0
    for n in range(p * N // pieces, (p + 1) * N // pieces):
        z_row, t_row, dz_row = z[n], t[index[n]], dz[n]
        top = z_row.max()
        sum_e, sum_tz = np.float32(0), np.float32(0)
        for k in range(K):
            shifted = z_row[k] - top
            dz_row[k] = np.exp(shifted)
            sum_e += dz_row[k]
            sum_tz += t_row[k] * shifted
        for k in range(K):
            dz_row[k] = (dz_row[k] / sum_e - t_row[k]) / np.float32(whole)
        loss += np.log(sum_e) - sum_tz
        correct += z_row.argmax() == t_row.argmax()
    return loss, correct
