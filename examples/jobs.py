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

FIRST_SEED = 1

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
    """One network to train from one seed, kept in the folder `out`. `data` is Kaggle's folder, or None."""

    name: str
    seed: int
    recipe: Recipe
    adam: dict[str, float]
    out: Path
    data: Path | None
    backend: str

    @property
    def path(self) -> Path:
        return self.out / f"{title(self.name, self.seed)}.npz"

    @property
    def signature(self) -> dict[str, Any]:
        """What a saved network must have been trained with to stand for this job, as JSON gives it back."""
        recipe = {key: value for key, value in asdict(self.recipe).items() if not key.startswith("blog")}
        data = str(self.data.resolve()) if self.data else "embedded MNIST"
        return json.loads(json.dumps({**recipe, **self.adam, "seed": self.seed, "data": data}))

    @property
    def cost(self) -> float:
        """Roughly how long it takes: multiplications of all steps, with a constant for each step's overhead."""
        per_row = sum(a * b for a, b in itertools.pairwise([784, *self.recipe.hidden, 10]))
        return self.recipe.epochs * (per_row + 50_000 / self.recipe.batch)


def title(name: str, seed: int) -> str:
    """What a run is called beside others: the first seed's has the network's name alone."""
    return name if seed == FIRST_SEED else f"{name}.seed{seed}"


def run_all(jobs: list[Job], side_by_side: int, retrain: bool) -> list[tn.Run]:
    """Trains what is not saved yet, the longest first, then loads every network."""
    missing = sorted((job for job in jobs if retrain or not is_saved(job)), key=lambda job: -job.cost)
    if len(jobs) > len(missing):
        say(f"{len(jobs) - len(missing)} of {len(jobs)} networks are saved and loaded; --retrain trains anew")
    if side_by_side == 1 or len(missing) == 1:
        for job in missing:
            say(train(job))
    elif missing:
        say(f"{len(missing)} networks to train, {side_by_side} at a time; the first run of all compiles, some seconds")
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


def load(job: Job) -> tn.Run:
    """The saved network with its history, and beside it the blog's figures."""
    network = tn.load(job.path)
    history = [tn.Record(**record) for record in network.notes["history"]]
    figures = {"blog loss": job.recipe.blog_loss, "blog accuracy": job.recipe.blog_accuracy}
    figures["dead ReLUs"] = network.notes["dead"]
    return tn.Run(job.name, network, history, tn.Evaluation(*network.notes["train"]), figures)


def train(job: Job) -> str:
    """Trains one network, saves it with its history, and says in a line how it went."""
    recipe, name = job.recipe, job.path.stem
    bar = tqdm(desc=f"{name:>22}", position=_slot, leave=False, disable=None, unit=" digits", unit_scale=True)
    x_train, y_train, x_val, y_val = _digits_to_train(job.data)
    network = tn.mlp(784, recipe.hidden, 10, dropout=recipe.dropout, seed=job.seed, backend=job.backend)
    with threadpool_limits(1 if max(recipe.hidden) < 100 else None, "blas"):
        history = tn.fit(
            network,
            tn.Adam(network, **job.adam),
            x_train,
            y_train,
            epochs=recipe.epochs,
            batch_size=recipe.batch,
            validation=(x_val, y_val),
            progress=bar,
        )
    network.notes = {
        "signature": job.signature,
        "history": [asdict(record) for record in history],
        "train": tn.evaluate(network, x_train, y_train),
        "dead": dead_units(network, x_val),
    }
    tn.save(network, job.path)
    seconds = sum(record.seconds for record in history)
    return f"{name:>28}   validation accuracy {history[-1].val_accuracy:.4f}   {seconds:5.1f} s"


def dead_units(network: tn.Network, pixels: np.ndarray) -> int:
    """How many ReLUs give 0 for every digit: they pass no gradient, and never come back."""
    twin, lit = network.copy(backend="numpy"), {}
    for part in np.array_split(pixels, 10):
        for name, y in twin.activations(part.astype(np.float32) / 255).items():
            lit[name] = lit.get(name, False) | y.any(axis=0)
    return sum(int((~units).sum()) for name, units in lit.items() if "ReLU" in name)


def read_digits(folder: Path | None) -> tn.data.Split:
    return tn.data.kaggle(folder) if folder else tn.data.mnist_split()


@functools.cache
def _digits_to_train(folder: Path | None) -> tuple[np.ndarray, ...]:
    """Rows and labels to train and to validate, without the unseen ones, kept for this process's next network."""
    return read_digits(folder)[:4]


def _train_in_processes(jobs: list[Job], side_by_side: int) -> None:
    context = multiprocessing.get_context("spawn")
    slots, lock = context.Queue(), context.RLock()
    tqdm.set_lock(lock)
    for slot in range(side_by_side):
        slots.put(slot)
    with ProcessPoolExecutor(side_by_side, context, initializer=_set_up_process, initargs=(slots, lock)) as pool:
        try:
            for done in as_completed([pool.submit(train, job) for job in jobs]):
                say(done.result())
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise OSError("a process that trained was ended from outside, perhaps for want of memory") from error
            raise


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
