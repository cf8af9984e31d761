"""Strategies for shapes, dtypes and memory layouts, and for arrays of floats that have them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.optional import optional_import

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

hypothesis = optional_import("hypothesis", "testing")
st = optional_import("hypothesis.strategies", "testing")
numpy_strategies = optional_import("hypothesis.extra.numpy", "testing")

LAYOUTS = ("C", "Fortran", "strided", "reversed", "read-only")
"""Memory layouts, from the simplest. "strided" has gaps, with NaN in arrays of floats; "reversed" negative strides."""


def arrays(
    shape: Any = None,
    dtype: Any = None,
    layout: Any = None,
    *,
    low: float = -4,
    high: float = 4,
    ties: bool = False,
) -> SearchStrategy[np.ndarray]:
    """Return a strategy for arrays of the numbers x = (2k + 1) / 512 between low and high, all different and not 0.

    Numbers differ by at least 1/256, and from 0 by 1/512, so that small steps cross no kink of max(x, 0) or of a
    maximum. With `ties`, x = k / 2: equal numbers and zeros are frequent. `shape`, `dtype` and `layout` are values or
    strategies; None means `shapes()`, `dtypes()` and `layouts()`. Without ties, an array may have at most
    256 (high - low) numbers. A failed test prints the layout. Raises Hypothesis's InvalidArgument, when an array is
    drawn, if no such number lies between low and high.
    """
    shape = shapes() if shape is None else shape
    dtype = dtypes() if dtype is None else dtype
    layout = layouts() if layout is None else layout
    layout = st.just(layout) if isinstance(layout, str) else layout
    values = numpy_strategies.arrays(dtype, shape, elements=_numbers(low, high, ties), unique=not ties)
    return st.builds(in_layout, values, layout)


def shapes(
    min_dims: int = 1, max_dims: int = 4, *, min_side: int = 1, max_side: int = 4
) -> SearchStrategy[tuple[int, ...]]:
    """Return a strategy for shapes: shape = (n_1, ..., n_d), min_dims <= d <= max_dims, min_side <= n_i <= max_side

    `shapes(2, 2)` are rows (N, D), and `shapes(4, 4)` are pictures (N, C, rows, columns). Raises Hypothesis's
    InvalidArgument, when a shape is drawn, if a limit is negative or a minimum exceeds its maximum.
    """
    return numpy_strategies.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


def dtypes() -> SearchStrategy[np.dtype]:
    """Return a strategy for the dtypes of networks: dtype = float64 or float32."""
    return st.sampled_from([np.dtype("float64"), np.dtype("float32")])


def layouts() -> SearchStrategy[str]:
    """Return a strategy for the names in LAYOUTS: layout = "C", "Fortran", "strided", "reversed" or "read-only"."""
    return st.sampled_from(LAYOUTS)


def in_layout(array: np.ndarray, layout: str) -> np.ndarray:
    """Return a copy of the array with the same shape, dtype and numbers in another memory layout.

    If a Hypothesis test fails, it prints the layout. Raises ValueError if `layout` is not one of LAYOUTS.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"in_layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}")
    if hypothesis.currently_in_test_context():
        hypothesis.note(f"an array {array.shape} has layout {layout!r}")
    if layout == "strided":
        gap = math.nan if array.dtype.kind in "fc" else 0
        copy = np.full((*array.shape, 2), gap, array.dtype)[..., 0]
    elif layout == "reversed":
        copy = np.flip(np.empty((1, *array.shape), array.dtype))[0, ...]
    else:
        copy = np.empty_like(array, order="F" if layout == "Fortran" else "C")
    copy[...] = array
    copy.flags.writeable = layout != "read-only"
    return copy


def _numbers(low: float, high: float, ties: bool) -> SearchStrategy[float]:
    """Return a strategy for k / 2 with ties, else 1/2 + (2k + 1) / 512. Hypothesis shrinks to 0, or toward k = 0."""
    if ties:
        halves = [k / 2 for k in range(math.ceil(2 * low), math.floor(2 * high) + 1)]
        return st.sampled_from(sorted(halves, key=abs))
    least, largest = math.ceil(256 * low), math.floor(256 * high) - 1
    return st.integers(least - 128, largest - 128).map(lambda k: 1 / 2 + (2 * k + 1) / 512)
