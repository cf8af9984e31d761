"""The training loop: batches, one step, one epoch. `fit` adds validation and listeners."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..arrays import Array, rng
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from .history import Record

Steps = Callable[..., Iterator[tuple[int, Array, Array]]]
"""A function with the signature of `train_steps`."""


def train_steps(
    network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
) -> Iterator[tuple[int, Array, Array]]:
    """Take one training step for every `batch_size` rows of x[order] and t[order].

    Yields the number of rows of each step, their summed loss and the number of correct rows. A backend may have a
    compiled version.
    """
    for x_batch, t_batch in batches(network, order, batch_size, x, t):
        z = network.forward(x_batch, train=True)
        batch_loss = loss.forward(z, t_batch)
        network.backward(loss.backward())
        optimizer.step()
        yield len(z), batch_loss * len(z), loss.count_correct(z, t_batch)


def train_epoch(
    network: Network,
    optimizer: Optimizer,
    loss: Loss,
    x: Array,
    t: Array,
    batch_size: int,
    steps: Steps = train_steps,
) -> Record:
    """Train on all rows of x and t once, in a new order, and return the Record of this epoch."""
    start, lr, totals = time.perf_counter(), optimizer.rate, Totals(network, loss)
    order = rng.generator(network.seed, "shuffle", network.epoch).permutation(len(x))
    for rows, summed_loss, correct in steps(network, optimizer, loss, x, t, order, batch_size):
        totals.add(rows, summed_loss, correct)
    network.epoch += 1
    loss_and_accuracy = totals.means()  # waits until a device has finished
    seconds = time.perf_counter() - start
    network.check_views()
    optimizer.check_vectors()
    return Record(network.epoch, *loss_and_accuracy, seconds=seconds, rows=totals.rows, lr=lr)


def batches(network: Network, order: np.ndarray, size: int, *arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the arrays' rows in that order, `size` at a time, in the network's dtype; the last batch may be short.

    An array may also be a tuple of arrays, such as WeightedTargets.
    """
    index = network.backend.to_device(order)
    for start in range(0, len(order), size):
        rows = index[start : start + size]
        yield tuple([gather(network, array, rows) for array in arrays])


def gather(network: Network, array: Any, rows: Array) -> Any:
    """Return these rows of an array, or of each array of a tuple."""
    if isinstance(array, tuple):
        return type(array)(*(gather(network, part, rows) for part in array))
    return network.ops.gather(array, rows, network.dtype)


class Totals:
    """Sums of loss and correct rows, added where the arrays live; `means` fetches both in one transfer."""

    def __init__(self, network: Network, loss: Loss) -> None:
        self.backend, self.classifies = network.backend, loss.classifies
        self.rows, self.loss, self.correct = 0, 0, 0

    def add(self, rows: int, summed_loss: Array, correct: Array) -> None:
        """Add the results of one step."""
        self.rows += rows
        self.loss += summed_loss
        self.correct += correct

    def means(self) -> tuple[float, float | None]:
        """Return the mean loss and the accuracy, which is None if the loss has no classes."""
        totals = self.backend.to_host(self.backend.xp.stack([self.loss, self.correct]))
        loss, accuracy = (totals / self.rows).tolist()
        return loss, accuracy if self.classifies else None
