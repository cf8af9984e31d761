"""Difference quotients against backward, in float64: for whole networks and for layers and losses of your own.

The derivative of f at x along a direction v is the limit of (f(x + h v) - f(x - h v)) / 2h, and it is gradient . v
if the gradient is right. Every array is tested along a few random directions, or with `full` along each coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import rng
from .border import rows_in, targets_in
from .functions import Array
from .layers import Layer
from .losses import Loss
from .network import Network
from .training import loss_for
from .verdicts import Comparison, GradientReport, guess

TOLERANCE = 1e-6
DIRECTIONS = 3
STEPS = (1e-3, 1e-4, 1e-5, 1e-6)
FLOOR = 1e-4
"""Gradients smaller than this (times |f|, if above 1) count as this large: below it rounding would decide."""


def gradient_check(
    network: Network, x: Any, t: Any, loss: Loss | None = None, *, full: bool = False, seed: int = 0
) -> GradientReport:
    """Tests every parameter's gradient and dL/dx of a network, on a float64 copy; x, t and loss as in `fit`.

    Dropout keeps one mask through the check. With `full` every single number is tested, else three random
    directions an array. Raises what `fit` raises for bad input.
    """
    twin, loss = network.copy(dtype="float64"), loss_for(network, loss)
    rows = rows_in(twin, x)
    x = twin.backend.ops.gather(rows, twin.backend.to_device(np.arange(len(rows))), twin.dtype)
    t = targets_in(twin, loss, t, rows)

    def f() -> Array:
        _rewind(twin)
        return loss.forward(twin.forward(x, train=True), t)

    f()
    twin.grad[...] = math.nan
    dx = twin.backward(loss.backward(), need_dx=True)
    return _report(twin, f, [*_parameters(twin), ("x", x, dx)], len(x), full, seed)


def gradient_check_layer(layer: Layer, x: Any, *, full: bool = False, seed: int = 0) -> GradientReport:
    """Tests a layer's backward: its parameters' gradients and dx, for f = sum of dy y with a random dy.

    x (N, D) floats. The layer itself is left alone: a copy is tested, with parameters drawn afresh.
    """
    network = Network(layer.unbound(), seed=seed, dtype="float64")
    x = np.array(x, dtype=np.float64)
    dy = rng.generator(seed, "dy").normal(size=network.forward(x).shape)

    def f() -> Array:
        _rewind(network)
        return (dy * network.forward(x, train=True)).sum()

    f()
    network.grad[...] = math.nan
    dx = _unharmed(dy, lambda: network.backward(dy, need_dx=True))
    return _report(network, f, [*_parameters(network), ("x", x, dx)], len(x), full, seed)


def gradient_check_loss(loss: Loss, z: Any, t: Any, *, full: bool = False, seed: int = 0) -> GradientReport:
    """Tests a loss: its backward() against its forward(z, t)        z (N, K) floats, t as the loss takes it"""
    z, t = np.array(z, dtype=np.float64), np.asarray(t)
    loss.forward(z, t)
    dz = loss.backward()
    return _report(None, lambda: loss.forward(z, t), [("z", z, dz)], len(z), full, seed)


def gradient_check_function(
    forward: Callable[..., Array],
    backward: Callable[..., Any],
    *inputs: Any,
    full: bool = False,
    seed: int = 0,
) -> GradientReport:
    """Tests a pair of functions: y = forward(*inputs), and backward(dy, *inputs), one gradient for each input.

    A single gradient need not be in a tuple; None leaves an input out, and integer inputs are left out anyway.
    y may have any shape: f = sum of dy y with a random dy.
    """
    arrays = [_in_float64(array) for array in inputs]
    dy = rng.generator(seed, "dy").normal(size=np.shape(forward(*arrays)))
    gradients = _unharmed(dy, lambda: backward(dy, *arrays))
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    if len(gradients) != len(arrays):
        raise ValueError(f"backward must return {len(arrays)} gradients, one for each input, got {len(gradients)}")
    tested = [
        (f"input {k}", array, gradient)
        for k, (array, gradient) in enumerate(zip(arrays, gradients, strict=True))
        if gradient is not None and array.dtype == np.float64
    ]
    rows = dy.shape[0] if dy.ndim else 1
    return _report(None, lambda: (dy * forward(*arrays)).sum(), tested, rows, full, seed)


def _report(
    network: Network | None,
    f: Callable[[], Array],
    arrays: list[tuple[str, Array, Array]],
    N: int,
    full: bool,
    seed: int,
) -> GradientReport:
    """Compares, for each (name, array, gradient), along directions of that array, which f reads."""
    to_device = network.backend.to_device if network else np.asarray
    report = GradientReport()
    for name, array, gradient in arrays:
        if gradient.shape != array.shape:
            raise ValueError(f"the gradient of {name} must have its shape {array.shape}, got {gradient.shape}")
        transposed = gradient.reshape(gradient.shape[::-1]).T
        comparisons, alternatives = [], []
        for index, v in _directions(array.shape, full, rng.generator(seed, name)):
            v = to_device(v)
            comparisons.append(_compare(name, index, _line(f, array, v), float((gradient * v).sum())))
            alternatives.append(float((transposed * v).sum()))
        report += _zeros_named(comparisons)
        if hint := guess(comparisons, alternatives, N):
            report.hints.setdefault(hint, []).append(name)
    return report


def _directions(
    shape: tuple[int, ...], full: bool, draw: np.random.Generator
) -> Iterator[tuple[tuple[int, ...] | None, np.ndarray]]:
    """Unit vectors of that shape: random ones with index None, or each coordinate's with its index."""
    if not full:
        for _ in range(DIRECTIONS):
            v = draw.normal(size=shape)
            yield None, v / np.linalg.norm(v)
        return
    for index in np.ndindex(shape):
        v = np.zeros(shape)
        v[index] = 1
        yield index, v


def _line(f: Callable[[], Array], array: Array, v: Array) -> Callable[[float], float]:
    """h -> f with h v added to the array, which is as before afterwards."""
    start = array.copy()

    def at(h: float) -> float:
        array[...] = start + h * v
        value = float(f())
        array[...] = start
        return value

    return at


def _compare(name: str, index: tuple[int, ...] | None, at: Callable[[float], float], analytic: float) -> Comparison:
    """Takes the step size at which both numbers agree best, and asks for a kink where they do not."""
    size = max(1, abs(at(0)))
    tried = []
    for h in STEPS:
        numeric = _difference_quotient(at, h)
        error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), FLOOR * size)
        tried.append((error if math.isfinite(error) else math.inf, numeric))
        if error <= TOLERANCE:
            break
    error, numeric = min(tried)
    verdict = "ok" if error <= TOLERANCE else "kink" if _has_kink(at, size) else "wrong"
    return Comparison(name, index, analytic, numeric, error, verdict)


def _difference_quotient(at: Callable[[float], float], h: float) -> float:
    """(4 q(h/2) - q(h)) / 3 with q(h) = (f(h) - f(-h)) / 2h: Richardson's extrapolation, its error of order h^4."""
    whole = (at(h) - at(-h)) / (2 * h)
    half = (at(h / 2) - at(-h / 2)) / h
    return (4 * half - whole) / 3


def _has_kink(at: Callable[[float], float], size: float) -> bool:
    """Whether the slopes to the left and to the right still differ as h shrinks; for a smooth f, by h f''."""

    def gap(h: float) -> float:
        return abs(at(h) - 2 * at(0) + at(-h)) / h

    return gap(1e-6) > max(0.05 * gap(1e-4), 1e-7 * size)


def _zeros_named(comparisons: list[Comparison]) -> list[Comparison]:
    """The same, but with the verdict "zero" if all of an array's numbers are zero on both sides."""
    if any(entry.analytic or abs(entry.numeric) > 1e-9 for entry in comparisons):
        return comparisons
    return [Comparison(e.name, e.index, 0.0, e.numeric, 0.0, "zero") for e in comparisons]


def _parameters(network: Network) -> list[tuple[str, Array, Array]]:
    return [
        (f"{k} {layer}.{name}", getattr(layer, name), getattr(layer, "d" + name))
        for k, layer in enumerate(network)
        for name in layer.shapes()
    ]


def _rewind(network: Network) -> None:
    """Every layer draws the same random numbers again."""
    for layer in network:
        layer.counter = 0


def _unharmed(dy: np.ndarray, backward: Callable[[], Any]) -> Any:
    before = dy.copy()
    gradients = backward()
    if not np.array_equal(before, dy):
        raise ValueError("backward wrote into dy, which it was only given to read")
    return gradients


def _in_float64(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return np.array(array, dtype=np.float64) if np.issubdtype(array.dtype, np.floating) else array
