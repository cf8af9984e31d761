"""How the time of a training step grows with width, depth, batch and data, with a plot.

python benchmarks/growth.py
"""

from __future__ import annotations

from pathlib import Path

import charts
from arena import compare
from matplotlib.figure import Figure
from peers import Recipe
from report import markdown, write_section

OURS = "tinynet numba"
CONTESTANTS = [OURS, "tinynet numpy", "matrix products", "PyTorch", "JAX epoch"]
ROWS, ROUNDS = 6_400, 7
SERIES = {
    "width of two hidden layers": {width: (Recipe((width, width), 64), ROWS) for width in (8, 32, 128, 512, 1024)},
    "hidden layers of width 32": {depth: (Recipe((32,) * depth, 64), ROWS) for depth in (1, 2, 4, 8, 16)},
    "rows in a batch, 128x64": {batch: (Recipe((128, 64), batch), ROWS) for batch in (8, 32, 128, 512)},
    "digits in an epoch, 128x64": {rows: (Recipe((128, 64), 64), rows) for rows in (2_000, 8_000, 32_000)},
}


def main() -> None:
    figure = Figure(figsize=(12, 8), layout="constrained", dpi=110)
    rows = []
    for axes, (series, cases) in zip(figure.subplots(2, 2).flat, SERIES.items(), strict=True):
        times = {size: compare(CONTESTANTS, *case, ROUNDS) for size, case in cases.items()}
        present = list(next(iter(times.values())))
        for name in present:
            axes.loglog(
                list(times),
                [found[name].microseconds for found in times.values()],
                "o-",
                label=name,
                color=charts.COLORS.get(name, charts.GRAY),
            )
        axes.set(xlabel=series, ylabel="microseconds per step")
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
        for size, found in times.items():
            us = {name: found[name].microseconds for name in present}
            lead = {f"{name} / numba": f"{us[name] / us[OURS]:.2f}" for name in present if "tinynet" not in name}
            rows.append({"what grows": f"{series}: {size:,}", **{n: f"{time:,.0f}" for n, time in us.items()}, **lead})
    figure.savefig(Path(__file__).with_name("growth.png"))
    write_section(
        "growth.py: microseconds per step as things grow",
        f"{markdown(rows)}\n\nMedians of {ROUNDS} epochs.\n\n![growth](growth.png)",
    )


if __name__ == "__main__":
    main()
