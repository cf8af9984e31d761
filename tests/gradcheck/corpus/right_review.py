"""Right functions found by a hostile review: mixed units, offsets, ties, kinks close by, domains, buffers, targets."""

from __future__ import annotations

import math

import numpy as np

import tinynet as tn

from . import Case
from .wrong_review import (
    Own,
    OwnLoss,
    Scale,
    X,
    cosine,
    function,
    layer,
    norm_backward,
    slope,
    softmax,
    stateful,
    x6,
    x33,
    x54,
)

F, L, S, N = "function", "layer", "loss", "network"
cos = np.cos


# ------------------------------------------------------------------------------------------------- functions


def reused():
    kept = np.zeros((5, 4))

    def backward(dy, x):
        kept[...] = dy * cos(x)
        return kept

    return np.sin, backward


def cached():
    """A cache that compares values."""
    kept = [None, None]

    def forward(x):
        kept[:] = [x.copy(), np.sin(x)]
        return kept[1]

    def backward(dy, x):
        if kept[0] is None or not np.array_equal(kept[0], x):
            kept[:] = [x.copy(), np.sin(x)]
        return dy * np.sqrt(1 - kept[1] ** 2) * np.sign(cos(x))

    return forward, backward


def positive_only(dy, x):
    g = np.zeros_like(x)
    g[x > 0] = dy * 2 * x[x > 0]
    return g


def stable_order(x):
    return np.argsort(x, kind="stable")


def sort_backward(dy, x):
    g = np.zeros_like(x)
    g[stable_order(x)] = dy
    return g


def conv_backward(dy, x, w):
    return np.convolve(dy, w[::-1], "valid"), np.convolve(dy, x[::-1], "valid")


def checked(x):
    if (x < 0).any() or (x > 1).any():
        raise ValueError("x must be between 0 and 1")
    return x**2


def relu_kink(distance, gap=1.0):
    c = 1 + distance
    return slope(
        f"kink of {gap:g} at a distance of {distance:g}", "kink", lambda x: gap * np.maximum(x - c, 0) + x,
        lambda x: 1 + gap * (x > c), [1.0, 2, 0.3],
    )  # fmt: skip


def sine_with_offset(offset):
    name = f"sin(x - {offset:g})"
    return slope(name, "offset", lambda x: np.sin(x - offset), lambda x: cos(x - offset), offset + x54)


def tanh_with_offset(offset):
    return slope(f"tanh(x - {offset:g})", "offset", lambda x: np.tanh(x - offset),
                 lambda x: 1 / np.cosh(x - offset) ** 2, offset + x54)  # fmt: skip


def units(ratio):
    c = np.array([ratio, 1, 1 / ratio])
    return slope(f"sines of numbers in units of 1 to {ratio:g}", "scale", lambda x: np.sin(x / c),
                 lambda x: cos(x / c) / c, c * [0.3, 0.7, -0.2])  # fmt: skip


def variance_backward(dy, x):
    return dy[:, None] * 2 * (x - x.mean(axis=1, keepdims=True)) / x.shape[1]


def cosine_backward(dy, x, y):
    a, b, c = np.linalg.norm(x), np.linalg.norm(y), cosine(x, y)
    return dy * (y / (a * b) - c * x / a**2), dy * (x / (a * b) - c * y / b**2)


scales = np.array([1e8, 1, 1e-8])
kinks = [1 + 10.0**-k for k in range(2, 12, 2)]

FUNCTIONS = [
    *(relu_kink(distance) for distance in (1e-12, 1e-11, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3)),
    *(relu_kink(distance, 1e-4) for distance in (1e-11, 1e-8, 1e-5, 1e-3)),
    *map(sine_with_offset, (1e5, 1e7, 1e8, 1e9, 1.7e9)),
    *map(tanh_with_offset, (1e4, 1e6, 1e8)),
    *map(units, (1e3, 1e4, 1e6, 1e8)),
    slope("five kinks close by", "kink", lambda x: sum(np.maximum(x - c, 0) for c in kinks) + x,
          lambda x: 1 + sum(1.0 * (x > c) for c in kinks), [1.0, 2, 0.3]),
    function("sort with ties", "tie", np.sort, sort_backward, [1.0, 2, 2, 2, 0]),
    function("median of ties", "tie", np.median, lambda dy, x: dy * (np.arange(5) == stable_order(x)[2]),
             [2.0, 2, 2, 0, 5]),
    function("the two largest of ties", "tie", lambda x: np.sort(x)[-2:].sum(),
             lambda dy, x: dy * np.isin(np.arange(5), stable_order(x)[-2:]), [2.0, 2, 2, 0, 1]),
    function("maximum of two, half each", "tie", np.maximum,
             lambda dy, a, b: (dy * np.where(a == b, 0.5, a > b), dy * np.where(a == b, 0.5, b > a)), [1.0, 2, -1],
             [1.0, 3, -1]),
    function("norm at 0, a subgradient", "kink", np.linalg.norm, norm_backward([0.6, 0.8]), np.zeros(2)),
    function("norm close to 0", "kink", np.linalg.norm, lambda dy, x: dy * x / np.linalg.norm(x), 1e-9 * x6),
    slope("hard tanh at its edges", "kink", lambda x: np.clip(x, -1, 1), lambda x: 1.0 * (abs(x) <= 1),
          [-1.0, 1, 0, 3]),
    slope("absolute value of zeros", "kink", lambda x: abs(x) + 0.1 * x, lambda x: np.sign(x) + 0.1, [0.0, 0, 1, -2]),
    function("sum of ReLUs of zeros", "kink", lambda x: np.maximum(x, 0).sum(), lambda dy, x: dy * (x > 0),
             [0.0, 0, 0, 1, -1, 2]),
    function("|a| |b| at zeros", "kink", lambda a, b: abs(a) * abs(b),
             lambda dy, a, b: (dy * np.sign(a) * abs(b), dy * np.sign(b) * abs(a)), np.zeros(3), [0.0, 1, 2]),
    slope("right slope at a jump", "jump", lambda x: x + (x >= 0), np.ones_like, [0.0, 1, 2]),
    slope("fraction", "jump", lambda x: x - np.floor(x), np.ones_like, 3 * x54),
    slope("rounded part", "steps", lambda x: np.round(x) + x**2, lambda x: 2 * x, 3 * x54),
    slope("x |x|", "kink", lambda x: x * abs(x), lambda x: 2 * abs(x), [0.0, 1, -2]),
    slope("|x|^1.5", "kink", lambda x: abs(x) ** 1.5, lambda x: 1.5 * np.sign(x) * abs(x) ** 0.5, [0.0, 1, -2]),
    slope("|x|^1.1", "kink", lambda x: abs(x) ** 1.1, lambda x: 1.1 * np.sign(x) * abs(x) ** 0.1, [0.0, 1, -2]),
    slope("square root over ten powers of ten", "scale", np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-6, 1e-2, 1, 4e4]),
    slope("square root over twenty powers of ten", "scale", np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-12, 1e-6, 1, 4e8]),
    slope("logarithm of extremes", "scale", np.log, lambda x: 1 / x, [1e-300, 1e-9, 1, 1e300]),
    slope("exponential of extremes", "scale", np.exp, np.exp, [-700.0, -30, 0, 30, 700]),
    slope("square of 1e100", "scale", lambda x: x**2, lambda x: 2 * x, 1e100 * x54),
    slope("cube of 1e-90", "scale", lambda x: x**3, lambda x: 3 * x * x, 1e-90 * x54),
    slope("steep tanh", "scale", lambda x: np.tanh(1e6 * x), lambda x: 1e6 / np.cosh(1e6 * x) ** 2, [0.0, 1e-7, 1, -2]),
    slope("softplus of a large factor", "scale", lambda x: np.logaddexp(0, 50 * x),
          lambda x: 50 / (1 + np.exp(-50 * x)), [-5.0, -1e-3, 0, 3]),
    slope("fast noise of 1e-9", "noise", lambda x: np.sin(x) + 1e-9 * np.sin(1e12 * x), cos, x54),
    slope("cubes, one at 0", "flat", lambda x: x**3, lambda x: 3 * x * x, [0.0, 1, -2]),
    slope("math.log of small and large numbers", "domain", np.vectorize(math.log), lambda x: 1 / x, [1e-6, 1, 5]),
    slope("math.sqrt close to 0", "domain", np.vectorize(math.sqrt), lambda x: 0.5 / np.sqrt(x), [1e-4, 1, 5]),
    slope("between 0 and 1, checked", "domain", checked, lambda x: 2 * x, [0.3, 0.9995, 0.1]),
    function("positive numbers only, of another count close by", "shape", lambda x: x[x > 0] ** 2, positive_only,
             [1e-6, 1, -2, 5]),
    function("a number", "shape", lambda x: x**2, lambda dy, x: 2 * dy * x, 3.0),
    function("a number, gradient in a list", "shape", lambda x: x**2, lambda dy, x: [2 * dy * x], 3.0),
    function("no rows beside others", "shape", lambda a, b: np.sin(b) + a.sum(),
             lambda dy, a, b: (np.zeros(0), dy * cos(b)), np.zeros(0), x54),
    function("four axes", "shape", lambda x: x.transpose(3, 1, 0, 2) ** 2,
             lambda dy, x: 2 * x * dy.transpose(2, 1, 3, 0),
             X(2, 3, 2, 2)),
    function("float16", "type", np.sin, lambda dy, x: dy * cos(x), x54.astype(np.float16)),
    function("a list of lists", "type", lambda x: np.sin(x).tolist(), lambda dy, x: dy * cos(x), x54),
    function("read-only gradient, all the same", "type", lambda x: x.sum(), lambda dy, x: np.broadcast_to(dy, x.shape),
             x54),
    function("dy itself for both", "type", np.add, lambda dy, a, b: (dy, dy), x54, x54),
    function("a view of dy, reversed", "type", lambda x: x[::-1], lambda dy, x: dy[::-1], x54),
    function("longdouble", "type", lambda x: np.sin(x.astype(np.longdouble)), lambda dy, x: dy * cos(x), x54),
    function("text beside numbers", "type", lambda x, mode: np.sin(x), lambda dy, x, mode: (dy * cos(x), None), x54,
             "sine"),
    stateful("the same array each time", "state", reused, x54),
    stateful("a cache that looks at the values", "state", cached, x54),
    function("softmax", "term", softmax,
             lambda dy, x: softmax(x) * (dy - (dy * softmax(x)).sum(axis=1, keepdims=True)), x54),
    function("variance of rows", "term", lambda x: x.var(axis=1), variance_backward, x54),
    function("cosine similarity", "term", cosine, cosine_backward, x6, X(6, seed=8)),
    function("full convolution", "index", np.convolve, conv_backward, x6, [0.5, -1, 0.2]),
    function("cumulative sum", "index", np.cumsum, lambda dy, x: np.cumsum(dy[::-1])[::-1], x6),
    function("determinant", "index", np.linalg.det, lambda dy, x: dy * np.linalg.det(x) * np.linalg.inv(x).T, x33),
    function("inverse", "index", np.linalg.inv, lambda dy, x: -np.linalg.inv(x).T @ dy @ np.linalg.inv(x).T, x33),
    function("power spectrum", "index", lambda x: abs(np.fft.fft(x)) ** 2,
             lambda dy, x: 2 * np.fft.ifft(dy * np.fft.fft(x)).real * len(x), x6),
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------- layers


class WarmUp(tn.Layer):
    """y = x (1 - 2^-step), with the steps in a buffer that backward reads."""

    def buffers(self):
        return {"step": (1,)}

    def forward(self, x, train=False):
        if train:
            self.step += 1
        return x * (1 - 0.5**self.step)

    def backward(self, dy):
        return dy * (1 - 0.5**self.step)


class Embedding(tn.Layer):
    """Rows of a table; x holds their numbers."""

    def shapes(self):
        return {"E": (6, 3)}

    def initial(self, draw):
        return {"E": draw.normal(size=(6, 3))}

    def forward(self, x, train=False):
        self.memory = np.rint(x).astype(int)
        return self.E[self.memory]

    def backward(self, dy):
        self.dE[...] = 0
        np.add.at(self.dE, self.memory, dy)
        return np.zeros(self.memory.shape, dy.dtype)


class Between(Own):
    f, df = staticmethod(checked), staticmethod(lambda x: 2 * x)


class Float64Only(Own):
    def forward(self, x, train=False):
        if x.dtype != np.float64:
            raise TypeError("this layer computes in float64 only")
        return super().forward(x, train)


class Cholesky(tn.Layer):
    """y = log det(x^T x + 1e-9 I): too ill-conditioned for float32."""

    def forward(self, x, train=False):
        gram = x.T @ x + 1e-9 * np.eye(x.shape[1], dtype=x.dtype)
        self.memory = x, gram
        return 2 * np.log(np.diag(np.linalg.cholesky(gram))).sum(keepdims=True)

    def backward(self, dy):
        x, gram = self.memory
        return 2 * dy * (x @ np.linalg.inv(gram))


class InPlace(Scale):
    """Works in arrays of its own."""

    work = None

    def backward(self, dy):
        if self.work is None or self.work.shape != dy.shape or self.work.dtype != dy.dtype:
            self.work = np.empty_like(dy)
        np.multiply(dy, self.recall(), out=self.work)
        np.sum(self.work, axis=0, out=self.ds)
        return np.multiply(dy, self.s, out=self.work)


class TwoRows(Scale):
    def forward(self, x, train=False):
        if len(x) < 2:
            raise ValueError("TwoRows takes two rows or more")
        return super().forward(x - x.mean(axis=0), train)

    def backward(self, dy):
        dx = super().backward(dy)
        return dx - dx.mean(axis=0)


class Noise(tn.Layer):
    """y = x + noise of random_key and counter."""

    def forward(self, x, train=False):
        if train:
            x = x + np.random.default_rng([self.random_key, self.counter]).normal(size=x.shape).astype(x.dtype)
            self.counter += 1
        return x

    def backward(self, dy):
        return dy


class Lazy(tn.Layer):
    """Layers in a dictionary and a list."""

    def __init__(self):
        self.parts = {"a": tn.Dense(4, 3), "b": [tn.Tanh(), tn.Dense(3, 4)]}

    def forward(self, x, train=False):
        y = self.parts["a"].forward(x, train)
        for part in self.parts["b"]:
            y = part.forward(y, train)
        return x + y

    def backward(self, dy):
        dx = dy
        for part in [*self.parts["b"][::-1], self.parts["a"]]:
            dx = part.backward(dx)
        return dy + dx


class Identity(tn.Layer):
    def forward(self, x, train=False):
        return x

    def backward(self, dy):
        return dy


class Frozen(Scale):
    """Leaves its gradient alone while it is frozen."""

    def backward(self, dy):
        if self.trainable:
            super().backward(dy)
        return dy * self.s


class Reordered(Scale):
    def forward(self, x, train=False):
        return np.asfortranarray(super().forward(x, train))


LAYERS = [
    layer("steps in a buffer", "buffer", WarmUp, x54),
    layer("embedding", "domain", Embedding, np.random.default_rng(1).integers(0, 6, (5, 2)).astype(float)),
    layer("between 0 and 1, close to 1", "domain", Between, [[0.3, 0.995], [0.4, 0.2]]),
    layer("between 0 and 1", "domain", Between, [[0.3, 0.9], [0.4, 0.2]]),
    layer("float64 only", "type", Float64Only, x54),
    layer("Cholesky", "type", Cholesky, np.c_[X(5, 1), X(5, 1) + 1e-4 * X(5, 1, seed=9)]),
    layer("arrays of its own", "state", InPlace, x54),
    layer("two rows or more", "rows", TwoRows, x54),
    layer("noise", "random", Noise, x54),
    layer("layers in dictionaries", "block", Lazy, x54),
    layer("identity", "view", Identity, x54),
    layer("frozen leaves its gradient alone", "frozen", Frozen, x54),
    layer("Fortran-ordered output", "memory layout", Reordered, x54),
    layer("sparse rows before a Dense", "kink", lambda: tn.Residual(tn.ReLU(), tn.Dense(4, 4)), np.maximum(x54, 0)),
    layer("dropout", "random", lambda: tn.Dropout(0.5), x54),
]


# ---------------------------------------------------------------------------------------------------- losses


class WeightedHinge(OwnLoss):
    """Weights that are whole numbers, and eight rows: all gradients are numbers of float32."""

    def forward(self, z, t):
        self.memory = z, t
        return (t * np.maximum(1 - z, 0)).sum() / len(z)

    def backward(self):
        z, t = self.memory
        return -(t * (z < 1)).astype(z.dtype) / len(z)


class Pairs(OwnLoss):
    """Targets for pairs of rows: t (N, N)."""

    def forward(self, z, t):
        self.memory = z, t
        return ((z @ z.T - t) ** 2).sum() / len(z)

    def backward(self):
        z, t = self.memory
        error = z @ z.T - t
        return 2 * (error + error.T) @ z / len(z)


class AbsoluteError(OwnLoss):
    def forward(self, z, t):
        self.memory = z, t
        return abs(z - t).mean()

    def backward(self):
        z, t = self.memory
        return np.sign(z - t) / z.size


class Centered(OwnLoss):
    def forward(self, z, t):
        return super().forward(z - z.mean(axis=0), t)

    def backward(self):
        g = super().backward()
        return g - g.mean(axis=0)


def loss(name, kind, make, z, t):
    return Case(name, kind, S, lambda: (make(), np.array(z), np.array(t)), "")


whole = np.random.default_rng(2).integers(1, 9, (8, 3))

LOSSES = [
    loss("hinge with whole weights", "type", WeightedHinge, np.random.default_rng(2).uniform(-1, 0.5, (8, 3)), whole),
    loss("targets for pairs", "rows", Pairs, x54, np.eye(5)),
    loss("targets for columns, as many as rows", "rows", OwnLoss, X(4, 4), X(4)),
    loss("one target for all", "rows", OwnLoss, x54, 0.5),
    loss("absolute error, some exact", "kink", AbsoluteError, x54, np.where(x54 > 0.5, x54, 0)),
    loss("centered outputs", "term", Centered, x54, X(5, 4, seed=6)),
    loss("eight rows in pairs of equal ones", "rows", OwnLoss, np.repeat(X(4, 3), 2, axis=0), np.zeros((8, 3))),
]


# -------------------------------------------------------------------------------------------------- networks


def network(name, kind, layers, x=(5, 4), loss=None, backend="numpy", frozen=(), zeros=False):
    def make():
        net = tn.Network(*layers(), seed=1, backend=backend)
        for k in frozen:
            net[k].trainable = False
        rows = X(*x)
        return net, np.maximum(rows, 0) if zeros else rows, np.arange(x[0]) % 3, loss() if loss else None

    return Case(name, kind, N, make, "")


def picture_layers():
    return [tn.Conv2D(1, 2, 3), tn.BatchNorm(2), tn.ReLU(), tn.MaxPool2D(2), tn.Flatten(), tn.Dense(2, 3)]


NETWORKS = [
    network("pictures", "pictures", picture_layers, (5, 1, 4, 4)),
    network("black pictures", "pictures", picture_layers, (5, 1, 4, 4), zeros=True),
    network("pictures, numpy-fast", "backend", picture_layers, (5, 1, 4, 4), backend="numpy-fast"),
    network("residual and frozen", "frozen", lambda: [tn.Dense(4, 4), tn.Residual(tn.Dense(4, 4), tn.Tanh()),
                                                      Frozen(), tn.Dense(4, 3)], frozen=[1, 2]),
    network("dropout, numpy-fast", "backend", lambda: [tn.Dense(4, 8), tn.ReLU(), tn.Dropout(0.5), tn.Dense(8, 3)],
            backend="numpy-fast"),
    network("dropout, numba", "backend", lambda: [tn.Dense(4, 8), tn.ReLU(), tn.Dropout(0.5), tn.Dense(8, 3)],
            backend="numba"),
    network("steps in a buffer", "buffer", lambda: [tn.Dense(4, 4), WarmUp(), tn.Dense(4, 3)]),
    network("one row", "rows", lambda: [tn.Dense(4, 8), tn.LayerNorm(8), tn.GELU(), tn.Dense(8, 3)], (1, 4)),
    network("noise", "random", lambda: [tn.Dense(4, 8), Noise(), tn.Dense(8, 3)]),
    network("sparse rows", "kink", lambda: [tn.ReLU(), tn.Dense(4, 8), tn.ReLU(), tn.Dense(8, 3)], zeros=True),
]  # fmt: skip

CASES = [*FUNCTIONS, *LAYERS, *LOSSES, *NETWORKS]
