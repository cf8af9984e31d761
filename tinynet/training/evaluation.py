"""Evaluation and prediction: the loss and accuracy of a network over rows, and its answer to each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..losses import Loss, Weighted, WeightedTargets
from ..network import Network
from .input_validation import loss_for, rows_in, targets_in, weights_in
from .loop import Totals, batches, gather

EVALUATION_BATCH = 1000


class Evaluation(NamedTuple):
    """loss = 1/N sum of the rows' losses; accuracy = correct rows / N, or None if the loss has no classes."""

    loss: float
    accuracy: float | None


def evaluate(
    network: Network, x: Any, t: Any, loss: Loss | None = None, *, class_weight: Any = None, sample_weight: Any = None
) -> Evaluation:
    """Return loss and accuracy without dropout. x, t, loss, weights and the errors raised are as in `fit`.

    Weights act on the loss only.
    """
    return evaluate_prepared(network, *prepare(network, loss_for(network, loss), x, t, class_weight, sample_weight))


def evaluate_prepared(network: Network, loss: Loss, x: Array, t: Array) -> Evaluation:
    """Return the same for the results of `prepare`."""
    totals = Totals(network, loss)
    for rows, summed_loss, correct in (network.backend.evaluate_steps or evaluate_steps)(network, loss, x, t):
        totals.add(rows, summed_loss, correct)
    return Evaluation(*totals.means())


def evaluate_steps(network: Network, loss: Loss, x: Array, t: Array) -> Iterator[tuple[int, Array, Array]]:
    """Yield the number of rows of each batch, their summed loss and the number of correct rows.

    A backend may have a compiled version.
    """
    for x_batch, t_batch in batches(network, np.arange(len(x)), EVALUATION_BATCH, x, t):
        z = network.forward(x_batch)
        yield len(z), loss.forward(z, t_batch) * len(z), loss.count_correct(z, t_batch)


def outputs(network: Network, x: Any) -> np.ndarray:
    """Return y = network.forward(x) on the host: logits, values or features (N, ...). x and errors as in `fit`."""
    return network.backend.to_host(_forward(network, x))


def predict(network: Network, x: Any) -> np.ndarray:
    """Return what the outputs mean to the loss that the network was trained with, on the host; x as in `fit`.

    Probabilities (N, K) after SoftmaxCrossEntropy, or before any training; the probability of the second class (N, 1)
    after BinaryCrossEntropy; the outputs themselves (N, M) after MeanSquaredError, Huber or CrossEntropy. Dropout
    does not act. `outputs` returns the bare numbers. Raises ValueError for a network of one output without a loss.
    """
    y = _forward(network, x)
    if network.loss is None and y.shape[-1] == 1:
        raise ValueError(
            "predict does not know what one output means before any training: set network.loss, as to "
            "tn.BinaryCrossEntropy() or tn.MeanSquaredError(), or use tn.outputs"
        )
    return network.backend.to_host(loss_for(network).bind(network.backend).predictions(y))


def _forward(network: Network, x: Any) -> Array:
    x = rows_in(network, x)
    parts = batches(network, np.arange(len(x)), EVALUATION_BATCH, x)
    return network.backend.xp.concatenate([network.forward(part) for (part,) in parts])


def predict_classes(network: Network, x: Any) -> np.ndarray:
    """Return the most probable class of each row, integers (N,). Raises ValueError after a loss without classes."""
    if network.loss and not network.loss.classifies:
        raise ValueError(f"predict_classes takes a network of classes, but this one knows {network.loss}: use predict")
    p = predict(network, x)
    return (p[:, 0] > 0.5).astype(int) if p.shape[-1] == 1 else p.argmax(axis=-1)


def prepare(
    network: Network, loss: Loss, x: Any, t: Any, class_weight: Any = None, sample_weight: Any = None
) -> tuple[Loss, Array, Any]:
    """Return the loss, bound and weighted if there are weights, and the checked rows and targets on the backend."""
    rows = rows_in(network, x)
    first = gather(network, rows, network.backend.to_device(np.arange(1)))
    targets = targets_in(network, loss, t, len(rows), network.forward(first).shape[-1])
    loss.bind(network.backend)
    if class_weight is None and sample_weight is None:
        return loss, rows, targets
    weights = weights_in(network, loss, targets, class_weight, sample_weight)
    return Weighted(loss), rows, WeightedTargets(targets, weights)
