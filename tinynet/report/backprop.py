"""One step of training on one row, made by the network's own layers, with every number that passes through."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions
from ..interop.layer_names import ROWS
from ..layers import Conv2D, Dense, Layer
from ..layers.bound import walk
from ..layers.recording import recorded
from ..losses import BinaryCrossEntropy, CrossEntropy, Loss, SoftmaxCrossEntropy
from ..network import Network
from ..optim import SGD
from ..training.input_validation import loss_for

FUNCTIONS: dict[type, str] = {kind: row.function for kind, row in ROWS.items()} | {
    SoftmaxCrossEntropy: "softmax_cross_entropy",
    BinaryCrossEntropy: "binary_cross_entropy",
    CrossEntropy: "cross_entropy",
}
LARGEST_MATRIX, LARGEST_FILTERS = 2_500, 48 * 784  # numbers that are still a picture
LEARNING_RATE = 0.01


def trace(network: Network, x: np.ndarray, label: int) -> dict[str, Any]:
    """Forward, loss, backward and one step of SGD, in float64, with x (1, ...) as the only row of the batch."""
    twin, moved = (network.copy(dtype="float64", backend="numpy") for _ in range(2))
    loss = loss_for(twin).bind(twin.backend)
    with recorded(twin.layers, "forward") as outputs:
        z = twin.forward(x, train=True)
    t = np.eye(z.shape[1])[[label]] if z.shape[1] > 1 else np.array([[float(label)]])
    (value,) = numbers(loss.forward(z, t))
    dz = loss.backward()
    with recorded(twin.layers, "backward") as gradients:
        dx = np.asarray(twin.backward(dz, need_dx=True))
    layers = {name: layer for _, name, layer in walk(twin.layers)}
    steps = [_step(name, layers[name], outputs[name], gradients[name]) for name in outputs if name in gradients]
    SGD(twin, lr=LEARNING_RATE).step()
    moved.theta[...] = twin.theta
    z_after = moved.forward(x, train=True)
    (value_after,) = numbers(loss.forward(z_after, t))
    return {
        "label": label,
        "x": numbers(x),
        "dx": numbers(dx),
        "steps": steps,
        "loss": {
            "name": f"{loss}".removesuffix("()"),
            "formulas": formulas(loss),
            "value": value,
            "p": numbers(loss.predictions(z)),
            "t": numbers(functions.smooth_labels(t, _smoothing(loss))),
            "dz": numbers(dz),
        },
        "update": {
            "lr": LEARNING_RATE,
            "gradient_norm": numbers(np.asarray(np.linalg.norm(twin.grad)))[0],
            "parameters": twin.theta.size - sum(theta.size for theta, _ in twin.frozen()),
            "loss": value_after,
            "chances": [_chance(loss, z, label), _chance(loss, z_after, label)],
        },
    }


def _step(name: str, layer: Layer, y: np.ndarray, dx: np.ndarray) -> dict[str, Any]:
    block = name.rpartition(" / ")[0]
    inside = f", inside {block.rpartition(' ')[2]}" if block else ""
    frozen = ", frozen" if layer.shapes() and not layer.trainable else ""
    step: dict[str, Any] = {
        "name": f"{layer}{inside}{frozen}",
        "kind": FUNCTIONS.get(type(layer)),
        "formulas": formulas(layer),
        "y": numbers(y),
        "dx": numbers(dx),
        "maps": [_maps(y), _maps(dx)],
    }
    most = LARGEST_FILTERS if layer.D == 784 else LARGEST_MATRIX
    if isinstance(layer, Dense | Conv2D) and layer.W.size <= most:
        step |= {"shape": layer.W.shape, "W": numbers(layer.W)}
        if layer.trainable:
            step |= {"dW": numbers(layer.dW), "db": numbers(layer.db)}
    return step


def _maps(array: np.ndarray) -> int:
    """How many square pictures there are in (1, maps, side, side); 0 for rows."""
    return array.shape[1] if array.ndim == 4 and array.shape[2] == array.shape[3] else 0


def _chance(loss: Loss, z: np.ndarray, label: int) -> float:
    """How probable the network finds the label."""
    (p,) = loss.predictions(z)
    if len(p) == 1:
        p = np.array([1 - p[0], p[0]])
    return float(p[label])


def formulas(part: Layer | Loss) -> list[str]:
    """The first lines of the docstrings of a layer's or a loss's map and of its backwards, else its own."""
    map_name = FUNCTIONS.get(type(part))
    names = ["smooth_labels"] if _smoothing(part) else []
    names += [f"{map_name}{ending}" for ending in ("", "_backward", "_backward_parameters")]
    found = [name for name in names if hasattr(functions, name)]
    return [f"{name}: {_first_line(getattr(functions, name))}" for name in found] or [_first_line(part)]


def _smoothing(part: Layer | Loss) -> float:
    return part.label_smoothing if isinstance(part, SoftmaxCrossEntropy) else 0


def numbers(array: np.ndarray) -> list[float]:
    """All numbers of an array in one row, to five significant digits; what is infinite is as large as JSON can hold."""
    return [float(f"{value:.5g}") for value in np.nan_to_num(array).clip(-1e308, 1e308).ravel().tolist()]


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or f"{thing}").strip().splitlines()[0]
