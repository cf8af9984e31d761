"""Normalization layers: numbers get mean 0 and variance 1, then a mean and a spread that the network learns."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import Array
from .base import Layer
from .bound import Shape, Shapes


class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + eps) + beta, feature by feature        x (N, D) or (N, C, rows, columns)

    In training, mean and variance are those of the batch (for pictures, over all pixels). Two buffers follow them:
    mean <- (1 - momentum) mean + momentum (mean of the batch), and `variance` likewise, with n - ddof instead of n.
    `ddof` is 1 as in PyTorch, or 0 as in Keras. Otherwise, and in a frozen layer, these buffers are used, and no row
    depends on the others. gamma starts at 1, beta at 0. Raises ValueError for arguments that are not positive, and in
    training for a batch with only one number per feature. Ioffe and Szegedy 2015, Algorithms 1 and 2.
    """

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5, ddof: int = 1) -> None:
        _check_normalization(self, features, eps)
        if not 0 < momentum <= 1:
            raise ValueError(f"BatchNorm takes a momentum above 0 and up to 1; got {momentum!r}")
        if ddof not in (0, 1):
            raise ValueError(f"BatchNorm takes a ddof of 0 or 1; got {ddof!r}")
        self.features, self.momentum, self.eps, self.ddof = int(features), float(momentum), float(eps), int(ddof)

    def forward(self, x: Array, train: bool = False) -> Array:
        self.output_shape(x.shape[1:])
        mean, variance = self._along(x, self.mean), self._along(x, self.variance)
        if train and self.trainable:
            mean, variance = self.ops.moments(x, self._axes(x))
            self._follow(mean, variance, x.size // self.features)
        self.memory = (x, mean, variance) if train else None
        return self.ops.batch_norm(x, self._along(x, self.gamma), self._along(x, self.beta), mean, variance, self.eps)

    def backward(self, dy: Array) -> Array:
        x, mean, variance = self.recall()
        gamma, dgamma, dbeta = (self._along(x, vector) for vector in (self.gamma, self.dgamma, self.dbeta))
        if not self.trainable:  # mean and variance are constants: dx = gamma dy / sqrt(variance + eps)
            return self.ops.batch_norm(dy, gamma, 0 * mean, 0 * mean, variance, self.eps)
        self.backward_parameters(dy)
        return self.ops.batch_norm_backward(dy, x, gamma, mean, variance, self.eps, dgamma, dbeta)

    def backward_parameters(self, dy: Array) -> None:
        x, mean, variance = self.recall()
        dgamma, dbeta = self._along(x, self.dgamma), self._along(x, self.dbeta)
        self.ops.batch_norm_backward_parameters(dy, x, mean, variance, self.eps, self._axes(x), dgamma, dbeta)

    def config(self) -> dict[str, Any]:
        config = {"features": self.features, "momentum": self.momentum, "eps": self.eps}
        config |= {} if self.ddof == 1 else {"ddof": self.ddof}
        return {"features": self.features} if (self.momentum, self.eps, self.ddof) == (0.1, 1e-5, 1) else config

    def shapes(self) -> Shapes:
        return {"gamma": (self.features,), "beta": (self.features,)}

    def buffers(self) -> Shapes:
        return {"mean": (self.features,), "variance": (self.features,)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        return {"gamma": np.ones(self.features), "variance": np.ones(self.features)}

    def output_shape(self, shape: Shape) -> Shape:
        if shape is not None and (len(shape) not in (1, 3) or shape[0] != self.features):
            got = ", ".join(map(str, ("N", *shape)))
            forms = f"x (N, {self.features}) or (N, {self.features}, rows, columns)"
            raise ValueError(f"{self} takes {forms}, but gets ({got})")
        return shape

    def _follow(self, mean: Array, variance: Array, n: int) -> None:
        if n < 2:
            raise ValueError(
                f"{self} takes, in training, two numbers or more of each feature, but gets a batch of one row; "
                "another batch_size, or a row more or less, leaves no batch of one"
            )
        self.mean[...] += self.momentum * (mean.reshape(-1) - self.mean)
        self.variance[...] += self.momentum * (variance.reshape(-1) * (n / (n - self.ddof)) - self.variance)

    @staticmethod
    def _axes(x: Array) -> tuple[int, ...]:
        """Return all axes except that of the features."""
        return (-2,) if x.ndim == 2 else (-4, -2, -1)

    @staticmethod
    def _along(x: Array, vector: Array) -> Array:
        """Reshape a vector of one number per feature so that it broadcasts against x."""
        return vector.reshape(1, -1, *[1] * (x.ndim - 2))


class LayerNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + eps) + beta, row by row        x (N, D), mean and variance of each row

    No row depends on the others, not even in training. gamma starts at 1, beta at 0. Raises ValueError for arguments
    that are not positive. Ba, Kiros and Hinton 2016.
    """

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        _check_normalization(self, features, eps)
        self.D: int = int(features)
        self.eps = float(eps)

    def forward(self, x: Array, train: bool = False) -> Array:
        self.output_shape(x.shape[1:])
        self.memory = x if train else None
        return self.ops.layer_norm(x, self.gamma, self.beta, self.eps)

    def backward(self, dy: Array) -> Array:
        self.write_gradients(dy)
        return self.ops.layer_norm_backward(dy, self.recall(), self.gamma, self.eps)

    def backward_parameters(self, dy: Array) -> None:
        self.ops.layer_norm_backward_parameters(dy, self.recall(), self.eps, self.dgamma, self.dbeta)

    def config(self) -> dict[str, Any]:
        return {"features": self.D} if self.eps == 1e-5 else {"features": self.D, "eps": self.eps}

    def shapes(self) -> Shapes:
        return {"gamma": (1, self.D), "beta": (1, self.D)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        return {"gamma": np.ones((1, self.D))}


def _check_normalization(layer: Layer, features: int, eps: float) -> None:
    if not (isinstance(features, Integral) and features > 0 and math.isfinite(eps) and eps > 0):
        kind = type(layer).__name__
        raise ValueError(
            f"{kind} takes a whole number of features of at least 1, and eps above 0; got {features!r}, {eps!r}"
        )
