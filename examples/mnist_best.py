"""MNIST with high accuracy: a convolutional network and residual networks.

    python examples/mnist_best.py               a convolutional network              (minutes on two cores)
    python examples/mnist_best.py --full        a residual network from three seeds  (an hour on two cores)
    python examples/mnist_best.py --ensemble    the same, and the average of their probabilities
    python examples/mnist_best.py --held-out    evaluate on 10,000 training digits held out, to choose settings
    python examples/mnist_best.py --quick       one epoch of a few digits            (seconds)

The networks train on MNIST's 60,000 digits, distorted anew in every epoch. The 10,000 test digits are used at the end
only. They are evaluated once unchanged, and once as the mean of sixteen predictions, fifteen of them for slightly
distorted copies. Trained networks are saved in --out, and the next run loads them. An interrupted run resumes.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jobs
import numpy as np
import pandas as pd
import pictures
import tables
from command_line import status_of, stop, write
from tqdm import tqdm

import tinynet as tn

# ------------------------------------------------------------------------------------------- networks


def convolutional() -> list[tn.Layer]:
    """Return two convolutions at 28 x 28 pixels, two at 14 x 14, and a dense layer on 7 x 7."""
    first, second = [*convolution(1, 16), *convolution(16, 16)], [*convolution(16, 32), *convolution(32, 32)]
    return [*first, tn.MaxPool2D(2), *second, tn.MaxPool2D(2), tn.Flatten(), tn.Dense(32 * 7 * 7, 10)]


def residual(width: int = 32) -> list[tn.Layer]:
    """Return a convolution at 28 x 28 pixels, a residual block at 14 x 14 and two of twice the width at 7 x 7.

    He et al. 2016.
    """
    first, wide = [*convolution(1, width), tn.MaxPool2D(2), *block(width, width)], 2 * width
    return [*first, *block(width, wide, stride=2), *block(wide, wide), tn.GlobalAveragePool(), tn.Dense(wide, 10)]


def convolution(C: int, M: int, stride: int = 1) -> list[tn.Layer]:
    return [tn.Conv2D(C, M, 3, stride=stride, padding=1), tn.BatchNorm(M), tn.ReLU()]


def block(C: int, M: int, stride: int = 1) -> list[tn.Layer]:
    """Return two convolutions whose output is added to their input, or to a projection of it."""
    inside = [*convolution(C, M, stride), *convolution(M, M)[:-1]]
    shortcut = tn.Conv2D(C, M, 1, stride=stride) if C != M else None
    return [tn.Residual(*inside, shortcut=shortcut), tn.ReLU()]


# ------------------------------------------------------------------------------------------- settings

Layers = Callable[[], list[tn.Layer]]
Digits = tuple[np.ndarray, np.ndarray]


class Settings(NamedTuple):
    """Which network is trained, for how many epochs and from how many seeds."""

    name: str
    layers: Layers
    epochs: int
    seeds: int


BEST, FULL = Settings("convolutional", convolutional, 16, 1), Settings("residual", residual, 21, 3)
BATCH_SIZE, RATE, WARM_UP = 128, 0.003, 0.1
ADAMW = {"weight_decay": 0.01, "beta2": 0.99}
LOOKS = 16
"""Predictions per digit: one for the unchanged digit, the others for copies distorted by SLIGHT."""
SLIGHT = {"shift": 0.5, "rotation": 3.0, "scale": 0.025, "shear": 0.0375, "elastic": 4.0}
"""A quarter of the distortion in training."""
HELD_OUT = 10_000
QUICK_ROWS, QUICK_EVALUATED = 3_000, 1_000
OUT, OTHERS = Path("runs/mnist_best"), Path("runs/mnist_compare")


# ---------------------------------------------------------------------------------- what a job is made of


@functools.cache
def digits_for(held_out: bool, quick: bool) -> tuple[np.ndarray, ...]:
    """Return x and labels to train on, and x and labels to evaluate: test digits, or training digits held out."""
    digits = tn.data.mnist()
    x, labels = digits.x_train[:, None], digits.y_train
    x_val, labels_val = digits.x_test[:, None], digits.y_test
    if held_out:
        x, labels, x_val, labels_val = x[:-HELD_OUT], labels[:-HELD_OUT], x[-HELD_OUT:], labels[-HELD_OUT:]
    if quick:
        x, labels = x[:QUICK_ROWS], labels[:QUICK_ROWS]
        x_val, labels_val = x_val[:QUICK_EVALUATED], labels_val[:QUICK_EVALUATED]
    return x, labels, x_val, labels_val


def training_digits(held_out: bool, quick: bool) -> tuple[np.ndarray, ...]:
    """Return what `digits_for` returns, without the test digits."""
    return digits_for(held_out, quick)[: 4 if held_out else 2]


def new_network(layers: Layers, **settings: Any) -> tn.Network:
    return tn.Network(*layers(), **settings)


def adamw(network: tn.Network, schedule: Callable[[], Any], **settings: Any) -> tn.Optimizer:
    return tn.AdamW(network, schedule(), **settings)


def up_and_down(steps: int, rate: float = RATE, warm_up: float = WARM_UP) -> Callable[[int], float]:
    """Return a schedule: half a cosine from `rate` to 0, times a linear rise over the share `warm_up` of the steps."""
    return tn.warm_up(tn.cosine(rate, steps), max(1, int(warm_up * steps)))


def steps_of(rows: int, epochs: int) -> int:
    return epochs * math.ceil(rows / BATCH_SIZE)


# ----------------------------------------------------------------------------------------------- main


def main() -> int:
    """Train or load the networks, then evaluate them and show the results."""
    options = parse_options()
    settings = FULL if options.full else BEST
    options.results.mkdir(parents=True, exist_ok=True)
    try:
        runs = [trained(settings, seed, options) for seed in range(1, settings.seeds + 1)]
    except KeyboardInterrupt:
        return stop("\nStopped. The same command resumes from here.", 130)
    _, _, x, labels = digits_for(options.held_out, options.quick)
    show(runs, x, labels, options)
    return 0


def trained(settings: Settings, seed: int, options: argparse.Namespace) -> tn.Run:
    """Return the run of one seed, loaded if it is saved."""
    job = job_for(settings, seed, options)
    if options.retrain or not jobs.is_saved(job, options.out):
        parameters, rows = job.network(backend="numpy").theta.size, len(job.data()[0])
        print(f"{settings.name}, seed {seed}: {parameters:,} parameters, {rows:,} digits. {jobs.COMPILES}", flush=True)
        jobs.save(job, job.train(lambda record: print_epoch(record, job.epochs)), options.out)
    network, history = jobs.load(job, options.out, options.backend)
    return tn.Run(settings.name, network, history)


def job_for(settings: Settings, seed: int, options: argparse.Namespace) -> tn.Job:
    """Return the training of one network from one seed."""
    name, epochs = f"{settings.name}.seed{seed}", 1 if options.quick else settings.epochs
    data = partial(training_digits, options.held_out, options.quick)
    schedule = partial(up_and_down, steps_of(len(data()[0]), epochs), RATE, WARM_UP)
    network = partial(new_network, settings.layers, seed=seed, backend=options.backend)
    for_fit = {"batch_size": BATCH_SIZE, "augment": tn.data.augment, "progress": None}
    job = tn.Job(name, network, partial(adamw, schedule=schedule, **ADAMW), data, epochs, for_fit)
    return jobs.with_checkpoint(job, options.out)


def print_epoch(record: tn.Record, epochs: int) -> None:
    held_out = f", held out {record.val_accuracy:.4f}" if record.val_accuracy is not None else ""
    line = f"epoch {record.epoch:2} of {epochs}   accuracy {record.accuracy:.4f}{held_out}   {record.seconds:5.1f} s"
    tqdm.write(line)


# ------------------------------------------------------------------------------------------- results


def looks(network: tn.Network, x: np.ndarray) -> np.ndarray:
    """Return the probabilities of each digit unchanged, then of its distorted copies        -> (LOOKS, N, 10)"""
    copies = (tn.data.augment(x, network.seed, k, **SLIGHT) for k in range(1, LOOKS))
    return np.stack([tn.predict(network, x), *(tn.predict(network, copy) for copy in copies)])


def show(runs: list[tn.Run], x: np.ndarray, labels: np.ndarray, options: argparse.Namespace) -> None:
    """Print the table; write the table, pictures and the report to --out."""
    p = np.stack([looks(run.network, x) for run in runs])
    p, many = p[:, 0], p.mean(axis=1)
    scores, many_scores = accuracies(p, labels), accuracies(many, labels)
    rows = [row_of(*row) for row in zip(runs, scores, many_scores, strict=True)]
    if options.ensemble:
        once, often = accuracies(np.stack([p.mean(axis=0), many.mean(axis=0)]), labels)
        sums = {what: sum(row[what] for row in rows) for what in ("parameters", "seconds")}
        name = f"all {len(runs)}, averaged"
        rows.append(rows[0] | sums | {"network": name, "seed": "", "accuracy": once, "looks_accuracy": often})
    results = pd.DataFrame(rows)
    digits = f"{len(x):,} {'digits held out' if options.held_out else 'test digits'}"
    text = f"{tables.markdown(in_words(results, len(x)))}\n\nAccuracy on the {digits}: {tables.spread(scores)}\n"
    text += f"In the mean of {LOOKS} looks at each: {tables.spread(many_scores)}\n"
    print(f"\n{text}")

    named = [replace(run, name=f"{run.name}, seed {run.network.seed}") for run in runs]
    best = named[int(np.argmax(scores))]
    out = options.results
    write(out / "results.md", text)
    write(options.out / f"{runs[0].name}.csv", results.to_csv(index=False))
    drawn = {
        "curves": pictures.curves(named),
        "mistakes": pictures.mistakes(best, x, labels, named, rows=8),
        "feature_maps": pictures.feature_maps(best, x[0]),
        "costs": pictures.costs(compared(options.out)),
    }
    for name, figure in drawn.items():
        write(out / f"{name}.png", pictures.png(figure))
    page = tn.report(runs, out / "report.html", title="MNIST as well as we can", validation=(x, labels))
    print(
        f"Table and pictures are in {out}, networks in {options.out}.\nTo look at, with a pad to draw digits on: {page}"
    )


def accuracies(p: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the accuracy of each (N, 10) in p."""
    return [float(found) for found in (p.argmax(axis=-1) == labels).mean(axis=-1)]


def row_of(run: tn.Run, accuracy: float, looks_accuracy: float) -> dict[str, Any]:
    return {
        "network": run.name,
        "seed": run.network.seed,
        "parameters": run.network.theta.size,
        "epochs": len(run.history),
        "seconds": sum(record.seconds for record in run.history),
        "accuracy": accuracy,
        "looks_accuracy": looks_accuracy,
    }


def in_words(results: pd.DataFrame, digits: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "network": results.network,
            "seed": results.seed.map(str),
            "parameters": results.parameters.map("{:,}".format),
            "epochs": results.epochs.map(str),
            "minutes": (results.seconds / 60).map("{:.1f}".format),
            "misread": ((1 - results.accuracy) * digits).map("{:.0f}".format),
            "accuracy": results.accuracy.map("{:.4f}".format),
            f"misread, {LOOKS} looks": ((1 - results.looks_accuracy) * digits).map("{:.0f}".format),
        }
    )


def compared(out: Path) -> pd.DataFrame:
    """Return parameters, seconds and accuracy of each network, means over its seeds; also of mnist_compare.py's."""
    files = [out / f"{settings.name}.csv" for settings in (BEST, FULL)]
    found = [pd.read_csv(file) for file in files if file.exists()]
    if (OTHERS / "results.csv").exists():
        found.insert(0, pd.read_csv(OTHERS / "results.csv").rename(columns={"validation_accuracy": "accuracy"}))
    else:
        print(f"{OTHERS}/results.csv is missing: run examples/mnist_compare.py to show its networks in costs.png too")
    return pd.concat(found).groupby("network", sort=False)[["parameters", "seconds", "accuracy"]].mean()


# -------------------------------------------------------------------------------------------- options


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--full", action="store_true", help=f"train the residual network from {FULL.seeds} seeds")
    add("--ensemble", action="store_true", help="--full, and the average of their probabilities")
    add("--held-out", action="store_true", help=f"hold out {HELD_OUT:,} training digits, and evaluate on them")
    add("--quick", action="store_true", help=f"one epoch of {QUICK_ROWS:,} digits, in seconds")
    add("--out", type=Path, metavar="DIR", help=f"where everything is written ({OUT})")
    backends = ["auto", *tn.backends()]
    add("--backend", choices=backends, default="auto", help="backend (auto: the fastest)")
    add("--retrain", action="store_true", help="train again what is saved already")
    options = parser.parse_args()
    options.full |= options.ensemble
    kinds = [name for name in ("quick", "held_out") if getattr(options, name)]
    folder = OUT.with_name("_".join([OUT.name, *kinds]))
    selection = "ensemble" if options.ensemble else "full" if options.full else ""
    options.results, options.out = options.out or folder / selection, options.out or folder
    return options


if __name__ == "__main__":
    sys.exit(status_of(main))
