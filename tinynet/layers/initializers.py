"""Initializers: rules that draw the first weights W from D, the number of inputs of one output, and M of one input.

D is the fan-in: how many numbers an output sums. M is the fan-out: how many outputs an input goes into. For Dense they
are the two widths, for Conv2D the pixels of a kernel times the channels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def glorot_uniform(draw: np.random.Generator, D: int, M: int, shape: tuple[int, ...]) -> np.ndarray:
    """W ~ U(-a, a), a = sqrt(6 / (D + M))        Glorot and Bengio 2010, equation 16"""
    a = np.sqrt(6 / (D + M))
    return draw.uniform(-a, a, shape)


def glorot_normal(draw: np.random.Generator, D: int, M: int, shape: tuple[int, ...]) -> np.ndarray:
    """W ~ N(0, 2 / (D + M))        Glorot and Bengio 2010, equation 12"""
    return draw.normal(0, np.sqrt(2 / (D + M)), shape)


def he_uniform(draw: np.random.Generator, D: int, M: int, shape: tuple[int, ...]) -> np.ndarray:
    """W ~ U(-a, a), a = sqrt(6 / D)        the variance of He et al. 2015, equation 10"""
    a = np.sqrt(6 / D)
    return draw.uniform(-a, a, shape)


def he_normal(draw: np.random.Generator, D: int, M: int, shape: tuple[int, ...]) -> np.ndarray:
    """W ~ N(0, 2 / D)        He et al. 2015, equation 10"""
    return draw.normal(0, np.sqrt(2 / D), shape)


def zeros(draw: np.random.Generator, D: int, M: int, shape: tuple[int, ...]) -> np.ndarray:
    """W = 0: all units compute the same, before and after training. For a lesson, or for an output layer."""
    return np.zeros(shape)


INITIALIZERS: dict[str, Callable[[np.random.Generator, int, int, tuple[int, ...]], np.ndarray]] = {
    rule.__name__: rule for rule in (glorot_uniform, glorot_normal, he_uniform, he_normal, zeros)
}
