"""The dense (fully connected) layer: every output is a weighted sum of all inputs."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import Array
from .base import Layer
from .bound import Shape, Shapes
from .initializers import INITIALIZERS


class Dense(Layer):
    """y = x W + b        x (N, D), W (D, M), b (1, M) -> y (N, M)

    `init` names the rule that draws W: glorot_uniform, glorot_normal, he_uniform, he_normal or zeros; b starts at 0.
    Raises ValueError for widths below 1 and an unknown `init`.
    """

    def __init__(self, inputs: int, outputs: int, init: str = "glorot_uniform") -> None:
        if not all(isinstance(width, Integral) and width > 0 for width in (inputs, outputs)):
            raise ValueError(f"Dense takes two whole numbers of at least 1; got {inputs!r} and {outputs!r}")
        if init not in INITIALIZERS:
            raise ValueError(f"Dense takes init = {', '.join(INITIALIZERS)}; got {init!r}")
        self.D: int = int(inputs)
        self.M, self.init = int(outputs), init

    def forward(self, x: Array, train: bool = False) -> Array:
        if x.ndim < 2 or x.shape[-1] != self.D:
            raise ValueError(f"{self} takes x (N, {self.D}), got {x.shape}")
        self.memory = x if train else None
        return self.ops.dense(x, self.W, self.b)

    def backward(self, dy: Array) -> Array:
        self.write_gradients(dy)
        return self.ops.dense_backward(dy, self.W)

    def backward_parameters(self, dy: Array) -> None:
        self.ops.dense_backward_parameters(dy, self.recall(), self.dW, self.db)

    def shapes(self) -> Shapes:
        return {"W": (self.D, self.M), "b": (1, self.M)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        return {"W": INITIALIZERS[self.init](draw, self.D, self.M, (self.D, self.M))}

    def config(self) -> dict[str, Any]:
        widths = {"inputs": self.D, "outputs": self.M}
        return widths if self.init == "glorot_uniform" else widths | {"init": self.init}

    def output_shape(self, shape: Shape) -> Shape:
        super().output_shape(shape)
        return (self.M,)

    def multiply_adds(self, y: Shape) -> int:
        return self.D * self.M
