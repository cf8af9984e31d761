"""What a training left: records, a table, a picture; and what `import tinynet` does not bring along."""

import dataclasses
import math
import re
import subprocess
import sys

import pytest

import tinynet as tn


@pytest.fixture
def history():
    return tn.History(
        tn.Record(
            epoch=k, loss=1 / k, accuracy=k / 10, val_loss=2 / k, val_accuracy=k / 20, seconds=2.0, rows=100, lr=0.1
        )
        for k in (1, 2, 3)
    )


def without_validation(history):
    return tn.History(dataclasses.replace(record, val_loss=None, val_accuracy=None) for record in history)


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_a_history_is_a_list_of_records(history):
    assert [record.epoch for record in history] == [1, 2, 3]
    assert history[-1].loss == 1 / 3
    assert history.stopped == ""


def test_a_record_is_not_to_be_changed(history):
    with pytest.raises(dataclasses.FrozenInstanceError):
        history[0].loss = 0.0


def test_rows_per_second_is_about_the_training_alone(history):
    assert history[0].rows_per_second == 50
    assert math.isnan(tn.Record(1, 2.0, 0.5).rows_per_second)
    assert (tn.Record(1, 2.0, 0.5).rows, tn.Record(1, 2.0, 0.5).lr) == (0, 0.0)


def test_the_table_has_a_row_an_epoch_and_a_column_a_field(history):
    frame = history.to_frame()
    assert list(frame) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "rows", "lr"]
    assert frame.val_loss.tolist() == [2, 1, 2 / 3]
    assert frame.epoch.dtype == int


def test_the_picture_shows_training_and_validation(history):
    lines = [axes.get_lines() for axes in history.plot().axes]
    shown = [[(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in pair] for pair in lines]
    epochs = [1, 2, 3]
    assert shown == [
        [(epochs, [1, 1 / 2, 1 / 3]), (epochs, [2, 1, 2 / 3])],
        [(epochs, [0.1, 0.2, 0.3]), (epochs, [0.05, 0.1, 0.15])],
    ]
    for axes, field in zip(history.plot().axes, ("loss", "accuracy"), strict=True):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", field)
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training, running mean", "validation"]
        assert all(tick == int(tick) for tick in axes.get_xticks())


def test_table_and_picture_without_validation_and_of_nothing(history):
    alone = without_validation(history)
    assert alone.to_frame().loss.tolist() == [1, 1 / 2, 1 / 3]
    assert alone.to_frame().val_loss.isna().all()
    assert [len(axes.get_lines()) for axes in alone.plot().axes] == [1, 1]
    assert tn.History().to_frame().empty
    assert len(tn.History().plot().axes) == 2


REGRESSION = [tn.Record(1, 37219.25, None, 1e-6, None, 0.5), tn.Record(12, 0.25, None, 1.5, None, 61.25)]
LOOKS = {
    "classes": (
        [tn.Record(1, 2.3, 0.125, 2.25, 0.25, 3.0), tn.Record(2, 0.22871, 0.9568, 0.3, 1.0, 3.0)],
        """
epoch     loss  accuracy  val_loss  val_accuracy  seconds
    1      2.3    0.1250      2.25        0.2500     3.00
    2  0.22871    0.9568       0.3        1.0000     3.00""",
    ),
    "a regression": (
        REGRESSION,
        """
epoch   loss  val_loss  seconds
    1  37219     1e-06     0.50
   12   0.25       1.5    61.25""",
    ),
    "validation in part": (
        [tn.Record(1, 2.0, 0.5), tn.Record(2, 1.0, 0.75, 3.0, 0.5)],
        """
epoch  loss  accuracy  val_loss  val_accuracy  seconds
    1     2    0.5000                             0.00
    2     1    0.7500         3        0.5000     0.00""",
    ),
    "nothing": ([], "\nepoch  loss  accuracy  val_loss  val_accuracy  seconds"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_history_is_a_table_in_a_terminal_and_the_same_in_a_notebook(name):
    records, text = LOOKS[name]
    history = tn.History(records)
    assert f"\n{history!r}" == text
    rows = re.findall("<tr>(.*?)</tr>", history._repr_html_())
    cells = [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in rows]
    assert [[cell for cell in row if cell] for row in cells] == [line.split() for line in text.splitlines()[1:]]
    assert len({len(row) for row in cells}) == 1


def test_both_say_why_training_stopped(history):
    assert "stopped" not in repr(history) + history._repr_html_()
    history.stopped = "no lower validation loss since epoch 1"
    assert repr(history).endswith("\nstopped: no lower validation loss since epoch 1")
    assert history._repr_html_().endswith("<p>stopped: no lower validation loss since epoch 1</p>")


def test_no_form_of_a_regression_says_nan(history):
    shown = tn.History(REGRESSION)
    assert "nan" not in (repr(shown) + shown._repr_html_() + shown.to_frame().to_csv()).lower()
    assert [axes.get_ylabel() for axes in shown.plot().axes] == ["loss"]


def test_the_picture_needs_no_display():
    plot = "import sys, tinynet as tn; tn.History([tn.Record(1, 0.5, 0.5)]).plot(); "
    loaded = run(plot + "print(*sys.modules)").split()
    assert "matplotlib.figure" in loaded
    assert "matplotlib.pyplot" not in loaded


def test_import_tinynet_is_light():
    heavy = {"pandas", "matplotlib", "PIL", "numba", "cupy", "torch", "sklearn", "scipy", "tabulate", "threadpoolctl"}
    loaded = run("import sys, tinynet; print(*{name.partition('.')[0] for name in sys.modules})").split()
    assert "tinynet" in loaded
    assert not heavy & set(loaded)
