"""Arrays in the memory of others that are gone: a step makes the same again and again, and the first touch of new
memory costs more than what is computed on it."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

SMALL, MOST = 2**17, 2**28
"""Bytes of an array that is not worth it, and those that wait at most for others."""

LINE = 64
"""Bytes of a line of the cache, at whose beginning arrays begin."""

_waiting: defaultdict[int, list[np.ndarray]] = defaultdict(list)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """As np.empty."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if not SMALL < size <= MOST:
        return np.empty(shape, dtype)
    try:
        memory = _waiting[size].pop()
    except IndexError:
        memory = _aligned(size)
    return np.asarray(_Memory(memory)).view(dtype).reshape(shape)


class _Memory:
    """What an array holds on to; when that is gone, its bytes wait for the next."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory, self.waiting = memory, _waiting
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        size = self.memory.nbytes
        if size + sum(other * len(arrays) for other, arrays in list(self.waiting.items())) > MOST:
            self.waiting.clear()
        self.waiting[size].append(self.memory)


def _aligned(size: int) -> np.ndarray:
    block = np.empty(size + LINE, np.uint8)
    start = -block.ctypes.data % LINE
    return block[start : start + size]
