"""Layers for pictures and layers that normalize: their gradients, PyTorch's numbers, and what holds of every layer."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_layers import state

import tinynet as tn

FILE = Path(__file__).parents[1] / "fixtures" / "torch_pictures.json"
TORCH = json.loads(FILE.read_text())
X, ROWS = np.array(TORCH["x"]), np.array(TORCH["rows"])


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
}
each_layer = pytest.mark.parametrize("name", LAYERS)


def network(**options: Any) -> tn.Network:
    """Pictures (N, 1, 7, 6) to three logits, through every layer for pictures.

    A Tanh stands in front of each BatchNorm, which takes the mean away: a bias right in front has no gradient.
    """
    return tn.Network(
        tn.Conv2D(1, 4, 3, padding=1),
        tn.Tanh(),
        tn.BatchNorm(4),
        tn.MaxPool2D(2),
        tn.Residual(tn.Conv2D(4, 6, 3, 2, 1), tn.Tanh(), shortcut=tn.Conv2D(4, 6, 1, 2)),
        tn.Tanh(),
        tn.BatchNorm(6, momentum=0.5),
        tn.AveragePool2D(2),
        tn.GlobalAveragePool(),
        tn.Dropout(0.25),
        tn.LayerNorm(6),
        tn.Dense(6, 3),
        **options,
    )


def examples(N: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Pictures with a bright row, and which of three it is."""
    draw, labels = np.random.default_rng(3), np.arange(N) % 3
    x = draw.uniform(size=(N, 1, 7, 6)).astype("float32")
    x[np.arange(N), 0, 2 * labels] += 1
    return x, labels


def train(optimizer: tn.Optimizer, epochs: int) -> None:
    tn.fit(optimizer.network, optimizer, *examples(), epochs=epochs, batch_size=8)


# --------------------------------------------------------------------------------------------- gradients


def passes(report: tn.GradientReport) -> None:
    assert report
    assert report.worst.error < 1e-7
    assert not report.skipped


@each_layer
def test_a_layer_passes_the_gradient_check(name):
    layer, x = LAYERS[name]
    passes(tn.gradient_check_layer(layer, x, full=True))


@each_layer
def test_a_layer_passes_the_gradient_check_inside_a_network(name):
    layer, x = LAYERS[name]
    first = tn.Conv2D(x.shape[1], x.shape[1], 1) if x.ndim == 4 else tn.Dense(4, 4)
    row = tn.Network(layer.copy()).output_shape(x.shape[1:])
    net = tn.Network(first, tn.Tanh(), layer.copy(), tn.Tanh(), tn.Flatten(), tn.Dense(int(np.prod(row)), 3))
    passes(tn.gradient_check(net, x, np.arange(len(x)) % 3))


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


def test_the_fixture_is_what_its_script_makes():
    pytest.importorskip("torch", reason="the fixture is compared with PyTorch's numbers of today only where it is")
    from fixtures.make_torch_pictures import fixture
    from test_parity import leaves

    made = leaves(json.loads(json.dumps(fixture())))
    assert FILE.stat().st_size < 100_000
    assert made.keys() == leaves(TORCH).keys()
    for name, numbers in made.items():
        agree(numbers, leaves(TORCH)[name])


# --------------------------------------------------------------------------------------------- as every layer


@each_layer
def test_no_row_depends_on_the_others_outside_training(name):
    layer, x = LAYERS[name]
    net = tn.Network(layer.copy(), dtype="float64")
    x = np.concatenate([x, 3 * x + 1])
    net.forward(x, train=True)
    alone = np.concatenate([net.forward(row[None]) for row in x])
    np.testing.assert_allclose(net.forward(x), alone, rtol=1e-12, atol=1e-14)


def test_batch_norm_depends_on_the_batch_in_training_and_layer_norm_does_not():
    batch, layer = tn.Network(tn.BatchNorm(4), dtype="float64"), tn.Network(tn.LayerNorm(4), dtype="float64")
    assert not np.allclose(batch.forward(ROWS, train=True)[:2], batch.forward(ROWS[:2], train=True))
    agree(layer.forward(ROWS, train=True)[:2], layer.forward(ROWS[:2], train=True))


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
    with pytest.raises(RuntimeError, match=r"\.backward needs what forward\(x, train=True\) keeps"):
        net.backward(net.forward(x), need_dx=True)
    net.forward(x, train=True)
    y = net.forward(x)
    with pytest.raises(RuntimeError, match=r"\.backward needs what forward\(x, train=True\) keeps"):
        net.backward(y, need_dx=True)
    parts = [net[0], *net[0].children()]
    assert [part.memory for part in parts if part.memory is not None] == []
    net.forward(x, train=True)
    net[0].forward(x)
    assert [part.memory for part in parts if part.memory is not None] == []


@each_layer
def test_backward_writes_every_number_of_grad(name):
    layer, x = LAYERS[name]
    net, x = tn.Network(layer.copy()), x.astype("float32")
    y = net.forward(x, train=True)
    for need_dx in (False, True):
        net.grad[...] = np.nan
        net.backward(np.ones_like(y), need_dx=need_dx)
        assert np.isfinite(net.grad).all()


@each_layer
def test_repr_and_config_make_the_layer_again(name):
    layer = LAYERS[name][0]
    if not layer.children():
        again = type(layer)(**json.loads(json.dumps(layer.config())))
        assert (repr(again), again.config()) == (repr(layer), layer.config())


def saved(net: tn.Network, optimizer: tn.Optimizer, folder: Path) -> tuple[tn.Network, tn.Optimizer]:
    tn.save(net, folder / "net.npz", optimizer)
    return tn.resume(folder / "net.npz")


LIVES: dict[str, Callable[..., tuple[tn.Network, tn.Optimizer]]] = {
    "saved and resumed": saved,
    "pickled": lambda net, optimizer, folder: pickle.loads(pickle.dumps((net, optimizer))),
    "copied": lambda net, optimizer, folder: copy.deepcopy((net, optimizer)),
}


@pytest.mark.parametrize("live", LIVES.values(), ids=LIVES)
def test_training_goes_on_exactly(live, tmp_path):
    net, whole = network(seed=4), network(seed=4)
    optimizer = tn.Adam(net, lr=0.01)
    train(optimizer, 2)
    twin, its = live(net, optimizer, tmp_path)
    assert state(twin) == state(net)
    assert tn.outputs(twin, examples()[0]).tobytes() == tn.outputs(net, examples()[0]).tobytes()
    train(its, 1)
    train(tn.Adam(whole, lr=0.01), 3)
    assert state(twin) == state(whole) != state(net)


def test_parameters_and_running_statistics_are_saved_and_copied(tmp_path):
    net = network()
    train(tn.Adam(net), 1)
    tn.save(net, tmp_path / "net.npz")
    for twin in (tn.load(tmp_path / "net.npz"), net.copy()):
        assert state(twin) == state(net)
        assert not np.shares_memory(twin[2].mean, net[2].mean)
    assert net[2].mean.any()


def test_they_learn():
    net = network()
    train(tn.Adam(net, lr=0.02), 25)
    assert tn.evaluate(net, *examples()).accuracy == 1


def test_frozen_layers_stay_as_they_are_and_pass_the_gradient_on():
    net = network()
    net[0].trainable = net[4].trainable = net[6].trainable = False
    frozen = [net[0].W.copy(), net[4].layers[0].W.copy(), net[6].gamma.copy(), net[6].beta.copy()]
    before = net[2].gamma.copy()
    train(tn.Adam(net, lr=0.01), 1)
    for value, kept in zip((net[0].W, net[4].layers[0].W, net[6].gamma, net[6].beta), frozen, strict=True):
        assert np.array_equal(value, kept)
    assert not np.array_equal(net[2].gamma, before)


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


def test_first_weights_have_the_variance_of_their_rule():
    W = tn.Network(tn.Conv2D(20, 40, 5), dtype="float64")[0].W
    assert W.var() == pytest.approx(2 / (20 * 25), rel=0.03)
    W = tn.Network(tn.Conv2D(20, 40, 5, init="glorot_uniform"), dtype="float64")[0].W
    assert W.var() == pytest.approx(2 / (60 * 25), rel=0.03)


# ---------------------------------------------------------------------------------------------------- errors

PADDED = (
    "Conv2D(1, 2, 5, 1, 1) takes pictures of at least 5 x 5, but gets (N, 1, 2, 9) with 1 zeros on each side; "
    "a size of up to 4 x 4 fits"
)
CONV, POOL = "Conv2D(1, 8, 3, 1, 0) takes x (N, 1, rows, columns), but gets", "MaxPool2D(2) takes"
MISFITS = {
    "no channel": (tn.Conv2D(1, 8, 3), (28, 28), f"{CONV} (N, 28, 28); x[:, None] gives each picture one channel"),
    "channels last": (
        tn.Conv2D(1, 8, 3),
        (28, 28, 1),
        f"{CONV} (N, 28, 28, 1); channels come first: x.transpose(0, 3, 1, 2)",
    ),
    "rows": (tn.Conv2D(1, 8, 3), (784,), f"{CONV} (N, 784); x.reshape(-1, 1, 28, 28) makes pictures of rows"),
    "rows of three channels": (
        tn.Conv2D(3, 8, 3),
        (48,),
        "Conv2D(3, 8, 3, 1, 0) takes x (N, 3, rows, columns), but gets (N, 48); "
        "x.reshape(-1, 3, 4, 4) makes pictures of rows",
    ),
    "rows that are no square": (tn.Conv2D(1, 8, 3), (783,), f"{CONV} (N, 783)"),
    "other channels": (tn.Conv2D(1, 8, 3), (2, 9, 9), f"{CONV} (N, 2, 9, 9)"),
    "kernel too large": (
        tn.Conv2D(1, 2, 5),
        (1, 4, 9),
        "Conv2D(1, 2, 5, 1, 0) takes pictures of at least 5 x 5, but gets (N, 1, 4, 9); a size of up to 4 x 4 fits",
    ),
    "kernel too large for the zeros": (tn.Conv2D(1, 2, 5, padding=1), (1, 2, 9), PADDED),
    "patch too large": (
        tn.MaxPool2D(2),
        (3, 1, 4),
        f"{POOL} pictures of at least 2 x 2, but gets (N, 3, 1, 4); a size of up to 1 x 1 fits",
    ),
    "pool of rows": (
        tn.MaxPool2D(2),
        (5,),
        f"{POOL} x (N, C, rows, columns), but gets (N, 5)",
    ),
    "pool of rows that are squares": (
        tn.MaxPool2D(2),
        (784,),
        f"{POOL} x (N, C, rows, columns), but gets (N, 784); x.reshape(-1, 1, 28, 28) makes pictures of rows",
    ),
    "no pixels": (
        tn.GlobalAveragePool(),
        (3, 0, 4),
        "GlobalAveragePool() takes pictures of at least 1 x 1, but gets (N, 3, 0, 4); a size of up to 0 x 0 fits",
    ),
    "pool without a channel": (
        tn.AveragePool2D(2),
        (4, 4),
        "AveragePool2D(2) takes x (N, C, rows, columns), but gets (N, 4, 4); x[:, None] gives each picture one channel",
    ),
    "global pool of rows": (
        tn.GlobalAveragePool(),
        (5,),
        "GlobalAveragePool() takes x (N, C, rows, columns), but gets (N, 5)",
    ),
    "batch norm": (
        tn.BatchNorm(3),
        (4, 5, 5),
        "BatchNorm(3) takes x (N, 3) or (N, 3, rows, columns), but gets (N, 4, 5, 5)",
    ),
    "batch norm of lines": (
        tn.BatchNorm(3),
        (3, 5),
        "BatchNorm(3) takes x (N, 3) or (N, 3, rows, columns), but gets (N, 3, 5)",
    ),
    "layer norm": (
        tn.LayerNorm(3),
        (3, 5, 5),
        "LayerNorm(3) takes x (N, 3), but gets (N, 3, 5, 5); a Flatten() in front of it makes rows",
    ),
    "residual": (
        tn.Residual(tn.Conv2D(1, 3, 3)),
        (1, 8, 8),
        "Residual(Conv2D(1, 3, 3, 1, 0)) adds (N, 3, 6, 6) to (N, 1, 8, 8); "
        "it takes padding that keeps the size of pictures, or a shortcut that gives the shape of its layers",
    ),
    "residual of more channels": (
        tn.Residual(tn.Conv2D(1, 3, 3, padding=1)),
        (1, 8, 7),
        "Residual(Conv2D(1, 3, 3, 1, 1)) adds (N, 3, 8, 7) to (N, 1, 8, 7); "
        "it takes a shortcut, as shortcut=Conv2D(1, 3, 1, stride=1), that gives the shape of its layers",
    ),
    "residual of strides": (
        tn.Residual(tn.Conv2D(1, 3, 3, 3, 1)),
        (1, 10, 8),
        "Residual(Conv2D(1, 3, 3, 3, 1)) adds (N, 3, 4, 3) to (N, 1, 10, 8); "
        "it takes a shortcut, as shortcut=Conv2D(1, 3, 1, stride=3), that gives the shape of its layers",
    ),
    "residual of two kinds": (
        tn.Residual(tn.GlobalAveragePool()),
        (3, 8, 8),
        "Residual(GlobalAveragePool()) adds (N, 3) to (N, 3, 8, 8); "
        "it takes a shortcut that gives the shape of its layers",
    ),
    "shortcut": (
        tn.Residual(tn.Conv2D(1, 3, 3, 2, 1), shortcut=tn.Conv2D(1, 3, 1)),
        (1, 8, 8),
        "Residual(Conv2D(1, 3, 3, 2, 1), shortcut=Conv2D(1, 3, 1, 1, 0)) adds (N, 3, 4, 4) to (N, 3, 8, 8); "
        "it takes another shortcut that gives the shape of its layers",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_refused_by_shape_and_by_array(name):
    layer, row, message = MISFITS[name]
    net = tn.Network(layer.copy())
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        net.output_shape(row)
    of_arrays = message.replace("adds (N, ", "adds (2, ").replace("to (N, ", "to (2, ")
    with pytest.raises(ValueError, match=f"^{re.escape(of_arrays)}$"):
        net.forward(np.zeros((2, *row), "float32"), train=True)


@pytest.mark.parametrize("name", ["residual of more channels", "residual of strides"])
def test_the_shortcut_that_a_message_names_fits(name):
    block, row, message = MISFITS[name]
    shortcut = eval(f"tn.{message.split('shortcut=')[1].split('), that')[0]})")
    mended = tn.Network(tn.Residual(*(layer.copy() for layer in block.layers), shortcut=shortcut))
    assert mended.output_shape(row) == tn.Network(block.layers[0].copy()).output_shape(row)


@pytest.mark.parametrize("name", ["no channel", "channels last", "rows", "kernel too large"])
def test_fit_and_predict_refuse_it_before_any_work(name):
    _, row, message = MISFITS[name]
    layer = tn.Conv2D(1, 8, 3) if name != "kernel too large" else tn.Conv2D(1, 2, 5)
    net = tn.Network(layer, tn.GlobalAveragePool())
    before = state(net)
    x = np.zeros((4, *row), "float32")
    cause = re.escape(f"the network cannot take x {x.shape}: {message}")
    with pytest.raises(ValueError, match=cause):
        tn.fit(net, tn.SGD(net, lr=0.1), x, np.zeros(4, int), epochs=1)
    with pytest.raises(ValueError, match=cause):
        tn.predict(net, x)
    assert state(net) == before


def test_batch_norm_refuses_a_batch_of_one_row_in_training():
    net = tn.Network(tn.BatchNorm(4), tn.Dense(4, 3))
    kept = state(net)
    cause = re.escape(
        "BatchNorm(4) takes, in training, two numbers or more of each feature, but gets a batch of one row; "
        "another batch_size, or a row more or less, leaves no batch of one"
    )
    with pytest.raises(ValueError, match=cause):
        net.forward(np.ones((1, 4), "float32"), train=True)
    assert state(net) == kept
    net.forward(np.ones((1, 4), "float32"))
    with pytest.raises(ValueError, match=cause):
        tn.fit(net, tn.SGD(net, lr=0.1), np.ones((9, 4)), np.zeros(9, int), epochs=1, batch_size=4)


WHOLE = "Conv2D takes whole numbers of at least 1, and padding of at least 0; got"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tn.Conv2D(0, 3, 3), f"{WHOLE} 0, 3, 3, 1, 0"),
        (lambda: tn.Conv2D(1, 3, 3.0), f"{WHOLE} 1, 3, 3.0, 1, 0"),
        (lambda: tn.Conv2D(1, 3, (3, 3)), f"{WHOLE} 1, 3, (3, 3), 1, 0"),
        (lambda: tn.Conv2D(1, 3, 3, 0), f"{WHOLE} 1, 3, 3, 0, 0"),
        (lambda: tn.Conv2D(1, 3, 3, 1, -1), f"{WHOLE} 1, 3, 3, 1, -1"),
        (lambda: tn.Conv2D(1, 3, 3, padding="same"), f"{WHOLE} 1, 3, 3, 1, 'same'"),
        (
            lambda: tn.Conv2D(1, 3, 3, init="he"),
            "Conv2D takes init = glorot_uniform, glorot_normal, he_uniform, he_normal, zeros; got 'he'",
        ),
        (lambda: tn.MaxPool2D(0), "MaxPool2D takes a whole number of at least 1; got 0"),
        (lambda: tn.MaxPool2D((2, 2)), "MaxPool2D takes a whole number of at least 1; got (2, 2)"),
        (lambda: tn.AveragePool2D(1.5), "AveragePool2D takes a whole number of at least 1; got 1.5"),
        (
            lambda: tn.BatchNorm(0),
            "BatchNorm takes a whole number of features of at least 1, and eps above 0; got 0, 1e-05",
        ),
        (
            lambda: tn.BatchNorm(4, eps=0),
            "BatchNorm takes a whole number of features of at least 1, and eps above 0; got 4, 0",
        ),
        (lambda: tn.BatchNorm(4, 0), "BatchNorm takes a momentum above 0 and up to 1; got 0"),
        (lambda: tn.BatchNorm(4, 1.1), "BatchNorm takes a momentum above 0 and up to 1; got 1.1"),
        (
            lambda: tn.LayerNorm(2.5),
            "LayerNorm takes a whole number of features of at least 1, and eps above 0; got 2.5, 1e-05",
        ),
        (
            lambda: tn.LayerNorm(4, float("nan")),
            "LayerNorm takes a whole number of features of at least 1, and eps above 0; got 4, nan",
        ),
    ],
)
def test_a_constructor_says_what_it_takes(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (tn.Conv2D(1, 8, 3), "Conv2D(1, 8, 3, 1, 0)"),
        (tn.Conv2D(np.int64(1), 8, 3, 2, np.uint8(1)), "Conv2D(1, 8, 3, 2, 1)"),
        (tn.Conv2D(1, 8, 3, init="zeros"), "Conv2D(1, 8, 3, 1, 0, zeros)"),
        (tn.MaxPool2D(2), "MaxPool2D(2)"),
        (tn.AveragePool2D(np.int32(3)), "AveragePool2D(3)"),
        (tn.GlobalAveragePool(), "GlobalAveragePool()"),
        (tn.BatchNorm(4), "BatchNorm(4)"),
        (tn.BatchNorm(4, 0.25), "BatchNorm(4, 0.25, 1e-05)"),
        (tn.BatchNorm(4, eps=np.float32(0.5)), "BatchNorm(4, 0.1, 0.5)"),
        (tn.LayerNorm(4), "LayerNorm(4)"),
        (tn.LayerNorm(4, 0.25), "LayerNorm(4, 0.25)"),
    ],
)
def test_repr_and_config_give_the_constructors_arguments(layer, text):
    config = json.loads(json.dumps(layer.config()))
    assert repr(layer) == text
    assert repr(type(layer)(**config)) == text


def test_a_block_of_pictures_that_ends_in_rows_is_taken():
    inside = [tn.Conv2D(2, 4, 3), tn.GlobalAveragePool(), tn.Dense(4, 2)]
    net = tn.Network(tn.Residual(*inside, shortcut=tn.GlobalAveragePool()))
    assert net.output_shape((2, 5, 5)) == (2,)
    passes(tn.gradient_check_layer(net[0], pictures(3, 2, 5, 5)))


def test_a_summary_says_shapes_and_multiplications():
    lines = network().summary((1, 7, 6)).splitlines()
    assert [line.split("  ")[0] for line in lines[2:5:2]] == ["Conv2D(1, 4, 3, 1, 1)", "BatchNorm(4)"]
    assert re.split("  +", lines[2])[1:] == ["(N, 4, 7, 6)", "40", "160", "1,512", "0"]
    assert re.split("  +", lines[4])[1:] == ["(N, 4, 7, 6)", "8", "32", "0", "8"]
    assert re.split("  +", lines[5])[1:] == ["(N, 4, 3, 3)", "0", "0", "0", "0"]


def test_a_summary_without_a_picture_says_what_it_does_not_know():
    shapes = [line.split("(N, ")[1].split(")")[0] for line in network().summary().splitlines() if "(N, " in line]
    assert shapes == ["?"] * (len(shapes) - 1) + ["3"]
    remark = "?: no layer determines the input shape; pass it, such as summary((1, 28, 28)), to see all shapes"
    assert network().summary().endswith(f"\n{remark}")
    assert tn.Conv2D(1, 4, 3).multiply_adds(None) == 0
    assert remark not in network().summary((1, 7, 6))
    assert remark not in tn.mlp(4, [3], 2).summary()


def test_a_summary_of_a_picture_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=re.escape("gets (N, 7, 6); x[:, None] gives each picture one channel")):
        network().summary((7, 6))
