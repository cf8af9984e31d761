"""Loss functions. A loss takes a network's outputs and a target for each row, and is a mean over the rows.

`forward(z, t)` returns the loss as an array of shape (), `backward()` its gradient dL/dz. Both call `functions.py`, or
the kernels of the backend that the loss is bound to. A loss also knows what the outputs mean: `predictions`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from . import functions
from .arrays import Array
from .arrays.backend import Backend
from .layers import Dense, Layer, Sigmoid, Softmax


class Loss:
    """L = forward(z, t), a mean over N, and dL/dz = backward() after it. A loss of your own overrides both.

    `forward` keeps in `self.memory` what `backward` needs.
    """

    ops = functions

    classifies = True
    """Whether targets are classes (labels, one-hot or soft rows) or arrays of the shape of the network's output."""

    memory: Any = None

    def forward(self, z: Array, t: Array) -> Array:
        """Return L () for outputs z (N, K) and targets t of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, z, t)")

    def backward(self) -> Array:
        """Return dz (N, K) for the z and t of the last forward."""
        raise NotImplementedError(f"{type(self).__name__} defines no backward(self)")

    def predictions(self, z: Array) -> Array:
        """Return what the outputs z of a network mean: probabilities, or z itself."""
        return z

    def check_outputs(self, last: Layer, K: int | None = None) -> None:
        """Raise ValueError if the loss does not fit a network that ends in layer `last` and has K outputs."""

    def count_correct(self, z: Array, t: Array) -> Array:
        """Return how many rows of z are classified correctly        z (N, K), t (N, K) -> ()"""
        return self.ops.count_correct(z, t)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, as JSON values."""
        return {}

    def recall(self) -> Any:
        """Return what forward kept. Raises RuntimeError before the first forward."""
        if self.memory is None:
            raise RuntimeError(f"{type(self).__name__}.backward needs a forward(z, t) before it")
        return self.memory

    def like(self, z: Array, t: Array) -> Array:
        """Return t in z's dtype. Raises ValueError for another shape: (N,) and (N, 1) would broadcast to (N, N)."""
        if z.shape != t.shape:
            raise ValueError(f"{type(self).__name__} takes targets of the shape {z.shape}, got {t.shape}")
        return t.astype(z.dtype, copy=False)

    def bind(self, backend: Backend) -> Self:
        """Compute with the functions of this backend from now on, and return the loss itself."""
        vars(self)["ops"] = backend.ops
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickles and copies: without a backend's functions and without what forward kept."""
        return {name: value for name, value in vars(self).items() if name != "ops"} | {"memory": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.config().items())})"


class SoftmaxCrossEntropy(Loss):
    """L = -1/N sum_n sum_k t_nk log softmax(z)_nk, on logits        z (N, K), t (N, K) -> L ()

    `label_smoothing` a replaces t by (1 - a) t + a / K: Szegedy et al. 2016. Raises ValueError for a outside [0, 1).
    """

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
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

    def check_outputs(self, last: Layer, K: int | None = None) -> None:
        if isinstance(last, Softmax):
            raise ValueError("SoftmaxCrossEntropy takes logits, but the network ends in Softmax: use CrossEntropy")
        if K == 1:
            raise one_output(self)

    def config(self) -> dict[str, Any]:
        return {"label_smoothing": self.label_smoothing} if self.label_smoothing else {}


class BinaryCrossEntropy(Loss):
    """L = -1/N sum_n (t_n log p_n + (1 - t_n) log(1 - p_n)), p = sigmoid(z), on logits        z (N, 1), t (N, 1)

    For one output and two classes: t is the probability of the second class, 0 or 1 or between.
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

    def check_outputs(self, last: Layer, K: int | None = None) -> None:
        if isinstance(last, Sigmoid):
            raise ValueError("BinaryCrossEntropy takes logits, but the network ends in Sigmoid: leave it out")
        if K not in (None, 1):
            raise ValueError(f"BinaryCrossEntropy takes a network of one output, got {K}: use SoftmaxCrossEntropy")

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

    def check_outputs(self, last: Layer, K: int | None = None) -> None:
        if isinstance(last, Dense):
            raise ValueError("CrossEntropy takes probabilities, but the network ends in Dense: use SoftmaxCrossEntropy")
        if K == 1:
            raise one_output(self)


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

    Raises ValueError unless delta is above 0.
    """

    classifies = False

    def __init__(self, *, delta: float = 1.0) -> None:
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


def one_output(loss: Loss) -> ValueError:
    """Return the error for a loss over classes of a network with one output."""
    return ValueError(
        f"{type(loss).__name__} takes a network of two outputs or more, got one: use loss=BinaryCrossEntropy() for "
        "two classes, MeanSquaredError() for values"
    )


class WeightedTargets(NamedTuple):
    """Targets t (N, ...) and a weight for each row, w (N, 1)."""

    t: Array
    w: Array


class Weighted(Loss):
    """L = 1/N sum_n w_n L_n, where L_n is another loss of row n alone        targets: WeightedTargets(t, w)

    `fit` and `evaluate` make it for `sample_weight` and `class_weight`. Every loss acts on the last two axes, so that
    N batches of one row each give N losses at once.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss, self.classifies = loss, loss.classifies

    def forward(self, z: Array, t: WeightedTargets) -> Array:
        losses = self.loss.forward(z[:, None], t.t[:, None])
        if (shape := getattr(losses, "shape", ())) != (len(z),):
            raise ValueError(
                "class_weight and sample_weight take a loss that acts on the last two axes, as .sum(axis=(-2, -1)) "
                f"does; {type(self.loss).__name__}.forward makes {shape} of z {z[:, None].shape}, not {(len(z),)}"
            )
        self.memory = t.w[:, 0].astype(z.dtype, copy=False) / len(z)
        return (self.memory * losses).sum()

    def backward(self) -> Array:
        return self.loss.backward()[:, 0] * self.recall()[:, None]

    def count_correct(self, z: Array, t: WeightedTargets) -> Array:
        return self.loss.count_correct(z, t.t)
