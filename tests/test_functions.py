"""functions.py: every backward against difference quotients, every check against a planted fault, every promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_optim import GRADS, START, adam, by_hand, rmsprop, sgd

import tinynet as tn
from tinynet import functions
from tinynet.arrays.backend import FUNCTIONS
from tinynet.arrays.rng import fold_in, random_bits

N, D, M, K = 5, 4, 3, 3
KEY, *OTHER_KEYS = (fold_in(0, counter) for counter in range(3))


def around_zero(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers of both signs, none nearer than 0.2 to relu's kink."""
    draw = np.random.default_rng(seed)
    return draw.uniform(0.2, 1.5, shape) * draw.choice([-1, 1], shape)


def distributions(*shape: int, seed: int = 1) -> np.ndarray:
    """Rows of positive numbers that sum to one."""
    rows = np.random.default_rng(seed).uniform(0.1, 1, shape)
    return rows / rows.sum(axis=-1, keepdims=True)


# ------------------------------------------------------------ a check for each function, and faults it must catch


def check_dense(f: SimpleNamespace) -> Any:
    def backward(dy: np.ndarray, x: np.ndarray, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
        dW, db = np.full_like(W, np.nan), np.full_like(b, np.nan)
        f.dense_backward_parameters(dy, x, dW, db)
        return f.dense_backward(dy, W), dW, db

    x, W, b = around_zero(N, 3), around_zero(3, 3, seed=1), around_zero(1, 3, seed=2)
    return tn.gradient_check_function(f.dense, backward, x, W, b)


def of_output(name: str) -> Callable[[SimpleNamespace], Any]:
    """Return the check of a function whose backward takes its output."""

    def check(f: SimpleNamespace) -> Any:
        forward, backward = getattr(f, name), getattr(f, f"{name}_backward")
        return tn.gradient_check_function(forward, lambda dy, x: backward(dy, forward(x)), around_zero(N, D))

    return check


check_relu, check_tanh, check_sigmoid, check_softmax = map(of_output, ("relu", "tanh", "sigmoid", "softmax"))


def check_leaky_relu(f: SimpleNamespace) -> Any:
    return tn.gradient_check_function(
        lambda x: f.leaky_relu(x, 0.1),
        lambda dy, x: f.leaky_relu_backward(dy, f.leaky_relu(x, 0.1), 0.1),
        around_zero(N, D),
    )


def check_gelu(f: SimpleNamespace) -> Any:
    return tn.gradient_check_function(f.gelu, f.gelu_backward, around_zero(N, D))


def bound(loss: tn.Loss, f: SimpleNamespace) -> tn.Loss:
    return loss.bind(SimpleNamespace(ops=f))


def check_dropout(f: SimpleNamespace) -> Any:
    keeps_the_mean = abs(f.dropout(np.ones((100, 100)), 0.25, KEY)[0].mean() - 1) < 0.03
    return keeps_the_mean and tn.gradient_check_function(
        lambda x: f.dropout(x, 0.25, KEY)[0],
        lambda dy, x: f.dropout_backward(dy, f.dropout(x, 0.25, KEY)[1]),
        around_zero(N, D),
    )


def check_softmax_cross_entropy(f: SimpleNamespace) -> Any:
    return tn.gradient_check_loss(bound(tn.SoftmaxCrossEntropy(), f), around_zero(N, K), distributions(N, K))


def check_smooth_labels(f: SimpleNamespace) -> Any:
    return np.allclose(f.smooth_labels(np.array([[1.0, 0, 0, 0]]), 0.2), [[0.85, 0.05, 0.05, 0.05]], rtol=1e-14)


def check_binary_cross_entropy(f: SimpleNamespace) -> Any:
    z, t = around_zero(N, 1), distributions(N, 2)[:, :1]
    by_hand = -np.mean(t * np.log(1 / (1 + np.exp(-z))) + (1 - t) * np.log(1 - 1 / (1 + np.exp(-z))))
    right = np.isclose(f.binary_cross_entropy(z, t)[0], by_hand, rtol=1e-12)
    return right and tn.gradient_check_loss(bound(tn.BinaryCrossEntropy(), f), z, t)


def check_cross_entropy(f: SimpleNamespace) -> Any:
    return tn.gradient_check_loss(bound(tn.CrossEntropy(), f), distributions(N, K), distributions(N, K, seed=2))


def check_mean_squared_error(f: SimpleNamespace) -> Any:
    return tn.gradient_check_loss(bound(tn.MeanSquaredError(), f), around_zero(N, K), around_zero(N, K, seed=1))


def check_huber(f: SimpleNamespace) -> Any:
    return tn.gradient_check_loss(bound(tn.Huber(delta=0.7), f), around_zero(N, K), around_zero(N, K, seed=1))


def check_count_correct_binary(f: SimpleNamespace) -> Any:
    """At z = 0 and at t = 1/2 neither is above."""
    z = np.array([[3.0, -1, 0.1, -2, 0.4, 0.4, 0, -1, -1]]).T
    t = np.array([[1.0, 0, 0.1, 0.9, 0.8, 0.8, 0, 0.5, 0.5]]).T
    return f.count_correct_binary(z, t) == 7


def check_count_correct(f: SimpleNamespace) -> Any:
    z = np.array([[3.0, 1, 2], [1, 3, 2], [1, 2, 3], [3, 2, 1]])
    t = np.array([[1.0, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]])
    return f.count_correct(z, t) == 3


def check_gather(f: SimpleNamespace) -> Any:
    index = np.array([2, 0, 2])
    pixels, floats = np.array([[0, 255], [51, 102], [153, 204]], np.uint8), np.array([[1.0], [2.0], [3.0]])
    return np.allclose(f.gather(pixels, index, "float64"), [[0.6, 0.8], [0, 1], [0.6, 0.8]], atol=1e-12) and (
        np.array_equal(f.gather(floats, index, "float64"), [[3.0], [1.0], [3.0]])
    )


def check_patches(f: SimpleNamespace) -> Any:
    x, padded = around_zero(2, 2, 5, 6), np.zeros((2, 3, 3))
    padded[:, 1:, 1:] = x[1, :, :2, :2]
    right = np.array_equal(f.patches(x, 3, 2, 0)[1, :, 3], x[1, :, 2:5, 2:5].ravel())
    right = right and np.array_equal(f.patches(x, 3, 2, 1)[1, :, 0], padded.ravel())
    return right and all(
        _patches_have_their_gradient(f, *how) for how in ((3, 2, 0), (2, 1, 1), (3, 2, 1), (1, 3, 0), (5, 1, 0))
    )


def _patches_have_their_gradient(f: SimpleNamespace, *how: int) -> Any:
    return tn.gradient_check_function(
        lambda x: f.patches(x, *how), lambda dy, x: f.patches_backward(dy, x.shape, *how), around_zero(2, 2, 5, 6)
    )


def check_conv2d(f: SimpleNamespace) -> Any:
    return all(
        _conv2d_is_right(f, *case) for case in ((5, 6, 3, 1, 1), (7, 6, 3, 2, 0), (1, 1, 1, 1, 0), (4, 5, 2, 3, 2))
    )


def _conv2d_is_right(f: SimpleNamespace, rows: int, columns: int, size: int, stride: int, padding: int) -> Any:
    def backward(dy: np.ndarray, x: np.ndarray, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
        dW, db = np.full_like(W, np.nan), np.full_like(b, np.nan)
        f.conv2d_backward_parameters(dy, x, dW, db, stride, padding)
        return f.conv2d_backward(dy, W, x.shape, stride, padding), dW, db

    x, W, b = around_zero(N, 2, rows, columns), around_zero(3, 2, size, size, seed=1), around_zero(3, 1, 1, seed=2)
    same = np.allclose(f.conv2d(x, W, b, stride, padding), conv2d_by_hand(x, W, b, stride, padding), rtol=1e-12)
    return same and tn.gradient_check_function(lambda x, W, b: f.conv2d(x, W, b, stride, padding), backward, x, W, b)


def conv2d_by_hand(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """The sum of the formula, one output after another."""
    size = W.shape[-1]
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    down, across = (range(0, length - size + 1, stride) for length in x.shape[-2:])
    y = [[np.einsum("ncpq,mcpq->nm", x[:, :, i : i + size, j : j + size], W) for j in across] for i in down]
    return np.moveaxis(np.array(y), (0, 1), (2, 3)) + b


def check_max_pool2d(f: SimpleNamespace) -> Any:
    x, equal = around_zero(N, 2, 5, 7), np.zeros((1, 1, 4, 4))
    first = np.zeros((1, 1, 4, 4))
    first[..., ::2, ::2] = 3
    by_hand = np.max([x[:, :, i:4:2, j:6:2] for i in (0, 1) for j in (0, 1)], axis=0)
    to_the_first = np.array_equal(f.max_pool2d_backward(np.full((1, 1, 2, 2), 3.0), equal, 2), first)
    return (
        to_the_first
        and np.array_equal(f.max_pool2d(x, 2), by_hand)
        and tn.gradient_check_function(lambda x: f.max_pool2d(x, 2), lambda dy, x: f.max_pool2d_backward(dy, x, 2), x)
    )


def check_average_pool2d(f: SimpleNamespace) -> Any:
    x = around_zero(N, 2, 7, 6)
    by_hand = np.mean([x[:, :, i:6:3, j:6:3] for i in range(3) for j in range(3)], axis=0)
    return np.allclose(f.average_pool2d(x, 3), by_hand, rtol=1e-13) and tn.gradient_check_function(
        lambda x: f.average_pool2d(x, 3), lambda dy, x: f.average_pool2d_backward(dy, x.shape, 3), x
    )


def check_global_average_pool(f: SimpleNamespace) -> Any:
    x = around_zero(N, 2, 3, 4)
    by_hand = np.array([[channel.mean() for channel in picture] for picture in x])
    return np.allclose(f.global_average_pool(x), by_hand, rtol=1e-13) and tn.gradient_check_function(
        f.global_average_pool, lambda dy, x: f.global_average_pool_backward(dy, x.shape), x
    )


def check_moments(f: SimpleNamespace) -> Any:
    x = around_zero(N, 2, 3, 4)
    mean, variance = f.moments(x, (0, 2, 3))
    by_hand = [(np.mean(x[:, c]), np.var(x[:, c])) for c in range(2)]
    return np.allclose(np.stack([mean, variance])[:, 0, :, 0, 0].T, by_hand, rtol=1e-12)


def check_batch_norm(f: SimpleNamespace) -> Any:
    rows, pictures = ((N, 3), (1, 3), (-2,)), ((N, 2, 3, 2), (1, 2, 1, 1), (-4, -2, -1))
    return all(_batch_norm_is_right(f, *case) for case in (rows, pictures))


def _batch_norm_is_right(
    f: SimpleNamespace, shape: tuple[int, ...], one: tuple[int, ...], axes: tuple[int, ...]
) -> Any:
    """eps is large: its place in the formula shows."""

    def forward(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return f.batch_norm(x, gamma, beta, *functions.moments(x, axes), 0.3)

    def backward(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, ...]:
        dgamma, dbeta, of_batch = np.full_like(gamma, np.nan), np.full_like(beta, np.nan), functions.moments(x, axes)
        f.batch_norm_backward_parameters(dy, x, *of_batch, 0.3, axes, dgamma, dbeta)
        return f.batch_norm_backward(dy, x, gamma, *of_batch, 0.3, dgamma, dbeta), dgamma, dbeta

    x, gamma, beta = around_zero(*shape), around_zero(*one, seed=1), around_zero(*one, seed=2)
    by_hand = gamma * (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + 0.3) + beta
    return np.allclose(forward(x, gamma, beta), by_hand, rtol=1e-12) and tn.gradient_check_function(
        forward, backward, x, gamma, beta
    )


def check_layer_norm(f: SimpleNamespace) -> Any:
    def backward(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, ...]:
        dgamma, dbeta = np.full_like(gamma, np.nan), np.full_like(beta, np.nan)
        f.layer_norm_backward_parameters(dy, x, 0.3, dgamma, dbeta)
        return f.layer_norm_backward(dy, x, gamma, 0.3), dgamma, dbeta

    x, gamma, beta = around_zero(N, D), around_zero(1, D, seed=1), around_zero(1, D, seed=2)
    by_hand = np.stack([(row - row.mean()) / math.sqrt(row.var() + 0.3) for row in x]) * gamma + beta
    same = np.allclose(f.layer_norm(x, gamma, beta, 0.3), by_hand, rtol=1e-12)
    return same and tn.gradient_check_function(lambda *inputs: f.layer_norm(*inputs, 0.3), backward, x, gamma, beta)


def check_adam(f: SimpleNamespace) -> Any:
    theta, m, v = np.array(START), np.zeros(2), np.zeros(2)
    for t, grad in enumerate(GRADS, start=1):
        f.adam(theta, np.array(grad), m, v, t, 0.1, 0.8, 0.9, 0.05)
    return np.allclose(theta, by_hand(adam(0.8, 0.9, 0.05, 0)), rtol=1e-12, atol=0)


def check_sgd(f: SimpleNamespace) -> Any:
    return all(_sgd_is_right(f, mu, nesterov) for mu, nesterov in ((0.0, False), (0.9, False), (0.9, True)))


def _sgd_is_right(f: SimpleNamespace, mu: float, nesterov: bool) -> bool:
    theta, velocity = np.array(START), np.zeros(2)
    for grad in GRADS:
        f.sgd(theta, np.array(grad), velocity, 0.1, mu, nesterov)
    return np.allclose(theta, by_hand(sgd(mu, nesterov, 0)), rtol=1e-12, atol=0)


def check_rmsprop(f: SimpleNamespace) -> Any:
    theta, v = np.array(START), np.zeros(2)
    for grad in GRADS:
        f.rmsprop(theta, np.array(grad), v, 0.1, 0.8, 0.05)
    return np.allclose(theta, by_hand(rmsprop(0.8, 0.05, 0)), rtol=1e-12, atol=0)


def check_clip_norm(f: SimpleNamespace) -> Any:
    short, long = np.array([3.0, -4.0]), np.array([30.0, -40.0])
    f.clip_norm(short, 5.0)
    f.clip_norm(long, 5.0)
    return np.array_equal(short, [3, -4]) and np.allclose(long, [3, -4], rtol=1e-15)


def check_decay(f: SimpleNamespace) -> Any:
    theta = np.array([2.0, -4.0, 0.0])
    f.decay(theta, 0.25)
    return np.array_equal(theta, [1.5, -3.0, 0.0])


CHECKS: dict[str, Callable[[SimpleNamespace], Any]] = {
    name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")
}


def parameters_fault(dW_of: Callable[..., np.ndarray], db_of: Callable[..., np.ndarray]) -> Callable[..., None]:
    def dense_backward_parameters(dy: np.ndarray, x: np.ndarray, dW: np.ndarray, db: np.ndarray) -> None:
        dW[...], db[...] = dW_of(dy, x), db_of(dy)

    return dense_backward_parameters


def adam_fault(
    *, correct1: bool = True, correct2: bool = True, square: bool = True, eps_outside: bool = True, late: int = 0
) -> Callable[..., None]:
    def step(theta: Any, grad: Any, m: Any, v: Any, t: int, lr: float, beta1: float, beta2: float, eps: float) -> None:
        m[...] = beta1 * m + (1 - beta1) * grad
        v[...] = beta2 * v + (1 - beta2) * (grad**2 if square else abs(grad))
        m_hat = m / (1 - beta1 ** (t + late)) if correct1 else m
        v_hat = v / (1 - beta2 ** (t + late)) if correct2 else v
        theta -= lr * m_hat / (np.sqrt(v_hat) + eps if eps_outside else np.sqrt(v_hat + eps))

    return step


def sgd_fault(
    *, keep: float = 1, add: float = 1, ahead: float = 1, lr_in_velocity: bool = False
) -> Callable[..., None]:
    def step(theta: Any, grad: Any, velocity: Any, lr: float, momentum: float, nesterov: bool) -> None:
        velocity[...] = keep * momentum * velocity + add * grad
        theta -= lr * (grad + ahead * momentum * velocity if nesterov else velocity)
        if lr_in_velocity:
            velocity *= lr

    return step


def dropout_fault(scale: Callable[[float], float], keeps_the_dropped: bool = False) -> Callable[..., Any]:
    def dropout(x: np.ndarray, rate: float, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        dropped = functions.dropout(x, rate, key)[1] == 0
        mask = (dropped if keeps_the_dropped else ~dropped) * scale(rate)
        return x * mask, mask

    return dropout


def rmsprop_fault(*, square: bool = True, eps_outside: bool = True, keep: float = 1) -> Callable[..., None]:
    def step(theta: Any, grad: Any, v: Any, lr: float, rho: float, eps: float) -> None:
        v[...] = rho * v + (1 - keep * rho) * (grad**2 if square else abs(grad))
        theta -= lr * grad / (np.sqrt(v) + eps if eps_outside else np.sqrt(v + eps))

    return step


def conv2d_parameters_fault(change: Callable[[np.ndarray, np.ndarray], None]) -> Callable[..., None]:
    def conv2d_backward_parameters(dy: Any, x: Any, dW: np.ndarray, db: np.ndarray, *how: int) -> None:
        functions.conv2d_backward_parameters(dy, x, dW, db, *how)
        change(dW, db)

    return conv2d_backward_parameters


def norm_backward_fault(
    *, mean: float = 1, slope: float = 1, inside: float = 1, gamma: bool = True
) -> Callable[..., Any]:
    """batch_norm's backward, or layer_norm's, without some part of it."""

    def backward(dy: Any, x: Any, g: Any, *rest: Any) -> np.ndarray:
        axes = (-1,) if len(rest) == 1 else (-2,) if x.ndim == 2 else (-4, -2, -1)
        *of_batch, eps = rest[:3] if len(rest) > 1 else (*functions.moments(x, (-1,)), *rest)
        deviation = np.sqrt(of_batch[1] + inside * eps)
        normal, dnormal = (x - of_batch[0]) / deviation, dy * g if gamma else dy
        means = [part.mean(axis=axes, keepdims=True) for part in (dnormal, dnormal * normal)]
        return (dnormal - mean * means[0] - slope * normal * means[1]) / deviation

    return backward


def norm_parameters_fault(change: Callable[[np.ndarray, np.ndarray], None], name: str) -> Callable[..., None]:
    def backward_parameters(*arguments: Any) -> None:
        getattr(functions, name)(*arguments)
        change(*arguments[-2:])

    return backward_parameters


def last_of_equal(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    return functions.max_pool2d_backward(dy[..., ::-1, ::-1], x[..., ::-1, ::-1], size)[..., ::-1, ::-1]


def scaled(factor: float) -> Callable[[np.ndarray, np.ndarray], None]:
    def change(first: np.ndarray, second: np.ndarray) -> None:
        first *= factor

    return change


def second_scaled(factor: float) -> Callable[[np.ndarray, np.ndarray], None]:
    return lambda first, second: scaled(factor)(second, first)


def turned(dW: np.ndarray, db: np.ndarray) -> None:
    dW[...] = dW[..., ::-1, ::-1].copy()


def sum_rows(dy: np.ndarray) -> np.ndarray:
    return dy.sum(axis=-2, keepdims=True)


FAULTS: list[tuple[str, str, Callable[..., Any]]] = [
    ("dense", "without b", lambda x, W, b: x @ W),
    ("dense", "b subtracted", lambda x, W, b: x @ W - b),
    ("dense", "W transposed", lambda x, W, b: x @ W.mT + b),
    ("dense_backward", "W not transposed", lambda dy, W: dy @ W),
    ("dense_backward", "wrong sign", lambda dy, W: -dy @ W.mT),
    ("dense_backward_parameters", "dW transposed", parameters_fault(lambda dy, x: dy.mT @ x, sum_rows)),
    ("dense_backward_parameters", "dW a mean", parameters_fault(lambda dy, x: x.mT @ dy / len(x), sum_rows)),
    ("dense_backward_parameters", "db of one row", parameters_fault(lambda dy, x: x.mT @ dy, lambda dy: dy[:1])),
    ("dense_backward_parameters", "db a mean", parameters_fault(lambda dy, x: x.mT @ dy, lambda dy: dy.mean(0))),
    ("dense_backward_parameters", "nothing written", lambda dy, x, dW, db: None),
    ("relu", "absolute value", lambda x: abs(x)),
    ("relu", "leaky", lambda x: np.where(x > 0, x, 0.01 * x)),
    ("relu_backward", "identity", lambda dy, y: dy),
    ("relu_backward", "other side", lambda dy, y: dy * (y <= 0)),
    ("relu_backward", "y itself", lambda dy, y: dy * y),
    ("leaky_relu", "relu", lambda x, slope: np.maximum(x, 0)),
    ("leaky_relu", "slope on the other side", lambda x, slope: np.minimum(x, slope * x)),
    ("leaky_relu_backward", "zero below zero", lambda dy, y, slope: dy * (y > 0)),
    ("leaky_relu_backward", "identity", lambda dy, y, slope: dy),
    ("tanh", "of half", lambda x: np.tanh(x / 2)),
    ("tanh_backward", "y not squared", lambda dy, y: dy * (1 - y)),
    ("tanh_backward", "of the sigmoid", lambda dy, y: dy * y * (1 - y)),
    ("sigmoid", "tanh", lambda x: np.tanh(x)),
    ("sigmoid", "of minus x", lambda x: 1 / (1 + np.exp(x))),
    ("sigmoid_backward", "without y", lambda dy, y: dy * (1 - y)),
    ("sigmoid_backward", "of tanh", lambda dy, y: dy * (1 - y * y)),
    ("gelu", "with the sigmoid", lambda x: x / (1 + np.exp(-1.702 * x))),
    ("gelu", "with tanh", lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    ("gelu_backward", "without the density", lambda dy, x: dy * functions.gelu(x) / x),
    ("gelu_backward", "density not times x", lambda dy, x: dy * (functions.gelu(x) / x + np.exp(-x * x / 2) / 2.5066)),
    ("softmax", "not normalized", lambda x: np.exp(x)),
    ("softmax", "over the batch", lambda x: np.exp(x) / np.exp(x).sum(axis=-2, keepdims=True)),
    ("softmax_backward", "diagonal alone", lambda dy, y: dy * y * (1 - y)),
    ("softmax_backward", "without the second term", lambda dy, y: dy * y),
    ("softmax_backward", "the shortcut of the loss", lambda dy, y: dy),
    ("softmax_backward", "sum over the batch", lambda dy, y: y * (dy - (dy * y).sum(axis=-2, keepdims=True))),
    ("dropout", "unscaled", dropout_fault(lambda rate: 1)),
    ("dropout", "scaled by the rate", dropout_fault(lambda rate: 1 / rate)),
    ("dropout", "keeps what it should drop", dropout_fault(lambda rate: 1 / (1 - rate), keeps_the_dropped=True)),
    ("dropout_backward", "mask ignored", lambda dy, mask: dy),
    ("dropout_backward", "unscaled", lambda dy, mask: dy * (mask > 0)),
    ("softmax_cross_entropy", "a sum", lambda z, t: (len(z) * functions.softmax_cross_entropy(z, t)[0], softmax(z))),
    ("softmax_cross_entropy", "z for p", lambda z, t: (functions.softmax_cross_entropy(z, t)[0], z)),
    ("softmax_cross_entropy_backward", "a sum", lambda p, t: p - t),
    ("softmax_cross_entropy_backward", "wrong sign", lambda p, t: (t - p) / len(p)),
    ("softmax_cross_entropy_backward", "without t", lambda p, t: p / len(p)),
    ("softmax_cross_entropy_backward", "mean over K as well", lambda p, t: (p - t) / p.size),
    ("smooth_labels", "nothing left for the others", lambda t, amount: t * (1 - amount)),
    ("smooth_labels", "amount for each", lambda t, amount: t * (1 - amount) + amount),
    ("smooth_labels", "unsmoothed", lambda t, amount: t),
    ("binary_cross_entropy", "a sum", lambda z, t: (N * functions.binary_cross_entropy(z, t)[0], functions.sigmoid(z))),
    ("binary_cross_entropy", "z for p", lambda z, t: (functions.binary_cross_entropy(z, t)[0], z)),
    ("binary_cross_entropy", "classes swapped", lambda z, t: functions.binary_cross_entropy(z, 1 - t)),
    ("binary_cross_entropy_backward", "a sum", lambda p, t: p - t),
    ("binary_cross_entropy_backward", "wrong sign", lambda p, t: (t - p) / len(p)),
    ("cross_entropy", "wrong sign", lambda p, t: (t * np.log(p)).sum() / len(p)),
    ("cross_entropy", "a sum", lambda p, t: -(t * np.log(p)).sum()),
    ("cross_entropy", "log of t", lambda p, t: -(p * np.log(t)).sum() / len(p)),
    ("cross_entropy_backward", "wrong sign", lambda p, t: t / p / len(p)),
    ("cross_entropy_backward", "a sum", lambda p, t: -t / p),
    ("cross_entropy_backward", "not divided by p", lambda p, t: -t / len(p)),
    ("mean_squared_error", "halved", lambda y, t: ((y - t) ** 2).mean() / 2),
    ("mean_squared_error", "a sum over columns", lambda y, t: ((y - t) ** 2).sum(axis=-1).mean()),
    ("mean_squared_error_backward", "without the 2", lambda y, t: (y - t) / y.size),
    ("mean_squared_error_backward", "wrong sign", lambda y, t: 2 * (t - y) / y.size),
    ("mean_squared_error_backward", "without 1/M", lambda y, t: 2 * (y - t) / len(y)),
    ("huber", "squared everywhere", lambda y, t, delta: ((y - t) ** 2).mean() / 2),
    ("huber", "absolute everywhere", lambda y, t, delta: delta * abs(y - t).mean()),
    ("huber_backward", "not cut off", lambda y, t, delta: (y - t) / y.size),
    ("huber_backward", "wrong sign", lambda y, t, delta: (t - y).clip(-delta, delta) / y.size),
    ("huber_backward", "without 1/M", lambda y, t, delta: (y - t).clip(-delta, delta) / len(y)),
    ("count_correct_binary", "z above a half", lambda z, t: ((z > 0.5) == (t > 0.5)).sum()),
    ("count_correct_binary", "t above zero", lambda z, t: ((z > 0) == (t > 0)).sum()),
    ("count_correct_binary", "z of zero", lambda z, t: ((z >= 0) == (t > 0.5)).sum()),
    ("count_correct_binary", "t of a half", lambda z, t: ((z > 0) == (t >= 0.5)).sum()),
    ("count_correct_binary", "mistakes", lambda z, t: ((z > 0) != (t > 0.5)).sum()),
    ("count_correct", "argmin", lambda z, t: (z.argmin(axis=-1) == t.argmax(axis=-1)).sum(axis=-1)),
    ("count_correct", "over the batch", lambda z, t: (z.argmax(axis=-2) == t.argmax(axis=-2)).sum(axis=-1)),
    ("count_correct", "mistakes", lambda z, t: (z.argmax(axis=-1) != t.argmax(axis=-1)).sum()),
    ("patches", "one further", lambda x, *how: np.roll(functions.patches(x, *how), 1, axis=-1)),
    (
        "patches",
        "padded with ones",
        lambda x, size, stride, padding: functions.patches(
            np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * 2, constant_values=1), size, stride, 0
        ),
    ),
    ("patches", "across before down", lambda x, *how: functions.patches(x.mT, *how)),
    ("patches_backward", "wrong sign", lambda dy, *how: -functions.patches_backward(dy, *how)),
    (
        "patches_backward",
        "the last instead of the sum",
        lambda dy, shape, *how: (
            functions.patches_backward(dy, shape, *how)
            / np.maximum(functions.patches_backward(np.ones_like(dy), shape, *how), 1)
        ),
    ),
    ("patches_backward", "one further", lambda dy, *how: np.roll(functions.patches_backward(dy, *how), 1, axis=-1)),
    ("conv2d", "without b", lambda x, W, b, *how: functions.conv2d(x, W, 0 * b, *how)),
    ("conv2d", "W turned", lambda x, W, b, *how: functions.conv2d(x, W[..., ::-1, ::-1], b, *how)),
    ("conv2d", "channels swapped", lambda x, W, b, *how: functions.conv2d(x, W[:, ::-1], b, *how)),
    ("conv2d_backward", "W turned", lambda dy, W, *how: functions.conv2d_backward(dy, W[..., ::-1, ::-1], *how)),
    ("conv2d_backward", "outputs swapped", lambda dy, W, *how: functions.conv2d_backward(dy, W[::-1], *how)),
    ("conv2d_backward", "wrong sign", lambda dy, W, *how: -functions.conv2d_backward(dy, W, *how)),
    ("conv2d_backward_parameters", "dW a mean", conv2d_parameters_fault(scaled(1 / N))),
    ("conv2d_backward_parameters", "dW turned", conv2d_parameters_fault(turned)),
    ("conv2d_backward_parameters", "db a mean", conv2d_parameters_fault(second_scaled(1 / N))),
    ("conv2d_backward_parameters", "nothing written", lambda dy, x, dW, db, *how: None),
    ("max_pool2d", "a mean", lambda x, size: functions.average_pool2d(x, size)),
    ("max_pool2d", "the smallest", lambda x, size: -functions.max_pool2d(-x, size)),
    ("max_pool2d", "of absolute values", lambda x, size: functions.max_pool2d(abs(x), size)),
    (
        "max_pool2d_backward",
        "to all",
        lambda dy, x, size: functions.average_pool2d_backward(size**2 * dy, x.shape, size),
    ),
    ("max_pool2d_backward", "to the last of equal numbers", last_of_equal),
    ("max_pool2d_backward", "to the smallest", lambda dy, x, size: functions.max_pool2d_backward(dy, -x, size)),
    ("average_pool2d", "a sum", lambda x, size: size**2 * functions.average_pool2d(x, size)),
    ("average_pool2d", "the largest", lambda x, size: functions.max_pool2d(x, size)),
    (
        "average_pool2d_backward",
        "not divided",
        lambda dy, shape, size: size**2 * functions.average_pool2d_backward(dy, shape, size),
    ),
    ("global_average_pool", "a sum", lambda x: x.sum(axis=(-2, -1))),
    ("global_average_pool", "the largest", lambda x: x.max(axis=(-2, -1))),
    ("global_average_pool_backward", "not divided", lambda dy, shape: np.zeros(shape) + dy[..., None, None]),
    (
        "global_average_pool_backward",
        "divided by the rows alone",
        lambda dy, shape: np.zeros(shape) + dy[..., None, None] / shape[-2],
    ),
    (
        "moments",
        "divided by n - 1",
        lambda x, axes: (x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True, ddof=1)),
    ),
    ("moments", "deviation", lambda x, axes: (x.mean(axis=axes, keepdims=True), x.std(axis=axes, keepdims=True))),
    ("moments", "second moment", lambda x, axes: [(x**k).mean(axis=axes, keepdims=True) for k in (1, 2)]),
    (
        "batch_norm",
        "eps outside the root",
        lambda x, gamma, beta, mean, variance, eps: gamma * (x - mean) / (np.sqrt(variance) + eps) + beta,
    ),
    ("batch_norm", "mean left in", lambda x, gamma, beta, mean, *rest: functions.batch_norm(x, gamma, beta, 0, *rest)),
    ("batch_norm", "without beta", lambda x, gamma, beta, *rest: functions.batch_norm(x, gamma, 0, *rest)),
    ("batch_norm", "without gamma", lambda x, gamma, beta, *rest: functions.batch_norm(x, 1, beta, *rest)),
    ("batch_norm_backward", "statistics taken as constants", norm_backward_fault(mean=0, slope=0)),
    ("batch_norm_backward", "the mean as a constant", norm_backward_fault(mean=0)),
    ("batch_norm_backward", "the variance as a constant", norm_backward_fault(slope=0)),
    ("batch_norm_backward", "without eps", norm_backward_fault(inside=0)),
    ("batch_norm_backward", "without gamma", norm_backward_fault(gamma=False)),
    (
        "batch_norm_backward_parameters",
        "dgamma a mean",
        norm_parameters_fault(scaled(1 / N), "batch_norm_backward_parameters"),
    ),
    (
        "batch_norm_backward_parameters",
        "dbeta a mean",
        norm_parameters_fault(second_scaled(1 / N), "batch_norm_backward_parameters"),
    ),
    (
        "layer_norm",
        "over the batch",
        lambda x, gamma, beta, eps: functions.batch_norm(x, gamma, beta, *functions.moments(x, (-2,)), eps),
    ),
    ("layer_norm", "without gamma", lambda x, gamma, beta, eps: functions.layer_norm(x, 1, beta, eps)),
    ("layer_norm_backward", "the mean as a constant", norm_backward_fault(mean=0)),
    ("layer_norm_backward", "the variance as a constant", norm_backward_fault(slope=0)),
    ("layer_norm_backward", "without gamma", norm_backward_fault(gamma=False)),
    (
        "layer_norm_backward_parameters",
        "dgamma a mean",
        norm_parameters_fault(scaled(1 / N), "layer_norm_backward_parameters"),
    ),
    (
        "layer_norm_backward_parameters",
        "dbeta a mean",
        norm_parameters_fault(second_scaled(1 / N), "layer_norm_backward_parameters"),
    ),
    ("gather", "off by one", lambda x, index, dtype: functions.gather(x, index - 1, dtype)),
    ("gather", "in the order of the rows", lambda x, index, dtype: functions.gather(x, np.sort(index), dtype)),
    ("gather", "unscaled", lambda x, index, dtype: x[index].astype(dtype)),
    ("gather", "divided by 256", lambda x, index, dtype: x[index] / (256 if x.dtype == np.uint8 else 1)),
    ("gather", "floats scaled too", lambda x, index, dtype: x[index] / 255),
    ("sgd", "without momentum", sgd_fault(keep=0)),
    ("sgd", "gradient damped", sgd_fault(add=0.1)),
    ("sgd", "wrong sign", lambda theta, grad, v, lr, *rest: functions.sgd(theta, grad, v, -lr, *rest)),
    ("sgd", "nesterov not ahead", sgd_fault(ahead=0)),
    ("sgd", "lr kept in the velocity", sgd_fault(lr_in_velocity=True)),
    ("adam", "first moment not corrected", adam_fault(correct1=False)),
    ("adam", "second moment not corrected", adam_fault(correct2=False)),
    ("adam", "eps inside the root", adam_fault(eps_outside=False)),
    ("adam", "gradient not squared", adam_fault(square=False)),
    ("adam", "t one too large", adam_fault(late=1)),
    ("adam", "wrong sign", lambda theta, grad, *rest: functions.adam(theta, -grad, *rest)),
    ("adam", "betas swapped", lambda *args: functions.adam(*args[:6], args[7], args[6], args[8])),
    ("rmsprop", "gradient not squared", rmsprop_fault(square=False)),
    ("rmsprop", "eps inside the root", rmsprop_fault(eps_outside=False)),
    ("rmsprop", "new gradient undamped", rmsprop_fault(keep=0)),
    ("clip_norm", "longer where it was short", lambda grad, largest: np.multiply(grad, largest / max(abs(grad)), grad)),
    ("clip_norm", "number by number", lambda grad, largest: np.clip(grad, -largest, largest, out=grad)),
    (
        "clip_norm",
        "of absolute values",
        lambda grad, largest: np.multiply(grad, largest / max(abs(grad).sum(), 5), grad),
    ),
    ("decay", "grows", lambda theta, rate: np.multiply(theta, 1 + rate, out=theta)),
    ("decay", "the same for all", lambda theta, rate: np.subtract(theta, rate, out=theta)),
]


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("name", CHECKS)
def test_a_function_passes_its_check(name):
    assert CHECKS[name](SimpleNamespace(**FUNCTIONS))


@pytest.mark.parametrize(("name", "what", "fault"), FAULTS, ids=[f"{name}: {what}" for name, what, _ in FAULTS])
def test_the_same_check_catches_a_planted_fault(name, what, fault):
    check = CHECKS[name.partition("_backward")[0]]
    assert not check(SimpleNamespace(**FUNCTIONS | {name: fault}))


def test_every_function_has_a_planted_fault():
    assert {name for name, _, _ in FAULTS} == set(FUNCTIONS)


# ---------------------------------------------------------------------------------------- values by hand


ACTIVATIONS = {
    "relu": functions.relu,
    "leaky_relu": lambda x: functions.leaky_relu(x, 0.1),
    "tanh": functions.tanh,
    "sigmoid": functions.sigmoid,
    "gelu": functions.gelu,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_does_not_hide_a_nan(name):
    assert np.isnan(ACTIVATIONS[name](np.array([[np.nan]]))).all()


def test_sigmoid_keeps_its_digits_far_below_zero():
    np.testing.assert_allclose(functions.sigmoid(np.array([[-50.0, -700.0]])), [np.exp([-50.0, -700.0])], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("z", [1e3, 1e4])
def test_binary_cross_entropy_is_exact_where_the_sigmoid_underflows(dtype, z):
    logits, t = np.array([[z], [-z], [z], [0]], dtype), np.array([[0], [1], [1], [1]], dtype)
    loss, p = functions.binary_cross_entropy(logits, t)
    assert loss == pytest.approx((2 * z + math.log(2)) / 4, rel=1e-6)
    assert p.tolist() == [[1], [0], [1], [0.5]]
    assert functions.binary_cross_entropy_backward(p, t).tolist() == [[0.25], [-0.25], [0], [-0.125]]


def test_a_gradient_that_is_not_a_number_is_not_clipped_away():
    grad = np.array([1.0, np.nan, 2.0])
    functions.clip_norm(grad, 1.0)
    assert np.isnan(grad).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_is_finite_at_extreme_logits(dtype):
    x = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], dtype)
    y = functions.softmax(x)
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3] * 3, [1 / 2, 1 / 2, 0]], rtol=1e-6)
    assert np.isfinite(functions.softmax_backward(np.ones_like(y), y)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gap", [1e3, 1e4])
def test_softmax_cross_entropy_is_exact_where_softmax_underflows(dtype, gap):
    z, t = np.array([[gap, 0.0], [0.0, -gap]], dtype), np.array([[0, 1], [1, 0]], dtype)
    loss, p = functions.softmax_cross_entropy(z, t)
    assert p.tolist() == [[1, 0], [1, 0]]
    assert loss == gap / 2
    assert functions.softmax_cross_entropy_backward(p, t).tolist() == [[0.5, -0.5], [0, 0]]


def test_cross_entropy_where_target_and_probability_are_zero():
    p, t = np.array([[0.0, 0.25, 0.75]]), np.array([[0.0, 1.0, 0.0]])
    assert functions.cross_entropy(p, t) == pytest.approx(math.log(4), rel=1e-15)
    np.testing.assert_allclose(functions.cross_entropy_backward(p, t), [[0, -4, 0]])


def test_cross_entropy_is_infinite_where_the_truth_has_probability_zero():
    p, t = np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
    with np.errstate(divide="ignore"):
        assert functions.cross_entropy(p, t) == np.inf
        assert functions.cross_entropy_backward(p, t)[0, 0] == -np.inf


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_multiplies_by_zero_or_by_one_over_the_rest(rate):
    x = around_zero(50, 20)
    y, mask = functions.dropout(x, rate, KEY)
    assert set(mask.ravel().tolist()) == {0, 1 / (1 - rate)}
    assert np.array_equal(y, x * mask)


def test_dropout_depends_on_the_key_and_the_position_alone():
    ones = np.ones((50, 20))
    mask = functions.dropout(ones, 0.5, KEY)[1]
    assert np.array_equal(functions.dropout(3 * ones, 0.5, KEY)[1], mask)
    assert np.array_equal(functions.dropout(ones[:7], 0.5, KEY)[1], mask[:7])
    assert np.array_equal(functions.dropout(ones[7:9], 0.5, KEY, first=7 * 20)[1], mask[7:9])
    for other in OTHER_KEYS:
        assert 0.4 < (functions.dropout(ones, 0.5, other)[1] == mask).mean() < 0.6


def test_dropout_takes_what_lies_below_the_rate_and_not_what_equals_it():
    bits = float(random_bits(np, 1, KEY)[0])
    rates = np.array([bits, bits + 1]) / 2**32
    assert [functions.dropout(np.ones((1, 1)), rate, KEY)[1].item() > 0 for rate in rates] == [True, False]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stored", ["uint8", "float32", "float64"])
def test_gather_gives_the_dtype_it_is_asked_for(stored, dtype):
    y = functions.gather(np.zeros((3, 2), stored), np.array([1]), np.dtype(dtype))
    assert y.dtype == dtype
    assert y.shape == (1, 2)


def test_gather_takes_rows_of_any_shape():
    images = np.arange(24, dtype="float64").reshape(3, 2, 4)
    assert np.array_equal(functions.gather(images, np.array([2, 1]), "float64"), images[[2, 1]])


def test_gathered_rows_are_a_copy():
    x = np.ones((3, 2), "float32")
    functions.gather(x, np.arange(3), "float32")[...] = 7
    assert (x == 1).all()


# ------------------------------------------------------------------------------- what every function promises


def dense_gradients(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dW = np.full((*x.shape[:-2], x.shape[-1], dy.shape[-1]), np.nan, x.dtype)
    db = np.full((*x.shape[:-2], 1, dy.shape[-1]), np.nan, x.dtype)
    functions.dense_backward_parameters(dy, x, dW, db)
    return dW, db


def updated(function: Callable[..., None], *settings: Any, count: int) -> Callable[..., tuple[np.ndarray, ...]]:
    """Return a function of theta, grad and state that returns copies after the step, the first `count` changed."""

    def step(theta: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        theta, state = theta.copy(), [array.copy() for array in rest[1:]]
        function(theta, *rest[:1], *state, *settings)
        return (theta, *state)[:count]

    return step


def convolution_gradients(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dW = np.full((*x.shape[:-4], dy.shape[-3], x.shape[-3], 3, 3), np.nan, x.dtype)
    db = np.full((*x.shape[:-4], dy.shape[-3], 1, 1), np.nan, x.dtype)
    functions.conv2d_backward_parameters(dy, x, dW, db, 2, 1)
    return dW, db


def batch_norm_gradients(dy: np.ndarray, x: np.ndarray, mean: np.ndarray, var: np.ndarray) -> tuple[np.ndarray, ...]:
    dgamma, dbeta = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    functions.batch_norm_backward_parameters(dy, x, mean, var, 1e-5, (-4, -2, -1), dgamma, dbeta)
    return dgamma, dbeta


def layer_norm_gradients(dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dgamma, dbeta = (np.full((*x.shape[:-2], 1, x.shape[-1]), np.nan, x.dtype) for _ in range(2))
    functions.layer_norm_backward_parameters(dy, x, 1e-5, dgamma, dbeta)
    return dgamma, dbeta


f, ND, NK, N1 = functions, (N, D), (N, K), (N, 1)
PICTURES, SMALLER, HALVES, CHANNELS = (N, 2, 5, 6), (N, 3, 3, 3), (N, 2, 2, 3), (1, 2, 1, 1)
MAPS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "dense": (f.dense, [ND, (D, M), (1, M)]),
    "dense_backward": (f.dense_backward, [(N, M), (D, M)]),
    "dense_backward_parameters": (dense_gradients, [(N, M), ND]),
    "leaky_relu": (lambda x: f.leaky_relu(x, 0.1), [ND]),
    "leaky_relu_backward": (lambda dy, y: f.leaky_relu_backward(dy, y, 0.1), [ND, ND]),
    **{name: (getattr(f, name), [ND]) for name in ("relu", "tanh", "sigmoid", "gelu", "softmax")},
    **{f"{name}_backward": (getattr(f, f"{name}_backward"), [ND, ND]) for name in ("relu", "tanh", "sigmoid", "gelu")},
    "softmax_backward": (f.softmax_backward, [ND, ND]),
    "dropout": (lambda x: f.dropout(x, 0.25, KEY), [ND]),
    "dropout_backward": (f.dropout_backward, [ND, ND]),
    "softmax_cross_entropy": (f.softmax_cross_entropy, [NK, NK]),
    "softmax_cross_entropy_backward": (f.softmax_cross_entropy_backward, [NK, NK]),
    "smooth_labels": (lambda t: f.smooth_labels(t, 0.1), [NK]),
    "binary_cross_entropy": (f.binary_cross_entropy, [N1, N1]),
    "binary_cross_entropy_backward": (f.binary_cross_entropy_backward, [N1, N1]),
    "cross_entropy": (f.cross_entropy, [NK, NK]),
    "cross_entropy_backward": (f.cross_entropy_backward, [NK, NK]),
    "mean_squared_error": (f.mean_squared_error, [NK, NK]),
    "mean_squared_error_backward": (f.mean_squared_error_backward, [NK, NK]),
    "huber": (lambda y, t: f.huber(y, t, 0.2), [NK, NK]),
    "huber_backward": (lambda y, t: f.huber_backward(y, t, 0.2), [NK, NK]),
    "count_correct": (f.count_correct, [NK, NK]),
    "count_correct_binary": (f.count_correct_binary, [N1, N1]),
    "patches": (lambda x: f.patches(x, 3, 2, 1), [PICTURES]),
    "patches_backward": (lambda dy: f.patches_backward(dy, (*dy.shape[:-2], 2, 5, 6), 3, 2, 1), [(N, 18, 9)]),
    "conv2d": (lambda x, W, b: f.conv2d(x, W, b, 2, 1), [PICTURES, (3, 2, 3, 3), (3, 1, 1)]),
    "conv2d_backward": (
        lambda dy, W: f.conv2d_backward(dy, W, (*dy.shape[:-3], 2, 5, 6), 2, 1),
        [SMALLER, (3, 2, 3, 3)],
    ),
    "conv2d_backward_parameters": (convolution_gradients, [SMALLER, PICTURES]),
    "max_pool2d": (lambda x: f.max_pool2d(x, 2), [PICTURES]),
    "max_pool2d_backward": (lambda dy, x: f.max_pool2d_backward(dy, x, 2), [HALVES, PICTURES]),
    "average_pool2d": (lambda x: f.average_pool2d(x, 2), [PICTURES]),
    "average_pool2d_backward": (lambda dy: f.average_pool2d_backward(dy, (*dy.shape[:-2], 5, 6), 2), [HALVES]),
    "global_average_pool": (f.global_average_pool, [PICTURES]),
    "global_average_pool_backward": (lambda dy: f.global_average_pool_backward(dy, (*dy.shape, 5, 6)), [(N, 2)]),
    "moments": (lambda x: f.moments(x, (-4, -2, -1)), [PICTURES]),
    "batch_norm": (lambda *inputs: f.batch_norm(*inputs, 1e-5), [PICTURES, *[CHANNELS] * 4]),
    "batch_norm_backward": (
        lambda *inputs: f.batch_norm_backward(*inputs[:-2], 1e-5, *inputs[-2:]),
        [PICTURES, PICTURES, *[CHANNELS] * 5],
    ),
    "batch_norm_backward_parameters": (batch_norm_gradients, [PICTURES, PICTURES, *[CHANNELS] * 2]),
    "layer_norm": (lambda *inputs: f.layer_norm(*inputs, 1e-5), [ND, (1, D), (1, D)]),
    "layer_norm_backward": (lambda *inputs: f.layer_norm_backward(*inputs, 1e-5), [ND, ND, (1, D)]),
    "layer_norm_backward_parameters": (layer_norm_gradients, [ND, ND]),
    "gather": (lambda x: f.gather(x, np.array([2, 0]), x.dtype), [ND]),
    "sgd": (updated(f.sgd, 0.1, 0.9, True, count=2), [NK] * 3),
    "adam": (updated(f.adam, 3, 0.1, 0.9, 0.999, 1e-8, count=3), [NK] * 4),
    "rmsprop": (updated(f.rmsprop, 0.1, 0.9, 1e-8, count=2), [NK] * 3),
    "decay": (updated(f.decay, 0.1, count=1), [NK]),
    "clip_norm": (updated(f.clip_norm, 0.1, count=1), [NK]),
}
"""Every function, with the shapes that it takes; those with more than arrays to take, or that write, are wrapped."""

over_maps = pytest.mark.parametrize("name", MAPS)


def arguments(name: str, dtype: str = "float64", lead: tuple[int, ...] = ()) -> list[np.ndarray]:
    draw = np.random.default_rng(7)
    return [draw.uniform(0.1, 1, (*lead, *shape)).astype(dtype) for shape in MAPS[name][1]]


def results(name: str, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    y = MAPS[name][0](*inputs)
    return y if isinstance(y, tuple) else (y,)


def test_the_table_of_maps_has_every_function():
    assert MAPS.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@over_maps
def test_returns_the_dtype_it_was_given(name, dtype):
    if not name.startswith("count_correct"):
        assert {y.dtype.name for y in results(name, arguments(name, dtype))} == {dtype}


@over_maps
def test_never_writes_into_what_it_was_given(name):
    inputs = arguments(name)
    for array in inputs:
        array.setflags(write=False)
    results(name, inputs)


@pytest.mark.parametrize("name", sorted(MAPS.keys() - {"dropout", "gather"}))
def test_a_stack_gives_what_its_members_give(name):
    stack = arguments(name, lead=(3,))
    together = results(name, stack)
    for s in range(3):
        for y, single in zip(together, results(name, [array[s] for array in stack]), strict=True):
            np.testing.assert_allclose(y[s], single, rtol=1e-13, strict=True)


@pytest.mark.parametrize(
    "rearranged",
    [lambda array: array.mT.copy().mT, lambda array: np.repeat(array, 2, axis=-1)[..., ::2], lambda array: array[::-1]],
    ids=["transposed in memory", "every second column", "backwards"],
)
@over_maps
def test_memory_order_does_not_matter(name, rearranged):
    views = [rearranged(array) for array in arguments(name)]
    expected = results(name, [np.ascontiguousarray(view) for view in views])
    for y, same in zip(results(name, views), expected, strict=True):
        np.testing.assert_allclose(y, same, rtol=1e-13, atol=1e-15)


# ------------------------------------------------------------------------------------------------ properties

few = settings(derandomize=True, max_examples=25, deadline=None)
width = st.integers(1, 6)
logits = st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1, max_size=5)


@few
@given(width, width, width)
def test_dense_and_its_gradients_are_the_sums_of_the_formula(N, D, M):
    x, W, b, dy = around_zero(N, D), around_zero(D, M), around_zero(1, M), around_zero(N, M, seed=1)
    y, dx, (dW, db) = functions.dense(x, W, b), functions.dense_backward(dy, W), dense_gradients(dy, x)
    np.testing.assert_allclose(y, np.einsum("nd,dm->nm", x, W) + b, atol=1e-14, strict=True)
    np.testing.assert_allclose(dx, np.einsum("nm,dm->nd", dy, W), atol=1e-14, strict=True)
    np.testing.assert_allclose(dW, np.einsum("nd,nm->dm", x, dy), atol=1e-14, strict=True)
    np.testing.assert_allclose(db, np.einsum("nm->m", dy)[None], atol=1e-14, strict=True)


@few
@given(logits, st.integers(-1000, 1000))
def test_a_shift_of_all_logits_changes_nothing(rows, shift):
    z = np.round(np.array(rows))
    t = distributions(*z.shape)
    assert np.array_equal(functions.softmax(z + shift), functions.softmax(z))
    assert functions.softmax_cross_entropy(z + shift, t)[0] == functions.softmax_cross_entropy(z, t)[0]


def test_the_slope_at_the_kink_of_relu_is_the_one_on_the_left():
    zero = np.zeros(1)
    assert functions.relu_backward(np.ones(1), zero) == 0
    assert functions.leaky_relu_backward(np.ones(1), zero, 0.1) == 0.1
