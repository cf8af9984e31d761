"""Layers for pictures and layers that normalize: their gradients, PyTorch's numbers, and what holds of every layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_networks import examples, network
from test_each_layer import passes, pictures

import tinynet as tn

FILE = Path(__file__).parents[1] / "fixtures" / "torch_pictures.json"
TORCH = json.loads(FILE.read_text())
X, ROWS = np.array(TORCH["x"]), np.array(TORCH["rows"])


# --------------------------------------------------------------------------------------------- gradients


def test_a_network_of_all_of_them_passes_the_gradient_check():
    passes(tn.gradient_check(network(), *examples()))


def test_of_equal_numbers_the_first_has_the_gradient():
    net = tn.Network(tn.MaxPool2D(2))
    net.forward(np.ones((1, 1, 2, 2), "float32"), train=True)
    dx = net.backward(np.full((1, 1, 1, 1), 5, "float32"), need_dx=True)
    assert dx.tolist() == [[[[5, 0], [0, 0]]]]


def test_pixels_that_no_patch_reaches_have_no_gradient():
    for layer in (tn.Conv2D(1, 1, 2, stride=3), tn.MaxPool2D(3), tn.AveragePool2D(3)):
        net = tn.Network(layer)
        y = net.forward(pictures(1, 1, 5, 4).astype("float32"), train=True)
        dx = net.backward(np.ones_like(y), need_dx=True)
        assert y.shape[1:] == net.output_shape((1, 5, 4))
        assert dx[..., :3, :3].any()
        assert not dx[..., -1].any()


# ------------------------------------------------------------------------------------------- as PyTorch has it


def agree(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


def agrees(layer: tn.Layer, x: np.ndarray, expected: dict[str, Any]) -> None:
    """y, dx and the gradients of all parameters, where dy = y^2."""
    net = tn.Network(layer.copy(), dtype="float64")
    for name in net[0].shapes():
        patch = net[0].views[name]
        patch[...] = np.reshape(expected[name], patch.shape)
    y = net.forward(x, train=True)
    agree(y, expected["y"])
    agree(net.backward(y**2, need_dx=True), expected["dx"])
    for name in net[0].shapes():
        assert np.any(expected[f"d{name}"])
        agree(net[0].views[f"d{name}"].ravel(), np.ravel(expected[f"d{name}"]))


@pytest.mark.parametrize("name", TORCH["convolutions"])
def test_convolutions_and_their_gradients_are_pytorchs(name):
    expected = TORCH["convolutions"][name]
    agrees(tn.Conv2D(2, 3, *expected["numbers"]), X, expected)


def test_pools_and_their_gradients_are_pytorchs():
    with_ties = np.array(TORCH["steps"])
    agrees(tn.MaxPool2D(2), with_ties, TORCH["pools"]["MaxPool2D"])
    agrees(tn.AveragePool2D(2), X, TORCH["pools"]["AveragePool2D"])
    agrees(tn.GlobalAveragePool(), X, TORCH["pools"]["GlobalAveragePool"])


@pytest.mark.parametrize(("name", "x"), [("pictures", X), ("rows", ROWS)])
def test_batch_norm_is_pytorchs_and_so_is_what_it_remembers(name, x):
    expected = TORCH["batch norm"][name]
    agrees(tn.BatchNorm(x.shape[1]), x, expected)
    net = tn.Network(tn.BatchNorm(x.shape[1]), dtype="float64")
    for k in range(10):
        net.forward(x * (1 + k / 4) + k, train=True)
    agree(net[0].mean, expected["mean"])
    agree(net[0].variance, expected["variance"])
    net[0].gamma[...], net[0].beta[...] = expected["gamma"], expected["beta"]
    agree(net.forward(x), expected["evaluated"])


def test_layer_norm_and_its_gradients_are_pytorchs():
    agrees(tn.LayerNorm(4), ROWS, TORCH["layer norm"])


def test_loss_and_all_gradients_of_a_network_are_pytorchs():
    expected, loss = TORCH["network"], tn.SoftmaxCrossEntropy()
    first, rest = tn.Conv2D(2, 4, 3, padding=1), [tn.ReLU(), tn.MaxPool2D(2), tn.Flatten(), tn.Dense(24, 3)]
    net = tn.Network(first, tn.BatchNorm(4), *rest, dtype="float64")
    net.theta[...] = expected["theta"]
    z = net.forward(X, train=True)
    agree(z, expected["z"])
    agree(loss.forward(z, np.eye(3)[expected["labels"]]), expected["loss"])
    agree(net.backward(loss.backward(), need_dx=True), expected["dx"])
    agree(net.grad, expected["grad"])


# --------------------------------------------------------------------------------------------- as every layer


def test_batch_norm_depends_on_the_batch_in_training_and_layer_norm_does_not():
    batch, layer = tn.Network(tn.BatchNorm(4), dtype="float64"), tn.Network(tn.LayerNorm(4), dtype="float64")
    assert not np.allclose(batch.forward(ROWS, train=True)[:2], batch.forward(ROWS[:2], train=True))
    agree(layer.forward(ROWS, train=True)[:2], layer.forward(ROWS[:2], train=True))


def test_batch_norm_starts_as_the_identity_and_without_statistics():
    net = tn.Network(tn.BatchNorm(4, eps=1e-12), dtype="float64")
    agree(net.forward(ROWS), ROWS)
    assert (net[0].mean.tolist(), net[0].variance.tolist()) == ([0] * 4, [1] * 4)


def test_a_momentum_of_1_remembers_the_last_batch_alone():
    net = tn.Network(tn.BatchNorm(4, momentum=1), dtype="float64")
    net.forward(3 * ROWS, train=True)
    net.forward(ROWS, train=True)
    agree(net[0].mean, ROWS.mean(axis=0))
    agree(net[0].variance, ROWS.var(axis=0, ddof=1))


# ---------------------------------------------------------------------------------------------------- errors


def test_a_block_of_pictures_that_ends_in_rows_is_taken():
    inside = [tn.Conv2D(2, 4, 3), tn.GlobalAveragePool(), tn.Dense(4, 2)]
    net = tn.Network(tn.Residual(*inside, shortcut=tn.GlobalAveragePool()))
    assert net.output_shape((2, 5, 5)) == (2,)
    passes(tn.gradient_check_layer(net[0], pictures(3, 2, 5, 5)))
