"""Checkpoints: a training in a file while it runs, so that the same script resumes it, however it was ended.

header            JSON: the identity of the training; its history; epoch, step and rows of the current epoch that are
                  done, with their loss and correct rows; counters of the layers; the best epoch of early stopping
theta, buffers    the network's vectors; slot.* those of the optimizer; best_theta, best_buffers those of early stopping
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array
from ..arrays.checksum import checksum
from ..files.archive import ModelFileError, about, access, opened, read_header, read_vector, require, write
from ..layers.bound import walk
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from .history import Record
from .identity import add_rates, described, identity_of
from .input_validation import is_count, warn
from .listeners import EarlyStopping, Listener, Training
from .loop import Steps

FORMAT, VERSION = "tinynet checkpoint", 2
OTHER = "it holds another training; delete it, or give this training another file"
OLD = "it does not hold all that decides a training; delete it, or give this training another file"
State = tuple[dict[str, Any], dict[str, np.ndarray]]


class Checkpoint(Listener):
    """Saves a training every `every` steps, and resumes it from the file if there is one.

    Two files are kept: `path`, and the one before it, from which a training resumes if the newer one is damaged.
    """

    def __init__(self, path: str | os.PathLike[str], every: int, stopping: EarlyStopping | None) -> None:
        if not is_count(every):
            raise ValueError(f"fit takes every, the steps between two checkpoints, of at least 1; got {every!r}")
        self.path, self.every, self.stopping = Path(path), int(every), stopping
        self.resumed: dict[str, Any] = {}
        """The position in the epoch that the file holds, until the epoch is resumed."""

    def begin(self, training: Training) -> None:
        """Restore what the file holds. Raises ModelFileError if it holds another training."""
        self.training, self.network, self.optimizer = training, training.network, training.optimizer
        self.began = self.rated = self.optimizer.step_count
        self.rates = 0
        self.facts = _identity(training)
        if found := access(self.network.backend, partial(self._found, self.path)):
            self._restore(*found)

    def steps(self, steps: Steps) -> Steps:
        """Save the training after every `every` steps; do not repeat the steps that the file holds."""

        def saved_steps(
            network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
        ) -> Iterator[tuple[int, Array, Array]]:
            start, (done, sums) = time.perf_counter(), self._position()
            if done:
                yield sums
            while done < len(order):
                part = order[done:][: (self.every - optimizer.step_count % self.every) * batch_size]
                for totals in steps(network, optimizer, loss, x, t, part, batch_size):
                    sums = tuple(a + b for a, b in zip(sums, totals, strict=True))
                    yield totals
                done += len(part)
                self._save(done, sums, self.training.seconds + time.perf_counter() - start)

        return saved_steps

    def end(self, error: BaseException | None) -> None:
        """Save a finished training as finished; leave the file of an interrupted one as it is."""
        if error is None:
            self.began = self.optimizer.step_count
            self._save(0, (0, 0, 0), 0.0)

    def _position(self) -> tuple[int, tuple[Any, ...]]:
        """Return the rows of this epoch that are done and their totals: zeros, except in the epoch that is resumed."""
        position, self.resumed = self.resumed, {}
        self.began, self.training.seconds = self.optimizer.step_count, position.get("seconds", 0.0)
        if not position:
            return 0, (0, 0, 0)
        self.optimizer.step_count = position["t"]
        rows, *sums = position["totals"]
        sums = [self.network.backend.xp.asarray(*pair) for pair in zip(sums, position["kinds"], strict=True)]
        return position["done"], (rows, *sums)

    def _save(self, done: int, totals: tuple[Any, ...], seconds: float) -> None:
        """Write the file, unless something is not finite: such a training stops, and stops again when resumed."""
        network, optimizer, to_host = self.network, self.optimizer, self.network.backend.to_host
        best, last = (self.stopping.best, self.stopping.last) if self.stopping else (None, None)
        self.rates, self.rated = self._rates_up_to(optimizer.step_count), optimizer.step_count
        vectors = dict(zip(("theta", "buffers"), last or (network.theta, network.buffers), strict=True))
        vectors |= {f"slot.{name}": getattr(optimizer, name) for name in optimizer.slots}
        vectors |= dict(zip(("best_theta", "best_buffers"), best or (), strict=False))
        rows, *sums = totals[0], *(to_host(number) for number in totals[1:])
        history = self.training.history
        header = {
            "format": FORMAT,
            "version": VERSION,
            "training": self.facts,
            "history": [asdict(record) for record in history],
            "stopped": history.stopped,
            "epoch": network.epoch,
            "began": self.began,
            "rates": self.rates,
            "place": {
                "done": done,
                "totals": [rows, *map(float, sums)],
                "kinds": [number.dtype.name for number in sums],
                "t": optimizer.step_count,
                "seconds": seconds,
            },
            "counters": [layer.counter for _, _, layer in walk(network.layers)],
            "best": [self.stopping.epoch, self.stopping.loss] if self.stopping and best else None,
        }
        losses = [loss for record in history for loss in (record.loss, record.val_loss) if loss is not None]
        if np.isfinite([*map(float, sums), *losses]).all() and np.isfinite(to_host(network.theta)).all():
            arrays = {name: to_host(part) for name, part in vectors.items()}
            access(network.backend, lambda: self._write(header, arrays))

    def _write(self, header: dict[str, Any], vectors: dict[str, np.ndarray]) -> None:
        with about(self.path):
            with contextlib.suppress(FileNotFoundError):  # there is none yet, or another process has moved it
                os.replace(self.path, _before(self.path))
            write(self.path, header, vectors)

    def _found(self, path: Path) -> State | None:
        """Return the content of the newest file that can be read; None if there is no file."""
        with about(path):
            require(path.parent.is_dir(), "cannot be written: its folder does not exist")
        found = [file for file in (path, _before(path)) if file.exists()]
        for file in found:
            try:
                state = self._read(file)
            except ModelFileError as error:
                if file == found[-1]:
                    raise
                warn(f"{error}; reading {found[-1]}, the checkpoint before it", RuntimeWarning)
            else:
                self._check_identity(file, state[0])
                return state
        return None

    def _read(self, path: Path) -> State:
        network, optimizer = self.network, self.optimizer
        sizes = {"theta": network.theta.size, "buffers": network.buffers.size}
        sizes |= {f"slot.{name}": network.theta.size for name in optimizer.slots}
        with about(path), opened(path) as archive:
            header = read_header(archive)
            require(header["format"] == FORMAT, f"not a {FORMAT}")
            require(header["version"] == VERSION, f"a checkpoint of version {header['version']}, not {VERSION}: {OLD}")
            if header["training"] != self.facts:
                return header, {}
            if header["best"]:
                sizes |= {"best_theta": sizes["theta"], "best_buffers": sizes["buffers"]}
            return header, {name: read_vector(archive, name, network.dtype, size) for name, size in sizes.items()}

    def _check_identity(self, path: Path, header: dict[str, Any]) -> None:
        with about(path):
            names = dict.fromkeys([*self.facts, *header["training"]])
            for name in names:
                found, value = (facts.get(name, "not given") for facts in (header["training"], self.facts))
                require(found == value, f"{OTHER}: {name} was {found}, and is {value}")
            steps, done = header["place"]["t"], len(header["history"])
            require(self._rates_up_to(steps) == header["rates"], f"{OTHER}: its {steps} steps had other learning rates")
            epochs = self.training.epochs
            require(
                done <= epochs, f"it holds {done} epochs, and epochs={epochs} are wanted; take epochs={done} or more"
            )

    def _restore(self, header: dict[str, Any], vectors: dict[str, np.ndarray]) -> None:
        network, optimizer, to_device = self.network, self.optimizer, self.network.backend.to_device
        self.training.history += [Record(**record) for record in header["history"]]
        self.training.history.stopped = header["stopped"]
        for name in ("theta", "buffers"):
            getattr(network, name)[...] = to_device(vectors[name])
        for name in optimizer.slots:
            getattr(optimizer, name)[...] = to_device(vectors[f"slot.{name}"])
        for (_, _, layer), counter in zip(walk(network.layers), header["counters"], strict=True):
            layer.counter = counter
        if self.stopping and header["best"]:
            self.stopping.epoch, self.stopping.loss = header["best"]
            self.stopping.best = to_device(vectors["best_theta"]), to_device(vectors["best_buffers"])
        network.epoch, optimizer.step_count, self.resumed = header["epoch"], header["began"], header["place"]
        self.rates, self.rated = header["rates"], header["place"]["t"]

    def _rates_up_to(self, step: int) -> int:
        """Return the checksum of the learning rates of all steps before this one."""
        return add_rates(self.rates, map(self.optimizer.rate_at, range(self.rated, step)))


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.before")


def _identity(training: Training) -> dict[str, str]:
    """Return what distinguishes this training from another, apart from its learning rates and number of epochs."""
    to_host = training.network.backend.to_host
    found = identity_of(training.network, training.optimizer, training.loss)
    found |= {
        "x": checksum(training.x, to_host),
        "t": checksum(training.t, to_host),
        "rows a batch": str(training.batch_size),
    }
    if training.validation:
        loss, x, t = training.validation
        found["validation"] = f"{described(loss)} {checksum(x, to_host)} {checksum(t, to_host)}"
    for listener in training.listeners:
        found |= listener.identity(training)
    return {"from step": str(training.optimizer.step_count)} | found
