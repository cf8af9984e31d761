"""Peak memory of the main job, and of each framework that trains 480x240x120x60x10.

    python benchmarks/memory.py

For the main job, this is the largest sum over its processes of their proportional set size on Linux (shared pages count
once), sampled twenty times a second. For a framework, it is the peak of its process, data included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from arena import SETTINGS, Contestant
from peers import PEERS
from report import markdown, write_section

MAIN_JOB = Path(__file__).parent.parent / "examples" / "mnist_compare.py"


def main() -> None:
    rows = [{"what": "main job, all eight networks, two at a time", "MiB": f"{main_job():,.0f}"}]
    for name in PEERS:
        contestant = Contestant(name)
        missing = contestant.build(SETTINGS["480x240x120x60x10"], 32_000)
        figure = f"not installed: {missing}" if missing else f"{contestant.peak_memory():,.0f}"
        rows.append({"what": f"an epoch of 480x240x120x60x10, {name}", "MiB": figure})
    write_section("memory.py: peak memory", markdown(rows))


def main_job() -> float:
    """Return the peak memory of the main job and its child processes together, in MiB."""
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
