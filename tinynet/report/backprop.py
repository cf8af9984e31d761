"""Records all values and gradients of one training step on one row, computed by the network's own layers."""

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
LARGEST_MATRIX, LARGEST_FILTERS = 2_500, 48 * 784  # most weights that the page shows as a picture
LARGEST_RATE, LARGEST_CHANGE = 0.01, 0.1
"""The step's learning rate is at most LARGEST_RATE, and so small that the first order predicts a change of the loss by
about LARGEST_CHANGE of it: a larger step would not show what a gradient is."""


def trace(network: Network, x: np.ndarray, label: int) -> dict[str, Any]:
    """Return forward, loss, backward and one step of SGD, in float64, with x (1, ...) as the only row of the batch."""
    reference, after_step = (network.copy(dtype="float64", backend="numpy") for _ in range(2))
    loss = loss_for(reference).bind(reference.backend)
    with recorded(reference.layers, "forward") as outputs:
        z = reference.forward(x, train=True)
    t = np.eye(z.shape[1])[[label]] if z.shape[1] > 1 else np.array([[float(label)]])
    (value,) = numbers(loss.forward(z, t))
    dz = loss.backward()
    with recorded(reference.layers, "backward") as gradients:
        dx = np.asarray(reference.backward(dz, need_dx=True))
    layers = {name: layer for _, name, layer in walk(reference.layers)}
    steps = [_step(name, layers[name], outputs[name], gradients[name]) for name in outputs if name in gradients]
    for _, grad in reference.frozen():
        grad[...] = 0
    squared_norm = float(reference.grad @ reference.grad)
    lr = _learning_rate(value, squared_norm)
    SGD(reference, lr=lr).step()
    after_step.theta[...] = reference.theta
    z_after = after_step.forward(x, train=True)
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
            "lr": lr,
            "gradient_norm": numbers(np.sqrt(squared_norm))[0],
            "predicted_change": numbers(np.asarray(-lr * squared_norm))[0],
            "parameters": reference.theta.size - sum(theta.size for theta, _ in reference.frozen()),
            "loss": value_after,
            "chances": [_chance(loss, z, label), _chance(loss, z_after, label)],
        },
    }


def _learning_rate(loss: float, squared_norm: float) -> float:
    """Return a learning rate of one digit, such as 0.003."""
    most = LARGEST_CHANGE * loss / squared_norm if squared_norm and loss else LARGEST_RATE
    return min(LARGEST_RATE, float(f"{most:.0e}"))


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
    if isinstance(layer, Dense | Conv2D):
        step["shape"] = layer.W.shape
    shown = [name for name in layer.shapes() if name != "W" or layer.W.size <= most]
    step["parameters"] = [name for name in shown if not {name, f"d{name}"} & step.keys()]
    for name in step["parameters"]:
        step[name] = numbers(layer.views[name])
        if layer.trainable:
            step[f"d{name}"] = numbers(layer.views[f"d{name}"])
    return step


def _maps(array: np.ndarray) -> int:
    """Return the number of maps in (1, maps, side, side); 0 for rows."""
    return array.shape[1] if array.ndim == 4 and array.shape[2] == array.shape[3] else 0


def _chance(loss: Loss, z: np.ndarray, label: int) -> float:
    """Return the network's probability of the label."""
    (p,) = loss.predictions(z)
    if len(p) == 1:
        p = np.array([1 - p[0], p[0]])
    return float(p[label])


def formulas(part: Layer | Loss) -> list[str]:
    """Return the first docstring line of the function and its backward functions, or of the class if there are none."""
    map_name = FUNCTIONS.get(type(part))
    names = ["smooth_labels"] if _smoothing(part) else []
    names += [f"{map_name}{ending}" for ending in ("", "_backward", "_backward_parameters")]
    found = [name for name in names if hasattr(functions, name)]
    return [f"{name}: {_first_line(getattr(functions, name))}" for name in found] or [_first_line(part)]


def _smoothing(part: Layer | Loss) -> float:
    return part.label_smoothing if isinstance(part, SoftmaxCrossEntropy) else 0


def numbers(array: np.ndarray) -> list[float]:
    """Return all numbers of an array as a list, to five significant digits, with infinities clipped for JSON."""
    return [float(f"{value:.5g}") for value in np.nan_to_num(array).clip(-1e308, 1e308).ravel().tolist()]


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or f"{thing}").strip().splitlines()[0]
