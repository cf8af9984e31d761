"""What is minimised. A loss takes what a network gives and a target for each row, and is a mean over the rows.

`forward(z, t)` returns the loss as an array of shape (), `backward()` its gradient dL/dz. Both come from
`functions.py`; `ops` says which backend's version.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from .arrays import Array
from .arrays.backend import backend


class Loss:
    """A loss of your own overrides `forward`, which keeps in `self.memory` what its `backward` needs."""

    classifies = True
    """Targets are classes: labels, one-hot or soft rows; otherwise they are arrays like the network's output."""

    memory: Any = None

    def __init__(self, ops: SimpleNamespace | None = None) -> None:
        self.ops = ops or backend("numpy").ops

    def forward(self, z: Array, t: Array) -> Array:
        """L (), from z (N, K) and targets t of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, z, t)")

    def backward(self) -> Array:
        """dz (N, K), for the z and t of the last forward."""
        raise NotImplementedError(f"{type(self).__name__} defines no backward(self)")

    def recall(self) -> Any:
        """What forward kept; RuntimeError before the first forward."""
        if self.memory is None:
            raise RuntimeError(f"{type(self).__name__}.backward needs a forward(z, t) before it")
        return self.memory

    def like(self, z: Array, t: Array) -> Array:
        """t in z's dtype. ValueError unless it has z's shape: (N,) against (N, 1) would broadcast to (N, N)."""
        if z.shape != t.shape:
            raise ValueError(f"{type(self).__name__} takes targets of the shape {z.shape}, got {t.shape}")
        return t.astype(z.dtype, copy=False)


class SoftmaxCrossEntropy(Loss):
    """L = -1/N sum_n sum_k t_nk log softmax(z)_nk, on logits        z (N, K), t (N, K) -> L ()"""

    def forward(self, z: Array, t: Array) -> Array:
        t = self.like(z, t)
        loss, p = self.ops.softmax_cross_entropy(z, t)
        self.memory = p, t
        return loss

    def backward(self) -> Array:
        return self.ops.softmax_cross_entropy_backward(*self.recall())


class CrossEntropy(Loss):
    """L = -1/N sum_n sum_k t_nk log p_nk, on probabilities        p (N, K), t (N, K) -> L ()

    It is infinite where p is 0 and t is not: train on logits with SoftmaxCrossEntropy instead.
    """

    def forward(self, z: Array, t: Array) -> Array:
        self.memory = z, self.like(z, t)
        return self.ops.cross_entropy(*self.memory)

    def backward(self) -> Array:
        return self.ops.cross_entropy_backward(*self.recall())


class MeanSquaredError(Loss):
    """L = 1/(N M) sum_n sum_m (y_nm - t_nm)^2        y (N, M), t (N, M) -> L ()"""

    classifies = False

    def forward(self, z: Array, t: Array) -> Array:
        self.memory = z, self.like(z, t)
        return self.ops.mean_squared_error(*self.memory)

    def backward(self) -> Array:
        return self.ops.mean_squared_error_backward(*self.recall())
