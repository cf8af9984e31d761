"""Training beside another busy program: a step of 480x240x120x60x10 alone, on one core, and beside a loop without end.

    python benchmarks/busy_neighbor.py            three minutes

Threads that wait for each other by spinning hold a core that somebody else wants; then each waits for the other. The
neighbor is one Python process that computes all the time, as a page in a browser may.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import charts
from arena import RECIPES, Contestant, Times
from report import markdown, write_section

NAMES = ["tinynet numba", "tinynet numpy", "JAX epoch", "PyTorch", "Keras", "scikit-learn"]
NETWORK, ROWS = "480x240x120x60x10", 32_000
ALONE, ONE_CORE, BESIDE = "alone", "alone on one core", "beside a busy loop"
CORES = os.sched_getaffinity(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    everywhere, on_one_core = contestants(CORES), contestants({min(CORES)})
    steps = -(-ROWS // RECIPES[NETWORK].batch)
    times = {name: {how: Times(steps) for how in (ALONE, ONE_CORE, BESIDE)} for name in everywhere}
    for _ in range(rounds):
        for name in times:
            everywhere[name].train(times[name][ALONE])
            on_one_core[name].train(times[name][ONE_CORE])
        with busy_program():
            for name in times:
                everywhere[name].train(times[name][BESIDE])
    found = {name: {how: measured.microseconds for how, measured in its.items()} for name, its in times.items()}
    picture = Path(__file__).with_name("busy_neighbor.png")
    alone, beside = ({name: its[how] for name, its in found.items()} for how in (ALONE, BESIDE))
    charts.beside_neighbor(alone, beside, picture)
    write_section(
        "busy_neighbor.py: microseconds per training step beside a busy program",
        f"{markdown([row(name, its) for name, its in found.items()])}\n\n"
        f"{NETWORK}, medians of {rounds} epochs of {ROWS:,} digits, all in turn.\n\n![neighbor]({picture.name})",
    )


def contestants(cores: set[int]) -> dict[str, Contestant]:
    """Those that are installed, in processes that may use these cores."""
    os.sched_setaffinity(0, cores)
    started = {name: Contestant(name) for name in NAMES}
    os.sched_setaffinity(0, CORES)
    return {name: one for name, one in started.items() if not one.build(RECIPES[NETWORK], ROWS)}


@contextmanager
def busy_program() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def row(name: str, found: dict[str, float]) -> dict[str, str]:
    ratios = {f"beside / {how}": f"{found[BESIDE] / found[how]:.2f}" for how in (ALONE, ONE_CORE)}
    return {"framework": name, **{how: f"{us:,.0f}" for how, us in found.items()}, **ratios}


if __name__ == "__main__":
    main()
