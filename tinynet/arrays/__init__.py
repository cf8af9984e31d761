"""What a function needs to work with NumPy's arrays and with CuPy's, which behave alike."""

from __future__ import annotations

import importlib
import math
import sys
from typing import Any

import numpy as np

Array = Any
"""A NumPy array, or an array on a device."""


def module_of(x: Array) -> Any:
    """Return the module whose functions take x: numpy or cupy. (CuPy 14.2 has no `__array_namespace__`.)"""
    return np if isinstance(x, np.ndarray | np.generic) else sys.modules[type(x).__module__]


def erf(x: Array) -> Array:
    """2 / sqrt(pi) times the integral of exp(-s^2) from 0 to x. NumPy has no erf."""
    if isinstance(x, np.ndarray):
        return np.vectorize(math.erf, otypes=[x.dtype])(x)
    return importlib.import_module("cupyx.scipy.special").erf(x)


def positions(shape: tuple[int, ...], size: int, stride: int, padding: int) -> tuple[int, int]:
    """Return how many patches of size x size fit on pictures (..., rows, columns): down, and across."""
    rows, columns = shape[-2:]
    return (rows + 2 * padding - size) // stride + 1, (columns + 2 * padding - size) // stride + 1
