"""The progress bar of a training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from ..arrays.backend import Backend
from .history import Record, shown
from .listeners import Listener, Training
from .loop import Steps, Totals

if TYPE_CHECKING:
    from tqdm import tqdm

REFRESH = 0.1
"""Seconds between two refreshes of the bar, at least."""

COMPILES = "a first run compiles before the clock starts"
"""What the bar shows until the first step."""


class ProgressBar(Listener):
    """A tqdm bar over all rows of all epochs, refreshed at most ten times a second.

    Between two refreshes nothing is fetched or formatted; without a visible bar nothing is ever fetched.
    """

    bar: Any = None

    def __init__(self, wanted: tqdm[Any] | bool | None) -> None:
        self.wanted = wanted

    def begin(self, training: Training) -> None:
        rows = (training.epochs - len(training.history)) * len(training.x)
        self.bar = open_bar(training.network.backend, self.wanted, rows)
        if training.network.backend.train_steps:
            self.bar.set_postfix_str(COMPILES)
        self.waiting, self.next = 0, 0.0

    def steps(self, steps: Steps) -> Steps:
        def counted(network: Any, optimizer: Any, loss: Any, *rest: Any) -> Iterator[Any]:
            if self.bar.disable:
                yield from steps(network, optimizer, loss, *rest)
                return
            totals = Totals(network, loss)
            for rows, summed_loss, correct in steps(network, optimizer, loss, *rest):
                totals.add(rows, summed_loss, correct)
                self.waiting += rows
                if time.perf_counter() > self.next:
                    self._show(Record(network.epoch + 1, *totals.means()))
                yield rows, summed_loss, correct

        return counted

    def __call__(self, record: Record) -> None:
        self._show(record)

    def end(self, error: BaseException | None) -> None:
        if self.bar is not None:
            self.bar.close()

    def _show(self, record: Record) -> None:
        names = ("epoch", "loss", "accuracy", "val_loss" if record.val_accuracy is None else "val_accuracy")
        known = [f"{name} {text}" for name in names if (text := shown(record, name))]
        self.bar.set_postfix_str(", ".join(known), refresh=False)
        self.bar.update(self.waiting)
        self.waiting, self.next = 0, time.perf_counter() + REFRESH


@singledispatch
def open_bar(backend: Backend, wanted: tqdm[Any] | bool | None, rows: int) -> tqdm[Any]:
    """Return a tqdm bar over `rows` rows. It is silent if not wanted; None means a bar only in a terminal or notebook.

    `parallel/` registers another version for its backend.
    """
    from tqdm import auto, std  # here, because it takes a quarter of the time of `import tinynet`

    bar = wanted
    if not isinstance(bar, std.tqdm):
        bar = auto.tqdm(disable=None if wanted is None else not wanted, unit=" rows", unit_scale=True)
    bar.reset(total=rows)
    return bar
