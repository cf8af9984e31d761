"""Mutations of the pairs of `tinynet.functions`: a wrong factor, a wrong layout, or a few wrong entries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import Case
from .own_pairs import PAIRS


def transposed(g: np.ndarray) -> np.ndarray:
    return g.T.reshape(g.shape)


def one_entry(g: np.ndarray) -> np.ndarray:
    """Return g with its largest entry times 1.5."""
    g = g.copy()
    g.flat[abs(g).argmax()] *= 1.5
    return g


def last_row_missing(g: np.ndarray) -> np.ndarray:
    g = g.copy()
    g[-1] = 0
    return g


def first_half(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a mutation that multiplies the first half of the entries."""

    def mutation(g: np.ndarray) -> np.ndarray:
        g = g.copy()
        g.flat[: g.size // 2] *= factor
        return g

    return mutation


MUTATIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "sign": (lambda g: -g, "the sign is wrong"),
    "twice": (lambda g: 2 * g, "2 times too large"),
    "half": (lambda g: g / 2, "2 times too small"),
    "x1.1": (lambda g: 1.1 * g, "times too"),
    "x0.3": (lambda g: 0.3 * g, "times too"),
    "x-3": (lambda g: -3 * g, ""),
    "x1.001": (lambda g: 1.001 * g, "times too"),
    "x1.0001": (lambda g: 1.0001 * g, "times too"),
    "zero": (lambda g: 0 * g, "backward gives zero"),
    "transposed": (transposed, "transposed"),
    "entry": (one_entry, ""),
    "row": (last_row_missing, ""),
    "part1.001": (first_half(1.001), ""),
    "part1.0001": (first_half(1.0001), ""),
    "part-1": (first_half(-1.0), ""),
}

TABLE = [
    ("dense", 0, "sign half transposed entry row x1.001"),
    ("dense", 1, "sign twice x1.1 zero transposed part1.0001"),
    ("dense", 2, "sign twice x0.3 zero x1.0001"),
    ("dense, square", 0, "transposed"),
    ("dense, square", 1, "transposed row"),
    ("relu", 0, "sign twice x1.1 zero row"),
    ("leaky_relu", 0, "sign half x1.001 part1.001"),
    ("tanh", 0, "sign twice half x1.1 zero entry row x1.0001 part1.0001 transposed"),
    ("sigmoid", 0, "sign twice x0.3 zero x1.001 part-1"),
    ("gelu", 0, "sign half x1.1 entry x1.0001"),
    ("softmax", 0, "sign twice x0.3 zero row part1.001"),
    ("dropout", 0, "sign half zero x0.3"),
    ("patches", 0, "sign x1.1 entry"),
    ("conv2d", 0, "sign half x1.001 row"),
    ("conv2d", 1, "sign twice zero part1.001"),
    ("conv2d", 2, "sign x0.3 entry"),
    ("max_pool2d", 0, "sign twice x1.0001 row"),
    ("average_pool2d", 0, "sign twice x0.3 entry"),
    ("global_average_pool", 0, "sign x0.3 zero row"),
    ("batch_norm", 0, "sign twice x1.001 entry"),
    ("batch_norm", 1, "sign half zero"),
    ("batch_norm", 2, "twice x0.3"),
    ("layer_norm", 0, "sign half row part1.0001"),
    ("layer_norm", 1, "sign x1.1"),
    ("layer_norm", 2, "half zero"),
    ("softmax_cross_entropy", 0, "sign twice x1.001 entry"),
    ("binary_cross_entropy", 0, "sign half x-3 row"),
    ("cross_entropy", 0, "sign twice x1.1 part1.001"),
    ("mean_squared_error", 0, "sign half x1.0001 transposed"),
    ("huber", 0, "sign twice x0.3 zero"),
]


def mutated(pair: str, index: int, mutation: Callable[[np.ndarray], np.ndarray]) -> tuple[Any, ...]:
    """Return the pair with the gradient of one input mutated."""
    forward, backward, inputs = PAIRS[pair]

    def wrong(dy, *arrays):
        gradients = list(backward(dy, *arrays))
        gradients[index] = mutation(gradients[index])
        return tuple(gradients)

    return forward, wrong, inputs()


def _case(pair: str, index: int, name: str) -> Case:
    mutation, cause = MUTATIONS[name]
    return Case(
        f"{pair}, input {index}, {name}", "mutation", "function", partial(mutated, pair, index, mutation), cause
    )


CASES = [_case(pair, index, name) for pair, index, names in TABLE for name in names.split()]
