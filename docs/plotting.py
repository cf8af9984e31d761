"""Pictures for the book, drawn twice: on a light page and on a dark one."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import matplotlib.pyplot as plt
from IPython.display import HTML, display
from matplotlib.figure import Figure

COLORS = {"only-light": ("#1f2328", "#d0d7de"), "only-dark": ("#e6edf3", "#3d444d")}
CYCLE = ["#d9541e", "#3b82c4", "#2e9e6b", "#a25bc4", "#c99a1b", "#7d8590"]


def show(draw: Callable[[], Figure], alt: str) -> None:
    """Displays the figure that `draw` makes; `alt` says what is seen in it."""
    pictures = []
    for theme, (ink, grid) in COLORS.items():
        with plt.rc_context(style(ink, grid)):
            figure, file = draw(), io.BytesIO()
            figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
            plt.close(figure)
        data = base64.b64encode(file.getvalue()).decode()
        pictures.append(f'<img class="{theme} plot" alt="{alt}" src="data:image/svg+xml;base64,{data}">')
    display(HTML("".join(pictures)))


def style(ink: str, grid: str) -> dict[str, object]:
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "axes.titlecolor")
    return dict.fromkeys(inked, ink) | {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "legend.frameon": False,
        "axes.grid": True,
        "grid.color": grid,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(color=CYCLE),
        "figure.figsize": (7, 3.2),
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "svg.hashsalt": "tinynet",
        "svg.fonttype": "path",
    }
