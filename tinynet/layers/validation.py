"""What is refused: no layer at all, a layer of another network, one name for two things, a misfit, no picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..arrays import positions
from .base import PLACE, Layer, Shape, layers_in


def check_layers(layers: Sequence[Layer]) -> None:
    """TypeError or ValueError for what cannot be a network: no layers, one of them twice, widths that differ, ..."""
    strangers = [layer for layer in layers if not isinstance(layer, Layer)]
    if strangers or not layers:
        got = f"{strangers[0]!r}" if strangers else "none"
        raise TypeError(f"Network takes layers one by one, as in Network(Dense(2, 3), ReLU()); got {got}")
    everywhere: list[Layer] = []
    for layer in _checked(layers):
        if any(layer is other for other in everywhere):
            raise ValueError(f"Network takes each layer once; {layer} is there twice, and has one memory")
        everywhere.append(layer)
    shape: Shape = None
    for layer in layers:
        shape = layer.outputs(shape)


def check_picture(layer: Layer, row: tuple[int, ...], channels: int | None, size: int = 1, padding: int = 0) -> None:
    """ValueError if a row is not (C, rows, columns), with so many channels, and room for a window of this size."""
    got = f"({', '.join(map(str, ('N', *row)))})"
    if len(row) != 3 or row[0] != (channels or row[0]):
        raise ValueError(
            f"{layer} takes x (N, {channels or 'C'}, rows, columns), but gets {got}{_way_out(row, channels)}"
        )
    if min(row[1:]) + 2 * padding < size:
        zeros = f" with {padding} zeros on each side" if padding else ""
        raise ValueError(
            f"{layer} takes pictures of at least {size} x {size}, but gets {got}{zeros}; "
            f"windows of up to {min(row[1:]) + 2 * padding} x {min(row[1:]) + 2 * padding} fit"
        )


def way_around(y: tuple[int, ...], x: tuple[int, ...]) -> str:
    """The shortcut that makes rows y of rows x, where one can guess, as a sentence names it."""
    if len(y) == len(x) == 1:
        return f"a shortcut, as shortcut=Dense({x[0]}, {y[0]}),"
    if not len(y) == len(x) == 3:
        return "a shortcut"
    stride = math.ceil(x[1] / y[1])
    if positions(x, 1, stride, 0) != y[1:]:
        return "padding that keeps the size of pictures, or a shortcut"
    return f"a shortcut, as shortcut=Conv2D({x[0]}, {y[0]}, 1, stride={stride}),"


def _way_out(row: tuple[int, ...], channels: int | None) -> str:
    """How what came becomes a picture, where one can guess."""
    side = math.isqrt(math.prod(row) // (channels or 1))
    if len(row) == 3 and row[-1] == channels:
        return "; channels come first: x.transpose(0, 3, 1, 2)"
    if len(row) == 2 and channels in (None, 1):
        return "; x[:, None] gives each picture one channel"
    if len(row) == 1 and side**2 * (channels or 1) == row[0]:
        return f"; x.reshape(-1, {channels or 1}, {side}, {side}) makes pictures of rows"
    return ""


def _checked(layers: Sequence[Layer]) -> Iterator[Layer]:
    """All layers, those inside too, each only after a look at the names that it uses."""
    for layer in layers:
        _check_layer(layer)
        yield layer
        yield from _checked(list(layers_in(vars(layer))))


def _check_layer(layer: Layer) -> None:
    for name in ("config", "shapes", "buffers"):
        if not isinstance(found := getattr(layer, name)(), dict):
            raise TypeError(f"{type(layer).__name__}.{name}() must return a dictionary; got {found!r}")
    if layer.is_bound:
        raise ValueError(
            f"{layer} is part of a network already and has its windows there; make a new layer, "
            "or a copy of it with what it has learned: layer.copy(), or tn.Network(net[:3], ...) for several"
        )
    if taken := [name for name, value in vars(layer).items() if name in PLACE or _hides_a_method(name, value)]:
        raise ValueError(f"{type(layer).__name__} has attributes {taken}, names that a layer needs for something else")
    parameters, buffers = layer.shapes(), layer.buffers()
    if taken := [name for name in (*parameters, *buffers) if hasattr(type(layer), name) or name in PLACE]:
        raise ValueError(f"{layer} has parameters {taken}, names that a layer needs for something else")
    names = [*parameters, *(f"d{name}" for name in parameters), *buffers, *vars(layer)]
    if shared := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"{layer} uses {shared} twice: parameters, their gradients, buffers and its other attributes, "
            "layers too, need a name each"
        )


def _hides_a_method(name: str, value: Any) -> bool:
    return callable(getattr(Layer, name, None)) and not callable(value)
