"""`diagnose`: look at one training step layer by layer, and say what looks wrong."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from ..arrays import Array
from ..layers import Layer, ReLU, Sigmoid, Tanh
from ..layers.bound import size_of
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from ..training.evaluation import prepare
from ..training.input_validation import loss_for
from ..training.loop import batches
from .diagnosis_report import Diagnosis, LayerStep
from .step import Made, Step, take_step

MOST_DEAD = 0.5
"""Share of dead ReLUs in a layer. Karpathy's CS231n notes, "Neural Networks Part 1", report 40 % for too high an lr."""

MOST_SATURATED = 0.5
"""Share of saturated outputs in a layer, after Glorot and Bengio 2010, section 3. The limit is our choice."""

LARGEST_RATIO = 1e4
"""Largest ratio of a row's |dy| between the first and the last trained layer: Bengio, Simard and Frasconi 1994; Glorot
and Bengio 2010, section 4.2. The limit is our choice: the slope of a sigmoid is at most 1/4, and (1/4)^7 = 6e-5."""

LARGEST_UPDATE, SMALLEST_UPDATE = 1e-1, 1e-6
"""|change of theta| / |theta|. Karpathy's CS231n notes, "Neural Networks Part 3", recommend about 1e-3. The limits are
our choice: Adam's first step changes every parameter by lr, large or small."""

ALIKE = 1e-6
"""Outputs that differ by less than this fraction of the largest count as equal. Float32 rounds to 6e-8."""

Marks = dict[type[Layer], Callable[[np.ndarray], np.ndarray]]
"""For a class of layers: a function of its outputs y (N, ...) that marks dead or saturated ones."""

DEAD: Marks = {ReLU: lambda y: (y == 0).all(axis=(0, 2, 3) if y.ndim == 4 else 0)}
"""Units (of pictures, channels) that are 0 for every row. No gradient passes through them."""

SATURATED: Marks = {Tanh: lambda y: abs(y) > 0.99, Sigmoid: lambda y: (y < 0.01) | (y > 0.99)}
"""Outputs where the activation is flat: its slope is below 2 % of the maximum for Tanh, below 4 % for Sigmoid."""


def diagnose(
    network: Network, x: Any, t: Any, optimizer: Optimizer | None = None, *, loss: Loss | None = None
) -> Diagnosis:
    """Take one training step on a copy of the network, with all rows of x in one batch, and report on every layer.

    x, t and loss are as in `fit`. Use a batch such as x[:256]: with few rows, ReLUs look dead by chance. With an
    optimizer of this network, a copy of it takes its next step, and `update` says how far each layer moves. Without
    one, the step ends with the gradients. Network, optimizer and loss do not change. Raises what `fit` raises for bad
    input.
    """
    _check_optimizer(network, optimizer)
    copy = network.copy()
    mover = deepcopy(optimizer, {id(network): copy})
    with np.errstate(all="ignore"):
        (loss, x, t), remarks = _prepared(copy, deepcopy(loss), x, t)
        ((x, t),) = batches(copy, np.arange(len(x)), len(x), x, t)
        step = take_step(copy, loss, x, t, mover)
        rows = [_row(step, name, layer) for name, layer in step.layers.items() if name in step.y]
        origin = _origin(step.made)
        sentences = [*_lost(origin), *remarks, *_bent(rows), *_gradients(rows), *_updates(rows), *_alike(step.z)]
    return Diagnosis(rows, step.loss, sentences, origin)


def first_not_finite(network: Network, loss: Loss, x: Array, t: Array) -> str:
    """Return the first tensor of a step with a NaN or an inf, and its inputs; "" if there is none.

    x and t are one batch. The step is taken on a copy, up to the gradients.
    """
    with np.errstate(all="ignore"):
        return _origin(take_step(network.copy(), loss, x, t).made)


def _check_optimizer(network: Network, optimizer: Optimizer | None) -> None:
    if not isinstance(optimizer, Optimizer | None):
        raise TypeError(f"diagnose takes an optimizer such as Adam(network), or None; got {optimizer!r}")
    if optimizer and optimizer.network is not network:
        raise ValueError("diagnose takes an optimizer of the network that it looks at; this one belongs to another")


def _prepared(network: Network, loss: Loss | None, x: Any, t: Any) -> tuple[tuple[Loss, Array, Array], list[str]]:
    """Return the result of `prepare`, and its warnings."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        data = prepare(network, loss_for(network, loss), x, t)
    return data, [str(warning.message) for warning in heard]


def _row(step: Step, name: str, layer: Layer) -> LayerStep:
    y, dy = step.y[name], step.dy.get(name)
    return LayerStep(
        layer=name,
        shape=y.shape,
        y_mean=_mean(y),
        y_spread=_spread(y),
        dy_mean=None if dy is None else _mean(dy),
        dy_spread=None if dy is None else _spread(dy),
        dead=_share(DEAD, layer, y),
        saturated=_share(SATURATED, layer, y),
        parameters=size_of(layer.shapes()),
        frozen=layer.size > 0 and not layer.trainable,
        update=step.updates.get(name),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=float))


def _spread(values: np.ndarray) -> float:
    return float(values.std(dtype=float))


def _share(marks: Marks, layer: Layer, y: np.ndarray) -> float | None:
    counts = marks.get(type(layer))
    return float(counts(y).mean()) if counts else None


# ---------------------------------------------------------------------------------------- NaN and inf


def _origin(made: list[Made]) -> str:
    for name, given, tensor in made:
        if not np.isfinite(tensor).all():
            went_in = ", ".join(f"{each} {_size(value)}" for each, value in given.items())
            return f"{name}: {went_in} in, {_size(tensor)} out" if given else f"{name}: {_size(tensor)}"
    return ""


def _size(values: np.ndarray) -> str:
    """Return "up to 3.2e+38", or "inf", "nan" or "inf and nan"."""
    if np.isfinite(values).all():
        return f"up to {np.abs(values).max(initial=0):.2g}"
    return " and ".join(name for name, found in (("inf", np.isinf), ("nan", np.isnan)) if found(values).any())


def _lost(origin: str) -> list[str]:
    return [f"first not finite: {origin}; lower lr, smaller first weights or inputs, or clip_norm"] if origin else []


# -------------------------------------------------------------------------------------------- sentences


def _bent(rows: list[LayerStep]) -> list[str]:
    """Report layers whose activations pass no gradient."""
    dead = [
        f"{row.layer}: {100 * row.dead:.0f} % of its {_units(row)} for all {row.shape[0]} rows; "
        'lower lr, or He initialization, init="he_normal"'
        for row in rows
        if row.dead is not None and row.dead > MOST_DEAD
    ]
    saturated = [
        f"{row.layer}: {100 * row.saturated:.0f} % of its outputs are saturated, where the curve is flat; "
        "smaller inputs or first weights, or lower lr"
        for row in rows
        if row.saturated is not None and row.saturated > MOST_SATURATED
    ]
    return dead + saturated


def _units(row: LayerStep) -> str:
    return "maps are dead, 0 everywhere" if len(row.shape) == 4 else "ReLUs are dead, 0"


def _gradients(rows: list[LayerStep]) -> list[str]:
    """Report gradients that vanish or explode on their way to the first layer."""
    reached = [(row.layer, row.dy_length) for row in rows if row.learns and row.dy_length is not None]
    if not reached or not reached[-1][1]:
        return []
    (first, here), (last, there) = reached[0], reached[-1]
    sizes = f"a row's dy has the length {there:.2g} at {last} and {here:.2g} at {first}, root mean square"
    if here == 0:
        return [f"no gradient reaches {first}: every dy there is 0; look for dead units or weights of 0 after it"]
    if here < there / LARGEST_RATIO:
        return [f"gradients vanish: {sizes}; ReLU in place of Sigmoid or Tanh, He initialization, or Residual"]
    if here > there * LARGEST_RATIO:
        return [f"gradients explode: {sizes}; smaller first weights, or clip_norm"]
    return []


def _updates(rows: list[LayerStep]) -> list[str]:
    """Report the layers that move too far, or too little, among those that move."""
    moved = [(row.update, row.layer) for row in rows if row.update and math.isfinite(row.update)]
    (most, fastest), (least, slowest) = max(moved, default=(0.0, "")), min(moved, default=(1.0, ""))
    fast = f"{fastest}: a step changes its parameters by {100 * most:,.0f} % of their size; lower lr"
    slow = f"{slowest}: a step changes its parameters by {least:.1g} of their size; higher lr, unless dy vanishes there"
    return [*([fast] if most > LARGEST_UPDATE else []), *([slow] if least < SMALLEST_UPDATE else [])]


def _alike(z: np.ndarray) -> list[str]:
    """Report outputs that do not depend on x."""
    if len(z) == 1 or not np.ptp(z, axis=0).max() <= ALIKE * np.abs(z).max():
        return []
    return [f"all {len(z)} rows get the same output, whatever x is; other first weights, or lower lr"]
