"""Listeners: early stopping, divergence, callbacks."""

import io
import math

import numpy as np
import pytest
from clouds import clouds, network, same_bits, trained
from tqdm import tqdm

import tinynet as tn

# ------------------------------------------------------------------------------------------------------------ stopping


def overfitted(draw, *, epochs=30, patience=4, **options):
    """A network taught well past its best on other labels than it is judged by."""
    x, t = clouds(draw)
    held_out = x, np.where(draw.random(len(t)) < 0.4, (t + 1) % 3, t)
    net = network(**options)
    return (
        net,
        held_out,
        tn.fit(net, tn.Adam(net, lr=0.03), x, t, epochs=epochs, batch_size=4, validation=held_out, patience=patience),
    )


def test_fit_stops_once_patience_is_over(draw):
    _, _, history = overfitted(draw)
    best = min(history, key=lambda record: record.val_loss)
    assert 0 < best.epoch < 26
    assert len(history) == best.epoch + 4
    assert f"since epoch {best.epoch}" in history.stopped


def test_the_weights_of_the_best_epoch_come_back(draw):
    net, held_out, history = overfitted(draw)
    assert tn.evaluate(net, *held_out).loss == min(record.val_loss for record in history)


def test_the_best_weights_come_back_when_patience_outlasts_the_epochs(draw):
    net, held_out, history = overfitted(draw, epochs=12, patience=30)
    assert history.stopped == ""
    assert len(history) == 12
    assert tn.evaluate(net, *held_out).loss == min(record.val_loss for record in history) < history[-1].val_loss


def test_without_patience_the_last_weights_stay(draw):
    net, held_out, history = overfitted(draw, patience=None)
    assert len(history) == 30
    assert history.stopped == ""
    assert tn.evaluate(net, *held_out).loss == history[-1].val_loss


def test_patience_without_one_finite_loss_ends_but_brings_nothing_back():
    net = tn.Network(tn.Dense(1, 2), tn.Softmax())
    net.theta[...] = [1, -1, 0, 0]
    net.epoch = 10
    x, impossible = np.array([[1e3]]), [1]
    with np.errstate(divide="ignore"):
        history = tn.fit(
            net, tn.SGD(net, lr=1e-9), x, [0], epochs=5, validation=(x, impossible), patience=3, progress=False
        )
    assert len(history) == 3
    assert history.stopped
    assert "weights are back" not in history.stopped


def test_a_loss_that_is_not_finite_ends_the_training_with_a_warning(draw):
    net = network()
    with (
        np.errstate(all="ignore"),
        pytest.warns(RuntimeWarning, match="fit stops: the loss of epoch .* a lower lr") as seen,
    ):
        history = tn.fit(net, tn.SGD(net, lr=1e30), *clouds(draw), epochs=50)
    assert len(history) < 50
    assert not math.isfinite(history[-1].loss)
    assert history.stopped in str(seen[0].message)
    assert seen[0].filename == __file__


def test_the_best_weights_come_back_when_the_loss_is_lost(draw):
    x, t = clouds(draw)
    net = network()
    optimizer = tn.SGD(net, lr=lambda step: 0.1 if step < 8 else 1e30)
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="fit stops"):
        history = tn.fit(net, optimizer, x, t, epochs=50, validation=(x, t), patience=40)
    assert tn.evaluate(net, x, t).loss == pytest.approx(min(record.val_loss for record in history))


# ----------------------------------------------------------------------------------------------------------- callbacks


def test_every_callback_sees_every_record_in_order(draw):
    net, seen = network(), []
    callbacks = [lambda record: seen.append(("first", record)), lambda record: seen.append(("second", record))]
    history = tn.fit(net, tn.SGD(net), *clouds(draw), epochs=3, callbacks=(call for call in callbacks))
    assert seen == [(name, record) for record in history for name in ("first", "second")]


def test_an_interrupt_leaves_network_and_bar_in_order(draw):
    def interrupt(record):
        raise KeyboardInterrupt

    x, t = clouds(draw)
    net, bar = network(dropout=[0.1]), tqdm(total=1, file=io.StringIO())
    optimizer = tn.Adam(net)
    with pytest.raises(KeyboardInterrupt):
        tn.fit(net, optimizer, x, t, epochs=3, callbacks=[interrupt], progress=bar)
    assert bar.disable
    assert net.epoch == 1
    tn.fit(net, optimizer, x, t, epochs=2)
    assert same_bits(net, trained(x, t, epochs=3, dropout=[0.1]))


def test_a_callback_that_raises_stop_training_ends_it_after_the_epoch_and_the_others_still_see_the_record(draw):
    seen = []

    def stop(record):
        if record.epoch == 2:
            raise tn.StopTraining("enough")

    net = network()
    history = tn.fit(net, tn.SGD(net), *clouds(draw), epochs=5, callbacks=[stop, seen.append])
    assert (history.stopped, len(history), net.epoch) == ("enough", 2, 2)
    assert seen == history
    assert repr(history).endswith("stopped: enough")


def test_the_history_of_an_interrupted_training_stays_with_the_network(draw):
    def interrupt(record):
        if record.epoch == 2:
            raise KeyboardInterrupt

    net = network()
    with pytest.raises(KeyboardInterrupt):
        tn.fit(net, tn.SGD(net), *clouds(draw), epochs=5, callbacks=[interrupt])
    assert [record.epoch for record in net.history] == [1, 2]
    assert net.copy().history is None
    assert tn.fit(net, tn.SGD(net), *clouds(draw), epochs=1) is net.history


class Noting(tn.Listener):
    """Notes each hook; its steps are those it is given, and what they yield."""

    def __init__(self):
        self.notes = []

    def begin(self, training):
        self.notes.append(f"begin {training.epochs} epochs of {len(training.x)} rows, {len(training.history)} done")

    def steps(self, steps):
        def noted(*arguments):
            for rows, loss, correct in steps(*arguments):
                self.notes.append(f"{rows} rows")
                yield rows, loss, correct

        return noted

    def __call__(self, record):
        self.notes.append(f"epoch {record.epoch}")

    def end(self, error):
        self.notes.append(f"end {error!r}")


def test_a_listener_hears_the_beginning_every_step_every_epoch_and_the_end(draw):
    net, plain, listener = network(backend="numpy"), network(backend="numpy"), Noting()
    tn.fit(net, tn.SGD(net), *clouds(draw), epochs=2, batch_size=50, callbacks=[listener])
    assert listener.notes == [
        "begin 2 epochs of 100 rows, 0 done",
        *["50 rows", "50 rows", "epoch 1"],
        *["50 rows", "50 rows", "epoch 2"],
        "end None",
    ]
    tn.fit(plain, tn.SGD(plain), *clouds(np.random.default_rng(20260101)), epochs=2, batch_size=50)
    assert same_bits(net, plain)


def test_every_listener_ends_when_one_fails(draw):
    def fail(record):
        raise RuntimeError("no disk")

    first, last = Noting(), Noting()
    net = network()
    with pytest.raises(RuntimeError, match="no disk"):
        tn.fit(net, tn.SGD(net), *clouds(draw), epochs=2, callbacks=[first, fail, last])
    assert first.notes[-2:] == ["epoch 1", "end RuntimeError('no disk')"]
    assert last.notes[-1] == "end RuntimeError('no disk')"
    assert "epoch 1" not in last.notes


def test_every_listener_ends_even_if_the_end_of_one_fails(draw):
    class Failing(tn.Listener):
        def end(self, error):
            raise OSError("disk full")

    net, last = network(), Noting()
    with pytest.raises(OSError, match="disk full"):
        tn.fit(net, tn.SGD(net), *clouds(draw), epochs=1, callbacks=[Failing(), last])
    assert last.notes[-1] == "end None"


class Steep(tn.MeanSquaredError):
    """A loss whose gradient is too large for the squares in Adam's v."""

    def backward(self):
        return super().backward() * np.float32(1e4)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_moments_that_overflow_stop_the_training_on_every_backend():
    """Adam divides by the root of v. If v is inf, a weight stops moving, and the loss stays finite and wrong."""
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    net = tn.mlp(3, [4], 1)
    with pytest.warns(RuntimeWarning, match=r"fit stops: Adam\.(v|theta) is not finite after epoch 1; a lower lr, or"):
        history = tn.fit(net, tn.Adam(net), x, 1e18 * x[:, :1], epochs=3, loss=Steep(), progress=False)
    assert len(history) == 1


@pytest.mark.filterwarnings("ignore:overflow")
def test_targets_too_large_for_the_loss_are_named():
    net = tn.mlp(3, [4], 1)
    x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    with pytest.warns(RuntimeWarning, match=r"smaller x and t, may help; first not finite: loss: .*t up to 5e\+18 in"):
        tn.fit(net, tn.SGD(net, lr=1e-30), x, np.full((400, 1), 5e18), epochs=1, loss=tn.MeanSquaredError())
