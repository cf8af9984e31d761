"""Contestants: one process for each framework, which trains an epoch on request and waits in between.

So their thread pools and memory are separate, and they can train in turn, A B C A B C ..., on a noisy machine.
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

from peers import Epoch, Settings

SETTINGS = {
    "12x8x10": Settings((12, 8), 32),
    "24x12x6x10": Settings((24, 12, 6), 32),
    "48x24x10": Settings((48, 24), 32),
    "480x240x120x60x10": Settings((480, 240, 120, 60), 64, (0.10, 0.25, 0.25, 0.25)),
    "960x480x240x120x60x10": Settings((960, 480, 240, 120, 60), 128, (0.10, 0.25, 0.25, 0.25, 0.25)),
    "12x10x8x6x4x4x10": Settings((12, 10, 8, 6, 4, 4), 32),
    "24x12x8x6x4x4x10": Settings((24, 12, 8, 6, 4, 4), 32),
    "48x24x12x6x3x10": Settings((48, 24, 12, 6, 3), 32),
}


@dataclass
class Times:
    """Seconds and losses of the epochs of one contestant on one network, and the peak memory of its process in MiB."""

    steps: int
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def microseconds(self) -> float:
        """The median time of a step."""
        return 1e6 * statistics.median(self.seconds) / self.steps


class Contestant:
    """One framework in its own process."""

    def __init__(self, name: str, peers: str = "peers") -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.connection, remote = context.Pipe()
        context.Process(target=_serve, args=(name, peers, remote), daemon=True).start()

    def build(self, settings: Settings, rows: int) -> str:
        """Make the network and train an epoch that is not timed, for compilation. Return what is missing, or ""."""
        return self._ask("build", settings, rows)

    def epoch(self) -> tuple[float, float]:
        """Train one more epoch, and return its seconds and mean loss."""
        return self._ask("epoch")

    def train(self, times: Times) -> None:
        """Train one more epoch, and add its seconds and loss to `times`."""
        seconds, loss = self.epoch()
        times.seconds.append(seconds)
        times.losses.append(loss)

    def peak_memory(self) -> float:
        """Return the peak memory of its process in MiB."""
        return self._ask("memory")

    def _ask(self, *request: Any) -> Any:
        self.connection.send(request)
        return self.connection.recv()


def compare(names: list[str], settings: Settings, rows: int, rounds: int, peers: str = "peers") -> dict[str, Times]:
    """Return the times of each contestant on one network, one epoch each in turn for `rounds` rounds.

    A framework that is not installed is left out. `peers` is the module of the contestants: "peers" or "peers_pictures"
    for the CPU, where GPUs are hidden, or "peers_gpu".
    """
    contestants = [Contestant(name, peers) for name in names]
    present = [contestant for contestant in contestants if not contestant.build(settings, rows)]
    times = {contestant.name: Times(-(-rows // settings.batch)) for contestant in present}
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


def _build(name: str, peers: str, settings: Settings, rows: int) -> tuple[str, Epoch | None]:
    import tinynet as tn

    digits = tn.data.mnist_split()
    try:
        epoch = importlib.import_module(peers).PEERS[name](settings, digits.x_train[:rows], digits.y_train[:rows])
    except (ImportError, AssertionError, RuntimeError) as error:
        return str(error), None
    epoch()
    return "", epoch
