"""Wrong gradients found by a hostile review: kinks in sums, ties, state, memory layouts, scales and strange layers."""

from __future__ import annotations

import numpy as np

import tinynet as tn

from . import Case

RANDOM = np.random.default_rng(1)
F, L, S, N = "function", "layer", "loss", "network"


def X(*shape, seed=3, size=1.0, offset=0.0):
    return offset + size * np.random.default_rng(seed).normal(size=shape)


def function(name, kind, forward, backward, *inputs, cause=""):
    """Backward without state; the inputs are copied for each check."""
    return Case(name, kind, F, lambda: (forward, backward, [np.array(x) for x in inputs]), cause)


def stateful(name, kind, make, *inputs, cause=""):
    """`make` returns (forward, backward) with a state of their own."""
    return Case(name, kind, F, lambda: (*make(), [np.array(x) for x in inputs]), cause)


def slope(name, kind, f, df, x, cause=""):
    return function(name, kind, f, lambda dy, x: dy * df(x), x, cause=cause)


x54, x33, x6 = X(5, 4), X(3, 3, seed=4), X(6, seed=5)
zeros_and_others = np.array([0.0] * 6 + [1.0, 2, -1, 3, 0.5, 0.7])
cos = np.cos


# ------------------------------------------------------------------------------------------------- functions


def orthogonal_at_zeros(dy, x):
    g = (x > 0) * 1.0
    i = np.flatnonzero(x > 0)
    g[i[0]] += 0.1
    g[i[1]] -= 0.1258343
    return dy * g


def orthogonal(dy, x):
    g = dy * cos(x)
    u = np.roll(g, 1)
    u -= g * (u * g).sum() / (g * g).sum()
    return g + 1e-4 * u


def one_entry(factor, index):
    def backward(dy, x):
        g = dy * np.exp(x)
        g.flat[index] *= factor
        return g

    return backward


def by_id():
    kept = {}

    def backward(dy, x):
        if id(x) not in kept:
            kept[id(x)] = cos(x)
        return dy * kept[id(x)]

    return np.sin, backward


def by_shape():
    kept = {}

    def backward(dy, x):
        return dy * kept.setdefault(x.shape, cos(x))

    return np.sin, backward


def last_forward():
    kept = []

    def forward(x):
        kept[:] = [x.copy()]
        return np.sin(x)

    return forward, lambda dy, x: dy * cos(kept[0])


def second_call():
    calls = []

    def backward(dy, x):
        calls.append(1)
        return dy * cos(x) * (2 if len(calls) % 2 == 0 else 1)

    return np.sin, backward


def growing():
    kept = np.zeros((5, 4))

    def backward(dy, x):
        kept[...] += dy * cos(x)
        return kept

    return np.sin, backward


def later_wrong():
    """Right for the first 200 forwards, as a cache with a limit."""
    calls = []

    def forward(x):
        calls.append(1)
        return np.sin(x)

    return forward, lambda dy, x: dy * cos(x) * (1 if len(calls) < 8 else 1.5)


def c_order(dy, x):
    return (dy.ravel() * cos(np.ravel(x, "K"))).reshape(x.shape)


def gather_assign(dy, x):
    g = np.zeros_like(x)
    g[[0, 2, 2, 1]] = dy
    return g


def conv_unflipped(dy, x, w):
    return np.convolve(dy, w, "valid"), np.convolve(x, dy[::-1], "valid")[::-1]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def std_rows(x):
    return x.std(axis=1)


def interp_next(dy, x):
    knots, values = np.array([0.0, 1, 2, 4]), np.array([0.0, 2, 1, 5])
    k = np.minimum(np.searchsorted(knots, x), 2)
    return dy * (values[k + 1] - values[k]) / (knots[k + 1] - knots[k])


def cosine(x, y):
    return (x @ y) / np.linalg.norm(x) / np.linalg.norm(y)


def norm_backward(at_zero):
    return lambda dy, x: dy * (x / np.linalg.norm(x) if x.any() else np.array(at_zero))


def pool_strict(dy, x):
    pairs = x.reshape(-1, 2)
    return (dy[:, None] * (pairs > pairs[:, ::-1])).reshape(-1)


def sin_of(dy, x):
    return dy * cos(x)


kink_points = [1 + 10.0**-k for k in range(2, 12, 2)]

FUNCTIONS = [
    function(
        "sum of ReLUs, half at the kinks, 10 % too large elsewhere", "kink", lambda x: np.maximum(x, 0).sum(),
        lambda dy, x: dy * np.where(x == 0, 0.5, 1.1 * (x > 0)), zeros_and_others,
    ),
    function(
        "sum of ReLUs with zeros, an error orthogonal to the gradient", "kink", lambda x: np.maximum(x, 0).sum(),
        orthogonal_at_zeros, zeros_and_others,
    ),
    function(
        "L1 norm of a sparse vector, sign(x) 5 % off for one entry", "kink", lambda x: abs(x).sum(),
        lambda dy, x: dy * np.where(x == 0, 0.3, np.sign(x) * np.where(x == 3, 1.05, 1)), zeros_and_others,
    ),
    slope("slope 1000 at a jump", "kink", lambda x: x + (x >= 0), lambda x: np.where(x == 0, 1000.0, 1), [0.0, 1, 2]),
    slope(
        "relu(x) - relu(-x) is x, claimed 0 at 0", "kink", lambda x: np.maximum(x, 0) - np.maximum(-x, 0),
        lambda x: (x != 0) * 1.0, [0.0, 1, -2],
    ),
    function("norm at 0, (1.2, 0)", "kink", np.linalg.norm, norm_backward([1.2, 0]), np.zeros(2), cause="kink"),
    slope("0 for 1.2 x + |x| at 0, slopes 0.2 and 2.2", "kink", lambda x: 1.2 * x + abs(x),
          lambda x: np.where(x == 0, 0, 1.2 + np.sign(x)), np.zeros(3), cause="kink"),
    function("pooling of pairs, nothing at ties", "tie", lambda x: x.reshape(-1, 2).max(axis=1), pool_strict,
             [2.0, 2, 1, 3, 4, 4], cause="kink"),
    function("dy is clipped to 5", "not linear in dy", np.sin, lambda dy, x: np.clip(dy, -5, 5) * cos(x), x54),
    function(
        "small dy is dropped", "not linear in dy", np.sin, lambda dy, x: np.where(abs(dy) < 0.01, 0, dy) * cos(x), x54
    ),
    function("|dy|", "not linear in dy", np.sin, lambda dy, x: abs(dy) * cos(x), x54),
    function("dy squared", "not linear in dy", np.sin, lambda dy, x: dy**2 * cos(x), x54),
    function("dy of the first column for all", "constant dy", np.sin, lambda dy, x: dy[:, :1] * cos(x), x54),
    function("mean of dy", "constant dy", np.sin, lambda dy, x: dy.mean() * cos(x), x54),
    function("only the first row of dy", "constant dy", lambda x: 2 * x, lambda dy, x: 2 * dy[:1] + 0 * dy, x54),
    function(
        "dy is read in memory order", "memory layout", lambda x: np.asfortranarray(np.sin(x)),
        lambda dy, x: dy.ravel("K").reshape(dy.shape) * cos(x), x54,
    ),
    function("right for C-ordered x only", "memory layout", np.sin, c_order, x54, cause="Fortran"),
    function("a small entry beside large ones is doubled", "scale", np.exp, one_entry(2, 0), [-15.0, 0, 15]),
    function("a small entry is doubled, ratio 1e-9", "scale", np.exp, one_entry(2, 0), [-10.0, 0, 10]),
    function(
        "maximum of two, strict both ways, one tie", "tie", np.maximum, lambda dy, a, b: (dy * (a > b), dy * (b > a)),
        [1.0, 2], [1.0, 3],
    ),
    function(
        "maximum of two, strict both ways, a tie among ten", "tie", np.maximum,
        lambda dy, a, b: (dy * (a > b), dy * (b > a)), np.r_[np.arange(9.0), 5], np.r_[np.arange(9.0) + 1, 5],
    ),
    function(
        "maximum of two, both get all at a tie", "tie", np.maximum, lambda dy, a, b: (dy * (a >= b), dy * (b >= a)),
        [1.0, 2], [1.0, 3], cause="kink",
    ),
    function(
        "minimum of two, none gets anything at a tie", "tie", np.minimum,
        lambda dy, a, b: (dy * (a < b), dy * (b < a)), [1.0, 2, -1], [1.0, 3, -1],
    ),
    function("all three tied maxima get all", "tie", np.max, lambda dy, x: dy * (x == x.max()), [2.0, 2, 2, 0, 1]),
    function("all three tied medians get all", "tie", np.median, lambda dy, x: dy * (x == 2), [2.0, 2, 2, 0, 5]),
    slope(
        "hard tanh, -0.5 at its edges", "kink", lambda x: np.clip(x, -1, 1),
        lambda x: (abs(x) < 1) - 0.5 * (abs(x) == 1), [-1.0, 1, 0, 3], cause="kink",
    ),
    function("norm at 0, all ones", "kink", np.linalg.norm, norm_backward(np.ones(4)), np.zeros(4), cause="kink"),
    function(
        "norm close to 0, 1.5 times", "kink", lambda x: np.linalg.norm(x[:2]) + x[2:].sum(),
        lambda dy, x: dy * np.r_[1.5 * x[:2] / np.linalg.norm(x[:2]), 1, 1], [1e-7, -2e-7, 1, 3],
    ),
    function("one entry of 20 is 2e-5 off", "size", np.exp, one_entry(1 + 2e-5, 7), x54),
    slope("3e-6 too large", "size", np.exp, lambda x: np.exp(x) * (1 + 3e-6), x54),
    slope("a single number, 1.00001 times", "size", lambda x: x**3, lambda x: 3.00003 * x**2, 0.7),
    function("an error orthogonal to the gradient", "size", np.sin, orthogonal, x54),
    slope(
        "steep tanh, 1.5 times", "scale", lambda x: np.tanh(1e6 * x), lambda x: 1.5e6 / np.cosh(1e6 * x) ** 2,
        [0.0, 1e-7, 1, -2], cause="1.5 times too large",
    ),
    slope(
        "x^2 sin(1/x) + x, 2.5 at 0", "kink", lambda x: np.where(x == 0, 0, x * x * np.sin(1 / (x + (x == 0)))) + x,
        lambda x: np.where(x == 0, 2.5, 1 + 2 * x * np.sin(1 / (x + (x == 0))) - cos(1 / (x + (x == 0)))), [0.0, 1, 2],
    ),
    slope("round, passed through", "steps", np.round, np.ones_like, 3 * x54),
    slope(
        "slope above all of five kinks close by", "kink", lambda x: sum(np.maximum(x - c, 0) for c in kink_points) + x,
        lambda x: np.where(x == 1, 7.5, 1 + sum(1.0 * (x > c) for c in kink_points)), [1.0, 2, 0.3],
    ),
    function(
        "softmax, diagonal only", "term", softmax, lambda dy, x: dy * softmax(x) * (1 - softmax(x)), x54,
        cause="diagonal",
    ),
    function("cumsum, not reversed", "index", np.cumsum, lambda dy, x: np.cumsum(dy), x6),
    function("outer product, swapped", "index", lambda a, b: np.outer(a, b),
             lambda dy, a, b: (dy.T @ a, dy @ b), x6, X(6, seed=8), cause="swapped"),
    function("matrix product, dA transposed", "index", lambda a, b: a @ b, lambda dy, a, b: ((dy @ b.T).T, a.T @ dy),
             x33, X(3, 3, seed=9), cause="transposed"),
    function("variance with n - 1, backward with n", "factor", lambda x: x.var(ddof=1),
             lambda dy, x: dy * 2 * (x - x.mean()) / len(x), x6, cause="1.2 times too small"),
    function("rows taken twice, not added", "index", lambda x: x[[0, 2, 2, 1]], gather_assign, X(3, 2, seed=1)),
    function("full convolution, filter not flipped", "index", lambda x, w: np.convolve(x, w), conv_unflipped, x6,
             [0.5, -1, 0.2]),
    function("bias added to columns, summed over them", "axis", lambda x, b: x + b,
             lambda dy, x, b: (dy, dy.sum(axis=1)), x33, X(3, seed=2), cause="wrong axis"),
    function("inverse, without its sign", "sign", np.linalg.inv,
             lambda dy, x: np.linalg.inv(x).T @ dy @ np.linalg.inv(x).T, x33, cause="sign"),
    function("determinant, inverse not transposed", "index", np.linalg.det,
             lambda dy, x: dy * np.linalg.det(x) * np.linalg.inv(x), x33, cause="transposed"),
    slope("sqrt(x^2 + eps), eps forgotten", "term", lambda x: np.sqrt(x * x + 1e-4), np.sign, x54),
    slope("log1p like log", "term", np.log1p, lambda x: 1 / x, abs(x54)),
    function("arctan2, sign of the second", "sign", np.arctan2,
             lambda dy, a, b: (dy * b / (a * a + b * b), dy * a / (a * a + b * b)), x6, X(6, seed=8), cause="sign"),
    function("power, log of the base missing", "term", np.power,
             lambda dy, a, b: (dy * b * a ** (b - 1), dy * a**b), abs(x6) + 0.1, X(6, seed=8)),
    slope("clip, no mask", "mask", lambda x: np.clip(x, -0.5, 0.5), np.ones_like, x54, cause="mask"),
    slope("x mod 1 squared, like x squared", "term", lambda x: np.mod(x, 1) ** 2, lambda x: 2 * x, x54 * 3),
    function("standard deviation, mean not subtracted", "term", std_rows,
             lambda dy, x: dy[:, None] * x / x.std(axis=1, keepdims=True) / 4, x54, cause="a term is missing"),
    slope("Huber, slope delta^2 in the linear part", "mask", lambda x: np.where(abs(x) < 0.5, x * x / 2,
          0.5 * (abs(x) - 0.25)), lambda x: np.where(abs(x) < 0.5, x, 0.25 * np.sign(x)), x54),
    function("third of three inputs, one entry", "index", lambda a, b, c: a * b + c**2,
             lambda dy, a, b, c: (dy * b, dy * a, dy * 2 * c * np.r_[1, 1, 1, 1.1, 1, 1]), x6, X(6, seed=8),
             X(6, seed=9), cause="1 of 6 entries"),
    function("four axes, two of them swapped", "index", lambda x: x.transpose(3, 1, 2, 0) ** 2,
             lambda dy, x: 2 * x * dy.transpose(3, 2, 1, 0), X(2, 3, 3, 2)),
    slope("an offset of 1e6, 1.01 times", "scale", lambda x: np.sin(x - 1e6), lambda x: 1.01 * cos(x - 1e6),
          1e6 + x54, cause="1.01 times too large"),
    function("power spectrum, half of it", "factor", lambda x: abs(np.fft.fft(x)) ** 2,
             lambda dy, x: np.fft.ifft(dy * np.fft.fft(x)).real * len(x), x6, cause="a factor 2 is missing"),
    slope("interpolation, slope of the next piece", "index", lambda x: np.interp(x, [0, 1, 2, 4], [0, 2, 1, 5]),
          lambda x: interp_next(1, x), [0.3, 1.4, 0.6]),
    function("sort, argsort for its inverse", "index", np.sort, lambda dy, x: dy[np.argsort(x)],
             [0.3, -1.0, 2.0, 0.9, 0.1]),
    function("cosine similarity, the norm taken as constant", "term", cosine,
             lambda dy, x, y: (dy * y / np.linalg.norm(x) / np.linalg.norm(y),
                               dy * x / np.linalg.norm(x) / np.linalg.norm(y)), x6, X(6, seed=8)),
    function("complex gradient", "type", np.sin, lambda dy, x: dy * cos(x) * (1 + 0.5j), x54),
    function("float32 gradient", "type", np.sin, lambda dy, x: (dy * cos(x)).astype(np.float32), x54, cause="float32"),
    function("float32 inside of forward", "type", lambda x: np.sin(x.astype(np.float32)).astype(float), sin_of, x54,
             cause="float32"),
    stateful("cache by shape", "state", by_shape, x54, cause="stale"),
    stateful("x of the last forward", "state", last_forward, x54, cause="stale"),
    stateful("every second call doubles", "state", second_call, x54, cause="2 times the first"),
    stateful("adds to the array that it returned", "state", growing, x54, cause="accumulates"),
    stateful("wrong after eight forwards", "state", later_wrong, x54),
    function("random gradient", "state", np.sin,
             lambda dy, x: dy * cos(x) * (1 + 1e-3 * RANDOM.normal()), x54, cause="random"),
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------- layers


class Own(tn.Layer):
    """y = f(x), with forward and backward of functions."""

    f, df = staticmethod(np.sin), staticmethod(np.cos)

    def forward(self, x, train=False):
        self.memory = x if train else None
        return self.f(x)

    def backward(self, dy):
        return dy * self.df(self.recall())


class MemoryOrder(Own):
    def backward(self, dy):
        return dy.ravel("K").reshape(dy.shape) * cos(self.recall())


class Clipped(Own):
    def backward(self, dy):
        return np.clip(super().backward(dy), -3, 3)


class Threshold(Own):
    def backward(self, dy):
        return np.where(abs(dy) < 1e-3, 0, super().backward(dy))


class Scale(tn.Layer):
    """y = x s"""

    def shapes(self):
        return {"s": (4,)}

    def initial(self, draw):
        return {"s": draw.normal(size=4)}

    def forward(self, x, train=False):
        self.memory = x if train else None
        return x * self.s

    def backward(self, dy):
        self.ds[...] = (dy * self.recall()).sum(axis=0)
        return dy * self.s


class FirstLayerMean(Scale):
    """As the first layer of a network, the gradient is a mean."""

    def backward_parameters(self, dy):
        self.ds[...] = (dy * self.recall()).mean(axis=0)


class MaskIntoX(tn.Layer):
    def forward(self, x, train=False):
        self.memory = x if train else None
        return np.maximum(x, 0)

    def backward(self, dy):
        mask = self.recall()
        if mask.flags.writeable:
            mask[mask < 0], mask[mask > 0] = 0, 1
        return dy * (mask > 0)


class ProjectingBackward(Scale):
    def backward(self, dy):
        np.maximum(self.s, 0.01, out=self.s)
        return super().backward(dy)


class ProjectingForward(Scale):
    def forward(self, x, train=False):
        self.s[...] = abs(self.s)
        return super().forward(x, train)


class PartlyWritten(Scale):
    def backward(self, dy):
        self.ds[:2] = (dy * self.recall()).sum(axis=0)[:2]
        return dy * self.s


class Accumulating(Scale):
    def backward(self, dy):
        self.ds[...] += (dy * self.recall()).sum(axis=0)
        return dy * self.s


class ClassMemory(Scale):
    kept = None

    def forward(self, x, train=False):
        ClassMemory.kept = x
        return x * self.s

    def backward(self, dy):
        self.ds[...] = (dy * ClassMemory.kept).sum(axis=0)
        return dy * self.s


class LastDy(Scale):
    kept = 0.0

    def backward(self, dy):
        dx = super().backward(dy + (0.1 * self.kept if np.shape(self.kept) == dy.shape else 0))
        self.kept = dy
        return dx


class RowOfOne(Scale):
    """Drops the axis of a single row."""

    def backward(self, dy):
        self.ds[...] = np.atleast_1d((dy * self.recall()).squeeze()).sum(axis=-1 if len(dy) == 1 else 0)
        return dy * self.s


class FiveRows(Scale):
    def backward(self, dy):
        self.ds[...] = (dy * self.recall()).sum(axis=0) * len(dy) / 5
        return dy * self.s


class ConstantStatistics(tn.Layer):
    def forward(self, x, train=False):
        self.memory = x.std(axis=0) + 0.1 if train else None
        return (x - x.mean(axis=0)) / (x.std(axis=0) + 0.1)

    def backward(self, dy):
        return (dy - dy.mean(axis=0)) / self.recall()


class RunningInBackward(tn.BatchNorm):
    def backward(self, dy):
        super().backward(dy)
        return dy * self.gamma / np.sqrt(self.variance + self.eps)


class MaskOfNow(tn.Dropout):
    """Draws another mask in backward."""

    def backward(self, dy):
        keep = np.random.default_rng(self.counter).random(dy.shape) > 0.5
        return dy * keep / 0.5


class Unscaled(tn.Dropout):
    def backward(self, dy):
        return super().backward(dy) * 0.5


class Twice(tn.Layer):
    """y = x + inner(x), backward without the shortcut."""

    def __init__(self):
        self.inner = tn.Dense(4, 4)

    def forward(self, x, train=False):
        return x + self.inner.forward(x, train)

    def backward(self, dy):
        return self.inner.backward(dy)


class ReluDense(tn.Layer):
    """y = relu(x) W: wrong by 5 % for one row, which zeros in x must not excuse."""

    def shapes(self):
        return {"W": (4, 3)}

    def initial(self, draw):
        return {"W": draw.normal(size=(4, 3))}

    def forward(self, x, train=False):
        self.memory = x if train else None
        return np.maximum(x, 0) @ self.W

    def backward(self, dy):
        x = self.recall()
        self.dW[...] = np.maximum(x, 0).T @ dy * (1.05 if len(dy) == 1 else 1)
        return (dy @ self.W.T) * (x > 0) * (1.05 if len(dy) == 1 else 1)


class SmallStale(tn.Layer):
    """y = 1e8 a x + b; the gradient of b is twice as large for one row."""

    def shapes(self):
        return {"a": (4,), "b": (4,)}

    def initial(self, draw):
        return {"a": draw.normal(size=4), "b": draw.normal(size=4)}

    def forward(self, x, train=False):
        self.memory = x if train else None
        return 1e8 * self.a * x + self.b

    def backward(self, dy):
        self.da[...] = 1e8 * (dy * self.recall()).sum(axis=0)
        self.db[...] = dy.sum(axis=0) * (2 if len(dy) == 1 else 1)
        return 1e8 * self.a * dy


class FrozenPassesDy(tn.Dense):
    """Frozen, it takes itself for the identity."""

    def backward(self, dy):
        return super().backward(dy) if self.trainable else dy


class FrozenZero(Scale):
    def backward(self, dy):
        return super().backward(dy) if self.trainable else 0 * dy


class Float32Twice(Own):
    """Wrong in the dtype in which networks train."""

    def backward(self, dy):
        return super().backward(dy) * (2 if dy.dtype == np.float32 else 1)


class HalfAtZeros(ReluDense):
    """y = relu(x) W, dx: half at zeros, 2 % too large elsewhere."""

    def backward(self, dy):
        x = self.recall()
        self.dW[...] = np.maximum(x, 0).T @ dy
        return (dy @ self.W.T) * np.where(x == 0, 0.5, 1.02 * (x > 0)).astype(dy.dtype)


class Promoting(Scale):
    def backward(self, dy):
        return super().backward(dy) * np.ones(4)


class HalfBias(tn.Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db[...] /= 2
        return dx


class BufferInBackward(Scale):
    """A buffer that backward changes, and forward uses."""

    def buffers(self):
        return {"gain": (1,)}

    def initial(self, draw):
        return {"s": draw.normal(size=4), "gain": np.ones(1)}

    def forward(self, x, train=False):
        self.memory = x if train else None
        return x * self.s * self.gain

    def backward(self, dy):
        dx = super().backward(dy * self.gain)
        self.gain[...] = 2
        return dx


def layer(name, kind, make, x, cause=""):
    return Case(name, kind, L, lambda: (make(), np.array(x)), cause)


sparse = np.where(np.random.default_rng(1).random((5, 4)) < 0.5, 0, abs(X(5, 4)))

LAYERS = [
    layer("dy is read in memory order", "memory layout", MemoryOrder, x54),
    layer("the gradient is clipped", "not linear in dy", Clipped, x54),
    layer("small dy is dropped", "not linear in dy", Threshold, x54),
    layer("mean as the first layer", "other method", FirstLayerMean, x54, "backward_parameters"),
    layer("ReLU writes its mask into x", "writes", MaskIntoX, x54, "wrote into x"),
    layer("backward writes into a parameter", "writes", ProjectingBackward, x54, "wrote into"),
    layer("forward writes into a parameter", "writes", ProjectingForward, x54, "wrote into"),
    layer("a part of the gradient is not written", "view", PartlyWritten, x54, "not written"),
    layer("adds to the gradient", "view", Accumulating, x54, "accumulates"),
    layer("memory of the class", "state", ClassMemory, x54, "inside of a block"),
    layer("a tenth of the last dy", "state", LastDy, x54),
    layer("one row", "rows", RowOfOne, x54, "N = 1"),
    layer("five rows only", "rows", FiveRows, x54, "N = "),
    layer("statistics taken as constants", "term", ConstantStatistics, x54, "a term is missing"),
    layer("running statistics in backward", "term", lambda: RunningInBackward(4), x54),
    layer("another mask in backward", "random", lambda: MaskOfNow(0.5), x54),
    layer("dropout, not scaled back", "factor", lambda: Unscaled(0.5), x54, "a factor 2 is missing"),
    layer("shortcut forgotten", "term", Twice, x54),
    layer("one row, behind ReLUs of zeros", "rows", ReluDense, sparse, "N = 1"),
    layer("one row, small beside another gradient", "rows", SmallStale, x54, "N = 1"),
    layer("twice in float32", "type", Float32Twice, x54, "float32"),
    layer("half at zeros, 2 % elsewhere", "kink", HalfAtZeros, sparse),
    layer("float64 constants", "type", Promoting, x54, "promotes"),
    layer("half of the bias", "factor", lambda: HalfBias(4, 3), x54, "a factor 2 is missing"),
    layer("backward changes a buffer", "state", BufferInBackward, x54),
]


# ---------------------------------------------------------------------------------------------------- losses


class OwnLoss(tn.Loss):
    """L = sum((z - t)^2) / N; subclasses are wrong."""

    classifies = False

    def forward(self, z, t):
        self.memory = z, t
        return ((z - t) ** 2).sum() / len(z)

    def backward(self):
        z, t = self.memory
        return 2 * (z - t) / len(z)


class PerRow(OwnLoss):
    """One number for each row instead of one."""

    def forward(self, z, t):
        self.memory = z, t
        return ((z - t) ** 2).sum(axis=1)

    def backward(self):
        z, t = self.memory
        return 2 * (z - t)


class IntoZ(OwnLoss):
    def forward(self, z, t):
        self.memory = z, t
        return (np.maximum(z, 0) ** 2).mean()

    def backward(self):
        z, _ = self.memory
        if z.flags.writeable:
            np.maximum(z, 0, out=z)
        return 2 * np.maximum(z, 0) / z.size


class PerNumber(OwnLoss):
    def backward(self):
        z, t = self.memory
        return 2 * (z - t) / z.size


class ForT(OwnLoss):
    def backward(self):
        return -super().backward()


class FirstGradient(OwnLoss):
    kept = None

    def backward(self):
        self.kept = super().backward() if self.kept is None else self.kept
        return self.kept


class Unweighted(OwnLoss):
    def forward(self, z, t):
        self.memory = z, t
        return (abs(t) * (z - t) ** 2).sum() / len(z)


class OneRow(OwnLoss):
    def backward(self):
        g = super().backward()
        g[1:] = 0
        return g


class EightRows(OwnLoss):
    def backward(self):
        return super().backward() * len(self.memory[0]) / 5


class Logits(OwnLoss):
    def forward(self, z, t):
        self.memory = z, t
        return (np.logaddexp(0, z) - z * (t > 0)).mean()

    def backward(self):
        z, t = self.memory
        return (z - (t > 0)) / z.size


class NoMargin(OwnLoss):
    def forward(self, z, t):
        self.memory = z, t
        return np.maximum(0, 1 - z * np.sign(t)).mean()

    def backward(self):
        z, t = self.memory
        return -np.sign(t) / z.size


def loss(name, kind, make, cause=""):
    return Case(name, kind, S, lambda: (make(), X(5, 4), X(5, 4, seed=7)), cause)


LOSSES = [
    loss("one number for each row", "shape", PerRow, "shape"),
    loss("backward writes into z", "writes", IntoZ, "wrote into z"),
    loss("mean over all numbers", "factor", PerNumber, "4 times too small"),
    loss("gradient of t", "sign", ForT, "sign"),
    loss("the first gradient for ever", "state", FirstGradient, "stale"),
    loss("weights forgotten", "term", Unweighted),
    loss("the first row only", "index", OneRow, "entries are wrong"),
    loss("five rows only", "rows", EightRows, "N = "),
    loss("logits taken for probabilities", "term", Logits),
    loss("hinge without its mask", "mask", NoMargin, "mask"),
]


# -------------------------------------------------------------------------------------------------- networks


def network(name, kind, layers, x=(5, 4), loss=None, cause="", backend="numpy", frozen=()):
    def make():
        net = tn.Network(*layers(), seed=1, backend=backend)
        for k in frozen:
            net[k].trainable = False
        return net, X(*x), np.arange(x[0]) % 3, loss() if loss else None

    return Case(name, kind, N, make, cause)


class WrongSpread(tn.BatchNorm):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dgamma[...] *= 1.001
        return dx


class NoShortcut(tn.Residual):
    def backward(self, dy):
        return super().backward(dy) - 0.01 * dy


class HalfCross(tn.SoftmaxCrossEntropy):
    def backward(self):
        return super().backward() / 2


class WrongTanh(tn.Tanh):
    def backward(self, dy):
        return super().backward(dy) * 1.0001


NETWORKS = [
    network("a frozen layer passes dy on", "frozen", lambda: [tn.Dense(4, 3), tn.Tanh(), FrozenPassesDy(3, 3)],
            frozen=[2]),
    network("a frozen layer passes zeros on", "frozen", lambda: [tn.Dense(4, 4), FrozenZero(), tn.Dense(4, 3)],
            frozen=[1]),
    network("mean as the first layer", "other method", lambda: [FirstLayerMean(), tn.Dense(4, 3)]),
    network("pictures, spread of BatchNorm", "factor",
            lambda: [tn.Conv2D(1, 2, 3), WrongSpread(2), tn.ReLU(), tn.Flatten(), tn.Dense(8, 3)], (5, 1, 4, 4),
            cause="1.001 times too large"),
    network("residual, 1 % of the shortcut missing", "term",
            lambda: [tn.Dense(4, 4), NoShortcut(tn.Dense(4, 4), tn.Tanh()), tn.Dense(4, 3)]),
    network("loss with half a gradient", "factor", lambda: [tn.Dense(4, 3)], loss=HalfCross,
            cause="a factor 2 is missing"),
    network("numpy-fast, own activation", "factor", lambda: [tn.Dense(4, 5), WrongTanh(), tn.Dense(5, 3)],
            backend="numpy-fast", cause="1.0001 times too large"),
    network("twice in float32", "type", lambda: [tn.Dense(4, 4), Float32Twice(), tn.Dense(4, 3)], cause="float32"),
    network("ReLU writes its mask into Tanh's memory", "writes",
            lambda: [tn.Dense(4, 4), tn.Tanh(), MaskIntoX(), tn.Dense(4, 3)]),
    network("two layers with one memory", "state",
            lambda: [tn.Dense(4, 4), ClassMemory(), tn.Tanh(), ClassMemory(), tn.Dense(4, 3)]),
    network("dropout, not scaled back", "factor", lambda: [tn.Dense(4, 8), Unscaled(0.5), tn.Dense(8, 3)],
            cause="a factor 2 is missing"),
]  # fmt: skip

CASES = [*FUNCTIONS, *LAYERS, *LOSSES, *NETWORKS]
