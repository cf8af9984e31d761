"""The bar that shows a training while it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .history import Record, shown

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress:
    """A tqdm bar over all rows of all epochs, refreshed ten times a second at most.

    Between two refreshes nothing is fetched or formatted, and without a bar nothing ever is.
    """

    def __init__(self, wanted: tqdm[Any] | bool | None, rows: int) -> None:
        self.bar = _bar(wanted)
        self.bar.reset(total=rows)
        self.waiting, self.next = 0, 0.0

    def is_due(self, rows: int) -> bool:
        """Counts so many rows as done; true when the bar should be shown again."""
        self.waiting += rows
        return not self.bar.disable and time.perf_counter() > self.next

    def show(self, record: Record) -> None:
        """Moves the bar on and writes the record behind it."""
        names = ("epoch", "loss", "accuracy", "val_loss" if record.val_accuracy is None else "val_accuracy")
        known = [f"{name} {text}" for name in names if (text := shown(record, name))]
        self.bar.set_postfix_str(", ".join(known), refresh=False)
        self.bar.update(self.waiting)
        self.waiting, self.next = 0, time.perf_counter() + 0.1

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()


def _bar(wanted: tqdm[Any] | bool | None) -> tqdm[Any]:
    """A bar, or a silent one where it is not wanted, or stderr is no terminal and nobody has said."""
    from tqdm import auto, std  # a quarter of the time that importing tinynet took, and only training needs it

    if isinstance(wanted, std.tqdm):
        return wanted
    return auto.tqdm(disable=None if wanted is None else not wanted, unit=" rows", unit_scale=True)
