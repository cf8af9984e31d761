"""Peak memory: of the main job from start to finish, and of each framework that trains 480x240x120x60x10.

    python benchmarks/memory.py

The main job's figure is the largest sum of the memory that its processes hold for themselves (shared pages counted
once, as Linux's PSS does), sampled twenty times a second; a framework's is its process's peak, data included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from arena import RECIPES, Contestant
from peers import PEERS
from report import markdown, write_section

MAIN_JOB = Path(__file__).parent.parent / "examples" / "mnist_compare.py"


def main() -> None:
    rows = [{"what": "main job, all eight networks, two at a time", "MiB": f"{main_job():,.0f}"}]
    for name in PEERS:
        contestant = Contestant(name)
        missing = contestant.build(RECIPES["480x240x120x60x10"], 32_000)
        figure = f"not installed: {missing}" if missing else f"{contestant.peak_memory():,.0f}"
        rows.append({"what": f"an epoch of 480x240x120x60x10, {name}", "MiB": figure})
    write_section("memory.py: peak memory", markdown(rows))


def main_job() -> float:
    """MiB that the main job and its children hold at most, together."""
    with tempfile.TemporaryDirectory() as out:
        process = subprocess.Popen(
            [sys.executable, str(MAIN_JOB), "--out", out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        parent, peak = psutil.Process(process.pid), 0.0
        while process.poll() is None:
            peak = max(peak, held(parent))
            time.sleep(0.05)
    return peak


def held(parent: psutil.Process) -> float:
    total = 0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 2**20


if __name__ == "__main__":
    main()
