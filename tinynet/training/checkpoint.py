"""A training kept in a file while it runs, so that the same script goes on from there, whatever ended it.

header            JSON: what training it is; its history; epoch, step and rows of the epoch done, with their loss and
                  right answers; counters of the layers; when early stopping saw its lowest loss
theta, buffers    as they are, slot.* those of the optimizer, best_theta and best_buffers those of early stopping
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array
from ..arrays.checksum import checksum
from ..files.archive import ModelFileError, about, opened, read_header, read_vector, require, write
from ..layers.base import walk
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from .early_stopping import EarlyStopping
from .history import History, Record
from .input_validation import warn

FORMAT, VERSION = "tinynet checkpoint", 1
State = tuple[dict[str, Any], dict[str, np.ndarray]]
Steps = Callable[..., Iterator[tuple[int, Array, Array]]]


class Checkpoint:
    """The file of one training; without a path it does nothing.

    Two are kept: `path`, and beside it the one before, from which a training goes on if the newer is damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        every: int,
        optimizer: Optimizer,
        history: History,
        stopping: EarlyStopping,
    ) -> None:
        self.path = None if path is None else Path(path)
        self.every, self.optimizer, self.network = every, optimizer, optimizer.network
        self.history, self.stopping = history, stopping
        self.training: dict[str, Any] = {}
        self.began, self.seconds = optimizer.t, 0.0
        self.place: dict[str, Any] = {}

    def go_on(self, loss: Loss, x: Array, t: Array, epochs: int, batch_size: int) -> None:
        """Puts everything where the file says that it stood. ModelFileError for another training's file."""
        if self.path:
            schedule = f"{epochs} of {batch_size} rows a batch, patience {self.stopping.patience}"
            self.training = _described(self.optimizer, loss, x, t) | {"epochs": schedule}
            if found := self.network.backend.once(partial(self._found, self.path)):
                self._restore(*found)

    def steps(self, train_steps: Steps) -> Steps:
        """The same steps, with the training saved after every so many; those that the file holds are not done again."""
        if self.path is None:
            return train_steps

        def saved_steps(
            network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
        ) -> Iterator[tuple[int, Array, Array]]:
            start, (done, sums) = time.perf_counter(), self._place_in_epoch()
            if done:
                yield sums
            while done < len(order):
                part = order[done:][: (self.every - optimizer.t % self.every) * batch_size]
                for totals in train_steps(network, optimizer, loss, x, t, part, batch_size):
                    sums = tuple(a + b for a, b in zip(sums, totals, strict=True))
                    yield totals
                done += len(part)
                self._save(done, sums, self.seconds + time.perf_counter() - start)

        return saved_steps

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """A training that is done is kept as done; one that was interrupted as it was saved last."""
        if kind is None and self.path:
            self.began = self.optimizer.t
            self._save(0, (0, 0, 0), 0.0)

    def _place_in_epoch(self) -> tuple[int, tuple[Any, ...]]:
        """Rows of the epoch that are done, and their totals: none, but in the epoch that the file breaks off in."""
        place, self.place = self.place, {}
        self.began, self.seconds = self.optimizer.t, place.get("seconds", 0.0)
        if not place:
            return 0, (0, 0, 0)
        self.optimizer.t = place["t"]
        rows, *sums = place["totals"]
        asarray = self.network.backend.xp.asarray
        return place["done"], (
            rows,
            *(asarray(number, kind) for number, kind in zip(sums, place["kinds"], strict=True)),
        )

    def _save(self, done: int, totals: tuple[Any, ...], seconds: float) -> None:
        """Nothing that is not finite is kept: such a training ends, and from the file before it ends the same."""
        network, optimizer, to_host = self.network, self.optimizer, self.network.backend.to_host
        vectors = {"theta": network.theta, "buffers": network.buffers}
        vectors |= {f"slot.{name}": getattr(optimizer, name) for name in optimizer.slots}
        vectors |= dict(zip(("best_theta", "best_buffers"), self.stopping.best or (), strict=False))
        rows, *sums = totals[0], *(to_host(number) for number in totals[1:])
        header = {
            "format": FORMAT,
            "version": VERSION,
            "training": self.training,
            "history": [asdict(record) for record in self.history],
            "stopped": self.history.stopped,
            "epoch": network.epoch - (done > 0),
            "began": self.began,
            "place": {
                "done": done,
                "totals": [rows, *map(float, sums)],
                "kinds": [number.dtype.name for number in sums],
                "t": optimizer.t,
                "seconds": seconds,
            },
            "counters": [layer.counter for _, _, layer in walk(network.layers)],
            "best": [self.stopping.epoch, self.stopping.loss] if self.stopping.best else None,
        }
        losses = [loss for record in self.history for loss in (record.loss, record.val_loss) if loss is not None]
        if np.isfinite([*map(float, sums), *losses]).all() and np.isfinite(to_host(network.theta)).all():
            network.backend.once(lambda: self._write(header, {name: to_host(part) for name, part in vectors.items()}))

    def _write(self, header: dict[str, Any], vectors: dict[str, np.ndarray]) -> None:
        path = Path(self.path or "")
        with about(path):
            with contextlib.suppress(FileNotFoundError):  # the first, or another process keeps the same training
                os.replace(path, _before(path))
            write(path, header, vectors)

    def _found(self, path: Path) -> State | None:
        """What the newest file holds that can be read; None if there is none."""
        with about(path):
            require(path.parent.is_dir(), "cannot be written: its folder is not there")
        found = [file for file in (path, _before(path)) if file.exists()]
        for file in found:
            try:
                state = self._read(file)
            except ModelFileError as error:
                if file == found[-1]:
                    raise
                warn(f"{error}; {found[-1]}, the one before, is read in its place", RuntimeWarning)
            else:
                self._check_that_it_is_this_training(file, state[0])
                return state
        return None

    def _read(self, path: Path) -> State:
        network, optimizer = self.network, self.optimizer
        sizes = {"theta": network.theta.size, "buffers": network.buffers.size}
        sizes |= {f"slot.{name}": network.theta.size for name in optimizer.slots}
        with about(path), opened(path) as archive:
            header = read_header(archive)
            require(header["format"] == FORMAT and header["version"] == VERSION, f"not a {FORMAT} of version {VERSION}")
            if header["training"] != self.training:
                return header, {}
            if header["best"]:
                sizes |= {"best_theta": sizes["theta"], "best_buffers": sizes["buffers"]}
            return header, {name: read_vector(archive, name, network.dtype, size) for name, size in sizes.items()}

    def _check_that_it_is_this_training(self, path: Path, header: dict[str, Any]) -> None:
        with about(path):
            for name, value in self.training.items():
                found = header["training"].get(name)
                require(found == value, f"{OTHER}: {name} was {found}, and is {value}")

    def _restore(self, header: dict[str, Any], vectors: dict[str, np.ndarray]) -> None:
        network, optimizer, to_device = self.network, self.optimizer, self.network.backend.to_device
        self.history += [Record(**record) for record in header["history"]]
        self.history.stopped = header["stopped"]
        for name in ("theta", "buffers"):
            getattr(network, name)[...] = to_device(vectors[name])
        for name in optimizer.slots:
            getattr(optimizer, name)[...] = to_device(vectors[f"slot.{name}"])
        for (_, _, layer), counter in zip(walk(network.layers), header["counters"], strict=True):
            layer.counter = counter
        if header["best"]:
            self.stopping.epoch, self.stopping.loss = header["best"]
            self.stopping.best = to_device(vectors["best_theta"]), to_device(vectors["best_buffers"])
        network.epoch, optimizer.t, self.place = header["epoch"], header["began"], header["place"]


OTHER = "it holds another training; delete it, or keep this one in a file of its own"


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.before")


def _described(optimizer: Optimizer, loss: Loss, x: Array, t: Array) -> dict[str, Any]:
    """What makes a training another one."""
    network = optimizer.network
    settings = {name: "a schedule" if callable(value) else value for name, value in optimizer.config().items()}
    return {
        "layers": ", ".join(map(repr, network.layers)),
        "seed": network.seed,
        "dtype": network.dtype.name,
        "optimizer": f"{type(optimizer).__name__} {settings}",
        "loss": f"{type(loss).__name__} {loss.config()}",
        "x": checksum(x, network.backend.to_host),
        "t": checksum(t, network.backend.to_host),
        "from": f"epoch {network.epoch}, step {optimizer.t}",
    }
