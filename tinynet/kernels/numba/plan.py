"""What the compiled training loops share: where everything lies in memory, and how theta moves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...network import Network
from ...optim import Adam
from .._mlp import dense_layers, dropouts
from .functions import adam_loop, clip_norm, inner, jit, sgd, threshold

ROWS_AT_ONCE = 4096
"""Rows between two returns to Python, so that the progress bar moves and Ctrl-C is heard."""

LINE = 16
"""Numbers of float32 in a cache line: arrays start on one, for half of all wide loads would cross two otherwise."""


class Plan(NamedTuple):
    """Where everything is. Row k of `layout` is the k-th Dense, a last row the logits: features that go in, where W
    starts in theta, where the input starts in the work arrays `h` (activations) and `dh` (their gradients)."""

    layout: np.ndarray
    thresholds: np.ndarray
    scales: np.ndarray
    random_keys: np.ndarray
    h: np.ndarray
    dh: np.ndarray


def plan_of(network: Network, batch_size: int, dropout: bool = True) -> Plan:
    dense = dense_layers(network)
    before = dropouts(network) if dropout else [None] * len(dense)
    widths = [layer.D for layer in dense] + [dense[-1].M]
    starts = np.cumsum([0] + [layer.size for layer in dense])
    sizes = [-(-width * batch_size // LINE) * LINE for width in widths]
    layout = np.array([widths, starts, np.cumsum([0, *sizes[:-1]])]).T.copy()
    return Plan(
        layout,
        np.array([threshold(layer.rate) if layer else 0 for layer in before], np.uint32),
        np.array([1 / (1 - layer.rate) if layer else 1 for layer in before], np.float32),
        np.array([layer.random_key if layer else 0 for layer in before], np.uint64),
        aligned(sum(sizes)),
        aligned(sum(sizes)),
    )


def aligned(size: int) -> np.ndarray:
    array = np.zeros(size + LINE, np.float32)
    start = -(array.ctypes.data // array.itemsize) % LINE
    return array[start : start + size]


class Timetable(NamedTuple):
    """Of the steps to come: how often each dropout and the optimizer were used before, the rates, the settings."""

    counters: np.ndarray
    done: int
    rates: np.ndarray
    settings: np.ndarray


def timetable(network: Network, optimizer: Any, steps: int) -> Timetable:
    counters = np.array([layer.counter if layer else 0 for layer in dropouts(network)])
    return Timetable(counters, optimizer.step_count, np.array(optimizer.rates(steps), float), settings_of(optimizer))


def without_training(network: Network) -> Timetable:
    """For forward passes alone."""
    return Timetable(np.zeros(len(dense_layers(network)), int), 0, np.zeros(0), np.zeros(0))


def settings_of(optimizer: Any) -> np.ndarray:
    """clip_norm (0: none), weight_decay, then Adam's beta1, beta2, eps, or momentum and nesterov."""
    of_all = optimizer.clip_norm or 0.0, optimizer.weight_decay
    if isinstance(optimizer, Adam):
        return np.array([*of_all, optimizer.beta1, optimizer.beta2, optimizer.eps])
    return np.array([*of_all, optimizer.momentum, float(optimizer.nesterov)])


def advance(network: Network, optimizer: Any, steps: int) -> None:
    """So many steps were done."""
    optimizer.step_count += steps
    for layer in dropouts(network):
        if layer:
            layer.counter += steps


def vectors_of(network: Network, optimizer: Any) -> list[np.ndarray]:
    """theta, its gradient, and the one or two vectors of the optimizer."""
    return [network.theta, network.grad, *(getattr(optimizer, name) for name in optimizer.slots)]


def four(*vectors: np.ndarray) -> tuple[np.ndarray, ...]:
    """These, and empty ones in the place of those that are missing: without a gradient nothing is trained."""
    return *vectors, *[np.empty(0, np.float32)] * (4 - len(vectors))


@inner
def settings_at(timetable, step):
    """What `update` takes in this step: clip_norm, what weight decay leaves, and Adam's corrected rate and settings, or
    lr, momentum and nesterov."""
    _, done, rates, settings = timetable
    largest, lr, keep = settings[0], rates[step], 1 - rates[step] * settings[1]
    if settings.size == 4:
        return largest, keep, lr, settings[2], settings[3], 0.0
    beta1, beta2, t = settings[2], settings[3], done + step + 1
    root = (1 - beta2**t) ** 0.5
    return largest, keep, lr / (1 - beta1**t) * root, beta1, beta2, settings[4] * root


@inner
def update(theta, grad, m, v, now):
    largest, keep, rate, first, second, eps = now
    if largest:
        clip_norm(grad, largest)
    if keep != 1:
        factor = np.float32(keep)
        for k in range(theta.size):
            theta[k] *= factor
    if v.size:
        adam_loop(theta, grad, m, v, rate, first, second, eps)
    else:
        sgd(theta, grad, m, rate, first, second > 0)


@inner
def fold_in(key, counter):
    """`rng.fold_in`"""
    word = key + np.uint64(counter + 1) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return np.uint32(word >> np.uint64(32)), np.uint32(word & np.uint64(0xFFFFFFFF))


@jit
def piece_of(width, p, pieces):
    """First and end of the columns that are piece p: cut where a cache line begins."""
    first, end = p * width // pieces // LINE * LINE, (p + 1) * width // pieces // LINE * LINE
    return first, (width if p + 1 == pieces else end)
