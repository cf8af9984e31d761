"""Buffers: views into one vector, kept by files, copies, pickles and early stopping."""

from __future__ import annotations

import numpy as np
import pytest
from block_networks import LABELS, ROWS, X, after_any_life, each_optimizer, layer_of
from own_layers import BatchNorm, network, state, train, trained

import tinynet as tn
from tinynet.layers.bound import walk


def test_a_gradient_check_sees_the_same_buffers_in_every_pass():
    class Drifting(BatchNorm):
        """What it gives in training depends on its buffers, which every training pass moves."""

        def forward(self, x, train=False):
            y = x * (1 + self.mean)
            self.memory = x if train else None
            self.mean[...] += 1 if train else 0
            return y * self.gamma + self.beta

        def backward(self, dy):
            self.dgamma[...] = (dy * self.recall()).sum(axis=0)
            self.dbeta[...] = dy.sum(axis=0)
            return dy * self.gamma

    assert tn.gradient_check_layer(Drifting(4), ROWS)
    assert tn.gradient_check(tn.Network(tn.Residual(Drifting(4))), ROWS, LABELS)


def test_buffers_start_at_what_initial_says_and_follow_the_batches():
    net = tn.Network(BatchNorm(4, momentum=0.5))
    layer = net[0]
    assert (layer.mean.tolist(), layer.var.tolist()) == ([[0] * 4], [[1] * 4])
    y = net.forward(ROWS, train=True)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(layer.mean[0], 0.5 * ROWS.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.var[0], 0.5 + 0.5 * ROWS.var(axis=0), rtol=1e-5)
    expected = (ROWS - layer.mean) / np.sqrt(layer.var + 1e-5)
    np.testing.assert_allclose(net.forward(ROWS), expected, rtol=1e-5, atol=1e-6)


def test_buffers_are_views_into_one_vector_in_the_order_of_the_layers():
    net = network()
    net.buffers[...] = np.arange(26)
    inner, outer = layer_of(net, "1 Forked / 2 BatchNorm(8, 0.25)"), net[4]
    assert np.concatenate([inner.mean, inner.var, outer.mean, outer.var], axis=1).tolist() == [list(range(26))]


def test_only_training_moves_buffers():
    net, _ = trained()
    before = net.buffers.copy()
    tn.evaluate(net, X, LABELS)
    tn.predict(net, X)
    net.activations(X)
    net.summary()
    tn.gradient_check(net, X, LABELS)
    tn.compare_backends(net, X, LABELS, "numpy", "numpy")
    assert np.array_equal(net.buffers, before)
    assert not np.array_equal(before, network().buffers)


@each_optimizer
def test_optimizers_leave_buffers_alone(kind):
    net, optimizer = trained(kind)
    buffers, theta = net.buffers.copy(), net.theta.copy()
    optimizer.step()
    assert np.array_equal(net.buffers, buffers)
    assert not np.array_equal(net.theta, theta)


def test_early_stopping_brings_the_best_epochs_buffers_back():
    net, seen = network(), []
    history = tn.fit(
        net,
        tn.SGD(net, lr=2.0),
        X,
        LABELS,
        epochs=30,
        batch_size=8,
        validation=(X[::-1], LABELS),
        patience=3,
        callbacks=[lambda record: seen.append((record.val_loss, net.theta.tobytes(), net.buffers.tobytes()))],
    )
    assert history.stopped
    assert (net.theta.tobytes(), net.buffers.tobytes()) == min(seen)[1:] != seen[-1][1:]


@after_any_life
def test_what_was_learned_lives_on(live, tmp_path):
    net, _ = trained(seed=5)
    net.notes = {"why": "a test"}
    layer_of(net, "1 Forked / 4 Residual").trainable = False
    twin = live(net, tmp_path)
    assert state(twin) == state(net)
    assert tn.outputs(twin, X).tobytes() == tn.outputs(net, X).tobytes()
    assert np.array_equal(twin.forward(X, train=True), net.forward(X, train=True))


@after_any_life
def test_a_twin_is_independent(live, tmp_path):
    net, _ = trained()
    net.notes["deep"] = [1]
    before, outputs = state(net), tn.outputs(net, X)
    twin = live(net, tmp_path)
    for _, name, layer in walk(twin.layers):
        ours = layer_of(net, name)
        for which, view in layer.views.items():
            assert not np.shares_memory(view, ours.views[which])
            assert any(np.shares_memory(view, vector) for vector in (twin.theta, twin.grad, twin.buffers))
    train(tn.SGD(twin))
    twin[1].trainable = False
    twin.notes["deep"].append(2)
    assert twin.loss is not net.loss
    assert state(net) == before
    assert np.array_equal(tn.outputs(net, X), outputs)


@pytest.mark.parametrize("place", ["numpy", "numba"])
def test_a_network_moves_to_another_backend_with_all_its_state(place):
    net, _ = trained()
    there = net.copy(backend=place)
    assert there.backend.name == place
    assert state(there) == state(net)
    np.testing.assert_allclose(tn.outputs(there, X), tn.outputs(net, X), rtol=1e-4, atol=1e-5)
