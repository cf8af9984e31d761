"""Right layers, losses and networks."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinynet as tn

from . import Case
from .case_builders import Function, drawn, normal, one_hot, rows_of_sum_one, uniform


def moved(*layers: tn.Layer) -> tn.Network:
    """Return a network whose parameters are moved away from their first values, such as 1 and 0."""
    network = tn.Network(*layers, dtype="float64")
    network.theta += np.random.default_rng(0).normal(size=network.theta.size) / 2
    return network


def frozen(layer: tn.Layer) -> tn.Layer:
    layer.trainable = False
    return layer


# ---------------------------------------------------------------------------------------------- layers


class Scale(tn.Layer):
    """y = x exp(a), with one a for all features."""

    def forward(self, x, train=False):
        self.memory = x if train else None
        return x * np.exp(self.a)

    def backward(self, dy):
        dx = dy * np.exp(self.a)
        self.da[...] = (dx * self.recall()).sum()
        return dx

    def shapes(self):
        return {"a": (1,)}


class Gated(tn.Layer):
    """y = left(x) right(x), with two layers inside."""

    def __init__(self, left: tn.Layer, right: tn.Layer) -> None:
        self.left, self.right = left, right

    def forward(self, x, train=False):
        self.memory = self.left.forward(x, train), self.right.forward(x, train)
        return self.memory[0] * self.memory[1]

    def backward(self, dy):
        left, right = self.recall()
        return self.left.backward(dy * right) + self.right.backward(dy * left)


def layer_case(name: str, make: Function, x: Any) -> Case:
    return Case(name, "layer", "layer", lambda: (make(), *drawn(name, x)))


def as_drawn(name: str, make: Function, x: Any) -> Case:
    """Return the case of a layer that has no parameters yet."""
    return layer_case(f"{name}, new", make, x)


def with_values(name: str, make: Function, x: Any) -> Case:
    """Return the case of a layer with parameters away from their first values."""
    return layer_case(name, lambda: moved(make())[0].copy(), x)


PICTURE = (2, 2, 4, 3)
LAYERS = [
    as_drawn("Dense(4, 3)", lambda: tn.Dense(4, 3), (5, 4)),
    with_values("Dense(4, 3)", lambda: tn.Dense(4, 3), (5, 4)),
    with_values("Dense(1, 1), one row", lambda: tn.Dense(1, 1), (1, 1)),
    with_values("Dense(3, 2), frozen", lambda: frozen(tn.Dense(3, 2)), (4, 3)),
    as_drawn("Dense(4, 2, zeros)", lambda: tn.Dense(4, 2, init="zeros"), (5, 4)),
    as_drawn("ReLU()", tn.ReLU, (5, 4)),
    as_drawn("ReLU() on pictures", tn.ReLU, PICTURE),
    as_drawn("LeakyReLU(0.2)", lambda: tn.LeakyReLU(0.2), (5, 4)),
    as_drawn("LeakyReLU(0.0)", lambda: tn.LeakyReLU(0.0), (5, 4)),
    as_drawn("Tanh()", tn.Tanh, (5, 4)),
    as_drawn("Sigmoid()", tn.Sigmoid, (5, 4)),
    as_drawn("GELU()", tn.GELU, (5, 4)),
    as_drawn("GELU() on pictures", tn.GELU, PICTURE),
    as_drawn("Softmax()", tn.Softmax, (5, 4)),
    as_drawn("Dropout(0.5)", lambda: tn.Dropout(0.5), (6, 5)),
    as_drawn("Dropout(0.0)", lambda: tn.Dropout(0.0), (6, 5)),
    as_drawn("Dropout(0.3) on pictures", lambda: tn.Dropout(0.3), PICTURE),
    as_drawn("Flatten()", tn.Flatten, PICTURE),
    as_drawn("Conv2D(2, 3, 2)", lambda: tn.Conv2D(2, 3, 2), PICTURE),
    with_values("Conv2D(2, 3, 2)", lambda: tn.Conv2D(2, 3, 2), PICTURE),
    with_values("Conv2D(2, 2, 3), stride 2, padding 1", lambda: tn.Conv2D(2, 2, 3, 2, 1), PICTURE),
    with_values("Conv2D(2, 2, 2), stride 2, left-out pixels", lambda: tn.Conv2D(2, 2, 2, 2), PICTURE),
    with_values("Conv2D(2, 2, 1), frozen", lambda: frozen(tn.Conv2D(2, 2, 1)), PICTURE),
    as_drawn("MaxPool2D(2)", lambda: tn.MaxPool2D(2), (2, 1, 4, 4)),
    as_drawn("MaxPool2D(2), left-out pixels", lambda: tn.MaxPool2D(2), (2, 1, 5, 3)),
    as_drawn("AveragePool2D(2)", lambda: tn.AveragePool2D(2), (2, 1, 4, 4)),
    as_drawn("AveragePool2D(3), left-out pixels", lambda: tn.AveragePool2D(3), (1, 2, 5, 4)),
    as_drawn("GlobalAveragePool()", tn.GlobalAveragePool, PICTURE),
    as_drawn("BatchNorm(4)", lambda: tn.BatchNorm(4), (6, 4)),
    with_values("BatchNorm(4)", lambda: tn.BatchNorm(4), (6, 4)),
    with_values("BatchNorm(2) on pictures", lambda: tn.BatchNorm(2), PICTURE),
    with_values("BatchNorm(2), two rows", lambda: tn.BatchNorm(2), (2, 2)),
    with_values("BatchNorm(3), frozen", lambda: frozen(tn.BatchNorm(3)), (6, 3)),
    as_drawn("LayerNorm(4)", lambda: tn.LayerNorm(4), (5, 4)),
    with_values("LayerNorm(4)", lambda: tn.LayerNorm(4), (5, 4)),
    with_values("LayerNorm(5), one row", lambda: tn.LayerNorm(5), (1, 5)),
    with_values("LayerNorm(4), frozen", lambda: frozen(tn.LayerNorm(4)), (5, 4)),
    with_values(
        "Residual of two Dense",
        lambda: tn.Residual(tn.Dense(4, 5), tn.Tanh(), tn.Dense(5, 4)),
        (5, 4),
    ),
    with_values(
        "Residual with a shortcut",
        lambda: tn.Residual(tn.Dense(4, 3), tn.ReLU(), shortcut=tn.Dense(4, 3)),
        (5, 4),
    ),
    with_values(
        "Residual inside Residual",
        lambda: tn.Residual(tn.Dense(3, 3), tn.Residual(tn.GELU(), tn.Dense(3, 3)), tn.LayerNorm(3)),
        (5, 3),
    ),
    with_values(
        "Residual of convolutions",
        lambda: tn.Residual(tn.Conv2D(2, 3, 3, padding=1), tn.GELU(), tn.Conv2D(3, 2, 1)),
        PICTURE,
    ),
    with_values(
        "Residual with BatchNorm and Dropout",
        lambda: tn.Residual(tn.BatchNorm(4), tn.Tanh(), tn.Dropout(0.3), tn.Dense(4, 4)),
        (6, 4),
    ),
    with_values("Residual, frozen", lambda: frozen(tn.Residual(tn.Dense(3, 3), tn.Tanh())), (4, 3)),
    with_values("own layer with one parameter", Scale, (5, 4)),
    with_values(
        "own layer with two layers inside",
        lambda: Gated(tn.Dense(4, 3), tn.Residual(tn.Dense(4, 3), tn.Sigmoid(), shortcut=tn.Dense(4, 3))),
        (5, 4),
    ),
]


# ---------------------------------------------------------------------------------------------- losses


class ClassWeighted(tn.SoftmaxCrossEntropy):
    """L = 1/N sum_n w_n L_n, where w_n is the weight of row n's class."""

    weights = np.array([1.0, 5.0, 0.2])

    def forward(self, z, t):
        _, p = self.ops.softmax_cross_entropy(z, t)
        self.memory = p, t
        return -((t @ self.weights.astype(z.dtype)) * (t * np.log(p)).sum(axis=-1)).mean()

    def backward(self):
        p, t = self.recall()
        return (t @ self.weights.astype(p.dtype))[:, None] * (p - t) / len(p)


class MeanAbsoluteError(tn.Loss):
    """L = 1/(N M) sum |z - t|"""

    classifies = False

    def forward(self, z, t):
        self.memory = z - t
        return abs(z - t).mean()

    def backward(self):
        return np.sign(self.recall()) / self.recall().size


class LogCosh(tn.Loss):
    """L = 1/(N M) sum log cosh(z - t)"""

    classifies = False

    def forward(self, z, t):
        self.memory = z - t
        return np.log(np.cosh(z - t)).mean()

    def backward(self):
        return np.tanh(self.recall()) / self.recall().size


class Poisson(tn.Loss):
    """L = 1/(N M) sum (exp(z) - t z)"""

    classifies = False

    def forward(self, z, t):
        self.memory = z, t
        return (np.exp(z) - t * z).mean()

    def backward(self):
        z, t = self.recall()
        return (np.exp(z) - t) / z.size


class Focal(tn.Loss):
    """L = -1/N sum_n (1 - q_n)^2 log q_n, where q_n is the probability of row n's class        Lin et al. 2017"""

    def forward(self, z, t):
        p = self.ops.softmax(z)
        self.memory = p, t
        q = (p * t).sum(axis=-1)
        return -((1 - q) ** 2 * np.log(q)).mean()

    def backward(self):
        p, t = self.recall()
        q = (p * t).sum(axis=-1, keepdims=True)
        dq = 2 * (1 - q) * np.log(q) - (1 - q) ** 2 / q
        return dq * q * (t - p) / len(p)


def loss_case(name: str, make: Function, z: Any, t: Any) -> Case:
    return Case(f"{name}, loss", "loss", "loss", lambda: (make(), *drawn(name, z, t)))


LABELS = one_hot([0, 2, 1, 1, 0], 3)
BINARY = np.array([[0.0], [1.0], [1.0], [0.3]])
LOSSES = [
    loss_case("SoftmaxCrossEntropy, labels", tn.SoftmaxCrossEntropy, (5, 3), LABELS),
    loss_case("SoftmaxCrossEntropy, soft targets", tn.SoftmaxCrossEntropy, (5, 3), rows_of_sum_one(5, 3)),
    loss_case("SoftmaxCrossEntropy, one row", tn.SoftmaxCrossEntropy, (1, 4), one_hot([2], 4)),
    loss_case("SoftmaxCrossEntropy, equal logits", tn.SoftmaxCrossEntropy, np.zeros((5, 3)), LABELS),
    loss_case(
        "SoftmaxCrossEntropy, smoothed labels", lambda: tn.SoftmaxCrossEntropy(label_smoothing=0.1), (5, 3), LABELS
    ),
    loss_case(
        "SoftmaxCrossEntropy, strongly smoothed",
        lambda: tn.SoftmaxCrossEntropy(label_smoothing=0.9),
        (5, 3),
        rows_of_sum_one(5, 3),
    ),
    loss_case("BinaryCrossEntropy", tn.BinaryCrossEntropy, (4, 1), BINARY),
    loss_case("BinaryCrossEntropy, one row", tn.BinaryCrossEntropy, (1, 1), np.ones((1, 1))),
    loss_case("CrossEntropy, labels", tn.CrossEntropy, rows_of_sum_one(3, 4), np.eye(3, 4)),
    loss_case("CrossEntropy, soft targets", tn.CrossEntropy, rows_of_sum_one(5, 3), rows_of_sum_one(5, 3)),
    loss_case("MeanSquaredError", tn.MeanSquaredError, (5, 3), (5, 3)),
    loss_case("MeanSquaredError, far targets", tn.MeanSquaredError, (5, 3), normal(100, 5, 3)),
    loss_case("MeanSquaredError, one number", tn.MeanSquaredError, (1, 1), (1, 1)),
    loss_case("Huber", tn.Huber, normal(2, 5, 3), (5, 3)),
    loss_case("Huber, delta 0.1", lambda: tn.Huber(delta=0.1), (5, 3), (5, 3)),
    loss_case("Huber at the corner", tn.Huber, np.array([[1.0, -0.4], [0.2, 3.0]]), np.zeros((2, 2))),
    loss_case("class weights", ClassWeighted, (5, 3), LABELS),
    loss_case("mean absolute error", MeanAbsoluteError, (5, 3), (5, 3)),
    loss_case("mean absolute error at its minimum", MeanAbsoluteError, np.ones((2, 2)), np.ones((2, 2))),
    loss_case("log-cosh", LogCosh, (5, 3), (5, 3)),
    loss_case("Poisson", Poisson, (5, 3), uniform(0, 4, 5, 3)),
    loss_case("focal", Focal, (5, 3), LABELS),
]


# -------------------------------------------------------------------------------------------- networks


def network_case(name: str, make: Function, x: Any, t: Any, loss: tn.Loss | None = None) -> Case:
    return Case(f"{name}, network", "network", "network", lambda: (make(), *drawn(name, x, t), loss))


def deep() -> tn.Network:
    return tn.mlp(4, [6] * 16, 3, init="he_normal", seed=2)


def convolutional() -> tn.Network:
    return tn.Network(
        *[tn.Conv2D(1, 3, 3, padding=1), tn.BatchNorm(3), tn.ReLU(), tn.MaxPool2D(2)],
        *[tn.Conv2D(3, 2, 2), tn.Tanh(), tn.Flatten(), tn.Dense(2, 3)],
    )


def normalized() -> tn.Network:
    return tn.Network(tn.Dense(4, 6), tn.LayerNorm(6), tn.GELU(), tn.Dense(6, 3))


def with_dead_bias() -> tn.Network:
    return tn.Network(tn.Dense(4, 6), tn.BatchNorm(6), tn.ReLU(), tn.Dense(6, 3))


def residual() -> tn.Network:
    block = tn.Residual(tn.Dense(5, 5), tn.BatchNorm(5), tn.ReLU(), tn.Dropout(0.2), tn.Dense(5, 5))
    return tn.Network(tn.Dense(4, 5), block, tn.Dense(5, 3))


def pooled() -> tn.Network:
    return tn.Network(tn.Conv2D(1, 4, 2), tn.GELU(), tn.AveragePool2D(2), tn.Conv2D(4, 3, 1), tn.GlobalAveragePool())


def partly_frozen() -> tn.Network:
    return tn.Network(frozen(tn.Dense(4, 6)), tn.Tanh(), tn.Dense(6, 3))


def dead() -> tn.Network:
    """Return a network whose first ReLUs are all off, so that most gradients are zero."""
    network = tn.mlp(4, [6], 3)
    network[0].b[...] = -50
    return network


def pixels(*shape: int) -> Function:
    return lambda draw: draw.integers(0, 256, shape, dtype=np.uint8)


def labels(N: int, K: int) -> Function:
    return lambda draw: draw.integers(0, K, N)


NETWORKS = [
    network_case("mlp", lambda: tn.mlp(4, [6], 3), (5, 4), labels(5, 3)),
    network_case("mlp, float64", lambda: tn.mlp(4, [6, 5], 3, dtype="float64"), (5, 4), labels(5, 3)),
    network_case("linear", lambda: tn.mlp(4, [], 3), (5, 4), labels(5, 3)),
    network_case("mlp, dropout", lambda: tn.mlp(4, [8, 6], 3, dropout=[0.1, 0.3]), (7, 4), labels(7, 3)),
    network_case("mlp, one row", lambda: tn.mlp(4, [6], 3), (1, 4), labels(1, 3)),
    network_case("mlp, soft targets", lambda: tn.mlp(4, [6], 3), (5, 4), rows_of_sum_one(5, 3)),
    network_case(
        "mlp, smoothed labels",
        lambda: tn.mlp(4, [6], 3),
        (5, 4),
        labels(5, 3),
        tn.SoftmaxCrossEntropy(label_smoothing=0.1),
    ),
    network_case("mlp, class weights", lambda: tn.mlp(4, [6], 3), (5, 4), labels(5, 3), ClassWeighted()),
    network_case("mlp, pixels", lambda: tn.mlp(8, [6], 3), pixels(5, 8), labels(5, 3)),
    network_case("mlp, float32 rows", lambda: tn.mlp(4, [6], 3), np.eye(4, dtype=np.float32), labels(4, 3)),
    network_case("mlp, lists", lambda: tn.mlp(2, [3], 2), [[0.5, -1.0], [2.0, 0.3]], [0, 1]),
    network_case("mlp, many zeros in x", lambda: tn.mlp(6, [8], 3), np.eye(5, 6), labels(5, 3)),
    network_case("sixteen ReLU layers", deep, (5, 4), labels(5, 3)),
    network_case(
        "sixteen Tanh layers",
        lambda: tn.Network(*[layer for _ in range(16) for layer in (tn.Dense(4, 4), tn.Tanh())]),
        (5, 4),
        labels(5, 4),
    ),
    network_case("Dense in front of BatchNorm", with_dead_bias, (6, 4), labels(6, 3)),
    network_case("convolutional with BatchNorm", convolutional, (3, 1, 4, 4), labels(3, 3)),
    network_case("convolutional on pixels", convolutional, pixels(3, 1, 4, 4), labels(3, 3)),
    network_case("convolutional with average pools", pooled, (2, 1, 5, 5), labels(2, 3)),
    network_case("LayerNorm and GELU", normalized, (5, 4), labels(5, 3)),
    network_case("LayerNorm, one row", normalized, (1, 4), labels(1, 3)),
    network_case("residual block", residual, (6, 4), labels(6, 3)),
    network_case("partly frozen", partly_frozen, (5, 4), labels(5, 3)),
    network_case("ReLUs that are off", dead, (5, 4), labels(5, 3)),
    network_case("regression", lambda: tn.mlp(4, [6], 2), (5, 4), (5, 2), tn.MeanSquaredError()),
    network_case("regression, Huber", lambda: tn.mlp(4, [6], 2), (5, 4), (5, 2), tn.Huber(delta=0.5)),
    network_case("one output", lambda: tn.mlp(4, [6], 1), (5, 4), labels(5, 2), tn.BinaryCrossEntropy()),
    network_case("Softmax and CrossEntropy", lambda: tn.Network(tn.Dense(4, 3), tn.Softmax()), (5, 4), labels(5, 3)),
    network_case("large x", lambda: tn.mlp(4, [6], 3), normal(1e3, 5, 4), labels(5, 3)),
    network_case("small x", lambda: tn.mlp(4, [6], 3), normal(1e-6, 5, 4), labels(5, 3)),
]

CASES = [*LAYERS, *LOSSES, *NETWORKS]
