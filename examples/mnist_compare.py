"""Eight fully connected networks compared on handwritten digits.

    python examples/mnist_compare.py                        all eight: train, compare, draw      (a minute or two)
    python examples/mnist_compare.py --quick                a few epochs of the small ones       (seconds)
    python examples/mnist_compare.py --seeds 5              every network five times: mean, spread, failed runs
    python examples/mnist_compare.py --image my_digit.png   what each network sees in a picture of yours
    python examples/mnist_compare.py --keras my_model.h5    networks from Keras beside ours

Trained networks are kept in --out and loaded by the next run. The comparison is that of a blog post of 2020,
"Deep Learning - Digit recognizer for MNIST - part 1"; its figures stand beside ours.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from command_line import executor_name, executor_named, positive, status_of, stop, write
from jobs import FAILED, FIRST_SEED, Job, Recipe, guest, read_digits, run_all

import tinynet as tn
from tinynet.parallel.processes import Processes

# ------------------------------------------------------------------------------------------- settings

NETWORKS = {  # widths of the hidden layers, epochs, batch; the blog's validation loss and accuracy; dropout
    "12x8x10": Recipe((12, 8), 20, 32, 0.2352, 0.9314),
    "24x12x6x10": Recipe((24, 12, 6), 20, 32, 0.2025, 0.9508),
    "48x24x10": Recipe((48, 24), 20, 32, 0.1583, 0.9677),
    "480x240x120x60x10": Recipe((480, 240, 120, 60), 25, 64, 0.1021, 0.9774, (0.10, 0.25, 0.25, 0.25)),
    "960x480x240x120x60x10": Recipe((960, 480, 240, 120, 60), 25, 128, 0.1016, 0.9790, (0.10, 0.25, 0.25, 0.25, 0.25)),
    "12x10x8x6x4x4x10": Recipe((12, 10, 8, 6, 4, 4), 20, 32, 0.3668, 0.9174),
    "24x12x8x6x4x4x10": Recipe((24, 12, 8, 6, 4, 4), 20, 32, 0.4119, 0.9173),
    "48x24x12x6x3x10": Recipe((48, 24, 12, 6, 3), 20, 32, 0.2434, 0.9595),
}
ADAM = {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7}
QUICK_NETWORKS, QUICK_EPOCHS = ["12x8x10", "24x12x6x10", "48x24x10"], 3
SIDE_BY_SIDE = 2  # networks that train at once, each in a process with one BLAS thread
OUT = Path("runs/mnist_compare")


# ----------------------------------------------------------------------------------------------- main


def main() -> int:
    """Trains or loads the networks, then compares them, or shows them the user's own pictures."""
    options = parse_options()
    jobs = [job for name in options.models for job in jobs_for(name, options)]
    try:
        own_digits = [tn.data.digit_image(path) for path in options.image]
        digits = read_digits(options.data)
        guests = [guest(path, digits) for path in options.keras]
        options.out.mkdir(parents=True, exist_ok=True)
        with executor_named(options.executor, inspect.getfile(Job)) as executor:
            runs, failed = run_all(jobs, executor, options.jobs, options.retrain)
        if own_digits:
            print(answers([*runs, *guests], options.image, own_digits))
        elif runs:
            compare(runs, guests, digits, options.out)
        if failed:
            return stop("\n".join(["error:", *failed, "The same command tries them again."]), 1)
    except KeyboardInterrupt:
        kept = ", ".join(job.path.stem for job in jobs if job.path.exists()) or "none yet"
        command = "The same command without --retrain" if options.retrain else "The same command"
        return stop(f"\nStopped. Finished and kept: {kept}. {command} goes on with the rest.", 130)
    return 0


def compare(trained: list[tn.Run], guests: list[tn.Run], digits: tn.data.Split, out: Path) -> None:
    """Prints the table, writes tables, pictures and the submission to `out`, and says how the best does unseen."""
    import tables  # here, because the processes that train import this file too, and do not need it

    runs = [*trained, *guests]
    best = max(runs, key=lambda run: run.history[-1].val_accuracy)
    first = [run for run in trained if run.network.seed == FIRST_SEED]
    one_each = [*first, *guests]
    validation = digits.x_val, digits.y_val
    unseen = tn.predict_classes(best.network, digits.x_test)

    table = tables.markdown(tables.summary(runs))
    print(f"\n{table}\n")
    if any(epochs_of(run) != NETWORKS[run.name].epochs for run in trained):
        print(f"Trained for {epochs_of(trained[0])} epochs, where the blog's networks had 20 or 25.")
    write(out / "results.md", f"{table}\n")
    write(out / "results.csv", tables.plain_numbers(runs).to_csv(index=False))
    write(out / "submission.csv", tables.submission(unseen).to_csv(index=False))
    shown = {
        "curves": (first,),
        "predictions": (best, digits.x_test[:500], unseen),
        "mistakes": (best, *validation, one_each),
        "weights": (one_each,),
        "confusion": (best, *validation),
    }
    with contextlib.ExitStack() as stack:
        pool = Processes(SIDE_BY_SIDE)
        stack.callback(pool.stop)
        drawn = {picture: pool.submit(draw, picture, *of) for picture, of in shown.items()}
        in_report = [*trained, *(replace(run, history=()) for run in guests)]
        report = write_report(in_report, validation, out / "report.html")
        for picture, drawing in drawn.items():
            write(out / f"{picture}.png", drawing.result())

    print(f"Tables, pictures, networks and {best.name}'s submission.csv are in {out}.\n{report}")
    if digits.y_test is not None:
        accuracy = (unseen == digits.y_test).mean()
        print(
            f"{best.name}, best on the validation digits, on the {len(unseen):,} it never saw: accuracy {accuracy:.4f}"
        )


def draw(picture: str, *of: Any) -> bytes:
    """One of the pictures as a PNG, drawn in a process of its own."""
    import pictures

    file = io.BytesIO()
    getattr(pictures, picture)(*of).savefig(file, format="png")
    return file.getvalue()


def write_report(runs: list[tn.Run], validation: tuple[np.ndarray, np.ndarray], path: Path) -> str:
    """Writes the page, and says in a line where it is or why there is none."""
    try:
        heading = "Networks that read handwritten digits"
        page = tn.report(runs, path, title=heading, validation=validation, failed_below=FAILED)
        return f"To look at, with a pad on which every network reads your digit: {page}"
    except ValueError as error:
        return f"No report was written: {error}"


def epochs_of(run: tn.Run) -> int:
    return run.network.notes["signature"]["epochs"]


def answers(runs: list[tn.Run], paths: list[Path], images: list[np.ndarray]) -> str:
    """What each network sees in each picture, as a table."""
    import tables

    return tables.markdown(tables.answers(runs, paths, np.stack(images)))


# -------------------------------------------------------------------------------------------- options


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--models", nargs="+", choices=NETWORKS, metavar="NAME", help=f"only these networks; of {', '.join(NETWORKS)}")
    add("--epochs", type=positive, metavar="N", help="epochs for every network, in place of the blog's 20 or 25")
    add("--quick", action="store_true", help=f"{QUICK_EPOCHS} epochs of {', '.join(QUICK_NETWORKS)}: a look in seconds")
    add("--seeds", type=positive, default=1, metavar="N", help=f"train each network N times, from seed {FIRST_SEED} on")
    add(
        "--image", type=Path, nargs="+", default=[], metavar="FILE", help="show the networks pictures of one digit each"
    )
    add("--keras", type=Path, nargs="+", default=[], metavar="FILE", help="put networks from Keras's files beside ours")
    add("--data", type=Path, metavar="DIR", help="Kaggle's train.csv and test.csv, in place of the embedded MNIST")
    add("--out", type=Path, metavar="DIR", help=f"where everything is written ({OUT})")
    add(
        "--backend",
        choices=["auto", *tn.backends()],
        default="auto",
        help="whose functions compute (auto: the fastest)",
    )
    add("--jobs", type=positive, default=SIDE_BY_SIDE, metavar="N", help=f"train N networks at once ({SIDE_BY_SIDE})")
    add(
        "--executor",
        type=executor_name,
        default="processes",
        metavar="WHERE",
        help="what trains: processes of this machine; mpi, under mpiexec -m mpi4py.futures; dask://host:port",
    )
    add("--retrain", action="store_true", help="train again what is saved already")
    options = parser.parse_args()
    options.models = options.models or (QUICK_NETWORKS if options.quick else list(NETWORKS))
    options.epochs = options.epochs or (QUICK_EPOCHS if options.quick else None)
    options.out = options.out or (OUT.with_name(f"{OUT.name}_quick") if options.quick else OUT)
    return options


def jobs_for(name: str, options: argparse.Namespace) -> list[Job]:
    """A job for each seed of one network."""
    recipe = replace(NETWORKS[name], epochs=options.epochs or NETWORKS[name].epochs)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    return [Job(name, seed, recipe, ADAM, options.out, options.data, options.backend) for seed in seeds]


if __name__ == "__main__":
    sys.exit(status_of(main))
