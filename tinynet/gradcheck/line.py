"""Difference quotients along a line, with bounds for their two errors, and the slopes around a kink.

f is a sum of terms, one for each number that the function returns. The terms are subtracted one by one before they are
summed, so that a large constant in one term costs no digits of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import Array, module_of
from .subject import number

EPS = float(np.finfo(np.float64).eps)
NEARBY = 16
"""Points around a kink at which slopes are measured."""


class Part(NamedTuple):
    """An array that the line moves, its value at the start, its claimed gradient, and its direction."""

    array: Array
    start: Array
    gradient: Array
    v: Array


class Point(NamedTuple):
    """The change from the start to start + s v: of each term of f, and of their sum by the claimed gradient."""

    terms: np.ndarray
    claimed: float


class Measurement(NamedTuple):
    """A difference quotient with step h: `error` = claimed slope - quotient. `moved` tells which terms changed.

    `resolution` bounds what the quotient itself may be off: by rounding of the terms that moved, and by the end of
    Taylor's series.
    """

    h: float
    error: float
    resolution: float
    moved: np.ndarray


class Line:
    """The line start + s v through some arrays. `terms()` returns the terms of f for what the arrays hold."""

    def __init__(self, terms: Callable[[], np.ndarray], parts: list[Part]) -> None:
        self.terms, self.parts = terms, parts
        self.center, _ = self._evaluate(0.0, parts)
        products = [part.gradient * part.v for part in parts]
        self.claimed = sum(number(product.sum()) for product in products)
        self.typical = sum(number((product**2).sum()) for product in products) ** 0.5

    def at(self, s: float) -> Point:
        """Return the change from the start to start + s v. The arrays keep their values."""
        terms, claimed = self._nearby(s, self.parts)
        return Point(terms - self.center, claimed)

    def measure(self, h: float) -> Measurement:
        """Compare the claimed slope with (4 q(h/2) - q(h)) / 3, q(h) = (f(h) - f(-h)) / 2h: Richardson 1911.

        The fourth difference of five neighboring values of a smooth f is of order h^4, so what is left of it is
        rounding. |q(h/2) - q(h)| bounds the error that the series adds.
        """
        up, down, half_up, half_down = (self.at(s) for s in (h, -h, h / 2, -h / 2))
        whole, half = _error(up, down, 2 * h), _error(half_up, half_down, h)
        fourth = up.terms - 4 * half_up.terms - 4 * half_down.terms + down.terms
        moved = (up.terms != 0) | (down.terms != 0) | (half_up.terms != 0) | (half_down.terms != 0)
        sizes = abs(self.center) + abs(up.terms) + abs(down.terms)
        rounding = max(5 / 8 * _norm(fourth), 2 * EPS * _norm(sizes[moved] if moved.any() else sizes))
        resolution = rounding / h + abs(half - whole)
        return Measurement(h, (4 * half - whole) / 3, resolution if np.isfinite(resolution) else np.inf, moved)

    def uncertainty(self, measured: Measurement, tried: list[Measurement]) -> float:
        """Return the resolution, plus the slope that the rounding of terms may hide that did not move.

        A term that moves with another step hides up to its rounding; one that never moves, hardly anything.
        """
        ever = np.any([one.moved for one in tried], axis=0)
        now, never = _norm(self.center[ever & ~measured.moved]), _norm(self.center[~ever])
        return measured.resolution + 2 * EPS * (now / measured.h + never / max(one.h for one in tried))

    def is_irregular(self, measured: Measurement) -> bool:
        """Return whether a quotient is less certain than rounding of f explains: f may have a kink here."""
        return measured.resolution > 1000 * EPS * (_norm(self.center) / measured.h + abs(self.claimed))

    def slopes_around(self, h: float, error: float, draw: np.random.Generator) -> tuple[float, float] | None:
        """Return the least and the largest slope that a subgradient may have along v; None if f is smooth here.

        The slopes along v at random points nearby differ less and less in a smooth f. Around a kink they do not. Where
        each term has one kink, they lie between the slopes on both sides. Where they do not, a term has several kinks,
        whose slopes add up in more ways than the points show, so the range is doubled. Slopes that differ by much less
        than `error` explain nothing.
        """
        nearby = [[_like(part, draw) for part in self.parts] for _ in range(NEARBY)]
        low, high = self._slopes_within(h / 10, nearby)
        near, noise = float((high - low).sum()), 1000 * EPS * _norm(self.center) / h
        if not near > max(noise, 1e-9 * self.typical, 0.01 * abs(error)):
            return None
        low_far, high_far = self._slopes_within(h, nearby)
        far = float((high_far - low_far).sum())
        if not 0.4 * far <= near <= 9 * far:  # a smooth f, or one that jumps
            return None
        left, right = -self.at(-h / 10).terms / (h / 10), self.at(h / 10).terms / (h / 10)
        least, largest = np.minimum(left, right), np.maximum(left, right)
        slack = 1e-3 * (largest - least) + 1e-6 * np.maximum(abs(left), abs(right))
        extra = (high - low) / 2 * np.any((low < least - slack) | (high > largest + slack))
        margin = 1e-3 * near + abs(far - near) + noise
        bounds = np.minimum(low, least) - extra, np.maximum(high, largest) + extra
        return float(bounds[0].sum()) - margin, float(bounds[1].sum()) + margin

    def _slopes_within(self, distance: float, nearby: list[list[Array]]) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest slope of each term along v, at these points at this distance."""
        h, slopes = distance / 30, []
        for directions in nearby:
            parts = [
                part._replace(start=part.start + distance * u) for part, u in zip(self.parts, directions, strict=True)
            ]
            slopes.append((self._nearby(h, parts)[0] - self._nearby(-h, parts)[0]) / (2 * h))
        return np.min(slopes, axis=0), np.max(slopes, axis=0)

    def _evaluate(self, s: float, parts: list[Part]) -> tuple[np.ndarray, float]:
        """Return f's terms at start + s v, and the change that the claimed gradient predicts for rounded numbers."""
        claimed = 0.0
        for part in parts:
            part.array[...] = part.start + s * part.v
            claimed += number((part.gradient * (part.array - part.start)).sum())
        try:
            with np.errstate(all="ignore"):
                return self.terms(), claimed
        finally:
            for part in self.parts:
                part.array[...] = part.start

    def _nearby(self, s: float, parts: list[Part]) -> tuple[np.ndarray, float]:
        """Return the same; NaN where forward raises an error, or returns another number of terms."""
        try:
            terms, claimed = self._evaluate(s, parts)
        except Exception:
            terms, claimed = np.full((), np.nan), np.nan
        return (terms, claimed) if terms.shape == self.center.shape else (self.center * np.nan, claimed)


def _error(one: Point, other: Point, width: float) -> float:
    """Return the claimed slope between two points of a line, minus that of f."""
    return float((one.claimed - other.claimed) - (one.terms - other.terms).sum()) / width


def _norm(terms: np.ndarray) -> float:
    return float(np.linalg.norm(terms))


def _like(part: Part, draw: np.random.Generator) -> Array:
    """Return a random vector of the array's shape, as long as v."""
    u = draw.normal(size=part.v.shape)
    u /= max(np.linalg.norm(u), EPS)
    return module_of(part.v).asarray(u) * number((part.v**2).sum()) ** 0.5
