"""Contestants in processes of their own, which train an epoch when asked and wait in between.

So their thread pools and their memory do not meet, and they can be asked in turn, A B C A B C ..., on a noisy machine.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import statistics
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from peers import Epoch, Recipe

RECIPES = {
    "12x8x10": Recipe((12, 8), 32),
    "24x12x6x10": Recipe((24, 12, 6), 32),
    "48x24x10": Recipe((48, 24), 32),
    "480x240x120x60x10": Recipe((480, 240, 120, 60), 64, (0.10, 0.25, 0.25, 0.25)),
    "960x480x240x120x60x10": Recipe((960, 480, 240, 120, 60), 128, (0.10, 0.25, 0.25, 0.25, 0.25)),
    "12x10x8x6x4x4x10": Recipe((12, 10, 8, 6, 4, 4), 32),
    "24x12x8x6x4x4x10": Recipe((24, 12, 8, 6, 4, 4), 32),
    "48x24x12x6x3x10": Recipe((48, 24, 12, 6, 3), 32),
}


@dataclass
class Times:
    """Seconds and losses of one contestant's epochs on one recipe, and the MiB that its process held at most."""

    steps: int
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def microseconds(self) -> float:
        """Median time of a step."""
        return 1e6 * statistics.median(self.seconds) / self.steps


class Contestant:
    """One framework in one process; it takes part if `missing` is empty, which else says what it lacks."""

    def __init__(self, name: str, peers: str = "peers") -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        context.Process(target=_serve, args=(name, peers, theirs), daemon=True).start()

    def build(self, recipe: Recipe, rows: int) -> str:
        """Makes the network and trains an epoch that does not count, for compilation; what is missing, if anything."""
        return self._ask("build", recipe, rows)

    def epoch(self) -> tuple[float, float]:
        """Seconds and mean loss of one more epoch."""
        return self._ask("epoch")

    def train(self, times: Times) -> None:
        """One more epoch, whose seconds and loss are added to these."""
        seconds, loss = self.epoch()
        times.seconds.append(seconds)
        times.losses.append(loss)

    def peak_memory(self) -> float:
        """MiB that its process has held at most."""
        return self._ask("memory")

    def _ask(self, *request: Any) -> Any:
        self.connection.send(request)
        return self.connection.recv()


def compare(names: list[str], recipe: Recipe, rows: int, rounds: int, peers: str = "peers") -> dict[str, Times]:
    """Each contestant's times on one recipe: an epoch each in turn, for so many rounds. Absent ones are left out.

    `peers` is the module that holds them: "peers" or "peers_pictures" for the CPU, from which GPUs are hidden, or
    "peers_gpu".
    """
    contestants = [Contestant(name, peers) for name in names]
    present = [contestant for contestant in contestants if not contestant.build(recipe, rows)]
    times = {contestant.name: Times(-(-rows // recipe.batch)) for contestant in present}
    for _ in range(rounds):
        for contestant in present:
            contestant.train(times[contestant.name])
    for contestant in present:
        times[contestant.name].memory = contestant.peak_memory()
    return times


def _serve(name: str, peers: str, connection: Connection) -> None:
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    os.environ |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if peers == "peers_gpu" else {"CUDA_VISIBLE_DEVICES": ""}
    epoch: Epoch | None = None
    while True:
        try:
            request, *arguments = connection.recv()
        except EOFError:
            return
        if request == "build":
            missing, epoch = _build(name, peers, *arguments)
            connection.send(missing)
        elif request == "epoch":
            assert epoch
            start = time.perf_counter()
            loss = epoch()
            connection.send((time.perf_counter() - start, loss))
        else:
            connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _build(name: str, peers: str, recipe: Recipe, rows: int) -> tuple[str, Epoch | None]:
    import tinynet as tn

    digits = tn.data.mnist_split()
    try:
        epoch = importlib.import_module(peers).PEERS[name](recipe, digits.x_train[:rows], digits.y_train[:rows])
    except (ImportError, AssertionError, RuntimeError) as error:
        return str(error), None
    epoch()
    return "", epoch
