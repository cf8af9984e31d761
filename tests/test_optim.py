"""optim.py: every rule against scalar arithmetic, the schedules at named points, and what an optimizer refuses."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable

import numpy as np
import pytest

import tinynet as tn

START = (0.5, -2.0)
GRADS = ((0.5, -0.1), (-0.2, 0.3), (0.4, 0.2), (0.1, -0.7), (0.3, 0.05))


def network(dtype: str = "float64") -> tn.Network:
    """Two parameters, at START."""
    net = tn.Network(tn.Dense(1, 1), dtype=dtype)
    net.theta[...] = START
    return net


def moved(optimizer: tn.Optimizer, grads=GRADS) -> np.ndarray:
    """theta after a step along each of the gradients."""
    for grad in grads:
        optimizer.grad[...] = grad
        optimizer.step()
    return optimizer.theta


def by_hand(rule: Callable[..., float]) -> list[float]:
    """What a rule of one number makes of each parameter."""
    return [rule(start, [grad[k] for grad in GRADS]) for k, start in enumerate(START)]


# ---------------------------------------------------------------------------------------- steps by hand


def test_adams_first_step_is_lr_whatever_the_gradients_size():
    theta = moved(tn.Adam(network(), lr=0.1, eps=1e-30), [(1e-6, -1e6)])
    assert theta == pytest.approx([0.5 - 0.1, -2 + 0.1], rel=1e-12)


# --------------------------------------------------------------------------- several steps, one number at a time


def adam(beta1: float, beta2: float, eps: float, decay: float, *, keras: bool = False):
    """Kingma and Ba's Algorithm 1, line by line, with lr 0.1; with `keras`, eps where tn.Adam does not have it."""

    def rule(theta: float, grads: list[float]) -> float:
        m = v = 0.0
        for t, g in enumerate(grads, start=1):
            theta = theta - 0.1 * decay * theta
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            correction1, correction2 = 1 - beta1**t, 1 - beta2**t
            if keras:
                theta = theta - 0.1 * math.sqrt(correction2) / correction1 * m / (math.sqrt(v) + eps)
            else:
                theta = theta - 0.1 * (m / correction1) / (math.sqrt(v / correction2) + eps)
        return theta

    return rule


def sgd(mu: float, nesterov: bool, decay: float):
    def rule(theta: float, grads: list[float]) -> float:
        v = 0.0
        for g in grads:
            theta = theta - 0.1 * decay * theta
            v = mu * v + g
            theta = theta - 0.1 * (g + mu * v) if nesterov else theta - 0.1 * v
        return theta

    return rule


def rmsprop(rho: float, eps: float, decay: float):
    """Hinton's rule with lr 0.1."""

    def rule(theta: float, grads: list[float]) -> float:
        v = 0.0
        for g in grads:
            theta = theta - 0.1 * decay * theta
            v = rho * v + (1 - rho) * g**2
            theta = theta - 0.1 * g / (math.sqrt(v) + eps)
        return theta

    return rule


@pytest.mark.parametrize("decay", [0, 0.3])
@pytest.mark.parametrize("eps", [1e-8, 0.05])
@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.5, 0.8), (0, 0.9), (0.5, 0)])
def test_adam(beta1, beta2, eps, decay):
    optimizer = tn.Adam(network(), lr=0.1, beta1=beta1, beta2=beta2, eps=eps, weight_decay=decay)
    np.testing.assert_allclose(moved(optimizer), by_hand(adam(beta1, beta2, eps, decay)), rtol=1e-13)


@pytest.mark.parametrize("decay", [0, 0.3])
@pytest.mark.parametrize(("mu", "nesterov"), [(0, False), (0.9, False), (0.9, True)])
def test_sgd(mu, nesterov, decay):
    optimizer = tn.SGD(network(), lr=0.1, momentum=mu, nesterov=nesterov, weight_decay=decay)
    np.testing.assert_allclose(moved(optimizer), by_hand(sgd(mu, nesterov, decay)), rtol=1e-13)


@pytest.mark.parametrize("decay", [0, 0.3])
@pytest.mark.parametrize(("rho", "eps"), [(0.9, 1e-8), (0.5, 0.05), (0, 0.1)])
def test_rmsprop(rho, eps, decay):
    optimizer = tn.RMSProp(network(), lr=0.1, rho=rho, eps=eps, weight_decay=decay)
    np.testing.assert_allclose(moved(optimizer), by_hand(rmsprop(rho, eps, decay)), rtol=1e-13)


def test_adamw_is_adam_with_a_decay_of_one_in_a_hundred():
    theta = moved(tn.AdamW(network(), lr=0.1, beta1=0.5, clip_norm=0.4))
    assert np.array_equal(theta, moved(tn.Adam(network(), lr=0.1, beta1=0.5, clip_norm=0.4, weight_decay=0.01)))
    np.testing.assert_allclose(moved(tn.AdamW(network(), 0.1, 0.3)), by_hand(adam(0.9, 0.999, 1e-8, 0.3)), rtol=1e-13)


def test_keras_epsilon_is_an_eps_of_epsilon_over_the_root_of_the_correction():
    """The remark in Adam's docstring; Keras adds its epsilon to sqrt(v), before the correction."""
    epsilon, optimizer = 0.01, tn.Adam(network(), lr=0.1)
    for t, grad in enumerate(GRADS, start=1):
        optimizer.eps = epsilon / math.sqrt(1 - 0.999**t)
        moved(optimizer, [grad])
    np.testing.assert_allclose(optimizer.theta, by_hand(adam(0.9, 0.999, epsilon, 0, keras=True)), rtol=1e-13)
    assert 1 / math.sqrt(1 - 0.999) == pytest.approx(32, abs=0.5)


# -------------------------------------------------------------------------------------------- lr and steps

EVERY = [tn.SGD, tn.Adam, tn.RMSProp]


@pytest.mark.parametrize("kind", EVERY)
def test_lr_can_be_a_schedule(kind):
    scheduled = kind(network(), lr=lambda t: [0.1, 0.01, 0.001][t])
    by_step = kind(network(), lr=0.1)
    for lr, grad in zip([0.1, 0.01, 0.001], GRADS, strict=False):
        by_step.lr = lr
        assert scheduled.rate == by_step.rate
        assert np.array_equal(moved(scheduled, [grad]), moved(by_step, [grad]))


@pytest.mark.parametrize("kind", EVERY)
def test_weight_decay_follows_the_schedule(kind):
    theta = moved(kind(network(), lr=lambda t: [0.1, 0.2][t], weight_decay=0.5), [(0, 0), (0, 0)])
    assert theta == pytest.approx([0.5 * 0.95 * 0.9, -2 * 0.95 * 0.9])


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("lr", [0.1, lambda t: np.float64(0.1)], ids=["a number", "a schedule of NumPy's floats"])
def test_a_step_keeps_the_dtype(kind, lr):
    optimizer = kind(network("float32"), lr=lr, weight_decay=0.1)
    moved(optimizer)
    vectors = [optimizer.theta, *(getattr(optimizer, name) for name in optimizer.slots)]
    assert {vector.dtype.name for vector in vectors} == {"float32"}
    exact = kind(network(), lr=lr, weight_decay=0.1)
    np.testing.assert_allclose(optimizer.theta, moved(exact), rtol=1e-5)


@pytest.mark.parametrize("kind", EVERY)
def test_a_step_moves_the_networks_own_vector_and_leaves_grad_alone(kind):
    net = network()
    optimizer = kind(net, lr=0.1)
    moved(optimizer, [(3, 4)])
    assert optimizer.theta is net.theta
    assert not np.isclose(net.theta, START).any()
    assert net.grad.tolist() == [3, 4]
    assert optimizer.step_count == 1


# -------------------------------------------------------------------------------------------- clip_norm


@pytest.mark.parametrize("decay", [0, 0.3])
@pytest.mark.parametrize("kind", EVERY)
def test_a_longer_gradient_is_shortened_to_clip_norm_and_the_decay_is_not(kind, decay):
    lengths = [max(1, math.hypot(*grad) / 0.5) for grad in GRADS]
    short = [np.array(grad) / length for grad, length in zip(GRADS, lengths, strict=True)]
    assert 0 < lengths.count(1) < len(GRADS)
    clipped = kind(network(), lr=0.1, weight_decay=decay, clip_norm=0.5)
    expected = moved(kind(network(), lr=0.1, weight_decay=decay), short)
    np.testing.assert_allclose(moved(clipped), expected, rtol=1e-13)
    np.testing.assert_allclose(clipped.grad, short[-1], rtol=1e-13)


@pytest.mark.parametrize("kind", EVERY)
def test_a_gradient_that_is_not_longer_than_clip_norm_stays_as_it_is(kind):
    assert np.array_equal(
        moved(kind(network(), lr=0.1, clip_norm=5), [(3, 4), (0, 0)]), moved(kind(network(), 0.1), [(3, 4), (0, 0)])
    )


# ------------------------------------------------------------------------------------------------ schedules


@pytest.mark.parametrize("lr", [-0.05, math.nan, math.inf])
@pytest.mark.parametrize("kind", EVERY)
def test_a_rate_that_cannot_be_is_refused_at_its_step_and_moves_nothing(kind, lr):
    optimizer = kind(network(), lr=lambda t: [0.1, 0.0, lr][t])
    theta = moved(optimizer, GRADS[:2]).copy()
    message = f"{kind.__name__} takes a rate of at least 0 and finite at step 2; got {lr}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        optimizer.step()
    assert np.array_equal(optimizer.theta, theta)
    assert optimizer.step_count == 2


def test_a_gradient_written_by_hand_counts_without_the_frozen_layers():
    net = tn.Network(*(tn.Dense(1, 1) for _ in range(3)), dtype="float64")
    net.theta[...] = START * 3
    net[1].trainable = False
    moved(tn.SGD(net, lr=1, clip_norm=1), [(1, 2, 30, -40, 4, 2)])
    np.testing.assert_allclose(net.theta, np.array(START * 3) - np.array([1, 2, 0, 0, 4, 2]) / 5, rtol=1e-15)


@pytest.mark.parametrize("kind", [tn.SGD, tn.Adam, tn.RMSProp])
def test_weight_decay_and_clip_norm_are_named(kind):
    fields = [field for field in dataclasses.fields(kind) if field.kw_only]
    assert [field.name for field in fields] == ["weight_decay", "clip_norm"]
