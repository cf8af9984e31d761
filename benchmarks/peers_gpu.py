"""The contestants on a GPU: as in peers.py, with everything on the device before the first epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import peers_pictures
from peers import (
    Epoch,
    Recipe,
    jax_epoch,
    pytorch_adam,
    pytorch_eager,
    pytorch_epoch,
    pytorch_model,
    tinynet,
    tinynet_epoch,
)


def tinynet_cupy(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return tinynet(recipe, x, labels, "cupy")


def pytorch_on_gpu(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return pytorch_eager(recipe, x, labels, "cuda")


def pytorch_captured(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    import torch

    model, optimizer = pytorch_model(recipe, "cuda", capturable=True)
    images = torch.tensor(x / np.float32(255), device="cuda")
    return _captured(model, optimizer, images, labels, recipe.batch)


def _captured(model: Any, optimizer: Any, images: Any, labels: np.ndarray, batch: int) -> Epoch:
    """The whole step, optimizer included, in one CUDA graph; `rows` is what changes from replay to replay."""
    import torch
    from torch import nn

    targets = torch.tensor(labels.astype(np.int64), device="cuda")
    rows = torch.arange(batch, device="cuda")
    total = torch.zeros((), device="cuda")

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images[rows]), targets[rows])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach() * batch)

    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph):
        step()

    def epoch(_: Callable[[], None] = step) -> float:  # holds what the graph reads, which the graph does not
        total.zero_()
        order = torch.randperm(len(images), device="cuda")
        for chosen in order[: len(order) // batch * batch].split(batch):
            rows.copy_(chosen)
            graph.replay()
        return float(total) / len(images)

    return epoch


def jax_on_gpu(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """The epoch as on the CPU, with float32 products as precise as everybody's."""
    _prepare_jax()
    return jax_epoch(recipe, x, labels)


def _prepare_jax() -> None:
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    if jax.default_backend() != "gpu":
        raise ImportError(f"JAX runs on {jax.default_backend()} here, not on the GPU")


def launch_floor(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """As many empty kernels as a step of tinynet has, in a graph: what launching alone costs."""
    import cupy

    empty = cupy.RawKernel('extern "C" __global__ void nothing() {}', "nothing")
    dense = len(recipe.hidden) + 1
    kernels = 2 + (2 * dense - 1) + 1 + (2 * dense + 2 * (dense - 1)) + 1
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        empty((1,), (32,), ())
        stream.begin_capture()
        for _ in range(kernels):
            empty((1,), (32,), ())
        graph = stream.end_capture()

    def epoch() -> float:
        for _ in range(-(-len(x) // recipe.batch)):
            graph.launch(stream)
        stream.synchronize()
        return float("nan")

    return epoch


def tinynet_pictures(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return tinynet_epoch(peers_pictures.network(recipe, "cupy"), x.reshape(-1, 1, 28, 28), labels, recipe.batch)


def pytorch_pictures(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    import torch

    model, images = _pytorch_pictures(recipe, x)
    targets = torch.tensor(labels.astype(np.int64), device="cuda")
    return pytorch_epoch(model, pytorch_adam(model), images, targets, recipe.batch)


def pytorch_pictures_captured(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    model, images = _pytorch_pictures(recipe, x)
    return _captured(model, pytorch_adam(model, capturable=True), images, labels, recipe.batch)


def _pytorch_pictures(recipe: Recipe, x: np.ndarray) -> tuple[Any, Any]:
    """The model and its pictures, with float32 convolutions as precise as everybody's."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    images = torch.tensor(x.reshape(-1, 1, 28, 28) / np.float32(255), device="cuda")
    return peers_pictures.pytorch_model(recipe).to("cuda"), images


def jax_pictures(recipe: Recipe, x: np.ndarray, labels: np.ndarray) -> Epoch:
    _prepare_jax()
    return peers_pictures.jax_nchw(recipe, x, labels)


NETWORKS: dict[str, Callable[[Recipe, np.ndarray, np.ndarray], Epoch]] = {
    "tinynet cupy": tinynet_cupy,
    "empty kernels": launch_floor,
    "PyTorch": pytorch_on_gpu,
    "PyTorch, captured": pytorch_captured,
    "JAX epoch": jax_on_gpu,
}

PICTURES: dict[str, Callable[[Recipe, np.ndarray, np.ndarray], Epoch]] = {
    "tinynet cupy, pictures": tinynet_pictures,
    "PyTorch, pictures": pytorch_pictures,
    "PyTorch, pictures, captured": pytorch_pictures_captured,
    "JAX step, pictures": jax_pictures,
}

PEERS = NETWORKS | PICTURES
