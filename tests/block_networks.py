"""Networks with blocks, and what the tests of blocks, buffers and freezing share."""

from __future__ import annotations

import copy

import pytest
from own_layers import OPTIMIZERS, OWN, SignDescent, pictures

import tinynet as tn
from tinynet.layers.bound import walk

X, LABELS = pictures()


ROWS = X.reshape(len(X), 4)


each_optimizer = pytest.mark.parametrize("kind", OPTIMIZERS)


def layer_of(net: tn.Network, name: str) -> tn.Layer:
    return next(layer for _, place, layer in walk(net.layers) if place == name)


def saved_and_loaded(net, folder):
    tn.save(net, folder / "net.npz")
    return tn.load(folder / "net.npz", layers=OWN)


def saved_and_resumed(net, folder):
    tn.save(net, folder / "net.npz", SignDescent(net))
    return tn.resume(folder / "net.npz", layers=OWN, optimizers=[SignDescent])[0]


LIVES = {
    "saved and loaded": saved_and_loaded,
    "saved and resumed": saved_and_resumed,
    "copied": lambda net, folder: net.copy(),
    "copy.copy": lambda net, folder: copy.copy(net),
    "copy.deepcopy": lambda net, folder: copy.deepcopy(net),
    "there and back in float64": lambda net, folder: net.copy(dtype="float64").copy(dtype="float32"),
    "made of its copies": lambda net, folder: like(net, tn.Network(net, seed=net.seed)),
}


after_any_life = pytest.mark.parametrize("live", LIVES.values(), ids=LIVES)


def like(net, other):
    """The other network, with what copies of layers do not bring along."""
    other.epoch, other.loss, other.notes = copy.deepcopy((net.epoch, net.loss, net.notes))
    return other


def own(shapes=(), buffers=(), **attributes) -> tn.Layer:
    """A layer with parameters, buffers and attributes of these names."""
    methods = {"shapes": lambda self: dict.fromkeys(shapes, (1,)), "buffers": lambda self: dict.fromkeys(buffers, (1,))}
    layer = type("Own", (tn.Layer,), methods)()
    vars(layer).update(attributes)
    return layer
