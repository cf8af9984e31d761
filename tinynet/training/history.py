"""What a training left: one plain Record an epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Record:
    """One epoch. `loss` and `accuracy` are running means over its batches, with dropout and while theta moved;
    `val_loss` and `val_accuracy` are measured after it, without dropout (None without validation data);
    `seconds` is the training alone, `rows` the number of rows trained on, `lr` the rate of its first step.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None = None
    val_accuracy: float | None = None
    seconds: float = 0.0
    rows: int = 0
    lr: float = 0.0

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds


class History(list[Record]):
    """The records of a training, in order; `stopped` says why it ended early (empty if it did not)."""

    stopped: str = ""

    def to_frame(self) -> pandas.DataFrame:
        """A pandas table with a row an epoch and the fields of Record as columns."""
        import pandas

        return pandas.DataFrame([asdict(record) for record in self])

    def plot(self) -> Figure:
        """Loss and accuracy over the epochs, training and validation, as a matplotlib Figure (never shown here)."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4), layout="constrained")
        epochs = [record.epoch for record in self]
        for axes, field in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
            axes.plot(
                epochs,
                [getattr(record, field) for record in self],
                "--",
                color="tab:orange",
                label="training, running mean",
            )
            if self and self[0].val_loss is not None:
                axes.plot(
                    epochs, [getattr(record, f"val_{field}") for record in self], color="tab:blue", label="validation"
                )
            axes.set(xlabel="epoch", ylabel=field)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            axes.legend()
        return figure
