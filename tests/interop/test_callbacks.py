"""The callbacks: TensorBoard, a CSV file, a plot in a notebook."""

import csv
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

import tinynet as tn
from tinynet.interop import callbacks


def train(callback, epochs=3, validation=True):
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(40, 3)), draw.integers(0, 2, 40)
    net = tn.mlp(3, [4], 2)
    held_out = (x, y) if validation else None
    return tn.fit(net, tn.Adam(net), x, y, epochs=epochs, callbacks=[callback], validation=held_out)


def lines(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_holds_every_epoch(tmp_path):
    history = train(tn.CSVLogger(tmp_path / "log.csv"))
    found = lines(tmp_path / "log.csv")
    assert [int(line["epoch"]) for line in found] == [1, 2, 3]
    assert [float(line["val_loss"]) for line in found] == [record.val_loss for record in history]
    assert list(tmp_path.iterdir()) == [tmp_path / "log.csv"]


def test_a_training_that_goes_on_has_one_line_for_each_epoch(tmp_path):
    log = tn.CSVLogger(tmp_path / "log.csv")
    for epoch in (1, 2, 3, 2):
        log(tn.Record(epoch, 0.5, None))
    assert [line["epoch"] for line in lines(tmp_path / "log.csv")] == ["1", "2"]
    assert lines(tmp_path / "log.csv")[0]["accuracy"] == ""


def test_another_csv_file_is_left_alone(tmp_path):
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"CSVLogger: expected a file of epochs, got .*log\.csv with the columns"):
        tn.CSVLogger(tmp_path / "log.csv")


def events(folder):
    """Return the events of the only file in a folder. A record is its length, a checksum, bytes, a checksum."""
    (path,) = folder.iterdir()
    content, start = path.read_bytes(), 0
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        yield Event.FromString(content[start + 12 : start + 12 + length])
        start += length + 16


@pytest.mark.parametrize("validation", [True, False])
def test_tensorboard_is_given_every_epoch(tmp_path, validation):
    history = train(tn.TensorBoard(tmp_path / "logs"), validation=validation)
    found = [
        (event.step, value.tag, value.simple_value)
        for event in events(tmp_path / "logs")
        for value in event.summary.value
    ]
    tags = {"loss/training": "loss", "accuracy/training": "accuracy", "lr": "lr", "seconds": "seconds"}
    tags |= {"loss/validation": "val_loss", "accuracy/validation": "val_accuracy"} if validation else {}
    expected = [
        (record.epoch, tag, np.float32(getattr(record, name))) for record in history for tag, name in tags.items()
    ]
    assert sorted(found) == sorted(expected)


def test_a_plot_grows_in_a_notebook(monkeypatch):
    shown = []
    handle = SimpleNamespace(update=shown.append)
    display = SimpleNamespace(display=lambda png, display_id: (shown.append(png), handle)[1], Image=bytes)
    monkeypatch.setattr(callbacks, "optional_import", lambda name: display)
    train(tn.LivePlot())
    assert len(set(shown)) == 3
    assert all(png.startswith(b"\x89PNG") for png in shown)
