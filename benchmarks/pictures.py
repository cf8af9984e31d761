"""Training a convolutional network in every framework: milliseconds per step and peak memory, all in turn.

    python benchmarks/pictures.py                      seven rounds
    python benchmarks/pictures.py --quick              one short round, which is printed only

16-16-pool-32-32-pool-10: 3 x 3 convolutions, each with batch normalization and ReLU, on digits of 28 x 28 pixels in
float32, with batches of 64 and Adam. All start with the same parameters, and their losses over the first steps must
agree before anything is timed. Each trains in its own process; the memory is the peak of this process, with Python and
the data. Ratios to PyTorch use the faster of its memory formats, with one thread for each core. The first epoch, in
which some frameworks compile, is not timed.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from arena import Contestant, Times, compare
from peers import Settings
from peers_pictures import PEERS
from report import markdown, write_section

NETWORK = Settings((16, 16, 32, 32), 64)
ROWS, ROUNDS, QUICK = 6_400, 7, (640, 1)
FIRST_STEPS, TOLERANCE = 5, 1e-3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quick test, which does not change RESULTS.md")
    quick = parser.parse_args().quick
    rows, rounds = QUICK if quick else (ROWS, ROUNDS)
    losses = first_losses()
    difference = relative_difference(losses)
    if not difference <= TOLERANCE:
        print(f"not the same training: relative difference of losses {difference:.1e}\n{losses}", file=sys.stderr)
        return 1
    times = compare(list(losses), NETWORK, rows, rounds, "peers_pictures")
    absent = [name for name in PEERS if name not in times]
    text = "\n\n".join(
        [
            table(times),
            markdown(aims(times)) if reference(times) else "No PyTorch to compare with.",
            f"Medians of {rounds} epochs of {rows:,} digits, batches of {NETWORK.batch}, all in turn. Over the first "
            f"steps on one batch, the losses agree to a relative difference of {difference:.0e}."
            + (f" Not installed: {', '.join(absent)}." if absent else ""),
        ]
    )
    if quick:
        print(text)
    else:
        write_section("pictures.py: milliseconds per training step of a convolutional network", text)
    return 0


def first_losses() -> dict[str, list[float]]:
    """Return the losses of steps 2 to 6, always on the same batch, so that the order of rows does not matter."""
    found = {}
    for name in PEERS:
        contestant = Contestant(name, "peers_pictures")
        if not contestant.build(NETWORK, NETWORK.batch):  # does step 1
            found[name] = [contestant.epoch()[1] for _ in range(FIRST_STEPS)]
    return found


def relative_difference(losses: dict[str, list[float]]) -> float:
    """Return the largest difference between two losses of the same step, over the smaller one."""
    steps = np.array(list(losses.values()))
    return float(np.max(np.ptp(steps, axis=0) / steps.min(axis=0)))


def reference(times: dict[str, Times]) -> str:
    """Return the name of PyTorch with the faster of its memory formats, or ""."""
    found = [name for name in times if name.startswith("PyTorch")]
    return min(found, key=lambda name: times[name].microseconds, default="")


def table(times: dict[str, Times]) -> str:
    best = reference(times)
    rows = []
    for name, found in times.items():
        step = found.microseconds
        rows.append(
            {
                "framework": name,
                "ms per step": f"{step / 1e3:.2f}",
                "60,000 digits, s": f"{step * 60_000 / NETWORK.batch / 1e6:.1f}",
                "over PyTorch": f"{step / times[best].microseconds:.2f}" if best else "",
                "peak MiB": f"{found.memory:,.0f}",
                "loss at the end": f"{found.losses[-1]:.4f}",
            }
        )
    return markdown(rows)


def aims(times: dict[str, Times]) -> list[dict[str, str]]:
    best = times[reference(times)]
    rows = []
    for name, limit in {"tinynet numba": 1, "tinynet numpy-fast": 3}.items():
        step, memory = times[name].microseconds / best.microseconds, times[name].memory / best.memory
        over = f"over {reference(times)}"
        rows.append({"aim": f"{name}, step {over}", "at most": f"{limit}", "measured": f"{step:.2f}"})
        rows.append({"aim": f"{name}, memory {over}", "at most": "1", "measured": f"{memory:.2f}"})
    return rows


if __name__ == "__main__":
    sys.exit(main())
