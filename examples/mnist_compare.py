"""Eight fully connected networks compared on handwritten digits.

    python examples/mnist_compare.py                        train, compare and draw all eight    (a minute or two)
    python examples/mnist_compare.py --quick                a few epochs of the small ones       (seconds)
    python examples/mnist_compare.py --seeds 5              each network from five seeds: mean, spread, failed runs
    python examples/mnist_compare.py --image my_digit.png   what each network reads in your own picture
    python examples/mnist_compare.py --keras my_model.h5    networks from Keras in the same tables
    python examples/mnist_compare.py --data FOLDER          Kaggle's train.csv and test.csv; writes submission.csv too

Trained networks are saved, and the next run loads them. Each source of digits and each choice of networks has its own
folder; --out replaces it. The comparison repeats that of a blog post of 2020, "Deep Learning - Digit recognizer for
MNIST - part 1", and shows the figures of the post in the tables.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jobs
import numpy as np
from command_line import executor_name, executor_named, positive, status_of, stop, write
from jobs import FAILED, FIRST_SEED

import tinynet as tn
from tinynet.data.kaggle_csv import TEST_ROWS

# ------------------------------------------------------------------------------------------- settings


class Settings(NamedTuple):
    """How one network is built and trained, and the validation loss and accuracy in the blog post."""

    blog: tuple[float, float]
    epochs: int
    batch_size: int
    dropout: tuple[float, ...] = ()


NETWORKS = {
    "12x8x10": Settings((0.2352, 0.9314), 20, 32),
    "24x12x6x10": Settings((0.2025, 0.9508), 20, 32),
    "48x24x10": Settings((0.1583, 0.9677), 20, 32),
    "480x240x120x60x10": Settings((0.1021, 0.9774), 25, 64, (0.10, 0.25, 0.25, 0.25)),
    "960x480x240x120x60x10": Settings((0.1016, 0.9790), 25, 128, (0.10, 0.25, 0.25, 0.25, 0.25)),
    "12x10x8x6x4x4x10": Settings((0.3668, 0.9174), 20, 32),
    "24x12x8x6x4x4x10": Settings((0.4119, 0.9173), 20, 32),
    "48x24x12x6x3x10": Settings((0.2434, 0.9595), 20, 32),
}
ADAM = {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7}
LARGE = 100
"""Hidden width from which a network saves checkpoints while it trains."""
QUICK_NETWORKS, QUICK_EPOCHS = ["12x8x10", "24x12x6x10", "48x24x10"], 3
SIDE_BY_SIDE = 2
"""Networks that train at the same time, each in a process with one BLAS thread."""
OUT = Path("runs/mnist_compare")
TOUR = "To look inside a network in Python, open examples/tour.ipynb."


def job_for(network: str, seed: int, options: argparse.Namespace, digits: Callable[[], Any]) -> tn.Job:
    """Return the training of one network from one seed, on what `digits` returns."""
    _, epochs, batch_size, dropout = NETWORKS[network]
    *hidden, _ = map(int, network.split("x"))
    made_with = {"dropout": dropout, "seed": seed, "backend": options.backend}
    make = partial(jobs.new_network, tuple(hidden), options.out, **made_with)
    name, adam, settings = jobs.job_name(network, seed), partial(tn.Adam, **ADAM), {"batch_size": batch_size}
    job = tn.Job(name, make, adam, digits, options.epochs or epochs, settings)
    return jobs.with_checkpoint(job, options.out, every=1000) if max(hidden) >= LARGE else job


# ----------------------------------------------------------------------------------------------- main


def main() -> int:
    """Train or load the networks, then compare them, or show what they read in the user's pictures."""
    options = parse_options()
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    try:
        images = [tn.data.digit_image(path) for path in options.image]
        digits = jobs.read_digits(options.data)
        from_keras = [jobs.keras_run(path, digits) for path in options.keras]
        options.out.mkdir(parents=True, exist_ok=True)
        data = jobs.digits_to_train_on(options.data, digits)
        wanted = {job_for(network, seed, options, data): network for network in options.models for seed in seeds}
        with executor_named(options.executor, jobs.__file__) as executor:
            failed = jobs.train_missing(list(wanted), options.out, executor, options.jobs, options.retrain)
        runs = [run_of(network, job, options.out) for job, network in wanted.items() if job.name not in failed]
        if images:
            import tables  # here, because the processes that train import this file too, and do not need it

            for number, (path, image) in enumerate(zip(options.image, images, strict=True), 1):
                seen = options.out / f"seen_{number}_{path.stem}.png"
                print(f"{path} as the networks see it, in {seen}:\n{tables.shown(image, seen)}\n")
            print(tables.markdown(tables.answers([*runs, *from_keras], options.image, np.stack(images))))
            print(f"{where_to_draw(options.results / 'report.html')}\n{TOUR}")
        elif runs:
            compare(runs, from_keras, digits, options)
        if failed:
            return stop("\n".join(["error:", *failed.values(), "The same command tries them again."]), 1)
    except KeyboardInterrupt:
        names = [jobs.job_name(network, seed) for network in options.models for seed in seeds]
        saved = ", ".join(name for name in names if (options.out / f"{name}.npz").exists()) or "none yet"
        command = "The same command without --retrain" if options.retrain else "The same command"
        return stop(f"\nStopped. Finished and saved: {saved}. {command} continues with the others.", 130)
    return 0


def run_of(network: str, job: tn.Job, out: Path) -> tn.Run:
    """Return the saved run of a job, with the figures of the blog post."""
    (trained, history), (loss, accuracy) = jobs.load(job, out), NETWORKS[network].blog
    figures = {"blog loss": loss, "blog accuracy": accuracy, "dead ReLUs": trained.notes["dead"]}
    return tn.Run(network, trained, history, tn.Evaluation(*trained.notes["train"]), figures)


def compare(
    trained: list[tn.Run], from_keras: list[tn.Run], digits: tn.data.Split, options: argparse.Namespace
) -> None:
    """Print the table, write tables, pictures and a submission, and evaluate the best network."""
    import tables

    out = options.results
    out.mkdir(exist_ok=True)
    runs = [*trained, *from_keras]
    best = max(runs, key=lambda run: run.history[-1].val_accuracy)
    first = [run for run in trained if run.network.seed == FIRST_SEED]
    one_each = [*first, *from_keras]
    validation = digits.x_val, digits.y_val
    predicted = tn.predict_classes(best.network, digits.x_test)

    table = tables.markdown(tables.summary(runs))
    print(f"\n{table}\n")
    if any(epochs_of(run) != NETWORKS[run.name].epochs for run in trained):
        print(f"Trained for {epochs_of(trained[0])} epochs; the blog's networks trained for 20 or 25.")
    write(out / "results.md", f"{table}\n")
    write(out / "results.csv", tables.plain_numbers(runs).to_csv(index=False))
    write_submission(best.name, predicted, options)
    drawings = {
        "curves": (first,),
        "predictions": (best, digits.x_test[:500], predicted),
        "mistakes": (best, *validation, one_each),
        "weights": (one_each,),
        "confusion": (best, *validation),
    }
    # The report is written in a thread, because Python can lose a Ctrl-C that arrives while the main thread imports.
    with ThreadPoolExecutor(1) as thread, contextlib.closing(tn.Processes(SIDE_BY_SIDE)) as processes:
        drawn = {picture: processes.submit(draw, picture, *of) for picture, of in drawings.items()}
        in_report = [*trained, *(replace(run, history=()) for run in from_keras)]
        report = thread.submit(write_report, in_report, validation, out / "report.html").result()
        for picture, png in drawn.items():
            write(out / f"{picture}.png", png.result())

    print(f"Tables and pictures are in {out}, networks in {options.out}.\n{report}\n{TOUR}")
    if digits.y_test is not None:
        accuracy = (predicted == digits.y_test).mean()
        name = f"{best.name}, best on the validation digits"
        print(f"{name}, on the {len(predicted):,} it never saw: accuracy {accuracy:.4f}")


def write_submission(name: str, predicted: np.ndarray, options: argparse.Namespace) -> None:
    """Write submission.csv if these are answers for Kaggle's test.csv. Otherwise delete one of an earlier run."""
    import tables

    path = options.results / "submission.csv"
    if options.data and len(predicted) == TEST_ROWS:
        write(path, tables.submission(predicted).to_csv(index=False))
        print(f"{path} holds the answers of {name} for {options.data / 'test.csv'}, to upload to Kaggle.")
        return
    path.unlink(missing_ok=True)
    if options.data:
        got = f"{options.data / 'test.csv'} has {len(predicted):,} rows, and Kaggle's has {TEST_ROWS:,}"
        print(f"No submission.csv is written: {got}.")


def draw(picture: str, *of: Any) -> bytes:
    """Return one of the pictures as a PNG. This runs in another process."""
    import pictures

    return pictures.png(getattr(pictures, picture)(*of))


def write_report(runs: list[tn.Run], validation: tuple[np.ndarray, np.ndarray], path: Path) -> str:
    """Write the report page. Return a line that says where it is, or why there is none."""
    try:
        heading = "Networks that read handwritten digits"
        page = tn.report(runs, path, title=heading, validation=validation, failed_below=FAILED)
        return where_to_draw(page)
    except ValueError as error:
        return f"No report was written: {error}"


def where_to_draw(page: Path) -> str:
    if page.exists():
        return f"To look at, with a pad on which every network reads your digit: {page}"
    return "The same command without --image writes a page with a pad on which every network reads your digit."


def epochs_of(run: tn.Run) -> int:
    return run.network.notes["signature"]["epochs"]


# -------------------------------------------------------------------------------------------- options


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--models", nargs="+", choices=NETWORKS, metavar="NAME", help=f"only these networks; of {', '.join(NETWORKS)}")
    add("--epochs", type=positive, metavar="N", help="epochs for every network, instead of the blog's 20 or 25")
    add("--quick", action="store_true", help=f"{QUICK_EPOCHS} epochs of {', '.join(QUICK_NETWORKS)}, in seconds")
    add("--seeds", type=positive, default=1, metavar="N", help=f"train each network N times, from seed {FIRST_SEED} on")
    files: dict[str, Any] = {"type": Path, "nargs": "+", "default": [], "metavar": "FILE"}
    add("--image", **files, help="show the networks pictures of one digit each")
    add("--keras", **files, help="compare networks from Keras's files too")
    add("--data", type=Path, metavar="DIR", help="Kaggle's train.csv and test.csv, instead of the embedded MNIST")
    where = f"where everything is written ({OUT}; other digits, epochs or networks have folders of their own)"
    add("--out", type=Path, metavar="DIR", help=where)
    add("--backend", choices=["auto", *tn.backends()], default="auto", help="backend (auto: the fastest)")
    add("--jobs", type=positive, default=SIDE_BY_SIDE, metavar="N", help=f"train N networks at once ({SIDE_BY_SIDE})")
    where = "where to train: processes of this machine; mpi, under mpiexec -m mpi4py.futures; dask://host:port"
    add("--executor", type=executor_name, default="processes", metavar="WHERE", help=where)
    add("--retrain", action="store_true", help="train again what is saved already")
    options = parser.parse_args()
    options.models = options.models or (QUICK_NETWORKS if options.quick else list(NETWORKS))
    options.epochs = options.epochs or (QUICK_EPOCHS if options.quick else None)
    options.results = options.out or default_folder(options) / selection(options)
    options.out = options.out or default_folder(options)
    return options


def default_folder(options: argparse.Namespace) -> Path:
    """Return the folder of the networks: one for each source of digits and number of epochs."""
    epochs = QUICK_EPOCHS if options.quick else None
    parts = [
        "_quick" if options.quick else "",
        f"_epochs{options.epochs}" if options.epochs != epochs else "",
        f"_data_{options.data.resolve().name}" if options.data else "",
    ]
    return OUT.with_name(OUT.name + "".join(parts))


def selection(options: argparse.Namespace) -> str:
    """Return the folder of the results inside that of the networks: "" for the networks that the defaults choose."""
    usual = QUICK_NETWORKS if options.quick else list(NETWORKS)
    parts = [
        *(options.models if options.models != usual else []),
        *([f"seeds{options.seeds}"] if options.seeds > 1 else []),
        *(path.name for path in options.keras),
    ]
    return "_".join(parts)


if __name__ == "__main__":
    sys.exit(status_of(main))
