"""Training a convolutional network in every framework: milliseconds per step and peak memory, in one interleaved run.

    python benchmarks/pictures.py                      seven rounds
    python benchmarks/pictures.py --quick              one short round, which is not written down

16-16-pool-32-32-pool-10: convolutions of 3 x 3, each with batch normalization and ReLU, on digits of 28 x 28 in
float32, batches of 64, Adam. All start from the same weights, and before anything is timed their losses over the first
steps must agree. Each trains in a process of its own, whose peak is its memory, with the data and Python in it. PyTorch
has its faster order of axes, and as many threads as there are cores. The first epoch, in which some compile, does not
count.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from arena import Contestant, Times, compare
from peers import Recipe
from peers_pictures import PEERS
from report import markdown, write_section

RECIPE = Recipe((16, 16, 32, 32), 64)
ROWS, ROUNDS, QUICK = 6_400, 7, (640, 1)
FIRST_STEPS, TOLERANCE = 5, 1e-3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="to see that it works; RESULTS.md stays as it is")
    quick = parser.parse_args().quick
    rows, rounds = QUICK if quick else (ROWS, ROUNDS)
    losses = first_losses()
    apart = disagreement(losses)
    if not apart <= TOLERANCE:
        print(f"not the same training: losses differ by {apart:.1e} of them\n{losses}", file=sys.stderr)
        return 1
    times = compare(list(losses), RECIPE, rows, rounds, "peers_pictures")
    absent = [name for name in PEERS if name not in times]
    text = "\n\n".join(
        [
            table(times),
            markdown(aims(times)) if reference(times) else "No PyTorch to compare with.",
            f"Medians of {rounds} epochs of {rows:,} digits, batches of {RECIPE.batch}, all in turn. Over the first "
            f"steps on one batch all losses agree to {apart:.0e} of them."
            + (f" Not installed: {', '.join(absent)}." if absent else ""),
        ]
    )
    if quick:
        print(text)
    else:
        write_section("pictures.py: milliseconds per training step of a convolutional network", text)
    return 0


def first_losses() -> dict[str, list[float]]:
    """Those of steps 2 to 6 on one batch, which is all the data, so that its order says nothing."""
    found = {}
    for name in PEERS:
        contestant = Contestant(name, "peers_pictures")
        if not contestant.build(RECIPE, RECIPE.batch):  # takes step 1
            found[name] = [contestant.epoch()[1] for _ in range(FIRST_STEPS)]
    return found


def disagreement(losses: dict[str, list[float]]) -> float:
    """The largest difference between two contestants' losses of a step, over the smaller."""
    steps = np.array(list(losses.values()))
    return float(np.max(np.ptp(steps, axis=0) / steps.min(axis=0)))


def reference(times: dict[str, Times]) -> str:
    """PyTorch, with the faster of its orders of axes."""
    theirs = [name for name in times if name.startswith("PyTorch")]
    return min(theirs, key=lambda name: times[name].microseconds, default="")


def table(times: dict[str, Times]) -> str:
    best = reference(times)
    rows = []
    for name, found in times.items():
        step = found.microseconds
        rows.append(
            {
                "framework": name,
                "ms a step": f"{step / 1e3:.2f}",
                "60,000 digits, s": f"{step * 60_000 / RECIPE.batch / 1e6:.1f}",
                "over PyTorch": f"{step / times[best].microseconds:.2f}" if best else "",
                "peak MiB": f"{found.memory:,.0f}",
                "loss at the end": f"{found.losses[-1]:.4f}",
            }
        )
    return markdown(rows)


def aims(times: dict[str, Times]) -> list[dict[str, str]]:
    best = times[reference(times)]
    rows = []
    for name, limit in {"tinynet numba": 1, "tinynet numpy": 3}.items():
        step, memory = times[name].microseconds / best.microseconds, times[name].memory / best.memory
        rows.append({"aim": f"{name}, step over {reference(times)}'s", "at most": f"{limit}", "reached": f"{step:.2f}"})
        rows.append({"aim": f"{name}, memory over {reference(times)}'s", "at most": "1", "reached": f"{memory:.2f}"})
    return rows


if __name__ == "__main__":
    sys.exit(main())
