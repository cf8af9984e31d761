"""Faults of shape, dtype and memory: right for one batch size, one layout or one place in a network only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np

import tinynet as tn
from tinynet import functions
from tinynet.arrays import rng

from . import Case
from .own_pairs import away_from_zero, normal
from .wrong_terms import Row

SIZE, ONE = "N =", "N = 1"
PROMOTES, FLOAT32 = "promotes", "float32"
WROTE, READ_ONLY, FORTRAN, STRIDED = "wrote into", "read-only", "Fortran", "strided"
BLOCK, TRAIN = "block", "train"


# ---------------------------------------------------------------------------------------- batch size


class CenterOfEight(tn.Layer):
    """x - mean over the batch, with a backward that divides by 8"""

    def forward(self, x, train=False):
        return x - x.mean(axis=0, keepdims=True)

    def backward(self, dy):
        return dy - dy.sum(axis=0, keepdims=True) / 8


class MeanOfEight(tn.Layer):
    """x + mean over the batch, with a backward that divides by 8"""

    def forward(self, x, train=False):
        return x + x.mean(axis=0, keepdims=True)

    def backward(self, dy):
        return dy + dy.sum(axis=0, keepdims=True) / 8


class EightRows(tn.Dense):
    """a dense layer with eight times the mean over the batch as dW"""

    def backward_parameters(self, dy):
        self.dW[...] = 8 * (self.recall().T @ dy) / len(dy)
        self.db[...] = dy.sum(axis=0, keepdims=True)


class EvenRows(tn.Layer):
    """sin(x), two rows at a time, with a backward that leaves out the last row of an odd batch"""

    def forward(self, x, train=False):
        self.memory = x
        return np.sin(x)

    def backward(self, dy):
        x, dx = self.recall(), np.zeros_like(dy)
        even = len(x) // 2 * 2
        dx[:even] = dy[:even] * np.cos(x[:even])
        return dx


class LossOfEight(tn.MeanSquaredError):
    """the mean squared error with a gradient divided by eight rows"""

    def backward(self):
        return super().backward() * len(self.recall()[0]) / 8


class SquaredOfEight(tn.losses.Loss):
    """sum of (z - t)^2 / N with a backward that divides by 8"""

    classifies = False

    def forward(self, z, t):
        self.memory = z - t
        return ((z - t) ** 2).sum() / len(z)

    def backward(self):
        return self.recall() / 4


class Squeezed(tn.Layer):
    """tanh of the squeezed x"""

    def forward(self, x, train=False):
        self.memory = np.tanh(x.squeeze())
        return self.memory

    def backward(self, dy):
        return dy * (1 - self.recall() ** 2)


class SqueezedDense(tn.Dense):
    """a dense layer whose backward squeezes dx"""

    def backward(self, dy):
        return super().backward(dy).squeeze()


class SqueezedSum(tn.Dense):
    """a dense layer that sums over the first axis of squeezed arrays"""

    def backward_parameters(self, dy):
        x, dy = self.recall().squeeze(), dy.squeeze()
        self.dW[...] = (x[:, :, None] * dy[:, None, :]).sum(axis=0)
        self.db[...] = dy.sum(axis=0)


class SqueezedLoss(tn.losses.Loss):
    """the mean over rows of squeezed (z - t)^2"""

    classifies = False

    def forward(self, z, t):
        self.memory = z - t
        return (self.memory.squeeze() ** 2).sum(axis=1).mean()

    def backward(self):
        return 2 * self.recall() / len(self.recall())


# -------------------------------------------------------------------------------------------- dtypes


class ScaledByFloat64(tn.Layer):
    """x times an array of float64"""

    def forward(self, x, train=False):
        return x * np.linspace(1, 2, x.shape[-1])

    def backward(self, dy):
        return dy * np.linspace(1, 2, dy.shape[-1], dtype=dy.dtype)


class Float64InBackward(tn.Layer):
    """2 x with a backward that returns float64"""

    def forward(self, x, train=False):
        return 2 * x

    def backward(self, dy):
        return dy * np.float64(2)


class AccumulatesInFloat64(tn.Layer):
    """the mean of each row in float64"""

    def forward(self, x, train=False):
        self.memory = x.shape[-1]
        return x.mean(axis=-1, keepdims=True, dtype=np.float64)

    def backward(self, dy):
        return dy.repeat(self.recall(), axis=-1) / self.recall()


class SinInFloat32(tn.Layer):
    """sin(x) in float32"""

    def forward(self, x, train=False):
        self.memory = x
        return np.sin(x.astype(np.float32)).astype(x.dtype)

    def backward(self, dy):
        return dy * np.cos(self.recall())


class TanhBackwardInFloat32(tn.Tanh):
    """tanh with a backward in float32"""

    def backward(self, dy):
        return super().backward(dy.astype(np.float32)).astype(np.float32).astype(dy.dtype)


class DenseInFloat32(tn.Dense):
    """a dense layer that computes in float32"""

    def forward(self, x, train=False):
        self.memory = x
        return (x.astype(np.float32) @ self.W.astype(np.float32) + self.b.astype(np.float32)).astype(x.dtype)


class LossInFloat32(tn.MeanSquaredError):
    """the mean squared error in float32"""

    def forward(self, z, t):
        return np.float64(np.float32(super().forward(z, t)))


# ---------------------------------------------------------------------------------------- arguments


class ReLUInPlace(tn.Layer):
    """ReLU written into x"""

    def forward(self, x, train=False):
        self.memory = x > 0
        return np.maximum(x, 0, out=x)

    def backward(self, dy):
        return dy * self.recall()


class CenterInPlace(tn.Layer):
    """x - mean of the row, written into x"""

    def forward(self, x, train=False):
        x -= x.mean(axis=-1, keepdims=True)
        return x.copy()

    def backward(self, dy):
        return dy - dy.mean(axis=-1, keepdims=True)


class TanhIntoGradient(tn.Tanh):
    """tanh with a backward that writes into dy"""

    def backward(self, dy):
        dy *= 1 - self.recall() ** 2
        return dy


class ClipsGradient(tn.Dense):
    """a dense layer that writes dy back after a product"""

    def backward(self, dy):
        dx = super().backward(dy)
        dy[...] = 0
        return dx


class ShiftsLogits(tn.SoftmaxCrossEntropy):
    """softmax cross-entropy that subtracts the largest z in place"""

    def forward(self, z, t):
        z -= z.max(axis=-1, keepdims=True)
        return super().forward(z, t)


class WritesTargets(tn.MeanSquaredError):
    """the mean squared error that keeps z - t in t"""

    def forward(self, z, t):
        loss = super().forward(z, t.copy())
        t -= z
        return loss


class NegatesTwice(tn.Layer):
    """exp(-x) that negates x in place and back"""

    def forward(self, x, train=False):
        np.negative(x, out=x)
        self.memory = np.exp(x)
        np.negative(x, out=x)
        return self.memory.copy()

    def backward(self, dy):
        return -dy * self.recall()


class KeepsOrder(tn.Layer):
    """tanh over the numbers in the order of memory"""

    def forward(self, x, train=False):
        self.memory = np.tanh(x.ravel(order="K").reshape(x.shape))
        return self.memory

    def backward(self, dy):
        return dy * (1 - self.recall() ** 2)


class IgnoresGaps(tn.Layer):
    """tanh over numbers that are taken to lie side by side"""

    def forward(self, x, train=False):
        self.memory = np.tanh(without_gaps(x))
        return self.memory.copy()

    def backward(self, dy):
        return dy * (1 - self.recall() ** 2)


def without_gaps(x: np.ndarray) -> np.ndarray:
    """Return x, or for a strided x the first numbers of the array that it is a view of."""
    return x if x.flags.forc else x.base.ravel()[: x.size].reshape(x.shape)


def relu_in_place(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0, out=x)


def square_in_place(x: np.ndarray) -> np.ndarray:
    x **= 2
    return x.copy()


def sort_in_place(x: np.ndarray) -> np.ndarray:
    x.sort(axis=1)
    return x.copy()


def first_set_to_zero(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    y = a * b
    b[0] = 0
    return y


def sin_backward_in_place(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    dy *= np.cos(x)
    return dy


def negate_and_back(x: np.ndarray) -> np.ndarray:
    """Return exp(-x), computed in the memory of x, which is restored."""
    np.negative(x, out=x)
    y = np.exp(x)
    np.negative(x, out=x)
    return y


def written_by_iterator(x: np.ndarray) -> np.ndarray:
    """Return sin(x) with an iterator that may write into x."""
    with np.nditer(x, op_flags=[["readwrite"]], order="C") as numbers:
        return np.array([np.sin(number) for number in numbers]).reshape(x.shape)


def in_float32(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: function(x.astype(np.float32)).astype(np.float64)


def cosine(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * np.cos(x)


def tanh_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return functions.tanh_backward(dy, np.tanh(x))


# ------------------------------------------------------------------------------- networks and blocks


class SharedMemory(tn.Layer):
    """sin(x) with one memory for all layers of the class"""

    kept: ClassVar[list[np.ndarray]] = []

    def forward(self, x, train=False):
        self.kept[:] = [x]
        return np.sin(x)

    def backward(self, dy):
        return dy * np.cos(self.kept[0])


class MaskOfFirstLayer(tn.Layer):
    """x times random factors, which backward draws again with the key of layer 0"""

    def forward(self, x, train=False):
        return x * self.factors(x, self.random_key)

    def backward(self, dy):
        return dy * self.factors(dy, rng.random_key(0, "layer 0"))

    @staticmethod
    def factors(x, key):
        return 1 + np.random.default_rng(key).random(x.shape[-1], x.dtype)


class GradientAtTheStart(tn.Layer):
    """x g, with dg written at the start of the network's vector of gradients"""

    def __init__(self, D: int) -> None:
        self.D = D

    def shapes(self):
        return {"g": (1, self.D)}

    def initial(self, draw):
        return {"g": draw.normal(size=(1, self.D))}

    def forward(self, x, train=False):
        self.memory = x
        return x * self.g

    def backward(self, dy):
        self.dg.base[: self.D] = (dy * self.recall()).sum(axis=0)
        return dy * self.g


class TwoSines(tn.Layer):
    """sin(sin(x)) of two layers that share their memory"""

    def __init__(self) -> None:
        self.first, self.second = SharedMemory(), SharedMemory()

    def forward(self, x, train=False):
        return self.second.forward(self.first.forward(x, train), train)

    def backward(self, dy):
        return self.first.backward(self.second.backward(dy))


class TanhInTraining(tn.Layer):
    """tanh(x) in training and x otherwise, with the backward of x"""

    def forward(self, x, train=False):
        return np.tanh(x) if train else x

    def backward(self, dy):
        return dy


class MovingMean(tn.Layer):
    """x^3 + mean of the batch in training, x^3 otherwise, with a backward without the mean"""

    def forward(self, x, train=False):
        self.memory = x
        return x**3 + (x.mean(axis=0, keepdims=True) if train else 0)

    def backward(self, dy):
        return 3 * dy * self.recall() ** 2


class HalvedInTraining(tn.Layer):
    """x / 2 in training, x otherwise, with the backward of x"""

    def forward(self, x, train=False):
        return x / 2 if train else x

    def backward(self, dy):
        return dy


class RunningBatchNorm(tn.BatchNorm):
    """batch normalization with a backward for the running mean and variance"""

    def forward(self, x, train=False):
        y = super().forward(x, train)
        self.memory = x, self._along(x, self.mean.copy()), self._along(x, self.variance.copy())
        return y

    def backward(self, dy):
        self.backward_parameters(dy)
        return dy * self.gamma / np.sqrt(self.recall()[2] + self.eps)


def matrix(rows: int = 5) -> Callable[[], np.ndarray]:
    return lambda: away_from_zero(rows, rows, 4)


def layer_case(make: Callable[[], tn.Layer], cause: str, x: Callable[[], np.ndarray] | None = None) -> Case:
    return Case(_name(make()), "shapes and types", "layer", lambda: (make(), (x or matrix())()), cause)


def loss_case(make: Callable[[], tn.losses.Loss], cause: str, rows: int = 5) -> Case:
    arrays = partial(normal, rows, (rows, 3), (rows, 3))
    return Case(_name(make()), "shapes and types", "loss", lambda: (make(), *arrays()), cause)


def _name(subject: Any) -> str:
    return str(type(subject).__doc__)


def function_case(
    name: str, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Callable[[], Any], cause: str
) -> Case:
    return Case(name, "shapes and types", "function", lambda: (forward, backward, inputs()), cause)


x_of_function = partial(normal, 1, (4, 5))

FUNCTIONS: list[Row] = [
    ("relu written into x", relu_in_place, lambda dy, x: dy * (x > 0), x_of_function, WROTE),
    ("square written into x", square_in_place, lambda dy, x: 2 * dy * x, x_of_function, WROTE),
    (
        "x sorted in place",
        sort_in_place,
        lambda dy, x: np.take_along_axis(dy, x.argsort(axis=1).argsort(axis=1), 1),
        x_of_function,
        WROTE,
    ),
    (
        "second input changed by forward",
        first_set_to_zero,
        lambda dy, a, b: (dy * b, dy * a),
        partial(normal, 2, (4, 5), (4, 5)),
        WROTE,
    ),
    ("backward written into dy", np.sin, sin_backward_in_place, x_of_function, WROTE),
    ("x negated in place and back", negate_and_back, lambda dy, x: -dy * np.exp(-x), x_of_function, READ_ONLY),
    ("iterator that may write", written_by_iterator, cosine, x_of_function, READ_ONLY),
    (
        "tanh in the order of memory",
        lambda x: np.tanh(x.ravel(order="K").reshape(x.shape)),
        tanh_backward,
        x_of_function,
        FORTRAN,
    ),
    (
        "sin of transposed memory",
        lambda x: np.sin(x.reshape(-1, order="A").reshape(x.shape)),
        cosine,
        x_of_function,
        FORTRAN,
    ),
    ("tanh of numbers side by side", lambda x: np.tanh(without_gaps(x)), tanh_backward, x_of_function, STRIDED),
    (
        "square of numbers side by side",
        lambda x: without_gaps(x) ** 2,
        lambda dy, x: 2 * dy * x,
        x_of_function,
        STRIDED,
    ),
    ("sin in float32", in_float32(np.sin), cosine, x_of_function, FLOAT32),
    ("exp in float32", in_float32(np.exp), lambda dy, x: dy * np.exp(x), x_of_function, FLOAT32),
    (
        "square of x rounded to float32",
        lambda x: x.astype(np.float32).astype(np.float64) ** 2,
        lambda dy, x: 2 * dy * x,
        x_of_function,
        FLOAT32,
    ),
    ("backward of sin in float32", np.sin, lambda dy, x: (dy * np.cos(x)).astype(np.float32), x_of_function, FLOAT32),
]

CASES = [
    *(function_case(*row) for row in FUNCTIONS),
    layer_case(CenterOfEight, SIZE, matrix(8)),
    layer_case(MeanOfEight, SIZE, matrix(8)),
    layer_case(partial(EightRows, 4, 3), SIZE, matrix(8)),
    layer_case(EvenRows, SIZE, matrix(6)),
    loss_case(LossOfEight, SIZE, 8),
    loss_case(SquaredOfEight, SIZE, 8),
    layer_case(Squeezed, ONE),
    layer_case(partial(SqueezedDense, 4, 3), ONE),
    layer_case(partial(SqueezedSum, 4, 3), ONE),
    loss_case(SqueezedLoss, ONE),
    layer_case(ScaledByFloat64, PROMOTES),
    layer_case(Float64InBackward, PROMOTES),
    layer_case(AccumulatesInFloat64, PROMOTES),
    layer_case(SinInFloat32, FLOAT32),
    layer_case(TanhBackwardInFloat32, FLOAT32),
    layer_case(partial(DenseInFloat32, 4, 3), FLOAT32),
    loss_case(LossInFloat32, FLOAT32),
    layer_case(ReLUInPlace, WROTE),
    layer_case(CenterInPlace, WROTE),
    layer_case(TanhIntoGradient, WROTE),
    layer_case(partial(ClipsGradient, 4, 3), WROTE),
    loss_case(ShiftsLogits, WROTE),
    loss_case(WritesTargets, WROTE),
    layer_case(NegatesTwice, READ_ONLY),
    layer_case(KeepsOrder, FORTRAN),
    layer_case(IgnoresGaps, STRIDED),
    layer_case(SharedMemory, BLOCK),
    layer_case(MaskOfFirstLayer, BLOCK),
    layer_case(partial(GradientAtTheStart, 4), BLOCK),
    layer_case(TwoSines, ""),
    layer_case(TanhInTraining, TRAIN),
    layer_case(MovingMean, TRAIN),
    layer_case(HalvedInTraining, TRAIN),
    layer_case(partial(RunningBatchNorm, 4), TRAIN),
]
