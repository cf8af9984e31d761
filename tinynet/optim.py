"""How theta moves. An optimizer knows a network's two vectors, theta and grad, and nothing of its layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from .arrays import Array
from .network import Network

Schedule = Callable[[int], float]
"""The learning rate at step t = 0, 1, ...: anything that can be called so."""


class Optimizer:
    """theta and grad of one network, the learning rate `lr`, and `t`, the steps taken.

    `lr` is a number or a schedule. `weight_decay` w takes theta <- theta - lr w theta before each step, biases too,
    beside the gradient and not in it: Loshchilov and Hutter 2019, with lr in the place of their schedule multiplier.
    `clip_norm` is the largest norm that the gradient of all layers together may have: a longer one is shortened.
    Parameters of frozen layers stay where they are. Raises ValueError for settings outside their ranges.
    """

    slots: tuple[str, ...] = ()
    """Names of the vectors, as long as theta, that an optimizer carries from step to step."""

    def __init__(
        self, network: Network, lr: float | Schedule, weight_decay: float = 0.0, clip_norm: float | None = None
    ) -> None:
        self.network = network
        self.lr, self.weight_decay, self.clip_norm, self.t = lr, weight_decay, clip_norm, 0
        rate = callable(lr) or (isinstance(lr, Real) and 0 < lr < math.inf)
        self._require(rate, "lr above 0 and finite, or a schedule", lr)
        self._require(0 <= weight_decay < math.inf, "weight_decay of at least 0 and finite", weight_decay)
        self._require(clip_norm is None or 0 < clip_norm < math.inf, "clip_norm above 0 and finite, or None", clip_norm)
        self._attach()
        taken = [name for name in self.slots if name in vars(self) or hasattr(Optimizer, name)]
        self._require(not taken, "slots with names of their own", taken)
        for name in self.slots:
            setattr(self, name, network.backend.xp.zeros_like(self.theta))

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.rates(1)[0]

    def rates(self, steps: int) -> list[float]:
        """The learning rates of the next steps. ValueError if a schedule gives one below 0 or not finite."""
        if not callable(self.lr):
            return [float(self.lr)] * steps
        rates = [float(self.lr(self.t + k)) for k in range(steps)]
        for step, rate in enumerate(rates, start=self.t):
            self._require(0 <= rate < math.inf, f"a rate of at least 0 and finite at step {step}", rate)
        return rates

    def step(self) -> None:
        """Moves theta once, by grad."""
        lr, frozen = self.rate, self.network.frozen()
        before = [theta.copy() for theta, _ in frozen]
        for _, grad in frozen:
            grad[...] = 0
        self.t += 1
        if self.clip_norm:
            self.ops.clip_norm(self.grad, self.clip_norm)
        if self.weight_decay:
            self.ops.decay(self.theta, lr * self.weight_decay)
        self.update(lr)
        for (theta, _), kept in zip(frozen, before, strict=True):
            theta[...] = kept

    def update(self, lr: float) -> None:
        """The rule itself: changes theta in place."""
        raise NotImplementedError(f"{type(self).__name__} defines no update(self, lr)")

    def config(self) -> dict[str, Any]:
        """The constructor's arguments after the network, by name."""
        settings = {"lr": self.lr, "weight_decay": self.weight_decay}
        return settings if self.clip_norm is None else settings | {"clip_norm": self.clip_norm}

    def _attach(self) -> None:
        self.theta, self.grad, self.ops = self.network.theta, self.network.grad, self.network.backend.ops

    def check_vectors(self) -> None:
        """ValueError if theta or grad is no longer the network's."""
        for name in ("theta", "grad"):
            if getattr(self, name) is not getattr(self.network, name):
                raise ValueError(
                    f"{type(self).__name__}.{name} is no longer its network's vector: one of the two was replaced; "
                    f"write {name}[...] = instead"
                )

    def __getstate__(self) -> dict[str, Any]:
        """For pickles and copies: the slots on the host; the network's vectors come with the network."""
        state = {name: value for name, value in vars(self).items() if name not in ("theta", "grad", "ops")}
        return state | {name: self.network.backend.to_host(getattr(self, name)).copy() for name in self.slots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._attach()
        for name in self.slots:
            setattr(self, name, self.network.backend.to_device(np.array(state[name])))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.config().items())
        return f"<{type(self).__name__} {settings}: {self.t:,} steps taken>"

    def _require(self, holds: bool, expected: str, got: Any) -> None:
        if not holds:
            raise ValueError(f"{type(self).__name__} takes {expected}; got {got!r}")


class SGD(Optimizer):
    """v <- mu v + g,  theta <- theta - lr v;  with `nesterov`, theta <- theta - lr (g + mu v)

    mu is `momentum`; 0 is plain gradient descent on minibatches. Sutskever et al. 2013.
    """

    slots = ("velocity",)
    velocity: Array

    def __init__(
        self,
        network: Network,
        lr: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(network, lr, weight_decay, clip_norm)
        self._require(0 <= momentum < 1, "momentum of at least 0 and below 1", momentum)
        self._require(momentum > 0 or not nesterov, "a momentum above 0 with nesterov", momentum)
        self.momentum, self.nesterov = float(momentum), nesterov

    def update(self, lr: float) -> None:
        self.ops.sgd(self.theta, self.grad, self.velocity, lr, self.momentum, self.nesterov)

    def config(self) -> dict[str, Any]:
        return super().config() | {"momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """theta <- theta - lr m^ / (sqrt(v^) + eps), moments m, v corrected for their start at 0: Kingma and Ba 2015

    This is the paper's Algorithm 1, as in PyTorch: eps is added to the corrected root. Keras (the paper's
    section 2, "epsilon hat") adds its epsilon to sqrt(v) before the correction, so that Keras's epsilon at step t
    is an eps of epsilon / sqrt(1 - beta2^t) here: 32 times as much at first, the same in the end.
    """

    slots = ("m", "v")
    m: Array
    v: Array

    def __init__(
        self,
        network: Network,
        lr: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(network, lr, weight_decay, clip_norm)
        self._require(0 <= beta1 < 1 and 0 <= beta2 < 1, "beta1 and beta2 of at least 0 and below 1", (beta1, beta2))
        self._require(eps > 0, "eps above 0", eps)
        self.beta1, self.beta2, self.eps = float(beta1), float(beta2), float(eps)

    def update(self, lr: float) -> None:
        self.ops.adam(self.theta, self.grad, self.m, self.v, self.t, lr, self.beta1, self.beta2, self.eps)

    def config(self) -> dict[str, Any]:
        return super().config() | {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}


def AdamW(network: Network, lr: float | Schedule = 0.001, weight_decay: float = 0.01, **settings: Any) -> Adam:
    """theta <- theta - lr w theta, then a step of Adam        Loshchilov and Hutter 2019, Algorithm 2, w = 0.01"""
    return Adam(network, lr, weight_decay=weight_decay, **settings)


class RMSProp(Optimizer):
    """v <- rho v + (1 - rho) g^2,  theta <- theta - lr g / (sqrt(v) + eps)        Hinton 2012, lecture 6e"""

    slots = ("v",)
    v: Array

    def __init__(
        self,
        network: Network,
        lr: float | Schedule = 0.001,
        rho: float = 0.9,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(network, lr, weight_decay, clip_norm)
        self._require(0 <= rho < 1, "rho of at least 0 and below 1", rho)
        self._require(eps > 0, "eps above 0", eps)
        self.rho, self.eps = float(rho), float(eps)

    def update(self, lr: float) -> None:
        self.ops.rmsprop(self.theta, self.grad, self.v, lr, self.rho, self.eps)

    def config(self) -> dict[str, Any]:
        return super().config() | {"rho": self.rho, "eps": self.eps}


class _Schedule(partial[float]):
    """A formula of t below, with its other arguments: it can be pickled, and shows how it was made."""

    def __repr__(self) -> str:
        return f"{self.func.__name__[1:]}({', '.join(map(repr, self.args))})"


def constant(lr: float) -> Schedule:
    """lr(t) = lr: what a bare number means, for use inside `warm_up`."""
    return _Schedule(_constant, lr)


def _constant(lr: float, t: int) -> float:
    return lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """lr(t) = lr factor^(t // every): down by a factor after each `every` steps. ValueError for every < 1."""
    _check_steps("step_decay", every)
    return _Schedule(_step_decay, lr, every, factor)


def _step_decay(lr: float, every: int, factor: float, t: int) -> float:
    return lr * factor ** (t // every)


def cosine(lr: float, steps: int, floor: float = 0.0) -> Schedule:
    """lr(t) = floor + (lr - floor) (1 + cos(pi t / steps)) / 2, then floor; Loshchilov and Hutter 2017, equation 5"""
    _check_steps("cosine", steps)
    return _Schedule(_cosine, lr, steps, floor)


def _cosine(lr: float, steps: int, floor: float, t: int) -> float:
    return floor + (lr - floor) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """lr(t) = schedule(t) min(1, (t + 1) / steps): times a straight rise at first; Goyal et al. 2017, 2.2"""
    _check_steps("warm_up", steps)
    if not callable(schedule):
        raise TypeError(f"warm_up takes a schedule, got {schedule!r}; constant({schedule!r}) makes one")
    return _Schedule(_warm_up, schedule, steps)


def _warm_up(schedule: Schedule, steps: int, t: int) -> float:
    return schedule(t) * min(1, (t + 1) / steps)


def _check_steps(who: str, steps: int) -> None:
    if not steps >= 1:
        raise ValueError(f"{who} takes at least 1 step; got {steps!r}")
