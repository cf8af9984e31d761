"""Blocks and frozen layers on NumPy alone: texts, refusals, comparisons, and the work that is spared."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from block_networks import LABELS, ROWS, X, layer_of
from own_layers import PARTS, network, state, train, trained

import tinynet as tn
from tinynet.arrays.backend import FUNCTIONS
from tinynet.layers.bound import walk


def test_repr_names_what_is_inside():
    block = tn.Residual(tn.Residual(tn.Dense(4, 4), shortcut=tn.Sigmoid()), tn.Tanh())
    assert repr(block) == "Residual(Residual(Dense(4, 4), shortcut=Sigmoid()), Tanh())"


def test_a_wrong_backward_inside_a_block_is_named():
    class Wrong(tn.Tanh):
        def backward(self, dy):
            return 2 * super().backward(dy)

    report = tn.gradient_check(tn.Network(tn.Residual(tn.Dense(4, 4), Wrong())), ROWS, LABELS)
    assert {entry.name for entry in report.failures} == {
        "0 Residual / 0 Dense(4, 4).W",
        "0 Residual / 0 Dense(4, 4).b",
        "x",
    }


def test_summary_lists_blocks_and_buffers():
    net = network(seed=4)
    layer_of(net, "1 Forked / 4 Residual").trainable = False
    assert net.summary().removesuffix(f"\n{net.backend.note}") == (
        "layer                     output shape  parameters  bytes  multiply-adds  buffers\n"
        "---------------------------------------------------------------------------------\n"
        "Flatten()                       (N, 4)           0      0              0        0\n"
        "Forked                          (N, 6)           0      0              0        0\n"
        "  Dense(4, 8)                   (N, 8)          40    160             32        0\n"
        "  Tanh()                        (N, 8)           0      0              0        0\n"
        "  BatchNorm(8, 0.25)            (N, 8)          16     64              0       16\n"
        "  Dropout(0.25)                 (N, 8)           0      0              0        0\n"
        "  Residual (frozen)             (N, 8)           0      0              0        0\n"
        "    Dense(8, 8) (frozen)        (N, 8)          72    288             64        0\n"
        "    Tanh()                      (N, 8)           0      0              0        0\n"
        "    Dropout(0.5)                (N, 8)           0      0              0        0\n"
        "  Dense(8, 6)                   (N, 6)          54    216             48        0\n"
        "  Dense(8, 6)                   (N, ?)          54    216             48        0\n"
        "Residual                        (N, 5)           0      0              0        0\n"
        "  Dense(6, 5)                   (N, 5)          35    140             30        0\n"
        "  Sigmoid()                     (N, 5)           0      0              0        0\n"
        "  Dense(6, 5)                   (N, 5)          35    140             30        0\n"
        "Tanh()                          (N, 5)           0      0              0        0\n"
        "BatchNorm(5, 0.25)              (N, 5)          10     40              0       10\n"
        "Dense(5, 3)                     (N, 3)          18     72             15        0\n"
        "---------------------------------------------------------------------------------\n"
        "total                                          334  1,336            267       26\n"
        "float32, backend numpy, seed 4, 0 epochs trained"
    )


def test_compare_backends_goes_all_the_way_down():
    net, _ = trained()
    report = tn.compare_backends(net, X, LABELS, "numpy", "numba")
    names = [entry.name for entry in report.differences]
    parameters = [f"{name} d{own}" for name in PARTS for own in layer_of(net, name).shapes()]
    assert {*parameters, *(f"{name} y" for name in PARTS), *(f"{name} dx" for name in PARTS)} < set(names)
    assert names[-2:] == ["buffers after the step", "buffers after a step of fit"]
    assert max(entry.of_largest for entry in report.differences) < 500
    assert np.array_equal(net.theta, trained()[0].theta)


def test_the_layer_inside_in_which_backends_part_is_named():
    plain = tn.backend("numpy")
    other = replace(plain, name="other", ops=SimpleNamespace(**FUNCTIONS | {"sigmoid": lambda x: 1.01 * x}))
    report = tn.compare_backends(network(), X, LABELS, "numpy", other)
    assert report.first_difference == "2 Residual / 1 Sigmoid() y"


def test_what_memory_names_counts_once():
    class Stack(tn.Layer):
        """Remembers in training which of its layers it ran."""

        def __init__(self):
            self.inside = [tn.Dense(4, 4), tn.Tanh()]

        def forward(self, x, train=False):
            for layer in self.inside:
                x = layer.forward(x, train)
            self.memory = self.inside if train else None
            return x

        def backward(self, dy):
            for layer in reversed(self.recall()):
                dy = layer.backward(dy)
            return dy

    net = tn.Network(Stack(), tn.Dense(4, 3))
    tn.fit(net, tn.SGD(net), ROWS, LABELS, epochs=1)
    net[0].again = net[0].inside[0]
    assert (net[0].size, net[1:].theta.size) == (20, 15)
    assert net.summary().count("Dense(4, 4)") == 1
    assert state(net.copy()) == state(net)


def test_first_weights_inside_blocks_differ():
    W = [layer.W for layer in tn.Network(tn.Residual(*(tn.Dense(9, 9) for _ in range(3))), tn.Dense(9, 9))[0].layers]
    assert not any(np.array_equal(one, other) for one, other in ((W[0], W[1]), (W[1], W[2]), (W[0], W[2])))


def counting(calls: list[str]) -> tn.Backend:
    """The numpy backend, whose two backward functions of Dense leave a note each time."""
    plain = tn.backend("numpy")

    def noting(name):
        def call(*arguments):
            calls.append(name)
            return getattr(tn.functions, name)(*arguments)

        return call

    names = ("dense_backward", "dense_backward_parameters")
    return replace(plain, ops=SimpleNamespace(**FUNCTIONS | {name: noting(name) for name in names}))


@pytest.mark.parametrize(
    ("names", "parameters", "dx"),
    [
        ([], 7, 7),
        (["1 Forked / 5 Dense(8, 6)"], 6, 7),
        (["1 Forked / 0 Dense(4, 8)"], 6, 7),
        (["1 Forked"], 3, 3),
        (["1 Forked", "2 Residual"], 1, 1),
        (["1 Forked", "2 Residual", "4 BatchNorm(5, 0.25)"], 1, 0),
    ],
    ids=str,
)
def test_backward_spares_the_work_for_frozen_layers(names, parameters, dx):
    calls: list[str] = []
    net = network(backend=counting(calls))
    for name in names:
        layer_of(net, name).trainable = False
    net.backward(net.forward(X, train=True))
    assert (calls.count("dense_backward_parameters"), calls.count("dense_backward")) == (parameters, dx)


@pytest.mark.parametrize("part", [slice(None), slice(2), slice(2, None)], ids=str)
def test_a_network_or_a_part_is_frozen_as_a_whole(part):
    net = network()
    net[part].trainable = False
    assert [layer.trainable for layer in net] == [layer not in net.layers[part] for layer in net]
    assert (net.trainable, net[part].trainable) == (part != slice(None), False)
    net.trainable = True
    assert all(layer.trainable for _, _, layer in walk(net.layers))


@pytest.mark.parametrize("loss", [None, tn.MeanSquaredError()])
def test_fit_refuses_a_network_that_is_frozen_from_end_to_end(loss):
    net = network()
    for layer in net:
        layer.trainable = False
    before = state(net)
    with pytest.raises(ValueError, match=r"^fit has nothing to train: every layer is frozen; layer.trainable = True"):
        tn.fit(net, tn.Adam(net), X, LABELS, epochs=1, loss=loss)
    assert state(net) == before
    net[1].rest[1].trainable = True
    train(tn.Adam(net))
