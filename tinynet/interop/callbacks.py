"""What `fit` can tell while it trains: TensorBoard, a CSV file, a plot in a notebook."""

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
    """Writes every epoch to a folder that `tensorboard --logdir` shows: fit(..., callbacks=[tn.TensorBoard("logs")]).

    ImportError without tensorboardX (extra `tensorboard`).
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
    """Keeps the epochs in a CSV file with the fields of Record, which is whole at any moment.

    An epoch that is trained again takes its line, and those after it are gone: a training that goes on from a
    checkpoint has one line for each epoch. ValueError for a file that holds something else.
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
                raise ValueError(f"{self.path} holds something else than epochs; CSVLogger takes a file of its own")
            return list(lines)


class LivePlot:
    """In a notebook, a plot of loss and accuracy that grows epoch by epoch: fit(..., callbacks=[tn.LivePlot()]).

    ImportError without IPython or matplotlib. A drawing takes about a tenth of a second.
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
