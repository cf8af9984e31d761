"""Tables of the comparison, each a pandas DataFrame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from jobs import FAILED, job_name

import tinynet as tn


def summary(runs: list[tn.Run]) -> pd.DataFrame:
    """Return one row per network, with the blog's figures: mean and deviation over the seeds that did not fail."""
    groups = {name: [run for run in runs if run.name == name] for name in dict.fromkeys(run.name for run in runs)}
    return pd.DataFrame([table_row(name, group) for name, group in groups.items()])


def table_row(name: str, runs: list[tn.Run]) -> dict[str, str]:
    blog = runs[0].figures
    working = [run for run in runs if run.history[-1].val_accuracy >= FAILED] or runs
    row = {
        "network": name,
        "parameters": f"{runs[0].network.theta.size:,}",
        "train acc": spread([run.train.accuracy for run in working]),
        "val loss": spread([run.history[-1].val_loss for run in working]),
        "blog loss": number([blog.get("blog loss")], ".4f"),
        "val acc": spread([run.history[-1].val_accuracy for run in working]),
        "blog acc": number([blog.get("blog accuracy")], ".4f"),
        "dead ReLUs": f"{round(np.mean([run.figures['dead ReLUs'] for run in working]), 1):g} of {relus(runs[0])}",
        "seconds": number(map(seconds, runs), ".1f"),
        "samples/s": number(map(samples_per_second, runs), ",.0f"),
    }
    failed = sum(run.history[-1].val_accuracy < FAILED for run in runs)
    return row | ({"failed runs": f"{failed} of {len(runs)}"} if len(runs) > 1 else {})


def relus(run: tn.Run) -> int:
    """Return the number of units followed by a ReLU."""
    shape, count = (784,), 0
    for layer in run.network:
        shape = layer.output_shape(shape)
        count += math.prod(shape) if isinstance(layer, tn.ReLU) else 0
    return count


def seconds(run: tn.Run) -> float | None:
    """Return the seconds of training; None for a network that was trained elsewhere."""
    return sum(record.seconds for record in run.history) or None


def samples_per_second(run: tn.Run) -> float | None:
    rows, time = sum(record.rows for record in run.history), seconds(run)
    return rows / time if time else None


def number(values: Iterable[float | None], form: str) -> str:
    """Return the mean of the values that are known, or a dash if none is."""
    known = [value for value in values if value is not None]
    return format(sum(known) / len(known), form) if known else "\N{EN DASH}"


def spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def plain_numbers(runs: list[tn.Run]) -> pd.DataFrame:
    """Return one row per run, in plain numbers."""
    rows = [
        {
            "network": run.name,
            "seed": run.network.seed,
            "parameters": run.network.theta.size,
            "epochs": run.network.epoch,
            "train_loss": run.train.loss,
            "train_accuracy": run.train.accuracy,
            "validation_loss": run.history[-1].val_loss,
            "validation_accuracy": run.history[-1].val_accuracy,
            "blog_loss": run.figures.get("blog loss"),
            "blog_accuracy": run.figures.get("blog accuracy"),
            "dead_relus": run.figures["dead ReLUs"],
            "seconds": seconds(run),
            "samples_per_second": samples_per_second(run),
        }
        for run in runs
    ]
    return pd.DataFrame(rows).round({"seconds": 3, "samples_per_second": 0}).astype({"samples_per_second": "Int64"})


def submission(labels: np.ndarray) -> pd.DataFrame:
    """Return a submission in Kaggle's format: one row per digit, counted from 1."""
    return pd.DataFrame({"ImageId": range(1, len(labels) + 1), "Label": labels})


def answers(runs: list[tn.Run], paths: list[Path], images: np.ndarray) -> pd.DataFrame:
    """Return one row per network and one column per picture: the predicted digit and its probability."""
    columns = {"network": [job_name(run.name, run.network.seed) for run in runs]}
    x = images.reshape(len(images), -1)
    p = np.stack([tn.predict(run.network, x) for run in runs])
    for k, path in enumerate(paths):
        columns[path.name] = [f"{row.argmax()} ({row.max():.0%})" for row in p[:, k]]
    return pd.DataFrame(columns)


def shown(image: np.ndarray, path: Path) -> str:
    """Write a picture, uint8 (28, 28), to a PNG file, and return it as text: two characters per pixel."""
    from PIL import Image

    Image.fromarray(image).save(path)
    return "\n".join("".join(" .:-=+*#%@"[level // 26] * 2 for level in row).rstrip() for row in image)


def markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown, with the first column aligned left and the others right."""
    alignment = ["left"] + ["right"] * (len(table.columns) - 1)
    return table.to_markdown(index=False, disable_numparse=True, colalign=alignment)
