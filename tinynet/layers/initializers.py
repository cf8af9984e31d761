"""First weights: the rules that draw W, by how many numbers each output is a sum of, D, and each input goes into, M.

Those of a Dense are its widths: W (D, M). Those of a window are its pixels in all channels that go in, and come out.
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
    """W = 0: every unit computes the same, and goes on doing so; for a lesson or an output layer."""
    return np.zeros(shape)


INITIALISERS: dict[str, Callable[[np.random.Generator, int, int, tuple[int, ...]], np.ndarray]] = {
    rule.__name__: rule for rule in (glorot_uniform, glorot_normal, he_uniform, he_normal, zeros)
}
