"""Jobs for tests/test_train_many.py, in a file of their own, so that any process can import them."""

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
    """Kills its process so many times, counted in a file, before it trains."""

    name: str
    folder: Path
    times: int
    epochs = 3

    def train(self, tell):
        count = len(list(self.folder.glob(f"{self.name}.*")))
        (self.folder / f"{self.name}.{count}").touch()
        if count < self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return job(7).train(tell)


@dataclass(frozen=True)
class Broken:
    """Raises."""

    name: str
    epochs = 1

    def train(self, tell):
        raise ValueError("this job cannot be done")


def threads() -> list[int]:
    from threadpoolctl import threadpool_info

    return [library["num_threads"] for library in threadpool_info()]


@dataclass(frozen=True)
class Counting:
    """Says how many threads its BLAS has, and in which process it ran."""

    name: str
    epochs = 1

    def train(self, tell):
        return threads(), os.getpid()


@dataclass(frozen=True)
class Endless:
    """Says which process it runs in, and never ends."""

    name: str
    folder: Path
    epochs = 1_000_000

    def train(self, tell):
        (self.folder / self.name).write_text(f"{os.getpid()}")
        return tn.fit(net := tn.mlp(6, [8], 3), tn.Adam(net), *data(), epochs=self.epochs, callbacks=[tell])
