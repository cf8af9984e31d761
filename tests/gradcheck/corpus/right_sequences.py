"""Right functions of sequences: recurrent cells, attention and embeddings."""

from __future__ import annotations

import math

import numpy as np

from tinynet import functions as F

from . import Case
from .case_builders import Function, function

# ------------------------------------------------------------------------------------------- recurrent


def dense_gradients(dz, x, W):
    """Return dx, dW and db of z = x W + b, for b (M,)."""
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


def rnn_step(x, h, W, U, b):
    """h' = tanh(x W + h U + b)        x (N, D), h (N, H)"""
    return np.tanh(x @ W + h @ U + b)


def rnn_step_backward(dy, x, h, W, U, b):
    dz = dy * (1 - rnn_step(x, h, W, U, b) ** 2)
    dx, dW, db = dense_gradients(dz, x, W)
    return dx, dz @ U.T, dW, h.T @ dz, db


def rnn(x, h, W, U, b):
    """Return the states of all steps        x (T, N, D), h (N, H) -> y (T, N, H)"""
    states = []
    for row in x:
        h = rnn_step(row, h, W, U, b)
        states.append(h)
    return np.stack(states)


def rnn_backward(dy, x, h, W, U, b):
    states = [h, *rnn(x, h, W, U, b)]
    dx, totals, dh = np.zeros_like(x), [np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)], np.zeros_like(h)
    for step in reversed(range(len(x))):
        dx[step], dh, *found = rnn_step_backward(dy[step] + dh, x[step], states[step], W, U, b)
        totals = [total + part for total, part in zip(totals, found, strict=True)]
    return dx, dh, *totals


def last_state(x, h, W, U, b):
    return rnn(x, h, W, U, b)[-1]


def last_state_backward(dy, x, h, W, U, b):
    every = np.zeros((len(x), *dy.shape))
    every[-1] = dy
    return rnn_backward(every, x, h, W, U, b)


def lstm_gates(x, h, W, U, b):
    i, f, g, o = np.split(x @ W + h @ U + b, 4, axis=-1)
    return F.sigmoid(i), F.sigmoid(f), np.tanh(g), F.sigmoid(o)


def lstm(x, h, c, W, U, b):
    """Return h' and c' as one array (2, N, H)        Hochreiter and Schmidhuber 1997; Gers et al. 2000"""
    i, f, g, o = lstm_gates(x, h, W, U, b)
    c = f * c + i * g
    return np.stack([o * np.tanh(c), c])


def lstm_backward(dy, x, h, c, W, U, b):
    i, f, g, o = lstm_gates(x, h, W, U, b)
    tanh_c = np.tanh(f * c + i * g)
    dc = dy[1] + dy[0] * o * (1 - tanh_c**2)
    gates = [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dy[0] * tanh_c * o * (1 - o)]
    dz = np.concatenate(gates, axis=-1)
    dx, dW, db = dense_gradients(dz, x, W)
    return dx, dz @ U.T, dc * f, dW, h.T @ dz, db


def lstm_steps(x, h, c, W, U, b):
    """Return the last h and c        x (T, N, D)"""
    for row in x:
        h, c = lstm(row, h, c, W, U, b)
    return np.stack([h, c])


def lstm_steps_backward(dy, x, h, c, W, U, b):
    before = []
    for row in x:
        before.append((h, c))
        h, c = lstm(row, h, c, W, U, b)
    dx, totals = np.zeros_like(x), [np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)]
    for step in reversed(range(len(x))):
        dx[step], dh, dc, *found = lstm_backward(dy, x[step], *before[step], W, U, b)
        dy, totals = np.stack([dh, dc]), [total + part for total, part in zip(totals, found, strict=True)]
    return dx, *dy, *totals


def gru_gates(x, h, W, U, b):
    H = h.shape[-1]
    r, u = np.split(F.sigmoid((x @ W + b)[:, : 2 * H] + h @ U[:, : 2 * H]), 2, axis=-1)
    return r, u, np.tanh((x @ W + b)[:, 2 * H :] + (r * h) @ U[:, 2 * H :])


def gru(x, h, W, U, b):
    """h' = (1 - u) h + u n, with a reset gate r inside n        Cho et al. 2014"""
    _, u, n = gru_gates(x, h, W, U, b)
    return (1 - u) * h + u * n


def gru_backward(dy, x, h, W, U, b):
    H = h.shape[-1]
    r, u, n = gru_gates(x, h, W, U, b)
    dn = dy * u * (1 - n**2)
    d_reset = dn @ U[:, 2 * H :].T
    dr, du = d_reset * h * r * (1 - r), dy * (n - h) * u * (1 - u)
    gates, dz = np.hstack([dr, du]), np.hstack([dr, du, dn])
    dx, dW, db = dense_gradients(dz, x, W)
    dU = np.hstack([h.T @ gates, (r * h).T @ dn])
    return dx, dy * (1 - u) + d_reset * r + gates @ U[:, : 2 * H].T, dW, dU, db


def minimal_gated_unit(x, h, W, U):
    """h' = (1 - f) h + f tanh(x W), f = sigmoid(h U)"""
    f = F.sigmoid(h @ U)
    return (1 - f) * h + f * np.tanh(x @ W)


def minimal_gated_unit_backward(dy, x, h, W, U):
    f, n = F.sigmoid(h @ U), np.tanh(x @ W)
    df, dn = dy * (n - h) * f * (1 - f), dy * f * (1 - n**2)
    return dn @ W.T, dy * (1 - f) + df @ U.T, x.T @ dn, h.T @ df


def exponential_average(x, rate):
    """y_t = rate y_t-1 + (1 - rate) x_t, y_-1 = 0        x (T, N), rate (N,)"""
    y, rows = np.zeros_like(x[0]), []
    for row in x:
        y = rate * y + (1 - rate) * row
        rows.append(y)
    return np.stack(rows)


def exponential_average_backward(dy, x, rate):
    y = np.vstack([np.zeros_like(x[:1]), exponential_average(x, rate)])
    dx, drate, carried = np.zeros_like(x), np.zeros_like(rate), np.zeros_like(x[0])
    for step in reversed(range(len(x))):
        carried = dy[step] + carried
        dx[step] = carried * (1 - rate)
        drate += carried * (y[step] - x[step])
        carried = carried * rate
    return dx, drate


def recurrent(name: str, forward: Function, backward: Function, *shapes) -> Case:
    return function("recurrent", name, forward, backward, *shapes)


RNN, LSTM, GRU = [(3, 2), (2, 2), (2,)], [(3, 8), (2, 8), (8,)], [(3, 6), (2, 6), (6,)]
RECURRENT = [
    recurrent("RNN cell", rnn_step, rnn_step_backward, (4, 3), (4, 2), *RNN),
    recurrent("RNN over 4 steps", rnn, rnn_backward, (4, 2, 3), (2, 2), *RNN),
    recurrent("RNN over 4 steps, last state", last_state, last_state_backward, (4, 2, 3), (2, 2), *RNN),
    recurrent("RNN over 4 steps, one row", rnn, rnn_backward, (4, 1, 3), (1, 2), *RNN),
    recurrent("RNN over 8 steps, last state", last_state, last_state_backward, (8, 1, 3), (1, 2), *RNN),
    recurrent("LSTM cell", lstm, lstm_backward, (4, 3), (4, 2), (4, 2), *LSTM),
    recurrent("LSTM cell, one row", lstm, lstm_backward, (1, 3), (1, 2), (1, 2), *LSTM),
    recurrent("LSTM over 3 steps", lstm_steps, lstm_steps_backward, (3, 2, 3), (2, 2), (2, 2), *LSTM),
    recurrent("GRU cell", gru, gru_backward, (4, 3), (4, 2), *GRU),
    recurrent("GRU cell, one row", gru, gru_backward, (1, 3), (1, 2), *GRU),
    recurrent("minimal gated unit", minimal_gated_unit, minimal_gated_unit_backward, (4, 3), (4, 2), (3, 2), (2, 2)),
    recurrent(
        "exponential average", exponential_average, exponential_average_backward, (6, 3), np.array([0.1, 0.5, 0.9])
    ),
]


# ------------------------------------------------------------------------------------------- attention


def attention(q, k, v, mask=True):
    """y = softmax(q k^T / sqrt D) v        q (..., I, D), k (..., J, D), v (..., J, M), mask (I, J) of booleans

    Vaswani et al. 2017, equation 1.
    """
    return F.softmax(scores(q, k, mask)) @ v


def scores(q, k, mask=True):
    return np.where(mask, q @ k.mT / math.sqrt(q.shape[-1]), -1e9)


def attention_backward(dy, q, k, v, mask=True):
    p = F.softmax(scores(q, k, mask))
    ds = F.softmax_backward(dy @ v.mT, p) / math.sqrt(q.shape[-1])
    return ds @ k, ds.mT @ q, p.mT @ dy


def masked_attention_backward(dy, q, k, v, mask):
    return *attention_backward(dy, q, k, v, mask), None


def causal_attention(x):
    return attention(x, x, x, np.tri(len(x), dtype=bool))


def causal_attention_backward(dy, x):
    return sum(attention_backward(dy, x, x, x, np.tri(len(x), dtype=bool)))


HEADS = 2


def split_heads(x):
    """x (N, heads D) -> (heads, N, D)"""
    return x.reshape(len(x), HEADS, -1).swapaxes(0, 1)


def join_heads(x):
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def multi_head(x, source, Wq, Wk, Wv, Wo):
    heads = attention(split_heads(x @ Wq), split_heads(source @ Wk), split_heads(source @ Wv))
    return join_heads(heads) @ Wo


def multi_head_backward(dy, x, source, Wq, Wk, Wv, Wo):
    parts = split_heads(x @ Wq), split_heads(source @ Wk), split_heads(source @ Wv)
    dq, dk, dv = map(join_heads, attention_backward(split_heads(dy @ Wo.T), *parts))
    dsource = dk @ Wk.T + dv @ Wv.T
    return dq @ Wq.T, dsource, x.T @ dq, source.T @ dk, source.T @ dv, join_heads(attention(*parts)).T @ dy


def additive_attention(q, k, v, w):
    """y = softmax(tanh(q_i + k_j) w) v        Bahdanau et al. 2015"""
    return F.softmax(np.tanh(q[:, None] + k) @ w) @ v


def additive_attention_backward(dy, q, k, v, w):
    a = np.tanh(q[:, None] + k)
    p = F.softmax(a @ w)
    ds = F.softmax_backward(dy @ v.T, p)
    da = ds[..., None] * w * (1 - a * a)
    return da.sum(axis=1), da.sum(axis=0), p.T @ dy, np.einsum("ij,ijd->d", ds, a)


def linear_attention(q, k, v):
    return np.exp(q) @ (np.exp(k).T @ v)


def linear_attention_backward(dy, q, k, v):
    q, k = np.exp(q), np.exp(k)
    return dy @ (k.T @ v).T * q, v @ (q.T @ dy).T * k, k @ (q.T @ dy)


MASK = np.tri(3, 5, 1, dtype=bool)
ATTENTION = [
    function("attention", f"{name} attention", forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("scaled dot-product", attention, attention_backward, [(3, 4), (5, 4), (5, 2)]),
        ("batched", attention, attention_backward, [(2, 3, 4), (2, 5, 4), (2, 5, 2)]),
        ("masked", attention, masked_attention_backward, [(3, 4), (5, 4), (5, 2), MASK]),
        ("batched and masked", attention, masked_attention_backward, [(2, 3, 4), (2, 5, 4), (2, 5, 2), MASK]),
        ("one key", attention, attention_backward, [(3, 4), (1, 4), (1, 2)]),
        ("causal self-", causal_attention, causal_attention_backward, [(4, 3)]),
        ("multi-head", multi_head, multi_head_backward, [(3, 4), (5, 4), *[(4, 4)] * 4]),
        ("additive", additive_attention, additive_attention_backward, [(3, 4), (5, 4), (5, 2), (4,)]),
        ("linear", linear_attention, linear_attention_backward, [(3, 2), (4, 2), (4, 3)]),
    ]
]


# ------------------------------------------------------------------------------------------ embeddings


def rows_added(dy, index, table):
    """Return dtable: dy added at the rows of the index."""
    dtable = np.zeros_like(table)
    np.add.at(dtable, index, dy)
    return dtable


def lookup(index, table):
    return table[index]


def lookup_backward(dy, index, table):
    return None, rows_added(dy, index, table)


def bag(index, table):
    return table[index].sum(axis=1)


def bag_backward(dy, index, table):
    return None, rows_added(np.broadcast_to(dy[:, None], (*index.shape, dy.shape[-1])), index, table)


def weighted_bag(index, weights, table):
    return np.einsum("nk,nkd->nd", weights, table[index])


def weighted_bag_backward(dy, index, weights, table):
    return None, np.einsum("nd,nkd->nk", dy, table[index]), rows_added(weights[..., None] * dy[:, None], index, table)


def padded(index, table):
    """Row 0 stands for padding: its output is zero."""
    return np.where((index == 0)[..., None], 0, table[index])


def padded_backward(dy, index, table):
    return None, rows_added(np.where((index == 0)[..., None], 0, dy), index, table)


def with_positions(index, table, positions):
    return table[index] + positions


def with_positions_backward(dy, index, table, positions):
    return None, rows_added(dy, index, table), dy.sum(axis=0)


def tied(index, table):
    """Return the logits of a model that uses one table for its inputs and outputs."""
    return table[index] @ table.T


def tied_backward(dy, index, table):
    return None, rows_added(dy @ table, index, table) + dy.T @ table[index]


WORDS = np.array([[1, 0, 3], [3, 3, 4]])
EMBEDDINGS = [
    function("embedding", f"embedding, {name}", forward, backward, *inputs)
    for name, forward, backward, inputs in [
        ("each row once", lookup, lookup_backward, [np.arange(5)[::-1].copy(), (5, 3)]),
        ("repeated rows", lookup, lookup_backward, [np.array([2, 2, 0, 2]), (4, 3)]),
        ("sentences", lookup, lookup_backward, [WORDS, (6, 2)]),
        ("negative indices", lookup, lookup_backward, [np.array([-1, 0, 3]), (4, 3)]),
        ("sum of a bag", bag, bag_backward, [WORDS, (6, 2)]),
        ("weighted bag", weighted_bag, weighted_bag_backward, [WORDS, (2, 3), (6, 2)]),
        ("padding", padded, padded_backward, [WORDS, (5, 3)]),
        ("positions", with_positions, with_positions_backward, [WORDS, (5, 4), (3, 4)]),
        ("tied to the outputs", tied, tied_backward, [np.array([0, 2, 2]), (4, 3)]),
    ]
]

CASES = [*RECURRENT, *ATTENTION, *EMBEDDINGS]
