"""Training while another program is busy: a step of 480x240x120x60x10 alone, on one core, and with a busy program.

    python benchmarks/busy_neighbor.py            three minutes; needs Linux, for CPU affinity

Threads that wait for each other by spinning hold a core that the other program needs. The busy program is one Python
process with an endless loop.
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
from arena import SETTINGS, Contestant, Times
from report import markdown, write_section

NAMES = ["tinynet numba", "tinynet numpy-fast", "tinynet numpy", "JAX epoch", "PyTorch", "Keras", "scikit-learn"]
NETWORK, ROWS = "480x240x120x60x10", 32_000
ALONE, ONE_CORE, BUSY = "alone", "alone on one core", "with a busy program"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if not hasattr(os, "sched_getaffinity"):
        sys.exit("busy_neighbor.py needs CPU affinity (os.sched_setaffinity), which this system does not have")
    cores = os.sched_getaffinity(0)
    on_all_cores, on_one_core = contestants(cores), contestants({min(cores)})
    steps = -(-ROWS // SETTINGS[NETWORK].batch)
    times = {name: {how: Times(steps) for how in (ALONE, ONE_CORE, BUSY)} for name in on_all_cores}
    for _ in range(rounds):
        for name in times:
            on_all_cores[name].train(times[name][ALONE])
            on_one_core[name].train(times[name][ONE_CORE])
        with busy_program():
            for name in times:
                on_all_cores[name].train(times[name][BUSY])
    found = {name: {how: measured.microseconds for how, measured in its.items()} for name, its in times.items()}
    picture = Path(__file__).with_name("busy_neighbor.png")
    alone, busy = ({name: its[how] for name, its in found.items()} for how in (ALONE, BUSY))
    charts.busy_neighbor(alone, busy, picture)
    write_section(
        "busy_neighbor.py: microseconds per training step while another program is busy",
        f"{markdown([row(name, its) for name, its in found.items()])}\n\n"
        f"{NETWORK}, medians of {rounds} epochs of {ROWS:,} digits, all in turn.\n\n"
        f"![Microseconds per step, alone and with a busy program]({picture.name})",
    )


def contestants(cores: set[int]) -> dict[str, Contestant]:
    """Return the frameworks that are installed, in processes that may use these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    started = {name: Contestant(name) for name in NAMES}
    os.sched_setaffinity(0, before)
    return {name: one for name, one in started.items() if not one.build(SETTINGS[NETWORK], ROWS)}


@contextmanager
def busy_program() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def row(name: str, found: dict[str, float]) -> dict[str, str]:
    ratios = {f"busy / {how}": f"{found[BUSY] / found[how]:.2f}" for how in (ALONE, ONE_CORE)}
    return {"framework": name, **{how: f"{us:,.0f}" for how, us in found.items()}, **ratios}


if __name__ == "__main__":
    main()
