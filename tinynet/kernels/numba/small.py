"""`loop.train_steps` for small networks such as `mlp` makes: many steps in one compiled loop, without BLAS.

A BLAS call, like a call from Python, costs a microsecond, which is five times the time of such a product. Everything
behind the first Dense is stored transposed, (features, N), and so is the first W, (M, D). So the innermost loop always
runs over something long: the pixels of a digit or the rows of a batch. Two functions compute all products, `_dots` and
`_add_weighted_rows`. They take as many rows at once as LLVM still keeps in registers and vectorizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ...arrays import Array
from ...network import Network
from .._mlp import dense_layers
from .functions import inner, jit, random_bits, total
from .plan import (
    ROWS_AT_ONCE,
    Plan,
    Vectors,
    advance,
    copied,
    copy_back,
    evaluation_timetable,
    gather_columns,
    mask_of,
    plan_of,
    step_of,
    timetable_of,
    update,
    vectors_of,
)
from .sparse import NO_LISTS, Lists, are_used, gradient_of_rows, list_pixels, lists_for, product_of_rows

LISTED_UNITS = 32
"""Minimum width of the first layer for which the lists of sparse.py pay off."""

EVALUATED = 64
"""Rows in a batch of an evaluation."""


def train(
    network: Network, optimizer: Any, x: Array, t: Array, order: np.ndarray, batch_size: int
) -> Iterator[tuple[int, float, int]]:
    """Return an iterator that trains. Calling this function already compiles the loop."""
    plan, lists = plan_of(network, batch_size), _lists_for(network, x, batch_size)
    blocks = partial(_blocks, plan, lists)

    def steps(rows: np.ndarray) -> tuple[int, float, int]:
        """Train on copies of the vectors in the loop's layout, and copy them back."""
        vectors, count = vectors_of(network, optimizer), -(-len(rows) // batch_size)
        copies = [copied(vector, blocks) for vector in vectors]
        timetable = timetable_of(network, optimizer, count)
        loss, correct = _steps(Vectors(*copies), plan, lists, timetable, x, t, rows, batch_size)
        copy_back(copies, vectors, blocks)
        advance(network, optimizer, count)
        return len(rows), loss, correct

    steps(order[:0])
    return map(steps, _in_parts(order, batch_size))


def evaluate(network: Network, x: Array, t: Array) -> Iterator[tuple[int, float, int]]:
    plan, lists = plan_of(network, EVALUATED, dropout=False), _lists_for(network, x, EVALUATED)
    vectors = Vectors(copied(network.theta, partial(_blocks, plan, lists)))
    no_steps = evaluation_timetable(network)
    for rows in _in_parts(np.arange(len(x)), EVALUATED):
        yield len(rows), *_steps(vectors, plan, lists, no_steps, x, t, rows, EVALUATED)


def _in_parts(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    rows = batch_size * max(1, ROWS_AT_ONCE // batch_size)
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def _lists_for(network: Network, x: Array, batch_size: int) -> Lists:
    is_wide = dense_layers(network)[0].M >= LISTED_UNITS
    return lists_for(x, batch_size, pieces=1, with_columns=False) if is_wide else NO_LISTS


def _blocks(plan: Plan, lists: Lists, copy: np.ndarray, vector: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Without lists, the first W of the copy is transposed."""
    D, M = (0, 0) if are_used(lists) else plan.widths[:2]
    yield copy[: D * M].reshape(M, D).T, vector[: D * M].reshape(D, M)
    yield copy[D * M :], vector[D * M :]


# ------------------------------------------------------------------------------------------- the step


@jit
def _steps(vectors, plan, lists, timetable, x, t, order, batch_size):
    """Take the steps, and return the summed loss and the number of correct rows."""
    theta, grad, m, v = vectors
    loss, correct, last = 0.0, 0, len(plan.widths) - 1
    K = plan.widths[last]
    targets, columns = np.empty(K * batch_size, np.float32), np.empty((3, batch_size), np.float32)
    for start in range(0, order.size, batch_size):
        index, steps_done = order[start : start + batch_size], start // batch_size
        N, counters = index.size, timetable.counters + steps_done
        t_batch = targets[: K * N].reshape(K, N)
        _gather_transposed(t, index, t_batch)
        _first_layer(theta, plan, lists, x, index, counters[0])
        _other_layers(theta, plan, counters, N)
        z, dz = _features(plan.h, plan, last, N), _features(plan.dh, plan, last, N)
        batch_loss, batch_correct = _softmax_cross_entropy(z, t_batch, dz, columns)
        loss += batch_loss
        correct += batch_correct
        if grad.size:
            _backward(theta, grad, plan, lists, N)
            update(theta, grad, m, v, step_of(timetable, steps_done))
    return loss, correct


@inner
def _first_layer(theta, plan, lists, x, index, counter):
    """The first Dense, transposed: z = (dropout(x) W + b)^T"""
    N, mask = index.size, mask_of(plan, 0, counter, 0)
    W, b = _parameters(theta, plan, 0)
    z = _features(plan.h, plan, 1, N)
    if are_used(lists):
        by_rows = plan.dh[plan.h_starts[1] :][: z.size].reshape(N, -1)
        list_pixels(x, index, lists, 0, 1, mask)
        product_of_rows(lists.by_row, W, 1, by_rows)
        _transpose(by_rows, z)
    else:
        rows = plan.h[: N * plan.widths[0]].reshape(N, -1)
        gather_columns(x, index, rows, 0, 1, mask)
        _dots(W.reshape(W.shape[1], W.shape[0]), rows, z)
    _add_bias(z, b)


@inner
def _other_layers(theta, plan, counters, N):
    """ReLU, dropout and Dense, layer by layer, transposed: z = W^T y + b"""
    for k in range(1, len(plan.widths) - 1):
        y, z = _features(plan.h, plan, k, N), _features(plan.h, plan, k + 1, N)
        _relu(y)
        if plan.thresholds[k]:
            _drop_columns(y, mask_of(plan, k, counters[k], 0))
        W, b = _parameters(theta, plan, k)
        z[:] = 0
        _add_weighted_rows(W.T, y, z)
        _add_bias(z, b)


@inner
def _backward(theta, grad, plan, lists, N):
    """All gradients, from the last Dense to the first."""
    for k in range(len(plan.widths) - 2, 0, -1):
        y = _features(plan.h, plan, k, N)
        dy, dz = _features(plan.dh, plan, k, N), _features(plan.dh, plan, k + 1, N)
        W, _ = _parameters(theta, plan, k)
        dW, db = _parameters(grad, plan, k)
        _dots(y, dz, dW)
        _sum_rows(dz, db)
        dy[:] = 0
        _add_weighted_rows(W, dz, dy)
        _relu_dropout_backward(dy, y, plan.scales[k])
    dz = _features(plan.dh, plan, 1, N)
    dW, db = _parameters(grad, plan, 0)
    if are_used(lists):
        by_rows = plan.h[plan.h_starts[1] :][: dz.size].reshape(N, -1)
        _transpose(dz, by_rows)
        gradient_of_rows(lists.by_row, by_rows, dW)
    else:
        dW[:] = 0
        rows = plan.h[: N * plan.widths[0]].reshape(N, -1)
        _add_weighted_rows(dz, rows, dW.reshape(dW.shape[1], dW.shape[0]))
    _sum_rows(dz, db)


@inner
def _parameters(vector, plan, k):
    """Return the views W (D, M) and b (M,) of Dense k in theta, or of their gradients in grad."""
    D, M, start = plan.widths[k], plan.widths[k + 1], plan.theta_starts[k]
    stop = start + D * M
    return vector[start:stop].reshape(D, M), vector[stop : stop + M]


@inner
def _features(work, plan, k, N):
    """Return the view of Dense k's input in `h`, or of its gradient in `dh`: (D, N). The last is that of the logits."""
    D, start = plan.widths[k], plan.h_starts[k]
    return work[start : start + D * N].reshape(D, N)


# ------------------------------------------------------------------------------------------- products


@inner
def _dots(a, b, out):
    """out = a b^T, four rows of a by four rows of b. Beyond the end, the last row is repeated."""
    end_a, end_b = a.shape[0] - 1, b.shape[0] - 1
    for i in range(0, end_a + 1, 4):
        i1, i2, i3 = min(i + 1, end_a), min(i + 2, end_a), min(i + 3, end_a)
        a0, a1, a2, a3 = a[i], a[i1], a[i2], a[i3]
        for j in range(0, end_b + 1, 4):
            j1, j2, j3 = min(j + 1, end_b), min(j + 2, end_b), min(j + 3, end_b)
            b0, b1, b2, b3 = b[j], b[j1], b[j2], b[j3]
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = np.float32(0)
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = np.float32(0)
            for k in range(a0.size):
                s00 += a0[k] * b0[k]
                s01 += a0[k] * b1[k]
                s02 += a0[k] * b2[k]
                s03 += a0[k] * b3[k]
                s10 += a1[k] * b0[k]
                s11 += a1[k] * b1[k]
                s12 += a1[k] * b2[k]
                s13 += a1[k] * b3[k]
                s20 += a2[k] * b0[k]
                s21 += a2[k] * b1[k]
                s22 += a2[k] * b2[k]
                s23 += a2[k] * b3[k]
                s30 += a3[k] * b0[k]
                s31 += a3[k] * b1[k]
                s32 += a3[k] * b2[k]
                s33 += a3[k] * b3[k]
            out[i, j], out[i, j1], out[i, j2], out[i, j3] = s00, s01, s02, s03
            out[i1, j], out[i1, j1], out[i1, j2], out[i1, j3] = s10, s11, s12, s13
            out[i2, j], out[i2, j1], out[i2, j2], out[i2, j3] = s20, s21, s22, s23
            out[i3, j], out[i3, j1], out[i3, j2], out[i3, j3] = s30, s31, s32, s33


@inner
def _add_weighted_rows(w, rows, out):
    """out += w rows, seven rows at a time. Beyond the end, the last row is repeated with weight 0."""
    last, zero = rows.shape[0] - 1, np.float32(0)
    for j in range(0, last + 1, 7):
        j1, j2, j3 = min(j + 1, last), min(j + 2, last), min(j + 3, last)
        j4, j5, j6 = min(j + 4, last), min(j + 5, last), min(j + 6, last)
        r0, r1, r2, r3, r4, r5, r6 = rows[j], rows[j1], rows[j2], rows[j3], rows[j4], rows[j5], rows[j6]
        for i in range(out.shape[0]):
            row = out[i]
            w0 = w[i, j]
            w1 = w[i, j1] if j + 1 <= last else zero
            w2 = w[i, j2] if j + 2 <= last else zero
            w3 = w[i, j3] if j + 3 <= last else zero
            w4 = w[i, j4] if j + 4 <= last else zero
            w5 = w[i, j5] if j + 5 <= last else zero
            w6 = w[i, j6] if j + 6 <= last else zero
            for k in range(row.size):
                row[k] += w0 * r0[k] + w1 * r1[k] + w2 * r2[k] + w3 * r3[k] + w4 * r4[k] + w5 * r5[k] + w6 * r6[k]


# ----------------------------------------------------------- between the products, on (features, N)


@inner
def _gather_transposed(t, index, y):
    for n in range(index.size):
        row = t[index[n]]
        for k in range(row.size):
            y[k, n] = row[k]


@inner
def _transpose(a, out):
    for i in range(out.shape[0]):
        row = out[i]
        for j in range(row.size):
            row[j] = a[j, i]


@inner
def _add_bias(y, b):
    for m in range(y.shape[0]):
        row, bias = y[m], b[m]
        for n in range(row.size):
            row[n] += bias


@inner
def _sum_rows(dy, db):
    for m in range(dy.shape[0]):
        db[m] = total(dy[m])


@inner
def _relu(y):
    zero = np.float32(0)
    for m in range(y.shape[0]):
        row = y[m]
        for n in range(row.size):
            row[n] = zero if row[n] <= zero else row[n]


@inner
def _relu_dropout_backward(dy, y, scale):
    """dy times the scale of the dropout, where ReLU and dropout let a number through: where y > 0"""
    zero = np.float32(0)
    for m in range(dy.shape[0]):
        dy_row, y_row = dy[m], y[m]
        for n in range(dy_row.size):
            dy_row[n] = dy_row[n] * scale if y_row[n] > zero else zero


@inner
def _drop_columns(y, mask):
    threshold, scale, key, _ = mask
    zero = np.float32(0)
    for d in range(y.shape[0]):
        row = y[d]
        for n in range(row.size):
            row[n] *= scale if random_bits(n * y.shape[0] + d, key) >= threshold else zero


@inner
def _softmax_cross_entropy(z, t, dz, columns):
    """Compute dz; return summed loss and correct columns. `columns` (3, N) is a work array for maxima and sums."""
    K, N = z.shape
    top, top_t, sum_e = columns[0, :N], columns[1, :N], columns[2, :N]
    answer, truth = np.zeros(N, np.int32), np.zeros(N, np.int32)
    for n in range(N):
        top[n], top_t[n], sum_e[n] = z[0, n], t[0, n], 0
    for k in range(1, K):
        z_k, t_k = z[k], t[k]
        for n in range(N):
            answer[n] = k if z_k[n] > top[n] else answer[n]
            truth[n] = k if t_k[n] > top_t[n] else truth[n]
            top[n] = z_k[n] if z_k[n] > top[n] else top[n]
            top_t[n] = t_k[n] if t_k[n] > top_t[n] else top_t[n]
    loss, correct = 0.0, 0
    for k in range(K):
        z_k, t_k, dz_k = z[k], t[k], dz[k]
        for n in range(N):
            shifted = z_k[n] - top[n]
            loss -= t_k[n] * shifted
            dz_k[n] = np.exp(shifted)
            sum_e[n] += dz_k[n]
    for n in range(N):
        loss += np.log(sum_e[n])
        correct += answer[n] == truth[n]
    for k in range(K):
        t_k, dz_k = t[k], dz[k]
        for n in range(N):
            dz_k[n] = (dz_k[n] / sum_e[n] - t_k[n]) / np.float32(N)
    return loss, correct
