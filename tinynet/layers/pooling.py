"""Layers that make pictures smaller: the largest number of each window, or the mean. They learn nothing."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from ..arrays import Array, positions
from .base import Layer, Shape
from .validation import check_picture


class _Pool2D(Layer):
    """Windows of size x size pixels, side by side; rows and columns that fill no window are left out."""

    def __init__(self, size: int) -> None:
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{type(self).__name__} takes a whole number of at least 1; got {size!r}")
        self.window: int = int(size)

    def config(self) -> dict[str, Any]:
        return {"size": self.window}

    def outputs(self, shape: Shape) -> Shape:
        if shape is None:
            return None
        check_picture(self, shape, None, self.window)
        return (shape[0], *positions(shape, self.window, self.window, 0))


class MaxPool2D(_Pool2D):
    """y = the largest number of each window of size x size        x (N, C, rows, columns) -> y (N, C, I, J)

    Windows stand side by side; what fills none is left out: I = rows // size. Of equal numbers the first has the
    gradient. Raises ValueError for a size below 1. Riesenhuber and Poggio 1999.
    """

    def forward(self, x: Array, train: bool = False) -> Array:
        check_picture(self, x.shape[1:], None, self.window)
        self.memory = x if train else None
        return self.ops.max_pool2d(x, self.window)

    def backward(self, dy: Array) -> Array:
        return self.ops.max_pool2d_backward(dy, self.recall(), self.window)


class AveragePool2D(_Pool2D):
    """y = the mean of each window of size x size        x (N, C, rows, columns) -> y (N, C, I, J)

    Windows stand side by side; what fills none is left out: I = rows // size. Raises ValueError for a size below 1.
    LeCun, Bottou, Bengio and Haffner 1998, section II.A.
    """

    def forward(self, x: Array, train: bool = False) -> Array:
        check_picture(self, x.shape[1:], None, self.window)
        self.memory = x.shape if train else None
        return self.ops.average_pool2d(x, self.window)

    def backward(self, dy: Array) -> Array:
        return self.ops.average_pool2d_backward(dy, self.recall(), self.window)


class GlobalAveragePool(Layer):
    """y = the mean of each channel        x (N, C, rows, columns) -> y (N, C); Lin, Chen and Yan 2014, section 3.2"""

    def forward(self, x: Array, train: bool = False) -> Array:
        check_picture(self, x.shape[1:], None)
        self.memory = x.shape if train else None
        return self.ops.global_average_pool(x)

    def backward(self, dy: Array) -> Array:
        return self.ops.global_average_pool_backward(dy, self.recall())

    def outputs(self, shape: Shape) -> Shape:
        if shape is None:
            return None
        check_picture(self, shape, None)
        return shape[:1]
