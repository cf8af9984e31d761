"""What a gradient check asks besides the numbers: repeated calls, other rows, other memory layouts, other types."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import rng
from .compare import Settings, compare_together
from .report import Point
from .subject import Gradients, Subject, number


@dataclass(frozen=True)
class Family:
    """The same function for other arguments: `make(seed, *xs, *rest)`. Another seed gives another dy.

    `xs` are arrays of floats, whose values and memory layout may change. `rest` are targets. If `has_rows`, all have a
    row for each row of the only x, and their number may change.
    """

    make: Callable[..., Subject]
    xs: list[np.ndarray]
    rest: list[Any]
    has_rows: bool
    seed: int

    def same(self) -> Subject:
        """Return the function for the arguments themselves, as copies."""
        return self.make(self.seed, *(x.copy() for x in self.xs), *self.rest)

    def other(self, scale: Callable[[np.ndarray], Any] = np.ones_like) -> Subject:
        """Return the function for another dy, where every number of x is up to 1 % larger or smaller, times scale(x).

        Rows change their order, those of targets to another one.
        """
        xs = [np.asarray(moved(x, self.seed) * scale(x)) for x in self.xs]
        if self.has_rows:
            return self.make(self.seed + 1, xs[0][::-1].copy(), *(np.roll(t, 1, axis=0) for t in self.rest))
        return self.make(self.seed + 1, *xs, *self.rest)


def repeated(subject: Subject) -> tuple[Gradients, Point]:
    """Return the gradients, and whether a second call of forward and of backward gives the same.

    The gradients are NaN for a parameter that backward leaves as it was.
    """
    name = "a second call gives the same"
    first, again = subject.terms(), subject.terms()
    gradients = subject.gradients(0.0)
    if not np.array_equal(first, again, equal_nan=True):
        return gradients, Point(name, "wrong", "forward is random, or remembers: two calls with the same x differ")
    filled, twice = subject.gradients(1.0), subject.gradients(1.0, forward=False)
    for own, gradient in gradients.items():
        one, two, three = (subject.to_host(found[own]) for found in (gradients, filled, twice))
        if np.array_equal(one, two, equal_nan=True) and np.array_equal(one, three, equal_nan=True):
            continue
        if not one.any() and (two == 1).all():
            gradients[own] = gradient * np.nan
        else:
            return gradients, Point(name, "wrong", _unequal(own, one, two, three))
    return gradients, Point(name, "ok")


def _unequal(own: str, one: np.ndarray, two: np.ndarray, three: np.ndarray) -> str:
    """Name the reason for three results of backward that are not the same."""
    if one.shape == two.shape and np.allclose(two, one + 1, rtol=1e-9, atol=1e-9):
        return f"{own} accumulates: backward adds to it; write into it with ="
    for later in (two, three):
        with np.errstate(all="ignore"):
            ratios = (later / one)[one != 0]
        if ratios.any() and np.allclose(ratios, ratios.mean(), rtol=1e-7) and abs(ratios.mean() - 1) > 1e-6:
            return f"a second call of backward gives {ratios.mean():.6g} times the first"
    if np.array_equal(one, two) or np.array_equal(two, three):
        return "a second call of backward gives another result"
    return "backward is random: each call gives another result"


def for_other_values(family: Family, settings: Settings) -> Point:
    """Compare once more with the same objects, for another x, another dy and other parameters."""
    name, subject, other = "another x", family.same(), family.other()
    before = subject.gradients(0.0)
    other.outputs()
    if not all(_equal(before[own], gradient) for own, gradient in subject.gradients(0.0).items()):
        return Point(name, "wrong", "stale memory: backward uses the x of the last forward, whatever x it gets")
    arrays = {own: array.copy() for own, array in other.arrays.items()}
    for array in other.arrays.values():
        array[...] = other.to_device(moved(other.to_host(array), settings.seed))
    try:
        after = other.gradients(0.0)
        if not is_wrong(other, after, settings):
            return Point(name, "ok")
    finally:
        for own, array in other.arrays.items():
            array[...] = arrays[own]
    if any(_equal(before[own], after[own]) and number((before[own] != 0).any()) for own in before):
        return Point(name, "wrong", "stale memory: backward uses an earlier x, dy or parameter")
    return Point(name, "wrong", "wrong for another x, dy or parameter: stale memory, or right by chance")


def for_other_rows(family: Family, settings: Settings) -> Iterator[Point]:
    """Compare for one row, and for one row more than x has."""
    (x,) = family.xs
    for rows in ([0], [*range(len(x)), 0]):
        name = f"N = {len(rows)}"
        try:
            subject = family.make(family.seed, moved(x[rows], settings.seed), *(t[rows] for t in family.rest))
            wrong = is_wrong(subject, subject.gradients(0.0), settings)
        except Exception as error:
            yield Point(name, "note", f"refuses {name}: {error}") if _refuses(error) else _failed(name, error)
        else:
            yield Point(name, "wrong", f"wrong for {name}") if wrong else Point(name, "ok")


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran-ordered": lambda array: np.array(array, order="F"),
    "strided": lambda array: np.repeat(array[..., None], 2, axis=-1)[..., 0],
    "read-only": lambda array: array.copy(),
}


def for_other_layouts(family: Family) -> Iterator[Point]:
    """Compare outputs and gradients with those for x in other memory layouts."""
    subject = family.same()
    expected = subject.to_host(subject.outputs()), subject.gradients(0.0)
    for layout, lay_out in LAYOUTS.items():
        name = f"{layout} x"
        laid_out = [lay_out(x) for x in family.xs]
        for x in laid_out:
            x.flags.writeable = layout != "read-only"
        try:
            other = family.make(family.seed, *laid_out, *family.rest)
            found = other.to_host(other.outputs()), other.gradients(0.0)
        except Exception as error:
            yield _failed(name, error)
        else:
            same = _close(expected[0], found[0]) and all(_close(expected[1][own], found[1][own]) for own in found[1])
            yield Point(name, "ok") if same else Point(name, "wrong", f"gives another result for {name}")


def dtype_of(name: str, given: str, found: dict[str, Any]) -> Point:
    """Check that all arrays have the dtype that came in. Numbers of Python have none."""
    wrong = [own for own, array in found.items() if type(array) is not float and str(array.dtype) != given]
    if not wrong:
        return Point(name, "ok")
    got = found[wrong[0]].dtype
    verb = "promotes" if given == "float32" else "computes in float32:"
    return Point(name, "wrong", f"{verb} {given} to {got} in {wrong[0]}")


def precision(family: Family) -> Point:
    """Check that forward and backward compute in float64 for an x in float64."""
    name, subject = "float64", family.other()
    y = subject.to_host(subject.outputs())
    gradients = [subject.to_host(gradient) for gradient in subject.gradients(0.0).values()]
    if y.dtype == np.float32 or _is_rounded(family, y):
        hint = "computes in float32: forward must compute in the dtype of x, float64 here (JAX: jax_enable_x64)"
        return Point(name, "wrong", hint)
    largest = max((abs(gradient).max(initial=0) for gradient in gradients), default=0)
    told = [gradient for gradient in gradients if abs(gradient).max(initial=0) > 1e-9 * largest]
    if any(gradient.dtype == np.float32 or _in_single(gradient) for gradient in told):
        return Point(name, "wrong", "computes in float32: backward must compute in the dtype of dy, float64 here")
    return Point(name, "ok")


def _is_rounded(family: Family, y: np.ndarray) -> bool:
    """Return whether y keeps all its bits when x changes by 1e-10 of itself, although y depends on x."""
    if y.dtype.kind != "f":
        return False

    def change(size: float) -> np.ndarray:
        draw = rng.generator(family.seed, "rounding")
        near = family.other(lambda x: 1 + size * draw.uniform(1, 2, x.shape))
        return abs(near.to_host(near.outputs()) - y)

    visible = change(1e-4) * 1e-6 > 100 * np.finfo(np.float64).eps * abs(y)
    return bool(visible.any() and not change(1e-10)[visible].any())


def _in_single(gradient: np.ndarray) -> bool:
    """Return whether all numbers are those of float32, and not only a few round ones."""
    return bool((gradient.astype(np.float32) == gradient).all()) and len(np.unique(abs(gradient[gradient != 0]))) > 3


def is_wrong(subject: Subject, gradients: Gradients, settings: Settings) -> bool:
    """Return whether the gradients are wrong, along one random direction of all arrays together."""
    if any(gradient.shape != subject.arrays[own].shape for own, gradient in gradients.items()):
        return True
    try:
        return compare_together(subject, gradients, settings, "all arrays").status.startswith("wrong")
    except ValueError:  # f is not finite there
        return False


def moved(x: np.ndarray, seed: int) -> np.ndarray:
    if x.dtype.kind != "f":
        return x
    return np.asarray(x * (1 + 0.01 * rng.generator(seed, "another x").uniform(-1, 1, x.shape)))


def _refuses(error: Exception) -> bool:
    """Return whether an error is a refusal: a ValueError that a `raise` outside of NumPy raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    own = os.path.dirname(np.__file__) not in last.filename
    return type(error) is ValueError and own and (last.line or "").startswith("raise")


def _failed(name: str, error: Exception) -> Point:
    return Point(name, "wrong", f"fails for {name}: {type(error).__name__}: {error}")


def _equal(one: Any, other: Any) -> bool:
    return one.shape == other.shape and bool(number((one == other).all()))


def _close(one: Any, other: Any) -> bool:
    """Return whether two arrays are equal but for the order of sums."""
    if one.shape != other.shape:
        return False
    size = number(abs(one).max()) if one.size else 0.0
    return bool(number((abs(one - other) <= 1e-9 * size).all())) or not np.isfinite(size)
