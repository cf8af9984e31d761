"""What each part of mnist_best.py's recipe gives: a residual network, and the same with one thing changed.

    python examples/mnist_ablation.py           six networks from two seeds    (half an hour on two cores)
    python examples/mnist_ablation.py --quick   an epoch of some digits        (seconds)

All train on the same 50,000 training digits and are judged by the 10,000 held out there: no test digit is read. So that
it does not take hours, the network is half as wide as there, and trains for fewer epochs.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import tables
from command_line import status_of, stop, write
from mnist_best import BATCH, BETA2, HELD_OUT, QUICK_ROWS, RATE, WEIGHT_DECAY, Digits, residual, up_and_down

import tinynet as tn

EPOCHS, SEEDS = 7, (1, 2)
OUT = Path("runs/mnist_ablation")


def narrow() -> list[tn.Layer]:
    """mnist_best.py's, with half as many channels everywhere."""
    return residual(16)


def without_batch_norm(layers: Sequence[tn.Layer]) -> list[tn.Layer]:
    kept = [layer for layer in layers if not isinstance(layer, tn.BatchNorm)]
    return [
        tn.Residual(*without_batch_norm(layer.layers), shortcut=layer.shortcut)
        if isinstance(layer, tn.Residual)
        else layer
        for layer in kept
    ]


def without_residuals(layers: Sequence[tn.Layer]) -> list[tn.Layer]:
    """What is inside them, one behind the other."""
    return [part for layer in layers for part in (layer.layers if isinstance(layer, tn.Residual) else [layer])]


@dataclass(frozen=True)
class Trial:
    layers: Callable[[], Sequence[tn.Layer]] = narrow
    augment: Any = tn.data.augment
    rate: Callable[[int], Any] = up_and_down


TRIALS = {
    "a residual network": Trial(),
    "without distorted digits": Trial(augment=None),
    "without batch normalization": Trial(lambda: without_batch_norm(narrow())),
    "without residuals": Trial(lambda: without_residuals(narrow())),
    "at a constant rate": Trial(rate=lambda steps: RATE),
    "twice as wide": Trial(residual),
}


def main() -> int:
    """Trains them all, seed by seed, and prints how often each errs."""
    options = parse_options()
    digits = tn.data.mnist()
    x, t = digits.x_train[:, None], digits.y_train
    rows, epochs = (QUICK_ROWS, 1) if options.quick else (len(x) - HELD_OUT, EPOCHS)
    training, judges = (x[:rows], t[:rows]), (x[-HELD_OUT:][:rows], t[-HELD_OUT:][:rows])
    options.out.mkdir(parents=True, exist_ok=True)
    errors = pd.DataFrame(index=pd.Index(TRIALS, name="recipe"))
    try:
        for seed in SEEDS:
            errors[f"seed {seed}"] = [misread(name, seed, training, judges, epochs) for name in TRIALS]
    except KeyboardInterrupt:
        return stop("\nStopped: the lines above are what was found.", 130)
    table = errors.assign(mean=errors.mean(axis=1).map("{:.1f}".format)).astype(str).reset_index()
    text = f"{tables.markdown(table)}\n\nErrors among {len(judges[1]):,} digits held out; "
    text += f"trained on {rows:,} others, epochs: {epochs}\n"
    print(f"\n{text}")
    write(options.out / "results.md", text)
    return 0


def misread(name: str, seed: int, training: Digits, judges: Digits, epochs: int) -> int:
    """How many of the judges' digits a network misreads that was trained so."""
    trial = TRIALS[name]
    network = tn.Network(*trial.layers(), seed=seed, backend="auto")
    rate = trial.rate(epochs * math.ceil(len(training[0]) / BATCH))
    optimizer = tn.AdamW(network, rate, WEIGHT_DECAY, beta2=BETA2)
    tn.fit(network, optimizer, *training, epochs=epochs, batch_size=BATCH, augment=trial.augment)
    errors = int((tn.predict(network, judges[0]).argmax(axis=1) != judges[1]).sum())
    print(f"{name}, seed {seed}: {errors} of {len(judges[1]):,}", flush=True)
    return errors


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--quick", action="store_true", help=f"an epoch of {QUICK_ROWS:,} digits: a look in seconds")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where the table is written ({OUT})")
    options = parser.parse_args()
    options.out = options.out or OUT.with_name(f"{OUT.name}_quick" if options.quick else OUT.name)
    return options


if __name__ == "__main__":
    sys.exit(status_of(main))
