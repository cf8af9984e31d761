"""The comparison table: one row per network, with mean and standard deviation over the successful runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from ..training.evaluation import Evaluation
from . import Run

COLUMNS = ("network", "parameters", "train loss", "train accuracy", "val loss", "val accuracy")
TIMES, FAILED_RUNS = ("seconds", "samples/s"), "failed runs"


def table(groups: list[tuple[list[Run], list[Evaluation]]], failed_below: float) -> dict[str, Any]:
    """Return columns and rows. A cell has a text and a value to sort by."""
    figures = list(dict.fromkeys(name for runs, _ in groups for run in runs for name in run.figures))
    seeds = max(len(runs) for runs, _ in groups) > 1
    columns = [*COLUMNS, *figures, *TIMES, *([FAILED_RUNS] if seeds else [])]
    rows = [_row(runs, scores, figures, seeds, failed_below) for runs, scores in groups]
    return {"columns": columns, "rows": rows, "seeds": seeds, "failed_below": failed_below}


def _row(
    runs: list[Run], scores: list[Evaluation], figures: list[str], seeds: bool, failed_below: float
) -> list[dict[str, Any]]:
    """Return the cells of one network. Means are over the successful runs, or over all runs if none succeeded."""
    succeeded = [score.accuracy is not None and score.accuracy >= failed_below for score in scores]
    counted = [k for k in range(len(runs)) if succeeded[k]] or list(range(len(runs)))
    train = [training_score(runs[k]) for k in counted]
    trained = [run.history for run in runs if run.history]
    seconds = [sum(record.seconds for record in history) for history in trained]
    rows = [sum(record.rows for record in history) for history in trained]
    speed = [n / s for n, s in zip(rows, seconds, strict=True) if s > 0]
    cells = [
        {"text": runs[0].name, "spread": "", "sort": runs[0].name},
        _cell([runs[0].network.theta.size], "{:,.0f}"),
        _cell([score.loss for score in train], "{:.4f}"),
        _cell([score.accuracy for score in train], "{:.4f}"),
        _cell([scores[k].loss for k in counted], "{:.4f}"),
        _cell([scores[k].accuracy for k in counted], "{:.4f}"),
        *(_figure([runs[k].figures[name] for k in counted if name in runs[k].figures]) for name in figures),
        _cell([fmean(seconds)] if seconds else [], "{:,.1f}"),
        _cell([fmean(speed)] if speed else [], "{:,.0f}"),
    ]
    if seeds:
        failed = succeeded.count(False)
        cells.append({"text": f"{failed} of {len(runs)}", "spread": "", "sort": failed})
    return cells


def _cell(values: Sequence[float | None], form: str) -> dict[str, Any]:
    """Return the mean, and the standard deviation if values differ; a dash if there is no number."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return {"text": "\N{EN DASH}", "spread": "", "sort": None}
    mean = fmean(known)
    spread = stdev(known) if len(set(known)) > 1 else 0
    return {"text": form.format(mean), "spread": form.format(spread) if spread else "", "sort": mean}


def _figure(values: list[float]) -> dict[str, Any]:
    whole = all(float(value).is_integer() for value in values)
    return _cell(values, "{:.4f}" if not whole else "{:,.0f}" if len(set(values)) == 1 else "{:,.1f}")


def training_score(run: Run) -> Evaluation:
    """Return the score on the training data: as given, or the running means of the last epoch."""
    if run.train is not None:
        return Evaluation(*run.train)
    return Evaluation(run.history[-1].loss, run.history[-1].accuracy) if run.history else Evaluation(math.nan, None)
