"""The result of `diagnose`: one row per layer, a table, a plot, and sentences about what looks wrong."""

from __future__ import annotations

import html
import math
import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

WIDTH = 120
"""Maximum width of a printed diagnosis in characters. Longer layer names are cut."""

SHOWN = {
    "shape": "{}",
    "y_mean": "{:.2g}",
    "y_spread": "{:.2g}",
    "dy_mean": "{:.2g}",
    "dy_spread": "{:.2g}",
    "dead": "{:.0%}",
    "saturated": "{:.0%}",
    "update": "{:.2g}",
}
"""The columns after the layer's name, and their formats."""


@dataclass(frozen=True)
class LayerStep:
    """One layer in one training step: y is its output, dy = dL/dy the gradient that reaches it.

    Mean and spread (standard deviation) are over all numbers of y and of dy. Those of dy are None if no gradient
    reaches the layer. `dead` is the share of a ReLU's units (of pictures, its channels) that are 0 for every row.
    `saturated` is the share of outputs where the activation is flat: |y| > 0.99 for Tanh, y < 0.01 or y > 0.99 for
    Sigmoid. Both are None for other layers. `parameters` counts the layer's own parameters, without those of layers
    inside. `update` = |change of theta| / |theta| over them, or None if they are not updated.
    """

    layer: str
    shape: tuple[int, ...]
    y_mean: float
    y_spread: float
    dy_mean: float | None
    dy_spread: float | None
    dead: float | None
    saturated: float | None
    parameters: int
    frozen: bool
    update: float | None

    @property
    def learns(self) -> bool:
        """Whether the layer itself has parameters that are trained."""
        return self.parameters > 0 and not self.frozen

    @property
    def dy_size(self) -> float | None:
        """The root mean square of dy, or None if no gradient reaches the layer."""
        return None if self.dy_mean is None or self.dy_spread is None else math.hypot(self.dy_mean, self.dy_spread)

    @property
    def dy_length(self) -> float | None:
        """The norm of the dy of one row, as the root mean square over rows; None if no gradient reaches the layer."""
        return None if self.dy_size is None else self.dy_size * math.sqrt(math.prod(self.shape[1:]))


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """One row per layer, in the order of `network.summary()`; the loss; `warnings`, sentences about what looks wrong.

    `not_finite` names the first tensor of the step with a NaN or an inf, and its inputs; it is empty if there is none.
    `to_frame` raises ImportError without pandas, `plot` without matplotlib.
    """

    rows: list[LayerStep]
    loss: float
    warnings: list[str]
    not_finite: str = ""

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas DataFrame: one row per layer, the fields of LayerStep as columns."""
        import pandas

        return pandas.DataFrame([asdict(row) for row in self.rows])

    def plot(self) -> Figure:
        """Return a matplotlib Figure of the spreads of y and dy, layer by layer. It is not shown.

        The axes are logarithmic, so a spread that is 0 or not finite has no point.
        """
        from matplotlib.figure import Figure

        names, positions = [row.layer for row in self.rows], range(len(self.rows))
        figure = Figure(figsize=(11, 1.5 + 0.3 * len(names)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, of, color in zip(panels, ("y", "dy"), ("tab:blue", "tab:orange"), strict=True):
            spreads = [_drawn(getattr(row, f"{of}_spread")) for row in self.rows]
            axes.plot(spreads, positions, "o-", color=color)
            axes.set(xscale="log", xlabel=f"spread of {of}", xlim=_decades(spreads))
            axes.xaxis.set_minor_formatter("")
            axes.grid(alpha=0.3)
        panels[0].set_yticks(positions, names)
        panels[0].invert_yaxis()
        return figure

    def __repr__(self) -> str:
        """Return a table of the layers, without empty columns, then the loss and the sentences."""
        table = self._cells()
        _, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
        room = WIDTH - sum(widths) - 2 * len(widths)
        names = [name if len(name) <= room else f"{name[: room - 1]}…" for name, *_ in table]
        first = max(map(len, names))
        lines = [
            "  ".join([name.ljust(first), *map(str.rjust, cells, widths)]).rstrip()
            for name, (_, *cells) in zip(names, table, strict=True)
        ]
        wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in self._sentences()]
        return "\n".join([lines[0], "-" * (WIDTH - room + first), *lines[1:], *wrapped])

    def _repr_html_(self) -> str:
        """Return the same as HTML for notebooks."""
        cells = [[html.escape(cell).replace("  ", "&emsp;") for cell in row] for row in self._cells()]
        head, *rows = ("".join(f"<td>{cell}</td>" for cell in row) for row in cells)
        table = "".join(f"<tr>{row}</tr>" for row in (head.replace("td>", "th>"), *rows))
        return f"<table>{table}</table>" + "".join(f"<p>{html.escape(line)}</p>" for line in self._sentences())

    def _cells(self) -> list[list[str]]:
        """Return the column names, then the cells of each layer."""
        names = [name for name in SHOWN if any(getattr(row, name) is not None for row in self.rows)]
        rows = [[indented(row), *(_shown(row, name) for name in names)] for row in self.rows]
        return [["layer", *(name.replace("_", " ") for name in names)], *rows]

    def _sentences(self) -> list[str]:
        return [f"loss {self.loss:.5g}", *([f"! {line}" for line in self.warnings] or ["no warnings"])]


def indented(row: LayerStep) -> str:
    """Return the name to print: "2 Residual / 0 Dense(8, 8)" is indented below "2 Residual"."""
    *around, name = row.layer.split(" / ")
    return "  " * len(around) + name + (" (frozen)" if row.frozen else "")


def _shown(row: LayerStep, name: str) -> str:
    value = getattr(row, name)
    return "" if value is None else SHOWN[name].format(value)


def _drawn(spread: float | None) -> float:
    """Return the spread, or nan if a logarithmic axis cannot show it."""
    return spread if spread and math.isfinite(spread) else math.nan


def _decades(spreads: list[float]) -> tuple[float, float]:
    """Return the powers of ten around the spreads, as limits of an axis."""
    powers = [math.floor(math.log10(spread)) for spread in spreads if not math.isnan(spread)] or [0]
    return 10.0 ** min(powers), 10.0 ** (max(powers) + 1)
