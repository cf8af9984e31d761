"""What passes through each layer, by name, all the way down."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..layers import Layer
from ..layers.base import walk


@contextlib.contextmanager
def recorded(layers: Sequence[Layer], method: str) -> Iterator[dict[str, Any]]:
    """What `method` of each layer returns while the block runs, in the order in which they finish."""
    found: dict[str, Any] = {}
    replaced = [(layer, vars(layer).get(method)) for _, _, layer in walk(layers)]
    for _, name, layer in walk(layers):
        setattr(layer, method, _recording(getattr(layer, method), found, name))
    try:
        yield found
    finally:
        for layer, before in replaced:
            delattr(layer, method)
            if before:
                setattr(layer, method, before)


def _recording(call: Callable[..., Any], found: dict[str, Any], name: str) -> Callable[..., Any]:
    def recording(*arguments: Any, **options: Any) -> Any:
        found[name] = call(*arguments, **options)
        return found[name]

    return recording
