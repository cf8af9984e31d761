"""Layers inside layers: forward, backward, names, files, backends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from block_networks import LABELS, ROWS, X, layer_of
from own_layers import PARTS, BatchNorm, Forked, network, state, train, trained

import tinynet as tn
from tinynet.arrays.backend import FUNCTIONS
from tinynet.layers.bound import walk


def test_residual_by_hand():
    net = tn.Network(tn.Residual(tn.Dense(1, 1), tn.ReLU()), tn.Residual(tn.Dense(1, 1), shortcut=tn.Dense(1, 1)))
    net.theta[...] = [2, 1, 3, 0, -1, 10]  # x + relu(2 x + 1); 3 y + 0 + (-1 y + 10)
    assert net.forward(np.array([[1], [-2]], "float32")).tolist() == [[2 * 4 + 10], [2 * -2 + 10]]


@pytest.mark.parametrize("inside", [lambda: tn.Dropout(0.5), lambda: BatchNorm(4)], ids=["dropout", "buffers"])
@pytest.mark.parametrize(
    "block",
    [
        lambda layer: tn.Residual(layer),
        lambda layer: tn.Residual(tn.Tanh(), shortcut=layer),
        lambda layer: tn.Residual(tn.Residual(layer), tn.Tanh()),
    ],
    ids=["inside", "shortcut", "deeper"],
)
def test_layers_inside_know_whether_it_is_training(block, inside):
    layer = inside()
    net = tn.Network(block(layer))
    before = state(net)
    y = net.forward(ROWS)
    assert layer.memory is None
    assert state(net) == before
    assert not np.array_equal(net.forward(ROWS, train=True), y)
    assert layer.memory is not None
    assert state(net) != before


BLOCKS = {
    "plain": lambda: tn.Residual(tn.Dense(4, 4), tn.Tanh()),
    "shortcut": lambda: tn.Residual(tn.Dense(4, 6), tn.Tanh(), tn.Dense(6, 3), shortcut=tn.Dense(4, 3)),
    "dropout": lambda: tn.Residual(tn.Dense(4, 4), tn.Dropout(0.5)),
    "without parameters": lambda: tn.Residual(tn.Tanh()),
    "buffers": lambda: tn.Residual(BatchNorm(4), tn.Dense(4, 4)),
    "block in a block": lambda: tn.Residual(tn.Residual(tn.Dense(4, 4), shortcut=tn.Residual(tn.Sigmoid())), tn.Tanh()),
    "one's own": lambda: Forked(tn.Dense(4, 3), [tn.Tanh()], {"a": tn.Dense(3, 2), "b": BLOCKS["small"]()}),
    "small": lambda: tn.Residual(tn.Dense(3, 2), shortcut=tn.Dense(3, 2)),
}
each_block = pytest.mark.parametrize("block", [make for name, make in BLOCKS.items() if name != "small"])


@each_block
def test_a_block_passes_the_gradient_check(block):
    assert tn.gradient_check_layer(block(), ROWS)
    assert tn.gradient_check(tn.Network(tn.Dense(4, 4), block(), tn.Tanh()), ROWS, LABELS % 2)


@each_block
def test_repr_names_what_is_inside(block):
    inside = [layer for layer in block().children() if not layer.children()]
    assert all(repr(layer) in repr(block()) for layer in inside)


def test_a_gradient_check_names_every_array_by_its_place():
    report = tn.gradient_check(network(), X, LABELS)
    assert report
    parameters = [f"{name}.{own}" for name in PARTS for own in layer_of(network(), name).shapes()]
    assert list(dict.fromkeys(entry.name for entry in report)) == [*parameters, "x"]
    assert "2 Residual / 0 Dense(6, 5).W" in parameters


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


def masks(**options) -> list[np.ndarray]:
    """What every Dropout of a network makes of ones."""
    layers = [tn.Dropout(0.5), tn.Residual(tn.Dropout(0.5), tn.Residual(tn.Dropout(0.5))), tn.Residual(tn.Dropout(0.5))]
    own = Forked(tn.Dense(9, 9), [tn.Dropout(0.5)], {"a": tn.Dropout(0.5), "b": tn.Dropout(0.5)})
    net = tn.Network(*layers, own, **options)
    inside = [layer for _, _, layer in walk(net.layers) if isinstance(layer, tn.Dropout)]
    return [layer.forward(np.ones((40, 50), net.dtype), train=True) for layer in inside]


def test_every_dropout_draws_for_itself_wherever_it_stands():
    drawn = [*masks(seed=1), *masks(seed=2)]
    assert len(drawn) == 14
    agreement = np.array([[(one == other).mean() for one in drawn] for other in drawn])
    np.testing.assert_allclose(agreement, 0.5 + 0.5 * np.eye(14), atol=0.06)


def test_the_same_seed_draws_the_same_masks_and_weights():
    assert np.array_equal(masks(seed=1), masks(seed=1))
    assert state(network(seed=1)) == state(network(seed=1))


def test_first_weights_inside_blocks_differ():
    W = [layer.W for layer in tn.Network(tn.Residual(*(tn.Dense(9, 9) for _ in range(3))), tn.Dense(9, 9))[0].layers]
    assert not any(np.array_equal(one, other) for one, other in ((W[0], W[1]), (W[1], W[2]), (W[0], W[2])))


def test_two_runs_with_dropout_inside_blocks_are_one_run():
    assert state(trained(seed=2)[0]) == state(trained(seed=2)[0]) != state(trained(seed=3)[0])


def test_fit_in_two_calls_is_one_call():
    net, optimizer = trained(epochs=2)
    train(optimizer, epochs=2)
    assert state(net) == state(trained(epochs=4)[0])


def test_summary_lists_blocks_and_buffers(default_backend):
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
        f"float32, backend {default_backend}, seed 4, 0 epochs trained"
    )


def test_activations_are_every_layers_outputs_by_name():
    net, _ = trained()
    found = net.activations(X)
    assert sorted(found) == sorted(PARTS)
    for k, name in enumerate(name for name in PARTS if "/" not in name):
        assert np.array_equal(found[name], net[: k + 1].forward(X))
    inner = found["2 Residual / 1 Sigmoid()"] + found["2 Residual / 2 Dense(6, 5)"]
    assert np.array_equal(inner, found["2 Residual"])
    assert not any("forward" in vars(layer) for _, _, layer in walk(net.layers))


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
