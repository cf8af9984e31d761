"""The residual block: layers with a shortcut around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arrays import Array
from .base import Layer
from .bound import Shape
from .validation import shortcut_for


class Residual(Layer):
    """y = x + layers(x), or shortcut(x) + layers(x) if they change the shape        He et al. 2016, equations 1, 2

    Residual(Dense(8, 8), ReLU()), Residual(Dense(8, 16), ReLU(), shortcut=Dense(8, 16)). Raises TypeError for arguments
    that are not layers, and ValueError if the two summands differ in shape.
    """

    def __init__(self, *layers: Layer, shortcut: Layer | None = None) -> None:
        parts = layers if shortcut is None else (*layers, shortcut)
        if not layers or not all(isinstance(layer, Layer) for layer in parts):
            raise TypeError(f"Residual takes layers, one or more, and a layer as shortcut; got {layers}, {shortcut!r}")
        self.layers, self.shortcut = layers, shortcut
        self.D = features_in(layers)

    def forward(self, x: Array, train: bool = False) -> Array:
        y = x
        for layer in self.layers:
            y = layer.forward(y, train)
        around = self.shortcut.forward(x, train) if self.shortcut else x
        self._check_sum(y.shape, around.shape)
        return y + around

    def backward(self, dy: Array) -> Array:
        dx = dy
        for layer in reversed(self.layers):
            dx = layer.backward(dx)
        return dx + (self.shortcut.backward(dy) if self.shortcut else dy)

    def config(self) -> dict[str, Any]:
        return {"layers": list(self.layers)} | ({"shortcut": self.shortcut} if self.shortcut else {})

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Residual:
        options = dict(config)
        return cls(*options.pop("layers"), **options)

    def output_shape(self, shape: Shape) -> Shape:
        if shape is None and self.D:
            shape = (self.D,)
        y = shape
        try:
            for layer in self.layers:
                y = layer.output_shape(y)
            around = self.shortcut.output_shape(shape) if self.shortcut else shape
        except ValueError as error:
            raise ValueError(f"inside {self}: {error}") from None
        if y and around:
            self._check_sum(("N", *y), ("N", *around))
        return y or around

    def _check_sum(self, y: tuple[Any, ...], around: tuple[Any, ...]) -> None:
        if y != around:
            cure = "another shortcut" if self.shortcut else shortcut_for(y[1:], around[1:])
            shapes = " to ".join(f"({', '.join(map(str, shape))})" for shape in (y, around))
            raise ValueError(f"{self} adds {shapes}; it takes {cure} that gives the shape of its layers")

    def __repr__(self) -> str:
        parts = [*map(repr, self.layers), *([f"shortcut={self.shortcut!r}"] if self.shortcut else [])]
        return f"Residual({', '.join(parts)})"


def features_in(layers: Sequence[Layer]) -> int | None:
    """Return the length of a row that goes in; None if no layer determines it, and for pictures."""
    D = next((layer.D for layer in layers if layer.D), None)
    row: Shape = (D,) if D else None
    try:
        for layer in layers:
            row = layer.output_shape(row)
    except ValueError:
        return None
    return D
