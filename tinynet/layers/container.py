"""What a network offers as a container of layers: iteration, slices, copies, pickles, freezing, summaries, checks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from copy import deepcopy
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from ..arrays import Array
from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from .base import Layer
from .bound import Shape, paths, size_of
from .recording import recorded

if TYPE_CHECKING:
    from ..losses import Loss
    from ..network import Network

VECTORS = ("theta", "grad", "buffers")


class Container:
    """The part of `Network` that does not compute."""

    layers: tuple[Layer, ...]
    seed: int
    dtype: np.dtype
    backend: Backend
    epoch: int
    loss: Loss | None
    history: Any = None
    """The History of the last `fit`, also of one that was interrupted. Copies and pickles do not carry it."""

    notes: dict[str, Any]
    theta: Array
    grad: Array
    buffers: Array

    if TYPE_CHECKING:

        def forward(self, x: Array, train: bool = False) -> Array: ...
        def allocate(self) -> None: ...

    def summary(self, row: Shape = None) -> str:
        """Return a table: layer, output shape, parameters, their bytes and the multiply-adds of one row; totals.

        `row` is the shape of one row of x, if no layer determines it: net.summary((1, 28, 28)) for pictures. Raises
        ValueError if a layer cannot take its input.
        """
        from ..inspect.summary import summary

        return summary(self, row)  # type: ignore[arg-type]

    def activations(self, x: Array) -> dict[str, Array]:
        """Return every layer's output for x (N, ...), by names such as "1 ReLU()" and "2 Residual / 0 Dense(8, 8)"."""
        with recorded(self.layers, "forward") as found:
            self.forward(x)
        return found

    def copy(self, dtype: str | None = None, backend: str | Backend | None = None) -> Self:
        """Return an independent network with the same parameters, seed and epoch; dtype and backend can be changed."""
        check_settings(self.seed, dtype or self.dtype)
        new = object.__new__(type(self))
        changed = {"dtype": np.dtype(dtype or self.dtype), "backend": get_backend(backend or self.backend)}
        new.__setstate__(self.__getstate__() | changed)
        return new

    @property
    def trainable(self) -> bool:
        """Whether optimizers move any layer's parameters. Setting it sets it for all: net[:3].trainable = False."""
        return any(layer.trainable for layer in self)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self:
            layer.trainable = value

    def frozen(self) -> list[tuple[Array, Array]]:
        """Return the parameters and gradients, as views, of the layers that are not trainable."""
        frozen = [layer for _, layer in self._with_parameters if not layer.trainable]
        return [(layer.views[name], layer.views[f"d{name}"]) for layer in frozen for name in layer.shapes()]

    def first_trainable(self) -> int:
        """Return the index of the first layer that has trainable parameters, itself or inside; 0 if there is none."""
        return next((k for k, layer in self._with_parameters if layer.trainable), 0)

    def check_views(self) -> None:
        """Raise ValueError if a vector, a layer, or a layer's parameter, gradient or buffer was replaced."""
        if replaced := [name for name, vector in self._vectors.items() if getattr(self, name) is not vector]:
            raise _replaced(replaced[0])
        if [id(layer) for _, layer in paths(self.layers)] != [id(layer) for layer in self._everywhere]:
            raise ValueError("layers of this network were replaced and are not in its vectors; make a new Network")
        for layer in self._everywhere:
            layer.check_views()

    def remember_views(self) -> None:
        """Keep what `check_views` compares, and the layers with parameters, with the index of their outermost one."""
        self._vectors = {name: getattr(self, name) for name in VECTORS}
        self._everywhere = [layer for _, layer in paths(self.layers)]
        inside = [(k, layer) for k, outermost in enumerate(self.layers) for _, layer in paths([outermost])]
        self._with_parameters = [(k, layer) for k, layer in inside if layer.shapes()]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Network: ...
    def __getitem__(self, index: int | slice) -> Layer | Network:
        """Return a layer, or for net[:3] a network of these same layers, which shares their parameters."""
        return self._part(index) if isinstance(index, slice) else self.layers[index]

    def _part(self, index: slice) -> Any:
        start, stop, step = index.indices(len(self.layers))
        if step != 1 or stop <= start:
            raise ValueError(f"a part of a network is one or more neighbors, as net[:3]; got [{start}:{stop}:{step}]")
        part = object.__new__(type(self))
        part.layers, part.seed, part.dtype, part.backend = self.layers[start:stop], self.seed, self.dtype, self.backend
        part.epoch, part.notes, part.loss = self.epoch, {}, self.loss if stop == len(self) else None
        parameters, buffers = _slice(self.layers, start, stop, "shapes"), _slice(self.layers, start, stop, "buffers")
        part.theta, part.grad, part.buffers = self.theta[parameters], self.grad[parameters], self.buffers[buffers]
        vars(part)["ops"] = self.backend.ops
        part.remember_views()
        return part

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickles and copies: the layers carry their parameters and buffers, on the host."""
        self.check_views()
        bound = (*VECTORS, "ops", "history", "_vectors", "_everywhere", "_with_parameters")
        state = {name: value for name, value in vars(self).items() if name not in bound}
        layers = tuple(layer.copy() for layer in self.layers)
        return state | {"layers": layers, "loss": deepcopy(self.loss), "notes": deepcopy(self.notes)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.allocate()

    def __repr__(self) -> str:
        return f"<Network {', '.join(map(repr, self.layers))}: {self.theta.size:,} parameters>"


def unpacked(layers: Sequence[Any]) -> tuple[Layer, ...]:
    """Return the layers; a network is replaced by copies of its layers."""
    parts = ([inner.copy() for inner in layer] if isinstance(layer, Container) else [layer] for layer in layers)
    return tuple(itertools.chain.from_iterable(parts))


def check_settings(seed: int, dtype: str | np.dtype) -> None:
    """Raise ValueError for a seed or a dtype that no network can have."""
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"Network takes a whole number of at least 0 as seed; got {seed!r}")
    if np.dtype(dtype).name not in ("float32", "float64"):
        raise ValueError(f"Network takes dtype 'float32' or 'float64'; got {dtype!r}")


def wrong_input(network: Network, x: Any) -> TypeError:
    """Return the error for an x of another backend or dtype than the network's."""
    got = f"{getattr(x, 'dtype', '')} {type(x).__name__}".strip()
    cure = f"x.astype({network.dtype.name!r}){' / 255' if got.startswith('uint8') else ''}"
    return TypeError(
        f"this network takes a {network.dtype} array of backend {network.backend.name!r}, got {got}; "
        f"{cure} makes one (fit, evaluate and predict do it themselves)"
    )


def _replaced(name: str) -> ValueError:
    return ValueError(f"network.{name} was replaced and is cut off from the layers; write {name}[...] = instead")


def _slice(layers: Sequence[Layer], start: int, stop: int, kind: str) -> slice:
    """Return where the parameters ("shapes") or buffers of layers[start:stop] are in the network's vectors."""
    sizes = [sum(size_of(getattr(inner, kind)()) for _, inner in paths([layer])) for layer in layers]
    return slice(sum(sizes[:start]), sum(sizes[:stop]))
