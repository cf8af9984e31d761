"""Jobs for tests/parallel/test_train_many.py, in a separate file that any process can import."""

import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import tinynet as tn


def data():
    draw = np.random.default_rng(5)
    return draw.normal(size=(103, 6)).astype(np.float32), draw.integers(0, 3, 103)


def held_out():
    return *data(), *data()


def job(seed: int, **changes) -> tn.Job:
    settings = {"batch_size": 10} | changes
    epochs = settings.pop("epochs", 3)
    return tn.Job(f"seed {seed}", partial(tn.mlp, 6, [8], 3, seed=seed), tn.Adam, held_out, epochs, settings)


@dataclass(frozen=True)
class Deadly:
    """A job that kills its process `times` times, counted by files, before it trains."""

    name: str
    folder: Path
    times: int
    epochs = 3

    def train(self, callback):
        count = len(list(self.folder.glob(f"{self.name}.*")))
        (self.folder / f"{self.name}.{count}").touch()
        if count < self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return job(7).train(callback)


@dataclass(frozen=True)
class Broken:
    """A job that raises."""

    name: str
    epochs = 1

    def train(self, callback):
        raise ValueError("this job cannot be done")


def threads() -> list[int]:
    from threadpoolctl import threadpool_info

    return [library["num_threads"] for library in threadpool_info()]


@dataclass(frozen=True)
class Counting:
    """A job that returns the number of BLAS threads and the process id."""

    name: str
    epochs = 1

    def train(self, callback):
        return threads(), os.getpid()


@dataclass(frozen=True)
class Endless:
    """A job that writes its process id to a file and does not end."""

    name: str
    folder: Path
    epochs = 1_000_000

    def train(self, callback):
        (self.folder / self.name).write_text(f"{os.getpid()}")
        return tn.fit(net := tn.mlp(6, [8], 3), tn.Adam(net), *data(), epochs=self.epochs, callbacks=[callback])
