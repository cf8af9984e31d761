"""The dropout layer: in training it sets random numbers to zero."""

from __future__ import annotations

from typing import Any

from ..arrays import Array, rng
from .base import Layer


class Dropout(Layer):
    """In training, y = x mask, mask 0 with probability `rate`, else 1 / (1 - rate); otherwise y = x.

    The mask is a function of the network's seed, the layer's path and `counter`, the training passes so far.
    Raises ValueError for a rate outside [0, 1). Srivastava et al. 2014.
    """

    first_row: int = 0
    """The index of the first row of x in its batch. Data-parallel training sets it: each rank has part of a batch."""

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout takes a rate of at least 0 and below 1; got {rate!r}")
        self.rate = float(rate)

    def forward(self, x: Array, train: bool = False) -> Array:
        self.memory = None
        if not train:
            return x
        key, first = rng.fold_in(self.random_key, self.counter), self.first_row * (x.size // len(x))
        y, self.memory = self.ops.dropout(x, self.rate, key, first)
        self.counter += 1
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.dropout_backward(dy, self.recall())

    def config(self) -> dict[str, Any]:
        return {"rate": self.rate}
