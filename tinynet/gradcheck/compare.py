"""Compare claimed slopes with difference quotients: the directions of an array, and what to conclude along each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..arrays import Array, rng
from .line import Line, Measurement, Part
from .report import Comparison
from .subject import Gradients, Subject, unit_of

STEPS = tuple(1.7 * 10.0**k for k in (-4, -3, -5, -6, -7, -2, -8, -1, -9, -10, -11, -12, -13))
"""Steps h of the difference quotients, in units of the array's numbers. A typical function needs only the first."""

RESOLVED = 3e-4
"""Largest uncertainty, relative to the gradient, with which a comparison can still tell right from wrong."""


WHOLE = "whole numbers as directions, at least 1, and seed, at least 0"

AT_KINKS = 8
"""Coordinates that are tested one by one in an array with a kink."""


@dataclass(frozen=True)
class Settings:
    """How a check is made: `tolerance` is relative to the gradient; `directions` and `full` are as in the report."""

    full: bool
    seed: int
    tolerance: float
    directions: int

    def __post_init__(self) -> None:
        def require(holds: bool, expected: str, got: Any) -> None:
            if not holds:
                raise ValueError(f"a gradient check takes {expected}; got {got!r}")

        tolerance, counts = self.tolerance, (self.directions, self.seed)
        is_number = isinstance(tolerance, Real) and not isinstance(tolerance, bool)
        require(isinstance(self.full, bool), "full = True or False", self.full)
        require(is_number and 0 < tolerance <= 0.1, "a tolerance above 0 and up to 0.1", tolerance)
        require(all(isinstance(count, Integral) and not isinstance(count, bool) for count in counts), WHOLE, counts)
        require(self.directions >= 1 and self.seed >= 0, WHOLE, counts)


def compare_array(subject: Subject, name: str, gradient: Array, settings: Settings) -> list[Comparison]:
    """Compare one array's gradient along all its directions; at kinks, along some coordinates too."""
    array, on_host = subject.arrays[name], subject.to_host(gradient)
    size = float(np.linalg.norm(on_host)) / math.sqrt(on_host.size)
    draw, steps = rng.generator(settings.seed, name), steps_for(subject.to_host(array))

    def along(index: tuple[int, ...] | None, v: np.ndarray) -> Comparison:
        line = Line(subject.terms, [Part(array, array.copy(), gradient, subject.to_device(v))])
        return comparison(line, name, index, *compare(line, steps, size, settings.tolerance, draw))

    found = [along(None, v) for v in directions(on_host, settings, draw)]
    every, has_kinks = list(np.ndindex(array.shape)), any(entry.status == "kink" for entry in found)
    if has_kinks and (apart := _without_ties(subject.to_host(array))).any():
        found.append(along(None, apart * draw.normal(size=array.shape) / math.sqrt(apart.sum())))
    if not settings.full and has_kinks:
        every = [every[k] for k in draw.permutation(len(every))[:AT_KINKS]]
    elif not settings.full:
        every = []
    return [along(index, _coordinate(array.shape, index)) for index in every] + found


def compare_together(subject: Subject, gradients: Gradients, settings: Settings, along: str) -> Comparison:
    """Compare once, where all arrays move and contribute alike: each at random, or along its claimed gradient."""
    draw, parts, vectors = rng.generator(settings.seed, along), [], {}
    for name, gradient in gradients.items():
        x, g = subject.to_host(subject.arrays[name]), subject.to_host(gradient)
        v = g if along == "the gradient" else draw.normal(size=x.shape) * np.where(x == 0, unit_of(x), abs(x))
        v = np.where(v == 0, np.sqrt(np.mean(v**2)) or 1.0, v)
        vectors[name] = v / (float(np.linalg.norm(v)) or 1.0) * unit_of(x)
    effects = {name: float(np.linalg.norm(subject.to_host(gradients[name]) * v)) for name, v in vectors.items()}
    least = min((effect for effect in effects.values() if effect > 1e-9 * max(effects.values())), default=1.0)
    for name, v in vectors.items():
        v = subject.to_device(v * min(1.0, least / (effects[name] or least)))
        parts.append(Part(subject.arrays[name], subject.arrays[name].copy(), gradients[name], v))
    line = Line(subject.terms, parts)
    status, measured = compare(line, list(STEPS), line.typical, settings.tolerance, draw)
    return comparison(line, "all together", None, status, measured)


def directions(gradient: np.ndarray, settings: Settings, draw: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield vectors of length one.

    They take turns: random numbers; random numbers divided by the claimed gradient, which make small entries count as
    much as large ones; the claimed gradient itself, which moves tied entries the same way. One more moves all entries
    that are claimed to be zero the same way, if others are not.
    """
    zero = gradient == 0
    for k in range(settings.directions + (zero.any() and not zero.all())):
        v = draw.normal(size=gradient.shape)
        if k == settings.directions:
            v = zero.astype(float)
        elif k % 3 == 1:
            v /= _sizes(gradient)
        elif k % 3 == 2:
            v = gradient if np.isfinite(gradient).all() and gradient.any() else np.ones(gradient.shape)
        v = v / abs(v).max()
        yield v / np.linalg.norm(v)


def _without_ties(array: np.ndarray) -> np.ndarray:
    """Return where the numbers are not 0 and occur once: those are seldom at a kink."""
    _, where, counts = np.unique(array, return_inverse=True, return_counts=True)
    return (counts[where].reshape(array.shape) == 1) & (array != 0)


def _coordinate(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    v = np.zeros(shape)
    v[index] = 1
    return v


def _sizes(gradient: np.ndarray) -> np.ndarray:
    """Return the sizes of a gradient's entries, at least 1e-9 of the largest; entries of 0 count as the largest."""
    sizes = np.nan_to_num(abs(gradient), posinf=0)
    largest = sizes.max() or 1.0
    return np.where(sizes > 0, np.maximum(sizes, 1e-9 * largest), largest)


def steps_for(array: np.ndarray) -> list[float]:
    """Return the steps to try for an array, the best guess first. Numbers far from its usual ones need others."""
    unit, sizes = max(unit_of(array), 0.1), abs(array[array != 0])
    steps = [unit * h for h in STEPS]
    small = [float(sizes.min()) * 10.0**-k for k in (3, 5, 7)] if sizes.size else []
    return [*steps, *(h for h in small if h < min(steps))]


def compare(
    line: Line, steps: list[float], size: float, tolerance: float, draw: np.random.Generator
) -> tuple[str, Measurement]:
    """Return the status along one line, and the measurement that decided. `size` is a usual entry of the gradient.

    A step that agrees ends the comparison. Otherwise the step with the least uncertainty decides.
    """
    if not np.isfinite(line.center).all():
        found = line.center[~np.isfinite(line.center)].flat[0]
        raise ValueError(f"f is {found} here, and has no derivative to compare with; check it where it is finite")
    tried: list[Measurement] = []
    for h in steps:
        tried.append(line.measure(h))
        measured = tried[-1]
        error, scale = abs(measured.error), max(line.typical, abs(line.claimed - measured.error))
        if error <= tolerance * scale and measured.resolution < scale:
            return "ok", measured
        if len(tried) == 1 and size and not scale:
            return "zero", measured
        if len(tried) == 5 and max(one.resolution for one in tried) < 2 * min(one.resolution for one in tried):
            status = _undecided(line, tried, measured, size, tolerance, draw)
            if "kink" in status:  # a smaller step resolves no more
                return status, measured
    best = _best(line, tried)
    return _undecided(line, tried, best, size, tolerance, draw), best


def _best(line: Line, tried: list[Measurement]) -> Measurement:
    """Return the measurement with the least uncertainty; a smaller step that is certain of another slope comes first.

    A large step sees a fast wave of small amplitude as flat.
    """
    bounds = {measured.h: line.uncertainty(measured, tried) for measured in tried}
    best = min(tried, key=lambda measured: bounds[measured.h])
    scale = max(line.typical, abs(line.claimed - best.error))
    smaller = [
        measured
        for measured in tried
        if measured.h < best.h
        and bounds[measured.h] <= 10 * RESOLVED * max(scale, abs(line.claimed - measured.error))
        and abs(measured.error - best.error) > bounds[measured.h] + bounds[best.h]
    ]
    return min(smaller, key=lambda measured: bounds[measured.h], default=best)


def _undecided(
    line: Line, tried: list[Measurement], best: Measurement, size: float, tolerance: float, draw: np.random.Generator
) -> str:
    """Return the status if no step agreed to the tolerance."""
    claimed, slope, uncertainty = line.claimed, line.claimed - best.error, line.uncertainty(best, tried)
    if not math.isfinite(claimed):
        return "wrong"
    scale = max(line.typical, abs(slope))
    zero = abs(claimed) <= uncertainty and abs(slope) <= best.resolution
    if not zero and abs(best.error) <= uncertainty <= RESOLVED * max(scale, size):
        return "ok"
    if (line.is_irregular(best) or not zero) and (slopes := _slopes_around(line, tried, best, draw)):
        return "kink" if slopes[0] <= claimed <= slopes[1] else "wrong at a kink"
    if zero:
        return "zero"
    return "wrong" if abs(best.error) > max(2 * uncertainty, tolerance * scale) else "noisy"


def _slopes_around(
    line: Line, tried: list[Measurement], best: Measurement, draw: np.random.Generator
) -> tuple[float, float] | None:
    """Look for a kink with a step of medium size among those that are about as certain as the best."""
    if not math.isfinite(best.resolution):
        return None
    similar = sorted(measured.h for measured in tried if measured.resolution <= 1.5 * best.resolution)
    return line.slopes_around(similar[len(similar) // 2], best.error, draw)


def comparison(line: Line, name: str, index: tuple[int, ...] | None, status: str, measured: Measurement) -> Comparison:
    """Return the entry of the report."""
    claimed, slope = line.claimed, line.claimed - measured.error
    scale = max(line.typical, abs(claimed), abs(slope))
    error = abs(measured.error) / scale if scale else 0.0
    return Comparison(name, index, claimed, slope, error if math.isfinite(error) else math.inf, status)
