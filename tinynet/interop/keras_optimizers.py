"""Reads the optimizer in a Keras file: its settings, its step count and its slots."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..files.archive import require
from ..network import Network
from ..optim import SGD, Adam, Optimizer, RMSProp
from .keras_arguments import OPTIMIZERS, is_from_keras, unusual
from .keras_files import Contents
from .keras_layers import Part


class KerasAdam(Adam):
    """theta <- theta - lr m^ / (sqrt(v^) + eps / sqrt(1 - beta2^k))        at step k, Keras's rule: see `Adam`"""

    def update(self, lr: float) -> None:
        eps = self.eps / math.sqrt(1 - self.beta2**self.step_count)
        self.ops.adam(self.theta, self.grad, self.m, self.v, self.step_count, lr, self.beta1, self.beta2, eps)


class KerasRMSProp(RMSProp):
    """v <- rho v + (1 - rho) g^2,  theta <- theta - lr g / sqrt(v + eps)        Keras's rule: see `RMSProp`"""

    def update(self, lr: float) -> None:
        self.v *= self.rho
        self.v += (1 - self.rho) * self.grad**2
        self.theta -= lr * self.grad / self.network.backend.xp.sqrt(self.v + self.eps)


ADAM = {"beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}
READERS: dict[str, tuple[type[Optimizer], dict[str, str]]] = {
    "SGD": (SGD, {"momentum": "momentum", "nesterov": "nesterov"}),
    "Adam": (KerasAdam, ADAM),
    "AdamW": (KerasAdam, ADAM),
    "RMSprop": (KerasRMSProp, {"rho": "rho", "epsilon": "eps"}),
}
"""For each optimizer of Keras, ours and the names of the arguments that both have."""

OPTIONAL = {"weight_decay": "weight_decay", "global_clipnorm": "clip_norm"}
"""Arguments of all optimizers, None or 0 for none."""


def optimizer_of(network: Network, parts: list[Part], found: Contents, lr: float | None) -> Optimizer:
    """Return the optimizer in the file. Raises ModelFileError if it has none, or if tinynet does not have its rule."""
    said: Any = found.training.get("optimizer")
    require(isinstance(said, dict), "it was saved without an optimizer; from_keras reads its network")
    name, options = f"{said.get('class_name')}".rpartition(">")[2], said.get("config") or {}
    supported = name in READERS and is_from_keras(said)
    require(supported, f"its optimizer is {said.get('registered_name') or name}; supported are {', '.join(READERS)}")
    others = unusual(OPTIMIZERS, name, options, "changes the training", "changes the outputs")
    require(not others, f"its {name} has {', '.join(others)}, which tinynet does not support")
    rate: Any = lr if lr is not None else options.get("learning_rate", options.get("lr"))
    require(not isinstance(rate, dict), "its learning rate was a schedule; pass the schedule to resume_keras as lr=")
    kind, names = READERS[name]
    missing = [theirs for theirs in names if options.get(theirs) is None]
    require(not missing, f"the {', '.join(missing)} of its {name} is missing")
    settings = {ours: options[theirs] for theirs, ours in names.items()}
    settings |= {ours: options[theirs] for theirs, ours in OPTIONAL.items() if options.get(theirs)}
    optimizer = kind(network, rate, **settings)
    counts = [int(value) for value in found.optimizer if value.shape == () and value.dtype.kind in "iu"]
    optimizer.step_count = max(counts, default=0)
    _fill_slots(optimizer, parts, [value for value in found.optimizer if value.shape])
    return optimizer


def with_rate(optimizer: Optimizer, lr: Any) -> Optimizer:
    """Return a copy with another learning rate. An invalid rate raises its own error, not that of a file."""
    again = type(optimizer)(optimizer.network, **optimizer.config() | {"lr": lr})
    again.step_count = optimizer.step_count
    for name in optimizer.slots:
        getattr(again, name)[...] = getattr(optimizer, name)
    return again


def divide_velocity(sgd: SGD) -> None:
    """Convert Keras's velocity, which is -lr v, to v. Raises ValueError if the learning rate is 0."""
    if not sgd.momentum:
        return
    if not sgd.rate:
        raise ValueError(
            f"resume_keras: expected a learning rate above 0 at step {sgd.step_count}, got 0. Keras's velocity holds "
            "the learning rate and is divided by it; pass another lr="
        )
    sgd.velocity[...] /= -sgd.rate


def _fill_slots(optimizer: Optimizer, parts: list[Part], state: list[np.ndarray]) -> None:
    """Fill the slots. New files hold the arrays parameter by parameter, old ones slot by slot."""
    trained = [(k, name) for k, part in enumerate(parts) for name in part.arrays if name in part.layer.shapes()]
    trained = [(k, name) for k, name in trained if parts[k].layer.trainable]
    shapes = [parts[k].arrays[name].shape for k, name in trained]
    slots = len(optimizer.slots)
    found = [value.shape for value in state[: slots * len(trained)]]
    if not found:
        return
    by_parameter = found == [shape for shape in shapes for _ in range(slots)]
    fits = by_parameter or found == shapes * slots
    require(fits, f"its optimizer has arrays {found}, and its parameters are {shapes}")
    for slot, slot_name in enumerate(optimizer.slots):
        kept = state[slot::slots] if by_parameter else state[slot * len(trained) :]
        values = dict(zip(trained, kept, strict=False))
        pieces = [
            np.ravel(part.ours(name, values[k, name]) if (k, name) in values else np.zeros(shape))
            for k, part in enumerate(parts)
            for name, shape in part.layer.shapes().items()
        ]
        vector = np.concatenate(pieces).astype(optimizer.network.dtype)
        getattr(optimizer, slot_name)[...] = optimizer.network.backend.to_device(vector)
