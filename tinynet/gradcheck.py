"""Gradient check: compare backward with difference quotients in float64, for networks, layers, losses and functions.

The derivative of f at x along a direction v is the limit of (f(x + h v) - f(x - h v)) / 2h, and it is gradient . v
if the gradient is right. Each array is tested along a few random directions, or with `full` along each coordinate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .arrays import Array, rng
from .arrays.backend import Backend, backend
from .inspect.gradient_report import Comparison, GradientReport, guess
from .layers import Layer
from .layers.bound import walk
from .losses import Loss
from .network import Network
from .training.evaluation import prepare
from .training.input_validation import loss_for
from .training.loop import batches

DIRECTIONS = 3
STEPS = (1e-3, 1e-4, 1e-5, 1e-6)
TOLERANCE = 1e-6
NUDGE = 1e-3
FLOOR = 1e-4
"""Smallest derivative by which an error is divided, for f near 1; times |f| for a larger f."""


def gradient_check(
    network: Network, x: Any, t: Any, loss: Loss | None = None, *, full: bool = False, seed: int = 0
) -> GradientReport:
    """Test the gradient of every parameter and dL/dx of a network, on a float64 copy. x, t and loss are as in `fit`.

    The copy's parameters are moved a little at random, because ReLUs with biases of 0 start at their kinks. Dropout
    keeps one mask. With `full` every number is tested, else three random directions per array. Raises what `fit` raises
    for bad input, and ValueError if a backward writes into its dy.
    """
    copy = network.copy(dtype="float64")
    copy.trainable = True
    copy.theta += copy.backend.to_device(NUDGE * rng.generator(seed, "nudge").normal(size=copy.theta.size))
    loss, *data = prepare(copy, loss_for(network, loss), x, t)
    ((x, t),) = batches(copy, np.arange(len(data[0])), len(data[0]), *data)

    def f() -> Array:
        return loss.forward(_forward(copy, x), t)

    f()
    return _report(copy.backend, f, _gradients(copy, x, loss.backward()), len(x), full, seed)


def gradient_check_layer(layer: Layer, x: Any, *, full: bool = False, seed: int = 0) -> GradientReport:
    """Test a layer's backward: the gradients of its parameters and dx, for f = sum of dy y with a random dy.

    x (N, ...) floats. A copy of the layer is tested, with its parameters, or new ones if it has none yet.
    """
    network = Network(layer.copy(), seed=seed, dtype="float64")
    network.trainable = True
    x = np.array(x, dtype=np.float64)
    dy = rng.generator(seed, "dy").normal(size=_forward(network, x).shape)
    gradients = _gradients(network, x, dy)
    return _report(network.backend, lambda: (dy * _forward(network, x)).sum(), gradients, len(x), full, seed)


def gradient_check_loss(loss: Loss, z: Any, t: Any, *, full: bool = False, seed: int = 0) -> GradientReport:
    """Test a loss: its backward() = dL/dz against its forward(z, t)        z (N, K) floats, t as forward takes it

    Raises ValueError if the loss is not finite, and if the gradient has another shape than z.
    """
    z, t = np.array(z, dtype=np.float64), np.asarray(t)
    loss.forward(z, t)
    gradients = [("z", z, loss.backward())]
    return _report(backend("numpy"), lambda: loss.forward(z, t), gradients, len(z), full, seed)


def gradient_check_function(
    forward: Callable[..., Array],
    backward: Callable[..., Any],
    *inputs: Any,
    full: bool = False,
    seed: int = 0,
) -> GradientReport:
    """Test a pair of functions: y = forward(*inputs), and backward(dy, *inputs), which returns a gradient per input.

    A single gradient need not be in a tuple. An input whose gradient is None is left out, and so are integer inputs.
    y may have any shape: f = sum of dy y with a random dy.
    """
    arrays = [_in_float64(array) for array in inputs]
    dy = rng.generator(seed, "dy").normal(size=np.shape(forward(*arrays)))
    found = _unharmed("backward", dy, lambda dy: backward(dy, *arrays))
    found = found if isinstance(found, tuple | list) else [found]
    if len(found) != len(arrays):
        raise ValueError(f"backward must return {len(arrays)} gradients, one for each input, got {len(found)}")
    gradients = [
        (f"input {k}", array, np.asarray(gradient))
        for k, (array, gradient) in enumerate(zip(arrays, found, strict=True))
        if gradient is not None and array.dtype == np.float64
    ]
    N = dy.shape[0] if dy.ndim else 1
    return _report(backend("numpy"), lambda: (dy * forward(*arrays)).sum(), gradients, N, full, seed)


def _report(
    backend: Backend,
    f: Callable[[], Array],
    gradients: list[tuple[str, Array, Array]],
    N: int,
    full: bool,
    seed: int,
) -> GradientReport:
    """Compare for each (name, array, gradient) along directions of that array, which f reads."""

    def number(array: Array) -> float:
        return float(backend.to_host(array))

    if not gradients:
        raise ValueError("there is nothing to test: no input of floats has a gradient")
    report = GradientReport()
    for name, array, gradient in gradients:
        if gradient.shape != array.shape:
            raise ValueError(f"the gradient of {name} must have its shape {array.shape}, got {gradient.shape}")
        can_transpose = array.ndim == 2 and min(array.shape) > 1
        transposed = gradient.reshape(gradient.shape[::-1]).T if can_transpose else gradient * math.nan
        comparisons, alternatives = [], []
        for index, v in _directions(array.shape, full, rng.generator(seed, name)):
            v = backend.to_device(v)
            at = _line(lambda: number(f()), array, v)
            comparisons.append(_compare(name, index, at, number((gradient * v).sum())))
            alternatives.append(number((transposed * v).sum()))
        comparisons = _zeros_named(comparisons)
        report += comparisons
        if hint := guess(comparisons, alternatives, N):
            report.hints.setdefault(hint, []).append(name)
    return report


def _directions(
    shape: tuple[int, ...], full: bool, draw: np.random.Generator
) -> Iterator[tuple[tuple[int, ...] | None, np.ndarray]]:
    """Yield (index, unit vector of that shape): random vectors with index None, or one per coordinate."""
    if not full:
        for _ in range(DIRECTIONS):
            v = draw.normal(size=shape)
            yield None, v / np.linalg.norm(v)
        return
    for index in np.ndindex(shape):
        v = np.zeros(shape)
        v[index] = 1
        yield index, v


def _line(f: Callable[[], float], array: Array, v: Array) -> Callable[[float], float]:
    """Return the function h -> f with h v added to the array. It restores the array."""
    start = array.copy()

    def at(h: float) -> float:
        array[...] = start + h * v
        value = f()
        array[...] = start
        return value

    return at


def _compare(name: str, index: tuple[int, ...] | None, at: Callable[[float], float], analytic: float) -> Comparison:
    """Take smaller steps until both numbers agree. If they never do, check whether f has a kink here."""
    here = at(0)
    if not math.isfinite(here):
        raise ValueError(f"f is {here} here, and has no derivative to compare with; check it where it is finite")
    size, tried = max(1, abs(here)), []
    for h in STEPS:
        numeric = _difference_quotient(at, h)
        difference, scale = abs(analytic - numeric), max(abs(analytic), abs(numeric), FLOOR * size)
        rounding = 8 * np.finfo(np.float64).eps * size / h
        if difference <= TOLERANCE * scale + rounding:
            return Comparison(name, index, analytic, numeric, difference / scale, "ok")
        tried.append((difference / scale if math.isfinite(difference) else math.inf, numeric))
    error, numeric = min(tried)
    status = "kink" if _has_kink(at, size) or _closes_in([error for error, _ in tried]) else "wrong"
    return Comparison(name, index, analytic, numeric, error, status)


def _difference_quotient(at: Callable[[float], float], h: float) -> float:
    """(4 q(h/2) - q(h)) / 3 with q(h) = (f(h) - f(-h)) / 2h: Richardson's extrapolation, with an error of order h^4."""
    whole = (at(h) - at(-h)) / (2 * h)
    half = (at(h / 2) - at(-h / 2)) / h
    return (4 * half - whole) / 3


def _has_kink(at: Callable[[float], float], size: float) -> bool:
    """Return whether the slopes to the left and to the right differ as much for a small h as for a large one.

    In a smooth f they differ by h f'', and by rounding errors that grow as h shrinks.
    """

    def gap(h: float) -> float:
        return abs(at(h) - 2 * at(0) + at(-h)) / h

    return max(0.05 * gap(1e-4), 5e-9 * size) < gap(2e-6) < 3 * gap(2e-5)


def _closes_in(errors: list[float]) -> bool:
    """Return whether the error shrinks with every step: f' is right but has a kink, such as that of max(x, 0)^2."""
    return all(later < 0.2 * sooner for sooner, later in itertools.pairwise(errors))


def _zeros_named(comparisons: list[Comparison]) -> list[Comparison]:
    """Return the comparisons, with the status "zero" if all numbers of the array are zero on both sides."""
    if all(abs(entry.analytic) <= 1e-9 and abs(entry.numeric) <= 1e-9 for entry in comparisons):
        return [replace(entry, status="zero") for entry in comparisons]
    return comparisons


def _forward(network: Network, x: Array) -> Array:
    """Run a training pass with the same random numbers each time, without changing the buffers."""
    for _, _, layer in walk(network.layers):
        layer.counter = 0
    before = network.buffers.copy()
    y = _unharmed("forward", x, lambda x: network.forward(x, train=True), network.backend.to_host)
    network.buffers[...] = before
    return y


def _gradients(network: Network, x: Array, dy: Array) -> list[tuple[str, Array, Array]]:
    """Return name, array and gradient of all parameters and of x; NaN if backward wrote nothing."""
    network.check_views()
    views = [
        (f"{where}.{name}", layer.views[name], layer.views[f"d{name}"])
        for _, where, layer in walk(network.layers)
        for name in layer.shapes()
    ]
    network.grad[...] = math.nan
    for layer in reversed(network.layers):
        dy = _unharmed(f"{layer}.backward", dy, layer.backward, network.backend.to_host)
    return [*views, ("x", x, dy)]


def _unharmed(
    who: str, given: Array, call: Callable[[Array], Any], to_host: Callable[[Array], np.ndarray] = np.asarray
) -> Any:
    """Return call(given). Raises an error if it returns None or has written into `given`."""
    before = given.copy()
    found = call(given)
    if found is None:
        raise TypeError(f"{who} returned None; return what it has computed")
    if not np.array_equal(to_host(before), to_host(given), equal_nan=True):
        raise ValueError(f"{who} wrote into {'x' if who.endswith('forward') else 'dy'}, which must not change")
    return found


def _in_float64(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return np.array(array, dtype=np.float64) if array.dtype.kind == "f" else array
