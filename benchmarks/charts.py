"""Charts of the measurements: frameworks over the bare matrix products, a busy program, many ranks, gradient checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from arena import Times
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

if TYPE_CHECKING:
    from gradchecks import Score

COLORS = {
    "tinynet numba": "#0b6e4f",
    "tinynet numpy-fast": "#6bbf59",
    "tinynet numpy": "#b5dfa8",
    "JAX epoch": "#8e5ea2",
    "JAX step": "#c3a6cf",
    "PyTorch": "#d1495b",
    "PyTorch, 1 thread": "#eaa0a9",
    "Keras": "#e9b44c",
    "scikit-learn": "#3a7ca5",
}
GRAY = "#777777"


def against_floor(times: dict[str, dict[str, Times]], floor: str, path: Path) -> None:
    """Draw a row for each network, and a dot for each framework: its time of a step over the bare matrix products."""
    figure, axes = _axes(len(times))
    for row, found in enumerate(times.values()):
        over = {name: found[name].microseconds / found[floor].microseconds for name in COLORS if name in found}
        axes.plot([min(over.values()), max(over.values())], [row, row], color="#dddddd", lw=1, zorder=1)
        for name, value in over.items():
            _dot(axes, value, row, name, "tinynet" in name)
    axes.axvline(1, color=GRAY, lw=1, ls="--")
    axes.text(1, -0.75, "  bare matrix products, NumPy", color=GRAY, fontsize=9)
    _finish(axes, list(times), "time of a training step over that of its bare matrix products")
    figure.savefig(path)


def busy_neighbor(alone: dict[str, float], busy: dict[str, float], path: Path) -> None:
    """Draw a row for each framework, from the microseconds per step alone to those with a busy program."""
    figure, axes = _axes(len(alone))
    for row, name in enumerate(alone):
        color = COLORS[name]
        axes.plot([alone[name], busy[name]], [row, row], color=color, lw=2, alpha=0.4, zorder=1)
        axes.plot(alone[name], row, "o", color=color, markersize=9, markerfacecolor="white", markeredgewidth=2)
        axes.plot(busy[name], row, "o", color=color, markersize=10)
        axes.text(
            max(alone[name], busy[name]) * 1.07, row, f"{busy[name] / alone[name]:.1f} x", va="center", color=color
        )
    axes.text(next(iter(alone.values())), -0.6, "alone", ha="center", fontsize=9, color=GRAY)
    axes.text(next(iter(busy.values())), -0.6, "busy", ha="center", fontsize=9, color=GRAY)
    axes.margins(x=0.12)
    _finish(axes, list(alone), "microseconds per training step, alone (ring) and with one busy program (dot)")
    figure.savefig(path)


def data_parallel(
    ranks: list[int],
    curves: dict[str, dict[int, list[float]]],
    measured: dict[int, float],
    path: Path,
) -> None:
    """Draw a panel for each batch size: the speed-up of P ranks over one, by link, and a ring for the measured two."""
    figure = Figure(figsize=(11, 4.6), layout="constrained", dpi=110)
    colors = ["#0b6e4f", "#3a7ca5", "#d1495b"]
    for axes, batch in zip(figure.subplots(1, len(measured), sharey=True), measured, strict=True):
        axes.plot(ranks, ranks, "--", color="#bbbbbb", lw=1)
        axes.text(6, 7.5, "ideal", color=GRAY, fontsize=9, rotation=38)
        for (link, of), color in zip(curves.items(), colors, strict=True):
            speed = [of[batch][0] / seconds for seconds in of[batch]]
            axes.plot(ranks, speed, color=color, lw=2, label=link if batch == max(measured) else None)
        ring = {"markersize": 9, "markerfacecolor": "white", "markeredgecolor": "black"}
        label = "measured, two ranks" if batch == max(measured) else None
        axes.plot(2, 1 / measured[batch], "o", label=label, **ring)
        axes.set(xscale="log", yscale="log", xlabel="ranks", title=f"{batch:,} rows in a batch", ylim=(0.1, 64))
        axes.set_xticks(ranks[::2], [f"{count:,}" for count in ranks[::2]])
        axes.set_yticks(
            [0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64], ["1/8", "1/4", "1/2", *map(str, (1, 2, 4, 8, 16, 32, 64))]
        )
        axes.minorticks_off()
        axes.axhline(1, color=GRAY, lw=0.8)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("times as fast as one rank")
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path)


def gradient_checks(scores: dict[str, Score], path: Path) -> None:
    """Draw a row for each gradient check: wrong gradients caught, right functions accepted, and milliseconds."""
    figure = Figure(figsize=(11, 1.6 + 0.5 * len(scores)), layout="constrained", dpi=110)
    shares, times = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    colors = [COLORS["tinynet numba"] if "tinynet" in name else COLORS["scikit-learn"] for name in scores]
    for row, (score, color) in enumerate(zip(scores.values(), colors, strict=True)):
        caught, accepted = (100 * count / max(of, 1) for count, of in (score.caught, score.accepted))
        shares.plot([caught, accepted], [row, row], color="#dddddd", lw=1, zorder=1)
        ring = {"markersize": 13, "markerfacecolor": "none", "markeredgewidth": 2}
        shares.plot(caught, row, "o", color=color, markersize=7, zorder=3)
        shares.plot(accepted, row, "o", color=color, zorder=2, **ring)
        times.plot(1e3 * score.seconds, row, "o", color=color, markersize=9)
        times.annotate(
            f"{1e3 * score.seconds:,.1f}", (1e3 * score.seconds, row), (9, 0), textcoords="offset points", va="center"
        )
    times.margins(x=0.2)
    _finish(times, list(scores), "milliseconds per check, median")
    _finish(shares, list(scores), "percent of wrong gradients caught (dot), of right functions accepted (ring)")
    shares.set(xscale="linear", xlim=(0, 103))
    figure.savefig(path)


def _axes(rows: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(11, 1.6 + 0.5 * rows), layout="constrained", dpi=110)
    return figure, figure.subplots()


def _dot(axes: Axes, x: float, row: int, name: str, ours: bool) -> None:
    label = name if row == 0 else None
    axes.plot(x, row, "o", color=COLORS[name], markersize=12 if ours else 8, label=label, zorder=3 if ours else 2)


def _finish(axes: Axes, names: list[str], xlabel: str) -> None:
    axes.set(xscale="log", xlabel=xlabel, yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -1))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(left=False)
    axes.grid(axis="x", alpha=0.25, which="both")
    axes.spines[["top", "left", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)
