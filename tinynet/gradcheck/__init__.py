"""Gradient check: compare backward with difference quotients in float64, for networks, layers, losses and functions.

The derivative of f at x along a direction v is the limit of (f(x + h v) - f(x - h v)) / 2h, and it is gradient . v
if the gradient is right. `line.py` measures it, `compare.py` decides, `contract.py` calls again, with other rows, other
memory layouts and other types, and `hints.py` names the likely mistake.
"""

from __future__ import annotations

import contextlib
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import Array, rng
from ..layers import Layer
from ..layers.bound import Shape, Shapes, paths
from ..losses import Loss
from ..network import Network
from ..optim import SGD
from ..training.evaluation import prepare
from ..training.fit import fit
from ..training.input_validation import loss_for
from ..training.loop import batches
from .compare import Settings, compare_array, compare_together
from .contract import (
    NOT_DEFINED,
    Family,
    for_other_layouts,
    for_other_rows,
    for_other_sizes_of_dy,
    for_other_values,
    is_close,
    is_wrong,
    moved,
    precision,
    repeated,
    stays_float32,
    unequal,
)
from .hints import guess
from .report import Comparison, GradientReport, Point
from .subject import (
    Gradients,
    Subject,
    backward_pass,
    gradients_of,
    in_float64,
    of_function,
    of_loss,
    of_network,
    of_training,
    real,
    same_buffers,
    training_pass,
    unit_of,
)

DIRECTIONS = 3
TOLERANCE = 1e-6
NUDGE = 1e-3
UNTOLD = ("zero", "noisy")
"""Statuses that neither confirm nor deny a gradient."""


def gradient_check(
    network: Network,
    x: Any,
    t: Any,
    loss: Loss | None = None,
    *,
    full: bool = False,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    directions: int = DIRECTIONS,
) -> GradientReport:
    """Test the gradient of every parameter and dL/dx of a network, on a float64 copy. x, t and loss are as in `fit`.

    The copy's parameters are moved a little at random, because ReLUs with biases of 0 start at their kinks. Dropout
    keeps one mask. Each array is tested along `directions` random directions, with `full` along every coordinate too,
    to a `tolerance` relative to the gradient. On a backend with compiled training steps, one such step is compared with
    a readable one. Raises what `fit` raises for bad input, and ValueError if a backward writes into its dy.
    """
    settings = Settings(full, seed, tolerance, directions)
    copy = network.copy(dtype="float64")
    copy.trainable = True
    copy.theta += copy.backend.to_device(NUDGE * rng.generator(seed, "nudge").normal(size=copy.theta.size))
    theta = copy.theta.copy()
    loss, *data = prepare(copy, loss_for(network, loss), x, t)
    ((rows, targets),) = batches(copy, np.arange(len(data[0])), len(data[0]), *data)
    to_host, to_device = copy.backend.to_host, copy.backend.to_device

    def make(dy_for: Any, x: np.ndarray, t: np.ndarray) -> Subject:
        return of_training(copy, loss, to_device(x), to_device(t))

    family = Family(make, [to_host(rows).copy()], [to_host(targets)], has_rows=True, has_dy=False, seed=seed)
    report = _report(family, len(rows), settings)
    report.note(_parameters_stay(copy.theta, theta))
    if report:
        report.note(_without_dx(family))
        if not all(trainable := [layer.trainable for _, layer in paths(network.layers)]):
            report.note(_frozen(copy, family, settings, trainable))
        report.note(_in_float32(copy, loss, family))
    if report and network.backend.train_steps:
        report.note(_compiled_step(network, loss, *family.xs, *family.rest))
    return report


def gradient_check_layer(
    layer: Layer,
    x: Any,
    *,
    full: bool = False,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    directions: int = DIRECTIONS,
) -> GradientReport:
    """Test a layer's backward: the gradients of its parameters and dx, for f = sum of dy y with a random dy.

    x (N, ...) floats. A copy of the layer is tested, with its parameters, or new ones if it has none yet. It is also
    called twice, with other rows, in other memory layouts, in float32 and inside of another layer. The keyword
    arguments are as in `gradient_check`.
    """
    settings = Settings(full, seed, tolerance, directions)
    network = Network(layer.copy(), seed=seed, dtype="float64")
    network.trainable = True
    x, theta = np.array(real(x), dtype=np.float64), network.theta.copy()
    family = _family_of(network, x, seed)
    report = _report(family, len(x), settings)
    report.note(_parameters_stay(network.theta, theta))
    if report:
        report.note(_without_dx(family))
        report.note(_frozen(network, family, settings, [False] * len(list(paths(network.layers)))))
        report.note(_in_float32(network, None, family))
        report.note(_in_a_block(network[0].copy(), x, settings))
    return report


def gradient_check_loss(
    loss: Loss,
    z: Any,
    t: Any,
    *,
    full: bool = False,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    directions: int = DIRECTIONS,
) -> GradientReport:
    """Test a loss: its backward() = dL/dz against its forward(z, t)        z (N, K) floats, t as forward takes it

    The keyword arguments are as in `gradient_check`. Raises ValueError if the loss is not finite, if the gradient has
    another shape than z, and if forward writes into z or t.
    """
    settings, z, t = Settings(full, seed, tolerance, directions), np.array(real(z), dtype=np.float64), np.asarray(t)
    if not z.size:
        raise ValueError(f"gradient_check_loss takes z (N, K) with at least one row; got {z.shape}")
    is_square = (z.ndim > 1 and len(z) in z.shape[1:] and t.ndim == 1) or (t.ndim > 1 and t.shape[0] in t.shape[1:])
    has_rows = z.ndim > 0 and t.ndim > 0 and len(t) == len(z) and (not is_square or t.shape == z.shape)
    family = Family(lambda dy_for, z, t: of_loss(loss, z, t), [z], [t], has_rows, has_dy=False, seed=seed)
    report = _report(family, len(z) if z.ndim else 1, settings)
    if report:
        report.note(_loss_in_float32(loss, z, t))
    return report


def gradient_check_function(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    full: bool = False,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    directions: int = DIRECTIONS,
) -> GradientReport:
    """Test a pair of functions: y = forward(*inputs), and backward(dy, *inputs), which returns a gradient per input.

    Both get NumPy arrays, and may return what NumPy can read: anything with `__array__` or `__dlpack__`. A single
    gradient need not be in a tuple. An input whose gradient is None is left out, and so are integer inputs. y may have
    any shape: f = sum of dy y with a random dy. The keyword arguments are as in `gradient_check`. Raises TypeError for
    complex numbers, and ValueError if a function writes into its arguments.
    """
    settings = Settings(full, seed, tolerance, directions)
    arrays = [in_float64(array) for array in inputs]
    y = real(forward(*(array.copy() for array in arrays)))
    found = gradients_of(backward, np.ones(y.shape), arrays)
    moving = [k for k, array in enumerate(arrays) if found[k] is not None and array.dtype == np.float64]

    def make(dy_for: Any, *changed: np.ndarray) -> Subject:
        given = dict(zip(moving, changed, strict=True))
        inputs = [given.get(k, array) for k, array in enumerate(arrays)]
        return of_function(forward, backward, inputs, moving, dy_for(y))

    family = Family(make, [arrays[k] for k in moving], [], has_rows=False, has_dy=True, seed=seed)
    return _report(family, len(y) if y.ndim else 1, settings)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings about numbers, because other values may lie outside of a function's domain."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@_quiet()
def _report(family: Family, N: int, settings: Settings) -> GradientReport:
    """Compare all gradients, call again in other ways, and look for the cause of what is wrong."""
    subject, report = family.same(), GradientReport()
    gradients, second_call = repeated(subject)
    if not gradients:
        raise ValueError("there is nothing to test: no input of floats has a gradient")
    for name, gradient in gradients.items():
        if gradient.shape != subject.arrays[name].shape:
            shape = subject.arrays[name].shape
            raise ValueError(f"the gradient of {name} must have its shape {shape}, got {gradient.shape}")
        if gradient.size:
            report += _compared(subject, name, gradient, settings)
    if len(gradients) > 1 and not report.failures:
        report.append(compare_together(subject, gradients, settings, "the gradient"))
    for point in (second_call, precision(family)):
        report.note(point)
    if not report.hints:
        for name in report.wrong:
            report.add_hint(_hint(subject, name, gradients, N, settings), name)
    if not report.failures and second_call.status != "wrong":
        _check_contract(report, family, settings)
    return report


def _check_contract(report: GradientReport, family: Family, settings: Settings) -> None:
    points = [for_other_values(family, settings), *for_other_layouts(family)]
    points += [for_other_sizes_of_dy(family)] if family.has_dy else []
    points += for_other_rows(family, settings) if family.has_rows else []
    for point in points:
        report.note(point)


def _compared(subject: Subject, name: str, gradient: Array, settings: Settings) -> list[Comparison]:
    """Compare one array; where nothing can be told of it here, for other values of all arrays, if that tells more."""
    found = compare_array(subject, name, gradient, settings)
    statuses = {entry.status for entry in found}
    if "kink" in statuses and statuses <= {"ok", "kink", "zero"}:
        return found + _beside(subject, name, settings)
    if not (statuses == {"zero"} or ("noisy" in statuses and statuses <= {"ok", *UNTOLD})):
        return found
    for values in _other_values(subject, settings):
        with contextlib.suppress(*NOT_DEFINED), _holding(subject, values):
            elsewhere = compare_array(subject, name, subject.gradients(0.0)[name], settings)
            if (statuses := {entry.status for entry in elsewhere} - {"zero"}) and "noisy" not in statuses:
                return elsewhere
    return found


def _beside(subject: Subject, name: str, settings: Settings) -> list[Comparison]:
    """Compare an array once more beside a kink, because there its slopes leave much room."""
    with contextlib.suppress(*NOT_DEFINED), _holding(subject, next(_other_values(subject, settings, (1e-3,)))):
        found = compare_array(subject, name, subject.gradients(0.0)[name], replace(settings, full=False))
        return [entry for entry in found if entry.status not in UNTOLD]
    return []


def _hint(subject: Subject, name: str, gradients: Gradients, N: int, settings: Settings) -> str:
    """Return what looks wrong with an array. If it is right beside this point, only its slope at a kink is wrong."""
    if name not in subject.arrays:
        return "wrong at a kink, where all arrays move at once"
    beside = _beside(subject, name, settings)
    if beside and all(entry.status == "ok" for entry in beside):
        return "wrong at a kink: the claimed slope is not between the slopes on both sides"
    with contextlib.suppress(*NOT_DEFINED, np.linalg.LinAlgError):
        return guess(subject, name, gradients, N)
    return ""


def _other_values(
    subject: Subject, settings: Settings, distances: Sequence[float] = (0.1, 0.5, 2.0)
) -> Iterator[dict[str, np.ndarray]]:
    """Yield other values of all arrays: moved by fractions of their size, and numbers near 1 with the same signs."""
    draw = rng.generator(settings.seed, "elsewhere")
    here = {name: subject.to_host(array).copy() for name, array in subject.arrays.items()}
    for distance in distances:
        yield {name: x + distance * unit_of(x) * draw.normal(size=x.shape) for name, x in here.items()}
    yield {name: np.where(x < 0, -1, 1) * abs(draw.normal(size=x.shape)) for name, x in here.items()}


@contextlib.contextmanager
def _holding(subject: Subject, values: dict[str, np.ndarray]) -> Iterator[None]:
    """Let the arrays hold these values while the with-block runs."""
    before = {name: array.copy() for name, array in subject.arrays.items()}
    try:
        for name, array in subject.arrays.items():
            array[...] = subject.to_device(values[name])
        yield
    finally:
        for name, array in subject.arrays.items():
            array[...] = before[name]


def _family_of(network: Network, x: np.ndarray, seed: int) -> Family:
    """Return a network as a function of x, for f = sum of dy network(x)."""

    def make(dy_for: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> Subject:
        with same_buffers(network):
            return of_network(network, x, dy_for(training_pass(network, x)))

    return Family(make, [x], [], has_rows=True, has_dy=True, seed=seed)


def _parameters_stay(theta: Array, before: Array) -> Point:
    """Check that all parameters have the values that they had before the check."""
    stay = is_close(theta, before, tolerance=0)
    return Point("parameters stay", "ok") if stay else Point("parameters stay", "wrong", "wrote into a parameter")


@_quiet()
def _without_dx(family: Family) -> Point:
    """Check that the first layer's `backward_parameters`, which a training calls, writes what `backward` writes."""
    name, subject = "first layer, without dx", family.same()
    expected, found = subject.gradients(0.0), subject.in_training() if subject.in_training else {}
    wrong = unequal(expected, found)
    return Point(name, "wrong", f"backward_parameters writes another {wrong[0]}") if wrong else Point(name, "ok")


@_quiet()
def _frozen(network: Network, family: Family, settings: Settings, trainable: list[bool]) -> Point:
    """Check the gradients of x and of the other layers while some layers are frozen."""
    for (_, layer), flag in zip(paths(network.layers), trainable, strict=True):
        layer.trainable = flag
    try:
        subject = family.same()
        wrong = is_wrong(subject, subject.gradients(0.0), settings)
    finally:
        network.trainable = True
    return Point("frozen layers", "wrong", "wrong while layers are frozen") if wrong else Point("frozen layers", "ok")


@_quiet()
def _in_a_block(layer: Layer, x: np.ndarray, settings: Settings) -> Point:
    """Check the gradients of the layer inside of another layer."""
    name = "inside of a block"
    try:
        block = Network(Block(layer), seed=settings.seed, dtype="float64")
        block.trainable = True
        subject = _family_of(block, x, settings.seed).same()
        gradients, second_call = repeated(subject)
        wrong = second_call.status == "wrong" or is_wrong(subject, gradients, settings)
    except Exception as error:
        return Point(name, "wrong", f"fails {name}: {type(error).__name__}: {error}")
    return Point(name, "wrong", f"wrong {name}") if wrong else Point(name, "ok")


class Block(Layer):
    """y = scale (layer(x) + copy(x in another order of rows)): two copies of a layer, behind another parameter."""

    def __init__(self, layer: Layer) -> None:
        self.layer, self.another = layer, layer.copy()

    def shapes(self) -> Shapes:
        return {"scale": (1,)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        return {"scale": np.ones(1)}

    def forward(self, x: Array, train: bool = False) -> Array:
        self.memory = self.layer.forward(x, train) + self.another.forward(x[::-1].copy(), train)
        return self.scale * self.memory

    def backward(self, dy: Array) -> Array:
        self.dscale[...] = (dy * self.memory).sum()
        dy = self.scale * dy
        return self.layer.backward(dy) + self.another.backward(dy)[::-1]

    def output_shape(self, shape: Shape) -> Shape:
        return self.layer.output_shape(shape)


@_quiet()
def _in_float32(network: Network, loss: Loss | None, family: Family) -> Point:
    """Check that a float32 copy of the network computes in float32, and the same as in float64."""
    copy, exact = network.copy(dtype="float32"), family.same().gradients(0.0)
    copy.trainable = True
    x, *t = (copy.backend.to_device(array.astype(np.float32)) for array in (*family.xs, *family.rest))
    try:
        y = training_pass(copy, x)
        outputs = loss.forward(y, *t) if loss else y
        dy = loss.backward() if loss else copy.backend.to_device(family.dy(y).astype(np.float32))
        found = backward_pass(copy, dy, 0.0)
    except Exception as error:
        return Point("float32", "note", f"refuses float32: {textwrap.shorten(str(error), 80)}")
    if wrong := unequal(exact, {name: gradient.astype("float64") for name, gradient in found.items()}, 0.05, 0.01):
        near = family.make(family.dy, moved(family.xs[0], family.seed, 4e-7), *family.rest).gradients(0.0)
        if unequal(exact, near, 0.0005, 0.01):
            return Point("float32", "note", "cannot be compared: x in float32 is rounded, and the gradient feels it")
        return Point("float32", "wrong", f"gives another gradient of {wrong[0]} in float32 than in float64")
    return stays_float32({"forward": outputs, "backward": found["x"]})


@_quiet()
def _loss_in_float32(loss: Loss, z: np.ndarray, t: np.ndarray) -> Point:
    """Check that a loss computes in float32 for z in float32."""
    targets = t.astype(np.float32) if t.dtype.kind == "f" or t.shape == z.shape else t
    found = {"forward": loss.forward(z.astype(np.float32), targets), "backward": loss.backward()}
    return stays_float32(found)


def _compiled_step(network: Network, loss: Loss, x: np.ndarray, t: np.ndarray) -> Point:
    """Compare one step of the backend's compiled training with one step of the readable functions."""
    name, after = "compiled training step", []
    for backend in (network.backend, "numpy"):
        copy = network.copy(dtype="float32", backend=backend)
        fit(copy, SGD(copy, lr=0.01), x, t, epochs=1, batch_size=len(x), loss=deepcopy(loss), progress=False)
        after.append(copy.backend.to_host(copy.theta).astype(float))
    step = float(np.linalg.norm(after[1] - network.backend.to_host(network.theta)))
    apart = float(np.linalg.norm(after[0] - after[1]))
    if apart <= 1e-3 * step + 1e-6 * float(np.linalg.norm(after[1])):
        return Point(name, "ok")
    return Point(name, "wrong", f"the compiled step of backend {network.backend.name} differs from the readable one")
