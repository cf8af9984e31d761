"""What every layer is: a place in a network, windows into its vectors, a memory between forward and backward."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from ..arrays import Array
from ..arrays.backend import Backend

Shape = tuple[int, ...] | None
"""What one row looks like, without the batch: (784,), (1, 28, 28); None where nobody has said."""

PLACE = ("backend", "ops", "stream", "windows", "_stretch")
"""What a layer has from its network, beside its parameters, their gradients and its buffers."""


class Layer:
    """One map of a network. A layer of your own overrides `forward` and `backward`, and with parameters `shapes`.

    `self.ops` offers the functions of `functions.py` as the network's backend has them. `self.memory` is for what
    backward needs: `self.memory = x if train else None`, and `self.recall()` to have it back. A layer may hold
    layers, as attributes, in lists or in dictionaries: the network finds them.
    """

    ops: SimpleNamespace
    D: int | None = None
    """Features that go in, for a layer that takes just one number of them."""

    memory: Any = None
    counter: int = 0
    """Training passes made so far: the counter of every random number that the layer draws."""

    def forward(self, x: Array, train: bool = False) -> Array:
        """y, from x (N, ...)."""
        raise NotImplementedError(f"{self} defines no forward(self, x, train=False)")

    def backward(self, dy: Array) -> Array:
        """dx, from dy; the gradients of the parameters are written into their windows."""
        raise NotImplementedError(f"{self} defines no backward(self, dy)")

    def backward_parameters(self, dy: Array) -> None:
        """The gradients of the parameters alone: all that is asked of a network's first layer."""
        self.backward(dy)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, by name, as JSON can hold them, or layers: for `repr`, `save` and `load`."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """The layer that `config` describes: the constructor called with it, unless a layer says otherwise."""
        return cls(**config)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes; "W" gets the windows `self.W` and `self.dW`."""
        return {}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of numbers that are kept but not trained, as running means; "mean" gets `self.mean`."""
        return {}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        """First values of those parameters and buffers that do not start at zero."""
        return {}

    def outputs(self, shape: Shape) -> Shape:
        """Shape of a row that comes out when `shape` goes in. ValueError for a shape that the layer cannot take."""
        if self.D and shape not in (None, (self.D,)):
            row = ", ".join(map(str, ("N", *shape)))
            cure = "; a Flatten() in front of it makes rows" if len(shape) > 1 else ""
            raise ValueError(f"{self} takes x (N, {self.D}), but gets ({row}){cure}")
        return shape

    @property
    def trainable(self) -> bool:
        """Whether optimizers move the parameters. Setting it sets it for all layers inside as well."""
        return vars(self).get("_trainable", True)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.children():
            layer.trainable = value

    @property
    def size(self) -> int:
        """How many parameters there are, those of the layers inside included."""
        return size_of(self.shapes()) + sum(layer.size for layer in self.children())

    def multiply_adds(self, y: Shape) -> int:
        """Multiplications with an addition that one row y costs in forward, those of the layers inside left out."""
        return 0

    def recall(self) -> Any:
        """What forward kept for backward; RuntimeError if the last forward was not in training."""
        if self.memory is None:
            raise RuntimeError(f"{self}.backward needs what forward(x, train=True) keeps; the last was no training")
        return self.memory

    def children(self) -> list[Layer]:
        """The layers inside this one, in the order in which they became attributes, each of them once."""
        return list(dict.fromkeys(layers_in(vars(self))))

    def copy(self) -> Self:
        """A copy that is part of no network yet, and brings its parameters and buffers into the next one."""
        return copy.deepcopy(self)

    __copy__ = copy
    """A shallow copy of a block would hold layers that are part of the other's network."""

    @property
    def is_bound(self) -> bool:
        """Whether the layer is part of a network."""
        return "ops" in vars(self)

    # -------------------------------------------------------------------------- what a network does with it

    def first_values(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        """Values of all parameters and buffers to start from: those that a copy brought along, or new ones."""
        shapes, brought = self.shapes() | self.buffers(), vars(self).get("_values")
        if brought and brought.keys() != shapes.keys():
            raise ValueError(f"{self} brings values of {list(brought)}, but its shapes are {shapes}")
        drawn = brought or self.initial(draw)
        for name, values in drawn.items():
            if np.shape(values) != shapes.get(name):
                raise ValueError(f"{self} draws {name} {np.shape(values)}, but its shapes are {shapes}")
        return {name: np.asarray(drawn.get(name, np.zeros(shape))) for name, shape in shapes.items()}

    def bind(self, backend: Backend, theta: Array, grad: Array, buffers: Array, stream: int) -> None:
        """Make the layer part of one network: its functions, its stretch of all vectors, its random stream."""
        self.backend, self.ops, self.stream, self._stretch = backend, backend.ops, stream, (theta, grad)
        self.windows = windows_into(theta, self.shapes()) | windows_into(buffers, self.buffers())
        self.windows |= {f"d{name}": window for name, window in windows_into(grad, self.shapes()).items()}
        vars(self).update(self.windows)
        vars(self).pop("_values", None)

    def check_windows(self) -> None:
        """ValueError if a parameter, its gradient or a buffer is no longer the window that it was."""
        for name, window in self.windows.items():
            if getattr(self, name) is not window:
                raise ValueError(
                    f"{self}.{name} was replaced and is cut off from the network's vectors; write {name}[...] = instead"
                )

    def __getstate__(self) -> dict[str, Any]:
        """For pickles and copies, which are part of no network: the parameters' and buffers' values, on the host."""
        state = vars(self) | {"memory": None}
        if self.is_bound:
            self.check_windows()
            state = {name: value for name, value in state.items() if name not in (*PLACE, *self.windows)}
            names = [*self.shapes(), *self.buffers()]
            state["_values"] = {name: self.backend.to_host(self.windows[name]).copy() for name in names}
        return state

    def __getattr__(self, name: str) -> Any:
        way_out = "tn.Network(layer), or an attribute, a list or a dictionary of a layer there"
        reason = "" if self.is_bound else f"; it is part of no network yet: {way_out}"
        raise AttributeError(f"{type(self).__name__} has no {name!r}{reason}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(str(value) for value in self.config().values())})"


def walk(layers: Sequence[Layer], place: str = "", name: str = "") -> Iterator[tuple[str, str, Layer]]:
    """All layers, the layers inside right behind their block: place "2.0", name "2 Residual / 0 Dense(8, 8)", layer."""
    for k, layer in enumerate(layers):
        children = layer.children()
        here = f"{name}{k} {type(layer).__name__ if children else layer}"
        yield f"{place}{k}", here, layer
        yield from walk(children, f"{place}{k}.", f"{here} / ")


def size_of(shapes: dict[str, tuple[int, ...]]) -> int:
    """How many numbers arrays of these shapes hold together."""
    return sum(map(math.prod, shapes.values()))


def windows_into(vector: Array, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """The vector cut into arrays of these shapes, one behind the other: they share its memory."""
    windows, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        windows[name] = vector[start:stop].reshape(shape)
        start = stop
    return windows


def layers_in(value: Any) -> Iterator[Layer]:
    """The layers that an attribute holds, in lists and dictionaries too, as often as it names them."""
    if isinstance(value, Layer):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from layers_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from layers_in(part)
