"""A network judged: its loss and accuracy over rows, and what it says of each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..functions import softmax
from ..layers import Dense, Softmax
from ..losses import CrossEntropy, Loss, SoftmaxCrossEntropy
from ..network import Network
from .input_validation import rows_in, targets_in

EVALUATION_BATCH = 1000


class Evaluation(NamedTuple):
    """Mean loss over the rows, and the share of rows whose class is right (nan if the loss knows no classes)."""

    loss: float
    accuracy: float


def evaluate(network: Network, x: Any, t: Any, loss: Loss | None = None) -> Evaluation:
    """Loss and accuracy without dropout; x, t and loss as in `fit`."""
    loss = loss_for(network, loss)
    return evaluate_prepared(network, loss, *prepare(network, loss, x, t))


def evaluate_prepared(network: Network, loss: Loss, x: Array, t: Array) -> Evaluation:
    """The same, from what `prepare` gives."""
    totals = Totals(network, loss)
    for x_batch, t_batch in batches(network, np.arange(len(x)), EVALUATION_BATCH, x, t):
        z = network.forward(x_batch)
        totals.add(len(z), loss.forward(z, t_batch) * len(z), network.backend.ops.count_correct(z, t_batch))
    return totals.means()


def predict(network: Network, x: Any) -> np.ndarray:
    """Probabilities (N, K), on the host: softmax of the network's output, or the output if it ends in Softmax.

    x as in `fit`. Dropout never acts here. For the bare output, as after MeanSquaredError, use `network.forward`.
    """
    x, place = rows_in(network, x), network.backend
    parts = batches(network, np.arange(len(x)), EVALUATION_BATCH, x)
    y = place.to_host(place.xp.concatenate([network.forward(part) for (part,) in parts]))
    if y.shape[-1] == 1:
        raise ValueError("predict gives probabilities of classes, but this network has one output: use network.forward")
    return y if _ends_in_softmax(network) else softmax(y)


def predict_classes(network: Network, x: Any) -> np.ndarray:
    """The most probable class of each row: whole numbers (N,), on the host."""
    return predict(network, x).argmax(axis=-1)


def batches(network: Network, order: np.ndarray, size: int, *arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The arrays' rows in that order, `size` at a time, in the network's dtype; the last batch may be short."""
    index, gather = network.backend.to_device(order), network.backend.ops.gather
    for start in range(0, len(order), size):
        rows = index[start : start + size]
        yield tuple([gather(array, rows, network.dtype) for array in arrays])


class Totals:
    """Loss and right answers, added up where the arrays live; `means` fetches both at once."""

    def __init__(self, network: Network, loss: Loss) -> None:
        self.backend, self.classifies = network.backend, loss.classifies
        self.rows, self.loss, self.correct = 0, 0, 0

    def add(self, rows: int, summed_loss: Array, correct: Array) -> None:
        self.rows += rows
        self.loss += summed_loss
        self.correct += correct

    def means(self) -> Evaluation:
        totals = self.backend.to_host(self.backend.xp.stack([self.loss, self.correct]))
        loss, accuracy = (totals / self.rows).tolist()
        return Evaluation(loss, accuracy if self.classifies else math.nan)


def prepare(network: Network, loss: Loss, x: Any, t: Any) -> tuple[Array, Array]:
    """Rows and targets, checked, where the network lives."""
    rows = rows_in(network, x)
    return rows, targets_in(network, loss, t, rows)


def _ends_in_softmax(network: Network) -> bool:
    return isinstance(network[-1], Softmax)


def loss_for(network: Network, loss: Loss | None) -> Loss:
    """The loss, or the usual one for this network, with the backend's functions. ValueError if the two do not fit."""
    usual = CrossEntropy if _ends_in_softmax(network) else SoftmaxCrossEntropy
    if isinstance(loss, SoftmaxCrossEntropy) and usual is CrossEntropy:
        raise ValueError("SoftmaxCrossEntropy takes logits, but the network ends in Softmax: use CrossEntropy")
    if isinstance(loss, CrossEntropy) and isinstance(network[-1], Dense):
        raise ValueError("CrossEntropy takes probabilities, but the network ends in Dense: use SoftmaxCrossEntropy")
    if not isinstance(loss, Loss | None):
        raise TypeError(f"loss must be a Loss, as SoftmaxCrossEntropy() is; got {loss!r}")
    loss = usual() if loss is None else loss
    loss.ops = network.backend.ops
    return loss
