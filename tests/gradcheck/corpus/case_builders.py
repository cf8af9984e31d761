"""Builders of cases whose inputs are drawn at random, by the name of the case."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from . import Case

Function = Callable[..., Any]


def drawn(name: str, *inputs: Any) -> list[Any]:
    """Return new inputs: a tuple is the shape of normal numbers, a callable takes the generator, the rest is copied."""
    draw = np.random.default_rng([*name.encode()])
    return [_new(draw, given) for given in inputs]


def _new(draw: np.random.Generator, given: Any) -> Any:
    if isinstance(given, tuple):
        return draw.normal(size=given)
    return given(draw) if callable(given) else copy.deepcopy(given)


def uniform(low: float, high: float, *shape: int) -> Function:
    """Return an input of uniform numbers from low to high."""
    return lambda draw: draw.uniform(low, high, shape)


def normal(size: float, *shape: int, mean: float = 0) -> Function:
    """Return an input of normal numbers of this standard deviation and mean."""
    return lambda draw: mean + size * draw.normal(size=shape)


def rows_of_sum_one(N: int, K: int) -> Function:
    """Return an input whose rows are probabilities."""
    return lambda draw: draw.dirichlet(np.ones(K), N)


def one_hot(labels: list[int], K: int) -> np.ndarray:
    """Return rows (N, K) of zeros with a one at the label."""
    return np.eye(K)[labels]


def function(kind: str, name: str, forward: Function, backward: Function, *inputs: Any) -> Case:
    """Return a case of level "function", with inputs as `drawn` takes them."""
    return Case(name, kind, "function", lambda: (forward, backward, drawn(name, *inputs)))


def elementwise(kind: str, name: str, f: Function, slope: Function, x: Any) -> Case:
    """Return the case y = f(x), dx = dy slope(x)."""
    return function(kind, name, f, lambda dy, x: dy * slope(x), x)


def linear(kind: str, name: str, f: Function, adjoint: Function, *inputs: Any) -> Case:
    """Return a case whose backward, adjoint(dy), does not depend on the inputs."""
    return function(kind, name, f, lambda dy, *inputs: adjoint(dy), *inputs)
