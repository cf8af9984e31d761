"""Which networks, losses and optimizers the compiled training steps cover: networks such as `mlp` makes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..arrays import Array
from ..arrays.backend import backend
from ..layers import Dense, Dropout, ReLU
from ..losses import Loss, SoftmaxCrossEntropy
from ..network import Network
from ..optim import SGD, Adam, Optimizer

METHODS = {"forward", "backward", "backward_parameters", "step", "update", "rates", "count_correct"}


def is_covered(network: Network, loss: Loss, x: Array) -> bool:
    """Return True if compiled steps cover these layers, this loss and this x.

    They cover no subclasses, and no replaced methods or functions.
    """
    return (
        type(network) is Network
        and _is_mlp(network)
        and type(loss) is SoftmaxCrossEntropy
        and network.dtype == np.float32
        and x.dtype in (np.uint8, np.float32)
        and not any(METHODS & vars(part).keys() for part in (network, loss, *network))
        and vars(network.backend.ops) == vars(backend(network.backend.name.partition(":")[0]).ops)
    )


def _is_mlp(network: Network) -> bool:
    """Return True if Dense and ReLU alternate, Dense is last, and each Dropout is directly before a Dense."""
    kinds = [type(layer) for layer in network]
    others = [kind for kind in kinds if kind is not Dropout]
    return (
        kinds[-1] is Dense
        and others == [Dense, ReLU] * (len(others) // 2) + [Dense]
        and all(after is Dense for before, after in pairwise(kinds) if before is Dropout)
    )


def has_covered_optimizer(network: Network, optimizer: Optimizer) -> bool:
    """Return True if compiled steps cover the optimizer and no layer is frozen."""
    return (
        type(optimizer) in (SGD, Adam)
        and all(layer.trainable for layer in network)
        and not METHODS & vars(optimizer).keys()
    )


def smoothed(loss: Loss, t: Array) -> Array:
    """Return the targets with the label smoothing of the loss, for all batches at once."""
    amount = loss.config().get("label_smoothing")
    return loss.ops.smooth_labels(t, amount) if amount else t


def dense_layers(network: Network) -> list[Dense]:
    return [layer for layer in network if isinstance(layer, Dense)]


def dropouts(network: Network) -> list[Dropout | None]:
    """Return the Dropout before each Dense, or None."""
    pairs = zip([None, *network], network, strict=False)
    return [before if isinstance(before, Dropout) else None for before, layer in pairs if isinstance(layer, Dense)]
