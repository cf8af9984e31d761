"""Layers inside layers: forward, backward, names, files, backends."""

from __future__ import annotations

import numpy as np
import pytest
from block_networks import LABELS, ROWS, X, layer_of
from own_layers import PARTS, BatchNorm, Forked, network, state, trained

import tinynet as tn
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


def test_a_gradient_check_names_every_array_by_its_place():
    report = tn.gradient_check(network(), X, LABELS)
    assert report
    parameters = [f"{name}.{own}" for name in PARTS for own in layer_of(network(), name).shapes()]
    assert list(dict.fromkeys(entry.name for entry in report)) == [*parameters, "x", "all together"]
    assert "2 Residual / 0 Dense(6, 5).W" in parameters


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


def test_activations_are_every_layers_outputs_by_name():
    net, _ = trained()
    found = net.activations(X)
    assert sorted(found) == sorted(PARTS)
    for k, name in enumerate(name for name in PARTS if "/" not in name):
        assert np.array_equal(found[name], net[: k + 1].forward(X))
    inner = found["2 Residual / 1 Sigmoid()"] + found["2 Residual / 2 Dense(6, 5)"]
    assert np.array_equal(inner, found["2 Residual"])
    assert not any("forward" in vars(layer) for _, _, layer in walk(net.layers))
