"""NumPy's arrays and CuPy's, which behave alike: what a function asks of either."""

from __future__ import annotations

import importlib
import math
import sys
from typing import Any

import numpy as np

Array = Any
"""A NumPy array, or the same thing on a device."""


def module_of(x: Array) -> Any:
    """The module whose functions take x: numpy or cupy. (CuPy's arrays have no `__array_namespace__` as of 14.2.)"""
    return np if isinstance(x, np.ndarray | np.generic) else sys.modules[type(x).__module__]


def erf(x: Array) -> Array:
    """2 / sqrt(pi) times the integral of exp(-s^2) from 0 to x, which NumPy does not have and CuPy has elsewhere."""
    if isinstance(x, np.ndarray):
        return np.vectorize(math.erf, otypes=[x.dtype])(x)
    return importlib.import_module("cupyx.scipy.special").erf(x)


def positions(shape: tuple[int, ...], size: int, stride: int, padding: int) -> tuple[int, int]:
    """Where a patch of size x size can stand on a picture (..., rows, columns): so often down, so often across."""
    rows, columns = shape[-2:]
    return (rows + 2 * padding - size) // stride + 1, (columns + 2 * padding - size) // stride + 1
