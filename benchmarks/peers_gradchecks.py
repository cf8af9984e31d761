"""The contestants: for each gradient check, how it checks a case of `tests/gradcheck/corpus`.

Every function takes a case, and raises an error if its library's check does not pass. The other libraries check a pair
of functions in float64, with the settings that are their defaults; `pair_of` turns layers, losses and networks into
such pairs. Libraries are imported inside the functions, because they may not be installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import tinynet as tn
from tinynet.layers.bound import walk
from tinynet.training.evaluation import prepare
from tinynet.training.input_validation import loss_for
from tinynet.training.loop import batches

if TYPE_CHECKING:
    from gradcheck.corpus import Case


class Pair(NamedTuple):
    """y = forward(*inputs), and backward(dy, *inputs), a gradient for each input. The inputs are float64 arrays."""

    forward: Callable[..., Any]
    backward: Callable[..., Sequence[Any]]
    inputs: list[np.ndarray]


# --------------------------------------------------------------------------------- cases as pairs of functions


def pair_of(case: Case) -> Pair:
    """Return a new pair of functions that computes what the case computes."""
    return PAIRS[case.level](*case.make())


def function_pair(forward: Callable[..., Any], backward: Callable[..., Any], inputs: Sequence[Any]) -> Pair:
    """Return the functions themselves. Integer inputs, and those without a gradient, become constants."""
    arrays = [_in_float64(array) for array in inputs]

    def gradients(dy: Any, *arrays: Any) -> Sequence[Any]:
        found = backward(dy, *arrays)
        return found if isinstance(found, tuple | list) else [found]

    copies = [array.copy() for array in arrays]
    found = gradients(np.ones(np.shape(forward(*copies))), *copies)
    checked = [
        k
        for k, (array, gradient) in enumerate(zip(arrays, found, strict=True))
        if array.dtype == np.float64 and gradient is not None
    ]

    def arguments(values: Sequence[Any]) -> list[Any]:
        given = dict(zip(checked, values, strict=True))
        return [given.get(k, array) for k, array in enumerate(arrays)]

    def backward_checked(dy: Any, *values: Any) -> list[Any]:
        found = gradients(dy, *arguments(values))
        return [found[k] for k in checked]

    return Pair(lambda *values: forward(*arguments(values)), backward_checked, [arrays[k] for k in checked])


def layer_pair(layer: tn.Layer, x: Any) -> Pair:
    """Return y for (x, *parameters) of a copy of the layer."""
    network = tn.Network(layer.copy(), dtype="float64")
    return _pair(network, np.array(x, dtype=np.float64))


def loss_pair(loss: tn.Loss, z: Any, t: Any) -> Pair:
    """Return L for z."""
    t = np.asarray(t)

    def backward(dL: Any, z: Any) -> list[Any]:
        loss.forward(z, t)
        return [dL * loss.backward()]

    return Pair(lambda z: loss.forward(z, t), backward, [np.array(z, dtype=np.float64)])


def network_pair(network: tn.Network, x: Any, t: Any, loss: tn.Loss | None) -> Pair:
    """Return L for (x, *parameters) of a copy of the network."""
    copy = network.copy(dtype="float64")
    loss, *data = prepare(copy, loss_for(network, loss), x, t)
    ((x, t),) = batches(copy, np.arange(len(data[0])), len(data[0]), *data)
    return _pair(copy, x, lambda y: loss.forward(y, t), lambda dL: dL * loss.backward())


def _pair(
    network: tn.Network,
    x: np.ndarray,
    after: Callable[[Any], Any] = lambda y: y,
    before: Callable[[Any], Any] = lambda dy: dy,
) -> Pair:
    """Return after(y) for (x, *parameters). Backward starts with before(dy)."""
    network.trainable = True
    views = [
        (layer.views[name], layer.views[f"d{name}"]) for _, _, layer in walk(network.layers) for name in layer.shapes()
    ]

    def forward(x: Any, *parameters: Any) -> Any:
        for (view, _), value in zip(views, parameters, strict=True):
            view[...] = value
        return after(_training_pass(network, x))

    def backward(dy: Any, x: Any, *parameters: Any) -> list[Any]:
        forward(x, *parameters)
        dx = network.backward(before(dy), need_dx=True)
        return [dx, *(gradient.copy() for _, gradient in views)]

    return Pair(forward, backward, [x, *(view.copy() for view, _ in views)])


def _training_pass(network: tn.Network, x: Any) -> Any:
    """Run forward with the same dropout masks each time, without changing the buffers."""
    for _, _, layer in walk(network.layers):
        layer.counter = 0
    buffers = network.buffers.copy()
    y = network.forward(x, train=True)
    network.buffers[...] = buffers
    return y


def _in_float64(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return np.array(array, dtype=np.float64) if array.dtype.kind == "f" else array


PAIRS: dict[str, Callable[..., Pair]] = {
    "function": function_pair,
    "layer": layer_pair,
    "loss": loss_pair,
    "network": network_pair,
}


# ---------------------------------------------------------------------------------------------- the checks


def tinynet(case: Case) -> None:
    """The error's message is the hints of the report."""
    from gradcheck.corpus import check

    report = check(case)
    if not report:
        raise AssertionError("\n".join(report.hints))


def pytorch(case: Case, **settings: Any) -> None:
    import torch

    pair = pair_of(case)

    def arrays(tensors: Sequence[Any]) -> list[np.ndarray]:
        return [tensor.detach().numpy() for tensor in tensors]

    def tensor(array: Any) -> Any:
        return torch.from_numpy(np.array(array, order="C"))

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.save_for_backward(*inputs)
            return tensor(pair.forward(*arrays(inputs)))

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return tuple(map(tensor, pair.backward(*arrays([dy, *ctx.saved_tensors]))))

    inputs = [torch.tensor(array, requires_grad=True) for array in pair.inputs]
    torch.autograd.gradcheck(Function.apply, inputs, **settings)


def jax(case: Case) -> None:
    """Set JAX to float64 for the whole process, because callbacks run in other threads."""
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    pair = pair_of(case)
    y = np.asarray(pair.forward(*(array.copy() for array in pair.inputs)))

    def specification(array: np.ndarray) -> Any:
        return jax.ShapeDtypeStruct(array.shape, array.dtype)

    def forward_on_host(*arrays: Any) -> np.ndarray:
        return np.asarray(pair.forward(*map(np.asarray, arrays)))

    def backward_on_host(*arrays: Any) -> tuple[np.ndarray, ...]:
        return tuple(map(np.asarray, pair.backward(*map(np.asarray, arrays))))

    def forward(*inputs: Any) -> Any:
        return jax.pure_callback(forward_on_host, specification(y), *inputs)

    def backward(inputs: Any, dy: Any) -> Any:
        return jax.pure_callback(backward_on_host, tuple(map(specification, pair.inputs)), dy, *inputs)

    f = jax.custom_vjp(forward)
    f.defvjp(lambda *inputs: (forward(*inputs), inputs), backward)
    check_grads(f, pair.inputs, order=1, modes=("rev",))


def autograd(case: Case) -> None:
    from autograd.extend import defvjp_argnums, primitive
    from autograd.test_util import check_grads

    pair = pair_of(case)

    def backward(positions: Sequence[int], y: Any, inputs: Any, settings: Any) -> Callable[[Any], Any]:
        def gradients(dy: Any) -> list[np.ndarray]:
            found = pair.backward(dy, *inputs)
            return [np.asarray(found[k]) for k in positions]

        return gradients

    f = primitive(lambda *inputs: np.asarray(pair.forward(*inputs)))
    defvjp_argnums(f, backward)
    np.random.seed(0)  # noqa: NPY002  the generator that autograd draws from
    check_grads(f, list(range(len(pair.inputs))), modes=["rev"], order=1)(*pair.inputs)


def chainer(case: Case) -> None:
    from chainer import Function
    from chainer.gradient_check import check_backward

    pair = pair_of(case)

    class Forward(Function):
        def forward(self, inputs: Any) -> Any:
            return (np.asarray(pair.forward(*inputs)),)

        def backward(self, inputs: Any, dy: Any) -> Any:
            return tuple(map(np.asarray, pair.backward(*dy, *inputs)))

    y = pair.forward(*(array.copy() for array in pair.inputs))
    np.random.seed(0)  # noqa: NPY002  the generator that Chainer draws from
    dy = np.random.default_rng(0).normal(size=np.shape(y))
    check_backward(lambda *inputs: Forward()(*inputs), tuple(pair.inputs), dy)


PEERS: dict[str, Callable[[Case], None]] = {
    "tinynet": tinynet,
    "PyTorch": pytorch,
    "PyTorch, fast_mode": partial(pytorch, fast_mode=True),
    "JAX": jax,
    "autograd": autograd,
    "Chainer": chainer,
}

MODULES = {
    "tinynet": "tinynet",
    "PyTorch": "torch",
    "PyTorch, fast_mode": "torch",
    "JAX": "jax.test_util",
    "autograd": "autograd.test_util",
    "Chainer": "chainer.gradient_check",
}


def missing(name: str) -> str:
    """Return why the library of this check cannot be imported, or ""."""
    try:
        importlib.import_module(MODULES[name])
    except Exception as error:  # an old library may fail in any way when it meets a new NumPy
        return f"{type(error).__name__}: {error}"
    return ""
