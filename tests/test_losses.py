"""losses.py: values by hand, gradients, soft targets, what outputs mean, weights, and what a loss refuses."""

from __future__ import annotations

import math
from copy import copy
from functools import partial

import numpy as np
import pytest

import tinynet as tn
from tinynet.losses import Weighted, WeightedTargets

LOSSES = {
    "softmax": tn.SoftmaxCrossEntropy,
    "smoothed": partial(tn.SoftmaxCrossEntropy, label_smoothing=0.3),
    "binary": tn.BinaryCrossEntropy,
    "probabilities": tn.CrossEntropy,
    "squares": tn.MeanSquaredError,
    "huber": partial(tn.Huber, delta=0.3),
}
over_losses = pytest.mark.parametrize("kind", LOSSES.values(), ids=LOSSES)

P = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
HARD = np.array([[1.0, 0, 0], [0, 1, 0]])
SOFT = np.array([[0.5, 0.5, 0], [0, 0, 1]])
ODDS, CHANCES = np.log([[1 / 3], [4.0]]), np.array([[1.0], [0.5]])
"""Logits of the probabilities 1/4 and 4/5, and targets for them."""


@pytest.fixture(autouse=True)
def functions_of_the_backend(default_backend, monkeypatch):
    """Losses made or copied in a test compute with the functions of the backend that it runs on."""
    monkeypatch.setattr(tn.Loss, "ops", tn.mlp(1, [], 1).backend.ops)


def cut(kind, *arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays, or of each the one column that a binary loss takes."""
    return [array[:, :1] if kind is tn.BinaryCrossEntropy else array for array in arrays]


@pytest.mark.parametrize(
    ("loss", "z", "t", "value"),
    [
        (tn.SoftmaxCrossEntropy(), np.log(P), HARD, (math.log(2) + math.log(10)) / 2),
        (tn.SoftmaxCrossEntropy(), np.log(P) + 5, HARD, (math.log(2) + math.log(10)) / 2),
        (tn.SoftmaxCrossEntropy(), np.log(P), SOFT, (1.5 * math.log(2) - math.log(0.8)) / 2),
        (tn.CrossEntropy(), P, HARD, (math.log(2) + math.log(10)) / 2),
        (tn.CrossEntropy(), P, SOFT, (1.5 * math.log(2) - math.log(0.8)) / 2),
        (tn.MeanSquaredError(), P, HARD, (0.25 + 2 * 0.0625 + 0.01 + 0.81 + 0.64) / 6),
        (
            tn.SoftmaxCrossEntropy(label_smoothing=0.3),
            np.log(P),
            HARD,
            (1.2 * math.log(2) + 0.9 * math.log(10) - 0.1 * math.log(0.8)) / 2,
        ),
        (tn.BinaryCrossEntropy(), ODDS, CHANCES, (math.log(4) - 0.5 * math.log(0.8 * 0.2)) / 2),
        (tn.BinaryCrossEntropy(), np.array([[1e4], [-1e4]]), np.array([[0.0], [1.0]]), 1e4),
        (tn.BinaryCrossEntropy(), np.array([[1e4], [-1e4]]), np.array([[1.0], [0.0]]), 0),
        (tn.Huber(), P, HARD, (0.25 + 2 * 0.0625 + 0.01 + 0.81 + 0.64) / 12),
        (tn.Huber(delta=0.3), P, HARD, (0.105 + 2 * 0.03125 + 0.005 + 0.225 + 0.195) / 6),
    ],
)
def test_a_loss_by_hand(loss, z, t, value):
    assert copy(loss).forward(z, t) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    ("loss", "z", "t", "gradient"),
    [
        (tn.SoftmaxCrossEntropy(), np.log(P), HARD, [[-0.25, 0.125, 0.125], [0.05, -0.45, 0.4]]),
        (tn.SoftmaxCrossEntropy(), np.log(P), SOFT, [[0, -0.125, 0.125], [0.05, 0.05, -0.1]]),
        (tn.CrossEntropy(), P, HARD, [[-1, 0, 0], [0, -5, 0]]),
        (tn.CrossEntropy(), P, SOFT, [[-0.5, -1, 0], [0, 0, -0.625]]),
        (tn.MeanSquaredError(), P, HARD, [[-1 / 6, 1 / 12, 1 / 12], [1 / 30, -0.3, 0.8 / 3]]),
        (tn.SoftmaxCrossEntropy(label_smoothing=0.3), np.log(P), HARD, [[-0.15, 0.075, 0.075], [0, -0.35, 0.35]]),
        (tn.BinaryCrossEntropy(), ODDS, CHANCES, [[-0.375], [0.15]]),
        (tn.BinaryCrossEntropy(), np.array([[1e4], [-1e4]]), np.array([[0.0], [1.0]]), [[0.5], [-0.5]]),
        (tn.Huber(delta=0.3), P, HARD, [[-0.05, 1 / 24, 1 / 24], [1 / 60, -0.05, 0.05]]),
    ],
)
def test_its_gradient_by_hand(loss, z, t, gradient):
    loss = copy(loss)
    loss.forward(z, t)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-14, atol=1e-16)


@over_losses
@pytest.mark.parametrize("t", [HARD, SOFT], ids=["one-hot", "soft"])
def test_a_loss_passes_the_gradient_check(kind, t):
    assert tn.gradient_check_loss(kind(), *cut(kind, P, t), full=True)


@over_losses
def test_a_loss_is_a_mean_over_rows(kind):
    loss, (z, t) = kind(), cut(kind, P, SOFT)
    once, twice = loss.forward(z, t), loss.forward(np.tile(z, (2, 1)), np.tile(t, (2, 1)))
    assert twice == pytest.approx(once, rel=1e-15)


@over_losses
def test_backward_is_of_the_last_forward(kind):
    loss, fresh = kind(), kind()
    loss.forward(*cut(kind, P[::-1], HARD))
    loss.forward(*cut(kind, P, SOFT))
    fresh.forward(*cut(kind, P, SOFT))
    assert np.array_equal(loss.backward(), fresh.backward())


@over_losses
@pytest.mark.parametrize(
    ("dtype", "of_targets"), [("float32", "float32"), ("float32", "float64"), ("float64", "float64")]
)
def test_a_loss_keeps_the_dtype_of_the_network(kind, dtype, of_targets):
    loss = kind()
    assert loss.forward(*cut(kind, P.astype(dtype), SOFT.astype(of_targets))).dtype == dtype
    assert loss.backward().dtype == dtype


@over_losses
def test_a_loss_never_writes_into_what_it_was_given(kind):
    z, t = P.copy(), SOFT.copy()
    z.setflags(write=False)
    t.setflags(write=False)
    loss = kind()
    loss.forward(*cut(kind, z, t))
    loss.backward()
    assert np.array_equal(z, P)
    assert np.array_equal(t, SOFT)


@pytest.mark.parametrize(
    ("loss", "z", "meaning"),
    [
        (tn.SoftmaxCrossEntropy(), np.log(P) - 3, P),
        (tn.SoftmaxCrossEntropy(label_smoothing=0.5), np.log(P) - 3, P),
        (tn.BinaryCrossEntropy(), ODDS, [[0.25], [0.8]]),
        (tn.CrossEntropy(), P, P),
        (tn.MeanSquaredError(), 9 * P, 9 * P),
        (tn.Huber(), 9 * P, 9 * P),
    ],
)
def test_a_loss_says_what_outputs_mean(loss, z, meaning):
    np.testing.assert_allclose(copy(loss).predictions(z), meaning, rtol=1e-14)


def test_right_answers_are_counted():
    assert tn.SoftmaxCrossEntropy(label_smoothing=0.5).count_correct(P, HARD) == 1
    z, t = np.array([[0.1], [-0.1], [3], [-3]]), np.array([[1], [1], [0.6], [0.4]])
    assert tn.BinaryCrossEntropy().count_correct(z, t) == 3


# ------------------------------------------------------------------------------------------------- weights


@over_losses
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_weighted_loss_is_the_mean_of_weights_times_each_rows_own_loss(kind, dtype, draw):
    z, t = cut(kind, P.astype(dtype)[[0, 1, 1, 0]], SOFT.astype(dtype)[[0, 1, 0, 1]])
    weights = np.array([0, 2, 0.5, 3], dtype)
    own, gradients = [], []
    for row in range(4):
        alone = kind()
        own.append(alone.forward(z[row : row + 1], t[row : row + 1]))
        gradients.append(alone.backward()[0])
    weighted = Weighted(kind())
    loss = weighted.forward(z, WeightedTargets(t, weights[:, None]))
    tolerance = 1e-14 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(loss, weights @ own / 4, rtol=tolerance)
    np.testing.assert_allclose(weighted.backward(), weights[:, None] * gradients / 4, rtol=tolerance, atol=1e-17)
    assert loss.dtype == weighted.backward().dtype == dtype


@over_losses
def test_a_weighted_loss_knows_what_its_loss_knows(kind):
    loss, (z, t) = kind(), cut(kind, P, SOFT)
    weighted = Weighted(loss)
    assert (weighted.classifies, weighted.ops) == (loss.classifies, loss.ops)
    assert weighted.count_correct(z, WeightedTargets(t, np.array([[5], [6]]))) == loss.count_correct(z, t)
