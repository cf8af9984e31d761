"""Output shapes: what goes in and comes out of layers and networks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from block_networks import LABELS, X
from own_layers import BatchNorm

import tinynet as tn


@pytest.mark.parametrize(
    ("layers", "given", "found"),
    [
        ([tn.Flatten(), tn.Dense(784, 10)], (1, 28, 28), (10,)),
        ([tn.Flatten(), tn.Dense(784, 10)], (784,), (10,)),
        ([tn.Flatten(), tn.Dense(784, 10)], None, (10,)),
        ([tn.Flatten()], (2, 3, 4), (24,)),
        ([tn.Flatten()], None, None),
        ([tn.ReLU(), tn.Dropout(0.5)], (1, 28, 28), (1, 28, 28)),
        ([tn.ReLU()], None, None),
        ([tn.Residual(tn.ReLU())], (1, 28, 28), (1, 28, 28)),
        ([tn.Residual(tn.ReLU())], None, None),
        ([tn.Residual(tn.ReLU(), shortcut=tn.Dense(8, 8))], None, (8,)),
        ([tn.Residual(tn.Dense(8, 8), tn.ReLU())], None, (8,)),
        ([tn.Residual(tn.Dense(8, 6), shortcut=tn.Dense(8, 6))], (8,), (6,)),
    ],
    ids=str,
)
def test_outputs_of_a_shape(layers, given, found):
    assert tn.Network(*(layer.copy() for layer in layers)).output_shape(given) == found


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        (
            [tn.Dense(784, 10)],
            (1, 28, 28),
            "Dense(784, 10) takes x (N, 784), but gets (N, 1, 28, 28); a Flatten() in front of it makes rows",
        ),
        ([tn.Flatten(), tn.Dense(784, 10)], (1, 27, 28), "Dense(784, 10) takes x (N, 784), but gets (N, 756)"),
        ([BatchNorm(3)], (4,), "BatchNorm(3, 0.25) takes x (N, 3), but gets (N, 4)"),
        (
            [tn.Residual(tn.ReLU(), tn.Dense(8, 8))],
            (2, 4),
            "inside Residual(ReLU(), Dense(8, 8)): Dense(8, 8) takes x (N, 8), but gets (N, 2, 4); "
            "a Flatten() in front of it makes rows",
        ),
        (
            [tn.Residual(tn.Residual(tn.Dense(8, 8)))],
            (7,),
            "inside Residual(Residual(Dense(8, 8))): inside Residual(Dense(8, 8)): "
            "Dense(8, 8) takes x (N, 8), but gets (N, 7)",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("use", ["outputs", "fit", "evaluate", "predict", "gradient_check"])
def test_a_shape_that_a_layer_cannot_take_is_refused_everywhere(layers, shape, message, use):
    net = tn.Network(*(layer.copy() for layer in layers))
    x, labels = np.zeros((2, *shape)), [0, 1]
    uses = {
        "outputs": lambda: net.output_shape(shape),
        "fit": lambda: tn.fit(net, tn.SGD(net), x, labels, epochs=1),
        "evaluate": lambda: tn.evaluate(net, x, labels),
        "predict": lambda: tn.predict(net, x),
        "gradient_check": lambda: tn.gradient_check(net, x, labels),
    }
    before = "" if use == "outputs" else f"the network cannot take x {x.shape}: "
    with pytest.raises(ValueError, match=f"^{re.escape(before + message)}$"):
        uses[use]()


@pytest.mark.parametrize("x", [X, (40 * abs(X)).astype(np.uint8)], ids=["floats", "pixels"])
def test_pictures_are_the_rows_that_flatten_makes_of_them(x):
    flat = x.reshape(len(x), 4)
    one = tn.Network(tn.Flatten(), tn.Dense(4, 5), tn.Tanh(), tn.Dense(5, 3))
    other = tn.Network(one[1:])
    for net, rows in ((one, x), (other, flat)):
        tn.fit(net, tn.Adam(net), rows, LABELS, epochs=2, batch_size=8, validation=(rows, LABELS))
    assert np.array_equal(one.theta, other.theta)
    assert tn.evaluate(one, x, LABELS) == tn.evaluate(other, flat, LABELS)
    for use in (tn.predict, tn.predict_classes, tn.outputs):
        assert np.array_equal(use(one, x), use(other, flat))
    assert tn.gradient_check(one, x, LABELS)


def test_a_layer_whose_class_fixes_the_number_of_features_says_so():
    class Three(tn.Layer):
        D = 3

    with pytest.raises(ValueError, match=r"Three\(\) takes x \(N, 3\), but gets \(N, 4\)"):
        tn.Network(tn.Dense(2, 4), Three())
