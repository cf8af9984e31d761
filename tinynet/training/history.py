"""The record of a training: one Record per epoch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..arrays.optional import optional_import

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Record:
    """One epoch. `loss` = sum over its batches of N L / rows and `accuracy` are means over the epoch, with dropout and
    while theta changes. `val_loss` and `val_accuracy` are measured after it, without dropout (None without validation
    data). Accuracies are None if the loss has no classes. `seconds` is the time of training, without validation; `rows`
    the number of rows trained on; `lr` the learning rate of the first step.
    """

    epoch: int
    loss: float
    accuracy: float | None
    val_loss: float | None = None
    val_accuracy: float | None = None
    seconds: float = 0.0
    rows: int = 0
    lr: float = 0.0

    @property
    def rows_per_second(self) -> float:
        """Rows trained on per second; nan if no time was measured."""
        return self.rows / self.seconds if self.seconds else math.nan


SHOWN = {
    "epoch": "{}",
    "loss": "{:.5g}",
    "accuracy": "{:.4f}",
    "val_loss": "{:.5g}",
    "val_accuracy": "{:.4f}",
    "seconds": "{:.2f}",
}
"""The fields that a printed History and the progress bar show, and their formats."""


class History(list[Record]):
    """The records of a training, in order. `stopped` says why it stopped early; it is empty if it did not.

    `to_frame` raises ImportError without pandas, `plot` without matplotlib.
    """

    stopped: str = ""

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas DataFrame: one row per epoch, the fields of Record as columns."""
        pandas = optional_import("pandas", "examples")
        return pandas.DataFrame([asdict(record) for record in self])

    def plot(self) -> Figure:
        """Return a matplotlib Figure of loss and accuracy over the epochs, training and validation. It is not shown."""
        matplotlib = optional_import("matplotlib.figure", "examples")
        epochs, fields = [record.epoch for record in self], ["loss", "accuracy"]
        if self and self[0].accuracy is None:
            fields.remove("accuracy")
        figure = matplotlib.Figure(figsize=(5 * len(fields), 4), layout="constrained")
        for axes, field in zip(figure.subplots(1, len(fields), squeeze=False)[0], fields, strict=True):
            running = [getattr(record, field) for record in self]
            axes.plot(epochs, running, "--", color="tab:orange", label="training, running mean")
            if self and self[0].val_loss is not None:
                measured = [getattr(record, f"val_{field}") for record in self]
                axes.plot(epochs, measured, color="tab:blue", label="validation")
            axes.set(xlabel="epoch", ylabel=field)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            axes.legend()
        return figure

    def __repr__(self) -> str:
        """Return a table with one row per epoch, without empty columns."""
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
        return "\n".join([*lines, *([f"stopped: {self.stopped}"] if self.stopped else [])])

    def _repr_html_(self) -> str:
        """Return the same as HTML for notebooks."""
        head, *rows = ("".join(f"<td>{cell}</td>" for cell in row) for row in self._rows())
        table = "".join(f"<tr>{row}</tr>" for row in (head.replace("td>", "th>"), *rows))
        return f"<table>{table}</table>" + (f"<p>stopped: {self.stopped}</p>" if self.stopped else "")

    def _rows(self) -> list[list[str]]:
        """Return the column names, then the cells of each epoch."""
        names = [name for name in SHOWN if not self or any(getattr(record, name) is not None for record in self)]
        return [names, *([shown(record, name) for name in names] for record in self)]


def shown(record: Record, name: str) -> str:
    """Return a field as text; "" for None."""
    value = getattr(record, name)
    return "" if value is None else SHOWN[name].format(value)
