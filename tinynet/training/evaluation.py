"""A network judged: its loss and accuracy over rows, and what it says of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..losses import Loss
from ..network import Network
from .input_validation import loss_for, rows_in, targets_in, weights_in

EVALUATION_BATCH = 1000


class Evaluation(NamedTuple):
    """loss = 1/N sum of the rows' losses, accuracy = right rows / N (None if the loss knows no classes)."""

    loss: float
    accuracy: float | None


def evaluate(
    network: Network, x: Any, t: Any, loss: Loss | None = None, *, class_weight: Any = None, sample_weight: Any = None
) -> Evaluation:
    """Loss and accuracy without dropout; x, t, loss and weights as in `fit`, and so are the errors that it raises.

    Weights act on the loss alone.
    """
    loss = loss_for(network, loss)
    return evaluate_prepared(network, *prepare(network, loss, x, t, class_weight, sample_weight))


def evaluate_prepared(network: Network, loss: Loss, x: Array, t: Array) -> Evaluation:
    """The same, from what `prepare` gives."""
    totals = Totals(network, loss)
    for rows, summed_loss, correct in (network.backend.evaluate_steps or evaluate_steps)(network, loss, x, t):
        totals.add(rows, summed_loss, correct)
    return totals.means()


def evaluate_steps(network: Network, loss: Loss, x: Array, t: Array) -> Iterator[tuple[int, Array, Array]]:
    """Yields rows, their summed loss and their right answers. A backend may hold a faster version."""
    for x_batch, t_batch in batches(network, np.arange(len(x)), EVALUATION_BATCH, x, t):
        z = network.forward(x_batch)
        yield len(z), loss.forward(z, t_batch) * len(z), loss.count_correct(z, t_batch)


def outputs(network: Network, x: Any) -> np.ndarray:
    """y = network.forward(x) as it is: logits, values, features (N, ...), on the host. x and errors as in `fit`."""
    return network.backend.to_host(_forward(network, x))


def predict(network: Network, x: Any) -> np.ndarray:
    """What the outputs mean to the loss that the network was trained with, on the host; x as in `fit`.

    Probabilities (N, K) after SoftmaxCrossEntropy, or before any training; the probability of the second class (N, 1)
    after BinaryCrossEntropy; the outputs themselves (N, M) after MeanSquaredError, Huber or CrossEntropy. Dropout
    never acts here. `outputs` gives the bare numbers. ValueError for one output without a loss to say what it means.
    """
    y = _forward(network, x)
    if network.loss is None and y.shape[-1] == 1:
        raise ValueError(
            "predict does not know what one output means before any training: set network.loss, as to "
            "tn.BinaryCrossEntropy() or tn.MeanSquaredError(), or use tn.outputs"
        )
    return network.backend.to_host(loss_for(network).predictions(y))


def _forward(network: Network, x: Any) -> Array:
    x = rows_in(network, x)
    parts = batches(network, np.arange(len(x)), EVALUATION_BATCH, x)
    return network.backend.xp.concatenate([network.forward(part) for (part,) in parts])


def predict_classes(network: Network, x: Any) -> np.ndarray:
    """The most probable class of each row: whole numbers (N,), on the host. ValueError after a loss without classes."""
    if network.loss and not network.loss.classifies:
        raise ValueError(f"predict_classes takes a network of classes, but this one knows {network.loss}: use predict")
    p = predict(network, x)
    return (p[:, 0] > 0.5).astype(int) if p.shape[-1] == 1 else p.argmax(axis=-1)


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
        return Evaluation(loss, accuracy if self.classifies else None)


def prepare(
    network: Network, loss: Loss, x: Any, t: Any, class_weight: Any = None, sample_weight: Any = None
) -> tuple[Loss, Array, Array]:
    """The loss, weighted if weights are given, and rows and targets, checked, where the network lives."""
    rows = rows_in(network, x)
    loss, targets = weights_in(network, loss, targets_in(network, loss, t, rows), class_weight, sample_weight)
    return loss, rows, targets
