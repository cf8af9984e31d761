"""Wrong layers, losses and networks: factors of N, gradients that are zero, swapped, not written or not passed on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinynet as tn

from . import Case
from .own_pairs import away_from_zero, distinct, normal, probabilities
from .wrong_factors import MUTATIONS, one_entry, transposed

Mutation = Callable[[np.ndarray], np.ndarray]

TOO_LARGE = "a sum over the batch where forward has the mean"
TOO_SMALL = "the mean over the batch is taken twice"
ROWS = 5


def times_rows(g: np.ndarray) -> np.ndarray:
    return g * ROWS


def by_rows(g: np.ndarray) -> np.ndarray:
    return g / ROWS


def mutated_layer(kind: type[tn.Layer], dx: Mutation | None = None, **parameters: Mutation) -> type[tn.Layer]:
    """Return a subclass whose backward changes dx and the gradients of the parameters that are named."""

    class Mutated(kind):
        def backward(self, dy):
            gradient = super().backward(dy)
            for name, mutation in parameters.items():
                view = self.views[f"d{name}"]
                view[...] = mutation(view.copy())
            return dx(gradient) if dx else gradient

    return Mutated


def mutated_loss(kind: type[tn.losses.Loss], mutation: Mutation) -> type[tn.losses.Loss]:
    """Return a subclass whose backward changes dz."""

    class Mutated(kind):
        def backward(self):
            return mutation(super().backward())

    return Mutated


class BatchMean(tn.Layer):
    """y = x - mean of x over the batch, times a gain g (1, D)"""

    def __init__(self, D: int) -> None:
        self.D = D

    def shapes(self):
        return {"g": (1, self.D)}

    def initial(self, draw):
        return {"g": draw.normal(size=(1, self.D))}

    def forward(self, x, train=False):
        self.memory = x - x.mean(axis=0, keepdims=True) if train else None
        return (x - x.mean(axis=0, keepdims=True)) * self.g

    def backward(self, dy):
        self.dg[...] = (dy * self.recall()).sum(axis=0, keepdims=True)
        g = dy * self.g
        return g - g.mean(axis=0, keepdims=True)


class MeanOfGains(tn.Layer):
    """y = x + mean over the batch of x g: every row gets the same sum, so that dg has a mean over the batch"""

    def __init__(self, D: int, factor: float) -> None:
        self.D, self.factor = D, factor

    def shapes(self):
        return {"g": (1, self.D)}

    def initial(self, draw):
        return {"g": draw.normal(size=(1, self.D))}

    def forward(self, x, train=False):
        self.memory = x if train else None
        return x + (x * self.g).mean(axis=0, keepdims=True)

    def backward(self, dy):
        total = dy.sum(axis=0, keepdims=True)
        self.dg[...] = self.factor * total * self.recall().mean(axis=0, keepdims=True)
        return dy + total * self.g / len(dy)


class SwappedNorm(tn.LayerNorm):
    """Layer normalization that writes dgamma into dbeta and dbeta into dgamma."""

    def backward_parameters(self, dy):
        self.ops.layer_norm_backward_parameters(dy, self.recall(), self.eps, self.dbeta, self.dgamma)


class Affine(tn.Layer):
    """y = x a + b with a and b (1, D); `write` says how backward writes their gradients."""

    def __init__(self, D: int, write: Callable[[Affine, np.ndarray, np.ndarray], None]) -> None:
        self.D, self.write = D, write

    def shapes(self):
        return {"a": (1, self.D), "b": (1, self.D)}

    def initial(self, draw):
        return {"a": draw.normal(size=(1, self.D))}

    def forward(self, x, train=False):
        self.memory = x if train else None
        return x * self.a + self.b

    def backward(self, dy):
        self.write(self, (dy * self.recall()).sum(axis=0, keepdims=True), dy.sum(axis=0, keepdims=True))
        return dy * self.a


def swap(layer, da, db):
    layer.da[...], layer.db[...] = db, da


def rebind_both(layer, da, db):
    layer.da, layer.db = da, db


def rebind_one(layer, da, db):
    layer.da = da
    layer.db[...] = db


def forget_bias(layer, da, db):
    layer.da[...] = da


def write_nothing(layer, da, db):
    pass


def write_into_copy(layer, da, db):
    layer.da.copy()[...] = da
    layer.db[...] = db


class RebindingDense(tn.Dense):
    """A dense layer whose backward rebinds dW."""

    def backward_parameters(self, dy):
        self.dW = self.recall().T @ dy
        self.db[...] = dy.sum(axis=0, keepdims=True)


class ParametersOnly(tn.Dense):
    """A dense layer that writes the gradients in `backward_parameters` only, and not in `backward`."""

    def backward(self, dy):
        return dy @ self.W.T


class NoShortcut(tn.Residual):
    """A residual block that forgets the gradient through the shortcut."""

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


class ShortcutOnly(tn.Residual):
    """A residual block that forgets the gradient through the layers in dx."""

    def backward(self, dy):
        super().backward(dy)
        return dy


class WrongOrder(tn.Residual):
    """A residual block that calls backward of its layers in the order of forward."""

    def backward(self, dy):
        dx = dy
        for layer in self.layers:
            dx = layer.backward(dx)
        return dx + dy


class SkipsLayer(tn.Residual):
    """A residual block that leaves out its last layer in backward."""

    def backward(self, dy):
        dx = dy
        for layer in reversed(self.layers[:-1]):
            dx = layer.backward(dx)
        return dx + dy


class Swish(tn.Layer):
    """y = x s, s = sigmoid(x), without the term of s'"""

    def forward(self, x, train=False):
        s = self.ops.sigmoid(x)
        self.memory = s if train else None
        return x * s

    def backward(self, dy):
        return dy * self.recall()


class SumOfSquares(tn.losses.Loss):
    """L = sum of (z - t)^2 / N, with backward() times `factor`"""

    classifies = False

    def __init__(self, factor: Callable[[int], float]) -> None:
        self.factor = factor

    def forward(self, z, t):
        self.memory = z - t
        return ((z - t) ** 2).sum() / len(z)

    def backward(self):
        r = self.recall()
        return 2 * r * self.factor(len(r))


class LogCosh(tn.losses.Loss):
    """L = 1/(N M) sum log cosh(z - t), with dz = r / (N M) instead of tanh(r) / (N M)"""

    classifies = False

    def forward(self, z, t):
        self.memory = z - t
        return np.log(np.cosh(z - t)).mean(axis=(-2, -1))

    def backward(self):
        return self.recall() / self.recall().size


class SmoothedTargets(tn.SoftmaxCrossEntropy):
    """Softmax cross-entropy with label smoothing that backward leaves out."""

    def forward(self, z, t):
        self.given = t
        return super().forward(z, t)

    def backward(self):
        return self.ops.softmax_cross_entropy_backward(self.recall()[0], self.given)


def rows(D: int, seed: int) -> np.ndarray:
    return normal(seed, (ROWS, D))[0]


def layer_case(name: str, make: Callable[[], tn.Layer], x: Callable[[], np.ndarray], cause: str) -> Case:
    return Case(name, "layer", "layer", lambda: (make(), x()), cause)


def loss_case(name: str, make: Callable[[], Any], targets: Callable[[], np.ndarray], cause: str) -> Case:
    """Return a case with z of the shape of the targets."""
    return Case(name, "loss", "loss", lambda: (make(), normal(7, targets().shape)[0], targets()), cause)


def values() -> np.ndarray:
    return normal(8, (ROWS, 3))[0]


def bits() -> np.ndarray:
    return np.array([[1.0], [0.0], [1.0], [0.0], [0.0]])


LOSSES = [
    ("MeanSquaredError", tn.MeanSquaredError, values),
    ("Huber", tn.Huber, values),
    ("SoftmaxCrossEntropy", tn.SoftmaxCrossEntropy, lambda: probabilities(9, ROWS, 3)),
    ("BinaryCrossEntropy", tn.BinaryCrossEntropy, bits),
]

LOSS_CASES = [
    loss_case(f"{name}, {text}", mutated_loss(kind, mutation), targets, cause)
    for name, kind, targets in LOSSES
    for text, mutation, cause in [
        ("1/N missing", times_rows, TOO_LARGE),
        ("1/N twice", by_rows, TOO_SMALL),
        ("sign", *MUTATIONS["sign"]),
        ("one entry", *MUTATIONS["entry"]),
    ]
] + [
    loss_case("sum of squares, without 1/N", partial(SumOfSquares, lambda N: 1.0), values, TOO_LARGE),
    loss_case("sum of squares, with 1/N^2", partial(SumOfSquares, lambda N: 1 / N**2), values, TOO_SMALL),
    loss_case("sum of squares, with 1/(2N)", partial(SumOfSquares, lambda N: 1 / (2 * N)), values, "2 times too small"),
    loss_case("sum of squares, with 1/(N - 1)", partial(SumOfSquares, lambda N: 1 / (N - 1)), values, "times too"),
    loss_case("log cosh with the derivative of a square", LogCosh, values, ""),
    loss_case(
        "label smoothing missing in backward",
        partial(SmoothedTargets, label_smoothing=0.1),
        lambda: probabilities(10, ROWS, 3),
        "",
    ),
    loss_case(
        "MeanSquaredError, zero", mutated_loss(tn.MeanSquaredError, lambda g: 0 * g), values, "backward gives zero"
    ),
]

LAYER_CASES = [
    layer_case(
        "Dense, dW zero",
        lambda: mutated_layer(tn.Dense, W=lambda g: 0 * g)(3, 4),
        partial(rows, 3, 1),
        "backward gives zero",
    ),
    layer_case("Dense, dW by N", lambda: mutated_layer(tn.Dense, W=by_rows)(3, 4), partial(rows, 3, 2), TOO_SMALL),
    layer_case(
        "Dense, dW and db by N",
        lambda: mutated_layer(tn.Dense, W=by_rows, b=by_rows)(3, 4),
        partial(rows, 3, 3),
        TOO_SMALL,
    ),
    layer_case(
        "Dense, dW transposed", lambda: mutated_layer(tn.Dense, W=transposed)(4, 4), partial(rows, 4, 4), "transposed"
    ),
    layer_case(
        "Dense, dW of another layout",
        lambda: mutated_layer(tn.Dense, W=transposed)(3, 4),
        partial(rows, 3, 5),
        "transposed",
    ),
    layer_case(
        "Dense, db twice",
        lambda: mutated_layer(tn.Dense, b=lambda g: 2 * g)(3, 4),
        partial(rows, 3, 6),
        "2 times too large",
    ),
    layer_case("Dense, one entry of dW", lambda: mutated_layer(tn.Dense, W=one_entry)(3, 4), partial(rows, 3, 7), ""),
    layer_case(
        "Dense, dx sign", lambda: mutated_layer(tn.Dense, lambda g: -g)(3, 4), partial(rows, 3, 8), "the sign is wrong"
    ),
    layer_case(
        "Dense, dW times 1.0001",
        lambda: mutated_layer(tn.Dense, W=lambda g: 1.0001 * g)(3, 4),
        partial(rows, 3, 9),
        "times too",
    ),
    layer_case(
        "ReLU, zero",
        lambda: mutated_layer(tn.ReLU, lambda g: 0 * g)(),
        lambda: away_from_zero(11, ROWS, 3),
        "backward gives zero",
    ),
    layer_case(
        "Conv2D, dW times N",
        lambda: mutated_layer(tn.Conv2D, W=times_rows)(1, 2, 2),
        lambda: normal(12, (ROWS, 1, 3, 3))[0],
        TOO_LARGE,
    ),
    layer_case(
        "Conv2D, db by I J",
        lambda: mutated_layer(tn.Conv2D, b=lambda g: g / 4)(1, 2, 2),
        lambda: normal(13, (ROWS, 1, 3, 3))[0],
        "times too",
    ),
    layer_case(
        "MaxPool2D, dx half",
        lambda: mutated_layer(tn.MaxPool2D, lambda g: g / 2)(2),
        lambda: distinct(14, 2, 1, 4, 4),
        "2 times too small",
    ),
    layer_case(
        "BatchNorm, dbeta by N", lambda: mutated_layer(tn.BatchNorm, beta=by_rows)(3), partial(rows, 3, 15), TOO_SMALL
    ),
    layer_case(
        "BatchNorm, dgamma sign",
        lambda: mutated_layer(tn.BatchNorm, gamma=lambda g: -g)(3),
        partial(rows, 3, 16),
        "the sign is wrong",
    ),
    layer_case("LayerNorm, dgamma and dbeta exchanged", lambda: SwappedNorm(3), partial(rows, 3, 17), "swapped"),
    layer_case("affine, da and db exchanged", lambda: Affine(3, swap), partial(rows, 3, 18), "swapped"),
    layer_case("affine, da and db rebound", lambda: Affine(3, rebind_both), partial(rows, 3, 19), "not written"),
    layer_case("affine, da rebound", lambda: Affine(3, rebind_one), partial(rows, 3, 20), "not written"),
    layer_case("affine, db forgotten", lambda: Affine(3, forget_bias), partial(rows, 3, 21), "not written"),
    layer_case("affine, nothing written", lambda: Affine(3, write_nothing), partial(rows, 3, 22), "not written"),
    layer_case(
        "affine, da written into a copy", lambda: Affine(3, write_into_copy), partial(rows, 3, 23), "not written"
    ),
    layer_case("Dense, dW rebound", lambda: RebindingDense(3, 4), partial(rows, 3, 24), "not written"),
    layer_case("Dense, backward without gradients", lambda: ParametersOnly(3, 4), partial(rows, 3, 25), "not written"),
    layer_case("mean of gains, 1/N missing in dg", lambda: MeanOfGains(3, ROWS), partial(rows, 3, 26), TOO_LARGE),
    layer_case("mean of gains, 1/N twice in dg", lambda: MeanOfGains(3, 1 / ROWS), partial(rows, 3, 27), TOO_SMALL),
    layer_case("batch mean, dg by N", lambda: mutated_layer(BatchMean, g=by_rows)(3), partial(rows, 3, 28), TOO_SMALL),
    layer_case(
        "residual without the shortcut's gradient",
        lambda: NoShortcut(tn.Dense(3, 3), tn.Tanh()),
        partial(rows, 3, 29),
        "",
    ),
    layer_case(
        "residual without the layers' gradient",
        lambda: ShortcutOnly(tn.Dense(3, 3), tn.Tanh()),
        partial(rows, 3, 30),
        "",
    ),
    layer_case(
        "residual in the wrong order", lambda: WrongOrder(tn.Dense(3, 3), tn.Dense(3, 3)), partial(rows, 3, 31), ""
    ),
    layer_case("residual that skips a layer", lambda: SkipsLayer(tn.Dense(3, 3), tn.Tanh()), partial(rows, 3, 32), ""),
    layer_case("swish without s'", Swish, partial(rows, 3, 33), ""),
]


def network_case(name: str, layers: Callable[[], list[tn.Layer]], loss: Callable[[], Any], cause: str) -> Case:
    """Return a case of a network of three inputs and three outputs."""
    return Case(
        name, "network", "network", lambda: (tn.Network(*layers(), seed=1), rows(3, 40), values(), loss()), cause
    )


NETWORK_CASES = [
    network_case(
        "network, dx of the last layer has the wrong sign",
        lambda: [tn.Dense(3, 4), tn.Tanh(), mutated_layer(tn.Dense, lambda g: -g)(4, 3)],
        tn.MeanSquaredError,
        "the sign is wrong",
    ),
    network_case(
        "network, dW of the first layer by N",
        lambda: [mutated_layer(tn.Dense, W=by_rows)(3, 4), tn.Tanh(), tn.Dense(4, 3)],
        tn.MeanSquaredError,
        TOO_SMALL,
    ),
    network_case(
        "network, loss without 1/N",
        lambda: [tn.Dense(3, 4), tn.Tanh(), tn.Dense(4, 3)],
        mutated_loss(tn.MeanSquaredError, times_rows),
        TOO_LARGE,
    ),
    network_case(
        "network, loss half",
        lambda: [tn.Dense(3, 4), tn.GELU(), tn.Dense(4, 3)],
        mutated_loss(tn.MeanSquaredError, lambda g: g / 2),
        "2 times too small",
    ),
    network_case(
        "network, db not written in a middle layer",
        lambda: [tn.Dense(3, 4), Affine(4, forget_bias), tn.Dense(4, 3)],
        tn.MeanSquaredError,
        "not written",
    ),
    network_case(
        "network, swish without s'", lambda: [tn.Dense(3, 4), Swish(), tn.Dense(4, 3)], tn.MeanSquaredError, ""
    ),
    network_case(
        "network, residual without the shortcut's gradient",
        lambda: [tn.Dense(3, 4), NoShortcut(tn.Dense(4, 4), tn.Tanh()), tn.Dense(4, 3)],
        tn.Huber,
        "",
    ),
    network_case(
        "network, dW transposed in a residual",
        lambda: [tn.Residual(mutated_layer(tn.Dense, W=transposed)(3, 3), tn.Tanh()), tn.Dense(3, 3)],
        tn.MeanSquaredError,
        "transposed",
    ),
    network_case(
        "network, gradient stops at a layer",
        lambda: [tn.Dense(3, 4), mutated_layer(tn.Tanh, lambda g: 0 * g)(), tn.Dense(4, 3)],
        tn.MeanSquaredError,
        "backward gives zero",
    ),
]

CASES = LOSS_CASES + LAYER_CASES + NETWORK_CASES
