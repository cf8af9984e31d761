"""One step of training on one row, made by the network's own layers, with every number that passes through."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions
from ..layers import GELU, Dense, Dropout, Layer, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from ..losses import CrossEntropy, Loss, SoftmaxCrossEntropy
from ..network import Network
from ..optim import SGD
from ..training.input_validation import loss_for

MAPS: dict[type, list[str]] = {  # functions.py: the map, then its backwards
    Dense: ["dense", "dense_backward", "dense_backward_parameters"],
    ReLU: ["relu", "relu_backward"],
    LeakyReLU: ["leaky_relu", "leaky_relu_backward"],
    Tanh: ["tanh", "tanh_backward"],
    Sigmoid: ["sigmoid", "sigmoid_backward"],
    GELU: ["gelu", "gelu_backward"],
    Softmax: ["softmax", "softmax_backward"],
    Dropout: ["dropout", "dropout_backward"],
    SoftmaxCrossEntropy: ["softmax_cross_entropy", "softmax_cross_entropy_backward"],
    CrossEntropy: ["cross_entropy", "cross_entropy_backward"],
}
LARGEST_MATRIX, LARGEST_FILTERS = 2_500, 48 * 784  # numbers that are still a picture
LEARNING_RATE = 0.01


def trace(network: Network, x: np.ndarray, label: int, classes: int) -> dict[str, Any]:
    """Forward, loss, backward and one step of SGD, in float64, with x (1, ...) as the only row of the batch."""
    twin = network.copy(dtype="float64", backend="numpy")
    target = np.eye(classes)[[label]]
    counters = [layer.counter for layer in twin]
    outputs = [x]
    for layer in twin:
        outputs.append(layer.forward(outputs[-1], train=True))
    loss = loss_for(twin, None)
    (value,) = numbers(loss.forward(outputs[-1], target))
    dz = loss.backward()
    gradients = [dz]
    for layer in reversed(twin.layers):
        gradients.insert(0, layer.backward(gradients[0]))
    steps = [
        _step(layer, y, dx, dy)
        for layer, y, dx, dy in zip(twin, outputs[1:], gradients[:-1], gradients[1:], strict=True)
    ]
    p, t = loss.recall()
    return {
        "label": label,
        "x": numbers(x),
        "dx": numbers(gradients[0]),
        "steps": steps,
        "loss": {
            "name": f"{type(loss).__name__}",
            "formulas": formulas(loss),
            "value": value,
            "p": numbers(p),
            "t": numbers(t),
            "dz": numbers(dz),
        },
        "update": _update(twin, counters, loss, x, target),
    }


def _step(layer: Layer, y: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> dict[str, Any]:
    step = {
        "name": f"{layer}",
        "kind": type(layer).__name__,
        "formulas": formulas(layer),
        "y": numbers(y),
        "dy": numbers(dy),
        "dx": numbers(dx),
    }
    most = LARGEST_FILTERS if layer.D == 784 else LARGEST_MATRIX
    if isinstance(layer, Dense) and layer.size <= most + layer.M:
        step |= {"shape": [layer.D, layer.M], "W": numbers(layer.W), "dW": numbers(layer.dW), "db": numbers(layer.db)}
    return step


def _update(twin: Network, counters: list[int], loss: Loss, x: np.ndarray, t: np.ndarray) -> dict[str, Any]:
    """What the same row costs, behind the same dropout masks, after theta has moved once against its gradient."""
    SGD(twin, lr=LEARNING_RATE).step()
    for layer, counter in zip(twin, counters, strict=True):
        layer.counter = counter
    (after,) = numbers(loss.forward(twin.forward(x, train=True), t))
    return {
        "lr": LEARNING_RATE,
        "gradient_norm": numbers(np.asarray(np.linalg.norm(twin.grad)))[0],
        "parameters": twin.theta.size,
        "loss": after,
        "p": numbers(loss.recall()[0]),
    }


def formulas(part: Layer | Loss) -> list[str]:
    """The first lines of the docstrings of the functions that a layer or a loss calls, else its own."""
    names = MAPS.get(type(part))
    if names is None:
        return [_first_line(part)]
    return [f"{name}: {_first_line(getattr(functions, name))}" for name in names]


def numbers(array: np.ndarray) -> list[float]:
    """All numbers of an array in one row, to five significant digits; what is infinite is as large as JSON can hold."""
    return [float(f"{value:.5g}") for value in np.nan_to_num(array).clip(-1e308, 1e308).ravel().tolist()]


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or f"{thing}").strip().splitlines()[0]
