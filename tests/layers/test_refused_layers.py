"""Layers, losses and optimizers that cannot work are refused with a reason."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest
from block_networks import LABELS, ROWS, X, own
from own_layers import BatchNorm, Forked, SignDescent, network, train

import tinynet as tn


class Rebinding(BatchNorm):
    """A buffer is replaced where it should be written into."""

    def forward(self, x, train=False):
        if train:
            self.mean = 0.5 * self.mean + 0.5 * x.mean(axis=0, keepdims=True)
        return super().forward(x)

    def backward(self, dy):
        return dy


REPLACED = "Rebinding(4, 0.25).mean was replaced and is cut off from the network's vectors; write mean[...] = instead"


@pytest.mark.parametrize(
    "use",
    [
        lambda net, path: tn.fit(net, tn.SGD(net), ROWS, LABELS, epochs=1),
        lambda net, path: tn.save(net, path),
        lambda net, path: net.copy(),
        lambda net, path: copy.copy(net),
        lambda net, path: copy.deepcopy(net),
        lambda net, path: pickle.dumps(net),
        lambda net, path: tn.Network(net[:1]),
        lambda net, path: tn.gradient_check(net, ROWS, LABELS),
    ],
    ids=["fit", "save", "copy", "copy.copy", "deepcopy", "pickle", "reuse", "gradient_check"],
)
def test_a_buffer_that_was_replaced_is_named_wherever_it_would_be_lost(use, tmp_path):
    net = tn.Network(tn.Residual(Rebinding(4)), tn.Dense(4, 3))
    net.forward(ROWS, train=True)
    with pytest.raises(ValueError, match=re.escape(REPLACED)):
        use(net, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


def test_a_buffer_that_is_replaced_in_training_stops_it_after_an_epoch():
    net = tn.Network(Rebinding(4), tn.Dense(4, 3))
    with pytest.raises(ValueError, match=re.escape(REPLACED)):
        tn.fit(net, tn.SGD(net), ROWS, LABELS, epochs=9)
    assert net.epoch == 1


@pytest.mark.parametrize("name", ["theta", "grad", "buffers"])
@pytest.mark.parametrize("part", [slice(None), slice(1, None)], ids=["whole", "part"])
@pytest.mark.parametrize(
    "use",
    [
        lambda net, path: tn.fit(net, tn.Adam(net), ROWS, LABELS, epochs=1),
        lambda net, path: tn.save(net, path),
        lambda net, path: net.copy(),
        lambda net, path: pickle.dumps(net),
    ],
    ids=["fit", "save", "copy", "pickle"],
)
def test_a_vector_that_was_replaced_is_named(name, part, use, tmp_path):
    net = network()[part]
    setattr(net, name, getattr(net, name) + 1)
    with pytest.raises(ValueError, match=rf"^network.{name} was replaced and is cut off .* write {name}\[...\] = ins"):
        use(net, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


REPLACEMENTS = {
    "by a layer of another network": lambda net: vars(net[2]).update(layers=network()[2].layers),
    "by a new one": lambda net: vars(net[2]).update(shortcut=tn.Dense(6, 5)),
    "one more": lambda net: vars(net[2]).update(late=tn.Dense(6, 5)),
    "one less": lambda net: vars(net[2]).update(shortcut=None),
    "at the top": lambda net: setattr(net, "layers", net.layers[::-1]),
}


@pytest.mark.parametrize("replace_in", REPLACEMENTS.values(), ids=REPLACEMENTS)
@pytest.mark.parametrize("use", ["fit", "save", "copy", "pickle"])
def test_layers_that_were_replaced_are_noticed(replace_in, use, tmp_path):
    net = network()
    replace_in(net)
    uses = {
        "fit": lambda: tn.fit(net, tn.SGD(net), X, LABELS, epochs=1),
        "save": lambda: tn.save(net, tmp_path / "net.npz"),
        "copy": net.copy,
        "pickle": lambda: pickle.dumps(net),
    }
    with pytest.raises(ValueError, match=r"^layers of this network were replaced and are not in its vectors; make"):
        uses[use]()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["theta", "grad"])
def test_an_optimizer_that_replaces_a_vector_is_named(name):
    class Careless(tn.Optimizer):
        def update(self, lr):
            setattr(self, name, getattr(self, name) - lr * self.grad)

    net = network()
    with pytest.raises(ValueError, match=rf"^Careless.{name} is no longer its network's vector: .* {name}\[...\] = "):
        train(Careless(net, lr=0.1))


@pytest.mark.parametrize("method", ["config", "shapes", "buffers"])
def test_a_method_that_forgets_to_return_its_dictionary_is_named(method):
    forgetful = type("Forgetful", (BatchNorm,), {method: lambda self: None})
    with pytest.raises(TypeError, match=rf"^Forgetful.{method}\(\) must return a dictionary; got None$"):
        tn.Network(tn.Residual(forgetful(4)))


def holding_itself() -> tn.Layer:
    layer = own()
    layer.inside = [layer]
    return layer


TAKEN = tn.Network(tn.Residual(tn.Dense(4, 4)))[0]
TWICE = tn.Dense(4, 4)
PART = "is part of a network already and has its views there; make a new layer, or a copy of it with what it has"
REFUSED = {
    "a layer named as a parameter": (lambda: own(["W"], W=tn.ReLU()), "Own() uses ['W'] twice"),
    "a layer named as a buffer": (lambda: own(buffers=["m"], m=tn.ReLU()), "Own() uses ['m'] twice"),
    "a layer named as a gradient": (lambda: own(["W"], dW=tn.ReLU()), "Own() uses ['dW'] twice"),
    "a buffer named as a parameter": (lambda: own(["W"], ["W"]), "Own() uses ['W'] twice"),
    "a buffer named as a gradient": (lambda: own(["W"], ["dW"]), "Own() uses ['dW'] twice"),
    "a buffer named as a method": (lambda: own(buffers=["copy"]), "Own() has parameters ['copy'], names that a layer"),
    "a buffer named as a place": (lambda: own(buffers=["ops"]), "Own() has parameters ['ops'], names that a layer"),
    "an attribute named as a method": (lambda: own(backward=3), "Own has attributes ['backward'], names that a layer"),
    "an attribute named as a place": (
        lambda: own(random_key=3),
        "Own has attributes ['random_key'], names that a layer",
    ),
    "inside too": (lambda: tn.Residual(own(["W"], ["W"])), "Own() uses ['W'] twice"),
    "a block of another network": (lambda: TAKEN, f"Residual(Dense(4, 4)) {PART}"),
    "a layer inside a block of another network": (lambda: TAKEN.layers[0], f"Dense(4, 4) {PART}"),
    "a new block around it": (lambda: tn.Residual(TAKEN.layers[0]), f"Dense(4, 4) {PART}"),
    "a layer twice in a block": (
        lambda: tn.Residual(TWICE, TWICE),
        "Network takes each layer once; Dense(4, 4) is there",
    ),
    "a layer in two blocks": (
        lambda: Forked(tn.Residual(TWICE), [], {"a": tn.Residual(TWICE)}),
        "Network takes each layer once; Dense(4, 4) is there twice, and has one memory",
    ),
    "a layer that holds itself": (holding_itself, "Network takes each layer once; Own() is there twice"),
    "a block of layers that do not meet": (
        lambda: tn.Residual(tn.Dense(4, 5), tn.Dense(4, 4)),
        "inside Residual(Dense(4, 5), Dense(4, 4)): Dense(4, 4) takes x (N, 4), but gets (N, 5)",
    ),
    "a block that cannot add": (
        lambda: tn.Residual(tn.Dense(4, 5)),
        "Residual(Dense(4, 5)) adds (N, 5) to (N, 4); it takes a shortcut, as shortcut=Dense(4, 5), that gives",
    ),
    "a shortcut of another width": (
        lambda: tn.Residual(tn.Dense(4, 5), shortcut=tn.Dense(4, 6)),
        "Residual(Dense(4, 5), shortcut=Dense(4, 6)) adds (N, 5) to (N, 6); it takes another shortcut that gives",
    ),
    "a shortcut for another width": (
        lambda: tn.Residual(tn.Dense(4, 5), shortcut=tn.Dense(3, 5)),
        "inside Residual(Dense(4, 5), shortcut=Dense(3, 5)): Dense(3, 5) takes x (N, 3), but gets (N, 4)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_cannot_be_part_of_a_network_is_refused(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        tn.Network(make())


@pytest.mark.parametrize("arguments", [(), (3,), (network(),), (tn.ReLU(), "x")], ids=str)
def test_residual_takes_layers(arguments):
    with pytest.raises(TypeError, match=r"^Residual takes layers, one or more, and a layer as shortcut; got "):
        tn.Residual(*arguments)


def test_a_sum_that_only_the_rows_show_is_refused_in_forward():
    class Halving(tn.Layer):
        def forward(self, x, train=False):
            return x[:, :2]

        def output_shape(self, shape):
            return None

    with pytest.raises(ValueError, match=r"^Residual\(Halving\(\)\) adds \(24, 2\) to \(24, 4\); it takes a shortcut"):
        tn.Network(tn.Residual(Halving())).forward(ROWS)


@pytest.mark.parametrize("change", [lambda net: vars(net[0]).update(late=tn.Dense(4, 4)), lambda net: None])
def test_a_layer_that_the_network_never_saw_says_where_it_belongs(change):
    class Hiding(tn.Layer):
        def __init__(self):
            self.late = {tn.Dense(4, 4)}

        def forward(self, x, train=False):
            late = self.late if isinstance(self.late, tn.Layer) else next(iter(self.late))
            return late.forward(x, train)

    net = tn.Network(Hiding())
    change(net)
    message = "part of no network yet: tn.Network(layer), or an attribute, a list or a dictionary of a layer there"
    with pytest.raises(AttributeError, match=re.escape(message) + "$"):
        net.forward(ROWS)


def test_values_of_another_class_with_that_name_are_not_taken():
    layer = BatchNorm(4)
    vars(layer)["_values"] = {"gamma": np.ones((1, 4)), "beta": np.ones((1, 4))}
    with pytest.raises(
        ValueError,
        match=r"^BatchNorm\(4, 0.25\) brings values of \{'gamma': \(1, 4\), 'beta': \(1, 4\)\}, but its shapes",
    ):
        tn.Network(layer)


@pytest.mark.parametrize("other", [lambda net: net.copy(), lambda net: net[:3], lambda net: tn.Network(net)])
def test_fit_refuses_the_optimizer_of_a_copy_or_of_a_part(other):
    net = network()
    with pytest.raises(ValueError, match="takes an optimizer of the network that it trains; this one belongs to"):
        tn.fit(net, tn.Adam(other(net)), X, LABELS, epochs=1)


@pytest.mark.parametrize("slots", [("theta",), ("m", "grad"), ("lr",), ("step",), ("network",)], ids=str)
def test_slots_need_names_of_their_own(slots):
    kind = type("Mine", (SignDescent,), {"slots": slots})
    with pytest.raises(ValueError, match=r"^Mine takes slots with other names; got "):
        kind(network())


@pytest.mark.parametrize("dtype", ["float16", "int32"])
def test_a_copy_is_of_a_dtype_that_networks_have(dtype):
    with pytest.raises(ValueError, match=f"^Network takes dtype 'float32' or 'float64'; got '{dtype}'$"):
        network().copy(dtype=dtype)
