"""Activation functions. They have no parameters."""

from __future__ import annotations

from typing import Any

from ..arrays import Array
from .base import Layer


class ReLU(Layer):
    """y = max(x, 0)        Nair and Hinton 2010"""

    def forward(self, x: Array, train: bool = False) -> Array:
        y = self.ops.relu(x)
        self.memory = y if train else None
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.relu_backward(dy, self.recall())


class LeakyReLU(Layer):
    """y = max(x, slope x)        Maas, Hannun and Ng 2013; ValueError for a slope outside [0, 1)"""

    def __init__(self, slope: float = 0.01) -> None:
        if not 0 <= slope < 1:
            raise ValueError(f"LeakyReLU takes a slope of at least 0 and below 1; got {slope!r}")
        self.slope = float(slope)

    def forward(self, x: Array, train: bool = False) -> Array:
        y = self.ops.leaky_relu(x, self.slope)
        self.memory = y if train else None
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.leaky_relu_backward(dy, self.recall(), self.slope)

    def config(self) -> dict[str, Any]:
        return {"slope": self.slope}


class Tanh(Layer):
    """y = tanh(x)        LeCun, Bottou, Orr and Mueller 1998"""

    def forward(self, x: Array, train: bool = False) -> Array:
        y = self.ops.tanh(x)
        self.memory = y if train else None
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.tanh_backward(dy, self.recall())


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x))        Rumelhart, Hinton and Williams 1986, equation 2

    As the last layer, leave it out and use BinaryCrossEntropy on the logits.
    """

    def forward(self, x: Array, train: bool = False) -> Array:
        y = self.ops.sigmoid(x)
        self.memory = y if train else None
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.sigmoid_backward(dy, self.recall())


class GELU(Layer):
    """y = x P(x), P(x) the chance that a standard normal number is below x        Hendrycks and Gimpel 2016"""

    def forward(self, x: Array, train: bool = False) -> Array:
        self.memory = x if train else None
        return self.ops.gelu(x)

    def backward(self, dy: Array) -> Array:
        return self.ops.gelu_backward(dy, self.recall())


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
