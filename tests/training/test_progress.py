"""The progress bar."""

import io
import sys

import numpy as np
import pytest
from clouds import clouds, network
from tqdm import tqdm

import tinynet as tn
from tinynet.training import progress
from tinynet.training.listeners import Training


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, draw, stream, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    net = network()
    tn.fit(net, tn.SGD(net), *clouds(draw), epochs=2, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "progress", "speaks"),
    [
        (io.StringIO, None, False),
        (Terminal, None, True),
        (io.StringIO, True, True),
        (Terminal, False, False),
    ],
)
def test_the_bar_shows_where_it_is_wanted(monkeypatch, draw, stream, progress, speaks):
    assert bool(shown(monkeypatch, draw, stream(), progress=progress)) == speaks


def test_the_bar_ends_on_the_numbers_of_the_last_epoch(monkeypatch, draw):
    text = shown(monkeypatch, draw, io.StringIO(), progress=True, validation=clouds(draw, rows=9))
    last = text.split("\r")[-1]
    for part in ("100%", "200/200", "epoch 2", "loss 1.", "accuracy 0.", "val_accuracy 0."):
        assert part in last


def test_a_bar_of_ones_own_is_used(monkeypatch, draw):
    own = io.StringIO()
    assert shown(monkeypatch, draw, io.StringIO(), progress=tqdm(file=own, desc="mine")) == ""
    assert "mine" in own.getvalue()
    assert "epoch 2" in own.getvalue()


def test_one_fit_after_another_takes_one_line_each(monkeypatch, draw):
    stream = io.StringIO()
    for _ in range(3):
        shown(monkeypatch, draw, stream, progress=True)
    assert stream.getvalue().count("\n") == 3
    assert "\x1b[A" not in stream.getvalue()


def test_the_bar_of_a_regression_shows_losses_and_no_accuracy(draw):
    x, net, stream = draw.normal(size=(20, 2)), network(), io.StringIO()
    t = 1e-6 * draw.normal(size=(20, 3))
    bar, options = tqdm(file=stream), {"loss": tn.MeanSquaredError(), "validation": (x, t)}
    record = tn.fit(net, tn.SGD(net), x, t, epochs=1, progress=bar, **options)[0]
    last = stream.getvalue().split("\r")[-1]
    assert f"epoch 1, loss {record.loss:.5g}, val_loss {record.val_loss:.5g}]" in last
    assert "accuracy" not in last


class Clock:
    """Stands for the module time: each look finds it `step` seconds later."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def perf_counter(self):
        self.now += self.step
        return self.now


def test_the_bar_is_refreshed_ten_times_a_second_at_most(monkeypatch):
    clock, bar, seen = Clock(0.0), tqdm(file=io.StringIO()), []
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(bar, "set_postfix_str", lambda text, refresh: seen.append(round(clock.now, 2)))
    listener, net = progress.ProgressBar(bar), network()

    def steps(*_):
        for _ in range(20):
            clock.now += 0.04
            yield 5, 0.5, 3

    listener.begin(training(net, rows=100))
    assert list(listener.steps(steps)(net, None, tn.SoftmaxCrossEntropy())) == [(5, 0.5, 3)] * 20
    assert list(zip(seen, [5, 20, 35, 50, 65, 80, 95], strict=False)) == [
        (0.04, 5),
        (0.16, 20),
        (0.28, 35),
        (0.4, 50),
        (0.52, 65),
        (0.64, 80),
        (0.76, 95),
    ]


def training(net: tn.Network, rows: int) -> Training:
    return Training(net, tn.SGD(net), tn.SoftmaxCrossEntropy(), np.zeros((rows, 2)), None, 1, 5, tn.History())


def test_a_silent_bar_fetches_nothing():
    """Totals that nobody sees are not even added: this step yields what cannot be added."""
    listener, net = progress.ProgressBar(False), network()
    listener.begin(training(net, rows=100))
    steps = listener.steps(lambda *_: iter([("rows", "loss", "correct")]))
    assert list(steps(net, None, tn.SoftmaxCrossEntropy())) == [("rows", "loss", "correct")]


def test_the_bar_counts_many_rows_in_thousands():
    listener, net = progress.ProgressBar(True), network()
    listener.begin(training(net, rows=32_000))
    assert "32.0k" in str(listener.bar)
    listener.end(None)


def test_the_bar_moves_within_an_epoch(monkeypatch, draw):
    bar, seen = tqdm(file=io.StringIO()), []
    monkeypatch.setattr(progress, "time", Clock(1.0))
    monkeypatch.setattr(bar, "set_postfix_str", lambda text, refresh: seen.append((text, bar.n)))
    net = network()
    history = tn.fit(net, tn.SGD(net), *clouds(draw), epochs=1, batch_size=20, progress=bar)
    assert seen[0][0].startswith("epoch 1, loss 1.")
    assert seen[-1] == (f"epoch 1, loss {history[-1].loss:.5g}, accuracy {history[-1].accuracy:.4f}", 100)
    assert len(seen) > 1


def test_in_a_notebook_the_bar_is_the_notebooks(monkeypatch, draw):
    made = []

    class NotebookBar(tqdm):
        def __init__(self, **options):
            made.append(options)
            super().__init__(file=io.StringIO(), **options)

    monkeypatch.setattr("tqdm.auto.tqdm", NotebookBar)
    net = network()
    tn.fit(net, tn.SGD(net), *clouds(draw), epochs=1)
    assert [options["disable"] for options in made] == [None]
