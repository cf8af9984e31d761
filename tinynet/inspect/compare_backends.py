"""Compare one training step on two backends, tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays.backend import Backend, backend
from ..layers.bound import walk
from ..layers.recording import recorded
from ..losses import Loss
from ..network import Network
from ..optim import Adam
from ..training.evaluation import prepare
from ..training.fit import fit
from ..training.input_validation import loss_for
from ..training.loop import batches


@dataclass(frozen=True)
class Difference:
    """The difference of one tensor between two backends, in units in the last place (ulp).

    `ulps` = max |a - b| / ulp(max(|a|, |b|)) over its numbers. `of_largest` = max |a - b| / ulp(its largest number) is
    the fair measure if large numbers cancel. Both are 0 if all bits are equal.
    """

    name: str
    shape: tuple[int, ...]
    ulps: float
    of_largest: float


@dataclass(frozen=True)
class BackendComparison:
    """The differences of every tensor of a step, in the order of computation. `largest` = max of all `of_largest`."""

    backends: tuple[str, str]
    differences: list[Difference]

    @property
    def first_difference(self) -> str | None:
        """The name of the first tensor that differs in any bit, or None."""
        return next((entry.name for entry in self.differences if entry.ulps), None)

    @property
    def largest(self) -> float:
        """The largest difference, in ulps of its tensor's largest number; inf if NaN or inf differ."""
        return max(entry.of_largest for entry in self.differences)

    def __str__(self) -> str:
        here, there = self.backends
        width = max(len(entry.name) for entry in self.differences)
        lines = [f"{'tensor':<{width}}  {'shape':>12}  {'ulps':>12}  {'of the largest':>14}"]
        for entry in self.differences:
            numbers = f"{entry.ulps:>12,.0f}  {entry.of_largest:>14,.1f}" if entry.ulps else f"{'equal':>12}"
            shape = "x".join(map(str, entry.shape)) or "number"
            lines.append(f"{entry.name:<{width}}  {shape:>12}  {numbers}".rstrip())
        first = f"first differ at {self.first_difference}" if self.first_difference else "agree in every bit"
        return "\n".join([*lines, f"{here} and {there} {first}"])


def compare_backends(
    network: Network,
    x: Any,
    t: Any,
    one: str | Backend = "numpy",
    other: str | Backend = "numba",
    *,
    loss: Loss | None = None,
) -> BackendComparison:
    """Take one training step with Adam on copies of the network, one per backend, and compare all tensors.

    x, t and loss are as in `fit`. The network itself does not change. Outputs, loss, gradients and the parameters after
    the step are compared in the network's dtype. The last row is the same step taken by `fit`, for which a backend may
    have one compiled step. Raises what `fit` and `backend` raise.
    """
    pair = backend(one), backend(other)
    steps = [_step(network.copy(backend=each), x, t, loss) for each in pair]
    differences = [_difference(name, a, b) for (name, a), (_, b) in zip(*steps, strict=True)]
    return BackendComparison((pair[0].name, pair[1].name), differences)


def _step(network: Network, x: Any, t: Any, loss: Loss | None) -> list[tuple[str, np.ndarray]]:
    """Return the names and values of a step's tensors, on the host."""
    whole = network.copy()
    fit(whole, Adam(whole), x, t, epochs=1, batch_size=len(x), loss=loss, progress=False)
    loss, *data = prepare(network, loss_for(network, loss), x, t)
    ((x, targets),) = batches(network, np.arange(len(data[0])), len(data[0]), *data)
    with recorded(network.layers, "forward") as outputs:
        y = network.forward(x, train=True)
    found = [(f"{name} y", value) for name, value in outputs.items()] + [("loss", loss.forward(y, targets))]
    dy = loss.backward()
    found.append(("loss gradient", dy))
    with recorded(network.layers, "backward") as gradients:
        network.backward(dy, need_dx=True)
    layers = {name: layer for _, name, layer in walk(network.layers)}
    for name, dx in gradients.items():
        found += [(f"{name} d{own}", layers[name].views[f"d{own}"]) for own in layers[name].shapes()]
        found.append((f"{name} dx", dx))
    Adam(network).step()
    found += [("theta after the step", network.theta), ("theta after a step of fit", whole.theta)]
    if network.buffers.size:
        found += [("buffers after the step", network.buffers), ("buffers after a step of fit", whole.buffers)]
    return [(name, network.backend.to_host(value).copy()) for name, value in found]


def _difference(name: str, a: np.ndarray, b: np.ndarray) -> Difference:
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
        apart = np.where(np.isfinite(apart), apart, np.inf)
        larger = np.maximum(np.abs(a), np.abs(b))
        larger = np.where(np.isfinite(larger), larger, 1)
        ulps, of_largest = (np.max(apart / np.spacing(size), initial=0) for size in (larger, larger.max(initial=0)))
    return Difference(name, a.shape, float(ulps), float(of_largest))
