"""Arrays that reuse the memory of deleted arrays.

Every step makes arrays of the same sizes, and the first touch of new memory takes longer than the computation on it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

SMALL, MOST = 2**17, 2**28
"""Bytes: up to SMALL, reuse does not pay off; at most MOST are kept for reuse."""

LINE = 64
"""Bytes of a cache line; arrays start on one."""

_free: defaultdict[int, list[np.ndarray]] = defaultdict(list)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array as np.empty does, if possible in memory that was used before."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if not SMALL < size <= MOST:
        return np.empty(shape, dtype)
    try:
        memory = _free[size].pop()
    except IndexError:
        memory = _aligned(size)
    return np.asarray(_Memory(memory)).view(dtype).reshape(shape)


class _Memory:
    """The memory of an array. When the array and all its views are deleted, it is kept for reuse."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory, self.free = memory, _free
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        size = self.memory.nbytes
        if size + sum(other * len(arrays) for other, arrays in list(self.free.items())) > MOST:
            self.free.clear()
        self.free[size].append(self.memory)


def _aligned(size: int) -> np.ndarray:
    block = np.empty(size + LINE, np.uint8)
    start = -block.ctypes.data % LINE
    return block[start : start + size]
