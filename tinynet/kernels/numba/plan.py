"""What the compiled training loops share: a network's layout in memory, dropout masks, and the optimizer's update."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ...network import Network
from ...optim import Adam
from .._mlp import dense_layers, dropouts
from .functions import adam_loop, clip_norm, inner, jit, random_bits, sgd, threshold

ROWS_AT_ONCE = 4096
"""Rows between two returns to Python, so that the progress bar moves and Ctrl-C is noticed."""

LINE = 16
"""float32 numbers in a cache line. Arrays start on one; otherwise half of all wide loads would cross two lines."""

_EMPTY = np.empty(0, np.float32)


class Vectors(NamedTuple):
    """theta, its gradient, and the one or two vectors of the optimizer. Without a gradient nothing is trained."""

    theta: np.ndarray
    grad: np.ndarray = _EMPTY
    m: np.ndarray = _EMPTY
    v: np.ndarray = _EMPTY


class Plan(NamedTuple):
    """The layout of a network in memory, with one entry for each Dense.

    Dense k has W (widths[k], widths[k + 1]); W, and b behind it, start at theta[theta_starts[k]]. Its input starts at
    h[h_starts[k]], and the input's gradient at dh[h_starts[k]]; the last entry is that of the logits. The dropout
    before it has a threshold (0: no dropout), a scale and a random key.
    """

    widths: np.ndarray
    theta_starts: np.ndarray
    h_starts: np.ndarray
    thresholds: np.ndarray
    scales: np.ndarray
    random_keys: np.ndarray
    h: np.ndarray
    dh: np.ndarray


def plan_of(network: Network, batch_size: int, dropout: bool = True) -> Plan:
    dense = dense_layers(network)
    before = dropouts(network) if dropout else [None] * len(dense)
    widths = [layer.D for layer in dense] + [dense[-1].M]
    sizes = [-(-width * batch_size // LINE) * LINE for width in widths]
    return Plan(
        widths=np.array(widths, np.int64),
        theta_starts=np.cumsum([0] + [layer.size for layer in dense[:-1]], dtype=np.int64),
        h_starts=np.cumsum([0, *sizes[:-1]], dtype=np.int64),
        thresholds=np.array([threshold(layer.rate) if layer else 0 for layer in before], np.uint32),
        scales=np.array([1 / (1 - layer.rate) if layer else 1 for layer in before], np.float32),
        random_keys=np.array([layer.random_key if layer else 0 for layer in before], np.uint64),
        h=aligned(sum(sizes)),
        dh=aligned(sum(sizes)),
    )


def aligned(size: int) -> np.ndarray:
    """Return zeros that start on a cache line."""
    array = np.zeros(size + LINE, np.float32)
    start = -(array.ctypes.data // array.itemsize) % LINE
    return array[start : start + size]


Blocks = Callable[[np.ndarray, np.ndarray], Iterable[tuple[np.ndarray, np.ndarray]]]
"""blocks(copy, vector) yields views of the copy, each with the view of the same numbers in the vector."""


def copied(vector: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Return a copy in the layout of a training loop, which starts on a cache line."""
    copy = aligned(vector.size)
    for block, view in blocks(copy, vector):
        block[...] = view
    return copy


def copy_back(copies: list[np.ndarray], vectors: list[np.ndarray], blocks: Blocks) -> None:
    for copy, vector in zip(copies, vectors, strict=True):
        for block, view in blocks(copy, vector):
            view[...] = block


@jit
def piece_of(width, p, pieces):
    """Return the first column of piece p and the end of the piece. Pieces start on cache lines."""
    first, end = p * width // pieces // LINE * LINE, (p + 1) * width // pieces // LINE * LINE
    return first, (width if p + 1 == pieces else end)


# ------------------------------------------------------------------------------------------- dropout


class Mask(NamedTuple):
    """The dropout mask of a batch whose first row has the number `first_row`; the threshold 0 means no dropout."""

    threshold: np.uint32
    scale: np.float32
    key: tuple[np.uint32, np.uint32]
    first_row: int


@inner
def mask_of(plan, k, counter, first_row):
    """Return the mask of the dropout before Dense k."""
    return Mask(plan.thresholds[k], plan.scales[k], fold_in(plan.random_keys[k], counter), first_row)


@inner
def fold_in(key, counter):
    """`rng.fold_in`"""
    word = key + np.uint64(counter + 1) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return np.uint32(word >> np.uint64(32)), np.uint32(word & np.uint64(0xFFFFFFFF))


@inner
def gather_columns(x, index, y, p, pieces, mask):
    """Columns of dropout(x[index]), scaled"""
    threshold, scale, key, first_row = mask
    first, end = piece_of(y.shape[1], p, pieces)
    unit, zero = np.float32(1 / 255 if x.itemsize == 1 else 1), np.float32(0)
    for n in range(index.size):
        x_row, y_row, position = x[index[n], first:end], y[n, first:end], (first_row + n) * y.shape[1] + first
        for d in range(y_row.size):
            y_row[d] = np.float32(x_row[d]) * unit
        if threshold:
            for d in range(y_row.size):
                y_row[d] *= scale if random_bits(position + d, key) >= threshold else zero


# ------------------------------------------------------------------------------------------- optimizer


class Settings(NamedTuple):
    """The settings of Adam or SGD; those of the other one are 0. clip_norm 0 means no clipping."""

    is_adam: bool = False
    nesterov: bool = False
    clip_norm: float = 0.0
    weight_decay: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 0.0
    momentum: float = 0.0


class Timetable(NamedTuple):
    """What changes from step to step: the dropouts' counters and the step count before the first, and all rates."""

    counters: np.ndarray
    step_count: int
    rates: np.ndarray
    settings: Settings


class Step(NamedTuple):
    """What `update` needs for one step. `kept` is the part of theta that weight decay leaves.

    For Adam, `rate` and `eps` include both bias corrections.
    """

    settings: Settings
    rate: float
    eps: float
    kept: float


def timetable_of(network: Network, optimizer: Any, steps: int) -> Timetable:
    """Return the timetable of that many training steps."""
    counters = np.array([layer.counter if layer else 0 for layer in dropouts(network)])
    return Timetable(counters, optimizer.step_count, np.array(optimizer.rates(steps), float), _settings(optimizer))


def evaluation_timetable(network: Network) -> Timetable:
    """Return a timetable for forward passes only."""
    return Timetable(np.zeros(len(dense_layers(network)), int), 0, np.zeros(0), Settings())


def _settings(optimizer: Any) -> Settings:
    numbers = {name: float(getattr(optimizer, name, 0) or 0) for name in Settings._fields[2:]}
    return Settings(isinstance(optimizer, Adam), bool(getattr(optimizer, "nesterov", False)), **numbers)


def vectors_of(network: Network, optimizer: Any) -> list[np.ndarray]:
    """Return theta, its gradient, and the one or two vectors of the optimizer."""
    return [network.theta, network.grad, *(getattr(optimizer, name) for name in optimizer.slots)]


def advance(network: Network, optimizer: Any, steps: int) -> None:
    """Count the steps that were done."""
    optimizer.step_count += steps
    for layer in dropouts(network):
        if layer:
            layer.counter += steps


@inner
def step_of(timetable, steps_done):
    """Return what `update` needs after this many of the timetable's steps."""
    settings, lr = timetable.settings, timetable.rates[steps_done]
    kept = 1 - lr * settings.weight_decay
    if not settings.is_adam:
        return Step(settings, lr, 0.0, kept)
    step_count = timetable.step_count + steps_done + 1
    root = (1 - settings.beta2**step_count) ** 0.5
    return Step(settings, lr / (1 - settings.beta1**step_count) * root, settings.eps * root, kept)


@inner
def update(theta, grad, m, v, step):
    """Apply gradient clipping, weight decay, and Adam or SGD."""
    settings = step.settings
    if settings.clip_norm:
        clip_norm(grad, settings.clip_norm)
    if step.kept != 1:
        factor = np.float32(step.kept)
        for k in range(theta.size):
            theta[k] *= factor
    if settings.is_adam:
        adam_loop(theta, grad, m, v, step.rate, settings.beta1, settings.beta2, step.eps)
    else:
        sgd(theta, grad, m, step.rate, settings.momentum, settings.nesterov)
