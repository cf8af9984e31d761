"""Ten minutes of training, saving, loading, killing and going on, at random: nothing may differ, and no memory grow.

    python benchmarks/soak.py [--minutes 10] [--seed 0]

Every round draws a network, a backend, an optimizer and settings; trains it in one go, in this process; and once more
in a process that is killed at a random moment, as often as it takes, and goes on from its checkpoint. Both must end
equal in every bit, and so must the file that is saved, loaded and trained on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from report import markdown, write_section

import tinynet as tn

WARM = 20
"""Rounds after which memory should not grow any more: by then everything is imported and compiled."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, end = random.Random(options.seed), time.monotonic() + 60 * options.minutes
    rounds, kills, memory = 0, 0, []
    while time.monotonic() < end:
        kills += soaked(drawn(draw), draw)
        rounds += 1
        memory.append(held())
    grown = memory[-1] - memory[min(WARM, len(memory) - 1)]
    row = {
        "minutes": f"{options.minutes:g}",
        "rounds": f"{rounds:,}",
        "kills": f"{kills:,}",
        "MiB after the first 20 rounds": f"{memory[min(WARM, len(memory) - 1)]:.0f}",
        "at the end": f"{memory[-1]:.0f}",
        "grown": f"{grown:.1f}",
    }
    write_section(
        "soak.py: training, killing and going on, at random", f"{markdown([row])}\n\nEvery round ended equal."
    )


def drawn(draw: random.Random) -> dict[str, Any]:
    """A training, in words that JSON can hold."""
    return {
        "hidden": [draw.choice([3, 8, 20, 130]) for _ in range(draw.randint(1, 3))],
        "dropout": draw.choice([[], [0.1], [0.0, 0.3]]),
        "seed": draw.randrange(1000),
        "backend": draw.choice(["numpy", "numba"]),
        "optimizer": draw.choice(["Adam", "SGD", "RMSProp", "AdamW"]),
        "rows": draw.randint(50, 2000),
        "epochs": draw.randint(1, 8),
        "batch_size": draw.choice([1, 7, 32, 500]),
        "patience": draw.choice([None, 2]),
        "every": draw.choice([1, 3, 50]),
    }


def soaked(words: dict[str, Any], draw: random.Random) -> int:
    """How often the second training was killed. AssertionError, with the words, if anything differs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, optimizer = trained(words, None)
        kills = 0
        while not killed_or_done(words, folder, draw.expovariate(1 / 0.4)):
            kills += 1
        assert np.load(folder / "theta.npy").tobytes() == network.theta.tobytes(), json.dumps(words)
        tn.save(network, folder / "net.npz", optimizer)
        loaded, its = tn.resume(folder / "net.npz", backend=words["backend"])
        x, labels = data(words["rows"])
        for net, moves in ((network, optimizer), (loaded, its)):
            tn.fit(net, moves, x, labels, epochs=1, batch_size=words["batch_size"])
        assert loaded.theta.tobytes() == network.theta.tobytes(), json.dumps(words)
    return kills


def killed_or_done(words: dict[str, Any], folder: Path, seconds: float) -> bool:
    """Trains in another process, which has so many seconds; whether it was done by then."""
    process = multiprocessing.get_context("fork").Process(target=train_and_tell, args=(words, folder))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9), json.dumps(words)
    return process.exitcode == 0


def train_and_tell(words: dict[str, Any], folder: Path) -> None:
    np.save(folder / "theta.npy", trained(words, folder / "run.checkpoint")[0].theta)


def trained(words: dict[str, Any], checkpoint: Path | None) -> tuple[tn.Network, tn.Optimizer]:
    network = tn.mlp(20, words["hidden"], 4, dropout=words["dropout"], seed=words["seed"], backend=words["backend"])
    optimizer = getattr(tn, words["optimizer"])(network, lr=0.002)
    settings = {name: words[name] for name in ("epochs", "batch_size", "patience", "every")}
    x, labels = data(words["rows"])
    tn.fit(network, optimizer, x, labels, **settings, validation=data(100), checkpoint=checkpoint, progress=False)
    return network, optimizer


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(rows)
    return draw.normal(size=(rows, 20)).astype(np.float32), draw.integers(0, 4, rows)


def held() -> float:
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
