"""What is minimised. A loss takes what a network gives and a target for each row, and is a mean over the rows.

`forward(z, t)` returns the loss as an array of shape (), `backward()` its gradient dL/dz. Both come from
`functions.py`; `ops` says which backend's version. A loss also knows what a network's outputs mean: `predictions`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from .arrays import Array
from .arrays.backend import backend


class Loss:
    """L = forward(z, t), a mean over N, and dL/dz = backward() after it. A loss of your own overrides both.

    `forward` keeps in `self.memory` what `backward` needs. NotImplementedError for the one that is missing.
    """

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

    def predictions(self, z: Array) -> Array:
        """What the outputs z of a network mean: probabilities, or z itself."""
        return z

    def count_correct(self, z: Array, t: Array) -> Array:
        """How many rows of z are right        z (N, K), t (N, K) -> (); of no use to a loss that knows no classes"""
        return self.ops.count_correct(z, t)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name, without `ops`, as JSON can hold them."""
        return {}

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

    def __getstate__(self) -> dict[str, Any]:
        """For pickles and copies: without the functions of one backend and what forward kept."""
        return {name: value for name, value in vars(self).items() if name != "ops"} | {"memory": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, ops=backend("numpy").ops)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.config().items())})"


class SoftmaxCrossEntropy(Loss):
    """L = -1/N sum_n sum_k t_nk log softmax(z)_nk, on logits        z (N, K), t (N, K) -> L ()

    `label_smoothing` a takes (1 - a) t + a / K for t: Szegedy et al. 2016. ValueError for one outside [0, 1).
    """

    def __init__(self, ops: SimpleNamespace | None = None, *, label_smoothing: float = 0.0) -> None:
        super().__init__(ops)
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"SoftmaxCrossEntropy takes label_smoothing of at least 0 and below 1; got {label_smoothing!r}"
            )
        self.label_smoothing = float(label_smoothing)

    def forward(self, z: Array, t: Array) -> Array:
        t = self.like(z, t)
        if self.label_smoothing:
            t = self.ops.smooth_labels(t, self.label_smoothing)
        loss, p = self.ops.softmax_cross_entropy(z, t)
        self.memory = p, t
        return loss

    def backward(self) -> Array:
        return self.ops.softmax_cross_entropy_backward(*self.recall())

    def predictions(self, z: Array) -> Array:
        """p = softmax(z)        (N, K)"""
        return self.ops.softmax(z)

    def config(self) -> dict[str, Any]:
        return {"label_smoothing": self.label_smoothing} if self.label_smoothing else {}


class BinaryCrossEntropy(Loss):
    """L = -1/N sum_n (t_n log p_n + (1 - t_n) log(1 - p_n)), p = sigmoid(z), on logits        z (N, 1), t (N, 1)

    For one output and two classes: t is the chance of the second, 0 or 1 or between.
    """

    def forward(self, z: Array, t: Array) -> Array:
        t = self.like(z, t)
        if z.shape[-1] != 1:
            raise ValueError(f"BinaryCrossEntropy takes one logit a row, z (N, 1); got {z.shape}")
        loss, p = self.ops.binary_cross_entropy(z, t)
        self.memory = p, t
        return loss

    def backward(self) -> Array:
        return self.ops.binary_cross_entropy_backward(*self.recall())

    def predictions(self, z: Array) -> Array:
        """p = sigmoid(z)        (N, 1)"""
        return self.ops.sigmoid(z)

    def count_correct(self, z: Array, t: Array) -> Array:
        return self.ops.count_correct_binary(z, t)


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


class Huber(Loss):
    """L = 1/(N M) sum h(y_nm - t_nm), h(r) = r^2 / 2 where |r| <= delta, else delta (|r| - delta / 2)        Huber 1964

    ValueError for a delta that is not above 0.
    """

    classifies = False

    def __init__(self, ops: SimpleNamespace | None = None, *, delta: float = 1.0) -> None:
        super().__init__(ops)
        if not delta > 0:
            raise ValueError(f"Huber takes delta above 0; got {delta!r}")
        self.delta = float(delta)

    def forward(self, z: Array, t: Array) -> Array:
        self.memory = z, self.like(z, t), self.delta
        return self.ops.huber(*self.memory)

    def backward(self) -> Array:
        return self.ops.huber_backward(*self.recall())

    def config(self) -> dict[str, Any]:
        return {"delta": self.delta}


class Weighted(Loss):
    """L = 1/N sum_n w_n L_n, where L_n is what another loss says of row n alone

    The targets have one column more, w: `fit` and `evaluate` put it there for `sample_weight` and `class_weight`.
    Every loss acts on the last two axes, so that N batches of one row each give N losses at once.
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.ops)
        self.loss, self.classifies = loss, loss.classifies

    def forward(self, z: Array, t: Array) -> Array:
        t, weights = t[:, None, :-1], t[:, -1]
        losses = self.loss.forward(z[:, None], t)
        if (shape := getattr(losses, "shape", ())) != weights.shape:
            raise ValueError(
                "class_weight and sample_weight take a loss that acts on the last two axes, as .sum(axis=(-2, -1)) "
                f"does; {type(self.loss).__name__}.forward makes {shape} of z {z[:, None].shape}, not {weights.shape}"
            )
        self.memory = weights.astype(z.dtype, copy=False) / len(z)
        return (self.memory * losses).sum()

    def backward(self) -> Array:
        return self.loss.backward()[:, 0] * self.recall()[:, None]

    def count_correct(self, z: Array, t: Array) -> Array:
        return self.loss.count_correct(z, t[:, :-1])
