"""Faults of state: the second call differs from the first, an old array is used, or a call is random."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinynet as tn

from . import Case
from .own_pairs import away_from_zero, normal

NOISE = 1e-7
SECOND, STALE, ADDS = "second call", "stale", "accumulates"
FORWARD, BACKWARD = "forward is random", "backward is random"

x_of_sine = partial(normal, 1, (4, 5))


def growing_backward(growth: Callable[[int], float]) -> tuple[Any, ...]:
    """Return sin with a backward that is multiplied by growth(k) in call k = 0, 1, ..."""
    calls = itertools.count()
    return np.sin, lambda dy, x: growth(next(calls)) * dy * np.cos(x), x_of_sine()


def adding_backward() -> tuple[Any, ...]:
    """Return sin with a backward that adds to the last gradient of that shape."""
    gradients: dict[tuple[int, ...], np.ndarray] = {}

    def backward(dy, x):
        gradients[x.shape] = gradients.get(x.shape, 0) + dy * np.cos(x)
        return gradients[x.shape].copy()

    return np.sin, backward, x_of_sine()


def first_output_kept() -> tuple[Any, ...]:
    """Return tanh with a backward that uses the first output for ever."""
    outputs = []

    def forward(x):
        outputs.append(np.tanh(x))
        return outputs[-1].copy()

    return forward, lambda dy, x: dy * (1 - outputs[0] ** 2), x_of_sine()


def first_dy_kept() -> tuple[Any, ...]:
    """Return sin with a backward that uses the first dy for ever."""
    given = []

    def backward(dy, x):
        given.append(np.array(dy))
        return given[0] * np.cos(x)

    return np.sin, backward, x_of_sine()


def noisy_forward(noise: float) -> tuple[Any, ...]:
    draw = np.random.default_rng(2)
    return lambda x: np.sin(x) + noise * draw.normal(size=x.shape), lambda dy, x: dy * np.cos(x), x_of_sine()


def noisy_backward(noise: float) -> tuple[Any, ...]:
    draw = np.random.default_rng(3)
    return np.sin, lambda dy, x: dy * np.cos(x) + noise * draw.normal(size=x.shape), x_of_sine()


def fresh_masks() -> tuple[Any, ...]:
    """Return dropout that draws a mask in forward and another one in backward."""
    draw = np.random.default_rng(4)

    def mask(x):
        return 2 * (draw.random(x.shape) < 0.5)

    return lambda x: x * mask(x), lambda dy, x: dy * mask(x), x_of_sine()


def counting_forward(growth: float) -> tuple[Any, ...]:
    """Return sin times a factor that grows with every call of forward."""
    calls = itertools.count()
    return lambda x: (1 + growth * next(calls)) * np.sin(x), lambda dy, x: dy * np.cos(x), x_of_sine()


def alternating_forward() -> tuple[Any, ...]:
    """Return a forward that is sin in every second call and tanh in the others."""
    kinds = itertools.cycle([np.sin, np.tanh])
    return lambda x: next(kinds)(x), lambda dy, x: dy * np.cos(x), x_of_sine()


class FirstX(tn.Layer):
    """y = sin(x) with a backward that uses the first x for ever."""

    def forward(self, x, train=False):
        if self.memory is None:
            self.memory = x.copy()
        return np.sin(x)

    def backward(self, dy):
        return dy * np.cos(self.recall())


class FirstMask(tn.ReLU):
    """ReLU with a backward that uses the mask of the first training pass for ever."""

    mask = None

    def forward(self, x, train=False):
        y = super().forward(x, train)
        if train and self.mask is None:
            self.mask = y > 0
        return y

    def backward(self, dy):
        return dy * self.mask


class FirstWeights(tn.Dense):
    """A dense layer whose dx uses the weights that it had in its first backward pass."""

    first = None

    def backward(self, dy):
        self.write_gradients(dy)
        if self.first is None:
            self.first = self.W.copy()
        return dy @ self.first.T


class AddsGradients(tn.Dense):
    """A dense layer that adds to dW and db."""

    def backward_parameters(self, dy):
        self.dW[...] += self.recall().T @ dy
        self.db[...] += dy.sum(axis=0, keepdims=True)


class AddsBias(tn.Dense):
    """A dense layer that adds to db, and overwrites dW."""

    def backward_parameters(self, dy):
        self.dW[...] = self.recall().T @ dy
        self.db[...] += dy.sum(axis=0, keepdims=True)


class AddsGain(tn.LayerNorm):
    """Layer normalization that adds to dgamma."""

    def backward_parameters(self, dy):
        before = self.dgamma.copy()
        super().backward_parameters(dy)
        self.dgamma[...] += before


class DoublesEveryCall(tn.Layer):
    """y = tanh(x) with a backward that doubles with every call."""

    calls = 0

    def forward(self, x, train=False):
        self.memory = np.tanh(x)
        return self.memory.copy()

    def backward(self, dy):
        self.calls += 1
        return 2 ** (self.calls - 1) * dy * (1 - self.recall() ** 2)


class NoisyForward(tn.Layer):
    """y = sin(x) + noise"""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(5)

    def forward(self, x, train=False):
        self.memory = x
        return np.sin(x) + NOISE * self.draw.normal(size=x.shape)

    def backward(self, dy):
        return dy * np.cos(self.recall())


class NoisyBackward(tn.Tanh):
    """tanh with noise in dx."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(6)

    def backward(self, dy):
        return super().backward(dy) + NOISE * self.draw.normal(size=dy.shape)


class NoisyGradient(tn.Dense):
    """A dense layer with noise in dW."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.draw = np.random.default_rng(7)

    def backward_parameters(self, dy):
        super().backward_parameters(dy)
        self.dW[...] += NOISE * self.draw.normal(size=self.W.shape)


class FreshMask(tn.Dropout):
    """Dropout that draws another mask in backward."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self.draw = np.random.default_rng(8)

    def backward(self, dy):
        return dy * (self.draw.random(dy.shape) >= self.rate) / (1 - self.rate)


class CountsCalls(tn.Layer):
    """y = (1 + calls / 100) x, with a backward for the first call"""

    calls = 0

    def forward(self, x, train=False):
        self.calls += 1
        return (0.99 + 0.01 * self.calls) * x

    def backward(self, dy):
        return dy


class FirstTargets(tn.MeanSquaredError):
    """The mean squared error to the targets of the first forward, in backward."""

    targets = None

    def forward(self, z, t):
        if self.targets is None:
            self.targets = t.copy()
        return super().forward(z, t)

    def backward(self):
        return self.ops.mean_squared_error_backward(self.recall()[0], self.targets)


class FirstOutputs(tn.MeanSquaredError):
    """The mean squared error of the outputs of the first forward, in backward."""

    outputs = None

    def forward(self, z, t):
        if self.outputs is None:
            self.outputs = z.copy()
        return super().forward(z, t)

    def backward(self):
        return self.ops.mean_squared_error_backward(self.outputs, self.recall()[1])


class DoublingLoss(tn.MeanSquaredError):
    """The mean squared error with a backward that doubles with every call."""

    calls = 0

    def backward(self):
        self.calls += 1
        return 2 ** (self.calls - 1) * super().backward()


class NoisyLoss(tn.Huber):
    """Huber's loss with noise in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.draw = np.random.default_rng(9)

    def forward(self, z, t):
        return super().forward(z, t) + NOISE * self.draw.normal()


def function_case(name: str, make: Callable[[], tuple[Any, ...]], cause: str) -> Case:
    return Case(name, "second call", "function", make, cause)


def _name(subject: Any) -> str:
    return str(type(subject).__doc__).rstrip(".")


def layer_case(make: Callable[[], tn.Layer], cause: str) -> Case:
    return Case(_name(make()), "second call", "layer", lambda: (make(), away_from_zero(10, 5, 3)), cause)


def loss_case(make: Callable[[], tn.losses.Loss], cause: str) -> Case:
    return Case(_name(make()), "second call", "loss", lambda: (make(), *normal(11, (5, 3), (5, 3))), cause)


CASES = [
    function_case("backward doubles with every call", partial(growing_backward, lambda k: 2**k), SECOND),
    function_case("backward changes its sign with every call", partial(growing_backward, lambda k: (-1) ** k), SECOND),
    function_case("backward gives zero from the second call on", partial(growing_backward, lambda k: k == 0), SECOND),
    function_case("backward grows by 1e-5 with every call", partial(growing_backward, lambda k: 1 + 1e-5 * k), SECOND),
    function_case("backward adds to its last gradient", adding_backward, SECOND),
    function_case("backward keeps the first output", first_output_kept, STALE),
    function_case("backward keeps the first dy", first_dy_kept, STALE),
    function_case("noise of 1e-7 in forward", partial(noisy_forward, NOISE), FORWARD),
    function_case("noise of 1e-3 in forward", partial(noisy_forward, 1e-3), FORWARD),
    function_case("noise of 1e-7 in backward", partial(noisy_backward, NOISE), BACKWARD),
    function_case("noise of 1e-3 in backward", partial(noisy_backward, 1e-3), BACKWARD),
    function_case("dropout with new masks in forward and backward", fresh_masks, "random"),
    function_case("forward grows by 1e-2 with every call", partial(counting_forward, 1e-2), FORWARD),
    function_case("forward grows by 1e-6 with every call", partial(counting_forward, 1e-6), FORWARD),
    function_case("forward alternates between two functions", alternating_forward, FORWARD),
    layer_case(FirstX, STALE),
    layer_case(FirstMask, STALE),
    layer_case(partial(FirstWeights, 3, 4), STALE),
    layer_case(partial(AddsGradients, 3, 4), ADDS),
    layer_case(partial(AddsBias, 3, 4), ADDS),
    layer_case(partial(AddsGain, 3), ADDS),
    layer_case(DoublesEveryCall, SECOND),
    layer_case(NoisyForward, FORWARD),
    layer_case(NoisyBackward, BACKWARD),
    layer_case(partial(NoisyGradient, 3, 4), BACKWARD),
    layer_case(partial(FreshMask, 0.5), "random"),
    layer_case(CountsCalls, FORWARD),
    loss_case(FirstTargets, STALE),
    loss_case(FirstOutputs, STALE),
    loss_case(DoublingLoss, SECOND),
    loss_case(NoisyLoss, FORWARD),
]
