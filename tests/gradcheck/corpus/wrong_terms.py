"""Wrong formulas: a mask, a term, a transposition or a factor is missing, or an axis is the wrong one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinynet as tn
from tinynet import functions

from . import Case
from .own_pairs import EPS, PAIRS, away_from_zero, distinct, log_softmax, normal

Inputs = Callable[[], tuple[np.ndarray, ...]]
Row = tuple[str, Callable[..., Any], Callable[..., Any], Inputs, str]


def total(x: np.ndarray) -> np.ndarray:
    return x.sum(axis=-1, keepdims=True)


def mean(x: np.ndarray) -> np.ndarray:
    return x.mean(axis=-1, keepdims=True)


def norm(x: np.ndarray) -> np.ndarray:
    return np.sqrt(total(x * x))


def deviation(x: np.ndarray) -> np.ndarray:
    return np.sqrt(mean((x - mean(x)) ** 2) + EPS)


def center(x: np.ndarray) -> np.ndarray:
    return x - mean(x)


def hat(x: np.ndarray) -> np.ndarray:
    return center(x) / deviation(x)


def unit(x: np.ndarray) -> np.ndarray:
    return x / norm(x)


def share(x: np.ndarray) -> np.ndarray:
    return x / total(x)


def by_largest(x: np.ndarray) -> np.ndarray:
    return x / x.max(axis=-1, keepdims=True)


def weighted_mean(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return total(w * x) / total(w)


def sigmoid_gate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a * functions.sigmoid(b)


def square(seed: int) -> Inputs:
    return partial(normal, seed, (5, 5))


def two_squares(seed: int) -> Inputs:
    return partial(normal, seed, (4, 4), (4, 4))


def wide(seed: int) -> Inputs:
    return partial(normal, seed, (4, 6))


def apart(seed: int, scale: float = 1) -> Inputs:
    return lambda: (scale * away_from_zero(seed, 4, 5),)


def positive(seed: int, *shapes: tuple[int, ...]) -> Inputs:
    draw = np.random.default_rng(seed)
    arrays = [draw.uniform(0.5, 2, shape) for shape in shapes]
    return lambda: tuple(array.copy() for array in arrays)


def own(name: str, pair: str, backward: Callable[..., Any], cause: str) -> Row:
    """Return a row with forward and inputs of a pair of `tinynet.functions`."""
    return name, PAIRS[pair].forward, backward, PAIRS[pair].inputs, cause


def exchanged(name: str, pair: str, i: int, j: int) -> Row:
    """Return a row in which the gradients of two inputs of a pair are exchanged."""

    def backward(dy, *inputs):
        gradients = list(PAIRS[pair].backward(dy, *inputs))
        gradients[i], gradients[j] = gradients[j], gradients[i]
        return tuple(gradients)

    return own(name, pair, backward, "swapped")


def batch_norm_without(mean_term: bool, slope_term: bool) -> Callable[..., Any]:
    """Return a backward of batch normalization without the term of the mean, of the variance, or of both."""

    def backward(dy, x, gamma, beta):
        _, dgamma, dbeta = PAIRS["batch_norm"].backward(dy, x, gamma, beta)
        x_hat, N = hat(x.T).T, len(x)
        dx = dy - (0 if mean_term else dbeta / N) - (0 if slope_term else x_hat * dgamma / N)
        return gamma * dx / deviation(x.T).T, dgamma, dbeta

    return backward


def layer_norm_without(mean_term: bool, slope_term: bool) -> Callable[..., Any]:
    """Return a backward of layer normalization without the term of the mean, of the variance, or of both."""

    def backward(dy, x, gamma, beta):
        _, dgamma, dbeta = PAIRS["layer_norm"].backward(dy, x, gamma, beta)
        g = gamma * dy
        dx = g - (0 if mean_term else mean(g)) - (0 if slope_term else hat(x) * mean(g * hat(x)))
        return dx / deviation(x), dgamma, dbeta

    return backward


class DropoutWithoutMask(tn.Dropout):
    def backward(self, dy):
        return dy


class ReLUWithoutMask(tn.ReLU):
    def backward(self, dy):
        return dy


class HuberWithoutCut(tn.Huber):
    def backward(self):
        y, t, _ = self.recall()
        return (y - t) / y.size


class SoftmaxWithoutSum(tn.Softmax):
    def backward(self, dy):
        return super().backward(dy) + self.recall() * total(dy * self.recall())


MASKED = "mask is not applied"
MISSING = "a term is missing"
AXIS = "axis"
KEEPDIMS = "keepdims"

MASKS: list[Row] = [
    own("relu without the mask", "relu", lambda dy, x: dy, MASKED),
    own("leaky relu without the mask", "leaky_relu", lambda dy, x: dy, MASKED),
    own("dropout without the mask", "dropout", lambda dy, x: dy, MASKED),
    own("max pool without the mask", "max_pool2d", lambda dy, x: dy.repeat(2, axis=-2).repeat(2, axis=-1), MASKED),
    own("huber without the cut", "huber", lambda dy, y, t: (dy * (y - t) / y.size, None), MASKED),
    ("clip without the mask", lambda x: np.clip(x, -1, 1), lambda dy, x: dy, apart(1), MASKED),
    ("relu6 without the mask", lambda x: np.clip(x, 0, 6), lambda dy, x: dy, apart(2, 6), MASKED),
    ("relu6 without the upper mask", lambda x: np.clip(x, 0, 6), lambda dy, x: dy * (x > 0), apart(3, 6), MASKED),
    ("threshold without the mask", lambda x: x * (x > 0.1), lambda dy, x: dy, apart(4), MASKED),
    ("hard tanh of 2 x without the mask", lambda x: np.clip(2 * x, -1, 1), lambda dy, x: 2 * dy, apart(5), MASKED),
    ("relu with the mask inverted", functions.relu, lambda dy, x: dy * (x < 0), apart(6), ""),
    ("relu with the mask of dy", functions.relu, lambda dy, x: dy * (dy > 0), apart(7), ""),
    (
        "maximum with one mask for both inputs",
        np.maximum,
        lambda dy, a, b: (dy * (a > b), dy * (a > b)),
        partial(normal, 8, (4, 5), (4, 5)),
        "",
    ),
    (
        "max of rows with the mask of the smallest",
        lambda x: x.max(axis=1),
        lambda dy, x: dy[:, None] * (x == x.min(axis=1, keepdims=True)),
        lambda: (distinct(9, 4, 5),),
        "",
    ),
]

TERMS: list[Row] = [
    own("softmax without the sum", "softmax", lambda dy, x: dy * functions.softmax(x), MISSING),
    own(
        "softmax with the diagonal of the Jacobian only",
        "softmax",
        lambda dy, x: dy * functions.softmax(x) * (1 - functions.softmax(x)),
        MISSING,
    ),
    ("log softmax without the sum", log_softmax, lambda dy, x: dy, wide(1), MISSING),
    ("x - mean of the row without the mean", center, lambda dy, x: dy, wide(2), MISSING),
    ("x - mean of the batch without the mean", lambda x: x - x.mean(axis=0), lambda dy, x: dy, wide(3), MISSING),
    ("x / norm without the norm's term", unit, lambda dy, x: dy / norm(x), wide(4), MISSING),
    ("x / sum without the sum's term", share, lambda dy, x: dy / total(x), positive(5, (4, 6)), MISSING),
    (
        "x / max without the max's term",
        by_largest,
        lambda dy, x: dy / x.max(axis=-1, keepdims=True),
        positive(6, (4, 6)),
        MISSING,
    ),
    ("standardization with the deviation only", hat, lambda dy, x: dy / deviation(x), wide(7), MISSING),
    ("standardization without the variance's term", hat, lambda dy, x: center(dy) / deviation(x), wide(8), MISSING),
    (
        "standardization without the mean's term",
        hat,
        lambda dy, x: (dy - hat(x) * mean(dy * hat(x))) / deviation(x),
        wide(9),
        MISSING,
    ),
    own("batch norm without the mean's term", "batch_norm", batch_norm_without(True, False), MISSING),
    own("batch norm without the variance's term", "batch_norm", batch_norm_without(False, True), MISSING),
    own("batch norm with running statistics", "batch_norm", batch_norm_without(True, True), MISSING),
    own("layer norm without the mean's term", "layer_norm", layer_norm_without(True, False), MISSING),
    own("layer norm without the variance's term", "layer_norm", layer_norm_without(False, True), MISSING),
    own("layer norm without both terms", "layer_norm", layer_norm_without(True, True), MISSING),
    (
        "weighted mean without the term of the sum of weights",
        weighted_mean,
        lambda dy, x, w: (dy * w / total(w), dy * x / total(w)),
        lambda: (*normal(10, (4, 6)), *positive(10, (4, 6))()),
        "",
    ),
    ("x tanh(x) without the product rule", lambda x: x * np.tanh(x), lambda dy, x: dy * np.tanh(x), wide(11), ""),
    (
        "x exp(-x^2) without the product rule",
        lambda x: x * np.exp(-x * x),
        lambda dy, x: dy * np.exp(-x * x),
        wide(12),
        "",
    ),
    own("gelu without the density", "gelu", lambda dy, x: dy * functions.gelu(x) / x, ""),
    (
        "x^T A x with 2 A x",
        lambda x, A: x @ A @ x,
        lambda dy, x, A: (2 * dy * A @ x, dy * np.outer(x, x)),
        partial(normal, 13, (4,), (4, 4)),
        "",
    ),
    ("x x^T with twice the first term", lambda x: x @ x.T, lambda dy, x: 2 * dy @ x, wide(15), ""),
]

AXES: list[Row] = [
    (
        "softmax, sum over the batch",
        functions.softmax,
        lambda dy, x: functions.softmax(x) * (dy - (dy * functions.softmax(x)).sum(axis=0, keepdims=True)),
        square(1),
        AXIS,
    ),
    (
        "log softmax, sum over the batch",
        log_softmax,
        lambda dy, x: dy - functions.softmax(x) * dy.sum(axis=0, keepdims=True),
        square(2),
        AXIS,
    ),
    (
        "x - mean of the row, mean over the batch",
        center,
        lambda dy, x: dy - dy.mean(axis=0, keepdims=True),
        square(3),
        AXIS,
    ),
    (
        "x / norm of the row, norm over the batch",
        unit,
        lambda dy, x: (dy - unit(x) * total(dy * unit(x))) / norm(x.T).T,
        square(4),
        AXIS,
    ),
    (
        "x / norm of the row, sum over the batch",
        unit,
        lambda dy, x: (dy - unit(x) * (dy * unit(x)).sum(axis=0)) / norm(x),
        square(5),
        AXIS,
    ),
    (
        "x / sum of the row, sum over the batch",
        share,
        lambda dy, x: (dy - (dy * share(x)).sum(axis=0)) / total(x),
        positive(6, (5, 5)),
        AXIS,
    ),
    (
        "standardized rows, means over the batch",
        hat,
        lambda dy, x: (dy - dy.mean(axis=0) - hat(x) * (dy * hat(x)).mean(axis=0)) / deviation(x),
        square(7),
        AXIS,
    ),
    (
        "softmax of columns with the backward of rows",
        lambda x: functions.softmax(x.T).T,
        lambda dy, x: functions.softmax_backward(dy, functions.softmax(x.T).T),
        square(8),
        AXIS,
    ),
    (
        "cumulative sum over the other axis",
        lambda x: x.cumsum(axis=1),
        lambda dy, x: dy[::-1].cumsum(axis=0)[::-1],
        square(9),
        AXIS,
    ),
]

COLUMNS: list[Row] = [
    (
        "softmax, sum without keepdims",
        functions.softmax,
        lambda dy, x: functions.softmax(x) * (dy - (dy * functions.softmax(x)).sum(axis=-1)),
        square(11),
        KEEPDIMS,
    ),
    (
        "log softmax, sum without keepdims",
        log_softmax,
        lambda dy, x: dy - functions.softmax(x) * dy.sum(axis=-1),
        square(12),
        KEEPDIMS,
    ),
    ("x - mean, mean without keepdims", center, lambda dy, x: dy - dy.mean(axis=-1), square(13), KEEPDIMS),
    (
        "x / norm, sum without keepdims",
        unit,
        lambda dy, x: (dy - unit(x) * (dy * unit(x)).sum(axis=-1)) / norm(x),
        square(14),
        KEEPDIMS,
    ),
    (
        "x / sum, sum without keepdims",
        share,
        lambda dy, x: (dy - (dy * share(x)).sum(axis=-1)) / total(x),
        positive(15, (5, 5)),
        KEEPDIMS,
    ),
    (
        "standardization, means without keepdims",
        hat,
        lambda dy, x: (dy - dy.mean(axis=-1) - hat(x) * (dy * hat(x)).mean(axis=-1)) / deviation(x),
        square(16),
        KEEPDIMS,
    ),
    ("sum of rows, dy as a row", lambda x: x.sum(axis=1), lambda dy, x: dy + 0 * x, square(17), ""),
    ("mean of rows, dy as a row", lambda x: x.mean(axis=1), lambda dy, x: dy / 5 + 0 * x, square(18), ""),
    ("norm of rows, dy as a row", lambda x: norm(x)[:, 0], lambda dy, x: dy * unit(x), square(19), KEEPDIMS),
    (
        "log of the sum of exp, dy as a row",
        lambda x: np.log(np.exp(x).sum(axis=1)),
        lambda dy, x: dy * functions.softmax(x),
        square(20),
        KEEPDIMS,
    ),
    (
        "max of rows, dy as a row",
        lambda x: x.max(axis=1),
        lambda dy, x: dy * (x == x.max(axis=1, keepdims=True)),
        lambda: (distinct(21, 5, 5),),
        KEEPDIMS,
    ),
]

SWAPPED: list[Row] = [
    ("a b, exchanged", np.multiply, lambda dy, a, b: (dy * a, dy * b), two_squares(1), "swapped"),
    ("a / b, exchanged", np.divide, lambda dy, a, b: (-dy * a / b**2, dy / b), positive(2, (4, 5), (4, 5)), "swapped"),
    ("a b of matrices, exchanged", np.matmul, lambda dy, a, b: (a.T @ dy, dy @ b.T), two_squares(3), "swapped"),
    (
        "a sigmoid(b), exchanged",
        sigmoid_gate,
        lambda dy, a, b: (dy * a * functions.sigmoid_backward(1, functions.sigmoid(b)), dy * functions.sigmoid(b)),
        two_squares(4),
        "swapped",
    ),
    (
        "hypot, exchanged",
        np.hypot,
        lambda dy, a, b: (dy * b / np.hypot(a, b), dy * a / np.hypot(a, b)),
        positive(5, (4, 5), (4, 5)),
        "swapped",
    ),
    exchanged("dense, dx and dW exchanged", "dense, square", 0, 1),
    exchanged("batch norm, dgamma and dbeta exchanged", "batch_norm", 1, 2),
    exchanged("layer norm, dgamma and dbeta exchanged", "layer_norm", 1, 2),
]

CHAIN: list[Row] = [
    ("sin(x^2) without 2 x", lambda x: np.sin(x**2), lambda dy, x: dy * np.cos(x**2), wide(1), ""),
    ("tanh(x)^2 without tanh'", lambda x: np.tanh(x) ** 2, lambda dy, x: 2 * dy * np.tanh(x), wide(2), ""),
    ("exp(-x^2 / 2) without -x", lambda x: np.exp(-x * x / 2), lambda dy, x: dy * np.exp(-x * x / 2), wide(3), ""),
    ("log(1 + x^2) without 2 x", lambda x: np.log1p(x * x), lambda dy, x: dy / (1 + x * x), wide(4), ""),
    ("sqrt(1 + x^2) without x", lambda x: np.sqrt(1 + x * x), lambda dy, x: dy / np.sqrt(1 + x * x), wide(5), ""),
    ("x^3 as 3 x", lambda x: x**3, lambda dy, x: 3 * dy * x, wide(6), ""),
    (
        "a^b without log a",
        np.power,
        lambda dy, a, b: (dy * b * a ** (b - 1), dy * a**b),
        positive(7, (4, 5), (4, 5)),
        "",
    ),
    ("a / b with a / b", np.divide, lambda dy, a, b: (dy / b, -dy * a / b), positive(8, (4, 5), (4, 5)), ""),
    ("tanh with 1 - x^2", np.tanh, lambda dy, x: dy * (1 - x * x), wide(9), ""),
    ("tanh with 1 - y", np.tanh, lambda dy, x: dy * (1 - np.tanh(x)), wide(10), ""),
    ("sigmoid with y", functions.sigmoid, lambda dy, x: dy * functions.sigmoid(x), wide(11), ""),
    ("sigmoid with 1 - y^2", functions.sigmoid, lambda dy, x: dy * (1 - functions.sigmoid(x) ** 2), wide(12), ""),
    ("dy is not used", np.sin, lambda dy, x: np.cos(x), wide(13), ""),
    ("dy^2 instead of dy", np.sin, lambda dy, x: dy**2 * np.cos(x), wide(14), ""),
    (
        "inverse matrix without transpositions",
        np.linalg.inv,
        lambda dy, x: -np.linalg.inv(x) @ dy @ np.linalg.inv(x),
        lambda: (normal(15, (4, 4))[0] + 4 * np.eye(4),),
        "",
    ),
    (
        "tanh(x W), dx without tanh'",
        lambda x, W: np.tanh(x @ W),
        lambda dy, x, W: (dy @ W.T, x.T @ (dy * (1 - np.tanh(x @ W) ** 2))),
        partial(normal, 16, (4, 3), (3, 5)),
        "",
    ),
    (
        "sum over an axis of x^2 without 2 x",
        lambda x: (x * x).sum(axis=1),
        lambda dy, x: dy[:, None] + 0 * x,
        wide(17),
        "",
    ),
]

LAYERS = [
    Case("Dropout, without the mask", "mask", "layer", lambda: (DropoutWithoutMask(0.5), *normal(10, (5, 4))), MASKED),
    Case("ReLU, without the mask", "mask", "layer", lambda: (ReLUWithoutMask(), away_from_zero(11, 5, 4)), MASKED),
    Case(
        "Huber, without the cut",
        "mask",
        "loss",
        lambda: (HuberWithoutCut(delta=0.5), *normal(12, (5, 4), (5, 4))),
        MASKED,
    ),
    Case(
        "Softmax, without the sum", "missing term", "layer", lambda: (SoftmaxWithoutSum(), *normal(13, (5, 4))), MISSING
    ),
]


def function_cases(kind: str, rows: list[Row]) -> list[Case]:
    return [_case(kind, *row) for row in rows]


def _case(
    kind: str, name: str, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Inputs, cause: str
) -> Case:
    return Case(name, kind, "function", lambda: (forward, backward, inputs()), cause)


CASES = [
    *function_cases("mask", MASKS),
    *function_cases("missing term", TERMS),
    *function_cases("axis", AXES),
    *function_cases("keepdims", COLUMNS),
    *function_cases("swapped", SWAPPED),
    *function_cases("chain rule", CHAIN),
    *LAYERS,
]
