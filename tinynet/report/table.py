"""The comparison as a table: a row a network, over several seeds mean and spread of the runs that worked."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import Any

from ..evaluation import Evaluation
from . import Run

FAILED = 0.85
"""Below this validation accuracy a run has lost a class or more, and counts in no mean."""


def table(groups: list[tuple[list[Run], list[Evaluation]]]) -> dict[str, Any]:
    """Columns and rows; a cell is what it shows and the number it is sorted by."""
    figures = list(dict.fromkeys(name for runs, _ in groups for run in runs for name in run.figures))
    seeds = max(len(runs) for runs, _ in groups) > 1
    columns = ["network", "parameters", "train loss", "train accuracy", "val loss", "val accuracy", *figures]
    columns += ["seconds", "samples/s", *(["failed runs"] if seeds else [])]
    return {"columns": columns, "rows": [_row(runs, scores, figures, seeds) for runs, scores in groups]}


def _row(runs: list[Run], scores: list[Evaluation], figures: list[str], seeds: bool) -> list[dict[str, Any]]:
    sound = [k for k, score in enumerate(scores) if score.accuracy >= FAILED] or list(range(len(runs)))
    train = [training_score(runs[k]) for k in sound]
    seconds = [sum(record.seconds for record in run.history) for run in runs]
    rows = [sum(record.rows for record in run.history) for run in runs]
    speed = [n / s for n, s in zip(rows, seconds, strict=True) if s > 0]
    cells = [
        {"text": runs[0].name, "spread": "", "sort": runs[0].name},
        _cell([runs[0].network.theta.size], "{:,.0f}"),
        _cell([score.loss for score in train], "{:.4f}"),
        _cell([score.accuracy for score in train], "{:.4f}"),
        _cell([scores[k].loss for k in sound], "{:.4f}"),
        _cell([scores[k].accuracy for k in sound], "{:.4f}"),
        *(_figure([runs[k].figures[name] for k in sound if name in runs[k].figures]) for name in figures),
        _cell([fmean(seconds)], "{:,.1f}"),
        _cell([fmean(speed)] if speed else [], "{:,.0f}"),
    ]
    if seeds:
        failed = sum(score.accuracy < FAILED for score in scores)
        cells.append({"text": f"{failed} of {len(runs)}", "spread": "", "sort": failed})
    return cells


def _cell(values: list[float], form: str) -> dict[str, Any]:
    """The mean, and with several different values their standard deviation."""
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return {"text": "-", "spread": "", "sort": None}
    mean = fmean(values)
    spread = stdev(values) if len(set(values)) > 1 else 0
    return {"text": form.format(mean), "spread": form.format(spread) if spread else "", "sort": mean}


def _figure(values: list[float]) -> dict[str, Any]:
    return _cell(values, "{:,.0f}" if all(float(value).is_integer() for value in values) else "{:.4f}")


def training_score(run: Run) -> Evaluation:
    """On the training data: as given, else the last epoch's running means."""
    if run.train is not None:
        return Evaluation(*run.train)
    return Evaluation(run.history[-1].loss, run.history[-1].accuracy) if run.history else Evaluation(math.nan, math.nan)
