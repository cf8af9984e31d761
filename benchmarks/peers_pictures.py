"""The contestants that train a convolutional network: as in peers.py, with channels in place of widths.

Recipe((16, 16, 32, 32), 64) has convolutions of 3 x 3 with as many channels, behind each BatchNorm and ReLU, behind
every second a MaxPool2D(2), and Dense at the end. All start from the same numbers: those of `network`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from peers import Epoch, Recipe, jax_adam, jax_steps, pytorch_adam, pytorch_epoch, tinynet_epoch

import tinynet as tn


def network(recipe: Recipe, backend: str = "numpy") -> tn.Network:
    layers: list[tn.Layer] = []
    for k, (C, M) in enumerate(pairwise([1, *recipe.hidden])):
        layers += [tn.Conv2D(C, M, 3, padding=1), tn.BatchNorm(M), tn.ReLU()]
        layers += [tn.MaxPool2D(2)] if k % 2 else []
    return tn.Network(
        *layers, tn.Flatten(), tn.Dense(recipe.hidden[-1] * side(recipe) ** 2, 10), seed=0, backend=backend
    )


def side(recipe: Recipe) -> int:
    """Pixels of a side, behind the pools."""
    return 28 // 2 ** (len(recipe.hidden) // 2)


def starts(recipe: Recipe) -> list[list[np.ndarray]]:
    """[W, b] of each convolution and [gamma, beta] behind it, then [W, b] of Dense."""
    learning = [layer for layer in network(recipe).layers if layer.shapes()]
    return [[getattr(layer, name) for name in layer.shapes()] for layer in learning]


def tinynet_numpy(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """With one thread for NumPy's products, which are too small for more, as the README advises."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    return tinynet_epoch(network(recipe), x.reshape(-1, 1, 28, 28), labels, recipe.batch)


def tinynet_numba(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return tinynet_epoch(network(recipe, "numba"), x.reshape(-1, 1, 28, 28), labels, recipe.batch)


def pytorch(recipe: Recipe, x: np.ndarray, labels: np.ndarray, channels_last: bool = False) -> Epoch:
    """Eager, on as many threads as there are cores."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    order = torch.channels_last if channels_last else torch.contiguous_format
    model = pytorch_model(recipe).to(memory_format=order)
    images = torch.tensor(x.reshape(-1, 1, 28, 28) / np.float32(255)).contiguous(memory_format=order)
    targets = torch.tensor(labels.astype(np.int64))
    return pytorch_epoch(model, pytorch_adam(model), images, targets, recipe.batch)


def pytorch_channels_last(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return pytorch(recipe, x, labels, channels_last=True)


def pytorch_model(recipe: Recipe) -> Any:
    import torch
    from torch import nn

    layers: list[Any] = []
    for k, (C, M) in enumerate(pairwise([1, *recipe.hidden])):
        layers += [nn.Conv2d(C, M, 3, padding=1), nn.BatchNorm2d(M), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if k % 2 else []
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(recipe.hidden[-1] * side(recipe) ** 2, 10))
    *before, (W, b) = starts(recipe)
    values = [value for pair in [*before, [W.T, b]] for value in pair]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    return model


def jax_nchw(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return _jax(recipe, x.reshape(-1, 1, 28, 28), labels, starts(recipe), ("NCHW", "OIHW", "NCHW"))


def jax_nhwc(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    *before, (W, b) = starts(recipe)
    rows = W.reshape(recipe.hidden[-1], side(recipe), side(recipe), 10).transpose(1, 2, 0, 3).reshape(W.shape)
    kernels = [[value.transpose(2, 3, 1, 0) if value.ndim == 4 else value for value in pair] for pair in before]
    return _jax(recipe, x.reshape(-1, 28, 28, 1), labels, [*kernels, [rows, b]], ("NHWC", "HWIO", "NHWC"))


def _jax(
    recipe: Recipe, x: np.ndarray, labels: np.ndarray, values: list[list[np.ndarray]], form: tuple[str, str, str]
) -> Epoch:
    """A compiled step. `form` names the axes of pictures and of W."""
    import jax
    import jax.numpy as jnp

    images, targets = jnp.asarray(x / np.float32(255)), jnp.asarray(labels.astype(np.int32))
    channels = form[0].index("C")
    pixels = tuple(axis for axis in range(4) if axis != channels)
    window = tuple(2 if letter in "HW" else 1 for letter in form[0])

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
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
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
    return jax_steps(recipe, (parameters, m, v, jnp.float32(0), buffers), step, images, targets)


PEERS: dict[str, Callable[[Recipe, np.ndarray, np.ndarray], Epoch]] = {
    "tinynet numba": tinynet_numba,
    "tinynet numpy": tinynet_numpy,
    "PyTorch": pytorch,
    "PyTorch, channels last": pytorch_channels_last,
    "JAX step, NCHW": jax_nchw,
    "JAX step, NHWC": jax_nhwc,
}
