"""Checks of the layers of a network, and the errors that say how to mend what does not fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..arrays import positions
from .base import Layer
from .bound import RESERVED, Shape, layers_in


def check_layers(layers: Sequence[Layer]) -> None:
    """Raise TypeError or ValueError if these layers cannot form a network."""
    if not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise _no_layers(layers)
    seen: set[int] = set()
    for layer in _checked(layers):
        if id(layer) in seen:
            raise ValueError(f"Network takes each layer once; {layer} is there twice, and has one memory")
        seen.add(id(layer))
    shape: Shape = None
    for layer in layers:
        shape = layer.output_shape(shape)


def _checked(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Yield all layers, as often as they occur, each only after a check of the names that it uses."""
    for layer in layers:
        _check_names(layer)
        yield layer
        yield from _checked(layers_in(vars(layer)))


def _check_names(layer: Layer) -> None:
    """Raise an error unless the layer is free, and each of its parameters, buffers and attributes has its own name."""
    if layer.is_bound:
        raise _already_bound(layer)
    for method in ("config", "shapes", "buffers"):
        if not isinstance(found := getattr(layer, method)(), dict):
            raise TypeError(f"{type(layer).__name__}.{method}() must return a dictionary; got {found!r}")
    parameters, buffers, attributes = layer.shapes(), layer.buffers(), vars(layer)
    names = [*parameters, *(f"d{name}" for name in parameters), *buffers, *attributes]
    taken = [name for name in (*parameters, *buffers) if hasattr(type(layer), name) or name in RESERVED]
    methods = [name for name in attributes if callable(getattr(Layer, name, None)) and not callable(attributes[name])]
    hidden = [name for name in attributes if name in RESERVED or name in methods]
    if taken or hidden or len(set(names)) < len(names):
        raise _name_clash(layer, taken, hidden, sorted({name for name in names if names.count(name) > 1}))


def check_picture(layer: Layer, row: tuple[int, ...], channels: int | None, size: int = 1, padding: int = 0) -> None:
    """Raise ValueError unless a row is (C, rows, columns) with these channels, and has room for size x size pixels."""
    if len(row) != 3 or row[0] != (channels or row[0]):
        raise ValueError(
            f"{layer} takes x (N, {channels or 'C'}, rows, columns), but gets {_batch(row)}{_way_out(row, channels)}"
        )
    room = min(row[1:]) + 2 * padding
    if room < size:
        zeros = f" with {padding} zeros on each side" if padding else ""
        raise ValueError(
            f"{layer} takes pictures of at least {size} x {size}, but gets {_batch(row)}{zeros}; "
            f"a size of up to {room} x {room} fits"
        )


def shortcut_for(y: tuple[int, ...], x: tuple[int, ...]) -> str:
    """Describe the shortcut that makes rows y of rows x, as precisely as the shapes allow."""
    if len(y) == len(x) == 1:
        return f"a shortcut, as shortcut=Dense({x[0]}, {y[0]}),"
    if not len(y) == len(x) == 3:
        return "a shortcut"
    stride = math.ceil(x[1] / y[1])
    if positions(x, 1, stride, 0) != y[1:]:
        return "padding that keeps the size of pictures, or a shortcut"
    return f"a shortcut, as shortcut=Conv2D({x[0]}, {y[0]}, 1, stride={stride}),"


def _no_layers(layers: Sequence[Any]) -> TypeError:
    others = [layer for layer in layers if not isinstance(layer, Layer)]
    got = f"{others[0]!r}" if others else "none"
    return TypeError(f"Network takes layers one by one, as in Network(Dense(2, 3), ReLU()); got {got}")


def _already_bound(layer: Layer) -> ValueError:
    return ValueError(
        f"{layer} is part of a network already and has its views there; make a new layer, "
        "or a copy of it with what it has learned: layer.copy(), or tn.Network(net[:3], ...) for several"
    )


def _name_clash(layer: Layer, taken: list[str], hidden: list[str], shared: list[str]) -> ValueError:
    if hidden:
        return ValueError(
            f"{type(layer).__name__} has attributes {hidden}, names that a layer needs for something else"
        )
    if taken:
        return ValueError(f"{layer} has parameters {taken}, names that a layer needs for something else")
    return ValueError(
        f"{layer} uses {shared} twice: parameters, their gradients, buffers and its other attributes, layers too, "
        "need a name each"
    )


def _batch(row: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, ('N', *row)))})"


def _way_out(row: tuple[int, ...], channels: int | None) -> str:
    """Say how what came becomes a picture, if the shape allows a guess."""
    side = math.isqrt(math.prod(row) // (channels or 1))
    if len(row) == 3 and row[-1] == channels:
        return "; channels come first: x.transpose(0, 3, 1, 2)"
    if len(row) == 2 and channels in (None, 1):
        return "; x[:, None] gives each picture one channel"
    if len(row) == 1 and side**2 * (channels or 1) == row[0]:
        return f"; x.reshape(-1, {channels or 1}, {side}, {side}) makes pictures of rows"
    return ""
