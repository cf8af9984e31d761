"""The result of a gradient check: its comparisons, its contract, a table, and hints at what is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

MEANING = {
    "kink": "the claimed slope lies between the slopes on both sides",
    "zero": "f does not depend on it",
    "noisy": "too noisy to tell: rounding hides the slope",
}


@dataclass(frozen=True)
class Comparison:
    """gradient . v (`analytic`) and the difference quotient (`numeric`) along one direction of one array.

    `index` is the coordinate in a full check. error = |analytic - numeric| / scale, where the scale is the largest of
    |analytic|, |numeric| and |gradient * v|, which is the usual size of gradient . v. `status` is one of

    ok      both agree to the tolerance, or as far as rounding lets them
    wrong   they differ by more than rounding and the step explain; "wrong at a kink" if f has a kink here
    kink    f has a kink here, and the claimed slope lies between the slopes on both sides
    zero    both are zero
    noisy   rounding hides the slope, so that nothing can be told
    """

    name: str
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error: float
    status: str

    @property
    def digits(self) -> int:
        """The number of digits to which both agree."""
        return math.floor(-math.log10(min(max(self.error, 1e-15), 1.0)))

    def __str__(self) -> str:
        index = list(self.index) if self.index else ""
        return f"{self.name}{index}: backward {self.analytic:.9g}, difference quotient {self.numeric:.9g}"


class Point(NamedTuple):
    """One point of the contract: "ok", "wrong" or "note", and what is wrong with it."""

    name: str
    status: str
    hint: str = ""


class GradientReport(list[Comparison]):
    """All comparisons; `contract`, what was checked besides; `hints`: what looks wrong, with the arrays concerned.

    bool(report) = nothing is wrong or too noisy to tell, and something was tested. So `assert gradient_check(...)` is a
    test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.contract: list[Point] = []
        self.hints: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        tested = any(entry.status in ("ok", "kink") for entry in self)
        return tested and not self.failures and not any(point.status == "wrong" for point in self.contract)

    @property
    def failures(self) -> list[Comparison]:
        """The comparisons that are wrong or too noisy to tell."""
        return [entry for entry in self if entry.status not in ("ok", "kink", "zero")]

    @property
    def worst(self) -> Comparison | None:
        """The comparison with the largest relative error, without those at a kink and of slopes that are zero."""
        compared = (entry for entry in self if entry.status not in ("kink", "zero"))
        return max(compared, key=lambda entry: entry.error, default=None)

    @property
    def wrong(self) -> list[str]:
        """Names of the arrays whose gradient is wrong."""
        return list(dict.fromkeys(entry.name for entry in self if entry.status.startswith("wrong")))

    def note(self, point: Point) -> None:
        """Add a point of the contract, and its hint if it is wrong."""
        self.contract.append(point)
        self.add_hint(point.hint if point.status == "wrong" else "", point.name)

    def add_hint(self, hint: str, name: str) -> None:
        """Note what looks wrong with an array, or with the whole function."""
        if hint:
            self.hints.setdefault(hint, []).append(name)

    def __repr__(self) -> str:
        wrong = [point for point in self.contract if point.status == "wrong"]
        failed = len(self.failures) + len(wrong)
        outcome = "passed" if self else "FAILED" if failed else "FAILED: nothing was tested, every slope is zero"
        arrays = list(dict.fromkeys(entry.name for entry in self))
        points = [f"{point.name}" for point in self.contract]
        width = max([24, *map(len, arrays), *map(len, points)])
        lines = [
            f"gradient check {outcome}: {len(self)} comparisons, {len(self.contract)} other checks, {failed} failed"
        ]
        lines += [self._line(name, width) for name in arrays]
        lines += [f"  {point.name:<{width}} {point.status:>6}   {point.hint}".rstrip() for point in self.contract]
        lines += [f"worst: {self.worst} (relative error {self.worst.error:.1e})"] if self.worst else []
        for hint, names in self.hints.items():
            lines.append(f"hint: {hint} ({'everywhere' if names == arrays else ', '.join(names)})")
        return "\n".join(lines)

    def _line(self, name: str, width: int) -> str:
        entries = [entry for entry in self if entry.name == name]
        statuses = list(dict.fromkeys(entry.status for entry in entries))
        compared = [entry for entry in entries if entry.status not in ("kink", "zero")]
        worst = max(compared, key=lambda entry: entry.error, default=None)
        digits = f"{worst.digits:>2} digits (relative error {worst.error:.1e})   " if worst else ""
        told = ", ".join(f"{status} ({MEANING[status]})" if status in MEANING else status for status in statuses)
        return f"  {name:<{width}} {len(entries):>4} x   {digits}{told}"
