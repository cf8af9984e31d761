"""Frozen layers: they do not change, and the others train as usual."""

from __future__ import annotations

import numpy as np
import pytest
from block_networks import LABELS, ROWS, X, each_optimizer, layer_of
from own_layers import OPTIMIZERS, PARTS, network, train, trained

import tinynet as tn
from tinynet.layers.bound import walk

FROZEN = {
    "the first layers": PARTS[:12],
    "a layer in a block in a block": PARTS[7:8],
    "a block": PARTS[6:10],
    "a shortcut": PARTS[15:16],
    "the last layer": PARTS[18:],
}


def froze(net: tn.Network, names: list[str], trainable: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Freezes these layers; says which numbers of theta are theirs, and which are not."""
    marked = net.copy()
    for name in names:
        layer_of(net, name).trainable = trainable
        for own in layer_of(net, name).shapes():
            layer_of(marked, name).views[own][...] = np.nan
    return np.isnan(marked.theta), ~np.isnan(marked.theta)


@pytest.mark.parametrize(
    ("kind", "which"),
    [*((kind, "the first layers") for kind in OPTIMIZERS), *(("Adam", which) for which in list(FROZEN)[1:])],
)
def test_what_is_frozen_stays_and_the_rest_moves(kind, which):
    net, optimizer = trained(kind)
    frozen, free = froze(net, FROZEN[which])
    before = net.theta.copy()
    train(optimizer, epochs=2)
    assert net.theta[frozen].tobytes() == before[frozen].tobytes()
    assert (net.theta[free] != before[free]).mean() > 0.9
    froze(net, FROZEN[which], trainable=True)
    train(optimizer)
    assert (net.theta[frozen] != before[frozen]).mean() > 0.9


@each_optimizer
def test_a_frozen_network_of_mlp_takes_no_short_cut(kind):
    net = tn.mlp(4, [6, 5], 3, dropout=[0.1])
    optimizer = OPTIMIZERS[kind](net)
    tn.fit(net, optimizer, ROWS, LABELS, epochs=1)
    before = net.theta.copy()
    net[1].trainable = False
    tn.fit(net, optimizer, ROWS, LABELS, epochs=2)
    same = net.theta == before
    assert same[:30].all()
    assert not same[30:].all()


def test_frozen_layers_count_for_nothing_when_gradients_are_clipped():
    """What is left moves as if it were all there is."""
    whole = tn.Network(tn.Dense(4, 4), tn.Tanh(), tn.Dense(4, 3))
    whole[0].trainable = False
    rest = tn.Network(whole[2:])
    features = tn.outputs(whole[:2], ROWS)
    for net, x in ((whole, ROWS), (rest, features)):
        tn.fit(net, tn.SGD(net, lr=1.0, clip_norm=0.01), x, LABELS, epochs=1, batch_size=8)
    np.testing.assert_allclose(whole[2].W, rest[0].W, rtol=1e-6)


def test_freezing_a_block_freezes_what_is_inside_and_one_inside_can_be_freed():
    net = network()
    net[1].trainable = False
    assert [layer.trainable for _, name, layer in walk(net.layers) if name.startswith("1 ")] == [False] * 11
    layer_of(net, "1 Forked / 4 Residual / 0 Dense(8, 8)").trainable = True
    before = net.theta.copy()
    train(tn.Adam(net))
    moved = net.theta[:236] != before[:236]
    assert moved.sum() == moved[56:128].sum() > 0


def test_a_gradient_check_tests_frozen_layers_too_and_leaves_them_frozen():
    net = network()
    net[1].trainable = False
    report = tn.gradient_check(net, X, LABELS)
    assert report
    assert "1 Forked / 0 Dense(4, 8).W" in {entry.name for entry in report}
    assert not net[1].stem.trainable
    block = tn.Residual(tn.Dense(4, 4))
    block.trainable = False
    assert tn.gradient_check_layer(block, ROWS)
    assert not block.layers[0].trainable


def test_the_gradient_of_a_frozen_layer_is_zero_so_that_a_hand_written_update_does_not_move_it():
    net = tn.Network(tn.Dense(4, 4), tn.BatchNorm(4), tn.Tanh(), tn.Dense(4, 3))
    net[1].trainable = net[3].trainable = False
    net.grad[...] = 7
    net.backward(np.ones_like(net.forward(ROWS, train=True)))
    assert net[0].dW.any()
    assert not np.concatenate([net.grad[20:28], net.grad[28:]]).any()


@pytest.mark.parametrize("backend", ["numpy", "numpy-fast", "numba"])
def test_a_frozen_batch_norm_gives_the_same_before_and_after_training(backend):
    draw = np.random.default_rng(0)
    x, t = draw.normal(size=(64, 5)).astype(np.float32), draw.integers(0, 2, 64)
    net = tn.Network(tn.Dense(5, 8), tn.BatchNorm(8), tn.ReLU(), tn.Dense(8, 2), seed=1, backend=backend)
    tn.fit(net, tn.Adam(net), 3 * x + 1, t, epochs=2)
    net[:3].trainable = False
    before, buffers, last = tn.outputs(net[:3], x), net.buffers.copy(), net[3].W.copy()
    tn.fit(net, tn.Adam(net), x, t, epochs=2)
    assert np.array_equal(tn.outputs(net[:3], x), before)
    assert np.array_equal(net.buffers, buffers)
    assert not np.array_equal(net[3].W, last)


@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 2, 3)])
def test_the_gradient_in_front_of_a_frozen_batch_norm(shape):
    """Its mean and variance are constants: y is a linear function of x, and dx the slope."""
    draw = np.random.default_rng(0)
    x, dy = draw.normal(size=(2, *shape))
    net = tn.Network(tn.BatchNorm(4), dtype="float64")
    net.forward(draw.normal(size=shape) * 3 + 2, train=True)
    net[0].gamma[...] = draw.normal(size=(1, 4))
    net[0].trainable = False
    y = net.forward(x, train=True)
    assert np.array_equal(y, net.forward(x))
    net.forward(x, train=True)
    v = draw.normal(size=shape)
    slope = (dy * (net.forward(x + v) - net.forward(x))).sum()
    net.forward(x, train=True)
    np.testing.assert_allclose((net.backward(dy, need_dx=True) * v).sum(), slope, rtol=1e-12)
    assert (net.grad == 0).all()
