"""Layers that bend: the same curve for every number, or every row. They remember y, from which backward is cheapest."""

from __future__ import annotations

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
