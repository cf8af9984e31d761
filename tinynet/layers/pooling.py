"""Pooling layers: each patch of a picture becomes its largest number or its mean. They have no parameters."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from ..arrays import Array, positions
from .base import Layer
from .bound import Shape
from .validation import check_picture


class _Pool2D(Layer):
    """Patches of size x size pixels that do not overlap, size = `pool_size`. Rest rows and columns are left out."""

    def __init__(self, pool_size: int) -> None:
        if not isinstance(pool_size, Integral) or pool_size < 1:
            raise ValueError(f"{type(self).__name__} takes a whole number of at least 1; got {pool_size!r}")
        self.pool_size: int = int(pool_size)

    def config(self) -> dict[str, Any]:
        return {"pool_size": self.pool_size}

    def output_shape(self, shape: Shape) -> Shape:
        if shape is None:
            return None
        check_picture(self, shape, None, self.pool_size)
        return (shape[0], *positions(shape, self.pool_size, self.pool_size, 0))


class MaxPool2D(_Pool2D):
    """y = the largest number of each patch of size x size        x (N, C, rows, columns) -> y (N, C, I, J)

    size = `pool_size`. Patches do not overlap, and pixels that fill no patch are left out: I = rows // size. Of equal
    numbers the first gets the gradient. Raises ValueError for a size below 1. Riesenhuber and Poggio 1999.
    """

    def forward(self, x: Array, train: bool = False) -> Array:
        check_picture(self, x.shape[1:], None, self.pool_size)
        self.memory = x if train else None
        return self.ops.max_pool2d(x, self.pool_size)

    def backward(self, dy: Array) -> Array:
        return self.ops.max_pool2d_backward(dy, self.recall(), self.pool_size)


class AveragePool2D(_Pool2D):
    """y = the mean of each patch of size x size        x (N, C, rows, columns) -> y (N, C, I, J)

    size = `pool_size`. Patches do not overlap, and pixels that fill no patch are left out: I = rows // size. Raises
    ValueError for a size below 1. LeCun, Bottou, Bengio and Haffner 1998, section II.A.
    """

    def forward(self, x: Array, train: bool = False) -> Array:
        check_picture(self, x.shape[1:], None, self.pool_size)
        self.memory = x.shape if train else None
        return self.ops.average_pool2d(x, self.pool_size)

    def backward(self, dy: Array) -> Array:
        return self.ops.average_pool2d_backward(dy, self.recall(), self.pool_size)


class GlobalAveragePool(Layer):
    """y = the mean of each channel        x (N, C, rows, columns) -> y (N, C); Lin, Chen and Yan 2014, section 3.2"""

    def forward(self, x: Array, train: bool = False) -> Array:
        check_picture(self, x.shape[1:], None)
        self.memory = x.shape if train else None
        return self.ops.global_average_pool(x)

    def backward(self, dy: Array) -> Array:
        return self.ops.global_average_pool_backward(dy, self.recall())

    def output_shape(self, shape: Shape) -> Shape:
        if shape is None:
            return None
        check_picture(self, shape, None)
        return shape[:1]
