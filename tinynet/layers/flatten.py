"""The layer between pictures and rows."""

from __future__ import annotations

import math

from ..arrays import Array
from .base import Layer
from .bound import Shape


class Flatten(Layer):
    """y_n = all numbers of x_n in one row        x (N, ...) -> y (N, D), D the product of the other axes"""

    def forward(self, x: Array, train: bool = False) -> Array:
        self.memory = x.shape if train else None
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.recall())

    def output_shape(self, shape: Shape) -> Shape:
        return None if shape is None else (math.prod(shape),)
