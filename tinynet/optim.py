"""Optimizers: rules that update the parameters. They see a network's vectors theta and grad, and not its layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from . import functions
from .arrays import Array
from .network import Network

Schedule = Callable[[int], float]
"""A learning rate for each step: lr = schedule(step), step = 0, 1, ..."""


@dataclass(eq=False, repr=False)
class Optimizer:
    """Updates theta of one network by grad, with the learning rate `lr`; `step_count` counts the steps.

    `lr` is a number or a schedule. `weight_decay` w subtracts lr w theta from theta before each step, biases included
    and separate from the gradient: Loshchilov and Hutter 2019, with lr instead of their schedule multiplier.
    `clip_norm` is the largest norm that the gradient of all layers together may have; a longer gradient is scaled down.
    The parameters of frozen layers do not change. Raises ValueError for settings outside their ranges.

    An optimizer of your own overrides `update(self, lr)`, which changes `self.theta` in place by `self.grad`; lists the
    vectors that it keeps in `slots`; and returns its own arguments in `config`, for `save` and `resume`.
    """

    ops = functions
    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the vectors, of theta's length, that an optimizer keeps from step to step."""

    network: Network
    lr: float | Schedule
    weight_decay: float = field(default=0.0, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self.check()
        self.step_count = 0
        self._attach()
        for name in self.slots:
            self._require(name not in vars(self) and not hasattr(Optimizer, name), "slots with other names", name)
            setattr(self, name, self.network.backend.xp.zeros_like(self.theta))

    def check(self) -> None:
        """Raise ValueError if a setting is outside its range."""
        self._require(callable(self.lr) or is_positive(self.lr), "lr above 0 and finite, or a schedule", self.lr)
        decays = self.weight_decay == 0 or is_positive(self.weight_decay)
        self._require(decays, "weight_decay of at least 0 and finite", self.weight_decay)
        clips = self.clip_norm is None or is_positive(self.clip_norm)
        self._require(clips, "clip_norm above 0 and finite, or None", self.clip_norm)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A setting that is changed later is checked, as in the constructor."""
        if name == "learning_rate":
            raise AttributeError(f"{type(self).__name__} has no learning_rate; set lr")
        before = vars(self).get(name)
        vars(self)[name] = value.item() if isinstance(value, np.generic) else value  # files hold Python's numbers
        if name in self.__dataclass_fields__ and "step_count" in vars(self):
            try:
                self.check()
            except ValueError:
                vars(self)[name] = before
                raise

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.rate_at(self.step_count)

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step. Raises ValueError if a schedule returns one below 0 or not finite."""
        rate = float(self.lr(step) if callable(self.lr) else self.lr)
        self._require(0 <= rate < math.inf, f"a rate of at least 0 and finite at step {step}", rate)
        return rate

    def rates(self, steps: int) -> list[float]:
        """Return the learning rates of the next steps."""
        return [self.rate_at(self.step_count + k) for k in range(steps)]

    def step(self) -> None:
        """Update theta once, by grad."""
        lr, frozen = self.rate, [(theta, grad, theta.copy()) for theta, grad in self.network.frozen()]
        for _, grad, _ in frozen:
            grad[...] = 0
        self.step_count += 1
        if self.clip_norm:
            self.ops.clip_norm(self.grad, self.clip_norm)
        if self.weight_decay:
            self.ops.decay(self.theta, lr * self.weight_decay)
        self.update(lr)
        for theta, _, before in frozen:
            theta[...] = before

    def update(self, lr: float) -> None:
        """Change theta in place by the rule of this optimizer."""
        raise NotImplementedError(f"{type(self).__name__} defines no update(self, lr)")

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, except the network."""
        settings = {setting.name: getattr(self, setting.name) for setting in fields(self)[1:] if setting.init}
        return {name: value for name, value in settings.items() if value is not None}

    def _attach(self) -> None:
        self.theta, self.grad = self.network.theta, self.network.grad
        vars(self)["ops"] = self.network.backend.ops

    def check_vectors(self) -> None:
        """Raise ValueError if theta or grad is no longer the network's vector."""
        if replaced := [name for name in ("theta", "grad") if getattr(self, name) is not getattr(self.network, name)]:
            raise self._replaced(replaced[0])

    def _replaced(self, name: str) -> ValueError:
        cause = f"{type(self).__name__}.{name} is no longer its network's vector: one of the two was replaced"
        return ValueError(f"{cause}; write {name}[...] = instead")

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickles and copies: the slots on the host. The network carries its own vectors."""
        state = {name: value for name, value in vars(self).items() if name not in ("theta", "grad", "ops")}
        return state | {name: self.network.backend.to_host(getattr(self, name)).copy() for name in self.slots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._attach()
        for name in self.slots:
            setattr(self, name, self.network.backend.to_device(np.array(state[name])))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.config().items())
        return f"<{type(self).__name__} {settings}: {self.step_count:,} steps taken>"

    def _require(self, holds: bool, expected: str, got: Any) -> None:
        if not holds:
            raise ValueError(f"{type(self).__name__} takes {expected}; got {got!r}")


def is_positive(value: Any) -> bool:
    """Return whether this is a number above 0 and finite."""
    return isinstance(value, Real) and 0 < float(value) < math.inf


@dataclass(eq=False, repr=False)
class SGD(Optimizer):
    """v <- mu v + g,  theta <- theta - lr v;  with `nesterov`, theta <- theta - lr (g + mu v)

    mu is `momentum`; 0 is plain gradient descent on minibatches. Sutskever et al. 2013.
    """

    slots = ("velocity",)
    lr: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    velocity: Array = field(init=False)

    def check(self) -> None:
        super().check()
        self._require(0 <= self.momentum < 1, "momentum of at least 0 and below 1", self.momentum)
        self._require(self.momentum > 0 or not self.nesterov, "a momentum above 0 with nesterov", self.momentum)

    def update(self, lr: float) -> None:
        self.ops.sgd(self.theta, self.grad, self.velocity, lr, self.momentum, self.nesterov)


@dataclass(eq=False, repr=False)
class Adam(Optimizer):
    """theta <- theta - lr m^ / (sqrt(v^) + eps), moments m, v corrected for their start at 0: Kingma and Ba 2015

    This is the paper's Algorithm 1, as in PyTorch: eps is added to the corrected root. Keras follows the paper's
    section 2 ("epsilon hat") and adds its epsilon to sqrt(v) before the correction. At step k, Keras's epsilon equals
    an eps of epsilon / sqrt(1 - beta2^k) here: 32 times as much at the first step, and the same in the limit.
    `resume_keras` returns a subclass with Keras's rule.
    """

    slots = ("m", "v")
    lr: float | Schedule = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    m: Array = field(init=False)
    v: Array = field(init=False)

    def check(self) -> None:
        super().check()
        beta1, beta2 = self.beta1, self.beta2
        self._require(0 <= beta1 < 1 and 0 <= beta2 < 1, "beta1 and beta2 of at least 0 and below 1", (beta1, beta2))
        self._require(self.eps > 0, "eps above 0", self.eps)

    def update(self, lr: float) -> None:
        self.ops.adam(self.theta, self.grad, self.m, self.v, self.step_count, lr, self.beta1, self.beta2, self.eps)


def AdamW(network: Network, lr: float | Schedule = 0.001, weight_decay: float = 0.01, **settings: Any) -> Adam:
    """theta <- theta - lr w theta, then a step of Adam        Loshchilov and Hutter 2019, Algorithm 2, w = 0.01"""
    return Adam(network, lr, weight_decay=weight_decay, **settings)


@dataclass(eq=False, repr=False)
class RMSProp(Optimizer):
    """v <- rho v + (1 - rho) g^2,  theta <- theta - lr g / (sqrt(v) + eps)        Hinton 2012, lecture 6e

    Keras divides by sqrt(v + eps). `resume_keras` returns a subclass with Keras's rule.
    """

    slots = ("v",)
    lr: float | Schedule = 0.001
    rho: float = 0.9
    eps: float = 1e-8
    v: Array = field(init=False)

    def check(self) -> None:
        super().check()
        self._require(0 <= self.rho < 1, "rho of at least 0 and below 1", self.rho)
        self._require(self.eps > 0, "eps above 0", self.eps)

    def update(self, lr: float) -> None:
        self.ops.rmsprop(self.theta, self.grad, self.v, lr, self.rho, self.eps)


class _Schedule(partial[float]):
    """One of the formulas below with its arguments. It can be pickled, and its repr is the call that made it."""

    def __repr__(self) -> str:
        return f"{self.func.__name__[1:]}({', '.join(map(repr, self.args))})"


def constant(lr: float) -> Schedule:
    """lr(step) = lr: the same as a bare number, for use inside `warm_up`."""
    return _Schedule(_constant, lr)


def _constant(lr: float, step: int) -> float:
    return lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """lr(step) = lr factor^(step // every): times `factor` after each `every` steps. Raises ValueError if every < 1."""
    _check_steps("step_decay", every)
    return _Schedule(_step_decay, lr, every, factor)


def _step_decay(lr: float, every: int, factor: float, step: int) -> float:
    return lr * factor ** (step // every)


def cosine(lr: float, steps: int, floor: float = 0.0) -> Schedule:
    """lr(step) = floor + (lr - floor) (1 + cos(pi step / steps)) / 2, then floor; Loshchilov and Hutter 2017, eq. 5"""
    _check_steps("cosine", steps)
    return _Schedule(_cosine, lr, steps, floor)


def _cosine(lr: float, steps: int, floor: float, step: int) -> float:
    return floor + (lr - floor) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """lr(step) = schedule(step) min(1, (step + 1) / steps): a linear rise over `steps` steps; Goyal et al. 2017, 2.2"""
    _check_steps("warm_up", steps)
    if not callable(schedule):
        raise TypeError(f"warm_up takes a schedule, got {schedule!r}; constant({schedule!r}) makes one")
    return _Schedule(_warm_up, schedule, steps)


def _warm_up(schedule: Schedule, steps: int, step: int) -> float:
    return schedule(step) * min(1, (step + 1) / steps)


def _check_steps(who: str, steps: int) -> None:
    if not steps >= 1:
        raise ValueError(f"{who} takes at least 1 step; got {steps!r}")
