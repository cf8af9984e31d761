"""What the examples share: train the jobs that have no saved network yet, save their networks, and load them."""

from __future__ import annotations

import contextlib
import functools
import json
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import tinynet as tn
from tinynet.arrays.checksum import checksum
from tinynet.layers.bound import walk

FAILED = 0.85
"""A run below this validation accuracy counts as failed: the ReLUs of a narrow layer died."""

FIRST_SEED = 1

COMPILES = "The first run on a machine compiles for up to a minute before any clock or progress bar starts."
"""What explains the wait: `fit` compiles before it measures, and Numba keeps the result for later runs."""


# ----------------------------------------------------------------------------------- what a job is made of


def job_name(network: str, seed: int) -> str:
    """Return the name of a run: that of the network alone for the first seed."""
    return network if seed == FIRST_SEED else f"{network}.seed{seed}"


def new_network(hidden: Sequence[int], folder: Path, **settings: Any) -> tn.Network:
    """Return a network for MNIST. Make the folder of its checkpoint, which another machine may not have yet."""
    folder.mkdir(parents=True, exist_ok=True)
    return tn.mlp(784, hidden, 10, **settings)


def read_digits(folder: Path | None) -> tn.data.Split:
    """Return the digits of Kaggle's CSV files in this folder; None: the embedded MNIST."""
    stamps = (
        [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in folder.glob("*.csv")] if folder else []
    )
    return _read_once(folder, tuple(sorted(stamps)))


@functools.lru_cache(maxsize=1)
def _read_once(folder: Path | None, stamps: tuple[tuple[str, int, int], ...]) -> tn.data.Split:
    """Read the digits. Files with other `stamps` are read again."""
    return tn.data.kaggle(folder) if folder else tn.data.mnist_split()


def digits_to_train_on(folder: Path | None, digits: tn.data.Split) -> Callable[[], tuple[np.ndarray, ...]]:
    """Return the `data` of jobs that train on these digits, which were read from this folder."""
    return functools.partial(training_digits, folder, checksums(digits[:4]))


def training_digits(folder: Path | None, expected: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """Return x, labels, x_val and labels_val. Raises DataError if their checksums are not the expected ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about test.csv, on which no network trains
        digits = read_digits(folder)[:4]
    if (found := checksums(digits)) != expected:
        cause = f"expected the digits {expected} of the main process in {folder}, got {found}"
        raise tn.data.DataError(f"training_digits: {cause}. Start again, with the same files on every machine.")
    return digits


def checksums(arrays: Sequence[np.ndarray]) -> tuple[str, ...]:
    return tuple(map(checksum, arrays))


@functools.cache
def _data_checksums(data: Callable[[], tuple[np.ndarray, ...]]) -> tuple[str, ...]:
    return checksums(data())


def signature(job: tn.Job) -> dict[str, Any]:
    """Return all that decides the result of a job, as JSON reads it back.

    The backend is left out: all backends train the same network, up to rounding.
    """
    network = job.network(backend="numpy")
    no_effect = ("checkpoint", "every", "progress")
    parts = {
        "layers": [repr(layer) for layer in network],
        "seed": network.seed,
        "initial parameters": checksum(network.theta),
        "initial buffers": checksum(network.buffers),
        "frozen layers": [path for path, _, layer in walk(network.layers) if not layer.trainable],
        "optimizer": job.optimizer,
        "data": _data_checksums(job.data),
        "epochs": job.epochs,
        "settings": {name: value for name, value in job.settings.items() if name not in no_effect},
    }
    return json.loads(json.dumps(parts, default=_as_json))


def short_signature(job: tn.Job) -> str:
    """Return a checksum of the job's signature, for names of files and for tables."""
    return f"{zlib.crc32(json.dumps(signature(job), sort_keys=True).encode()):08x}"


def with_checkpoint(job: tn.Job, out: Path, **settings: Any) -> tn.Job:
    """Return the job with a checkpoint in `out`. Its name holds the signature: other settings never resume from it."""
    checkpoint = out / f"{job.name}.{short_signature(job)}.checkpoint"
    return replace(job, settings={**job.settings, "checkpoint": checkpoint, **settings})


def _as_json(part: Any) -> Any:
    """Return a partial as its function and arguments, a function or class as its name, a path as an absolute path."""
    if isinstance(part, functools.partial):
        return [part.func, part.args, part.keywords]
    if isinstance(part, Path):
        return str(part.resolve())
    return part.__qualname__


def cost(job: tn.Job) -> float:
    """Return a rough measure of a job's time: multiplications of all steps, and a constant overhead per step."""
    return job.epochs * (job.network(backend="numpy").theta.size + 50_000 / job.settings["batch_size"])


# ---------------------------------------------------------------------------------- saved networks


def path_of(job: tn.Job, out: Path) -> Path:
    return out / f"{job.name}.npz"


def is_saved(job: tn.Job, out: Path) -> bool:
    """Return True if the job's network is saved. Raises FileExistsError if the file holds one of other settings."""
    path = path_of(job, out)
    if not path.exists():
        return False
    if changes := list(differences(read(path).notes.get("signature") or {}, signature(job))):
        what = "data" if all(change.startswith("data:") for change in changes) else "settings"
        cure = "Keep it and choose another --out, or replace it with --retrain."
        raise FileExistsError(f"{path} holds a network of other {what}; {'; '.join(changes)}. {cure}")
    return True


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """Yield the parts that differ, such as "epochs: expected 2, got 1"."""
    for name in {**wanted, **found}:
        value, got = wanted.get(name, "no value"), found.get(name, "no value")
        if isinstance(value, dict) and isinstance(got, dict):
            yield from differences(got, value)
        elif got != value:
            yield f"{name}: expected {value}, got {got}"


def save(job: tn.Job, trained: tn.Trained, out: Path, **notes: Any) -> None:
    """Save the network with its history and these notes, and delete the checkpoint of its training."""
    network, history = trained
    network.notes = {"signature": signature(job), "history": [asdict(record) for record in history], **notes}
    tn.save(network, path_of(job, out))
    if checkpoint := job.settings.get("checkpoint"):
        for file in checkpoint.parent.glob(f"{checkpoint.name}*"):
            file.unlink(missing_ok=True)  # another process may have finished the same job


def read(path: Path, backend: str = "numpy") -> tn.Network:
    """Return the saved network. Raises ModelFileError, which says what to do, if the file is damaged."""
    try:
        return tn.load(path, backend=backend)
    except tn.ModelFileError as error:
        raise tn.ModelFileError(f"{error}\nDelete the file, or replace all with --retrain.") from None


def load(job: tn.Job, out: Path, backend: str = "numpy") -> tn.Trained:
    """Return the saved network of a job, and its history."""
    network = read(path_of(job, out), backend)
    return tn.Trained(network, tn.History(tn.Record(**record) for record in network.notes["history"]))


# ----------------------------------------------------------------------------- the jobs of the comparison


def train_missing(jobs: list[tn.Job], out: Path, executor: Any, side_by_side: int, retrain: bool) -> dict[str, str]:
    """Train the jobs that are not saved, the longest first, and save each network once it is trained.

    Return a message for each job that failed, by its name.
    """
    missing = sorted((job for job in jobs if retrain or not is_saved(job, out)), key=cost, reverse=True)
    if len(jobs) > len(missing):
        print(f"{len(jobs) - len(missing)} of {len(jobs)} networks are saved and loaded; --retrain trains anew")
    if missing:
        print(f"{len(missing)} networks to train. {COMPILES}", flush=True)
    failed = {}
    with contextlib.closing(tn.train_many(missing, executor, side_by_side=side_by_side)) as outcomes:
        for job, trained, error in outcomes:
            if error:
                failed[job.name] = f"{job.name} was not trained: {type(error).__name__}: {error}"
            else:
                x, labels, x_val, _ = job.data()
                train = tn.evaluate(trained.network, x, labels)
                save(job, trained, out, train=train, dead=dead_units(trained.network, x_val))
            tqdm.write(failed[job.name] if error else line_about(job, trained.history))
    return failed


def line_about(job: tn.Job, history: tn.History) -> str:
    seconds = sum(record.seconds for record in history)
    return f"{job.name:>28}   validation accuracy {history[-1].val_accuracy:.4f}   {seconds:5.1f} s"


def keras_run(path: Path, digits: tn.data.Split) -> tn.Run:
    """Return a network from Keras as a run. Raises ModelFileError if it does not classify digits."""
    network = tn.from_keras(path)
    try:
        reads_digits = network.output_shape((784,)) == (10,) and network.loss and network.loss.classifies
    except ValueError:
        reads_digits = False
    if not reads_digits:
        raise tn.ModelFileError(f"{path}: expected 784 pixels in and probabilities of ten digits out, got {network}")
    network.seed = FIRST_SEED
    train = tn.evaluate(network, digits.x_train, digits.y_train)
    validation = tn.evaluate(network, digits.x_val, digits.y_val)
    record = tn.Record(0, train.loss, train.accuracy, validation.loss, validation.accuracy)
    return tn.Run(path.name, network, [record], train, {"dead ReLUs": dead_units(network, digits.x_val)})


def dead_units(network: tn.Network, pixels: np.ndarray) -> int:
    """Return how many ReLUs give 0 for every digit. They pass no gradient and do not recover."""
    copy, active = network.copy(backend="numpy"), {}
    for part in np.array_split(pixels, 10):
        for name, y in copy.activations(part.astype(np.float32) / 255).items():
            active[name] = active.get(name, False) | y.any(axis=0)
    return sum(int((~units).sum()) for name, units in active.items() if "ReLU" in name)
