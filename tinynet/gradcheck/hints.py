"""What is wrong with a gradient: a claimed gradient compared with the whole numeric one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from .line import Line, Measurement, Part
from .subject import Gradients, Subject, unit_of

MOST_NUMBERS = 400
"""Largest array whose whole gradient is computed to find a hint."""


NOT_WRITTEN = "not written; write into the view, self.dW[...] = or out=self.dW, and never rebind it"


def guess(subject: Subject, name: str, gradients: Gradients, N: int) -> str:
    """Return what looks wrong with the gradient of one array; "" if it looks like nothing familiar."""
    g = subject.to_host(gradients[name])
    if np.isnan(g).any():
        return NOT_WRITTEN if "." in name else "backward gives NaN"
    if not g.any():
        return "backward gives zero"
    if g.size > MOST_NUMBERS:
        return ""
    G = numeric_gradient(subject, name, subject.terms)
    if text := _factor(g, G, N):
        return text
    if _close(g, G, 1e-3):
        return _some(g, G)
    return next(filter(None, _causes(subject, name, g, G)), "") or _swapped(subject, name, g, gradients) or _some(g, G)


def _causes(subject: Subject, name: str, g: np.ndarray, G: np.ndarray) -> Iterator[str]:
    if g.ndim == 2 and min(g.shape) > 1 and _close(g.reshape(g.shape[::-1]).T, G):
        yield "transposed"
    yield _for_evaluation(subject, name, g)
    flat = abs(G) < 1e-6 * abs(G).max()
    if flat.any() and (_close(g[~flat], G[~flat]) or _factor(g[~flat], G[~flat], 1)):
        yield "a mask is not applied: backward is not zero where the slope is"
    yield _wrong_axis(subject, name, g, G)
    yield _missing_term(subject, name, g, G)


def _factor(g: np.ndarray, G: np.ndarray, N: int) -> str:
    """Name a constant ratio of claimed and numeric gradient, of all entries, or of those that are wrong."""
    large = abs(G) > 1e-3 * abs(G).max(initial=0)
    ratio = float(np.median(g[large] / G[large])) if large.any() else 0.0
    if not ratio or abs(ratio - 1) < 1e-7 or not _close(g, ratio * G, min(1e-4, abs(ratio - 1) / 10)):
        return ""
    known = {-1: "the sign is wrong", 2: "2 times too large", 1 / 2: "2 times too small: a factor 2 is missing"}
    if N > 1:
        known[N] = f"N = {N} times too large: a sum over the batch where forward has the mean"
        known[1 / N] = f"N = {N} times too small: the mean over the batch is taken twice"
    for value, text in known.items():
        if np.isclose(ratio, value, rtol=1e-4):
            return text
    sign, size = "the sign is wrong, and " if ratio < 0 else "", abs(ratio)
    return f"{sign}{max(size, 1 / size):.6g} times too {'large' if size > 1 else 'small'}"


def _some(g: np.ndarray, G: np.ndarray) -> str:
    """Say that only some entries are wrong, and by which factor if it is the same."""
    wrong = abs(g - G) > 1e-5 * np.maximum(abs(g), abs(G)) + 1e-9 * abs(G).max()
    if wrong.all() or not wrong.any():
        return ""
    text = _factor(g[wrong], G[wrong], 1)
    text = f": they are {text}" if text else ""
    return f"{wrong.sum()} of {g.size} entries are wrong{text}; a mask is not applied, or a branch or an index is wrong"


def _swapped(subject: Subject, name: str, g: np.ndarray, gradients: Gradients) -> str:
    others = (own for own, gradient in gradients.items() if own != name and gradient.shape == g.shape)
    for other in others:
        if _close(g, numeric_gradient(subject, other, subject.terms)):
            return f"inputs swapped: this is the gradient of {other}"
    return ""


def _for_evaluation(subject: Subject, name: str, g: np.ndarray) -> str:
    evaluation = subject.evaluation
    right = evaluation is not None and _close(g, numeric_gradient(subject, name, evaluation))
    return "right only for forward(x, train=False)" if right else ""


def _wrong_axis(subject: Subject, name: str, g: np.ndarray, G: np.ndarray) -> str:
    """Name gradients of the same function along another axis, and means that broadcast along the wrong one."""
    y, array = subject.to_host(subject.outputs()), subject.arrays[name]
    with np.errstate(all="ignore"):
        dy = subject.terms() / y
    sums = (dy.sum(axis=axis) for axis in range(dy.ndim))
    if any(total.size == g.size and _close(total.reshape(g.shape), g) for total in sums):
        return "wrong axis: backward sums over another axis than the one along which forward broadcasts"
    if g.ndim != 2 or min(g.shape) < 3:
        return ""

    def along_the_other_axis() -> np.ndarray:
        start = array.copy()
        array[...] = start.T
        terms = dy * subject.to_host(subject.outputs()).T
        array[...] = start
        return terms

    square = g.shape[0] == g.shape[1]
    if square and y.shape == g.shape and _close(g, numeric_gradient(subject, name, along_the_other_axis)):
        return "wrong axis: this is the gradient along the other axis"
    x = subject.to_host(array)
    with np.errstate(all="ignore"):
        shapes = [g - G, (g - G) / x, np.log(abs(g / G))]
        if y.shape == g.shape:
            shapes += [(g - G) / y, (g - G) / np.exp(y), (g - G) / (x - x.mean(axis=1, keepdims=True))]
            shapes += [(g - G) / (x * y), (g - G) / x**3, (g - G) / y**3]
    for shape in filter(_is_sum_of_row_and_column, shapes):
        if square and _close(shape, -shape.T):
            return "keepdims is missing: one number per row is broadcast along the columns (wrong axis)"
        return "wrong axis: a sum or mean is taken along another axis than in forward"
    return ""


def _is_sum_of_row_and_column(part: np.ndarray) -> bool:
    """Return whether part[i, j] = a[i] + b[j], and neither is constant."""
    if not np.isfinite(part).all():
        return False
    rows, columns = part.mean(axis=1, keepdims=True), part.mean(axis=0, keepdims=True)
    rest, size = part - rows - columns + part.mean(), abs(part).max()
    return bool(abs(rest).max() < 1e-4 * size and np.ptp(rows) > 1e-3 * size and np.ptp(columns) > 1e-3 * size)


def _missing_term(subject: Subject, name: str, g: np.ndarray, G: np.ndarray) -> str:
    """Name an error that is c, c x or c y along each row or column: the term of a mean, a sum or a norm."""
    y, x = subject.to_host(subject.outputs()), subject.to_host(subject.arrays[name])
    shapes = {"a constant": np.ones(g.shape), "x": x}
    if y.shape == g.shape:
        with np.errstate(over="ignore"):
            shapes |= {"y": y, "exp(y)": np.exp(y)}
        if _close(g, _diagonal(subject, name)):
            return "a term is missing: this is the diagonal of the Jacobian only"
    for count in (1, 2):
        for names in itertools.combinations(shapes, count):
            for axis in range(g.ndim):
                if g.shape[axis] > count + 1 and _in_span(g - G, [shapes[own] for own in names], axis):
                    along = "rows" if axis == g.ndim - 1 else f"axis {axis}"
                    return f"a term is missing: along {along} the error is {' and '.join(names)} times a number"
    return ""


def _in_span(error: np.ndarray, shapes: list[np.ndarray], axis: int) -> bool:
    """Return whether each line of the error along the axis is a combination of these arrays' lines."""
    lines = [np.moveaxis(part, axis, -1).reshape(-1, error.shape[axis]) for part in (error, *shapes)]
    if not all(np.isfinite(part).all() for part in lines):
        return False
    largest = abs(error).max()
    for one, *basis in zip(*lines, strict=True):
        matrix = np.stack(basis, axis=1)
        rest = one - matrix @ np.linalg.lstsq(matrix, one, rcond=None)[0]
        if abs(rest).max() > 1e-4 * largest:
            return False
    return True


def _diagonal(subject: Subject, name: str) -> np.ndarray:
    """Return dy_i times the change of y_i with x_i alone."""
    array, h = subject.arrays[name], 1e-6 * unit_of(subject.to_host(subject.arrays[name]))
    found = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        v = np.zeros(array.shape)
        v[index] = 1
        v = subject.to_device(v)
        line = Line(subject.terms, [Part(array, array.copy(), 0 * v, v)])
        found[index] = (line.at(h).terms - line.at(-h).terms)[index] / (2 * h)
    return found


def numeric_gradient(subject: Subject, name: str, terms: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the difference quotients along every coordinate of an array, each with the step that resolves best."""
    array = subject.arrays[name]
    found, unit = np.zeros(array.shape), unit_of(subject.to_host(array))
    for index in np.ndindex(array.shape):
        v = np.zeros(array.shape)
        v[index] = 1
        v = subject.to_device(v)
        line = Line(terms, [Part(array, array.copy(), 0 * v, v)])
        found[index] = -_best(line, unit).error
    return np.where(abs(found) > 1e-9 * abs(found).max(initial=0), found, 0)


def _best(line: Line, unit: float) -> Measurement:
    """Return the first measurement that is exact enough, or the best."""
    tried = []
    for h in (1.7e-4, 1.7e-2, 1.7e-6):
        tried.append(line.measure(unit * h))
        if tried[-1].resolution <= 1e-6 * abs(tried[-1].error):
            return tried[-1]
    return min(tried, key=lambda measured: measured.resolution)


def _close(one: np.ndarray, other: np.ndarray, tolerance: float = 1e-4) -> bool:
    """Return whether two arrays agree, relative to their largest number."""
    if one.shape != other.shape or not one.size:
        return False
    return bool((abs(one - other) <= tolerance * min(abs(one).max(), abs(other).max())).all())
