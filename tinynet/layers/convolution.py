"""The convolution layer: every output is a weighted sum of a small patch, with the same weights at every position."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import Array, positions
from .base import Layer
from .bound import Shape, Shapes
from .initializers import INITIALIZERS
from .validation import check_picture


class Conv2D(Layer):
    """y = W patches(x) + b        x (N, C, rows, columns), W (M, C, size, size), b (M, 1, 1) -> y (N, M, I, J)

    C input channels, M output channels. Kernels of size x size pixels, size = `kernel_size`, slide over x in steps of
    `stride`, with `padding` zeros added on every side: I = (rows + 2 padding - size) // stride + 1, and J likewise.
    Rows and columns that no kernel reaches are left out. `init` names the rule that draws W, as for Dense; the default
    is He's, for a ReLU behind the layer. LeCun et al. 1989. Raises ValueError for numbers that are not whole or too
    small, and for an unknown `init`.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, stride: int = 1, padding: int = 0, init: str = "he_normal"
    ) -> None:
        numbers = inputs, outputs, kernel_size, stride, padding + 1 if isinstance(padding, Integral) else padding
        if not all(isinstance(number, Integral) and number > 0 for number in numbers):
            given = f"{inputs!r}, {outputs!r}, {kernel_size!r}, {stride!r}, {padding!r}"
            raise ValueError(f"Conv2D takes whole numbers of at least 1, and padding of at least 0; got {given}")
        if init not in INITIALIZERS:
            raise ValueError(f"Conv2D takes init = {', '.join(INITIALIZERS)}; got {init!r}")
        self.C, self.M, self.kernel_size = int(inputs), int(outputs), int(kernel_size)
        self.stride, self.padding, self.init = int(stride), int(padding), init

    def forward(self, x: Array, train: bool = False) -> Array:
        check_picture(self, x.shape[1:], self.C, self.kernel_size, self.padding)
        self.memory = x if train else None
        return self.ops.conv2d(x, self.W, self.b, self.stride, self.padding)

    def backward(self, dy: Array) -> Array:
        self.write_gradients(dy)
        return self.ops.conv2d_backward(dy, self.W, self.recall().shape, self.stride, self.padding)

    def backward_parameters(self, dy: Array) -> None:
        self.ops.conv2d_backward_parameters(dy, self.recall(), self.dW, self.db, self.stride, self.padding)

    def shapes(self) -> Shapes:
        return {"W": (self.M, self.C, self.kernel_size, self.kernel_size), "b": (self.M, 1, 1)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        area = self.kernel_size**2
        return {"W": INITIALIZERS[self.init](draw, self.C * area, self.M * area, self.shapes()["W"])}

    def config(self) -> dict[str, Any]:
        numbers = {"inputs": self.C, "outputs": self.M, "kernel_size": self.kernel_size}
        numbers |= {"stride": self.stride, "padding": self.padding}
        return numbers if self.init == "he_normal" else numbers | {"init": self.init}

    def output_shape(self, shape: Shape) -> Shape:
        if shape is None:
            return None
        check_picture(self, shape, self.C, self.kernel_size, self.padding)
        return (self.M, *positions(shape, self.kernel_size, self.stride, self.padding))

    def multiply_adds(self, y: Shape) -> int:
        return math.prod(y) * self.C * self.kernel_size**2 if y else 0
