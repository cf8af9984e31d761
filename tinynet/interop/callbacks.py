"""Callbacks of `fit` that record or show the training: TensorBoard, a CSV file, a plot in a notebook."""

from __future__ import annotations

import csv
import io
import os
import time
import weakref
from dataclasses import asdict, fields
from pathlib import Path

from ..arrays.optional import optional_import
from ..files.archive import replacing
from ..training.history import History, Record

COLUMNS = [field.name for field in fields(Record)]
TAGS = {
    "loss": "loss/training",
    "val_loss": "loss/validation",
    "accuracy": "accuracy/training",
    "val_accuracy": "accuracy/validation",
    "lr": "lr",
    "seconds": "seconds",
}


class TensorBoard:
    """Write every epoch to a folder that `tensorboard --logdir` shows: fit(..., callbacks=[tn.TensorBoard("logs")]).

    Raises ImportError without tensorboardX (extra `tensorboard`).
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        events = optional_import("tensorboardX.event_file_writer", "tensorboard")
        self.messages = optional_import("tensorboardX.proto.event_pb2", "tensorboard")
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.writer = events.EventsWriter(os.path.join(folder, "events"))
        weakref.finalize(self, self.writer.close)

    def __call__(self, record: Record) -> None:
        found = [(tag, getattr(record, name)) for name, tag in TAGS.items()]
        values = [{"tag": tag, "simple_value": value} for tag, value in found if value is not None]
        event = self.messages.Event(wall_time=time.time(), step=record.epoch, summary={"value": values})
        self.writer.write_event(event)
        self.writer.flush()


class CSVLogger:
    """Write the epochs to a CSV file with the fields of Record. The file is complete at any moment.

    An epoch that is trained again replaces its line and all later ones, so a training that resumes from a checkpoint
    has one line for each epoch. Raises ValueError if the file holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lines()

    def __call__(self, record: Record) -> None:
        kept = [line for line in self._lines() if int(line["epoch"]) < record.epoch]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows([*kept, asdict(record)])
        with replacing(self.path) as file:
            file.write(text.getvalue().encode())

    def _lines(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with open(self.path, newline="") as file:
            lines = csv.DictReader(file)
            if lines.fieldnames != COLUMNS:
                found = f"{self.path} with the columns {lines.fieldnames}"
                raise ValueError(f"CSVLogger: expected a file of epochs, got {found}; choose another path")
            return list(lines)


class LivePlot:
    """Show a plot of loss and accuracy in a notebook after every epoch: fit(..., callbacks=[tn.LivePlot()]).

    Drawing takes about 0.1 s per epoch. Raises ImportError without IPython or matplotlib.
    """

    def __init__(self) -> None:
        self.display = optional_import("IPython.display")
        self.history, self.shown = History(), None

    def __call__(self, record: Record) -> None:
        self.history.append(record)
        png = io.BytesIO()
        self.history.plot().savefig(png)
        picture = self.display.Image(png.getvalue())
        if self.shown:
            self.shown.update(picture)
        else:
            self.shown = self.display.display(picture, display_id=True)
