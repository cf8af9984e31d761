"""Compare answers with correct values, and name the mistake behind a wrong one."""

from __future__ import annotations

import re
import runpy
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
EXERCISES = sorted(path.stem for path in HERE.glob("[0-9]*.py"))
GAP = re.compile(r"^.*(=|return|,|^)\s*\.\.\.$", re.MULTILINE)
"""A line that the reader has to write."""
MATMUL = "the last axis of a product's left factor must be as long as the first of its right one"
"""Replaces NumPy's message, which names neither factor."""


class Mistake(Exception):
    """An error in an answer; its message explains it."""


def file_of(name: str) -> Path:
    return HERE / f"{name}.py"


def say(name: str) -> bool:
    """Print the mistake in an exercise, or that it is solved. Return True if there is a mistake."""
    wrong = examine(name, file_of(name))
    print("  " + (wrong or "solved").replace("\n", "\n  "), flush=True)
    return bool(wrong)


def teacher(name: str) -> dict[str, Any]:
    """Return the names in an exercise's check file: `HINTS`, and `check(answer)`, which raises Mistake."""
    return runpy.run_path(str(HERE / "checks" / f"{name}.py"))


def examine(name: str, path: Path) -> str:
    """Return the mistake in the answer in this file; an empty string if there is none."""
    if gap := GAP.search(text := path.read_text(encoding="utf-8")):
        return f"line {text[: gap.end()].count(chr(10)) + 1} is for you to write: {gap[0].strip()}"
    try:
        answer = SimpleNamespace(**runpy.run_path(str(path)))
        teacher(name)["check"](answer)
    except Mistake as mistake:
        return str(mistake)
    except (Exception, SystemExit) as error:
        return in_the_answer(error, path)
    return ""


def in_the_answer(error: BaseException, path: Path) -> str:
    """Return an exception in one line, and the line of the answer that raised it."""
    says = f"{type(error).__name__}: {MATMUL if str(error).startswith('matmul') else error}"
    if isinstance(error, SyntaxError):
        return f"line {error.lineno} is not Python yet, {says}"
    lines, walked = traceback.extract_tb(error.__traceback__), traceback.walk_tb(error.__traceback__)
    raised = [(line, frame) for line, (frame, _) in zip(lines, walked, strict=True) if line.filename == str(path)]
    if not raised:
        return f"what comes back cannot be used: {says}"
    line, frame = raised[-1]
    shapes = shapes_in(line.line or "", frame.f_locals) if isinstance(error, ValueError) else ""
    return f"line {line.lineno} raised {says}\n    {line.line}{shapes}"


def shapes_in(line: str, values: Mapping[str, Any]) -> str:
    """Return the shapes of the arrays that a line names."""
    names = [name for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", line)) if hasattr(values.get(name), "shape")]
    return "".join(f"\n    {name} has the shape {values[name].shape}" for name in names)


def compare(
    what: str, yours: Any, right: Any, mistakes: Mapping[str, Any] | None = None, tolerance: float = 1e-6
) -> None:
    """Raise Mistake unless yours equals right. The message is the one of `mistakes` whose value equals yours."""
    right = np.asarray(right, dtype=float)
    if yours is None:
        raise Mistake(f"{what} is None: is a return missing?")
    try:
        yours = np.asarray(yours, dtype=float)
    except (TypeError, ValueError):
        raise Mistake(f"{what} is {yours!r}; expected numbers in the shape {right.shape}") from None

    def same(numbers: Any) -> bool:
        return np.shape(numbers) == yours.shape and np.allclose(yours, numbers, tolerance, tolerance, equal_nan=True)

    if same(right):
        return
    for mistake, numbers in (mistakes or {}).items():
        if same(numbers):
            raise Mistake(f"{what}: {mistake}\n{evidence(what, yours, right)}")
    raise Mistake(f"{what} {unnamed(yours, right)}\n{evidence(what, yours, right)}")


def unnamed(yours: np.ndarray, right: np.ndarray) -> str:
    """Describe a wrong answer that matches none of the known mistakes."""
    if yours.shape != right.shape:
        return "has the wrong shape"
    if not np.isfinite(yours).all():
        return "is not finite everywhere"
    if not yours.any():
        return "is zero everywhere" if right.size > 1 else "is zero"
    ratio = (yours * right).sum() / (right * right).sum() if right.any() else 1.0
    if not np.allclose(yours, ratio * right):
        return "is not right"
    says = "has the wrong sign" if ratio == -1 else f"is {ratio:.4g} times what it should be"
    return f"{says}, everywhere" if right.size > 1 else says


def evidence(what: str, yours: np.ndarray, right: np.ndarray) -> str:
    """Return the number with the largest error, or the two shapes."""
    if yours.shape != right.shape:
        return f"    {what} has the shape {yours.shape}, and should have {right.shape}"
    off = np.abs(np.where(np.isfinite(yours), yours, np.inf) - right)
    index = np.unravel_index(off.argmax(), off.shape)
    position = f"[{', '.join(map(str, index))}]" if index else ""
    return f"    {what}{position} is {yours[index]:.6g}; measured: {right[index]:.6g}"


def slope(f: Callable[[Any], Any], x: Any, h: float = 1e-5) -> np.ndarray:
    """Return df/dx, measured as (f(x + h) - f(x - h)) / 2h for each number of x."""
    x = np.array(x, dtype=float)
    found = np.empty_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        found[index] = (f(x + step) - f(x - step)) / (2 * h)
    return found
