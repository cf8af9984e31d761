"""layers.py: views that never break, what a layer remembers, dropout's masks, first weights, a layer of one's own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet.layers.initializers import INITIALIZERS


def network(**options) -> tn.Network:
    return tn.mlp(4, [5, 3], 2, dropout=[0.25, 0, 0.25], **options)


def rows(N: int = 6, D: int = 4, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).normal(size=(N, D)).astype(dtype)


def train_once(net: tn.Network, optimizer: tn.Optimizer | None = None) -> None:
    net.backward(net.forward(rows(), train=True))
    if optimizer:
        optimizer.step()


# ----------------------------------------------------------------------------------------------- views


def stepped(net: tn.Network, folder: Path) -> tn.Network:
    for optimizer in (tn.Adam(net, weight_decay=0.1), tn.SGD(net, momentum=0.9, nesterov=True)):
        train_once(net, optimizer)
    return net


def fitted(net: tn.Network, folder: Path) -> tn.Network:
    labels = np.arange(6) % 2
    tn.fit(net, tn.Adam(net), rows(), labels, epochs=2, validation=(rows(), labels), patience=1)
    return net


def loaded(net: tn.Network, folder: Path) -> tn.Network:
    tn.save(net, folder / "net.npz")
    return tn.load(folder / "net.npz")


def resumed(net: tn.Network, folder: Path) -> tn.Network:
    tn.save(net, folder / "net.npz", tn.Adam(net))
    return tn.resume(folder / "net.npz")[0]


LIVES = {
    "made": lambda net, folder: net,
    "stepped": stepped,
    "fitted": fitted,
    "copied": lambda net, folder: net.copy(),
    "loaded": loaded,
    "resumed": resumed,
}
after_any_life = pytest.mark.parametrize("live", LIVES.values(), ids=LIVES)


@after_any_life
def test_views_stay_windows(live, tmp_path):
    net = live(network(), tmp_path)
    for layer in net:
        for name in layer.shapes():
            assert np.shares_memory(getattr(layer, name), net.theta)
            assert np.shares_memory(getattr(layer, "d" + name), net.grad)


@after_any_life
def test_backward_writes_every_number_of_grad(live, tmp_path):
    net = live(network(), tmp_path)
    net.grad[...] = np.nan
    train_once(net)
    assert np.isfinite(net.grad).all()


@after_any_life
def test_an_optimizer_moves_the_weights_that_forward_uses(live, tmp_path):
    net = live(network(), tmp_path)
    before = net.forward(rows())
    train_once(net, tn.SGD(net, lr=0.1))
    assert not np.allclose(net.forward(rows()), before)


def test_backward_replaces_the_gradient_of_the_step_before():
    net = tn.Network(tn.Dense(4, 2))
    for _ in range(2):
        net.forward(rows(), train=True)
        net.backward(np.ones((6, 2), "float32"))
    assert net[0].db.tolist() == [[6, 6]]


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


# ------------------------------------------------------------------------------------------------ memory

CURVES = [tn.ReLU(), tn.LeakyReLU(0.25), tn.Tanh(), tn.Sigmoid(), tn.GELU()]
OF_ANY_ROWS = [tn.Dense(4, 4), *CURVES, tn.Softmax(), tn.Dropout(0.5)]
EACH_KIND = [*OF_ANY_ROWS, tn.BatchNorm(4), tn.LayerNorm(4)]
over_kinds = pytest.mark.parametrize("layer", EACH_KIND, ids=repr)


@over_kinds
def test_backward_needs_a_forward_in_training(layer):
    net = tn.Network(layer.copy())
    message = rf"{type(layer).__name__}\(.*\).backward needs what forward\(x, train=True\) keeps"
    with pytest.raises(RuntimeError, match=message):
        net.backward(rows(), need_dx=True)
    net.forward(rows(), train=True)
    net.forward(rows())
    with pytest.raises(RuntimeError, match=message):
        net.backward(rows(), need_dx=True)


@over_kinds
def test_inference_keeps_nothing(layer):
    net = tn.Network(layer.copy())
    net.forward(rows())
    assert net[0].memory is None


@pytest.mark.parametrize("layer", [*EACH_KIND, tn.Flatten(), tn.Residual(tn.ReLU())], ids=repr)
def test_a_layer_called_alone_is_not_in_training(layer):
    bound = tn.Network(layer.copy())[0]
    bound.forward(rows())
    assert [part.memory for part in (bound, *bound.children()) if part.memory is not None] == []


def test_values_that_a_copy_brought_are_kept_in_the_vectors_alone():
    layer = tn.Network(tn.Dense(4, 2).copy())[0]
    assert vars(tn.Network(layer.copy())[0]).keys() == vars(layer).keys()


@over_kinds
def test_a_layer_passes_the_gradient_check(layer):
    x = np.random.default_rng(2).uniform(0.2, 1, (5, 4)) * [1, -1, 3, -3]
    assert tn.gradient_check_layer(layer, x, full=True)


@over_kinds
def test_a_layer_passes_the_gradient_check_inside_a_network(layer):
    net = tn.Network(tn.Dense(4, 4), tn.Tanh(), layer.copy(), tn.Dense(4, 2))
    assert tn.gradient_check(net, rows(), np.arange(6) % 2)


@over_kinds
def test_a_layer_keeps_float32_and_what_it_is_given(layer):
    net, x, dy = tn.Network(layer.copy()), rows(), rows()[::-1]
    kept = x.copy(), dy.copy()
    assert net.forward(x, train=True).dtype == net.forward(x).dtype == "float32"
    net.forward(x, train=True)
    assert net.backward(dy, need_dx=True).dtype == "float32"
    assert np.array_equal(x, kept[0])
    assert np.array_equal(dy, kept[1])


FAR = {
    "ReLU": ([0, 0, 0, 1, 1e4], [0, 0, 0, 1, 1]),
    "LeakyReLU": ([-2500, -0.25, 0, 1, 1e4], [0.25, 0.25, 0.25, 1, 1]),
    "Tanh": ([-1, -np.tanh(1), 0, np.tanh(1), 1], [0, 1 / np.cosh(1) ** 2, 1, 1 / np.cosh(1) ** 2, 0]),
    "Sigmoid": ([0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1], [0, 0.19661193, 0.25, 0.19661193, 0]),
    "GELU": ([0, -0.15865525, 0, 0.84134475, 1e4], [0, -0.08331547, 0.5, 1.08331547, 1]),
}
"""y and dy/dx at -1e4, -1, 0, 1 and 1e4; a normal number is below 1 with the chance 0.84134475."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", CURVES, ids=repr)
def test_a_curve_near_and_far(layer, dtype):
    y, slope = FAR[type(layer).__name__]
    x, net = np.array([[-1e4, -1, 0, 1, 1e4]], dtype), tn.Network(layer.copy(), dtype=dtype)
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(net.forward(x, train=True), [y], rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(
            net.backward(np.full_like(x, 2), need_dx=True), [2 * np.array(slope)], rtol=1e-6, atol=1e-30
        )


@pytest.mark.parametrize("layer", OF_ANY_ROWS, ids=repr)
def test_a_layer_takes_pictures_as_it_takes_rows(layer):
    flat, deep = (tn.Network(layer.copy(), dtype="float64") for _ in range(2))
    x = rows(N=24, dtype="float64")
    y = deep.forward(x.reshape(6, 2, 2, 4), train=True)
    np.testing.assert_allclose(y.reshape(24, 4), flat.forward(x, train=True), rtol=1e-12, atol=1e-15)


def test_an_unbound_layer_says_that_it_is_part_of_no_network():
    with pytest.raises(AttributeError, match=r"Dense has no 'W'; it is part of no network yet: tn.Network\(layer\)"):
        _ = tn.Dense(2, 2).W


# ------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("shape", [(64, 10), (2, 64, 10), (784,)], ids=str)
def test_dense_refuses_another_width_by_name(shape):
    net = tn.Network(tn.Dense(784, 128))
    with pytest.raises(ValueError, match=re.escape(f"Dense(784, 128) takes x (N, 784), got {shape}") + "$"):
        net.forward(np.zeros(shape, "float32"))


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
    ],
)
def test_repr_and_config_give_the_constructors_arguments(layer, text):
    config = json.loads(json.dumps(layer.config()))
    assert repr(layer) == text
    assert repr(type(layer)(**config)) == text


# ------------------------------------------------------------------------------------------------ dropout


def mask(seed: int = 0, place: int = 0, counter: int = 0, rate: float = 0.5, shape: tuple = (40, 50)) -> np.ndarray:
    """What a Dropout at that place of a network does to ones."""
    net = tn.Network(*(tn.ReLU() for _ in range(place)), tn.Dropout(rate), seed=seed, dtype="float64")
    net[-1].counter = counter
    return net.forward(np.ones(shape), train=True)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_at_its_rate(rate):
    masks = np.stack([mask(counter=counter, rate=rate) for counter in range(50)])
    variance = rate / (1 - rate)
    assert masks.mean() == pytest.approx(1, abs=5 * np.sqrt(variance / masks.size))
    assert masks.var() == pytest.approx(variance, rel=0.03)


def test_dropout_of_rate_zero_changes_nothing():
    net = tn.Network(tn.Dropout(0))
    assert np.array_equal(net.forward(rows(), train=True), rows())
    assert np.array_equal(net.backward(rows(), need_dx=True), rows())


def test_dropout_is_the_identity_outside_training():
    net = tn.Network(tn.Dropout(0.9))
    assert np.array_equal(net.forward(rows()), rows())


def test_inference_does_not_move_dropout_on():
    disturbed, undisturbed = tn.Network(tn.Dropout(0.5)), tn.Network(tn.Dropout(0.5))
    disturbed.forward(rows())
    assert np.array_equal(disturbed.forward(rows(), train=True), undisturbed.forward(rows(), train=True))


def test_a_mask_is_a_function_of_seed_place_and_counter():
    assert np.array_equal(mask(seed=3, place=2, counter=5), mask(seed=3, place=2, counter=5))


@pytest.mark.parametrize("other", [{"seed": 1}, {"place": 1}, {"counter": 1}], ids=str)
def test_masks_of_another_seed_place_or_counter_are_unrelated(other):
    agreement = (mask() == mask(**other)).mean()
    assert agreement == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(mask().size))


def test_each_training_pass_uses_the_next_counter():
    net = tn.Network(tn.Dropout(0.5), dtype="float64")
    passes = [net.forward(np.ones((40, 50)), train=True) for _ in range(3)]
    for counter, y in enumerate(passes):
        assert np.array_equal(y, mask(counter=counter))
    assert net[0].counter == 3


def test_backward_drops_what_forward_dropped():
    net = tn.Network(tn.Dropout(0.5))
    ones = np.ones((20, 20), "float32")
    assert np.array_equal(net.forward(ones, train=True), net.backward(ones, need_dx=True))


@pytest.mark.parametrize("rate", [0.25, np.float64(0.25)], ids=type)
def test_dropout_keeps_float32_whatever_float_its_rate_is(rate):
    net = tn.Network(tn.Dropout(rate))
    assert net.forward(rows(), train=True).dtype == "float32"
    assert net.backward(rows(), need_dx=True).dtype == "float32"


# ------------------------------------------------------------------------------------------ first weights

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
    np.testing.assert_array_equal(network(seed=4).theta, network(seed=4, dtype="float64").theta.astype("float32"))


# --------------------------------------------------------------------------------------- a layer of one's own


class Affine(tn.Layer):
    """y = x scale + shift        a number of each for every feature"""

    def __init__(self, features: int) -> None:
        self.D = features

    def forward(self, x, train=False):
        self.memory = x if train else None
        return x * self.scale + self.shift

    def backward(self, dy):
        self.dscale[...] = (dy * self.recall()).sum(axis=-2, keepdims=True)
        self.dshift[...] = dy.sum(axis=-2, keepdims=True)
        return dy * self.scale

    def shapes(self):
        return {"scale": (1, self.D), "shift": (1, self.D)}

    def initial(self, draw):
        return {"scale": draw.uniform(0.5, 2, (1, self.D))}


def test_a_layer_of_ones_own_is_checked_in_one_line():
    assert tn.gradient_check_layer(Affine(3), rows(D=3))


def test_a_layer_of_ones_own_is_checked_inside_a_network():
    net = tn.Network(tn.Dense(4, 3), Affine(3), tn.ReLU(), Affine(3))
    assert tn.gradient_check(net, rows(), np.arange(6) % 3)


def test_a_layer_of_ones_own_trains(draw):
    x = draw.normal(size=(64, 2)).astype("float32")
    net = tn.Network(Affine(2))
    tn.fit(net, tn.SGD(net, lr=0.2), x, x * [3, -1] + [0.5, 2], loss=tn.MeanSquaredError(), epochs=50)
    np.testing.assert_allclose(net[0].scale, [[3, -1]], atol=1e-3)
    np.testing.assert_allclose(net[0].shift, [[0.5, 2]], atol=1e-3)


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
    report = tn.gradient_check_layer(faulty(3), rows(N=6, D=3))
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
        getattr(unfinished, method)(rows())
