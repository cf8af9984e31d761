"""Record what passes through each layer, by name, including the layers inside blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .base import Layer
from .bound import walk

Call = Callable[..., Any]


@contextlib.contextmanager
def recorded(layers: Sequence[Layer], method: str) -> Iterator[dict[str, Any]]:
    """Record what `method` of each layer returns while the with-block runs, in the order of the returns."""
    with _replaced(layers, method, _recording) as found:
        yield found


@contextlib.contextmanager
def received(layers: Sequence[Layer], method: str) -> Iterator[dict[str, Any]]:
    """Record the first argument of `method` of each layer while the with-block runs, in the order of the calls."""
    with _replaced(layers, method, _receiving) as found:
        yield found


@contextlib.contextmanager
def _replaced(
    layers: Sequence[Layer], method: str, wrapper: Callable[[Call, dict[str, Any], str], Call]
) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    replaced = [(layer, vars(layer).get(method)) for _, _, layer in walk(layers)]
    for _, name, layer in walk(layers):
        setattr(layer, method, wrapper(getattr(layer, method), found, name))
    try:
        yield found
    finally:
        for layer, before in replaced:
            delattr(layer, method)
            if before:
                setattr(layer, method, before)


def _recording(call: Call, found: dict[str, Any], name: str) -> Call:
    def recording(*arguments: Any, **options: Any) -> Any:
        found[name] = call(*arguments, **options)
        return found[name]

    return recording


def _receiving(call: Call, found: dict[str, Any], name: str) -> Call:
    def receiving(first: Any, *arguments: Any, **options: Any) -> Any:
        found[name] = first
        return call(first, *arguments, **options)

    return receiving
