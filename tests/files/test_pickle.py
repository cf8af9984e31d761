"""Networks, optimizers and what goes with them on their way through pickles, copies and other processes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from dataclasses import replace

import cloudpickle
import joblib
import numpy as np
import pytest
import standin
from own_layers import OPTIMIZERS, BatchNorm, Power, network, pictures, state, train, trained

import tinynet as tn

X, LABELS = pictures()


def out_of_band(thing):
    """Arrays beside the pickle, in memory that cannot be written to, as Ray and Dask hand it on."""
    buffers = []
    data = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer.raw()) for buffer in buffers])


def through_joblib(thing, mmap_mode=None):
    file = through_joblib.folder / f"{len(list(through_joblib.folder.iterdir()))}.joblib"
    joblib.dump(thing, file)
    return joblib.load(file, mmap_mode=mmap_mode)


@pytest.fixture(autouse=True)
def folder(tmp_path):
    through_joblib.folder = tmp_path


WAYS = {
    **{f"protocol {k}": lambda thing, k=k: pickle.loads(pickle.dumps(thing, k)) for k in (0, 2, 5)},
    "out of band": out_of_band,
    "cloudpickle": lambda thing: cloudpickle.loads(cloudpickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
    "joblib": through_joblib,
    "joblib, mapped": lambda thing: through_joblib(thing, mmap_mode="r"),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
each_optimizer = pytest.mark.parametrize("kind", OPTIMIZERS)


# ----------------------------------------------------------------------------------- networks and optimizers


@each_way
@each_optimizer
def test_an_optimizer_and_its_network_stay_together_and_go_on_bit_for_bit(way, kind):
    net, optimizer = trained(kind, seed=3)
    net[2].trainable = False
    again, its = way((net, optimizer))
    assert its.network is again is not net
    assert (type(its), its.config(), its.step_count, its.rate) == (
        type(optimizer),
        optimizer.config(),
        6,
        optimizer.rate,
    )
    assert state(again) == state(net)
    train(optimizer)
    before = state(again)
    assert before != state(net)
    train(its)
    assert state(again) == state(net)
    for name in optimizer.slots:
        assert getattr(its, name).tobytes() == getattr(optimizer, name).tobytes()


@each_optimizer
def test_a_copied_optimizer_moves_the_same_network_with_slots_of_its_own(kind):
    net, optimizer = trained(kind)
    second = copy.copy(optimizer)
    assert second.network is net
    assert (second.theta is net.theta, second.step_count) == (True, optimizer.step_count)
    for name in optimizer.slots:
        assert np.array_equal(getattr(second, name), getattr(optimizer, name))
        assert not np.shares_memory(getattr(second, name), getattr(optimizer, name))


@each_way
def test_a_twin_shares_nothing(way):
    net, optimizer = trained()
    net.notes["deep"] = [1]
    again, its = way((net, optimizer))
    before, velocity = state(net), optimizer.velocity.copy()
    train(its)
    again.notes["deep"].append(2)
    assert state(net) == before
    assert np.array_equal(optimizer.velocity, velocity)


@each_way
def test_a_pickled_part_is_a_network_of_its_own(way):
    net, _ = trained()
    part = way(net[:3])
    assert np.array_equal(part.forward(X), net[:3].forward(X))
    part.theta[...] = 0
    assert state(net) == state(trained()[0])


@each_way
def test_layers_travel_alone_with_what_they_have_learned(way):
    net, _ = trained()
    block, new = way(net[1]), way(BatchNorm(4))
    assert not block.is_bound
    assert not new.is_bound
    assert np.array_equal(tn.Network(net[:1], block).forward(X), net[:2].forward(X))
    assert tn.gradient_check_layer(new, X.reshape(-1, 4))


def test_a_copied_block_is_no_part_of_the_network():
    net, _ = trained()
    for twin in (copy.copy(net[1]), copy.deepcopy(net[1]), net[1].copy()):
        assert not any(layer.is_bound for layer in (twin, *twin.children()))
        tn.Network(twin)


def test_pickles_hold_no_more_than_what_was_learned():
    net = tn.mlp(100, [100], 10)
    net.backward(net.forward(np.ones((5000, 100), "float32"), train=True))
    numbers = net.theta.nbytes
    assert numbers < len(pickle.dumps(net)) < numbers + 3000
    assert len(pickle.dumps(tn.Adam(net))) < 3 * numbers + 4000


# ------------------------------------------------------------------------------------ what goes with them


def halved_now_and_then(t):
    return 0.1 * 0.5 ** (t // 4)


SCHEDULES = {
    "constant": tn.constant(0.1),
    "step_decay": tn.step_decay(0.1, 3),
    "cosine": tn.cosine(0.1, 9, floor=0.01),
    "warm_up": tn.warm_up(tn.cosine(0.1, 9), 4),
    "one's own": halved_now_and_then,
}


@each_way
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_go_on_where_they_were(way, name):
    net = network()
    optimizer = train(tn.SGD(net, lr=SCHEDULES[name]))
    its = way(optimizer)
    assert its.rates(9) == optimizer.rates(9)
    assert state(train(its).network) == state(train(optimizer).network)


LOSSES = [tn.SoftmaxCrossEntropy(label_smoothing=0.1), tn.BinaryCrossEntropy(), tn.Huber(delta=0.5), Power(p=3)]


@each_way
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_losses_travel_without_what_they_remember(way, loss):
    z = X.reshape(-1, 1 if isinstance(loss, tn.BinaryCrossEntropy) else 4)
    t = abs(z)
    loss.forward(z, t)
    again = way(loss)
    assert (type(again), repr(again), again.memory) == (type(loss), repr(loss), None)
    assert again.forward(z, t) == loss.forward(z, t)
    assert np.array_equal(again.backward(), loss.backward())


@each_way
def test_a_network_remembers_its_loss(way):
    net = tn.Network(tn.Flatten(), tn.Dense(4, 1))
    tn.fit(net, tn.SGD(net), X, LABELS % 2, epochs=1, loss=tn.BinaryCrossEntropy())
    assert np.array_equal(tn.predict(way(net), X), tn.predict(net, X))


@each_way
def test_reports_travel(way):
    net = network()
    history = tn.fit(net, tn.SGD(net), X, LABELS, epochs=2, validation=(X, LABELS), patience=1)
    history.stopped = "for a test"
    check = tn.gradient_check(net, X, LABELS)
    twins = tn.compare_backends(net, X, LABELS, "numpy", "numpy")
    for thing in (history, history[0], check, twins, tn.evaluate(net, X, LABELS)):
        again = way(thing)
        assert (type(again), again, repr(again)) == (type(thing), thing, repr(thing))
    assert way(history).stopped == "for a test"


# ------------------------------------------------------------------------------------------------ backends


@pytest.fixture(params=["numpy", "numba", "cupy"])
def place(request, tmp_path_factory):
    if request.param != "cupy":
        yield tn.backend(request.param)
        return
    with standin.installed(standin.shared_folder(tmp_path_factory)) as cupy:
        yield cupy


@each_way
@pytest.mark.parametrize("kind", ["SGD with Nesterov", "Adam"])
def test_what_is_unpickled_lives_on_the_backend_of_that_name(way, kind, place):
    """A network as mlp makes them, which fit trains in whole steps."""
    net = tn.mlp(4, [6], 3, dropout=[0.1], backend=place)
    optimizer = OPTIMIZERS[kind](net)
    x = X.reshape(-1, 4)
    tn.fit(net, optimizer, x, LABELS, epochs=1)
    again, its = way((net, optimizer))
    assert again.backend.name == place.name
    assert isinstance(again.theta, place.xp.ndarray)
    assert all(isinstance(getattr(its, name), place.xp.ndarray) for name in its.slots)
    for one in (optimizer, its):
        tn.fit(one.network, one, x, LABELS, epochs=2)
    assert state(again) == state(net)


@each_way
def test_a_backend_travels_by_its_name(way, place):
    assert way(place).name == place.name
    assert copy.copy(place) is place


NO_BACKEND = {
    "abacus": (ValueError, "this pickle was made on backend 'abacus': backend: expected one of auto, "),
    "cupy": (ImportError, "this pickle was made on backend 'cupy': backend 'cupy' does not work here: "),
}


@pytest.mark.parametrize("name", NO_BACKEND)
def test_a_backend_that_is_not_here_is_named_with_a_way_out(name, monkeypatch):
    net = network(backend=replace(tn.backend("numpy"), name=name))
    monkeypatch.setitem(sys.modules, "tinynet.kernels.cupy", None)
    error, message = NO_BACKEND[name]
    for thing in (net, tn.Adam(net)):
        with pytest.raises(error, match=f"^{message}.*; network.copy.backend='numpy'. can be unpickled anywhere; save"):
            pickle.loads(pickle.dumps(thing))
    assert state(pickle.loads(pickle.dumps(net.copy(backend="numpy")))) == state(net)


# --------------------------------------------------------------------------------- what is no longer there


def test_a_class_that_has_changed_since_is_named(monkeypatch):
    data = pickle.dumps(trained()[0])
    monkeypatch.setattr(BatchNorm, "shapes", lambda self: {"gamma": (1, self.D), "beta": (1, self.D), "skew": (1,)})
    with pytest.raises(ValueError, match=r"^BatchNorm\(8, 0.25\) brings values of .*, but its shapes are .*'skew'"):
        pickle.loads(data)


# ------------------------------------------------------------------------------------------ other processes


def test_another_process_goes_on_bit_for_bit():
    net, optimizer = trained("Adam")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        its = pool.apply(train, (optimizer,))
    train(optimizer)
    assert state(its.network) == state(net)
    train(its)
    train(optimizer)
    assert state(its.network) == state(net)
