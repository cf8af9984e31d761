"""What a gradient check needs to know of a function, a layer, a loss or a network: the same for all four."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, module_of
from ..arrays.backend import NUMPY, Backend
from ..layers.bound import walk
from ..losses import Loss
from ..network import Network

Gradients = dict[str, Array]


@dataclass
class Subject:
    """f = sum of `terms()`, a function of `arrays`; `outputs()` is what forward returns.

    `gradients(fill)` runs forward and backward, and returns a gradient for each array. A layer finds the views into
    which it writes its gradients filled with the number `fill`. With forward=False it runs backward alone, once more.
    """

    arrays: dict[str, Array]
    outputs: Callable[[], Array]
    terms: Callable[[], np.ndarray]
    gradients: Callable[..., Gradients]
    backend: Backend = NUMPY
    evaluation: Callable[[], np.ndarray] | None = None
    """The terms of f in evaluation instead of training."""

    def to_host(self, array: Array) -> np.ndarray:
        return self.backend.to_host(array)

    def to_device(self, array: np.ndarray) -> Array:
        return self.backend.to_device(array)


def of_function(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    moving: Sequence[int],
    dy: np.ndarray,
) -> Subject:
    """Return the subject for f = sum of dy forward(*inputs), a function of the inputs whose indices are `moving`."""

    def outputs() -> np.ndarray:
        return real(unharmed("forward", forward, *inputs))

    def gradients(fill: float, forward: bool = True) -> Gradients:
        found = gradients_of(backward, dy, inputs)
        return {f"input {k}": on_host(found[k]) for k in moving}

    return Subject({f"input {k}": inputs[k] for k in moving}, outputs, lambda: dy * outputs(), gradients)


def gradients_of(backward: Callable[..., Any], dy: np.ndarray, inputs: Sequence[np.ndarray]) -> Sequence[Any]:
    """Return backward(dy, *inputs), one gradient for each input."""
    found = unharmed("backward", backward, dy, *inputs)
    found = found if isinstance(found, tuple | list) else [found]
    if len(found) != len(inputs):
        raise ValueError(f"backward must return {len(inputs)} gradients, one for each input, got {len(found)}")
    return found


def of_loss(loss: Loss, z: np.ndarray, t: np.ndarray) -> Subject:
    """Return the subject for f = loss.forward(z, t)."""

    def outputs() -> np.ndarray:
        return on_host(unharmed("forward", loss.forward, z, t))

    def gradients(fill: float, forward: bool = True) -> Gradients:
        if forward:
            outputs()
        return {"z": on_host(loss.backward())}

    return Subject({"z": z}, outputs, outputs, gradients)


def of_network(network: Network, x: Array, dy: Array) -> Subject:
    """Return the subject for f = sum of dy network(x), as in a training pass."""

    def outputs() -> Array:
        return training_pass(network, x)

    def gradients(fill: float, forward: bool = True) -> Gradients:
        if forward:
            outputs()
        return backward_pass(network, x, dy, fill)

    def terms() -> np.ndarray:
        return network.backend.to_host(dy * outputs())

    def evaluation() -> np.ndarray:
        return network.backend.to_host(dy * network.forward(x))

    return Subject(parameters(network) | {"x": x}, outputs, terms, gradients, network.backend, evaluation)


def of_training(network: Network, loss: Loss, x: Array, t: Any) -> Subject:
    """Return the subject for f = loss of network(x) and t."""

    def outputs() -> Array:
        return loss.forward(training_pass(network, x), t)

    def gradients(fill: float, forward: bool = True) -> Gradients:
        if forward:
            outputs()
        return backward_pass(network, x, loss.backward(), fill)

    def terms() -> np.ndarray:
        return network.backend.to_host(outputs())

    return Subject(parameters(network) | {"x": x}, outputs, terms, gradients, network.backend)


def parameters(network: Network) -> dict[str, Array]:
    """Return the views of all parameters by the names of a report, such as "0 Dense(4, 3).W"."""
    layers = [(where, layer) for _, where, layer in walk(network.layers)]
    return {f"{where}.{name}": layer.views[name] for where, layer in layers for name in layer.shapes()}


def training_pass(network: Network, x: Array) -> Array:
    """Run a training pass with the same random numbers each time, without changing the buffers."""
    for _, _, layer in walk(network.layers):
        layer.counter = 0
    before = network.buffers.copy()
    y = unharmed("forward", lambda x: network.forward(x, train=True), x)
    network.buffers[...] = before
    return y


def backward_pass(network: Network, x: Array, dy: Array, fill: float) -> Gradients:
    """Return copies of the gradients of all parameters and of x. The gradient vector is filled before."""
    network.check_views()
    network.grad[...] = fill
    for layer in reversed(network.layers):
        dy = unharmed(f"{layer}.backward", layer.backward, dy)
    found = {}
    for _, where, layer in walk(network.layers):
        for name in layer.shapes():
            view = layer.views[f"d{name}"]
            found[f"{where}.{name}"] = view.copy()
            vars(layer)[f"d{name}"] = view  # again, if backward has replaced it
    return found | {"x": dy}


def unharmed(who: str, call: Callable[..., Any], *given: Any) -> Any:
    """Return call(*given). Raises an error if it returns None, or has written into an array that it was given."""
    before = [array.copy() for array in given]
    found = call(*given)
    if found is None:
        raise TypeError(f"{who} returned None; return what it has computed")
    for array, values in zip(given, before, strict=True):
        if not number(((array == values) | ((array != array) & (values != values))).all()):
            name = "x" if who == "forward" else "dy" if array is given[0] else "x"
            raise ValueError(f"{who} wrote into {name}, which must not change; work on a copy")
    return found


def on_host(value: Any) -> np.ndarray:
    """Return what a function of NumPy or of another library returned as a NumPy array."""
    if hasattr(value, "detach"):  # PyTorch
        value = value.detach().cpu()
    if type(value).__module__.partition(".")[0] == "cupy":
        value = module_of(value).asnumpy(value)
    if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    return np.asarray(value)


def number(value: Any) -> float:
    """Return an array without axes as a number."""
    return float(on_host(value))


def real(value: Any) -> np.ndarray:
    """Return `on_host(value)`. Raises TypeError for complex numbers."""
    array = on_host(value)
    if array.dtype.kind == "c":
        raise TypeError("a gradient check takes real numbers, got complex ones; check the real and imaginary parts")
    return array


def in_float64(value: Any) -> np.ndarray:
    """Return a copy in float64, or integers unchanged."""
    array = real(value)
    return np.array(array, dtype=np.float64) if array.dtype.kind == "f" else array


def unit_of(array: np.ndarray) -> float:
    """Return the root mean square of an array's numbers, 1 if they are 0: the unit of the steps along it."""
    return math.sqrt(float(np.mean(np.square(array)))) or 1.0 if array.size else 1.0
