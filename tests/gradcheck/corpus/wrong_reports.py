"""Wrong gradients that public bug reports describe. Each case is our own small function with the reported fault."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinynet as tn
from tinynet import functions

from . import Case
from .own_pairs import EPS, KEY, PAIRS, away_from_zero, distinct, log_softmax, normal, probabilities
from .wrong_layers import mutated_layer
from .wrong_terms import Inputs, deviation, hat, mean, norm, own, positive

Report = tuple[str, str, Callable[..., Any], Callable[..., Any], Inputs, str]


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -x)


def log_sigmoid_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * (1 - functions.sigmoid(x)) * (x != 0)


def elu(x: np.ndarray) -> np.ndarray:
    """Return the exponential linear unit with alpha = -2."""
    return np.where(x > 0, x, -2 * np.expm1(np.minimum(x, 0)))


def elu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    y = elu(x)
    return dy * np.where(y > 0, 1, y - 2)


def leaky(x: np.ndarray) -> np.ndarray:
    """Return leaky ReLU with the slope -2."""
    return np.where(x > 0, x, -2 * x)


def overlapping(x: np.ndarray) -> np.ndarray:
    """Return the patches of three neighbors in every row, one number apart."""
    return np.lib.stride_tricks.sliding_window_view(x, 3, axis=-1)


def overlapping_pool(x: np.ndarray) -> np.ndarray:
    return overlapping(x).max(axis=-1)


def overlapping_pool_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Write dy at the largest number of each patch, where it should be added."""
    dx = np.zeros_like(x)
    positions = np.arange(dy.shape[1]) + overlapping(x).argmax(axis=-1)
    np.put_along_axis(dx, positions, dy, axis=1)
    return dx


def max_pool_ties(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy.repeat(2, axis=-2).repeat(2, axis=-1)


def first_patch_only(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    first = np.zeros_like(dy)
    first[..., 0, 0] = dy[..., 0, 0]
    return functions.max_pool2d_backward(first, x, 2)


def correlation(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.correlate(x, w, "valid")


def at_the_output_index(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add to dx_m instead of dx_(m + p) for y_m = sum_p w_p x_(m + p)."""
    dx = np.zeros_like(x)
    dx[: len(dy)] = dy * w.sum()
    return dx, np.correlate(x, dy, "valid")


def kaldi_dropout(x: np.ndarray) -> np.ndarray:
    return x * np.array([0, 2, 0, 2, 0, 2])


def kaldi_dropout_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Take the mask from y / x, and dy where x is 0."""
    return dy * np.where(x == 0, 1, kaldi_dropout(x) / np.where(x == 0, 1, x))


def clamp(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -1, 1)


def layer_norm_mean_twice(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> tuple[Any, ...]:
    dx, dgamma, dbeta = PAIRS["layer_norm"].backward(dy, x, gamma, beta)
    return dx - mean(gamma * dy) / deviation(x), dgamma, dbeta


def hat_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (dy - mean(dy) - hat(x) * mean(dy * hat(x))) / deviation(x)


def hat_backward_in_two_axes(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return hat_backward(dy.reshape(len(x), -1), x.reshape(len(x), -1)).reshape(x.shape)


def gamma_of_another_column(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> tuple[Any, ...]:
    """Recover x_hat from y with the gamma and beta of the next column."""
    dx, _, dbeta = PAIRS["layer_norm"].backward(dy, x, gamma, beta)
    y = PAIRS["layer_norm"].forward(x, gamma, beta)
    x_hat = (y - np.roll(beta, 1)) / np.roll(gamma, 1)
    return dx, (dy * x_hat).sum(axis=0, keepdims=True), dbeta


def batch_norm_without_gamma(dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> tuple[Any, ...]:
    dx, dgamma, dbeta = PAIRS["batch_norm"].backward(dy, x, gamma, beta)
    return dx / gamma, dgamma, dbeta


def running_norm(x: np.ndarray) -> np.ndarray:
    """Return batch normalization with running statistics, mean 0.5 and variance 2."""
    return (x - 0.5) / np.sqrt(2 + EPS)


def log_density(x: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Return the logarithm of the normal density with covariance C, without its constant."""
    return -(x * np.linalg.solve(C, x.T).T).sum(axis=1) / 2 - np.linalg.slogdet(C)[1] / 2


def log_density_backward(dy: np.ndarray, x: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inverse = np.linalg.inv(C)
    solved = x @ inverse
    return -dy[:, None] * solved, -(solved.T @ (dy[:, None] * solved) - dy.sum() * inverse) / 2


def covariance() -> tuple[np.ndarray, ...]:
    x, A = normal(40, (4, 3), (3, 3))
    return x, A @ A.T + np.eye(3)


def cumprod(x: np.ndarray) -> np.ndarray:
    return x.cumprod(axis=-1)


def cumprod_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return (dy * cumprod(x))[..., ::-1].cumsum(axis=-1)[..., ::-1] / x


def product(x: np.ndarray) -> np.ndarray:
    return x.prod(axis=-1)


def product_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (dy * product(x))[..., None] / x


def with_zeros() -> tuple[np.ndarray, ...]:
    return (np.array([[2.0, 0.0, 3.0, 4.0], [0.5, 1.5, -2.0, 0.0]]),)


def summed_cross_entropy(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    return -(t * log_softmax(z)).sum()


def cached_gradients() -> tuple[Any, ...]:
    """Return sin(x)^2 with a backward that keeps the gradient of the inner node and adds to it in every call."""
    calls = itertools.count(1)
    return (
        lambda x: np.sin(x) ** 2,
        lambda dy, x: next(calls) * 2 * dy * np.sin(x) * np.cos(x),
        normal(41, (3, 4)),
    )


def row_huber(r: np.ndarray) -> np.ndarray:
    """Return Huber's loss of every row, with delta 1."""
    near = np.minimum(abs(r), 1)
    return (near * (abs(r) - near / 2)).sum(axis=1)


def unit_with_eps(x: np.ndarray) -> np.ndarray:
    return x / (norm(x) + 0.5)


def unit_with_eps_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Use the formula without eps, with the norm plus eps as norm."""
    y = unit_with_eps(x)
    return (dy - y * (dy * y).sum(axis=-1, keepdims=True)) / (norm(x) + 0.5)


def clamped_unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(norm(x), 0.5)


def clamped_unit_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Differentiate 1 / norm(x) also at zero, where the product with 0 is NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        y = x / norm(x)
        return (dy - y * (dy * y).sum(axis=-1, keepdims=True)) / norm(x)


def gather(x: np.ndarray) -> np.ndarray:
    return x[[0, 0, 2, 3, 2]]


def gather_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    dx = np.zeros_like(x)
    dx[[0, 0, 2, 3, 2]] = dy
    return dx


def gather_numbers(x: np.ndarray) -> np.ndarray:
    return x[[1, 1, 0], [1, 1, 0]]


def gather_numbers_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    dx = np.zeros_like(x)
    dx[[1, 1, 0], [1, 1, 0]] = dy
    return dx


def pool_with_rest(x: np.ndarray) -> np.ndarray:
    """Return the means of pairs of columns, and the last of five columns."""
    return np.column_stack([(x[:, 0] + x[:, 1]) / 2, (x[:, 2] + x[:, 3]) / 2, x[:, 4]])


def ldexp_backward(dy: np.ndarray, x: np.ndarray, exponent: np.ndarray) -> tuple[np.ndarray, None]:
    """Use the power of 2 in whole numbers, which is 0 for negative exponents."""
    return dy * np.where(exponent < 0, 0, 2.0**exponent), None


def exponents() -> tuple[np.ndarray, ...]:
    return normal(42, (5,))[0], np.array([-1, 2, -3, 0, 1])


def both_directions(x: np.ndarray) -> np.ndarray:
    return np.tanh(x) + np.sin(x)


def dy_overwritten(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Use dx of the first direction as dy of the second."""
    dx = dy * (1 - np.tanh(x) ** 2)
    return dx + dx * np.cos(x)


def recurrent(x: np.ndarray) -> np.ndarray:
    """Return h_t = tanh(x_t + h_(t - 1) / 2) for each row t of x."""
    return np.array(list(itertools.accumulate(x, lambda h, row: np.tanh(row + h / 2), initial=np.zeros(x.shape[1]))))[
        1:
    ]


def conv_backward_of_mean(dy: np.ndarray, x: np.ndarray, W: np.ndarray, b: np.ndarray) -> tuple[Any, ...]:
    """Divide dW by the number of pictures and positions."""
    dx, dW, db = PAIRS["conv2d"].backward(dy, x, W, b)
    return dx, dW / (dy.size / dy.shape[1]), db


def log_sum_exp(x: np.ndarray) -> np.ndarray:
    return np.log(np.exp(x).sum(axis=1))


def at_zero() -> tuple[np.ndarray, ...]:
    return (np.array([[0.0, 1.2, -0.7], [0.4, 0.0, 2.0]]),)


def rest(seed: int) -> Inputs:
    return partial(normal, seed, (4, 5))


def apart(seed: int) -> Inputs:
    return lambda: (away_from_zero(seed, 4, 5),)


def reported(source: str, name: str, pair: str, backward: Callable[..., Any], cause: str = "") -> Report:
    """Return a report about a pair of `tinynet.functions`."""
    return source, *own(name, pair, backward, cause)


REPORTS: list[Report] = [
    (
        "mlpack/mlpack#2360",
        "log softmax that adds p to dy",
        log_softmax,
        lambda dy, x: dy + functions.softmax(x),
        rest(1),
        "",
    ),
    ("jax-ml/jax#2140", "log sigmoid with the slope 0 at 0", log_sigmoid, log_sigmoid_backward, at_zero, ""),
    (
        "KhawajaAbaid/micrograd_c#1",
        "a - b with dy for b",
        np.subtract,
        lambda dy, a, b: (dy, dy),
        partial(normal, 2, (4, 5), (4, 5)),
        "the sign is wrong",
    ),
    reported("denizyuret/Knet.jl#288", "batch norm, dx without gamma", "batch_norm", batch_norm_without_gamma),
    (
        "NervanaSystems/neon#111",
        "convolution, dx at the index of the output",
        correlation,
        at_the_output_index,
        partial(normal, 3, (9,), (3,)),
        "",
    ),
    (
        "FluxML/NNlib.jl#205",
        "max pool of overlapping patches, dx overwritten",
        overlapping_pool,
        overlapping_pool_backward,
        lambda: (distinct(4, 3, 8),),
        "",
    ),
    (
        "Theano/Theano#5248",
        "max pool of equal numbers, all for each",
        lambda x: functions.max_pool2d(x, 2),
        max_pool_ties,
        lambda: (np.zeros((1, 1, 4, 4)),),
        "kink",
    ),
    (
        "Theano/Theano#4568",
        "max of equal numbers, all for each",
        lambda x: x.max(axis=-1),
        lambda dy, x: dy[..., None] + 0 * x,
        lambda: (np.ones((2, 4)),),
        "kink",
    ),
    (
        "mni-ml/framework#22",
        "max with a mask of a tolerance",
        lambda x: x.max(axis=1),
        lambda dy, x: dy[:, None] * (x > x.max(axis=1, keepdims=True) - 1e-2),
        lambda: (np.array([[1.0, 0.995, 0.2], [-1.0, 3.0, 2.993]]),),
        "",
    ),
    (
        "k2-fsa/k2#341",
        "log of the sum of exp, dy not used",
        log_sum_exp,
        lambda dy, x: functions.softmax(x),
        rest(5),
        "",
    ),
    reported(
        "bighuang624/Andrew-Ng-Deep-Learning-notes#10",
        "dense, dW twice and db four times",
        "dense",
        lambda dy, *a: tuple(k * g for k, g in zip((1, 2, 4), PAIRS["dense"].backward(dy, *a), strict=True)),
        "2 times too large",
    ),
    reported(
        "riccardoandreoni0/CNN-from-scratch#1",
        "max pool, backward returns after the first patch",
        "max_pool2d",
        first_patch_only,
    ),
    (
        "pytorch/pytorch#31938",
        "leaky relu of slope -2 with the mask of y",
        leaky,
        lambda dy, x: dy * np.where(leaky(x) > 0, 1, -2),
        apart(6),
        "",
    ),
    ("pytorch/pytorch#47671", "elu of alpha -2 with the mask of y", elu, elu_backward, apart(7), ""),
    (
        "ddbourgin/numpy-ml#94",
        "dropout scaled, but not masked",
        lambda x: functions.dropout(x, 0.25, KEY)[0],
        lambda dy, x: dy / 0.75,
        rest(8),
        "mask is not applied",
    ),
    (
        "kaldi-asr/kaldi#3890",
        "dropout with the mask of y / x",
        kaldi_dropout,
        kaldi_dropout_backward,
        lambda: (np.array([[0.0, 1.0, -2.0, 0.5, 0.0, -1.0]]),),
        "",
    ),
    (
        "tenstorrent/tt-metal#48201",
        "clamp with both comparisons inverted",
        clamp,
        lambda dy, x: dy * ((x <= -1) & (x >= 1)),
        apart(9),
        "backward gives zero",
    ),
    reported(
        "tenstorrent/tt-metal#53204", "layer norm, the mean subtracted twice", "layer_norm", layer_norm_mean_twice
    ),
    (
        "flagos-ai/FlagGems#5392",
        "layer norm of three axes as if of two",
        hat,
        hat_backward_in_two_axes,
        partial(normal, 10, (2, 3, 4)),
        "",
    ),
    reported(
        "deepspeedai/DeepSpeed#692",
        "layer norm, dgamma with gamma of another column",
        "layer_norm",
        gamma_of_another_column,
    ),
    (
        "pytorch/xla#913",
        "batch norm of running statistics, backward of batch statistics",
        running_norm,
        lambda dy, x: hat_backward(dy.T, x.T).T,
        rest(11),
        "",
    ),
    (
        "HIPS/autograd#412",
        "normal density, the sign of dC",
        log_density,
        log_density_backward,
        covariance,
        "the sign is wrong",
    ),
    (
        "deeplearning4j/deeplearning4j#5978",
        "a b with a row b, dy not used",
        np.multiply,
        lambda dy, a, b: (b + 0 * a, a.sum(axis=0, keepdims=True)),
        partial(normal, 12, (4, 5), (1, 5)),
        "",
    ),
    ("NervanaSystems/neon#169", "x x^T with one of two terms", lambda x: x @ x.T, lambda dy, x: dy @ x, rest(13), ""),
    (
        "tensorflow/tensorflow#119430",
        "cumulative product, 0 where x is 0",
        cumprod,
        lambda dy, x: np.nan_to_num(cumprod_backward(dy, x), posinf=0, neginf=0),
        with_zeros,
        "",
    ),
    ("tracel-ai/burn#3864", "cumulative product, NaN where x is 0", cumprod, cumprod_backward, with_zeros, ""),
    ("tinygrad/tinygrad#17404", "product, NaN where x is 0", product, product_backward, with_zeros, ""),
    (
        "davidrmiller/neural2d#40",
        "tanh with the derivative at y",
        np.tanh,
        lambda dy, x: dy * (1 - np.tanh(np.tanh(x)) ** 2),
        rest(14),
        "",
    ),
    (
        "scutan90/DeepLearning-500-questions#544",
        "tanh with -y^2",
        np.tanh,
        lambda dy, x: -dy * np.tanh(x) ** 2,
        rest(15),
        "",
    ),
    (
        "paiml/aprender#2182",
        "sum of cross-entropies divided by N in backward",
        summed_cross_entropy,
        lambda dy, z, t: (dy * (functions.softmax(z) - t) / len(z), None),
        lambda: (*normal(16, (5, 3)), probabilities(16, 5, 3)),
        "times too",
    ),
    (
        "karpathy/micrograd#2",
        "a node used twice passes on its gradient twice",
        lambda x: x**2 + x**2,
        lambda dy, x: 8 * dy * x,
        rest(17),
        "2 times too large",
    ),
    (
        "Bot-Academy/NeuralNetworkFromScratch#3",
        "sigmoid(x W) without sigmoid'",
        lambda x, W: functions.sigmoid(x @ W),
        lambda dy, x, W: (dy @ W.T, x.T @ dy),
        partial(normal, 18, (4, 3), (3, 5)),
        "",
    ),
    (
        "chainer/chainer#5898",
        "leaky relu of slope 0 without the mask",
        lambda x: np.maximum(x, 0),
        lambda dy, x: dy + 0 * x,
        apart(19),
        "mask is not applied",
    ),
    ("chainer/chainer#1175", "huber of rows, dy not used", row_huber, lambda dy, r: np.clip(r, -1, 1), rest(20), ""),
    (
        "chainer/chainer#4190",
        "x / (norm + eps) with the formula without eps",
        unit_with_eps,
        unit_with_eps_backward,
        rest(21),
        "",
    ),
    (
        "keras-team/keras#23075",
        "x / max(norm, eps), NaN at 0",
        clamped_unit,
        clamped_unit_backward,
        lambda: (np.array([[0.0, 0, 0], [1, -2, 0.5]]),),
        "",
    ),
    ("pytorch/pytorch#1631", "rows taken twice, dx overwritten", gather, gather_backward, rest(22), ""),
    (
        "apache/mxnet#9172",
        "numbers taken twice, dx overwritten",
        gather_numbers,
        gather_numbers_backward,
        partial(normal, 23, (2, 2)),
        "",
    ),
    (
        "tracel-ai/burn#5604",
        "average pool, the rest divided by the whole patch",
        pool_with_rest,
        lambda dy, x: dy.repeat(2, axis=1)[:, :5] / 2,
        rest(24),
        "",
    ),
    (
        "pytorch/pytorch#187460",
        "x 2^e with whole powers of 2",
        lambda x, exponent: x * 2.0**exponent,
        ldexp_backward,
        exponents,
        "",
    ),
    (
        "tenstorrent/tt-metal#52144",
        "3^x with the derivative of x^3",
        lambda x: 3**x,
        lambda dy, x: 3 * dy * x**2,
        rest(25),
        "",
    ),
    (
        "tenstorrent/tt-metal#54440",
        "x^3 with infinity for negative x",
        lambda x: x**3,
        lambda dy, x: np.where(x > 0, 3 * dy * x * x, np.inf),
        rest(26),
        "",
    ),
    reported(
        "sebgao/cTensor#3",
        "conv2d, dW divided by the number of positions",
        "conv2d",
        conv_backward_of_mean,
        "times too",
    ),
    (
        "apache/mxnet#18203",
        "sum of two directions, dy overwritten by the first",
        both_directions,
        dy_overwritten,
        rest(27),
        "",
    ),
    (
        "ahrefs/ocannl#73",
        "x^2.5 with the gradient of relu",
        lambda x: x**2.5,
        lambda dy, x: dy * (x > 0),
        positive(28, (4, 5)),
        "",
    ),
    (
        "qixianbiao/RNN#2",
        "recurrence without the gradient of the hidden state",
        recurrent,
        lambda dy, x: dy * (1 - recurrent(x) ** 2),
        rest(29),
        "",
    ),
]


def _case(source: str, name: str, forward: Any, backward: Any, inputs: Inputs, cause: str) -> Case:
    return Case(name, "public report", "function", lambda: (forward, backward, inputs()), cause, source)


CASES = [
    *(_case(*report) for report in REPORTS),
    Case(
        "inner gradients kept between calls",
        "public report",
        "function",
        cached_gradients,
        "second call",
        "karpathy/micrograd#53",
    ),
    Case(
        "layer norm, the gradient of gamma is zero",
        "public report",
        "layer",
        lambda: (mutated_layer(tn.LayerNorm, gamma=lambda g: 0 * g)(4), *normal(30, (5, 4))),
        "backward gives zero",
        "tsotchke/eshkol#229",
    ),
]
