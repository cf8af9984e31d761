"""Trainings kept in a file: whatever ends them, and whenever, they end as if nothing had happened."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import standin
from own_layers import BatchNorm
from tqdm import tqdm

import tinynet as tn
from tinynet.files import archive
from tinynet.training import checkpoint

PROGRAM = Path(__file__).parents[1] / "checkpoint_program.py"
HOST = ["numpy", "numba"]


@pytest.fixture(params=[*HOST, "cupy"])
def place(request, tmp_path_factory):
    if request.param != "cupy":
        yield tn.backend(request.param)
        return
    with standin.installed(standin.shared_folder(tmp_path_factory)) as backend:
        yield backend


def data(rows: int = 103, seed: int = 5):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(rows, 6)).astype(np.float32), draw.integers(0, 3, rows)


def parts(place, hidden=(8, 5), rate=0.01, seed=3):
    net = tn.mlp(6, hidden, 3, dropout=[0.1, 0.25], seed=seed, backend=place)
    return net, tn.Adam(net, lr=tn.cosine(rate, 60))


def trained(place, path=None, every=4, until=None, **changes):
    """A training that is ended before step `until`, if one is named."""
    net, optimizer = parts(place, **changes.pop("parts", {}))
    x, t = changes.pop("data", data())
    settings = {"epochs": 4, "batch_size": 10, "patience": 3, "validation": data(31, 6), "progress": False} | changes
    if until is not None:
        place = ended_at(place, until)
        net.backend = place
    history = tn.fit(net, optimizer, x, t, **settings, checkpoint=path, every=every)
    return net, optimizer, history


class Ended(BaseException):
    """As Ctrl-C, a loss of power, or a kill."""


def ended_at(place, until):
    """The backend, whose training ends after so many rows."""
    from dataclasses import replace

    from tinynet.training import loop

    left = iter(range(until))

    def train_steps(*arguments):
        for totals in (place.train_steps or loop.train_steps)(*arguments):
            if next(left, None) is None:
                raise Ended
            yield totals

    return replace(place, train_steps=train_steps)


def state(net, optimizer, history):
    vectors = [net.theta, net.buffers, optimizer.m, optimizer.v]
    counters = [layer.counter for layer in net.layers]
    figures = [[r.epoch, r.loss, r.accuracy, r.val_loss, r.val_accuracy, r.rows, r.lr] for r in history]
    return [*(net.backend.to_host(v).tobytes() for v in vectors), counters, optimizer.step_count, net.epoch, figures]


@pytest.mark.parametrize("until", [0, 1, 2, 5, 11, 12, 20, 33])
def test_a_training_that_was_ended_goes_on_as_if_nothing_had_happened(tmp_path, place, until):
    path = tmp_path / "run.checkpoint"
    every = 4 if place.name == "numpy" else 1
    expected = state(*trained(place, tmp_path / "another.checkpoint", every))
    with pytest.raises(Ended):
        trained(place, path, every, until)
    assert state(*trained(place, path, every)) == expected


def test_the_bar_is_over_what_is_left(tmp_path):
    with pytest.raises(Ended):
        trained(tn.backend("numpy"), tmp_path / "run", until=25)
    bar = tqdm(file=io.StringIO())
    trained("numpy", tmp_path / "run", progress=bar)
    assert (bar.n, bar.total) == (206, 206)


def test_keeping_it_changes_no_bit_of_theta(tmp_path, place):
    assert state(*trained(place, tmp_path / "run"))[:7] == state(*trained(place))[:7]


def test_a_training_that_is_done_returns_at_once(tmp_path, place):
    expected = state(*trained(place, tmp_path / "run"))
    again = trained(place, tmp_path / "run", until=0)
    assert state(*again) == expected
    assert again[2].stopped == trained(place)[2].stopped


def test_who_was_called_after_every_epoch_is_not_called_again(tmp_path):
    called = []
    for _ in range(2):
        trained("numpy", tmp_path / "run", callbacks=[called.append])
    assert [record.epoch for record in called] == [1, 2, 3, 4]


def test_one_row_is_enough_to_go_on_from(tmp_path):
    settings = {"every": 1, "batch_size": 1, "data": data(3), "epochs": 1}
    with pytest.raises(Ended):
        trained(tn.backend("numpy"), tmp_path / "run", until=1, **settings)
    assert state(*trained("numpy", tmp_path / "run", **settings)) == state(
        *trained("numpy", tmp_path / "a", **settings)
    )


def test_what_early_stopping_remembers_comes_back(tmp_path):
    settings = {"epochs": 40, "patience": 2, "parts": {"rate": 0.3}}
    net, optimizer, history = trained("numpy", tmp_path / "whole", **settings)
    assert history.stopped
    for until in (3, 30, 11 * len(history) - 1):
        place = tn.backend("numpy")
        with pytest.raises(Ended):
            trained(place, tmp_path / f"run{until}", until=until, **settings)
        found = trained(place, tmp_path / f"run{until}", **settings)
        assert state(*found) == state(net, optimizer, history)
        assert found[2].stopped == history.stopped


def test_buffers_come_back(tmp_path):
    def run(path, until=None):
        place = tn.backend("numpy") if until is None else ended_at(tn.backend("numpy"), until)
        net = tn.Network(tn.Dense(6, 8), BatchNorm(8), tn.Dense(8, 3), backend=place)
        optimizer = tn.SGD(net, momentum=0.9)
        tn.fit(net, optimizer, *data(), epochs=3, checkpoint=path, every=2)
        return net.theta.tobytes(), net.buffers.tobytes(), optimizer.velocity.tobytes()

    expected = run(None)
    with pytest.raises(Ended):
        run(tmp_path / "run", 7)
    assert run(tmp_path / "run") == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parts": {"seed": 4}}, "seed was 3, and is 4"),
        ({"parts": {"hidden": (8, 6)}}, r"layers was 0 Dropout{.*'rate': 0.1"),
        ({"parts": {"rate": 0.02}}, "its 8 steps had other learning rates"),
        ({"data": data(seed=9)}, "x was float32"),
        ({"batch_size": 9}, "rows a batch was 10, and is 9"),
        ({"loss": tn.SoftmaxCrossEntropy(label_smoothing=0.1)}, "loss was SoftmaxCrossEntropy{'label_smoothing': 0.0}"),
        ({"validation": data(31, 7)}, "validation was SoftmaxCrossEntropy"),
        ({"patience": 4}, "patience was 3, and is 4"),
        ({"patience": None}, "patience was 3, and is not given"),
        ({"augment": lambda x, seed, epoch: x + epoch}, "augment was not given, and is float32"),
        ({"sample_weight": np.linspace(1, 2, 103)}, "loss was SoftmaxCrossEntropy{.*, and is Weighted{"),
    ],
    ids=[
        "seed",
        "layers",
        "rates",
        "x",
        "batch",
        "loss",
        "validation",
        "patience",
        "no patience",
        "augment",
        "weights",
    ],
)
def test_another_trainings_file_is_refused_and_kept(tmp_path, change, said):
    path = tmp_path / "run"
    with pytest.raises(Ended):
        trained(tn.backend("numpy"), path, until=9)
    before = path.read_bytes()
    with pytest.raises(tn.ModelFileError, match=f"run: it holds another training; delete it.*{said}"):
        trained(tn.backend("numpy"), path, **change)
    assert path.read_bytes() == before


INNER = (lambda: [k in {1, 2} for k in "a"], lambda: [k in {1, 3} for k in "a"])


class Scaled(tn.Layer):
    """y = scale x, without a config"""

    def __init__(self, scale):
        self.scale, self.flag = scale, np.bool_(True)
        self.own = INNER[0]

    def forward(self, x, train=False):
        return self.scale * x

    def backward(self, dy):
        return self.scale * dy


class Powers(tn.SGD):
    """SGD that raises its rate to a power, without a config of its own"""

    power = 1.0


def own_training(path, change, epochs=1):
    """Train a network after a change of what it starts from."""
    net = tn.Network(tn.Dense(6, 4), Scaled(2.0), tn.BatchNorm(4), tn.Dense(4, 3), seed=1)
    optimizer, settings = Powers(net, lr=0.1, momentum=0.5), {"sample_weight": np.ones(103)}
    if change:
        change(net, optimizer, settings)
    tn.fit(net, optimizer, *data(), epochs=epochs, checkpoint=path, progress=False, **settings)
    return net.theta.tobytes()


CHANGES = {
    "parameters": lambda net, optimizer, settings: net.theta.__setitem__(0, 0.5),
    "buffers": lambda net, optimizer, settings: net.buffers.__setitem__(0, 0.5),
    "frozen": lambda net, optimizer, settings: setattr(net[0], "trainable", False),
    "a layer's attribute": lambda net, optimizer, settings: setattr(net[1], "scale", 3.0),
    "an optimizer's attribute": lambda net, optimizer, settings: setattr(optimizer, "power", 2.0),
    "a constant of an inner function": lambda net, optimizer, settings: setattr(net[1], "own", INNER[1]),
    "a NumPy truth value": lambda net, optimizer, settings: setattr(net[1], "flag", np.bool_(False)),
    "slots": lambda net, optimizer, settings: optimizer.velocity.__setitem__(0, 1.0),
    "the loss behind weights": lambda net, optimizer, settings: settings.update(
        loss=tn.SoftmaxCrossEntropy(label_smoothing=0.1)
    ),
    "weights": lambda net, optimizer, settings: settings.update(sample_weight=np.arange(103) % 2 + 1.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_training_that_starts_elsewhere_is_refused(tmp_path, name):
    first = own_training(tmp_path / "run", None)
    assert own_training(tmp_path / "run", None) == first
    with pytest.raises(tn.ModelFileError, match="it holds another training"):
        own_training(tmp_path / "run", CHANGES[name])


def test_a_finished_training_goes_on_with_more_epochs(tmp_path, place):
    expected = state(*trained(place, tmp_path / "straight", epochs=5, patience=9))
    trained(place, tmp_path / "run", epochs=3, patience=9)
    assert state(*trained(place, tmp_path / "run", epochs=5, patience=9)) == expected
    with pytest.raises(tn.ModelFileError, match=r"it holds 5 epochs, and epochs=4 are wanted; take epochs=5 or more"):
        trained(place, tmp_path / "run", epochs=4, patience=9)


def test_a_schedule_may_differ_in_steps_that_are_not_taken_yet(tmp_path):
    def run(path, epochs, every):
        net = tn.mlp(6, [8], 3)
        tn.fit(net, tn.SGD(net, tn.step_decay(0.5, every)), *data(), epochs=epochs, checkpoint=path, progress=False)
        return net.theta.tobytes()

    run(tmp_path / "run", 1, 4)
    assert run(tmp_path / "run", 2, 5) == run(None, 2, 5)
    with pytest.raises(tn.ModelFileError, match="its 8 steps had other learning rates"):
        run(tmp_path / "run", 2, 2)


def fitted(path, lr):
    net = tn.mlp(6, [8], 3)
    return tn.fit(net, tn.SGD(net, lr=lr), *data(), epochs=1, checkpoint=path)


def test_another_rate_is_another_training(tmp_path):
    fitted(tmp_path / "number", 0.1)
    with pytest.raises(tn.ModelFileError, match=r"learning rate was 0\.1, and is 0\.2"):
        fitted(tmp_path / "number", 0.2)
    assert fitted(tmp_path / "schedule", lambda step: 0.1) == fitted(tmp_path / "schedule", lambda step: 0.1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "another"}, "not a tinynet checkpoint"),
        ({"version": 1}, "a checkpoint of version 1, not 2: it does"),
    ],
    ids=str,
)
def test_a_file_of_another_kind_is_refused(tmp_path, monkeypatch, change, said):
    def written(path, header, vectors):
        whole(path, header | change, vectors)

    with monkeypatch.context() as changed:
        whole = checkpoint.write
        changed.setattr(checkpoint, "write", written)
        fitted(tmp_path / "run", 0.1)
    (tmp_path / "run.before").unlink()
    with pytest.raises(tn.ModelFileError, match=f"run: {said}"):
        fitted(tmp_path / "run", 0.1)


def test_a_damaged_file_without_one_before_is_refused_and_kept(tmp_path):
    (tmp_path / "run").write_bytes(b"damaged")
    with pytest.raises(tn.ModelFileError, match="run: "):
        fitted(tmp_path / "run", 0.1)
    assert (tmp_path / "run").read_bytes() == b"damaged"


def test_the_one_before_is_read_where_the_newest_is_damaged(tmp_path):
    path, place = tmp_path / "run", tn.backend("numpy")
    expected = state(*trained(place, tmp_path / "whole"))
    with pytest.raises(Ended):
        trained(place, path, until=17)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.warns(RuntimeWarning, match=r"run: .*; reading .*run.before, the checkpoint before it"):
        found = trained(place, path)
    assert state(*found) == expected
    (tmp_path / "run.before").write_bytes(b"nothing")
    path.write_bytes(b"nothing")
    with pytest.warns(RuntimeWarning), pytest.raises(tn.ModelFileError, match=r"run.before: not an .npz file"):
        trained(place, path)


@pytest.mark.parametrize("where", ["before the first", "between two names"])
def test_a_loss_of_power_while_it_is_written_costs_no_more_than_the_newest(tmp_path, monkeypatch, where):
    path, place = tmp_path / "run", tn.backend("numpy")
    expected = state(*trained(place, tmp_path / "whole"))
    write, left = archive.write, iter(range(3))

    def interrupted(*arguments):
        if next(left, None) is None:
            if where == "before the first":
                arguments[0].with_name(".run.123.part").write_bytes(b"half")
            raise Ended
        write(*arguments)

    monkeypatch.setattr("tinynet.training.checkpoint.write", interrupted)
    with pytest.raises(Ended):
        trained(place, path)
    monkeypatch.undo()
    assert not path.exists()
    assert (tmp_path / "run.before").exists()
    assert state(*trained(place, path)) == expected


def test_bad_settings_are_refused_before_the_first_step(tmp_path):
    with pytest.raises(tn.ModelFileError, match=r"nowhere/run: cannot be written: its folder does not exist"):
        trained(tn.backend("numpy"), tmp_path / "nowhere" / "run", until=0)
    with pytest.raises(ValueError, match="fit takes every, the steps between two checkpoints, of at least 1; got 0"):
        trained(tn.backend("numpy"), tmp_path / "run", every=0, until=0)


@pytest.mark.parametrize(("lr", "scale"), [(1e30, 1), (1e38, 1000)], ids=["the loss first", "theta first"])
def test_a_training_that_diverges_ends_as_without_a_file(tmp_path, lr, scale):
    x, t = data()

    def run(path):
        net = tn.mlp(6, [8], 3)
        with pytest.warns(RuntimeWarning, match="fit stops"), np.errstate(all="ignore"):
            return tn.fit(net, tn.SGD(net, lr=lr), scale * x, t, epochs=3, checkpoint=path, every=1).stopped

    expected = run(None)
    assert run(tmp_path / "run") == expected
    assert run(tmp_path / "run") == expected


def test_a_loss_that_is_lost_alone_ends_as_well(tmp_path):
    net, t = tn.mlp(6, [8], 3), np.full((103, 3), 1e20)
    optimizer = tn.SGD(net, lr=1e-30)
    with pytest.warns(RuntimeWarning, match="fit stops"), np.errstate(over="ignore"):
        tn.fit(net, optimizer, data()[0], t, loss=tn.MeanSquaredError(), epochs=1, checkpoint=tmp_path / "r", every=1)
    assert np.isfinite(net.theta).all()


def test_seconds_are_those_of_all_that_trained_an_epoch(tmp_path, monkeypatch):
    place = tn.backend("numpy")
    with pytest.raises(Ended):
        trained(place, tmp_path / "run", until=9)
    with archive.opened(tmp_path / "run") as file:
        before = archive.read_header(file)["place"]["seconds"]
    assert 0 < before < 60
    monkeypatch.setattr("time.perf_counter", lambda: 100.0)
    assert trained(place, tmp_path / "run")[2][0].seconds == before
    assert [trained(place, path)[2][0].seconds for path in (None, tmp_path / "new")] == [0, 0]


def kill_somewhere(folder: Path, backend: str, draw) -> bool:
    """Starts the program and kills it within its time; whether it was done before."""
    process = subprocess.Popen([sys.executable, PROGRAM, folder, backend])
    time.sleep(0.2 + draw.exponential(0.35))
    process.send_signal(signal.SIGKILL)
    return process.wait() == 0


def check_kills(tmp_path, backend, kills, draw):
    whole = tmp_path / "whole"
    whole.mkdir()
    subprocess.run([sys.executable, PROGRAM, whole, backend], check=True)
    expected, done, ended, run = dict(np.load(whole / "end.npz")), 0, 0, 0
    while ended < kills:
        folder = tmp_path / f"{run}"
        folder.mkdir(exist_ok=True)
        if kill_somewhere(folder, backend, draw):
            found, run, done = dict(np.load(folder / "end.npz")), run + 1, done + 1
            assert all(np.array_equal(found[name], expected[name]) for name in expected)
        else:
            ended += 1
    assert done


@pytest.mark.slow
@pytest.mark.parametrize("backend", HOST)
def test_killed_at_random_moments_it_ends_the_same(tmp_path, backend):
    check_kills(tmp_path, backend, int(os.environ.get("TINYNET_KILLS", "40")), np.random.default_rng(7))
