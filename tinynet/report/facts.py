"""Collects the content of the page: tables, answers, mistakes and disagreements, as JSON values."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from .. import data
from ..inspect.summary import layer_table
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
    """Return the runs, rows and labels to compare. Raises TypeError or ValueError if they do not match."""
    runs = list(runs)
    others = [run for run in runs if not isinstance(run, Run)]
    if others or not runs:
        raise TypeError(f"report: expected one or more tn.Run(name, network, history), got {others[:1] or 'none'}")
    for run in runs:
        _check_run(run)
    widths = {run.name: features_in(run.network.layers) for run in runs}
    _check_same("inputs", {name: D for name, D in widths.items() if D})
    for name in {run.name for run in runs}:
        sizes = {run.network.theta.size for run in runs if run.name == name}
        if len(sizes) > 1:
            got = f"{name!r} with {sorted(sizes)} parameters"
            raise ValueError(f"report: expected runs of one name to be one network, got {got}")
    if validation is None:
        row = _row_of_digits([run.network for run in runs])
        digits = data.mnist_split()
        validation = digits.x_val.reshape(-1, *row), digits.y_val
    if len(validation) != 2:
        raise ValueError(f"report: expected validation=(x, labels), got {len(validation)} arrays")
    x, labels = np.asarray(validation[0]), np.asarray(validation[1])
    _check_labels(runs, x, labels)
    return runs, x, labels.astype(int)


def _row_of_digits(networks: list[Network]) -> tuple[int, ...]:
    """Return the input shape for MNIST: a row of pixels, or a picture of one channel if a network takes pictures."""
    of_pictures = [network for network in networks if not features_in(network.layers)]
    row = (1, SIDE, SIDE) if of_pictures else (SIDE * SIDE,)
    try:
        (of_pictures or networks)[0].output_shape(row)
    except ValueError:
        needed = f"report: networks without {SIDE * SIDE} inputs need validation=(x, labels), got none"
        raise ValueError(needed) from None
    return row


def _check_run(run: Run) -> None:
    name = f"report: {run.name!r}"
    if not isinstance(run.name, str) or not run.name.strip() or not isinstance(run.network, Network):
        got = f"{run.name!r} and {run.network!r:.60}"
        raise TypeError(f"report: expected a tn.Run with a name and a network, got {got}")
    if not all(isinstance(record, Record) for record in run.history):
        raise TypeError(f"report: expected the History that fit returned for {run.name!r}, got {run.history!r:.60}")
    if not all(isinstance(value, Real) for value in run.figures.values()):
        raise TypeError(f"report: expected numbers as figures of {run.name!r}, got {run.figures}")
    if taken := {*COLUMNS, *TIMES, FAILED_RUNS}.intersection(run.figures):
        raise ValueError(f"{name} has figures {sorted(taken)}, which are names of other columns; rename them")
    if run.network.loss and not run.network.loss.classifies:
        fix = "leave it out and use history.plot() for its learning curves"
        raise ValueError(f"report: expected classifiers, but {run.name!r} was trained with {run.network.loss}; {fix}")
    if not np.isfinite(run.network.backend.to_host(run.network.theta)).all():
        raise ValueError(f"{name} has parameters that are not finite; leave it out or train it again")


def _check_same(what: str, counts: dict[str, int | None]) -> None:
    if len(set(counts.values())) > 1:
        raise ValueError(f"report: expected the same number of {what}, got {counts}; write separate reports")


def _check_labels(runs: list[Run], x: np.ndarray, labels: np.ndarray) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(x):
        raise ValueError(f"report: expected integer labels ({len(x)},), got {labels.dtype} {labels.shape}")
    classes: dict[str, int | None] = {run.name: _probabilities(run, x[:1]).shape[1] for run in runs}
    _check_same("classes", classes)
    K = classes[runs[0].name] or 0
    if labels.min() < 0 or labels.max() >= K:
        got = f"{labels.min()} .. {labels.max()}"
        raise ValueError(f"report: expected labels 0 .. {K - 1}, the classes of the networks, got {got}")


def collect(runs: list[Run], x: np.ndarray, labels: np.ndarray, title: str, failed_below: float) -> dict[str, Any]:
    """Return the content of the page. Only the table covers all seeds; the rest shows the first run of each name."""
    groups = {name: [run for run in runs if run.name == name] for name in dict.fromkeys(run.name for run in runs)}
    firsts = [group[0] for group in groups.values()]
    p = np.stack([_probabilities(run, x) for run in firsts])
    scores = {id(run): evaluate(run.network, x, labels) for run in runs}
    pictures = shows_pictures(x)
    crowded = sum(run.network.theta.size for run in firsts) > weights.MOST
    networks = [_network(run, scores[id(run)], p[k], x, labels, pictures, crowded) for k, run in enumerate(firsts)]
    disagreements = _disagreements(p.argmax(axis=2))
    shown, most_of_a_cell = _shown(networks, disagreements["rows"], p, labels)
    index = {row: k for k, row in enumerate(shown)}
    for network, its_p in zip(networks, p, strict=True):
        network["said"] = its_p[shown].argmax(axis=1).tolist()
        network["sure"] = [round(value, 4) for value in its_p[shown].max(axis=1).tolist()]
        for name in ("least_certain", "surest_mistakes"):
            network[name] = [index[row] for row in network[name]]
    disagreements["rows"] = [index[row] for row in disagreements["rows"]]
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
            f"report: {run.name!r} gives probabilities that are not finite; leave it out or train it again"
        )
    if p.min() < 0 or p.max() > 1.001:
        got = f"{run.name!r} gives {p.min():.3g} to {p.max():.3g}"
        fix = "`predictions` of its loss must turn outputs into probabilities"
        raise ValueError(f"report: expected probabilities from 0 to 1, but {got}; {fix}")
    return p


def _losses(runs: list[Run]) -> dict[str, list[str]]:
    """Return the names of the networks for each loss."""
    losses = [f"{loss_for(run.network)}".removesuffix("()") for run in runs]
    return {loss: [run.name for run, its in zip(runs, losses, strict=True) if its == loss] for loss in losses}


def shows_pictures(x: np.ndarray) -> bool:
    """Return whether rows are 28 x 28 pixels, flat or not, as uint8 or from 0 to 1."""
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
        "summary": _summary(run.network, x.shape[1:]),
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


def _summary(network: Network, row: tuple[int, ...]) -> str:
    """Return the summary without the backend: the network in hand is often a copy of the one that was trained."""
    made = f"{network.dtype}, seed {network.seed}, {network.epoch} epochs trained"
    return "\n".join([*layer_table(network, row), made])


def _finite(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


# ------------------------------------------------------------------------------------- rows to be shown


def _disagreements(said: np.ndarray) -> dict[str, Any]:
    """Return the rows on which the networks disagree, first those whose most frequent answer has the fewest votes."""
    classes = int(said.max()) + 1
    votes = np.stack([(said == k).sum(axis=0) for k in range(classes)])
    divided = np.flatnonzero(votes.max(axis=0) < len(said))
    order = np.lexsort((-(votes[:, divided] > 0).sum(axis=0), votes[:, divided].max(axis=0)))
    return {"total": len(divided), "rows": divided[order][:MOST_DISAGREEMENTS].tolist()}


def _shown(
    networks: list[dict[str, Any]], disagreements: list[int], p: np.ndarray, labels: np.ndarray
) -> tuple[list[int], int]:
    """Return the rows in all lists and all cells of confusion matrices, and the largest number of rows in a cell.

    If inaccurate networks fill too many cells, each cell shows fewer rows.
    """
    listed = set(disagreements).union(*(network["least_certain"] + network["surest_mistakes"] for network in networks))
    most, rows = MOST_OF_A_CELL, _of_cells(MOST_OF_A_CELL, p, labels)
    while len(rows) > MOST_ROWS and most > 1:
        most //= 2
        rows = _of_cells(most, p, labels)
    return sorted(listed | rows), most


def _of_cells(most: int, p: np.ndarray, labels: np.ndarray) -> set[int]:
    """Return the most confident rows of every cell of every network's confusion matrix."""
    rows: set[int] = set()
    for its_p in p:
        cells = labels * p.shape[2] + its_p.argmax(axis=1)
        order = np.lexsort((-its_p.max(axis=1), cells))
        _, starts = np.unique(cells[order], return_index=True)
        position = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
        rows.update(order[position < most].tolist())
    return rows


def _backprop(runs: list[Run], p: np.ndarray, x: np.ndarray, labels: np.ndarray) -> dict[str, Any] | None:
    """Return one step of the smallest network that can train on a single row; None if there is none.

    BatchNorm of rows cannot. The row is one that the network classifies correctly, with a probability near 0.6.
    """
    for k in sorted(range(len(runs)), key=lambda k: runs[k].network.theta.size):
        right = p[k][np.arange(len(labels)), labels]
        row = int(np.argmin(np.abs(right - 0.6) + (p[k].argmax(axis=1) != labels)))
        values = x[[row]].astype(np.float64) / (255 if x.dtype == np.uint8 else 1)
        with contextlib.suppress(ValueError):
            step = backprop.trace(runs[k].network, values, int(labels[row]))
            return step | {"network": runs[k].name, "row": row}
    return None
