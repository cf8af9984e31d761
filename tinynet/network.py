"""A network: layers in a row, and three vectors (theta, grad, buffers) with the layers' views into them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from numbers import Integral, Real

import numpy as np

from . import functions
from .arrays import Array, rng
from .arrays.backend import Backend
from .arrays.backend import backend as get_backend
from .layers import Dense, Dropout, Layer, ReLU
from .layers.bound import Shape, Values, paths
from .layers.container import Container, check_settings, unpacked, wrong_input
from .layers.validation import check_layers


class Network(Container):
    """Layers, one after the other: y = layer_k(... layer_1(x)).

    All parameters are one vector `theta`, all gradients another, `grad`, all buffers a third, `buffers`; `layer.W` and
    `layer.dW` are views into them, also for layers inside layers. `seed` determines the first weights, the shuffles and
    the dropout masks; `dtype` is "float32" (to train) or "float64" (to check). `epoch` counts the epochs trained,
    `loss` is the loss that `fit` used and `history` what it recorded; `notes` is a dictionary of JSON values that is
    saved with the network. A network among the layers contributes copies of its layers and their parameters:
    Network(net[:3], Dense(48, 5)). Raises ValueError if neighboring layers do not fit, or if a layer already belongs
    to a network.
    """

    ops = functions

    def __init__(
        self, *layers: Layer | Network, seed: int = 0, dtype: str = "float32", backend: str | Backend = "numpy"
    ) -> None:
        self.layers = unpacked(layers)
        check_layers(self.layers)
        check_settings(seed, dtype)
        self.seed, self.dtype, self.backend = int(seed), np.dtype(dtype), get_backend(backend)
        self.epoch, self.loss, self.notes = 0, None, {}
        self.allocate()

    def allocate(self) -> None:
        """Allocate the three vectors, and give every layer its views into them."""
        layers = [(f"layer {path}", layer) for path, layer in paths(self.layers)]
        first = [layer.first_values(rng.generator(self.seed, purpose)) for purpose, layer in layers]
        parameters, buffers = [values for values, _ in first], [values for _, values in first]
        self.theta, self.buffers = self._vector(parameters), self._vector(buffers)
        self.grad = self.backend.xp.zeros_like(self.theta)
        views = cut(self.theta, parameters), cut(self.grad, parameters, "d"), cut(self.buffers, buffers)
        for (purpose, layer), *own in zip(layers, *views, strict=True):
            layer.bind(self.backend, rng.random_key(self.seed, purpose), own[0] | own[1] | own[2])
        vars(self)["ops"] = self.backend.ops
        self.remember_views()

    def forward(self, x: Array, train: bool = False) -> Array:
        """Return y (N, ...) for x (N, ...) of the network's dtype. With `train`, layers keep what backward needs."""
        if not isinstance(x, self.backend.xp.ndarray) or x.dtype != self.dtype:
            raise wrong_input(self, x)
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def backward(self, dy: Array, need_dx: bool = False) -> Array | None:
        """Write grad for dy = dL/dy. Return dx if asked; otherwise stop at the trainable layer nearest the input.

        The gradient of a frozen layer is 0.
        """
        first = 0 if need_dx else self.first_trainable()
        for layer in reversed(self.layers[first + 1 :]):
            dy = layer.backward(dy)
        dx = self.layers[first].backward(dy) if need_dx else None
        if not need_dx:
            self.layers[first].backward_parameters(dy)
        for _, gradient in self.frozen():
            gradient[...] = 0
        return dx

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of y for a row x of this shape. Raises ValueError if a layer cannot take it."""
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def _vector(self, arrays: list[Values]) -> Array:
        parts = [np.ravel(value) for named in arrays for value in named.values()]
        return self.backend.to_device(np.concatenate([np.zeros(0), *parts]).astype(self.dtype))


def cut(vector: Array, arrays: list[Values], prefix: str = "") -> Iterator[dict[str, Array]]:
    """Yield for each layer its views into the vector, by name, one behind the other, in the shapes of these arrays."""
    start = 0
    for named in arrays:
        views = {}
        for name, value in named.items():
            views[prefix + name] = vector[start : start + np.size(value)].reshape(np.shape(value))
            start += np.size(value)
        yield views


def mlp(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    dropout: Sequence[float] = (),
    init: str = "glorot_uniform",
    seed: int = 0,
    dtype: str = "float32",
    backend: str | Backend = "numpy",
) -> Network:
    """Return a multilayer perceptron: Dense and ReLU for each width in `hidden`, then Dense to `outputs` logits.

    `dropout[k]` is the dropout rate before the k-th Dense; 0 or a missing rate means no Dropout there. Raises TypeError
    for a bare number instead of a list, ValueError for too many rates, and what the layers raise.
    """
    if isinstance(hidden, Integral) or isinstance(dropout, Real):
        raise TypeError(f"mlp takes hidden widths and dropout rates in lists; got {hidden!r} and {dropout!r}")
    widths = [inputs, *hidden, outputs]
    if len(dropout) >= len(widths):
        raise ValueError(f"mlp takes at most one dropout rate for each of its {len(widths) - 1} Dense, got {dropout}")
    layers: list[Layer] = []
    for D, M, rate in itertools.zip_longest(widths[:-1], widths[1:], dropout, fillvalue=0):
        layers += [Dropout(rate)] if rate else []
        layers += [Dense(D, M, init), ReLU()]
    return Network(*layers[:-1], seed=seed, dtype=dtype, backend=backend)
