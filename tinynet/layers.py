"""Who remembers what: the layers. Their mathematics is in `functions.py`, under the names they call.

A layer keeps what its backward needs, and only in training. Its parameters and their gradients are windows into
the network's two vectors: write into them (`self.dW[...] = `, `out=self.dW`), never rebind them.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from . import rng
from .arrays import Array
from .layer import Layer


class Dense(Layer):
    """y = x W + b        x (N, D), W (D, M), b (1, M) -> y (N, M)

    `init` names the rule that draws W: glorot_uniform, glorot_normal, he_uniform, he_normal or zeros; b starts at 0.
    Raises ValueError for widths below 1 and an unknown `init`.
    """

    def __init__(self, inputs: int, outputs: int, init: str = "glorot_uniform") -> None:
        if not all(isinstance(width, Integral) and width > 0 for width in (inputs, outputs)):
            raise ValueError(f"Dense takes two whole numbers of at least 1; got {inputs!r} and {outputs!r}")
        if init not in rng.INITIALISERS:
            raise ValueError(f"Dense takes init = {', '.join(rng.INITIALISERS)}; got {init!r}")
        self.D: int = int(inputs)
        self.M, self.init = int(outputs), init

    def forward(self, x: Array, train: bool = False) -> Array:
        if x.ndim < 2 or x.shape[-1] != self.D:
            raise ValueError(f"{self} takes x (N, {self.D}), got {x.shape}")
        self.memory = x if train else None
        return self.ops.dense(x, self.W, self.b)

    def backward(self, dy: Array) -> Array:
        self.backward_parameters(dy)
        return self.ops.dense_backward(dy, self.W)

    def backward_parameters(self, dy: Array) -> None:
        self.ops.dense_backward_parameters(dy, self.recall(), self.dW, self.db)

    def config(self) -> dict[str, Any]:
        widths = {"inputs": self.D, "outputs": self.M}
        return widths if self.init == "glorot_uniform" else widths | {"init": self.init}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.D, self.M), "b": (1, self.M)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        return {"W": rng.INITIALISERS[self.init](draw, self.D, self.M)}

    def outputs(self, inputs: int | None) -> int | None:
        if inputs not in (None, self.D):
            raise ValueError(f"{self} takes x (N, {self.D}), but the layer before gives (N, {inputs})")
        return self.M

    @property
    def multiply_adds(self) -> int:
        return self.D * self.M


class ReLU(Layer):
    """y = max(x, 0)        Nair and Hinton 2010"""

    def forward(self, x: Array, train: bool = False) -> Array:
        y = self.ops.relu(x)
        self.memory = y if train else None
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.relu_backward(dy, self.recall())


class Softmax(Layer):
    """y_k = exp(x_k) / sum_j exp(x_j)        for probabilities as a layer, with CrossEntropy after it

    To train, leave it out and use SoftmaxCrossEntropy on the logits: y underflows where the logits do not.
    """

    def forward(self, x: Array, train: bool = False) -> Array:
        y = self.ops.softmax(x)
        self.memory = y if train else None
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.softmax_backward(dy, self.recall())


class Dropout(Layer):
    """In training, y = x mask, mask 0 with probability `rate`, else 1 / (1 - rate); otherwise y = x.

    The mask is a function of the network's seed, the layer's place and `counter`, the training passes made so far.
    Raises ValueError for a rate outside [0, 1). Srivastava et al. 2014.
    """

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout takes a rate of at least 0 and below 1; got {rate!r}")
        self.rate = float(rate)

    def forward(self, x: Array, train: bool = False) -> Array:
        self.memory = None
        if not train:
            return x
        y, self.memory = self.ops.dropout(x, self.rate, rng.stream_key(self.stream, self.counter))
        self.counter += 1
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.dropout_backward(dy, self.recall())

    def config(self) -> dict[str, Any]:
        return {"rate": self.rate}
