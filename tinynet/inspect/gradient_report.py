"""The result of a gradient check: its comparisons, a table, and hints at what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """gradient . v (`analytic`) and the difference quotient (`numeric`) along one direction of one array.

    `index` is the coordinate in a full check. `status` is "ok", "wrong", "kink" (f has a corner here, so the comparison
    is skipped) or "zero" (both numbers are zero in the whole array, so nothing was tested).
    error = |analytic - numeric| / max(|analytic|, |numeric|, 1e-4, 1e-4 |f|)
    """

    name: str
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error: float
    status: str

    def __str__(self) -> str:
        index = list(self.index) if self.index else ""
        return f"{self.name}{index}: backward {self.analytic:.9g}, difference quotient {self.numeric:.9g}"


class GradientReport(list[Comparison]):
    """All comparisons, and `hints`: what looks wrong, with the names of the arrays concerned.

    bool(report) = nothing failed, and every array was tested at least once. So `assert gradient_check(...)` is a test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hints: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return not self.failures and not self.untested

    @property
    def failures(self) -> list[Comparison]:
        return [entry for entry in self if entry.status in ("wrong", "zero")]

    @property
    def skipped(self) -> list[Comparison]:
        return [entry for entry in self if entry.status == "kink"]

    @property
    def untested(self) -> set[str]:
        """Names of the arrays whose comparisons were all skipped."""
        return {entry.name for entry in self} - {entry.name for entry in self if entry.status != "kink"}

    @property
    def worst(self) -> Comparison | None:
        """The comparison with the largest relative error, without those at a kink."""
        return max((e for e in self if e.status != "kink"), key=lambda e: e.error, default=None)

    def __repr__(self) -> str:
        counts = f"{len(self)} comparisons, {len(self.failures)} failed, {len(self.skipped)} skipped at a kink"
        outcome = (
            "passed" if self else "FAILED" if self.failures else "tested nothing of " + ", ".join(sorted(self.untested))
        )
        lines = [f"gradient check {outcome}: {counts}"]
        arrays = list(dict.fromkeys(entry.name for entry in self))
        width = max([24, *map(len, arrays)])
        for name in arrays:
            entries = [entry for entry in self if entry.name == name]
            statuses = ", ".join(dict.fromkeys(entry.status for entry in entries))
            error = max(entry.error for entry in entries)
            lines.append(f"  {name:<{width}} {len(entries):>6} x   largest relative error {error:.1e}   {statuses}")
        lines += [f"worst: {self.worst} (relative error {self.worst.error:.1e})"] if self.worst else []
        for hint, names in self.hints.items():
            lines.append(f"hint: {hint} ({'everywhere' if names == arrays else ', '.join(names)})")
        return "\n".join(lines)


def guess(comparisons: Sequence[Comparison], transposed: Sequence[float], N: int) -> str:
    """Return what looks wrong with one array's gradient; "" if nothing does, or nothing familiar.

    `transposed` holds gradient . v for the transposed gradient; `N` is the number of rows in the batch.
    """
    if any(entry.status == "zero" for entry in comparisons):
        return "zero on both sides, nothing tested: f is flat here, such as behind dead ReLUs or before a normalization"
    wrong = [k for k, entry in enumerate(comparisons) if entry.status == "wrong"]
    analytic = np.array([comparisons[k].analytic for k in wrong])
    numeric = np.array([comparisons[k].numeric for k in wrong])
    if not wrong:
        return ""
    if np.isnan(analytic).any():
        return "not written; write into the view, self.dW[...] = or out=self.dW, and never rebind it"
    if not analytic.any():
        return "backward gives zero"
    for ratio, text in _familiar_ratios(N).items():
        if np.allclose(analytic, ratio * numeric, rtol=1e-4, atol=0):
            return text
    return "transposed" if np.allclose(np.array(transposed)[wrong], numeric, rtol=1e-4, atol=0) else ""


def _familiar_ratios(N: int) -> dict[float, str]:
    ratios = {-1: "the sign is wrong", 2: "2 times too large", 1 / 2: "2 times too small: a factor 2 is missing"}
    if N > 1:
        ratios[N] = f"N = {N} times too large: a sum over the batch where forward has the mean"
        ratios[1 / N] = f"N = {N} times too small: the mean over the batch is taken twice"
    return ratios
