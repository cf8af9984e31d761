"""What a gradient check asks besides the numbers: repeated calls, other rows, other memory layouts, other types."""

from __future__ import annotations

import os
import textwrap
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import rng
from .compare import Settings, compare_together
from .report import Point
from .subject import Gradients, Subject, number, unit_of

NOT_DEFINED = (ArithmeticError, ValueError, IndexError)
"""Errors of a function where it is not defined."""


@dataclass(frozen=True)
class Family:
    """The same function for other arguments: `make(dy_for, *xs, *rest)`, where dy = dy_for(y) if it has a dy.

    `xs` are arrays of floats, whose values and memory layout may change. `rest` are targets. If `has_rows`, all have a
    row for each row of the only x, and their number may change.
    """

    make: Callable[..., Subject]
    xs: list[np.ndarray]
    rest: list[Any]
    has_rows: bool
    has_dy: bool
    seed: int

    def dy(self, y: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return random numbers of y's shape and of both signs, none of them small."""
        draw = rng.generator(self.seed + seed, "dy")
        return np.asarray(draw.uniform(0.5, 1.5, y.shape) * draw.choice([-1.0, 1.0], y.shape))

    def same(self, scale: float = 1.0) -> Subject:
        """Return the function for the arguments themselves, as copies, and for a multiple of dy."""
        return self.make(lambda y: scale * self.dy(y), *(x.copy() for x in self.xs), *self.rest)

    def other(self, scale: Callable[[np.ndarray], Any] = np.ones_like) -> Subject:
        """Return the function for another dy, where every number of x is up to 1 % smaller, times scale(x).

        Rows change their order, those of targets to another one.
        """
        xs, rest = [np.asarray(moved(x, self.seed) * scale(x)) for x in self.xs], self.rest
        if self.has_rows:
            xs, rest = [xs[0][::-1].copy()], [np.roll(t, 1, axis=0) for t in rest]
        return self.make(lambda y: self.dy(y, 1), *xs, *rest)


def repeated(subject: Subject) -> tuple[Gradients, Point]:
    """Return the gradients, and whether a second call of forward and of backward gives the same.

    The gradients are NaN for a parameter that backward leaves as it was.
    """
    name, before = "a second call gives the same", {own: array.copy() for own, array in subject.arrays.items()}
    first, again = subject.terms(), subject.terms()
    gradients = subject.gradients(0.0)
    for own, array in subject.arrays.items():
        if not _equal(array, before[own]):
            return gradients, Point(name, "wrong", f"wrote into {own}, which only an optimizer may change")
    if not np.array_equal(first, again, equal_nan=True):
        return gradients, Point(name, "wrong", "forward is random, or remembers: two calls with the same x differ")
    filled, twice = subject.gradients(1.0), subject.gradients(1.0, twice=True)
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
    try:
        other.outputs()
    except NOT_DEFINED as error:
        return Point(name, "note", _refused("a slightly smaller x", error))
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


def for_other_sizes_of_dy(family: Family) -> Point:
    """Check that backward is linear: a multiple of dy gives that multiple of all gradients."""
    name, expected = "a multiple of dy", family.same().gradients(0.0)
    for scale in (1e-6, 1e6):
        found = family.same(scale).gradients(0.0)
        if unequal({own: gradient * scale for own, gradient in expected.items()}, found):
            return Point(name, "wrong", f"not linear in dy: {scale:g} times dy gives another gradient")
    return Point(name, "ok")


def for_other_rows(family: Family, settings: Settings) -> Iterator[Point]:
    """Compare for one row, and for one row more than x has."""
    (x,) = family.xs
    for rows in {1: [0], len(x) + 1: [*range(len(x)), 0]}.values():
        name = f"N = {len(rows)}"
        try:
            subject = family.make(family.dy, moved(x[rows], settings.seed), *(t[rows] for t in family.rest))
            wrong = is_wrong(subject, subject.gradients(0.0), settings)
        except Exception as error:
            yield Point(name, "note", _refused(name, error)) if _refuses(error) else _failed(name, error)
        else:
            yield Point(name, "wrong", f"wrong for {name}") if wrong else Point(name, "ok")


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran-ordered": lambda array: np.array(array, order="F"),
    "strided": lambda array: np.repeat(array[..., None], 2, axis=-1)[..., 0],
    "read-only": lambda array: array.copy(),
}


def for_other_layouts(family: Family) -> Iterator[Point]:
    """Compare outputs and gradients with those for x and dy in other memory layouts."""
    subject = family.same()
    expected = subject.to_host(subject.outputs()), subject.gradients(0.0)
    for layout, lay_out in LAYOUTS.items():
        name = f"{layout} x and dy"

        def laid_out(array: np.ndarray, lay_out: Any = lay_out, layout: str = layout) -> np.ndarray:
            array = np.asarray(lay_out(array))
            array.flags.writeable = layout != "read-only"
            return array

        try:
            other = family.make(
                lambda y, laid_out=laid_out: laid_out(family.dy(y)), *map(laid_out, family.xs), *family.rest
            )
            found = other.to_host(other.outputs()), other.gradients(0.0)
        except Exception as error:
            yield _failed(name, error)
        else:
            same = is_close(expected[0], found[0]) and not unequal(expected[1], found[1])
            yield Point(name, "ok") if same else Point(name, "wrong", f"gives another result for {name}")


def stays_float32(found: dict[str, Any]) -> Point:
    """Check that all arrays are float32. Numbers of Python have no dtype."""
    wrong = [own for own, array in found.items() if type(array) is not float and array.dtype != np.float32]
    if not wrong:
        return Point("float32", "ok")
    return Point("float32", "wrong", f"promotes float32 to {found[wrong[0]].dtype} in {wrong[0]}")


def precision(family: Family) -> Point:
    """Check that forward and backward compute in float64 for an x in float64."""
    name, subject = "float64", family.other()
    try:
        y = subject.to_host(subject.outputs())
    except NOT_DEFINED as error:
        return Point(name, "note", _refused("a slightly smaller x", error))
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

    large, half = change(1e-4), change(5e-5)
    straight = abs(large - 2 * half) < 0.1 * large
    visible = straight & (large * 1e-6 > 100 * np.finfo(np.float64).eps * abs(y))
    return bool(visible.any() and not change(1e-10)[visible].any())


def _in_single(gradient: np.ndarray) -> bool:
    """Return whether all numbers are those of float32, and not only a few round ones."""
    return bool((gradient.astype(np.float32) == gradient).all()) and len(np.unique(abs(gradient[gradient != 0]))) > 8


def is_wrong(subject: Subject, gradients: Gradients, settings: Settings) -> bool:
    """Return whether the gradients are wrong, along one random direction of all arrays together."""
    if any(gradient.shape != subject.arrays[own].shape for own, gradient in gradients.items()):
        return True
    try:
        return compare_together(subject, gradients, settings, "all arrays").status.startswith("wrong")
    except NOT_DEFINED:
        return False


def moved(x: np.ndarray, seed: int, most: float = 0.01) -> np.ndarray:
    """Return x with every number up to 1 % smaller, and zeros a little above zero."""
    if x.dtype.kind != "f":
        return x
    u = most * rng.generator(seed, "another x").uniform(size=x.shape)
    return np.asarray(np.where(x == 0, u * unit_of(x), x * (1 - u)))


def _refused(what: str, error: Exception) -> str:
    return f"refuses {what}: {textwrap.shorten(str(error), 80)}"


def _refuses(error: Exception) -> bool:
    """Return whether an error is a refusal: a ValueError that a `raise` outside of NumPy raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    own = os.path.dirname(np.__file__) not in last.filename
    return type(error) is ValueError and own and (last.line or "").startswith("raise")


def _failed(name: str, error: Exception) -> Point:
    return Point(name, "wrong", f"fails for {name}: {type(error).__name__}: {error}")


def _equal(one: Any, other: Any) -> bool:
    return one.shape == other.shape and bool(number((one == other).all()))


def unequal(one: Gradients, other: Gradients, tolerance: float = 1e-9, least: float = 1e-6) -> list[str]:
    """Return the names of the gradients that differ. A gradient that is tiny beside others may consist of rounding."""
    largest = max((_size(gradient) for gradient in one.values()), default=0.0)
    return [own for own in other if not is_close(one[own], other[own], tolerance, least * largest)]


def is_close(one: Any, other: Any, tolerance: float = 1e-9, least: float = 0.0) -> bool:
    """Return whether two arrays are equal, relative to their largest number; whatever is not finite is left out."""
    if one.shape != other.shape:
        return False
    size = max(_size(one), least)
    return bool(number((abs(one - other) <= tolerance * size).all())) or not np.isfinite(size)


def _size(array: Any) -> float:
    return number(abs(array).max()) if array.size else 0.0
