"""The same numbers as PyTorch, and as the chain rule written out in loops: logits, loss, gradients, steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet as tn

FILE = Path(__file__).parent / "fixtures" / "torch_parity.json"
TORCH = json.loads(FILE.read_text())
X = np.array(TORCH["x"])
TARGETS = {name: np.array(t) for name, t in TORCH["targets"].items()}
LOSSES = {
    "hard": (tn.SoftmaxCrossEntropy(), "hard"),
    "soft": (tn.SoftmaxCrossEntropy(), "soft"),
    "smoothed": (tn.SoftmaxCrossEntropy(label_smoothing=0.2), "hard"),
    "binary": (tn.BinaryCrossEntropy(), "soft"),
    "arrays": (tn.MeanSquaredError(), "arrays"),
    "huber": (tn.Huber(delta=0.7), "arrays"),
}
ACTIVATIONS = {"gelu": tn.GELU(), "leaky_relu": tn.LeakyReLU(0.05), "sigmoid": tn.Sigmoid(), "tanh": tn.Tanh()}
OPTIMIZERS = {
    "adam": lambda net: tn.Adam(net, lr=0.05, beta1=0.8, beta2=0.95, eps=1e-3),
    "adamw": lambda net: tn.AdamW(net, lr=0.05, weight_decay=0.1),
    "rmsprop": lambda net: tn.RMSProp(net, lr=0.02, rho=0.8, eps=1e-3),
    "clipped": lambda net: tn.SGD(net, lr=0.1, clip_norm=0.5),
    "sgd": lambda net: tn.SGD(net, lr=0.1),
    "sgd_momentum": lambda net: tn.SGD(net, lr=0.1, momentum=0.9),
    "sgd_nesterov": lambda net: tn.SGD(net, lr=0.1, momentum=0.9, nesterov=True),
}
SCHEDULES = {"step_decay": tn.step_decay(0.2, every=3, factor=0.5), "cosine": tn.cosine(0.2, steps=10, floor=0.01)}


def network(*last: tn.Layer) -> tn.Network:
    """PyTorch's network, where it started."""
    D, *hidden, M = TORCH["widths"]
    net = tn.Network(*(layer.copy() for layer in tn.mlp(D, hidden, M)), *last, dtype="float64")
    net.theta[...] = TORCH["theta"]
    return net


def agree(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", TORCH["passes"])
def test_output_loss_and_all_gradients_are_pytorchs(name):
    net, (loss, targets), expected = network(), LOSSES[name], TORCH["passes"][name]
    columns = 1 if name == "binary" else 3
    y = net.forward(X, train=True)
    agree(y, expected["y"])
    agree(loss.forward(y[:, :columns], TARGETS[targets][:, :columns]), expected["loss"])
    dy = np.zeros_like(y)
    dy[:, :columns] = loss.backward()
    agree(net.backward(dy, need_dx=True), expected["dx"])
    agree(net.grad, expected["grad"])


@pytest.mark.parametrize("name", TORCH["activations"])
def test_activations_and_their_gradients_are_pytorchs(name):
    net, expected = tn.Network(ACTIVATIONS[name].copy(), dtype="float64"), TORCH["activations"][name]
    agree(net.forward(X, train=True), expected["y"])
    agree(net.backward(X, need_dx=True), expected["dx"])


@pytest.mark.parametrize("name", ["hard", "soft"])
def test_softmax_as_a_layer_with_cross_entropy_has_pytorchs_gradients_too(name):
    net, loss, expected = network(tn.Softmax()), tn.CrossEntropy(), TORCH["passes"][name]
    p = net.forward(X, train=True)
    agree(p, expected["p"])
    agree(loss.forward(p, TARGETS[name]), expected["loss"])
    net.backward(loss.backward())
    agree(net.grad, expected["grad"])


@pytest.mark.parametrize("name", TORCH["steps"])
def test_five_steps_are_pytorchs(name):
    net, loss = network(), tn.SoftmaxCrossEntropy()
    optimizer = OPTIMIZERS[name](net)
    for theta in TORCH["steps"][name]:
        loss.forward(net.forward(X, train=True), TARGETS["soft"])
        net.backward(loss.backward())
        optimizer.step()
        agree(net.theta, theta)


@pytest.mark.parametrize("name", TORCH["schedules"])
def test_schedules_are_pytorchs(name):
    agree([SCHEDULES[name](t) for t in range(10)], TORCH["schedules"][name])
