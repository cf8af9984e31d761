"""What holds of every layer: its gradients, what it keeps and what it does not change."""

from __future__ import annotations

import numpy as np
import pytest
from own_layers import Affine

import tinynet as tn


def pictures(*shape: int) -> np.ndarray:
    """Numbers that are all different, so that a patch's largest stays the largest when one moves a little."""
    draw = np.random.default_rng(3)
    return (draw.permutation(np.prod(shape)).reshape(shape) / np.prod(shape) - 0.4) * 4


LAYERS: dict[str, tuple[tn.Layer, np.ndarray]] = {
    "convolution": (tn.Conv2D(2, 3, 3), pictures(2, 2, 5, 6)),
    "padded": (tn.Conv2D(2, 3, 3, padding=1), pictures(2, 2, 5, 6)),
    "strides that do not divide": (tn.Conv2D(2, 3, 3, stride=2), pictures(2, 2, 8, 6)),
    "strides beyond the kernel": (tn.Conv2D(2, 3, 2, stride=3, padding=1), pictures(2, 2, 8, 7)),
    "even kernel": (tn.Conv2D(2, 3, 2), pictures(2, 2, 5, 6)),
    "one pixel": (tn.Conv2D(2, 3, 1), pictures(2, 2, 1, 1)),
    "one pixel, and zeros around it": (tn.Conv2D(1, 1, 3, padding=1), pictures(1, 1, 1, 1)),
    "one channel, one picture": (tn.Conv2D(1, 1, 3), pictures(1, 1, 7, 5)),
    "as large as its picture": (tn.Conv2D(2, 3, 4), pictures(2, 2, 4, 4)),
    "max": (tn.MaxPool2D(2), pictures(2, 3, 4, 6)),
    "max, odd sizes": (tn.MaxPool2D(3), pictures(2, 3, 7, 5)),
    "max of one pixel": (tn.MaxPool2D(1), pictures(2, 3, 1, 1)),
    "average": (tn.AveragePool2D(2), pictures(2, 3, 4, 6)),
    "average, odd sizes": (tn.AveragePool2D(3), pictures(1, 1, 7, 5)),
    "whole channels": (tn.GlobalAveragePool(), pictures(2, 3, 4, 5)),
    "whole channels of one pixel": (tn.GlobalAveragePool(), pictures(2, 3, 1, 1)),
    "batch norm of pictures": (tn.BatchNorm(3), pictures(2, 3, 4, 5)),
    "batch norm of one picture": (tn.BatchNorm(2), pictures(1, 2, 3, 1)),
    "batch norm of one channel": (tn.BatchNorm(1), pictures(2, 1, 4, 5)),
    "batch norm of rows": (tn.BatchNorm(4), pictures(7, 4)),
    "layer norm": (tn.LayerNorm(4), pictures(7, 4)),
    "layer norm of one row": (tn.LayerNorm(4), pictures(1, 4)),
    "residual": (tn.Residual(tn.Conv2D(2, 2, 3, padding=1), tn.Tanh(), tn.BatchNorm(2)), pictures(2, 2, 5, 4)),
    "smaller residual": (
        tn.Residual(tn.Conv2D(2, 3, 3, 2, 1), tn.Tanh(), shortcut=tn.Conv2D(2, 3, 1, 2)),
        pictures(2, 2, 5, 4),
    ),
    **{
        repr(layer): (layer, pictures(6, 4))
        for layer in (tn.Dense(4, 4), tn.ReLU(), tn.LeakyReLU(0.25), tn.Tanh(), tn.Sigmoid(), tn.GELU(), tn.Softmax())
    },
    "dropout": (tn.Dropout(0.5), pictures(6, 4)),
    "flatten": (tn.Flatten(), pictures(2, 2, 3, 2)),
    "one's own": (Affine(4), pictures(6, 4)),
}


each_layer = pytest.mark.parametrize("name", LAYERS)


def passes(report: tn.GradientReport) -> None:
    assert report
    assert {entry.status for entry in report} <= {"ok", "zero"}


@each_layer
def test_a_layer_passes_the_gradient_check(name):
    layer, x = LAYERS[name]
    passes(tn.gradient_check_layer(layer, x, full=x.size < 50))


@each_layer
def test_a_layer_passes_the_gradient_check_inside_a_network(name):
    layer, x = LAYERS[name]
    first = tn.Conv2D(x.shape[1], x.shape[1], 1) if x.ndim == 4 else tn.Dense(4, 4)
    row = tn.Network(layer.copy()).output_shape(x.shape[1:])
    net = tn.Network(first, tn.Tanh(), layer.copy(), tn.Tanh(), tn.Flatten(), tn.Dense(int(np.prod(row)), 3))
    passes(tn.gradient_check(net, x, np.arange(len(x)) % 3))


@each_layer
def test_no_row_depends_on_the_others_outside_training(name):
    layer, x = LAYERS[name]
    net = tn.Network(layer.copy(), dtype="float64")
    x = np.concatenate([x, 3 * x + 1])
    net.forward(x, train=True)
    alone = np.concatenate([net.forward(row[None]) for row in x])
    np.testing.assert_allclose(net.forward(x), alone, rtol=1e-12, atol=1e-14)


@each_layer
def test_a_layer_keeps_float32_and_what_it_is_given(name):
    layer, x = LAYERS[name]
    net, x = tn.Network(layer.copy()), x.astype("float32")
    y = net.forward(x, train=True)
    dy, kept = np.cos(y), x.copy()
    given = dy.copy()
    assert y.dtype == net.backward(dy, need_dx=True).dtype == net.forward(x).dtype == "float32"
    assert np.array_equal(x, kept)
    assert np.array_equal(dy, given)


@each_layer
def test_memory_is_kept_in_training_alone(name):
    layer, x = LAYERS[name]
    net, x = tn.Network(layer.copy()), x.astype("float32")
    parts = [net[0], *net[0].children()]
    net.forward(x, train=True)
    for use in (net.forward, net[0].forward):
        y = use(x)
        assert [part.memory for part in parts if part.memory is not None] == []
        with pytest.raises(RuntimeError, match=r"\(.*\)\.backward needs what forward\(x, train=True\) keeps"):
            net.backward(y, need_dx=True)
        net.forward(x, train=True)


@each_layer
def test_backward_writes_every_number_of_grad(name):
    layer, x = LAYERS[name]
    net, x = tn.Network(layer.copy()), x.astype("float32")
    y = net.forward(x, train=True)
    for need_dx in (False, True):
        net.grad[...] = np.nan
        net.backward(np.ones_like(y), need_dx=need_dx)
        assert np.isfinite(net.grad).all()
