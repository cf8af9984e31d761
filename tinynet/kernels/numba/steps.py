"""Compiled `loop.train_steps` and `evaluation.evaluate_steps`, for the networks that small.py or large.py covers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import numpy as np

from ...arrays import Array
from ...layers.bound import walk
from ...losses import Loss
from ...network import Network
from ...optim import Optimizer
from ...training import evaluation, loop
from .._mlp import METHODS, dense_layers, has_covered_optimizer, is_covered, smoothed
from . import large, small
from .blas import HAS_BLAS, one_blas_thread

SMALL, NARROW = 8192, 16
"""A network is small if its width times the batch size is at most SMALL, or its width at most NARROW.

Its width is that of the widest layer. Larger networks are faster with BLAS.
"""


def train_steps(
    network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
) -> Iterator[tuple[int, Array, Array]]:
    batch_size = min(batch_size, len(x))
    if is_covered(network, loss, x) and has_covered_optimizer(network, optimizer):
        given = network, optimizer, _contiguous(x), _contiguous(smoothed(loss, t)), order, batch_size
        if _is_small(network, batch_size):
            return small.train(*given)
        if HAS_BLAS and not optimizer.clip_norm:
            return large.train(*given)
    return _limited(loop.train_steps(network, optimizer, loss, x, t, order, batch_size), x)


_compiled: set[Any] = set()
"""The kinds of networks for which `compile_step` took a step function by function."""


def compile_step(network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, batch_size: int) -> None:
    """Compile what a training step of this network needs, without training it.

    A compiled loop is called with no rows. For other networks, a copy takes one step, once per process and kind. Parts
    that a user wrote are not called.
    """
    if is_covered(network, loss, x) and has_covered_optimizer(network, optimizer):
        train_steps(network, optimizer, loss, x, t, np.arange(0), batch_size)
        return
    parts = [optimizer, loss, *(layer for *_, layer in walk(network.layers))]
    kind = network.dtype, x.dtype, x.ndim, type(network), *map(type, parts)
    is_ours = all(part.__module__.startswith("tinynet.") and not METHODS & vars(part).keys() for part in parts)
    if is_ours and kind not in _compiled:
        _compiled.add(kind)
        copy = deepcopy(optimizer)
        order = np.arange(min(batch_size, len(x)))
        deque(train_steps(copy.network, copy, deepcopy(loss).bind(network.backend), x, t, order, batch_size), maxlen=0)


def evaluate_steps(network: Network, loss: Loss, x: Array, t: Array) -> Iterator[tuple[int, Array, Array]]:
    if is_covered(network, loss, x):
        given = network, _contiguous(x), _contiguous(smoothed(loss, t))
        if _is_small(network, small.EVALUATED):
            return small.evaluate(*given)
        if HAS_BLAS:
            return large.evaluate(*given)
    return _limited(evaluation.evaluate_steps(network, loss, x, t), x)


def share_steps(
    network: Network,
    optimizer: Optimizer,
    loss: Loss,
    x: Array,
    t: Array,
    shares: list[Any],
    all_reduce: Callable[[Array], None],
) -> Iterator[tuple[int, Array, Array]] | None:
    """Compiled `data_parallel.DataParallel.share_steps`, for large networks. Returns None for others."""
    covered = is_covered(network, loss, x) and has_covered_optimizer(network, optimizer)
    if not covered or not HAS_BLAS or _is_small(network, max(share.of for share in shares)):
        return None
    return large.share(network, optimizer, _contiguous(x), _contiguous(smoothed(loss, t)), shares, all_reduce)


def _limited(steps: Iterator[Any], x: Array) -> Iterator[Any]:
    """Yield the steps. For pictures, BLAS gets one thread: its idle threads would spin on the cores that we use."""
    with one_blas_thread() if x.ndim == 4 else nullcontext():
        yield from steps


def _is_small(network: Network, batch_size: int) -> bool:
    widest = max(layer.M for layer in dense_layers(network))
    return widest * batch_size <= SMALL or widest <= NARROW


def _contiguous(array: Array) -> Array:
    """Return the array, C-contiguous and marked as writable: the loops are compiled for such, though they only read."""
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else np.asarray(_Writable(array))


class _Writable:
    """Makes a read-only array, for example a memory map, writable without a copy."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__ | {"data": (array.ctypes.data, False)}
