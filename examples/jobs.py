"""Training several networks side by side: each in a process of its own, saved as soon as it is finished."""

from __future__ import annotations

import functools
import itertools
import json
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import tinynet as tn

FAILED = 0.85
"""Below this validation accuracy a run has lost a digit or more: the ReLUs of a narrow layer died."""

_slot = 0
"""The line of the terminal on which this process draws its bar."""


@dataclass(frozen=True)
class Recipe:
    """How one network is built and trained, and what the blog reached with it on its validation data."""

    hidden: tuple[int, ...]
    epochs: int
    batch: int
    blog_loss: float
    blog_accuracy: float
    dropout: tuple[float, ...] = ()


@dataclass(frozen=True)
class Job:
    """One network to train from one seed, and the file that keeps it. `data` is Kaggle's folder, or None."""

    name: str
    seed: int
    recipe: Recipe
    adam: dict[str, float]
    path: Path
    data: Path | None
    backend: str

    @property
    def signature(self) -> dict[str, Any]:
        """What a saved network must have been trained with to stand for this job, as JSON gives it back."""
        recipe = {key: value for key, value in asdict(self.recipe).items() if not key.startswith("blog")}
        data = str(self.data.resolve()) if self.data else "embedded MNIST"
        return json.loads(json.dumps({**recipe, **self.adam, "seed": self.seed, "data": data}))

    @property
    def cost(self) -> float:
        """Roughly how long it takes: multiplications of all steps, with a constant for each step's overhead."""
        widths = [784, *self.recipe.hidden, 10]
        per_row = sum(a * b for a, b in itertools.pairwise(widths))
        return self.recipe.epochs * (per_row + 50_000 / self.recipe.batch)


@dataclass(frozen=True)
class Run:
    """A trained network and what its training left: one record an epoch, and its figures at the end."""

    job: Job
    network: tn.Network
    history: list[dict[str, Any]]
    train: tn.Evaluation
    validation: tn.Evaluation
    dead: int

    @property
    def name(self) -> str:
        return self.job.name

    @property
    def seconds(self) -> float:
        return sum(record["seconds"] for record in self.history)

    @property
    def samples_per_second(self) -> float:
        return sum(record["rows"] for record in self.history) / self.seconds


def run_all(jobs: list[Job], side_by_side: int, retrain: bool) -> list[Run]:
    """Trains what is not saved yet, the longest first, then loads every network."""
    missing = sorted((job for job in jobs if retrain or not is_saved(job)), key=lambda job: -job.cost)
    if len(jobs) > len(missing):
        say(f"{len(jobs) - len(missing)} of {len(jobs)} networks are saved and loaded; --retrain trains anew")
    if side_by_side == 1 or len(missing) == 1:
        for job in missing:
            say(train(job))
    elif missing:
        _train_in_processes(missing, side_by_side)
    return [load(job) for job in jobs]


def say(line: str) -> None:
    """Prints a line; on a terminal it takes the place of the topmost bar, which other processes draw anew below."""
    with tqdm.get_lock():
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        print(line, flush=True)


def is_saved(job: Job) -> bool:
    """Whether the job's file holds its network. FileExistsError if it holds one of another recipe."""
    if not job.path.exists():
        return False
    found = tn.load(job.path).notes.get("signature")
    if found != job.signature:
        raise FileExistsError(
            f"{job.path} holds a network of another recipe: {found}, wanted {job.signature}; "
            "keep it with another --out, or replace it with --retrain"
        )
    return True


def load(job: Job) -> Run:
    network = tn.load(job.path)
    notes = network.notes
    train, validation = tn.Evaluation(*notes["train"]), tn.Evaluation(*notes["validation"])
    return Run(job, network, notes["history"], train, validation, notes["dead"])


def train(job: Job, position: int = 0) -> str:
    """Trains one network, saves it with its history, and says in a line how it went."""
    x_train, y_train, *validation = _digits_to_train(job.data)
    recipe = job.recipe
    network = tn.mlp(784, recipe.hidden, 10, dropout=recipe.dropout, seed=job.seed, backend=job.backend)
    bar = tqdm(
        desc=f"{job.path.stem:>22}", position=position, leave=False, disable=None, unit=" digits", unit_scale=True
    )
    with threadpool_limits(1 if max(recipe.hidden) < 100 else None, "blas"):
        history = tn.fit(
            network,
            tn.Adam(network, **job.adam),
            x_train,
            y_train,
            epochs=recipe.epochs,
            batch_size=recipe.batch,
            validation=validation,
            progress=bar,
        )
    last = history[-1]
    network.notes = {
        "signature": job.signature,
        "history": [asdict(record) for record in history],
        "train": tn.evaluate(network, x_train, y_train),
        "validation": [last.val_loss, last.val_accuracy],
        "dead": dead_units(network, validation[0]),
    }
    tn.save(network, job.path)
    seconds = sum(record.seconds for record in history)
    return f"{job.path.stem:>28}   validation accuracy {last.val_accuracy:.4f}   {seconds:5.1f} s"


def dead_units(network: tn.Network, pixels: np.ndarray) -> int:
    """How many ReLUs give 0 for every digit: they pass no gradient, and never come back."""
    twin = network.copy(backend="numpy")
    alive = [np.False_] * len(twin)
    for rows in np.array_split(pixels, 10):
        y = rows.astype(np.float32) / 255
        for k, layer in enumerate(twin):
            y = layer.forward(y)
            alive[k] |= y.any(axis=0)
    return sum(int((~alive[k]).sum()) for k, layer in enumerate(twin) if isinstance(layer, tn.ReLU))


def read_digits(folder: Path | None) -> tn.data.Split:
    return tn.data.kaggle(folder) if folder else tn.data.mnist_split()


@functools.cache
def _digits_to_train(folder: Path | None) -> tuple[np.ndarray, ...]:
    """Rows and labels to train and to validate, without the unseen ones, kept for this process's next network."""
    return read_digits(folder)[:4]


def _train_in_processes(jobs: list[Job], side_by_side: int) -> None:
    context = multiprocessing.get_context("spawn")
    if jobs[0].backend != "numpy":
        _compile_once(context, jobs[0].backend)
    slots, lock = context.Queue(), context.RLock()
    tqdm.set_lock(lock)
    for slot in range(side_by_side):
        slots.put(slot)
    with ProcessPoolExecutor(side_by_side, context, initializer=_set_up_process, initargs=(slots, lock)) as pool:
        try:
            for done in as_completed([pool.submit(_train_in_slot, job) for job in jobs]):
                say(done.result())
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise OSError("a process that trained was ended from outside, perhaps for want of memory") from error
            raise


def _compile_once(context: Any, backend: str) -> None:
    """Kernels are compiled and cached on disk before all processes ask for them at the same time."""
    process = context.Process(target=tn.backend, args=(backend,))
    process.start()
    process.join()


def _set_up_process(slots: Any, lock: Any) -> None:
    """One BLAS thread and one line of the terminal for this process, and a silent end when Ctrl-C is pressed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threadpool_limits(1)
    tqdm.set_lock(lock)
    global _slot
    _slot = slots.get()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _train_in_slot(job: Job) -> str:
    return train(job, position=_slot)
