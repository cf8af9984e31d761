"""losses.py: values by hand, gradients, soft targets, and what a loss refuses."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import tinynet as tn

LOSSES = [tn.SoftmaxCrossEntropy, tn.CrossEntropy, tn.MeanSquaredError]
over_losses = pytest.mark.parametrize("kind", LOSSES)

P = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
HARD = np.array([[1.0, 0, 0], [0, 1, 0]])
SOFT = np.array([[0.5, 0.5, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("loss", "z", "t", "value"),
    [
        (tn.SoftmaxCrossEntropy(), np.log(P), HARD, (math.log(2) + math.log(10)) / 2),
        (tn.SoftmaxCrossEntropy(), np.log(P) + 5, HARD, (math.log(2) + math.log(10)) / 2),
        (tn.SoftmaxCrossEntropy(), np.log(P), SOFT, (1.5 * math.log(2) - math.log(0.8)) / 2),
        (tn.CrossEntropy(), P, HARD, (math.log(2) + math.log(10)) / 2),
        (tn.CrossEntropy(), P, SOFT, (1.5 * math.log(2) - math.log(0.8)) / 2),
        (tn.MeanSquaredError(), P, HARD, (0.25 + 2 * 0.0625 + 0.01 + 0.81 + 0.64) / 6),
    ],
)
def test_a_loss_by_hand(loss, z, t, value):
    assert loss.forward(z, t) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    ("loss", "z", "t", "gradient"),
    [
        (tn.SoftmaxCrossEntropy(), np.log(P), HARD, [[-0.25, 0.125, 0.125], [0.05, -0.45, 0.4]]),
        (tn.SoftmaxCrossEntropy(), np.log(P), SOFT, [[0, -0.125, 0.125], [0.05, 0.05, -0.1]]),
        (tn.CrossEntropy(), P, HARD, [[-1, 0, 0], [0, -5, 0]]),
        (tn.CrossEntropy(), P, SOFT, [[-0.5, -1, 0], [0, 0, -0.625]]),
        (tn.MeanSquaredError(), P, HARD, [[-1 / 6, 1 / 12, 1 / 12], [1 / 30, -0.3, 0.8 / 3]]),
    ],
)
def test_its_gradient_by_hand(loss, z, t, gradient):
    loss.forward(z, t)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-14, atol=1e-16)


@over_losses
@pytest.mark.parametrize("t", [HARD, SOFT], ids=["one-hot", "soft"])
def test_a_loss_passes_the_gradient_check(kind, t):
    assert tn.gradient_check_loss(kind(), P, t)


def test_the_softmax_of_exact_targets_is_a_minimum():
    loss = tn.SoftmaxCrossEntropy()
    loss.forward(np.log(P), P)
    np.testing.assert_allclose(loss.backward(), 0, atol=1e-16)


def test_layer_and_loss_apart_agree_with_the_two_in_one(draw):
    x, t = draw.normal(size=(6, 4)), SOFT[[0, 1, 0, 1, 0, 1]]
    logits = tn.Network(tn.Dense(4, 3), dtype="float64", seed=2)
    probabilities = tn.Network(tn.Dense(4, 3), tn.Softmax(), dtype="float64", seed=2)
    losses = []
    for net, loss in ((logits, tn.SoftmaxCrossEntropy()), (probabilities, tn.CrossEntropy())):
        losses.append(loss.forward(net.forward(x, train=True), t))
        net.backward(loss.backward())
    assert losses[0] == pytest.approx(losses[1], rel=1e-14)
    np.testing.assert_allclose(logits.grad, probabilities.grad, rtol=1e-12, atol=1e-15)


@over_losses
def test_a_loss_is_a_mean_over_rows(kind):
    loss = kind()
    once, twice = loss.forward(P, SOFT), loss.forward(np.tile(P, (2, 1)), np.tile(SOFT, (2, 1)))
    assert twice == pytest.approx(once, rel=1e-15)


@over_losses
@pytest.mark.parametrize(
    ("z", "t"), [((4, 1), (4,)), ((4,), (4, 1)), ((4, 3), (4,)), ((4, 3), (1, 3)), ((4, 3), (4, 1))], ids=str
)
def test_targets_of_another_shape_are_refused_instead_of_broadcast(kind, z, t):
    message = f"{kind.__name__} takes targets of the shape {z}, got {t}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind().forward(np.ones(z), np.ones(t))


@over_losses
def test_backward_needs_a_forward(kind):
    with pytest.raises(RuntimeError, match=rf"{kind.__name__}.backward needs a forward\(z, t\) before it"):
        kind().backward()


@over_losses
def test_backward_is_of_the_last_forward(kind):
    loss, fresh = kind(), kind()
    loss.forward(P[::-1], HARD)
    loss.forward(P, SOFT)
    fresh.forward(P, SOFT)
    assert np.array_equal(loss.backward(), fresh.backward())


@over_losses
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_keeps_the_dtype(kind, dtype):
    loss = kind()
    assert loss.forward(P.astype(dtype), SOFT.astype(dtype)).dtype == dtype
    assert loss.backward().dtype == dtype


@over_losses
def test_float64_targets_do_not_promote_a_float32_network(kind):
    """np.eye(K)[labels] is float64, and a loop of one's own hands it over as it is."""
    loss = kind()
    assert loss.forward(P.astype("float32"), SOFT).dtype == "float32"
    assert loss.backward().dtype == "float32"


@over_losses
def test_a_loss_never_writes_into_what_it_was_given(kind):
    z, t = P.copy(), SOFT.copy()
    z.setflags(write=False)
    t.setflags(write=False)
    loss = kind()
    loss.forward(z, t)
    loss.backward()
    assert np.array_equal(z, P)
    assert np.array_equal(t, SOFT)


@pytest.mark.parametrize(("method", "arguments"), [("forward", (P, HARD)), ("backward", ())])
def test_a_loss_without_forward_or_backward_says_so(method, arguments):
    unfinished = type("Unfinished", (tn.Loss,), {})()
    with pytest.raises(NotImplementedError, match=rf"Unfinished defines no {method}\("):
        getattr(unfinished, method)(*arguments)


class Huber(tn.Loss):
    """L = 1/N sum of y^2 / 2 for |y - t| < 1, else |y - t| - 1/2: a loss of one's own."""

    classifies = False

    def forward(self, z, t):
        self.memory = d = z - t
        return np.where(abs(d) < 1, d**2 / 2, abs(d) - 0.5).sum() / len(z)

    def backward(self):
        d = self.recall()
        return np.clip(d, -1, 1) / len(d)


def test_a_loss_of_ones_own_is_checked_in_one_line_and_trains(draw):
    x = draw.normal(size=(32, 2))
    assert tn.gradient_check_loss(Huber(), 2 * x, np.zeros_like(x))
    net = tn.Network(tn.Dense(2, 1), dtype="float64")
    tn.fit(net, tn.SGD(net, lr=0.5), x, x @ [[2.0], [-1.0]], loss=Huber(), epochs=60)
    np.testing.assert_allclose(net[0].W, [[2], [-1]], atol=1e-6)


def test_a_faulty_loss_of_ones_own_is_caught():
    faulty = type("Faulty", (Huber,), {"backward": lambda self: np.sign(self.recall()) / 2})
    assert not tn.gradient_check_loss(faulty(), P, SOFT)
