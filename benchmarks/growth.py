"""How the time of a training step grows with width, depth, batch size and the number of rows, with a chart.

python benchmarks/growth.py
"""

from __future__ import annotations

from pathlib import Path

import charts
from arena import Times, compare
from matplotlib.figure import Figure
from peers import Settings
from report import markdown, write_section

OURS = "tinynet numba"
CONTESTANTS = [OURS, "tinynet numpy-fast", "tinynet numpy", "matrix products", "PyTorch", "JAX epoch"]
ROWS, ROUNDS = 6_400, 7
SERIES = {
    "width of two hidden layers": {width: (Settings((width, width), 64), ROWS) for width in (8, 32, 128, 512, 1024)},
    "hidden layers of width 32": {depth: (Settings((32,) * depth, 64), ROWS) for depth in (1, 2, 4, 8, 16)},
    "rows in a batch, 128x64": {batch: (Settings((128, 64), batch), ROWS) for batch in (8, 32, 128, 512)},
    "digits in an epoch, 128x64": {rows: (Settings((128, 64), 64), rows) for rows in (2_000, 8_000, 32_000)},
}


def main() -> None:
    times = {
        series: {size: compare(CONTESTANTS, *case, ROUNDS) for size, case in cases.items()}
        for series, cases in SERIES.items()
    }
    picture = Path(__file__).with_name("growth.png")
    draw(times, picture)
    rows = [row(f"{series}: {size:,}", found) for series, sizes in times.items() for size, found in sizes.items()]
    write_section(
        "growth.py: microseconds per step by width, depth, batch size and rows",
        f"{markdown(rows)}\n\nMedians of {ROUNDS} epochs.\n\n"
        f"![Microseconds per step by width, depth, batch size and rows]({picture.name})",
    )


def draw(times: dict[str, dict[int, dict[str, Times]]], path: Path) -> None:
    """Draw a panel for each series, and a line for each contestant."""
    figure = Figure(figsize=(12, 8), layout="constrained", dpi=110)
    for axes, (series, sizes) in zip(figure.subplots(2, 2).flat, times.items(), strict=True):
        for name in next(iter(sizes.values())):
            us = [found[name].microseconds for found in sizes.values()]
            axes.loglog(list(sizes), us, "o-", label=name, color=charts.COLORS.get(name, charts.GRAY))
        axes.set(xlabel=series, ylabel="microseconds per step")
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
    figure.savefig(path)


def row(case: str, found: dict[str, Times]) -> dict[str, str]:
    us = {name: times.microseconds for name, times in found.items()}
    ratios = {f"{name} / numba": f"{us[name] / us[OURS]:.2f}" for name in us if "tinynet" not in name}
    return {"what grows": case, **{name: f"{time:,.0f}" for name, time in us.items()}, **ratios}


if __name__ == "__main__":
    main()
