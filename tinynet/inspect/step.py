"""One training step, and every tensor that it computes, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..layers import Layer
from ..layers.bound import walk
from ..layers.recording import received, recorded
from ..losses import Loss, WeightedTargets
from ..network import Network
from ..optim import Optimizer

Tensors = dict[str, np.ndarray]


class Made(NamedTuple):
    """A tensor: what it is, the tensors it is computed from, by name, and its values."""

    name: str
    given: Tensors
    tensor: np.ndarray


@dataclass(frozen=True)
class Step:
    """The results of a step, on the host: y, dy and |change of theta| / |theta| by layer; z; the loss; all tensors."""

    layers: dict[str, Layer]
    y: Tensors
    z: np.ndarray
    loss: float
    dy: Tensors
    updates: dict[str, float]
    made: list[Made]


def take_step(network: Network, loss: Loss, x: Array, t: Any, optimizer: Optimizer | None = None) -> Step:
    """Take a step as in `train_steps`, and keep all tensors. Without an optimizer it ends with the gradients.

    `updates` has only layers that are updated, and `dy` only layers that a gradient reaches.
    """
    layers, to_host = {name: layer for _, name, layer in walk(network.layers)}, network.backend.to_host
    z, y, given, made = _forward(network, layers, x)
    value = loss.forward(z, t)
    dz = loss.backward()
    targets = t._asdict() if isinstance(t, WeightedTargets) else {"t": t}
    judged = {"y": to_host(z)} | _fetched(network, targets)
    made += [Made("loss", judged, to_host(value)), Made("gradient of the loss", judged, to_host(dz))]
    dy, gradients = _backward(network, layers, dz, given)
    updates, moved = _move(optimizer, layers) if optimizer else ({}, [])
    return Step(layers, y, judged["y"], float(to_host(value)), dy, updates, [*made, *gradients, *moved])


def _forward(
    network: Network, layers: dict[str, Layer], x: Array
) -> tuple[Array, Tensors, dict[str, Tensors], list[Made]]:
    """Return z, y of every layer, each layer's inputs (x, its parameters and buffers), and all tensors."""
    before = _values(layers)
    with received(network.layers, "forward") as xs, recorded(network.layers, "forward") as ys:
        z = network.forward(x, train=True)
    y = _fetched(network, ys)
    given = before | {name: {"x": rows} | before[name] for name, rows in _fetched(network, xs).items()}
    made = [Made(f"{own} of {name} itself", {}, value) for name, own, value in _each(before)]
    made += [Made(f"forward of {name}", given[name], value) for name, value in y.items()]
    made += [Made(f"forward of {name}, its {own}", given[name], value) for name, own, value in _each(_values(layers))]
    return z, y, given, made


def _backward(
    network: Network, layers: dict[str, Layer], dz: Array, given: dict[str, Tensors]
) -> tuple[Tensors, list[Made]]:
    """Return dy of every layer that backward reaches, and all tensors, a layer's gradients before its dx."""
    with (
        received(network.layers, "backward_parameters") as first,
        received(network.layers, "backward") as dys,
        recorded(network.layers, "backward") as dxs,
    ):
        network.backward(dz)
    dy, dx, gradients = _fetched(network, first | dys), _fetched(network, dxs), _gradients(layers)
    made = []
    for name in [*dx, *(name for name in dy if name not in dx)]:
        went_in = {"dy": dy[name]} | given[name]
        made += [Made(f"backward of {name}, its {own}", went_in, value) for own, value in gradients[name].items()]
        made += [Made(f"backward of {name}", went_in, dx[name])] if name in dx else []
    return dy, made


def _move(optimizer: Optimizer, layers: dict[str, Layer]) -> tuple[dict[str, float], list[Made]]:
    """Return |change of theta| / |theta| of each layer, and all tensors, the optimizer's slots first."""
    to_host, who = optimizer.network.backend.to_host, f"step of {type(optimizer).__name__}"
    before, gradients, grad = _values(layers), _gradients(layers), to_host(optimizer.grad).copy()
    optimizer.step()
    after = _values(layers)
    made = [Made(f"{who}, its {slot}", {"grad": grad}, to_host(getattr(optimizer, slot))) for slot in optimizer.slots]
    made += [
        Made(f"{who}, {own} of {name}", before[name] | gradients[name], value) for name, own, value in _each(after)
    ]
    return _ratios(layers, before, after), made


def _ratios(layers: dict[str, Layer], before: dict[str, Tensors], after: dict[str, Tensors]) -> dict[str, float]:
    """Return |change of theta| / |theta| of every layer that is trained and has a theta other than 0."""
    ratios = {}
    for name, layer in layers.items():
        theta, moved = _joined(before[name], [*layer.shapes()]), _joined(after[name], [*layer.shapes()])
        if layer.trainable and theta.any():
            ratios[name] = float(np.linalg.norm(moved - theta) / np.linalg.norm(theta))
    return ratios


def _values(layers: dict[str, Layer]) -> dict[str, Tensors]:
    """Return the parameters and buffers of every layer."""
    return {name: _held(layer, [*layer.shapes(), *layer.buffers()]) for name, layer in layers.items()}


def _gradients(layers: dict[str, Layer]) -> dict[str, Tensors]:
    return {name: _held(layer, [f"d{own}" for own in layer.shapes()]) for name, layer in layers.items()}


def _held(layer: Layer, names: list[str]) -> Tensors:
    return {name: layer.backend.to_host(layer.views[name]).copy() for name in names}


def _fetched(network: Network, found: dict[str, Any]) -> Tensors:
    return {name: network.backend.to_host(value) for name, value in found.items()}


def _each(held: dict[str, Tensors]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield the layer, name and value of every tensor."""
    return ((name, own, value) for name, tensors in held.items() for own, value in tensors.items())


def _joined(tensors: Tensors, names: list[str]) -> np.ndarray:
    """Return the tensors of these names as one float64 vector, so that no square overflows."""
    return np.concatenate([np.zeros(0), *(np.ravel(tensors[name]) for name in names)])
