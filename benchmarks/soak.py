"""Ten minutes of training, saving, loading, killing and resuming at random: no bit may differ, no memory may grow.

    python benchmarks/soak.py [--minutes 10] [--seed 0]

Every round draws a network, a backend, an optimizer and settings. It trains once without interruption in this process,
and once in a process that is killed at random moments and resumes from its checkpoint until it is finished. Both must
end with the same bits. A network that is saved, loaded and trained again must also equal the original.
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
"""Rounds after which memory should not grow, because everything is imported and compiled."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, end = random.Random(options.seed), time.monotonic() + 60 * options.minutes
    rounds, kills, memory = 0, 0, []
    while time.monotonic() < end:
        kills += run_round(random_settings(draw), draw)
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
        "soak.py: training, killing and resuming at random",
        f"{markdown([row])}\n\nThe parameters were equal in every round.",
    )


def random_settings(draw: random.Random) -> dict[str, Any]:
    """Return the settings of a random training, as JSON values."""
    return {
        "hidden": [draw.choice([3, 8, 20, 130]) for _ in range(draw.randint(1, 3))],
        "dropout": draw.choice([[], [0.1], [0.0, 0.3]]),
        "seed": draw.randrange(1000),
        "backend": draw.choice(["numpy", "numpy-fast", "numba"]),
        "optimizer": draw.choice(["Adam", "SGD", "RMSProp", "AdamW"]),
        "rows": draw.randint(50, 2000),
        "epochs": draw.randint(1, 8),
        "batch_size": draw.choice([1, 7, 32, 500]),
        "patience": draw.choice([None, 2]),
        "every": draw.choice([1, 3, 50]),
    }


def run_round(settings: dict[str, Any], draw: random.Random) -> int:
    """Return how often the second training was killed. Raises AssertionError with the settings if anything differs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, optimizer = trained(settings, None)
        kills = 0
        while not killed_or_done(settings, folder, draw.expovariate(1 / 0.4)):
            kills += 1
        assert np.load(folder / "theta.npy").tobytes() == network.theta.tobytes(), json.dumps(settings)
        tn.save(network, folder / "net.npz", optimizer)
        loaded, loaded_optimizer = tn.resume(folder / "net.npz", backend=settings["backend"])
        x, labels = data(settings["rows"])
        for net, rule in ((network, optimizer), (loaded, loaded_optimizer)):
            tn.fit(net, rule, x, labels, epochs=1, batch_size=settings["batch_size"])
        assert loaded.theta.tobytes() == network.theta.tobytes(), json.dumps(settings)
    return kills


def killed_or_done(settings: dict[str, Any], folder: Path, seconds: float) -> bool:
    """Train in another process, kill it after these seconds, and return True if it was finished before."""
    process = multiprocessing.get_context("fork").Process(target=train_and_save, args=(settings, folder))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9), json.dumps(settings)
    return process.exitcode == 0


def train_and_save(settings: dict[str, Any], folder: Path) -> None:
    np.save(folder / "theta.npy", trained(settings, folder / "run.checkpoint")[0].theta)


def trained(settings: dict[str, Any], checkpoint: Path | None) -> tuple[tn.Network, tn.Optimizer]:
    network = tn.mlp(
        20, settings["hidden"], 4, dropout=settings["dropout"], seed=settings["seed"], backend=settings["backend"]
    )
    optimizer = getattr(tn, settings["optimizer"])(network, lr=0.002)
    keywords = {name: settings[name] for name in ("epochs", "batch_size", "patience", "every")}
    x, labels = data(settings["rows"])
    tn.fit(network, optimizer, x, labels, **keywords, validation=data(100), checkpoint=checkpoint, progress=False)
    return network, optimizer


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(rows)
    return draw.normal(size=(rows, 20)).astype(np.float32), draw.integers(0, 4, rows)


def held() -> float:
    """Return the memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
