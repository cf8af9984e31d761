"""MNIST as well as we can: what the blog announces as its next part, with convolutions and residual networks.

    python examples/mnist_best.py               a convolutional network            (minutes on two cores)
    python examples/mnist_best.py --full        a residual network, three times    (an hour on two cores)
    python examples/mnist_best.py --ensemble    these three, and what they say together
    python examples/mnist_best.py --held-out    judged in training by 10,000 digits kept back: for choosing a recipe
    python examples/mnist_best.py --quick       an epoch of some digits            (seconds)

They train on MNIST's 60,000 digits, distorted anew in every epoch. The 10,000 test digits are used at the end
only: each is read as it is, and then in the mean of sixteen looks, of which fifteen are at gently distorted copies.
Trained networks are kept in --out and loaded by the next run; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pictures
import tables
from command_line import status_of, stop, write
from tqdm import tqdm

import tinynet as tn

# ------------------------------------------------------------------------------------------- networks


def convolutional() -> list[tn.Layer]:
    """Two convolutions at 28 x 28 pixels, two at 14 x 14, and a dense layer on 7 x 7."""
    first, second = [*convolution(1, 16), *convolution(16, 16)], [*convolution(16, 32), *convolution(32, 32)]
    return [*first, tn.MaxPool2D(2), *second, tn.MaxPool2D(2), tn.Flatten(), tn.Dense(32 * 7 * 7, 10)]


def residual(width: int = 32) -> list[tn.Layer]:
    """A convolution at 28 x 28 pixels, a residual block at 14 x 14, two of twice the width at 7 x 7; He et al. 2016."""
    first, wide = [*convolution(1, width), tn.MaxPool2D(2), *block(width, width)], 2 * width
    return [*first, *block(width, wide, stride=2), *block(wide, wide), tn.GlobalAveragePool(), tn.Dense(wide, 10)]


def convolution(C: int, M: int, stride: int = 1) -> list[tn.Layer]:
    return [tn.Conv2D(C, M, 3, stride=stride, padding=1), tn.BatchNorm(M), tn.ReLU()]


def block(C: int, M: int, stride: int = 1) -> list[tn.Layer]:
    """Two convolutions, whose output is added to what went in, or to a projection of it."""
    inside = [*convolution(C, M, stride), *convolution(M, M)[:-1]]
    shortcut = tn.Conv2D(C, M, 1, stride=stride) if C != M else None
    return [tn.Residual(*inside, shortcut=shortcut), tn.ReLU()]


# ------------------------------------------------------------------------------------------- settings

Digits = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Recipe:
    layers: Callable[[], list[tn.Layer]]
    epochs: int
    seeds: int

    @property
    def name(self) -> str:
        return self.layers.__name__


BEST, FULL = Recipe(convolutional, 16, 1), Recipe(residual, 21, 3)
BATCH, RATE, WEIGHT_DECAY, BETA2, WARM_UP = 128, 0.003, 0.01, 0.99, 0.1
LOOKS = 16
GENTLE = {"shift": 0.5, "rotation": 3.0, "scale": 0.025, "shear": 0.0375, "elastic": 4.0}
"""How often a digit is read, once as it is and then distorted, a quarter as much as in training."""
HELD_OUT = 10_000
QUICK_ROWS, QUICK_JUDGED = 3_000, 1_000
OUT, OTHERS = Path("runs/mnist_best"), Path("runs/mnist_compare")


# ----------------------------------------------------------------------------------------------- main


def main() -> int:
    """Trains or loads the networks, then reads the test digits once and shows what they say of them."""
    options = parse_options()
    recipe = FULL if options.full else BEST
    digits = tn.data.mnist()
    x, t = digits.x_train[:, None], digits.y_train
    judge = digits.x_test[:, None], digits.y_test
    if options.held_out:
        x, t, judge = x[:-HELD_OUT], t[:-HELD_OUT], (x[-HELD_OUT:], t[-HELD_OUT:])
    if options.quick:
        recipe, x, t = replace(recipe, epochs=1), x[:QUICK_ROWS], t[:QUICK_ROWS]
        judge = judge[0][:QUICK_JUDGED], judge[1][:QUICK_JUDGED]
    validation = judge if options.held_out else None
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        runs = [trained(recipe, seed, x, t, validation, options) for seed in range(1, recipe.seeds + 1)]
    except KeyboardInterrupt:
        return stop("\nStopped. The same command goes on from here.", 130)
    show(runs, *judge, options)
    return 0


def trained(
    recipe: Recipe, seed: int, x: np.ndarray, t: np.ndarray, validation: Digits | None, options: argparse.Namespace
) -> tn.Run:
    """The network of that seed, from its file if it was trained before."""
    network = tn.Network(*recipe.layers(), seed=seed, backend=options.backend)
    path = options.out / f"{recipe.name}.seed{seed}.npz"
    settings = [recipe.epochs, len(x), BATCH, RATE, WEIGHT_DECAY, BETA2, WARM_UP, *map(repr, network)]
    if options.retrain or not path.exists():
        history = fit(network, recipe, x, t, validation, path.with_suffix(".checkpoint"))
        network.notes = {"settings": settings, "history": [asdict(record) for record in history]}
        tn.save(network, path)
        for file in options.out.glob(f"{path.stem}.checkpoint*"):
            file.unlink()
    network = tn.load(path, backend=options.backend)
    if network.notes.get("settings") != settings:
        raise FileExistsError(
            f"{path} holds a network of another recipe; another --out keeps it, --retrain replaces it"
        )
    return tn.Run(recipe.name, network, [tn.Record(**record) for record in network.notes["history"]])


def fit(
    network: tn.Network, recipe: Recipe, x: np.ndarray, t: np.ndarray, validation: Digits | None, checkpoint: Path
) -> tn.History:
    schedule = up_and_down(recipe.epochs * math.ceil(len(x) / BATCH))
    optimizer = tn.AdamW(network, schedule, WEIGHT_DECAY, beta2=BETA2)
    print(f"{recipe.name}, seed {network.seed}: {network.theta.size:,} parameters, {len(x):,} digits", flush=True)
    return tn.fit(
        network,
        optimizer,
        x,
        t,
        epochs=recipe.epochs,
        batch_size=BATCH,
        validation=validation,
        augment=tn.data.augment,
        callbacks=[lambda record: tell(record, recipe.epochs)],
        checkpoint=checkpoint,
    )


def up_and_down(steps: int) -> Callable[[int], float]:
    """The learning rate: half a cosine down to 0, times a straight rise over the first tenth of the steps."""
    return tn.warm_up(tn.cosine(RATE, steps), max(1, int(WARM_UP * steps)))


def tell(record: tn.Record, epochs: int) -> None:
    judged = f", held out {record.val_accuracy:.4f}" if record.val_accuracy is not None else ""
    line = f"epoch {record.epoch:2} of {epochs}   accuracy {record.accuracy:.4f}{judged}   {record.seconds:5.1f} s"
    tqdm.write(line)


# ----------------------------------------------------------------------------------------- what is shown


def looks(network: tn.Network, x: np.ndarray) -> np.ndarray:
    """Probabilities of each digit as it is, then of distorted copies of it        -> (LOOKS, N, 10)"""
    copies = (tn.data.augment(x, network.seed, k, **GENTLE) for k in range(1, LOOKS))
    return np.stack([tn.predict(network, x), *(tn.predict(network, copy) for copy in copies)])


def show(runs: list[tn.Run], x: np.ndarray, labels: np.ndarray, options: argparse.Namespace) -> None:
    """Prints the table, and writes table, pictures and report to --out."""
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
    write(options.out / "results.md", text)
    write(options.out / f"{runs[0].name}.csv", results.to_csv(index=False))
    drawn = {
        "curves": pictures.curves(named),
        "mistakes": pictures.mistakes(best, x, labels, named, rows=8),
        "feature_maps": pictures.feature_maps(best, x[0]),
        "costs": pictures.costs(compared(options.out)),
    }
    for name, figure in drawn.items():
        file = io.BytesIO()
        figure.savefig(file, format="png")
        write(options.out / f"{name}.png", file.getvalue())
    page = tn.report(runs, options.out / "report.html", title="MNIST as well as we can", validation=(x, labels))
    print(f"Table, pictures and networks are in {options.out}.\nTo look at, with a pad to draw digits on: {page}")


def accuracies(p: np.ndarray, labels: np.ndarray) -> list[float]:
    """Of each of the first axis."""
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
    """What each network costs and how often it errs, the means over its seeds; beside those of mnist_compare.py."""
    files = [out / f"{recipe.name}.csv" for recipe in (BEST, FULL)]
    found = [pd.read_csv(file) for file in files if file.exists()]
    if (OTHERS / "results.csv").exists():
        found.insert(0, pd.read_csv(OTHERS / "results.csv").rename(columns={"validation_accuracy": "accuracy"}))
    else:
        print(f"{OTHERS}/results.csv is not there: examples/mnist_compare.py puts its networks into costs.png too")
    return pd.concat(found).groupby("network", sort=False)[["parameters", "seconds", "accuracy"]].mean()


# -------------------------------------------------------------------------------------------- options


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--full", action="store_true", help=f"the residual network, from {FULL.seeds} seeds")
    add("--ensemble", action="store_true", help="as --full, and the average of their probabilities")
    add("--held-out", action="store_true", help=f"train without {HELD_OUT:,} of the digits, and judge by them")
    add("--quick", action="store_true", help=f"an epoch of {QUICK_ROWS:,} digits: a look in seconds")
    add("--out", type=Path, metavar="DIR", help=f"where everything is written ({OUT})")
    backends = ["auto", *tn.backends()]
    add("--backend", choices=backends, default="auto", help="whose functions compute (auto: the fastest)")
    add("--retrain", action="store_true", help="train again what is saved already")
    options = parser.parse_args()
    options.full |= options.ensemble
    kinds = [name for name in ("quick", "held_out") if getattr(options, name)]
    options.out = options.out or OUT.with_name("_".join([OUT.name, *kinds]))
    return options


if __name__ == "__main__":
    sys.exit(status_of(main))
