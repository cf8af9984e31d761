"""What there is to show: tables, answers, mistakes, disagreements, as plain numbers and lists that JSON can hold."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from .. import data
from ..layers.residual import features_in
from ..network import Network
from ..training.evaluation import Evaluation, evaluate
from ..training.history import Record
from ..training.input_validation import loss_for
from . import Run, backprop, weights
from .table import COLUMNS, FAILED_RUNS, TIMES, table, training_score

SIDE = 28
MOST_OF_A_CELL, MOST_OF_A_LIST, MOST_DISAGREEMENTS = 40, 24, 36
MOST_ROWS = 4000


def checked(runs: Sequence[Run], validation: tuple[Any, Any] | None) -> tuple[list[Run], np.ndarray, np.ndarray]:
    """The runs, and the rows and labels to compare them on; TypeError or ValueError if they do not go together."""
    runs = list(runs)
    strangers = [run for run in runs if not isinstance(run, Run)]
    if strangers or not runs:
        raise TypeError(f"report takes tn.Run(name, network, history), one or more; got {strangers[:1] or 'none'}")
    for run in runs:
        _check_run(run)
    widths = {run.name: features_in(run.network.layers) for run in runs}
    _check_same("inputs", {name: D for name, D in widths.items() if D})
    for name in {run.name for run in runs}:
        sizes = {run.network.theta.size for run in runs if run.name == name}
        if len(sizes) > 1:
            raise ValueError(f"report takes runs of one name as one network; {name!r} has {sorted(sizes)} parameters")
    if validation is None:
        row = _row_of_digits([run.network for run in runs])
        digits = data.mnist_split()
        validation = digits.x_val.reshape(-1, *row), digits.y_val
    if len(validation) != 2:
        raise ValueError(f"report takes validation=(x, labels), got {len(validation)} of them")
    x, labels = np.asarray(validation[0]), np.asarray(validation[1])
    _check_labels(runs, x, labels)
    return runs, x, labels.astype(int)


def _row_of_digits(networks: list[Network]) -> tuple[int, ...]:
    """A digit as networks take it: a row of its pixels, or a picture of one channel if one of them takes pictures."""
    of_pictures = [network for network in networks if not features_in(network.layers)]
    row = (1, SIDE, SIDE) if of_pictures else (SIDE * SIDE,)
    try:
        (of_pictures or networks)[0].output_shape(row)
    except ValueError:
        needed = f"report takes validation=(x, labels) for networks without {SIDE * SIDE} inputs, got none"
        raise ValueError(needed) from None
    return row


def _check_run(run: Run) -> None:
    if not isinstance(run.name, str) or not run.name.strip() or not isinstance(run.network, Network):
        raise TypeError(f"report: a tn.Run takes a name and a network, got {run.name!r} and {run.network!r:.60}")
    if not all(isinstance(record, Record) for record in run.history):
        raise TypeError(f"report: {run.name!r} takes the History that fit returned, got {run.history!r:.60}")
    if not all(isinstance(value, Real) for value in run.figures.values()):
        raise TypeError(f"report: {run.name!r} takes figures that are numbers, got {run.figures}")
    if taken := {*COLUMNS, *TIMES, FAILED_RUNS}.intersection(run.figures):
        raise ValueError(
            f"report: {run.name!r} has figures named {sorted(taken)}, as columns of the table are; rename them"
        )
    if run.network.loss and not run.network.loss.classifies:
        raise ValueError(
            f"report compares networks that tell classes apart, but {run.name!r} was trained with {run.network.loss}, "
            "which knows none; leave it out, and see history.plot() for how it learned"
        )
    if not np.isfinite(run.network.backend.to_host(run.network.theta)).all():
        raise ValueError(f"report: {run.name!r} has parameters that are not finite; leave it out, or train it anew")


def _check_same(what: str, counts: dict[str, int | None]) -> None:
    if len(set(counts.values())) > 1:
        raise ValueError(f"report compares networks with the same {what}; got {counts}: write a report for each kind")


def _check_labels(runs: list[Run], x: np.ndarray, labels: np.ndarray) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(x):
        raise ValueError(f"report takes labels ({len(x)},), whole numbers, got {labels.dtype} {labels.shape}")
    classes: dict[str, int | None] = {run.name: _probabilities(run, x[:1]).shape[1] for run in runs}
    _check_same("classes", classes)
    K = classes[runs[0].name] or 0
    if labels.min() < 0 or labels.max() >= K:
        got = f"{labels.min()} .. {labels.max()}"
        raise ValueError(f"report takes labels 0 .. {K - 1}, as many as the networks know, got {got}")


def collect(runs: list[Run], x: np.ndarray, labels: np.ndarray, title: str, failed_below: float) -> dict[str, Any]:
    """Everything on the page. What several seeds share is in the table; all else is about each name's first run."""
    groups = {name: [run for run in runs if run.name == name] for name in dict.fromkeys(run.name for run in runs)}
    firsts = [group[0] for group in groups.values()]
    p = np.stack([_probabilities(run, x) for run in firsts])
    scores = {id(run): evaluate(run.network, x, labels) for run in runs}
    pictures = shows_pictures(x)
    crowded = sum(run.network.theta.size for run in firsts) > weights.MOST
    networks = [_network(run, scores[id(run)], p[k], x, labels, pictures, crowded) for k, run in enumerate(firsts)]
    disagreements = _disagreements(p.argmax(axis=2))
    shown, most_of_a_cell = _shown(networks, disagreements["rows"], p, labels)
    place = {row: k for k, row in enumerate(shown)}
    for network, its_p in zip(networks, p, strict=True):
        network["said"] = its_p[shown].argmax(axis=1).tolist()
        network["sure"] = [round(value, 4) for value in its_p[shown].max(axis=1).tolist()]
        for name in ("least_certain", "surest_mistakes"):
            network[name] = [place[row] for row in network[name]]
    disagreements["rows"] = [place[row] for row in disagreements["rows"]]
    return {
        "title": title,
        "classes": p.shape[2],
        "validation": len(x),
        "pictures": pictures,
        "losses": _losses(firsts),
        "running_means": any(run.train is None for run in runs),
        "pad": any(network["layers"] for network in networks),
        "table": table([(group, [scores[id(run)] for run in group]) for group in groups.values()], failed_below),
        "most_of_a_cell": most_of_a_cell,
        "networks": networks,
        "disagreements": disagreements,
        "digits": {
            "rows": shown,
            "labels": labels[shown].tolist(),
            "pixels": weights.text(pixels(x[shown])) if pictures else None,
        },
        "backprop": _backprop(firsts, p, x, labels),
    }


def _probabilities(run: Run, x: np.ndarray) -> np.ndarray:
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            p = weights.probabilities(run.network, x)
    except ValueError as error:
        raise ValueError(f"report: {run.name!r} cannot be shown: {error}") from None
    if not np.isfinite(p).all():
        raise ValueError(
            f"report: {run.name!r} gives probabilities that are not finite; leave it out, or train it anew"
        )
    if p.min() < 0 or p.max() > 1.001:
        raise ValueError(
            f"report takes probabilities from 0 to 1, but {run.name!r} gives {p.min():.3g} to {p.max():.3g}; "
            "`predictions` of its loss makes probabilities of what the network gives"
        )
    return p


def _losses(runs: list[Run]) -> dict[str, list[str]]:
    """The losses that the networks were trained with, each with its networks."""
    losses = [f"{loss_for(run.network)}".removesuffix("()") for run in runs]
    return {loss: [run.name for run, its in zip(runs, losses, strict=True) if its == loss] for loss in losses}


def shows_pictures(x: np.ndarray) -> bool:
    """Whether rows are 28 x 28 pixels, flat or not, as uint8 or from 0 to 1."""
    sides = [side for side in x.shape[1:] if side > 1]
    return sides in ([SIDE * SIDE], [SIDE, SIDE]) and (x.dtype == np.uint8 or bool(x.min() >= 0 and x.max() <= 1))


def pixels(x: np.ndarray) -> np.ndarray:
    return x if x.dtype == np.uint8 else np.round(x * 255).astype(np.uint8)


# ---------------------------------------------------------------------------------------- each network


def _network(
    run: Run, score: Evaluation, p: np.ndarray, x: np.ndarray, labels: np.ndarray, pictures: bool, crowded: bool
) -> dict[str, Any]:
    said, sure = p.argmax(axis=1), p.max(axis=1)
    confusion = np.zeros((p.shape[1], p.shape[1]), int)
    np.add.at(confusion, (labels, said), 1)
    wrong = np.flatnonzero(said != labels)
    layers = weights.layers(run.network) if pictures else None
    packed = weights.pack(run.network, x, p, crowded) if layers else None
    return {
        "name": run.name,
        "parameters": run.network.theta.size,
        "summary": run.network.summary(x.shape[1:]),
        "history": {
            field: [_finite(getattr(record, field)) for record in run.history]
            for field in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
        },
        "train": [_finite(value) for value in training_score(run)],
        "validation": [_finite(value) for value in score],
        "confusion": confusion.tolist(),
        "least_certain": np.argsort(sure, kind="stable")[:MOST_OF_A_LIST].tolist(),
        "surest_mistakes": wrong[np.argsort(-sure[wrong], kind="stable")][:MOST_OF_A_LIST].tolist(),
        "layers": layers,
        "weights": packed.text if packed else None,
        "precision": packed.precision if packed else None,
        "largest_change": packed.largest_change if packed else None,
    }


def _finite(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


# ------------------------------------------------------------------------------------- rows to be shown


def _disagreements(said: np.ndarray) -> dict[str, Any]:
    """Rows on which the networks differ, the most divided first: those whose largest party is smallest."""
    classes = int(said.max()) + 1
    votes = np.stack([(said == k).sum(axis=0) for k in range(classes)])
    divided = np.flatnonzero(votes.max(axis=0) < len(said))
    order = np.lexsort((-(votes[:, divided] > 0).sum(axis=0), votes[:, divided].max(axis=0)))
    return {"total": len(divided), "rows": divided[order][:MOST_DISAGREEMENTS].tolist()}


def _shown(
    networks: list[dict[str, Any]], disagreements: list[int], p: np.ndarray, labels: np.ndarray
) -> tuple[list[int], int]:
    """The rows that any list or any cell of a confusion matrix shows, and how many a cell shows at most.

    Of poor networks, with rows in many cells, each shows fewer.
    """
    listed = set(disagreements).union(*(network["least_certain"] + network["surest_mistakes"] for network in networks))
    most, rows = MOST_OF_A_CELL, _of_cells(MOST_OF_A_CELL, p, labels)
    while len(rows) > MOST_ROWS and most > 1:
        most //= 2
        rows = _of_cells(most, p, labels)
    return sorted(listed | rows), most


def _of_cells(most: int, p: np.ndarray, labels: np.ndarray) -> set[int]:
    """The surest rows of every cell of every network's confusion matrix."""
    rows: set[int] = set()
    for its_p in p:
        cells = labels * p.shape[2] + its_p.argmax(axis=1)
        order = np.lexsort((-its_p.max(axis=1), cells))
        _, starts = np.unique(cells[order], return_index=True)
        place_in_cell = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
        rows.update(order[place_in_cell < most].tolist())
    return rows


def _backprop(runs: list[Run], p: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, Any] | None:
    """One step of the smallest network that one row can train, which BatchNorm of rows refuses; None if there is none.

    The row is one that it reads right and not too surely: there is much to see.
    """
    for k in sorted(range(len(runs)), key=lambda k: runs[k].network.theta.size):
        right = p[k][np.arange(len(labels)), labels]
        row = int(np.argmin(np.abs(right - 0.6) + (p[k].argmax(axis=1) != labels)))
        values = x[[row]].astype(np.float64) / (255 if x.dtype == np.uint8 else 1)
        with contextlib.suppress(ValueError):
            step = backprop.trace(runs[k].network, values, int(labels[row]))
            return step | {"network": runs[k].name, "row": row}
    return None
