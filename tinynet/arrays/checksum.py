"""Whether two arrays are the same, told by one number."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from . import Array

ROWS_AT_ONCE = 4096


def checksum(x: Array, to_host: Callable[[Array], np.ndarray] = np.asarray) -> str:
    """CRC-32 of all numbers and the shape, some rows at a time, so that no copy of a large array is made."""
    found = 0
    for start in range(0, len(x), ROWS_AT_ONCE):
        rows = to_host(x[start : start + ROWS_AT_ONCE])
        found = zlib.crc32(np.ascontiguousarray(rows).data, found)
    return f"{x.dtype} {x.shape} {found:08x}"
