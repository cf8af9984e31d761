"""What a gradient check needs to know of a function, a layer, a loss or a network: the same for all four."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, module_of
from ..arrays.backend import NUMPY, Backend
from ..layers import Layer
from ..layers.bound import walk
from ..losses import Loss
from ..network import Network

Gradients = dict[str, Array]


@dataclass
class Subject:
    """f = sum of `terms()`, a function of `arrays`; `outputs()` is what forward returns.

    `gradients(fill)` runs forward and backward, and returns a gradient for each array. A layer finds the views into
    which it writes its gradients filled with the number `fill`. With twice=True, backward runs twice.
    """

    arrays: dict[str, Array]
    outputs: Callable[[], Array]
    terms: Callable[[], np.ndarray]
    gradients: Callable[..., Gradients]
    backend: Backend = NUMPY
    evaluation: Callable[[], np.ndarray] | None = None
    """The terms of f in evaluation instead of training."""

    in_training: Callable[[], Gradients] | None = None
    """The gradients that a training step writes, where the first layer has no dx."""

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
    names = [f"input {k}" for k in range(len(inputs))]

    def outputs() -> np.ndarray:
        return real(unharmed("forward", forward, *inputs, names=names))

    def gradients(fill: float, twice: bool = False) -> Gradients:
        found = gradients_of(backward, dy, inputs)
        return {f"input {k}": real(found[k]).copy() for k in moving}

    return Subject({f"input {k}": inputs[k] for k in moving}, outputs, lambda: dy * outputs(), gradients)


def gradients_of(backward: Callable[..., Any], dy: np.ndarray, inputs: Sequence[np.ndarray]) -> Sequence[Any]:
    """Return backward(dy, *inputs), one gradient for each input."""
    names = ["dy", *(f"input {k}" for k in range(len(inputs)))]
    found = unharmed("backward", backward, dy, *inputs, names=names)
    found = found if isinstance(found, tuple | list) else [found]
    if len(found) != len(inputs):
        raise ValueError(f"backward must return {len(inputs)} gradients, one for each input, got {len(found)}")
    return found


def of_loss(loss: Loss, z: np.ndarray, t: np.ndarray) -> Subject:
    """Return the subject for f = loss.forward(z, t)."""

    def outputs() -> np.ndarray:
        y = real(unharmed("forward", loss.forward, z, t, names=("z", "t")))
        if y.shape:
            raise ValueError(f"{type(loss).__name__}.forward must return one number, of shape (); got {y.shape}")
        return y

    def gradients(fill: float, twice: bool = False) -> Gradients:
        outputs()
        if twice:
            loss.backward()
        return {"z": real(unharmed("backward", lambda z, t: loss.backward(), z, t, names=("z", "t"))).copy()}

    return Subject({"z": z}, outputs, outputs, gradients)


def of_network(network: Network, x: Array, dy: Array) -> Subject:
    """Return the subject for f = sum of dy network(x), as in a training pass."""

    def outputs() -> Array:
        with same_buffers(network):
            return training_pass(network, x)

    def gradients(fill: float, twice: bool = False) -> Gradients:
        with same_buffers(network):
            training_pass(network, x)
            return backward_pass(network, dy, fill, twice)

    def terms() -> np.ndarray:
        return network.backend.to_host(dy * outputs())

    def evaluation() -> np.ndarray:
        return network.backend.to_host(dy * network.forward(x))

    def in_training() -> Gradients:
        with same_buffers(network):
            training_pass(network, x)
            return first_layer_pass(network, dy)

    arrays = parameters(network) | {"x": x}
    return Subject(arrays, outputs, terms, gradients, network.backend, evaluation, in_training)


def of_training(network: Network, loss: Loss, x: Array, t: Any) -> Subject:
    """Return the subject for f = loss of network(x) and t."""

    def outputs() -> Array:
        with same_buffers(network):
            return loss.forward(training_pass(network, x), t)

    def gradients(fill: float, twice: bool = False) -> Gradients:
        with same_buffers(network):
            loss.forward(training_pass(network, x), t)
            return backward_pass(network, loss.backward(), fill, twice)

    def terms() -> np.ndarray:
        return network.backend.to_host(outputs())

    def in_training() -> Gradients:
        with same_buffers(network):
            loss.forward(training_pass(network, x), t)
            return first_layer_pass(network, loss.backward())

    arrays = parameters(network) | {"x": x}
    return Subject(arrays, outputs, terms, gradients, network.backend, in_training=in_training)


def trainable_layers(network: Network) -> list[tuple[str, Layer]]:
    """Return the layers that are not frozen, by the names of a report."""
    return [(name, layer) for _, name, layer in walk(network.layers) if layer.trainable]


def parameters(network: Network) -> dict[str, Array]:
    """Return the views of all parameters that are not frozen, by names such as "0 Dense(4, 3).W"."""
    return {
        f"{where}.{name}": layer.views[name] for where, layer in trainable_layers(network) for name in layer.shapes()
    }


@contextlib.contextmanager
def same_buffers(network: Network) -> Iterator[None]:
    """Restore the buffers after the with-block."""
    before = network.buffers.copy()
    try:
        yield
    finally:
        network.buffers[...] = before


def training_pass(network: Network, x: Array) -> Array:
    """Run a training pass with the same random numbers each time. Raises TypeError unless it returns an array."""
    for _, _, layer in walk(network.layers):
        layer.counter = 0
    y = unharmed("forward", lambda x: network.forward(x, train=True), x)
    if not isinstance(y, network.backend.xp.ndarray):
        raise TypeError(f"forward must return an array (N, ...); got {type(y).__name__}")
    return y


def backward_pass(network: Network, dy: Array, fill: float, twice: bool = False) -> Gradients:
    """Return copies of the gradients of all parameters and of x. The gradient vector is filled before."""
    if twice:
        backward_pass(network, dy, fill)
    network.check_views()
    network.grad[...] = fill
    buffers = network.buffers.copy()
    for layer in reversed(network.layers):
        dx = unharmed(f"{layer}.backward", layer.backward, dy, names=("dy",))
        if not isinstance(dx, network.backend.xp.ndarray):
            raise TypeError(f"{layer}.backward must return an array, dx; got {type(dx).__name__}")
        dy = dx
    if not number((buffers == network.buffers).all()):
        raise ValueError("backward wrote into a buffer; only forward may change buffers")
    return _written(network) | {"x": dy.copy()}


def first_layer_pass(network: Network, dy: Array) -> Gradients:
    """Return copies of the gradients that a training writes, by `backward_parameters` of the first layer."""
    network.grad[...] = 0
    network.backward(dy)
    return _written(network)


def _written(network: Network) -> Gradients:
    found = {}
    for where, layer in trainable_layers(network):
        for name in layer.shapes():
            view = layer.views[f"d{name}"]
            found[f"{where}.{name}"] = view.copy()
            vars(layer)[f"d{name}"] = view  # again, if backward has replaced it
    return found


def unharmed(who: str, call: Callable[..., Any], *given: Any, names: Sequence[str] = ("x",)) -> Any:
    """Return call(*given). Raises an error if it returns None, or has written into an array that it was given."""
    before = [array.copy() for array in given]
    found = call(*given)
    if found is None:
        raise TypeError(f"{who} returned None; return what it has computed")
    for name, array, values in zip(names, given, before, strict=True):
        if not number(((array == values) | ((array != array) & (values != values))).all()):
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
    try:
        return np.asarray(value)
    except ValueError as error:
        raise TypeError(f"a gradient check takes arrays of numbers; got {type(value).__name__}: {error}") from None


def number(value: Any) -> float:
    """Return an array without axes as a number."""
    return float(on_host(value))


def real(value: Any) -> np.ndarray:
    """Return `on_host(value)`. Raises TypeError for complex numbers."""
    array = on_host(value)
    if array.dtype.kind == "c":
        raise TypeError("a gradient check takes real numbers, got complex ones; check the real and imaginary parts")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a gradient check takes arrays of numbers; got {type(value).__name__} of {array.dtype}")
    return array


def in_float64(value: Any) -> np.ndarray:
    """Return a copy in float64, or integers unchanged."""
    array = on_host(value)
    return np.array(real(array), dtype=np.float64) if array.dtype.kind in "fc" else array


def unit_of(array: np.ndarray) -> float:
    """Return the root mean square of an array's numbers, 1 if they are 0: the unit of the steps along it."""
    return math.sqrt(float(np.mean(np.square(array)))) or 1.0 if array.size else 1.0
