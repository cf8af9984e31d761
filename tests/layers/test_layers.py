"""layers.py: views that never break, what a layer remembers, dropout's masks, first weights, a layer of one's own."""

from __future__ import annotations

import numpy as np
import pytest
from own_layers import Affine

import tinynet as tn


def rows(N: int = 6, D: int = 4, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).normal(size=(N, D)).astype(dtype)


# ----------------------------------------------------------------------------------------------- views


def test_backward_replaces_the_gradient_of_the_step_before():
    net = tn.Network(tn.Dense(4, 2))
    for _ in range(2):
        net.forward(rows(), train=True)
        net.backward(np.ones((6, 2), "float32"))
    assert net[0].db.tolist() == [[6, 6]]


# ------------------------------------------------------------------------------------------------ memory

CURVES = [tn.ReLU(), tn.LeakyReLU(0.25), tn.Tanh(), tn.Sigmoid(), tn.GELU()]


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


@pytest.mark.parametrize("layer", [tn.Dense(4, 4), *CURVES, tn.Softmax(), tn.Dropout(0.5)], ids=repr)
def test_a_layer_takes_pictures_as_it_takes_rows(layer):
    flat, deep = (tn.Network(layer.copy(), dtype="float64") for _ in range(2))
    x = rows(N=24, dtype="float64")
    y = deep.forward(x.reshape(6, 2, 2, 4), train=True)
    np.testing.assert_allclose(y.reshape(24, 4), flat.forward(x, train=True), rtol=1e-12, atol=1e-15)


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


def test_dropout_is_the_identity_outside_training():
    net = tn.Network(tn.Dropout(0.9))
    assert np.array_equal(net.forward(rows()), rows())


def test_inference_does_not_move_dropout_on():
    disturbed, undisturbed = tn.Network(tn.Dropout(0.5)), tn.Network(tn.Dropout(0.5))
    disturbed.forward(rows())
    assert np.array_equal(disturbed.forward(rows(), train=True), undisturbed.forward(rows(), train=True))


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


# --------------------------------------------------------------------------------------- a layer of one's own


def test_a_layer_of_ones_own_is_checked_inside_a_network():
    net = tn.Network(tn.Dense(4, 3), Affine(3), tn.ReLU(), Affine(3))
    assert tn.gradient_check(net, rows(), np.arange(6) % 3)


def test_a_layer_of_ones_own_trains(draw):
    x = draw.normal(size=(64, 2)).astype("float32")
    net = tn.Network(Affine(2))
    tn.fit(net, tn.SGD(net, lr=0.2), x, x * [3, -1] + [0.5, 2], loss=tn.MeanSquaredError(), epochs=50)
    np.testing.assert_allclose(net[0].scale, [[3, -1]], atol=1e-3)
    np.testing.assert_allclose(net[0].shift, [[0.5, 2]], atol=1e-3)


def test_dropout_of_rate_zero_changes_nothing():
    net = tn.Network(tn.Dropout(0.0), tn.Dense(4, 2))
    np.testing.assert_array_equal(net[0].forward(rows(), train=True), rows())


def test_a_part_of_a_batch_has_the_masks_of_its_rows_in_the_whole_batch():
    whole, part = (tn.Network(tn.Dropout(0.5), tn.Dense(4, 2), seed=3) for _ in range(2))
    part[0].first_row = 2
    np.testing.assert_array_equal(part[0].forward(rows()[2:], train=True), whole[0].forward(rows(), train=True)[2:])
