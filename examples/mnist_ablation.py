"""What each part of mnist_best.py's settings gives: a residual network, and the same with one thing changed.

    python examples/mnist_ablation.py           six networks from two seeds    (half an hour on two cores)
    python examples/mnist_ablation.py --quick   one epoch of a few digits      (seconds)

All train on the same 50,000 training digits and are evaluated on the other 10,000. Test digits are not used. To save
time, the network is half as wide as in mnist_best.py and trains for fewer epochs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mnist_best as best
import pandas as pd
import tables
from command_line import status_of, stop, write

import tinynet as tn

EPOCHS, SEEDS = 7, (1, 2)
OUT = Path("runs/mnist_ablation")


def narrow() -> list[tn.Layer]:
    """Return the residual network of mnist_best.py with half as many channels everywhere."""
    return best.residual(16)


def without_batch_norm(layers: Sequence[tn.Layer]) -> list[tn.Layer]:
    kept = [layer for layer in layers if not isinstance(layer, tn.BatchNorm)]
    return [
        tn.Residual(*without_batch_norm(layer.layers), shortcut=layer.shortcut)
        if isinstance(layer, tn.Residual)
        else layer
        for layer in kept
    ]


def without_residuals(layers: Sequence[tn.Layer]) -> list[tn.Layer]:
    """Return the layers with each residual block replaced by its own layers."""
    return [part for layer in layers for part in (layer.layers if isinstance(layer, tn.Residual) else [layer])]


@dataclass(frozen=True)
class Trial:
    layers: Callable[[], Sequence[tn.Layer]] = narrow
    augment: Any = tn.data.augment
    rate: Callable[[int], Any] = best.up_and_down


TRIALS = {
    "a residual network": Trial(),
    "without distorted digits": Trial(augment=None),
    "without batch normalization": Trial(lambda: without_batch_norm(narrow())),
    "without residuals": Trial(lambda: without_residuals(narrow())),
    "at a constant rate": Trial(rate=lambda steps: best.RATE),
    "twice as wide": Trial(best.residual),
}


def main() -> int:
    """Train all networks, seed by seed, and print how many digits each misreads."""
    options = parse_options()
    digits = tn.data.mnist()
    x, labels = digits.x_train[:, None], digits.y_train
    rows, epochs = (best.QUICK_ROWS, 1) if options.quick else (len(x) - best.HELD_OUT, EPOCHS)
    training = x[:rows], labels[:rows]
    held_out = x[-best.HELD_OUT :][:rows], labels[-best.HELD_OUT :][:rows]
    options.out.mkdir(parents=True, exist_ok=True)
    errors = pd.DataFrame(index=pd.Index(TRIALS, name="recipe"))
    try:
        for seed in SEEDS:
            errors[f"seed {seed}"] = [misread(name, seed, training, held_out, epochs) for name in TRIALS]
    except KeyboardInterrupt:
        return stop("\nStopped. The lines above are the results so far.", 130)
    table = errors.assign(mean=errors.mean(axis=1).map("{:.1f}".format)).astype(str).reset_index()
    text = f"{tables.markdown(table)}\n\nErrors among {len(held_out[1]):,} digits held out; "
    text += f"trained on {rows:,} others, epochs: {epochs}\n"
    print(f"\n{text}")
    write(options.out / "results.md", text)
    return 0


def misread(name: str, seed: int, training: best.Digits, held_out: best.Digits, epochs: int) -> int:
    """Train the network of a trial, and return how many of the digits held out it misreads."""
    trial, steps = TRIALS[name], best.steps_of(len(training[0]), epochs)
    job = tn.Job(
        name,
        partial(best.new_network, trial.layers, seed=seed, backend="auto"),
        partial(best.adamw, schedule=partial(trial.rate, steps), **best.ADAMW),
        lambda: training,
        epochs,
        {"batch_size": best.BATCH_SIZE, "augment": trial.augment, "progress": None},
    )
    network = job.train(lambda record: None).network.copy(backend="auto")
    errors = int((tn.predict(network, held_out[0]).argmax(axis=1) != held_out[1]).sum())
    print(f"{name}, seed {seed}: {errors} of {len(held_out[1]):,}", flush=True)
    return errors


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--quick", action="store_true", help=f"one epoch of {best.QUICK_ROWS:,} digits, in seconds")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where the table is written ({OUT})")
    options = parser.parse_args()
    options.out = options.out or OUT.with_name(f"{OUT.name}_quick" if options.quick else OUT.name)
    return options


if __name__ == "__main__":
    sys.exit(status_of(main))
