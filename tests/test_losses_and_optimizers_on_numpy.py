"""Losses, optimizers and schedules on NumPy alone: arguments, refusals, texts, schedules, and those of one's own."""

from __future__ import annotations

import json
import math
import pickle
import re

import numpy as np
import pytest
from test_losses import HARD, P, over_losses
from test_optim import moved, network

import tinynet as tn
from tinynet.losses import Weighted, WeightedTargets


def test_a_loss_computes_with_the_functions_of_its_backend():
    backend = tn.backend("numpy-fast")
    assert tn.MeanSquaredError().bind(backend).ops is backend.ops


class Huber(tn.Loss):
    """L = 1/N sum of y^2 / 2 for |y - t| < 1, else |y - t| - 1/2: a loss of one's own."""

    classifies = False

    def forward(self, z, t):
        self.memory = d = z - t
        return np.where(abs(d) < 1, d**2 / 2, abs(d) - 0.5).sum() / len(z)

    def backward(self):
        d = self.recall()
        return np.clip(d, -1, 1) / len(d)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *(
            (
                lambda amount=amount: tn.SoftmaxCrossEntropy(label_smoothing=amount),
                f"SoftmaxCrossEntropy takes label_smoothing of at least 0 and below 1; got {amount}",
            )
            for amount in (-0.1, 1, math.nan)
        ),
        *(
            (lambda delta=delta: tn.Huber(delta=delta), f"Huber takes delta above 0; got {delta}")
            for delta in (0, -1, math.nan)
        ),
    ],
)
def test_a_loss_says_what_it_takes(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (tn.SoftmaxCrossEntropy(), "SoftmaxCrossEntropy()"),
        (tn.SoftmaxCrossEntropy(label_smoothing=np.float32(0.25)), "SoftmaxCrossEntropy(label_smoothing=0.25)"),
        (tn.Huber(), "Huber(delta=1.0)"),
        (tn.Huber(delta=2), "Huber(delta=2.0)"),
        (tn.BinaryCrossEntropy(), "BinaryCrossEntropy()"),
    ],
)
def test_repr_and_config_give_the_constructors_arguments(loss, text):
    assert repr(loss) == text
    assert repr(type(loss)(**json.loads(json.dumps(loss.config())))) == text


def test_a_loss_that_sums_over_every_axis_cannot_be_weighted():
    with pytest.raises(ValueError, match=r"two axes, .* Huber\.forward makes \(\) of z \(2, 1, 3\), not \(2,\)$"):
        Weighted(Huber()).forward(P, WeightedTargets(HARD, np.array([[1], [2]])))


@pytest.mark.parametrize(("method", "arguments"), [("forward", (P, HARD)), ("backward", ())])
def test_a_loss_without_forward_or_backward_says_so(method, arguments):
    unfinished = type("Unfinished", (tn.Loss,), {})()
    with pytest.raises(NotImplementedError, match=rf"Unfinished defines no {method}\("):
        getattr(unfinished, method)(*arguments)


@over_losses
@pytest.mark.parametrize(
    ("z", "t"), [((4, 1), (4,)), ((4,), (4, 1)), ((4, 3), (4,)), ((4, 3), (1, 3)), ((4, 3), (4, 1))], ids=str
)
def test_targets_of_another_shape_are_refused_instead_of_broadcast(kind, z, t):
    message = f"{type(kind()).__name__} takes targets of the shape {z}, got {t}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind().forward(np.ones(z), np.ones(t))


@over_losses
def test_backward_needs_a_forward(kind):
    with pytest.raises(RuntimeError, match=rf"{type(kind()).__name__}.backward needs a forward\(z, t\) before it"):
        kind().backward()


def test_a_binary_loss_takes_one_logit_a_row():
    """With K of them L would be a mean over N K numbers, and its gradient one over N."""
    with pytest.raises(ValueError, match=r"^BinaryCrossEntropy takes one logit a row, z \(N, 1\); got \(2, 3\)$"):
        tn.BinaryCrossEntropy().forward(P, HARD)
    with pytest.raises(ValueError, match=r"one logit a row, z \(N, 1\); got \(2, 1, 3\)$"):
        Weighted(tn.BinaryCrossEntropy()).forward(P, WeightedTargets(HARD, np.array([[1], [2]])))


def test_a_loss_of_ones_own_is_checked_in_one_line_and_trains(draw):
    x = draw.normal(size=(32, 2))
    assert tn.gradient_check_loss(Huber(), 2 * x, np.zeros_like(x))
    net = tn.Network(tn.Dense(2, 1), dtype="float64")
    tn.fit(net, tn.SGD(net, lr=0.5), x, x @ [[2.0], [-1.0]], loss=Huber(), epochs=60)
    np.testing.assert_allclose(net[0].W, [[2], [-1]], atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (tn.SGD(network(), 0.5), "<SGD lr=0.5, weight_decay=0.0, momentum=0.0, nesterov=False: 1,234 steps taken>"),
        (
            tn.RMSProp(network(), tn.warm_up(tn.cosine(0.1, 60), 5), clip_norm=2),
            "<RMSProp lr=warm_up(cosine(0.1, 60, 0.0), 5), weight_decay=0.0, clip_norm=2, rho=0.9, eps=1e-08: "
            "1,234 steps taken>",
        ),
    ],
)
def test_an_optimizer_shows_its_settings_and_its_steps(optimizer, text):
    optimizer.step_count = 1234
    assert repr(optimizer) == text


@pytest.mark.parametrize(
    ("optimizer", "config"),
    [
        (tn.SGD(network()), {"lr": 0.01, "weight_decay": 0, "momentum": 0, "nesterov": False}),
        (tn.Adam(network()), {"lr": 0.001, "weight_decay": 0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
        (
            tn.Adam(network(), lr=0.1, beta1=0.5, beta2=0.6, eps=0.7, weight_decay=0.8),
            {"lr": 0.1, "beta1": 0.5, "beta2": 0.6, "eps": 0.7, "weight_decay": 0.8},
        ),
        (
            tn.SGD(network(), lr=0.1, momentum=0.5, nesterov=True, weight_decay=0.8),
            {"lr": 0.1, "momentum": 0.5, "nesterov": True, "weight_decay": 0.8},
        ),
        (tn.RMSProp(network()), {"lr": 0.001, "weight_decay": 0, "rho": 0.9, "eps": 1e-8}),
        (
            tn.RMSProp(network(), lr=0.1, rho=0.5, eps=0.7, weight_decay=0.8, clip_norm=0.9),
            {"lr": 0.1, "rho": 0.5, "eps": 0.7, "weight_decay": 0.8, "clip_norm": 0.9},
        ),
        (
            tn.AdamW(network(), beta2=0.6),
            {"lr": 0.001, "weight_decay": 0.01, "beta1": 0.9, "beta2": 0.6, "eps": 1e-8},
        ),
    ],
)
def test_config_is_the_constructors_arguments(optimizer, config):
    assert optimizer.config() == config


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (tn.SGD, {"lr": 0}, "SGD takes lr above 0 and finite, or a schedule; got 0"),
        (tn.Adam, {"lr": -1e-3}, "Adam takes lr above 0 and finite, or a schedule; got -0.001"),
        (tn.Adam, {"lr": math.nan}, "Adam takes lr above 0 and finite, or a schedule; got nan"),
        (tn.Adam, {"lr": math.inf}, "Adam takes lr above 0 and finite, or a schedule; got inf"),
        (tn.RMSProp, {"lr": "0.1"}, "RMSProp takes lr above 0 and finite, or a schedule; got '0.1'"),
        (tn.Adam, {"weight_decay": -0.1}, "Adam takes weight_decay of at least 0 and finite; got -0.1"),
        (tn.SGD, {"weight_decay": math.inf}, "SGD takes weight_decay of at least 0 and finite; got inf"),
        (tn.SGD, {"clip_norm": 0}, "SGD takes clip_norm above 0 and finite, or None; got 0"),
        (tn.RMSProp, {"clip_norm": math.nan}, "RMSProp takes clip_norm above 0 and finite, or None; got nan"),
        (tn.Adam, {"clip_norm": math.inf}, "Adam takes clip_norm above 0 and finite, or None; got inf"),
        (tn.RMSProp, {"rho": 1}, "RMSProp takes rho of at least 0 and below 1; got 1"),
        (tn.RMSProp, {"eps": 0}, "RMSProp takes eps above 0; got 0"),
        (tn.SGD, {"momentum": 1}, "SGD takes momentum of at least 0 and below 1; got 1"),
        (tn.SGD, {"momentum": -0.1}, "SGD takes momentum of at least 0 and below 1; got -0.1"),
        (tn.SGD, {"nesterov": True}, "SGD takes a momentum above 0 with nesterov; got 0.0"),
        (tn.Adam, {"beta1": 1}, "Adam takes beta1 and beta2 of at least 0 and below 1; got (1, 0.999)"),
        (tn.Adam, {"beta2": -1}, "Adam takes beta1 and beta2 of at least 0 and below 1; got (0.9, -1)"),
        (tn.Adam, {"beta2": 1}, "Adam takes beta1 and beta2 of at least 0 and below 1; got (0.9, 1)"),
        (tn.Adam, {"eps": 0}, "Adam takes eps above 0; got 0"),
    ],
)
def test_an_optimizer_says_what_it_takes(kind, arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind(network(), **arguments)


def test_an_optimizer_without_update_says_so():
    with pytest.raises(NotImplementedError, match=r"Optimizer defines no update\(self, lr\)"):
        tn.Optimizer(network(), lr=0.1).step()


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (tn.constant(0.3), {0: 0.3, 1000: 0.3}),
        (tn.step_decay(1.0, every=10), {0: 1, 9: 1, 10: 0.1, 19: 0.1, 20: 0.01}),
        (tn.step_decay(0.8, every=2, factor=0.5), {0: 0.8, 1: 0.8, 2: 0.4, 5: 0.2}),
        (tn.step_decay(0.8, every=1, factor=0.5), {0: 0.8, 1: 0.4, 2: 0.2}),
        (tn.cosine(0.2, steps=60), {0: 0.2, 20: 0.15, 30: 0.1, 40: 0.05, 60: 0, 1000: 0}),
        (tn.cosine(0.2, steps=60, floor=0.1), {0: 0.2, 30: 0.15, 60: 0.1, 1000: 0.1}),
        (tn.warm_up(tn.constant(0.4), steps=4), {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.4}),
        (tn.warm_up(tn.step_decay(0.4, every=2), steps=4), {0: 0.1, 1: 0.2, 2: 0.03, 3: 0.04, 4: 0.004}),
    ],
    ids=[
        "constant",
        "step_decay",
        "halving",
        "every step",
        "cosine",
        "cosine to a floor",
        "warm_up",
        "warm_up of step_decay",
    ],
)
def test_a_schedule_at_named_points(schedule, values):
    assert {t: schedule(t) for t in values} == pytest.approx(values, abs=1e-15)


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (tn.constant(0.3), "constant(0.3)"),
        (tn.step_decay(1.0, every=10), "step_decay(1.0, 10, 0.1)"),
        (tn.warm_up(tn.cosine(0.2, steps=60, floor=0.1), steps=4), "warm_up(cosine(0.2, 60, 0.1), 4)"),
    ],
)
def test_a_schedule_shows_how_it_was_made_and_travels(schedule, text):
    twin = pickle.loads(pickle.dumps(schedule))
    assert repr(schedule) == repr(twin) == text
    assert [twin(t) for t in range(80)] == [schedule(t) for t in range(80)]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: tn.cosine(0.1, 0), ValueError, "cosine takes at least 1 step; got 0"),
        (lambda: tn.cosine(0.1, math.nan), ValueError, "cosine takes at least 1 step; got nan"),
        (lambda: tn.step_decay(0.1, 0), ValueError, "step_decay takes at least 1 step; got 0"),
        (lambda: tn.warm_up(tn.constant(0.1), 0), ValueError, "warm_up takes at least 1 step; got 0"),
        (lambda: tn.warm_up(0.1, 5), TypeError, "warm_up takes a schedule, got 0.1; constant"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_at_once(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_rates_are_those_of_the_next_steps():
    optimizer = tn.SGD(network(), lr=tn.step_decay(0.8, every=1, factor=0.5))
    optimizer.step_count = 2
    assert optimizer.rates(3) == [0.2, 0.1, 0.05]


def test_an_optimizer_of_ones_own_needs_only_an_update():
    class SignDescent(tn.Optimizer):
        def update(self, lr):
            self.theta -= lr * np.sign(self.grad)

    assert moved(SignDescent(network(), lr=0.1), [(3, -1)]) == pytest.approx([0.4, -1.9])


def test_an_optimizer_computes_with_the_functions_of_its_networks_backend():
    net = tn.mlp(2, [], 2, backend="numpy-fast")
    assert tn.Adam(net).ops is net.backend.ops is not tn.functions
