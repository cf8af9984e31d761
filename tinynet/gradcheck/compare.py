"""Compare claimed slopes with difference quotients: the directions of an array, and what to conclude along each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..arrays import Array, rng
from .line import Line, Measurement, Part
from .report import Comparison
from .subject import Gradients, Subject, unit_of

STEPS = tuple(1.7 * 10.0**k for k in (-3, -4, -5, -6, -7, -2, -8, -1, -9, -10, -11))
"""Steps h of the difference quotients, in units of the array's numbers. A typical function needs only the first."""

RESOLVED = 3e-4
"""Largest uncertainty, relative to the gradient, with which a comparison can still tell right from wrong."""


@dataclass(frozen=True)
class Settings:
    """How a check is made: `tolerance` is relative to the gradient; `directions` and `full` are as in the report."""

    full: bool
    seed: int
    tolerance: float
    directions: int


def compare_array(subject: Subject, name: str, gradient: Array, settings: Settings) -> list[Comparison]:
    """Compare one array's gradient along all its directions."""
    array, on_host = subject.arrays[name], subject.to_host(gradient)
    size = float(np.linalg.norm(on_host)) / math.sqrt(on_host.size)
    draw, steps, found = rng.generator(settings.seed, name), steps_for(subject.to_host(array)), []
    for index, v in directions(on_host, settings, draw):
        line = Line(subject.terms, [Part(array, array.copy(), gradient, subject.to_device(v))])
        status, measured = compare(line, steps, size, settings.tolerance, draw)
        found.append(comparison(line, name, index, status, measured))
    return found


def compare_together(subject: Subject, gradients: Gradients, settings: Settings, along: str) -> Comparison:
    """Compare once, where all arrays move: each at random, or along its claimed gradient."""
    draw, parts = rng.generator(settings.seed, along), []
    for name, gradient in gradients.items():
        array = subject.to_host(subject.arrays[name])
        v = subject.to_host(gradient) if along == "the gradient" else draw.normal(size=array.shape)
        v = v * unit_of(array) / (float(np.linalg.norm(v)) or 1.0)
        parts.append(Part(subject.arrays[name], subject.arrays[name].copy(), gradient, subject.to_device(v)))
    line = Line(subject.terms, parts)
    status, measured = compare(line, list(STEPS), line.typical, settings.tolerance, draw)
    return comparison(line, "all together", None, status, measured)


def directions(
    gradient: np.ndarray, settings: Settings, draw: np.random.Generator
) -> Iterator[tuple[tuple[int, ...] | None, np.ndarray]]:
    """Yield (index, unit vector): with `full` one vector for each coordinate, then dense vectors with index None.

    The dense vectors take turns: random numbers; random numbers divided by the claimed gradient, which make small
    entries count as much as large ones; the claimed gradient itself, which moves tied entries the same way. One more
    moves the entries that are claimed to be zero, if others are not.
    """
    for index in np.ndindex(gradient.shape if settings.full else (0,)):
        v = np.zeros(gradient.shape)
        v[index] = 1
        yield index, v
    zero = gradient == 0
    for k in range(settings.directions + (zero.any() and not zero.all())):
        v = draw.normal(size=gradient.shape)
        if k == settings.directions:
            v *= zero
        elif k % 3 == 1:
            v /= _sizes(gradient)
        elif k % 3 == 2:
            v = gradient if np.isfinite(gradient).all() and gradient.any() else np.ones(gradient.shape)
        v = v / abs(v).max()
        yield None, v / np.linalg.norm(v)


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

    A step that agrees ends the comparison, and so does one that is certain of the opposite. Otherwise the step with
    the least uncertainty decides.
    """
    if not np.isfinite(line.center).all():
        found = line.center[~np.isfinite(line.center)].flat[0]
        raise ValueError(f"f is {found} here, and has no derivative to compare with; check it where it is finite")
    tried: list[Measurement] = []
    for h in steps:
        measured = line.measure(h)
        tried.append(measured)
        error, scale = abs(measured.error), max(line.typical, abs(line.claimed - measured.error))
        if error <= tolerance * scale and measured.resolution < scale:
            return "ok", measured
        if not contradicted(tried) and size and error <= measured.uncertainty <= tolerance * size:
            return "ok", measured
        if measured.uncertainty <= tolerance * scale / 10 and error > 10 * tolerance * scale:
            break
    best = _best(line, tried)
    return _undecided(line, tried, best, size, tolerance, draw), best


def _best(line: Line, tried: list[Measurement]) -> Measurement:
    """Return the measurement with the least uncertainty; a smaller step that is certain of another slope comes first.

    A large step sees a fast wave of small amplitude as flat.
    """
    best = min(tried, key=lambda measured: measured.uncertainty)
    scale = max(line.typical, abs(line.claimed - best.error))
    smaller = [
        measured
        for measured in tried
        if measured.h < best.h
        and measured.uncertainty <= 10 * RESOLVED * scale
        and abs(measured.error - best.error) > measured.uncertainty + best.uncertainty
    ]
    return min(smaller, key=lambda measured: measured.uncertainty, default=best)


def contradicted(tried: list[Measurement]) -> bool:
    """Return whether a step has resolved that the claimed slope is wrong."""
    return any(abs(measured.error) > 2 * measured.uncertainty for measured in tried)


def _undecided(
    line: Line, tried: list[Measurement], best: Measurement, size: float, tolerance: float, draw: np.random.Generator
) -> str:
    """Return the status if no step agreed to the tolerance."""
    claimed, slope, uncertainty = line.claimed, line.claimed - best.error, best.uncertainty
    if not math.isfinite(claimed):
        return "wrong"
    scale = max(line.typical, abs(slope))
    if abs(claimed) <= uncertainty and abs(slope) <= best.resolution:
        return "ok" if size and uncertainty <= RESOLVED * size else "zero"
    if abs(best.error) <= uncertainty <= RESOLVED * max(scale, size):
        return "ok"
    if slopes := _slopes_around(line, tried, best, draw):
        return "kink" if slopes[0] <= claimed <= slopes[1] else "wrong at a kink"
    return "wrong" if abs(best.error) > max(2 * uncertainty, tolerance * scale) else "noisy"


def _slopes_around(
    line: Line, tried: list[Measurement], best: Measurement, draw: np.random.Generator
) -> tuple[float, float] | None:
    """Look for a kink with a step of medium size among those that are about as certain as the best."""
    if not math.isfinite(best.uncertainty):
        return None
    similar = sorted(measured.h for measured in tried if measured.uncertainty <= 1.5 * best.uncertainty)
    return line.slopes_around(similar[len(similar) // 2], best.error, draw)


def comparison(line: Line, name: str, index: tuple[int, ...] | None, status: str, measured: Measurement) -> Comparison:
    """Return the entry of the report."""
    claimed, slope = line.claimed, line.claimed - measured.error
    scale = max(line.typical, abs(claimed), abs(slope))
    error = abs(measured.error) / scale if scale else 0.0
    return Comparison(name, index, claimed, slope, error if math.isfinite(error) else math.inf, status)
