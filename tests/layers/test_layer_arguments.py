"""Layers on NumPy alone: arguments, refusals, first weights, summaries, files, faulty layers."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_layers import Affine, state
from picture_networks import examples, network, train

import tinynet as tn
from tinynet.layers.initializers import INITIALIZERS

ROWS = np.random.default_rng(1).normal(size=(6, 4)).astype("float32")


@pytest.mark.parametrize("layer", [tn.Dense(2, 2), tn.ReLU(), tn.Softmax(), tn.Dropout(0.5)], ids=repr)
def test_a_layer_belongs_to_one_network(layer):
    layer = layer.copy()
    tn.Network(layer)
    with pytest.raises(ValueError, match=r"is part of a network already .* make a new layer"):
        tn.Network(layer)


def test_a_refused_network_leaves_its_layers_free():
    taken, free = tn.Dense(2, 2), tn.Dense(2, 2)
    tn.Network(taken)
    with pytest.raises(ValueError, match="part of a network already"):
        tn.Network(free, taken)
    tn.Network(free)


def test_values_that_a_copy_brought_are_kept_in_the_vectors_alone():
    layer = tn.Network(tn.Dense(4, 2).copy())[0]
    assert vars(tn.Network(layer.copy())[0]).keys() == vars(layer).keys()


def test_an_unbound_layer_says_that_it_is_part_of_no_network():
    with pytest.raises(AttributeError, match=r"Dense has no 'W'; it is part of no network yet: tn.Network\(layer\)"):
        _ = tn.Dense(2, 2).W


WHOLE = "Conv2D takes whole numbers of at least 1, and padding of at least 0; got"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tn.Dense(0, 3), "Dense takes two whole numbers of at least 1; got 0 and 3"),
        (lambda: tn.Dense(3, -1), "Dense takes two whole numbers of at least 1; got 3 and -1"),
        (lambda: tn.Dense(3, 2.0), "Dense takes two whole numbers of at least 1; got 3 and 2.0"),
        (lambda: tn.Dense("3", 2), "Dense takes two whole numbers of at least 1; got '3' and 2"),
        (
            lambda: tn.Dense(3, 2, init="xavier"),
            "Dense takes init = glorot_uniform, glorot_normal, he_uniform, he_normal, zeros; got 'xavier'",
        ),
        (lambda: tn.LeakyReLU(1), "LeakyReLU takes a slope of at least 0 and below 1; got 1"),
        (lambda: tn.LeakyReLU(-0.01), "LeakyReLU takes a slope of at least 0 and below 1; got -0.01"),
        (lambda: tn.LeakyReLU(float("nan")), "LeakyReLU takes a slope of at least 0 and below 1; got nan"),
        (lambda: tn.Dropout(1), "Dropout takes a rate of at least 0 and below 1; got 1"),
        (lambda: tn.Dropout(-0.1), "Dropout takes a rate of at least 0 and below 1; got -0.1"),
        (lambda: tn.Dropout(float("nan")), "Dropout takes a rate of at least 0 and below 1; got nan"),
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
        (lambda: tn.BatchNorm(4, ddof=2), "BatchNorm takes a ddof of 0 or 1; got 2"),
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
        (tn.Dense(3, 2), "Dense(3, 2)"),
        (tn.Dense(3, 2, "he_normal"), "Dense(3, 2, he_normal)"),
        (tn.ReLU(), "ReLU()"),
        (tn.Softmax(), "Softmax()"),
        (tn.LeakyReLU(), "LeakyReLU(0.01)"),
        (tn.LeakyReLU(0), "LeakyReLU(0.0)"),
        (tn.LeakyReLU(np.float32(0.25)), "LeakyReLU(0.25)"),
        (tn.Tanh(), "Tanh()"),
        (tn.Sigmoid(), "Sigmoid()"),
        (tn.GELU(), "GELU()"),
        (tn.Dropout(0.1), "Dropout(0.1)"),
        (tn.Dense(np.int64(3), np.uint8(2)), "Dense(3, 2)"),
        (tn.Dropout(np.float32(0.5)), "Dropout(0.5)"),
        (tn.Conv2D(1, 8, 3), "Conv2D(1, 8, 3, 1, 0)"),
        (tn.Conv2D(np.int64(1), 8, 3, 2, np.uint8(1)), "Conv2D(1, 8, 3, 2, 1)"),
        (tn.Conv2D(1, 8, 3, init="zeros"), "Conv2D(1, 8, 3, 1, 0, zeros)"),
        (tn.MaxPool2D(2), "MaxPool2D(2)"),
        (tn.AveragePool2D(np.int32(3)), "AveragePool2D(3)"),
        (tn.GlobalAveragePool(), "GlobalAveragePool()"),
        (tn.BatchNorm(4), "BatchNorm(4)"),
        (tn.BatchNorm(4, 0.25), "BatchNorm(4, 0.25, 1e-05)"),
        (tn.BatchNorm(4, ddof=0), "BatchNorm(4, 0.1, 1e-05, 0)"),
        (tn.BatchNorm(4, eps=np.float32(0.5)), "BatchNorm(4, 0.1, 0.5)"),
        (tn.LayerNorm(4), "LayerNorm(4)"),
        (tn.LayerNorm(4, 0.25), "LayerNorm(4, 0.25)"),
    ],
)
def test_repr_and_config_give_the_constructors_arguments(layer, text):
    config = json.loads(json.dumps(layer.config()))
    assert repr(layer) == text
    assert repr(type(layer)(**config)) == text


@pytest.mark.parametrize("shape", [(64, 10), (2, 64, 10), (784,)], ids=str)
def test_dense_refuses_another_width_by_name(shape):
    net = tn.Network(tn.Dense(784, 128))
    with pytest.raises(ValueError, match=re.escape(f"Dense(784, 128) takes x (N, 784), got {shape}") + "$"):
        net.forward(np.zeros(shape, "float32"))


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


DIN, DOUT = 300, 200
VARIANCES = {
    "glorot_uniform": 2 / (DIN + DOUT),
    "glorot_normal": 2 / (DIN + DOUT),
    "he_uniform": 2 / DIN,
    "he_normal": 2 / DIN,
    "zeros": 0,
}


@pytest.mark.parametrize("init", INITIALIZERS)
def test_first_weights_have_mean_zero_and_the_variance_of_their_rule(init):
    W = tn.Network(tn.Dense(DIN, DOUT, init), dtype="float64")[0].W
    assert W.mean() == pytest.approx(0, abs=5 * np.sqrt(VARIANCES[init] / W.size))
    assert W.var() == pytest.approx(VARIANCES[init], rel=0.03)


@pytest.mark.parametrize("init", ["glorot_uniform", "he_uniform"])
def test_uniform_weights_fill_their_bounds_and_stay_inside(init):
    W = tn.Network(tn.Dense(DIN, DOUT, init), dtype="float64")[0].W
    bound = np.sqrt(3 * VARIANCES[init])
    assert 0.999 * bound < abs(W).max() <= bound


@pytest.mark.parametrize("init", ["glorot_normal", "he_normal"])
def test_normal_weights_have_the_tails_of_a_normal(init):
    W = tn.Network(tn.Dense(DIN, DOUT, init), dtype="float64")[0].W
    assert (abs(W) > 2 * np.sqrt(VARIANCES[init])).mean() == pytest.approx(0.0455, abs=0.005)


@pytest.mark.parametrize("init", INITIALIZERS)
def test_biases_start_at_zero(init):
    assert not tn.Network(tn.Dense(30, 20, init))[0].b.any()


def test_layers_of_one_network_and_networks_of_other_seeds_start_apart():
    first, second = (layer.W.ravel() for layer in tn.Network(tn.Dense(100, 100), tn.Dense(100, 100), seed=0))
    other_seed = tn.Network(tn.Dense(100, 100), seed=1)[0].W.ravel()
    correlations = np.corrcoef([first, second, other_seed])
    np.testing.assert_allclose(correlations, np.eye(3), atol=5 / np.sqrt(first.size))


def test_the_same_seed_starts_the_same_in_both_dtypes():
    np.testing.assert_array_equal(tn.mlp(4, [5], 2).theta, tn.mlp(4, [5], 2, dtype="float64").theta.astype("float32"))


def test_first_weights_have_the_variance_of_their_rule():
    W = tn.Network(tn.Conv2D(20, 40, 5), dtype="float64")[0].W
    assert W.var() == pytest.approx(2 / (20 * 25), rel=0.03)
    W = tn.Network(tn.Conv2D(20, 40, 5, init="glorot_uniform"), dtype="float64")[0].W
    assert W.var() == pytest.approx(2 / (60 * 25), rel=0.03)


def test_parameters_that_are_not_drawn_start_at_zero():
    layer = tn.Network(Affine(3))[0]
    assert layer.scale.all()
    assert not layer.shift.any()


def writes(dscale: Callable, dshift: Callable = lambda dy: dy.sum(axis=0), dx: float = 1) -> Callable:
    def backward(self, dy):
        self.dscale[...], self.dshift[...] = dscale(dy, self.recall()), dshift(dy)
        return dx * dy * self.scale

    return backward


def rebinds(self, dy):
    self.dshift[...] = dy.sum(axis=0)
    self.dscale = (dy * self.recall()).sum(axis=0, keepdims=True)
    return dy * self.scale


def scale_gradient(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (dy * x).sum(axis=0)


@pytest.mark.parametrize(
    ("backward", "array", "hint"),
    [
        (rebinds, "scale", "not written"),
        (writes(lambda dy, x: -scale_gradient(dy, x)), "scale", "the sign is wrong"),
        (writes(lambda dy, x: scale_gradient(dy, x) / len(x)), "scale", "N = 6 times too small"),
        (writes(lambda dy, x: 6 * scale_gradient(dy, x)), "scale", "N = 6 times too large"),
        (writes(lambda dy, x: 0), "scale", "backward gives zero"),
        (writes(scale_gradient, lambda dy: 2 * dy.sum(axis=0)), "shift", "2 times too large"),
        (writes(scale_gradient, dx=0.5), "x", "2 times too small"),
    ],
    ids=["rebound", "sign", "mean", "sum of a mean", "zero", "twice", "half"],
)
def test_a_faulty_layer_of_ones_own_is_caught_with_the_right_hint(backward, array, hint):
    faulty = type("Affine", (Affine,), {"backward": backward})
    report = tn.gradient_check_layer(faulty(3), ROWS[:, :3])
    assert not report
    assert any(f"hint: {hint}" in line and array in line for line in repr(report).splitlines())


@pytest.mark.parametrize(
    "first",
    [{"Scale": np.ones((1, 3))}, {"scale": np.ones((3, 1))}, {"scale": np.ones((1, 4))}, {"scale": 1.0}],
    ids=["misspelled", "transposed", "too wide", "a number"],
)
def test_first_values_that_do_not_fit_the_shapes_are_refused_by_name(first):
    careless = type("Careless", (Affine,), {"initial": lambda self, draw: first})
    with pytest.raises(ValueError, match="Careless"):
        tn.Network(careless(3))


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_layer_without_forward_or_backward_says_so(method):
    unfinished = type("Unfinished", (tn.Layer,), {})()
    with pytest.raises(NotImplementedError, match=rf"Unfinished\(\) defines no {method}\(self, "):
        getattr(unfinished, method)(ROWS)


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
