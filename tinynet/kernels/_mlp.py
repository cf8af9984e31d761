"""For which networks whole training steps are written: those that `mlp` makes, trained as `fit` trains them."""

from __future__ import annotations

import re

import numpy as np

from ..arrays import Array
from ..arrays.backend import backend
from ..layers import Dense, Dropout, ReLU
from ..losses import Loss, SoftmaxCrossEntropy
from ..network import Network
from ..optim import SGD, Adam, Optimizer

METHODS = {"forward", "backward", "backward_parameters", "step", "update", "rates", "count_correct"}


def is_covered(network: Network, loss: Loss, x: Array) -> bool:
    """Whether these are the layers, the loss and the arrays for which whole steps are written.

    Objects of one's own classes, methods that were replaced and functions of one's own take the plain steps.
    """
    place = network.backend.alone or network.backend
    letters = {Dense: "D", ReLU: "R", Dropout: "P"}
    return (
        type(network) is Network
        and re.fullmatch("(P?DR)*P?D", "".join(letters.get(type(layer), "?") for layer in network)) is not None
        and type(loss) is SoftmaxCrossEntropy
        and network.dtype == np.float32
        and x.dtype in (np.uint8, np.float32)
        and not any(METHODS & vars(part).keys() for part in (network, loss, *network))
        and vars(place.ops) == vars(backend(place.name.partition(":")[0]).ops)
    )


def has_covered_optimizer(network: Network, optimizer: Optimizer) -> bool:
    """Whether the same holds of the optimizer, and it moves all layers."""
    return (
        type(optimizer) in (SGD, Adam)
        and all(layer.trainable for layer in network)
        and not METHODS & vars(optimizer).keys()
    )


def smoothed(loss: Loss, t: Array) -> Array:
    """The targets that the loss makes of t, for all batches at once."""
    amount = loss.config().get("label_smoothing")
    return loss.ops.smooth_labels(t, amount) if amount else t


def dense_layers(network: Network) -> list[Dense]:
    return [layer for layer in network if isinstance(layer, Dense)]


def dropouts(network: Network) -> list[Dropout | None]:
    """The dropout in front of each Dense."""
    pairs = zip([None, *network], network, strict=False)
    return [before if isinstance(before, Dropout) else None for before, layer in pairs if isinstance(layer, Dense)]
