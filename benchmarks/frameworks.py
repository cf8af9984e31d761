"""The eight networks in every framework: microseconds per training step, all frameworks in turn.

    python benchmarks/frameworks.py                    every framework that is installed, five rounds   (ten minutes)
    python benchmarks/frameworks.py --rounds 1         a quick look
    python benchmarks/frameworks.py --peers "JAX epoch" "PyTorch"

An epoch is 32,000 digits in float32, shuffled anew each time, with the batch size, dropout and Adam of each network.
The first epoch, in which some frameworks compile, is not timed. "matrix products" are the bare np.matmul calls of a
step, the floor.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import charts
from arena import SETTINGS, Times, compare
from peers import PEERS
from report import markdown, ratio, write_section

OURS = ["tinynet numba", "tinynet numpy-fast", "tinynet numpy"]
FLOOR = "matrix products"


def main() -> None:
    options = parse_options()
    names = list(dict.fromkeys([*OURS, FLOOR, *options.peers]))
    times = {}
    for name in options.models:
        times[name] = compare(names, SETTINGS[name], options.rows, options.rounds)
        print(name, {peer: round(found.microseconds, 1) for peer, found in times[name].items()}, flush=True)
    present = [name for name in names if name in next(iter(times.values()))]
    absent = [name for name in names if name not in present]
    picture = Path(__file__).with_name("frameworks.png")
    charts.against_floor(times, FLOOR, picture)
    tables = microseconds(times, present), ratios(times, present, OURS), losses(times, present)
    text = "\n\n".join([f"![Every framework over the bare matrix products]({picture.name})", *tables])
    write_section(
        "frameworks.py: microseconds per training step",
        f"{text}\n\nMedians of {options.rounds} epochs of {options.rows:,} digits each, all frameworks in turn."
        + (f" Not installed: {', '.join(absent)}." if absent else ""),
    )


def microseconds(times: dict[str, dict[str, Times]], present: list[str]) -> str:
    rows = [
        {"network": name, **{peer: f"{found[peer].microseconds:,.1f}" for peer in present}}
        for name, found in times.items()
    ]
    return markdown(rows)


def ratios(times: dict[str, dict[str, Times]], present: list[str], all_ours: list[str]) -> str:
    """Tabulate how many times as fast each of ours is as each peer, with geometric means over the networks."""
    peers = [name for name in present if name not in all_ours]
    rows = []
    for ours in all_ours:
        columns = {name: [found[name].microseconds for found in times.values()] for name in [ours, *peers]}
        for k, network in enumerate(times):
            row = {peer: f"{columns[peer][k] / columns[ours][k]:.2f}" for peer in peers}
            rows.append({"times as fast": f"{ours}, {network}", **row})
        means = {peer: f"**{ratio(columns[ours], columns[peer]):.2f}**" for peer in peers}
        rows.append({"times as fast": f"**{ours}, geometric mean**", **means})
    return markdown(rows)


def losses(times: dict[str, dict[str, Times]], present: list[str]) -> str:
    """Tabulate the mean training loss of the last epoch, to show that every framework trains."""
    peers = [name for name in present if name != FLOOR]
    rows = [
        {f"loss, epoch {len(found[peers[0]].losses) + 1}": name, **{p: f"{found[p].losses[-1]:.3f}" for p in peers}}
        for name, found in times.items()
    ]
    return markdown(rows)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="NAME")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=32_000, help="digits in an epoch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
