"""NumPy's arrays and CuPy's, which behave alike: what a function asks of either."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Array = Any
"""A NumPy array, or the same thing on a device."""


def module_of(x: Array) -> Any:
    """The module whose functions take x: numpy or cupy. (CuPy's arrays have no `__array_namespace__` as of 14.2.)"""
    return np if isinstance(x, np.ndarray | np.generic) else sys.modules[type(x).__module__]
