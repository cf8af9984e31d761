"""The layer that learns to see: every output a weighted sum of a small window, the same weights wherever it stands."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import Array, positions
from .base import Layer, Shape
from .initializers import INITIALISERS
from .validation import check_picture


class Conv2D(Layer):
    """y = W windows(x) + b        x (N, C, rows, columns), W (M, C, kernel, kernel), b (M, 1, 1) -> y (N, M, I, J)

    C channels go in, M come out; windows of kernel x kernel pixels stand `stride` apart, over pictures with `padding`
    zeros more on every side. I = (rows + 2 padding - kernel) // stride + 1, and J likewise: what no window reaches is
    left out. `init` names the rule that draws W, as for Dense; ReLU follows, hence He's. LeCun et al. 1989.
    Raises ValueError for numbers that are not whole or too small, and an unknown `init`.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, init: str = "he_normal"
    ) -> None:
        numbers = inputs, outputs, kernel, stride, padding + 1 if isinstance(padding, Integral) else padding
        if not all(isinstance(number, Integral) and number > 0 for number in numbers):
            given = f"{inputs!r}, {outputs!r}, {kernel!r}, {stride!r}, {padding!r}"
            raise ValueError(f"Conv2D takes whole numbers of at least 1, and padding of at least 0; got {given}")
        if init not in INITIALISERS:
            raise ValueError(f"Conv2D takes init = {', '.join(INITIALISERS)}; got {init!r}")
        self.C, self.M, self.kernel = int(inputs), int(outputs), int(kernel)
        self.stride, self.padding, self.init = int(stride), int(padding), init

    def forward(self, x: Array, train: bool = False) -> Array:
        check_picture(self, x.shape[1:], self.C, self.kernel, self.padding)
        self.memory = x if train else None
        return self.ops.conv2d(x, self.W, self.b, self.stride, self.padding)

    def backward(self, dy: Array) -> Array:
        if self.trainable:
            self.backward_parameters(dy)
        return self.ops.conv2d_backward(dy, self.W, self.recall().shape, self.stride, self.padding)

    def backward_parameters(self, dy: Array) -> None:
        self.ops.conv2d_backward_parameters(dy, self.recall(), self.dW, self.db, self.stride, self.padding)

    def config(self) -> dict[str, Any]:
        numbers = {"inputs": self.C, "outputs": self.M, "kernel": self.kernel}
        numbers |= {"stride": self.stride, "padding": self.padding}
        return numbers if self.init == "he_normal" else numbers | {"init": self.init}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.M, self.C, self.kernel, self.kernel), "b": (self.M, 1, 1)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        window = self.kernel**2
        return {"W": INITIALISERS[self.init](draw, self.C * window, self.M * window, self.shapes()["W"])}

    def outputs(self, shape: Shape) -> Shape:
        if shape is None:
            return None
        check_picture(self, shape, self.C, self.kernel, self.padding)
        return (self.M, *positions(shape, self.kernel, self.stride, self.padding))

    def multiply_adds(self, y: Shape) -> int:
        return math.prod(y) * self.C * self.kernel**2 if y else 0
