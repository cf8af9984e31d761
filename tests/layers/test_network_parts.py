"""Slices of networks, and networks made of parts of others."""

from __future__ import annotations

import numpy as np
import pytest
from block_networks import LABELS, ROWS, X
from own_layers import network, state, trained

import tinynet as tn
from tinynet.layers.bound import walk


@pytest.mark.parametrize("part", [slice(3), slice(1, None), slice(2, 4), slice(-2, None)], ids=str)
def test_a_part_shares_what_its_layers_learn(part):
    net, _ = trained()
    half = net[part]
    assert list(half) == list(net.layers[part])
    half.theta[...], half.grad[...], half.buffers[...] = 7, 8, 9
    for _, _, layer in walk(half.layers):
        for name, view in layer.views.items():
            assert (view == (7 if name in layer.shapes() else 9 if name in layer.buffers() else 8)).all()
    assert half.theta.size == half.grad.size == sum(layer.size for layer in half)
    counts = [(net.theta == 7).sum(), (net.grad == 8).sum(), (net.buffers == 9).sum()]
    assert counts == [half.theta.size, half.grad.size, half.buffers.size]


def test_a_part_has_notes_of_its_own_and_knows_the_loss_only_of_its_last_layer():
    net, _ = trained()
    net.notes["deep"] = [1]
    net[1:].notes["deep"] = 2
    assert (net.notes, net[1:].notes) == ({"deep": [1]}, {})
    assert (net[:3].loss, net[3:].loss) == (None, net.loss)
    assert (net[1:].seed, net[1:].epoch, net[1:].dtype) == (net.seed, net.epoch, net.dtype)


def test_parts_one_after_the_other_are_the_whole():
    net, _ = trained()
    assert np.array_equal(net[3:].forward(net[:3].forward(X)), net.forward(X))
    assert np.array_equal(tn.outputs(net[:3], X), net.activations(X)["2 Residual"])
    assert list(net[1:][1:3]) == list(net[2:4])
    assert np.array_equal(net[1:][1:3].theta, net[2:4].theta)


@pytest.mark.parametrize("make", [network, lambda: tn.mlp(4, [6, 6], 5, dropout=[0.1])], ids=["blocks", "mlp"])
def test_training_a_part_moves_that_part_alone(make):
    net = make()
    part = net[2:]
    x = tn.outputs(net[:2], ROWS)
    before = net.theta[: -part.theta.size].copy()
    learned = part.theta.copy()
    tn.fit(part, tn.Adam(part), x, LABELS, epochs=2)
    assert np.array_equal(net.theta[: -part.theta.size], before)
    assert not np.array_equal(net.theta[-part.theta.size :], learned)


def test_a_network_of_trained_parts_has_copies_of_them():
    net, _ = trained()
    net[2].trainable = False
    before = state(net)
    odd = tn.Network(net[:3], tn.Dense(5, 2), seed=9)
    assert np.array_equal(tn.outputs(odd[:3], X), tn.outputs(net[:3], X))
    assert np.array_equal(odd.theta[:306], net.theta[:306])
    assert np.array_equal(odd.buffers, net.buffers[:16])
    assert [layer.trainable for layer in odd] == [True, True, False, True]
    assert (odd.epoch, odd.loss, odd[1].rest[2].counter) == (0, None, 6)
    tn.fit(odd, tn.Adam(odd), X, LABELS % 2, epochs=1)
    assert state(net) == before


@pytest.mark.parametrize("part", [slice(0, 0), slice(9, None), slice(None, None, 2), slice(None, None, -1)], ids=str)
def test_a_part_is_one_or_more_neighbors(part):
    with pytest.raises(ValueError, match=r"^a part of a network is one or more neighbors, as net\[:3\]; got \["):
        network()[part]
