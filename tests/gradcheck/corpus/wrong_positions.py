"""Gradients at wrong positions: convolution and pooling shifted by one, and wrong flips, slices and orders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinynet import functions

from .own_pairs import PAIRS, distinct, normal
from .wrong_terms import Row, function_cases, own


def conv2d_dx(change: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """Return the backward of conv2d with dx = change(dx, dy, x, W)."""

    def backward(dy, x, W, b):
        dx, dW, db = PAIRS["conv2d"].backward(dy, x, W, b)
        return change(dx, dy, x, W), dW, db

    return backward


def conv2d_dW(change: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """Return the backward of conv2d with dW = change(dW, dy, x)."""

    def backward(dy, x, W, b):
        dx, dW, db = PAIRS["conv2d"].backward(dy, x, W, b)
        return dx, change(dW, dy, x), db

    return backward


def padded_dx(dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return dx of conv2d with stride 2 and padding 1, still with the padding."""
    N, C, rows, columns = x.shape
    return functions.conv2d_backward(dy, W, (N, C, rows + 2, columns + 2), 2, 0)


def dx_with_stride_one(dx: np.ndarray, dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> np.ndarray:
    dx = np.zeros((*x.shape[:2], 6, 6))
    for i, j in np.ndindex(dy.shape[2:]):
        dx[:, :, i : i + 3, j : j + 3] += np.tensordot(dy[:, :, i, j], W, 1)
    return dx[:, :, 1:-1, 1:-1]


def dW_of_rolled(dW: np.ndarray, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    dW, db = np.empty_like(dW), np.empty((len(dW), 1, 1))
    functions.conv2d_backward_parameters(dy, np.roll(x, 1, axis=-1), dW, db, 2, 1)
    return dW


def convolution(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.correlate(x, w, "valid")


def convolution_backward(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.convolve(dy, w, "full"), np.correlate(x, dy, "valid")


def upsample(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, axis=-1)


def shifted(g: np.ndarray) -> np.ndarray:
    return np.roll(g, 1, axis=-1)


def shifted_dx(pair: str) -> Callable[..., Any]:
    return lambda dy, x: shifted(PAIRS[pair].backward(dy, x)[0])


signal = partial(normal, 1, (12,), (4,))
matrix = partial(normal, 2, (4, 5))
equal_channels = partial(normal, 3, (2, 3, 3, 3), (3, 3, 1, 1), (3, 1, 1))

ROWS: list[Row] = [
    own("conv2d, dx shifted by one", "conv2d", conv2d_dx(lambda dx, *_: shifted(dx)), ""),
    own("conv2d, dx cut without the padding", "conv2d", conv2d_dx(lambda dx, *a: padded_dx(*a)[..., :4, :4]), ""),
    own("conv2d, dx cut at the other end", "conv2d", conv2d_dx(lambda dx, *a: padded_dx(*a)[..., 2:, 2:]), ""),
    own("conv2d, dx with stride 1", "conv2d", conv2d_dx(dx_with_stride_one), ""),
    own(
        "conv2d, dx with the kernel flipped",
        "conv2d",
        conv2d_dx(lambda dx, dy, x, W: functions.conv2d_backward(dy, W[..., ::-1, ::-1], x.shape, 2, 1)),
        "",
    ),
    own("conv2d, dx without its last row", "conv2d", conv2d_dx(lambda dx, *_: dx * (np.arange(4) < 3)[:, None]), ""),
    own("conv2d, dW of x shifted by one", "conv2d", conv2d_dW(dW_of_rolled), ""),
    own("conv2d, dW flipped", "conv2d", conv2d_dW(lambda dW, *_: dW[..., ::-1, ::-1]), ""),
    own("conv2d, dW with rows and columns exchanged", "conv2d", conv2d_dW(lambda dW, *_: dW.swapaxes(-1, -2)), ""),
    own(
        "conv2d, dW of the first picture only",
        "conv2d",
        lambda dy, *a: (
            PAIRS["conv2d"].backward(dy, *a)[0],
            *PAIRS["conv2d"].backward(dy * (np.arange(2) < 1)[:, None, None, None], *a)[1:],
        ),
        "",
    ),
    (
        "conv2d of size 1 with W transposed",
        lambda x, W, b: functions.conv2d(x, W, b, 1, 0),
        lambda dy, x, W, b: (
            functions.conv2d_backward(dy, W.swapaxes(0, 1), x.shape, 1, 0),
            None,
            dy.sum(axis=(0, 2, 3))[:, None, None],
        ),
        equal_channels,
        "",
    ),
    own("patches, shifted by one", "patches", shifted_dx("patches"), ""),
    own("max pool, shifted by one", "max_pool2d", shifted_dx("max_pool2d"), ""),
    own(
        "max pool, the smallest instead of the largest",
        "max_pool2d",
        lambda dy, x: functions.max_pool2d_backward(dy, -x, 2),
        "",
    ),
    own(
        "max pool, always the first of the patch",
        "max_pool2d",
        lambda dy, x: functions.patches_backward(dy[:, :, None] * (np.arange(4) < 1)[:, None, None], x.shape, 2, 2, 0),
        "",
    ),
    own("average pool, shifted by one", "average_pool2d", shifted_dx("average_pool2d"), ""),
    own(
        "average pool, the whole dy to the first of the patch",
        "average_pool2d",
        lambda dy, x: functions.patches_backward(dy[:, :, None] * (np.arange(4) < 1)[:, None, None], x.shape, 2, 2, 0),
        "",
    ),
    (
        "average pool of size 3, divided by I J",
        lambda x: functions.average_pool2d(x, 3),
        lambda dy, x: functions.average_pool2d_backward(dy, x.shape, 3) * 9 / 4,
        partial(normal, 4, (1, 1, 6, 6)),
        "times too",
    ),
    own(
        "global average pool, channels exchanged",
        "global_average_pool",
        lambda dy, x: functions.global_average_pool_backward(dy[:, ::-1], x.shape),
        "",
    ),
    (
        "convolution of a signal, dx with the kernel flipped",
        convolution,
        lambda dy, x, w: (np.convolve(dy, w[::-1], "full"), convolution_backward(dy, x, w)[1]),
        signal,
        "",
    ),
    (
        "convolution of a signal, dw flipped",
        convolution,
        lambda dy, x, w: (convolution_backward(dy, x, w)[0], convolution_backward(dy, x, w)[1][::-1]),
        signal,
        "",
    ),
    (
        "convolution of a signal, dx shifted by one",
        convolution,
        lambda dy, x, w: (shifted(convolution_backward(dy, x, w)[0]), convolution_backward(dy, x, w)[1]),
        signal,
        "",
    ),
    ("flip that backward leaves out", lambda x: x[:, ::-1], lambda dy, x: dy, matrix, ""),
    ("roll in the same direction in backward", shifted, lambda dy, x: shifted(dy), matrix, ""),
    (
        "cumulative sum with dy cumulated forward",
        lambda x: x.cumsum(axis=1),
        lambda dy, x: dy.cumsum(axis=1),
        matrix,
        "",
    ),
    (
        "cumulative sum, off by one",
        lambda x: x.cumsum(axis=1),
        lambda dy, x: dy[:, ::-1].cumsum(axis=1)[:, ::-1] - dy,
        matrix,
        "",
    ),
    (
        "differences with the last dy missing",
        lambda x: np.diff(x, axis=1),
        lambda dy, x: np.pad(-dy, ((0, 0), (0, 1))),
        matrix,
        "",
    ),
    ("padding cut off by one", lambda x: np.pad(x, 1), lambda dy, x: dy[2:, 2:], matrix, ""),
    ("upsampling, every second dy only", upsample, lambda dy, x: dy[:, ::2], matrix, ""),
    (
        "reshape in the order of Fortran",
        lambda x: x.reshape(10, 2),
        lambda dy, x: dy.reshape(4, 5, order="F"),
        matrix,
        "",
    ),
    (
        "concatenation with the slices exchanged",
        lambda a, b: np.hstack([a, b]),
        lambda dy, a, b: (dy[:, 5:], dy[:, :5]),
        partial(normal, 5, (4, 5), (4, 5)),
        "",
    ),
    (
        "sorting without its permutation",
        lambda x: np.sort(x, axis=1),
        lambda dy, x: dy,
        lambda: (distinct(6, 4, 5),),
        "",
    ),
    (
        "sorting with the permutation of forward",
        lambda x: np.sort(x, axis=1),
        lambda dy, x: np.take_along_axis(dy, x.argsort(axis=1), 1),
        lambda: (distinct(7, 4, 5),),
        "",
    ),
    ("lower triangle with the upper mask", np.tril, lambda dy, x: np.triu(dy), partial(normal, 8, (4, 4)), ""),
]

CASES = function_cases("position", ROWS)
