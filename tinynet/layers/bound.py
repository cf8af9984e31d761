"""What a network does with a layer, except forward and backward: bind, copy, pickle, freeze, count, explain errors."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..arrays import Array
from ..arrays.backend import Backend

if TYPE_CHECKING:
    from .base import Layer

Shape = tuple[int, ...] | None
"""The shape of one row, without the batch: (784,), (1, 28, 28); None if it is not known."""

Shapes = dict[str, tuple[int, ...]]
"""Shapes of arrays by name."""

Values = dict[str, np.ndarray]
"""Arrays by name."""

RESERVED = ("backend", "ops", "random_key", "views")
"""Attributes that a network sets on its layers, in addition to parameters, gradients and buffers."""


class BoundLayer:
    """The part of `Layer` that serves networks. Nothing here computes."""

    backend: Backend
    random_key: int
    """The key of every random number that the layer draws; a function of the network's seed and the layer's path."""

    counter: int = 0
    """Training passes so far; with `random_key` it determines every random number that the layer draws."""

    views: dict[str, Array]
    """The parameters, their gradients and the buffers by name, as views into the network's vectors."""

    if TYPE_CHECKING:
        D: int | None

        def backward_parameters(self, dy: Array) -> None: ...
        def shapes(self) -> Shapes: ...
        def buffers(self) -> Shapes: ...
        def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]: ...
        def config(self) -> dict[str, Any]: ...

    @property
    def trainable(self) -> bool:
        """Whether optimizers move the parameters. Setting it also sets it for all layers inside."""
        return vars(self).get("_trainable", True)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.children():
            layer.trainable = value

    @property
    def is_bound(self) -> bool:
        """Whether the layer is part of a network."""
        return "views" in vars(self)

    @property
    def size(self) -> int:
        """The number of parameters, including those of the layers inside."""
        return size_of(self.shapes()) + sum(layer.size for layer in self.children())

    def write_gradients(self, dy: Array) -> None:
        """Call `backward_parameters`, unless the layer is frozen."""
        if self.trainable:
            self.backward_parameters(dy)

    def multiply_adds(self, y: Shape) -> int:
        """Return the multiply-adds that one row y costs in forward, without those of the layers inside."""
        return 0

    def children(self) -> list[Layer]:
        """Return the layers inside this one, each once, in the order in which they became attributes."""
        return list(dict.fromkeys(layers_in(vars(self))))

    def copy(self) -> Self:
        """Return a copy that belongs to no network. It takes its parameters and buffers into the next one."""
        return copy.deepcopy(self)

    __copy__ = copy
    """A shallow copy of a block would hold layers of the other block's network."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the layer that `config` describes: call the constructor with it."""
        return cls(**config)

    def first_values(self, draw: np.random.Generator) -> tuple[Values, Values]:
        """Return the first values of the parameters and of the buffers: those of a copied layer, or new ones."""
        shapes = self.shapes() | self.buffers()
        zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
        values = vars(self).get("_values") or zeros | self.initial(draw)
        if {name: np.shape(value) for name, value in values.items()} != shapes:
            raise self._wrong_values(values, shapes)
        return {name: values[name] for name in self.shapes()}, {name: values[name] for name in self.buffers()}

    def bind(self, backend: Backend, random_key: int, views: dict[str, Array]) -> None:
        """Make the layer part of one network: set its functions, its random key and its views as attributes."""
        vars(self).update(views, backend=backend, ops=backend.ops, random_key=random_key, views=views)
        vars(self).pop("_values", None)

    def check_views(self) -> None:
        """Raise ValueError if an attribute is no longer the view that the network set."""
        if replaced := [name for name, view in self.views.items() if vars(self).get(name) is not view]:
            raise self._replaced(replaced[0])

    def misfit(self, shape: tuple[int, ...]) -> ValueError:
        """Return the error for rows of another shape than (D,)."""
        row = ", ".join(map(str, ("N", *shape)))
        cure = "; a Flatten() in front of it makes rows" if len(shape) > 1 else ""
        return ValueError(f"{self} takes x (N, {self.D}), but gets ({row}){cure}")

    def _replaced(self, name: str) -> ValueError:
        cure = f"write {name}[...] = instead"
        return ValueError(f"{self}.{name} was replaced and is cut off from the network's vectors; {cure}")

    def _wrong_values(self, values: dict[str, np.ndarray], shapes: Shapes) -> ValueError:
        found = {name: np.shape(value) for name, value in values.items()}
        verb = "brings values of" if vars(self).get("_values") else "draws"
        return ValueError(f"{self} {verb} {found}, but its shapes are {shapes}")

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickles and copies, which belong to no network: values instead of views, on the host."""
        state = vars(self) | {"memory": None}
        if self.is_bound:
            self.check_views()
            state = {name: value for name, value in state.items() if name not in (*RESERVED, *self.views)}
            names = [*self.shapes(), *self.buffers()]
            state["_values"] = {name: self.backend.to_host(self.views[name]).copy() for name in names}
        return state

    def __getattr__(self, name: str) -> Any:
        cure = "tn.Network(layer), or an attribute, a list or a dictionary of a layer there"
        reason = "" if self.is_bound else f"; it is part of no network yet: {cure}"
        raise AttributeError(f"{type(self).__name__} has no {name!r}{reason}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(str(value) for value in self.config().values())})"


def paths(layers: Iterable[Layer], path: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield (path, layer) for all layers, such as ("2.0", layer). The layers inside a block follow the block."""
    for k, layer in enumerate(layers):
        yield f"{path}{k}", layer
        yield from paths(layer.children(), f"{path}{k}.")


def walk(layers: Sequence[Layer], path: str = "", name: str = "") -> Iterator[tuple[str, str, Layer]]:
    """Yield (path, name, layer) for the same, such as ("2.0", "2 Residual / 0 Dense(8, 8)", layer)."""
    for k, layer in enumerate(layers):
        children = layer.children()
        here = f"{name}{k} {type(layer).__name__ if children else layer}"
        yield f"{path}{k}", here, layer
        yield from walk(children, f"{path}{k}.", f"{here} / ")


def size_of(shapes: Shapes) -> int:
    """Return how many numbers arrays of these shapes hold together."""
    return sum(map(math.prod, shapes.values()))


def layers_in(value: Any) -> list[Any]:
    """Return the layers that an attribute holds, also in lists and dictionaries, as often as they occur."""
    if isinstance(value, BoundLayer):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [layer for part in parts for layer in layers_in(part)]
