"""The forward and backward functions of `tinynet.functions` as pairs of one form, with inputs for a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinynet import functions

EPS = 1e-5
KEY = (1, 2)
SLOPE = 0.1
DELTA = 0.5


class Pair(NamedTuple):
    """y = forward(*inputs()), and backward(dy, *inputs) returns a tuple of one gradient, or None, for each input."""

    forward: Callable[..., Any]
    backward: Callable[..., tuple[Any, ...]]
    inputs: Callable[[], tuple[np.ndarray, ...]]


def normal(seed: int, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Return an array of normal numbers for each shape."""
    draw = np.random.default_rng(seed)
    return tuple(draw.normal(size=shape) for shape in shapes)


def away_from_zero(seed: int, *shape: int) -> np.ndarray:
    """Return numbers of both signs and of a size of at least 0.2."""
    draw = np.random.default_rng(seed)
    return draw.choice([-1.0, 1.0], shape) * draw.uniform(0.2, 2, shape)


def probabilities(seed: int, *shape: int) -> np.ndarray:
    """Return rows of positive numbers that sum to one."""
    x = np.random.default_rng(seed).uniform(0.5, 2, shape)
    return x / x.sum(axis=-1, keepdims=True)


def distinct(seed: int, *shape: int) -> np.ndarray:
    """Return numbers that differ by at least 0.1."""
    size = int(np.prod(shape))
    return np.random.default_rng(seed).permutation(size).reshape(shape) * 0.1 - size / 20


def log_softmax(x: np.ndarray) -> np.ndarray:
    z = x - x.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def dropout(x: np.ndarray) -> np.ndarray:
    return functions.dropout(x, 0.5, KEY)[0]


def dropout_mask(x: np.ndarray) -> np.ndarray:
    return functions.dropout(x, 0.5, KEY)[1]


def softmax_cross_entropy(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    return functions.softmax_cross_entropy(z, t)[0]


def binary_cross_entropy(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    return functions.binary_cross_entropy(z, t)[0]


def batch_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    return functions.batch_norm(x, gamma, beta, *functions.moments(x, (-2,)), EPS)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    return functions.layer_norm(x, gamma, beta, EPS)


def dense_backward(dy, x, W, b):
    dW, db = np.empty_like(W), np.empty_like(b)
    functions.dense_backward_parameters(dy, x, dW, db)
    return functions.dense_backward(dy, W), dW, db


def conv2d_backward(dy, x, W, b):
    dW, db = np.empty_like(W), np.empty_like(b)
    functions.conv2d_backward_parameters(dy, x, dW, db, 2, 1)
    return functions.conv2d_backward(dy, W, x.shape, 2, 1), dW, db


def batch_norm_backward(dy, x, gamma, beta):
    moments = functions.moments(x, (-2,))
    dgamma, dbeta = np.empty_like(gamma), np.empty_like(beta)
    functions.batch_norm_backward_parameters(dy, x, *moments, EPS, (-2,), dgamma, dbeta)
    return functions.batch_norm_backward(dy, x, gamma, *moments, EPS, dgamma, dbeta), dgamma, dbeta


def layer_norm_backward(dy, x, gamma, beta):
    dgamma, dbeta = np.empty_like(gamma), np.empty_like(beta)
    functions.layer_norm_backward_parameters(dy, x, EPS, dgamma, dbeta)
    return functions.layer_norm_backward(dy, x, gamma, EPS), dgamma, dbeta


PAIRS = {
    "dense": Pair(functions.dense, dense_backward, lambda: normal(1, (5, 3), (3, 4), (1, 4))),
    "dense, square": Pair(functions.dense, dense_backward, lambda: normal(2, (4, 4), (4, 4), (1, 4))),
    "relu": Pair(
        functions.relu,
        lambda dy, x: (functions.relu_backward(dy, functions.relu(x)),),
        lambda: (away_from_zero(3, 4, 5),),
    ),
    "leaky_relu": Pair(
        lambda x: functions.leaky_relu(x, SLOPE),
        lambda dy, x: (functions.leaky_relu_backward(dy, functions.leaky_relu(x, SLOPE), SLOPE),),
        lambda: (away_from_zero(4, 4, 5),),
    ),
    "tanh": Pair(
        functions.tanh, lambda dy, x: (functions.tanh_backward(dy, functions.tanh(x)),), lambda: normal(5, (4, 5))
    ),
    "sigmoid": Pair(
        functions.sigmoid,
        lambda dy, x: (functions.sigmoid_backward(dy, functions.sigmoid(x)),),
        lambda: normal(6, (4, 5)),
    ),
    "gelu": Pair(functions.gelu, lambda dy, x: (functions.gelu_backward(dy, x),), lambda: normal(7, (4, 5))),
    "softmax": Pair(
        functions.softmax,
        lambda dy, x: (functions.softmax_backward(dy, functions.softmax(x)),),
        lambda: normal(8, (5, 4)),
    ),
    "dropout": Pair(
        dropout, lambda dy, x: (functions.dropout_backward(dy, dropout_mask(x)),), lambda: normal(9, (5, 4))
    ),
    "patches": Pair(
        lambda x: functions.patches(x, 2, 1, 1),
        lambda dy, x: (functions.patches_backward(dy, x.shape, 2, 1, 1),),
        lambda: normal(10, (2, 2, 3, 3)),
    ),
    "conv2d": Pair(
        lambda x, W, b: functions.conv2d(x, W, b, 2, 1),
        conv2d_backward,
        lambda: normal(11, (2, 2, 4, 4), (3, 2, 3, 3), (3, 1, 1)),
    ),
    "max_pool2d": Pair(
        lambda x: functions.max_pool2d(x, 2),
        lambda dy, x: (functions.max_pool2d_backward(dy, x, 2),),
        lambda: (distinct(12, 2, 2, 4, 4),),
    ),
    "average_pool2d": Pair(
        lambda x: functions.average_pool2d(x, 2),
        lambda dy, x: (functions.average_pool2d_backward(dy, x.shape, 2),),
        lambda: normal(13, (2, 2, 4, 4)),
    ),
    "global_average_pool": Pair(
        functions.global_average_pool,
        lambda dy, x: (functions.global_average_pool_backward(dy, x.shape),),
        lambda: normal(14, (3, 2, 3, 3)),
    ),
    "batch_norm": Pair(batch_norm, batch_norm_backward, lambda: normal(15, (5, 4), (1, 4), (1, 4))),
    "layer_norm": Pair(layer_norm, layer_norm_backward, lambda: normal(16, (5, 4), (1, 4), (1, 4))),
    "softmax_cross_entropy": Pair(
        softmax_cross_entropy,
        lambda dy, z, t: (dy * functions.softmax_cross_entropy_backward(functions.softmax(z), t), None),
        lambda: (*normal(17, (5, 4)), probabilities(18, 5, 4)),
    ),
    "binary_cross_entropy": Pair(
        binary_cross_entropy,
        lambda dy, z, t: (dy * functions.binary_cross_entropy_backward(functions.sigmoid(z), t), None),
        lambda: (*normal(19, (5, 1)), np.array([[1.0], [0.0], [1.0], [0.3], [0.0]])),
    ),
    "cross_entropy": Pair(
        functions.cross_entropy,
        lambda dy, p, t: (dy * functions.cross_entropy_backward(p, t), None),
        lambda: (probabilities(20, 5, 4), probabilities(21, 5, 4)),
    ),
    "mean_squared_error": Pair(
        functions.mean_squared_error,
        lambda dy, y, t: (dy * functions.mean_squared_error_backward(y, t), None),
        lambda: normal(22, (5, 3), (5, 3)),
    ),
    "huber": Pair(
        lambda y, t: functions.huber(y, t, DELTA),
        lambda dy, y, t: (dy * functions.huber_backward(y, t, DELTA), None),
        lambda: normal(23, (5, 3), (5, 3)),
    ),
}
