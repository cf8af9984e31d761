"""The readable functions on NumPy's arrays; those that move theta do it in parts, which stay in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from .. import functions

PART = 32_768
"""Numbers in a part, at most: beyond some megabytes the allocator gives each intermediate back to the system."""


def _in_parts(function: Callable[..., None], vectors: int) -> Callable[..., None]:
    """The function, whose first arguments are so many vectors of one length, on one part of them after another."""

    @wraps(function)
    def apply(*arguments: Any) -> None:
        size = len(arguments[0])
        if size <= PART:
            return function(*arguments)
        length = math.ceil(size / math.ceil(size / PART))
        for start in range(0, size, length):
            parts = (vector[start : start + length] for vector in arguments[:vectors])
            function(*parts, *arguments[vectors:])

    return apply


sgd = _in_parts(functions.sgd, 3)
adam = _in_parts(functions.adam, 4)
rmsprop = _in_parts(functions.rmsprop, 3)
