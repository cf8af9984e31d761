"""The contestants that train a convolutional network: like peers.py, with channels for widths.

Settings((16, 16, 32, 32), 64) means 3 x 3 convolutions with these numbers of channels, BatchNorm and ReLU after each,
MaxPool2D(2) after every second one, and Dense at the end. All start with the parameters of `network`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from peers import Epoch, Settings, jax_adam, jax_steps, pytorch_adam, pytorch_epoch, tinynet_epoch

import tinynet as tn
from tinynet.arrays.backend import available_cores


def network(settings: Settings, backend: str = "numpy") -> tn.Network:
    layers: list[tn.Layer] = []
    for k, (C, M) in enumerate(pairwise([1, *settings.hidden])):
        layers += [tn.Conv2D(C, M, 3, padding=1), tn.BatchNorm(M), tn.ReLU()]
        layers += [tn.MaxPool2D(2)] if k % 2 else []
    return tn.Network(
        *layers, tn.Flatten(), tn.Dense(settings.hidden[-1] * side(settings) ** 2, 10), seed=0, backend=backend
    )


def side(settings: Settings) -> int:
    """Return the height and width in pixels after all pooling layers."""
    return 28 // 2 ** (len(settings.hidden) // 2)


def initial_values(settings: Settings) -> list[list[np.ndarray]]:
    """Return [W, b] of each convolution and [gamma, beta] of its BatchNorm, then [W, b] of Dense."""
    learning = [layer for layer in network(settings).layers if layer.shapes()]
    return [[getattr(layer, name) for name in layer.shapes()] for layer in learning]


def tinynet(settings: Settings, x: np.ndarray, labels: np.ndarray, backend: str) -> Epoch:
    """tinynet, with one BLAS thread on the NumPy backends, because their products are too small for more."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(None if backend == "numba" else 1)
    return tinynet_epoch(network(settings, backend), x.reshape(-1, 1, 28, 28), labels, settings.batch)


def pytorch(settings: Settings, x: np.ndarray, labels: np.ndarray, channels_last: bool = False) -> Epoch:
    """Eager PyTorch, with one thread for each core."""
    import torch

    torch.set_num_threads(available_cores())
    order = torch.channels_last if channels_last else torch.contiguous_format
    model = pytorch_model(settings).to(memory_format=order)
    images = torch.tensor(x.reshape(-1, 1, 28, 28) / np.float32(255)).contiguous(memory_format=order)
    targets = torch.tensor(labels.astype(np.int64))
    return pytorch_epoch(model, pytorch_adam(model), images, targets, settings.batch)


def pytorch_channels_last(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return pytorch(settings, x, labels, channels_last=True)


def pytorch_model(settings: Settings) -> Any:
    import torch
    from torch import nn

    layers: list[Any] = []
    for k, (C, M) in enumerate(pairwise([1, *settings.hidden])):
        layers += [nn.Conv2d(C, M, 3, padding=1), nn.BatchNorm2d(M), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if k % 2 else []
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(settings.hidden[-1] * side(settings) ** 2, 10))
    *before, (W, b) = initial_values(settings)
    values = [value for pair in [*before, [W.T, b]] for value in pair]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    return model


def jax_nchw(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return _jax(settings, x.reshape(-1, 1, 28, 28), labels, initial_values(settings), ("NCHW", "OIHW", "NCHW"))


def jax_nhwc(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    *before, (W, b) = initial_values(settings)
    rows = W.reshape(settings.hidden[-1], side(settings), side(settings), 10).transpose(1, 2, 0, 3).reshape(W.shape)
    kernels = [[value.transpose(2, 3, 1, 0) if value.ndim == 4 else value for value in pair] for pair in before]
    return _jax(settings, x.reshape(-1, 28, 28, 1), labels, [*kernels, [rows, b]], ("NHWC", "HWIO", "NHWC"))


def _jax(
    settings: Settings, x: np.ndarray, labels: np.ndarray, values: list[list[np.ndarray]], form: tuple[str, str, str]
) -> Epoch:
    """A compiled step. `form` names the axes of the pictures, of W and of the outputs, such as "NCHW"."""
    import jax
    import jax.numpy as jnp

    images, targets = jnp.asarray(x / np.float32(255)), jnp.asarray(labels.astype(np.int32))
    channels = form[0].index("C")
    pixels = tuple(axis for axis in range(4) if axis != channels)
    pool = tuple(2 if letter in "HW" else 1 for letter in form[0])

    def value(array: np.ndarray) -> Any:
        return jnp.asarray(array if array.ndim == 4 else np.expand_dims(array.reshape(-1), pixels))

    def block(x: Any, W: Any, b: Any, gamma: Any, beta: Any) -> Any:
        x = jax.lax.conv_general_dilated(x, W, (1, 1), "SAME", dimension_numbers=form) + b
        mean, variance, n = x.mean(pixels, keepdims=True), x.var(pixels, keepdims=True), x.size // gamma.size
        y = jax.nn.relu(gamma * (x - mean) * jax.lax.rsqrt(variance + 1e-5) + beta)
        return y, (mean, variance * (n / (n - 1)))

    def mean_loss(parameters: Any, x: Any, t: Any) -> Any:
        *before, (W, b) = parameters
        moments = []
        for k, (convolution, norm) in enumerate(zip(before[::2], before[1::2], strict=True)):
            x, found = block(x, *convolution, *norm)
            moments.append(found)
            if k % 2:
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, pool, pool, "VALID")
        z = x.reshape(len(x), -1) @ W + b
        return -jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], axis=1).mean(), moments

    def step(state: Any, x: Any, t: Any) -> Any:
        parameters, m, v, count, buffers = state
        (loss, moments), gradients = jax.value_and_grad(mean_loss, has_aux=True)(parameters, x, t)
        count = count + 1
        parameters, m, v = jax_adam(parameters, gradients, m, v, count)
        buffers = jax.tree.map(lambda kept, new: 0.9 * kept + 0.1 * new, buffers, moments)
        return (parameters, m, v, count, buffers), loss

    *before, last = values
    parameters = [*[[value(array) for array in pair] for pair in before], [jnp.asarray(array) for array in last]]
    m, v = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    buffers = [(jnp.zeros_like(beta), jnp.ones_like(gamma)) for gamma, beta in parameters[1:-1:2]]
    return jax_steps(settings, (parameters, m, v, jnp.float32(0), buffers), step, images, targets)


PEERS: dict[str, Callable[[Settings, np.ndarray, np.ndarray], Epoch]] = {
    "tinynet numba": partial(tinynet, backend="numba"),
    "tinynet numpy-fast": partial(tinynet, backend="numpy-fast"),
    "tinynet numpy": partial(tinynet, backend="numpy"),
    "PyTorch": pytorch,
    "PyTorch, channels last": pytorch_channels_last,
    "JAX step, NCHW": jax_nchw,
    "JAX step, NHWC": jax_nhwc,
}
