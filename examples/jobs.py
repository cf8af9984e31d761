"""What one network of the comparison is, how it is trained, and where it is kept."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
from collections.abc import Callable
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

    title: str
    seed: int
    recipe: Recipe
    adam: dict[str, float]
    out: Path
    data: Path | None
    backend: str

    @property
    def name(self) -> str:
        """What a run is called beside others: the first seed's has the network's title alone."""
        return title(self.title, self.seed)

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    @property
    def path(self) -> Path:
        return self.out / f"{self.name}.npz"

    @property
    def checkpoint(self) -> Path | None:
        """Where a network that takes long is kept while it is trained."""
        return self.out / f"{self.name}.checkpoint" if self.is_large else None

    @property
    def is_large(self) -> bool:
        return max(self.recipe.hidden) >= 100

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

    def train(self, tell: Callable[[tn.Record], None]) -> tn.Network:
        """The trained network; its notes hold all that the comparison shows of it."""
        recipe = self.recipe
        self.out.mkdir(parents=True, exist_ok=True)
        x_train, y_train, x_val, y_val = _digits_to_train(self.data)
        network = tn.mlp(784, recipe.hidden, 10, dropout=recipe.dropout, seed=self.seed, backend=self.backend)
        with threadpool_limits(None if self.is_large else 1, "blas"):
            history = tn.fit(
                network,
                tn.Adam(network, **self.adam),
                x_train,
                y_train,
                epochs=recipe.epochs,
                batch_size=recipe.batch,
                validation=(x_val, y_val),
                callbacks=[tell],
                progress=False,
                checkpoint=self.checkpoint,
                every=1000,
            )
        network.notes = {
            "signature": self.signature,
            "history": [asdict(record) for record in history],
            "train": tn.evaluate(network, x_train, y_train),
            "dead": dead_units(network, x_val),
        }
        return network.copy(backend="numpy")


def title(name: str, seed: int) -> str:
    return name if seed == FIRST_SEED else f"{name}.seed{seed}"


def run_all(jobs: list[Job], executor: Any, side_by_side: int, retrain: bool) -> tuple[list[tn.Run], list[str]]:
    """Trains what is not saved yet, the longest first, saves each as soon as it is done, then loads every network.

    Beside the runs, in a line each, the jobs that came to nothing.
    """
    missing = sorted((job for job in jobs if retrain or not is_saved(job)), key=lambda job: -job.cost)
    if len(jobs) > len(missing):
        print(f"{len(jobs) - len(missing)} of {len(jobs)} networks are saved and loaded; --retrain trains anew")
    if missing:
        print(f"{len(missing)} networks to train; the first run of all compiles, some seconds", flush=True)
    failed = {}
    with contextlib.closing(tn.train_many(missing, executor, side_by_side=side_by_side)) as outcomes:
        for job, network, error in outcomes:
            if error:
                failed[job.name] = f"{job.name} was not trained: {type(error).__name__}: {error}"
            else:
                keep(job, network)
            tqdm.write(failed[job.name] if error else line_about(job, network))
    there = [job for job in jobs if job.name not in failed or job.path.exists()]
    return [load(job) for job in there], list(failed.values())


def keep(job: Job, network: tn.Network) -> None:
    """Saves the network; what was kept of it while it was trained is not needed any more."""
    tn.save(network, job.path)
    if job.checkpoint:
        for file in job.out.glob(f"{job.checkpoint.name}*"):
            file.unlink(missing_ok=True)  # the same job in another process may be done as well


def line_about(job: Job, network: tn.Network) -> str:
    history = network.notes["history"]
    seconds = sum(record["seconds"] for record in history)
    return f"{job.name:>28}   validation accuracy {history[-1]['val_accuracy']:.4f}   {seconds:5.1f} s"


def is_saved(job: Job) -> bool:
    """Whether the job's file holds its network. FileExistsError if it holds one of another recipe."""
    if not job.path.exists():
        return False
    found = read(job).notes.get("signature")
    if found != job.signature:
        raise FileExistsError(
            f"{job.path} holds a network of another recipe: {found}, wanted {job.signature}; "
            "keep it with another --out, or replace it with --retrain"
        )
    return True


def read(job: Job) -> tn.Network:
    """The saved network. ModelFileError, with what to do, for a file that holds none."""
    try:
        return tn.load(job.path)
    except tn.ModelFileError as error:
        raise tn.ModelFileError(f"{error}\nDelete the file, or replace all with --retrain.") from None


def load(job: Job) -> tn.Run:
    """The saved network with its history, and beside it the blog's figures."""
    network = read(job)
    history = [tn.Record(**record) for record in network.notes["history"]]
    figures = {"blog loss": job.recipe.blog_loss, "blog accuracy": job.recipe.blog_accuracy}
    figures["dead ReLUs"] = network.notes["dead"]
    return tn.Run(job.title, network, history, tn.Evaluation(*network.notes["train"]), figures)


def guest(path: Path, digits: tn.data.Split) -> tn.Run:
    """A network from Keras, measured as ours are. ModelFileError if it does not read digits."""
    network = tn.from_keras(path)
    try:
        reads_digits = network.output_shape((784,)) == (10,) and network.loss and network.loss.classifies
    except ValueError:
        reads_digits = False
    if not reads_digits:
        raise tn.ModelFileError(f"{path}: expected 784 pixels in and probabilities of ten digits out, got {network}")
    network.seed = FIRST_SEED
    train = tn.evaluate(network, digits.x_train, digits.y_train)
    score = tn.evaluate(network, digits.x_val, digits.y_val)
    found = tn.Record(0, train.loss, train.accuracy, score.loss, score.accuracy)
    return tn.Run(path.name, network, [found], train, {"dead ReLUs": dead_units(network, digits.x_val)})


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
