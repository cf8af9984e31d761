"""The contestants on a GPU: like peers.py, with all data on the device before the first epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import peers_pictures
from peers import (
    Epoch,
    Settings,
    jax_epoch,
    pytorch_adam,
    pytorch_eager,
    pytorch_epoch,
    pytorch_model,
    tinynet,
    tinynet_epoch,
)


def tinynet_cupy(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return tinynet(settings, x, labels, "cupy")


def pytorch_on_gpu(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return pytorch_eager(settings, x, labels, "cuda")


def pytorch_captured(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    import torch

    model, optimizer = pytorch_model(settings, "cuda", capturable=True)
    images = torch.tensor(x / np.float32(255), device="cuda")
    return _captured(model, optimizer, images, labels, settings.batch)


def _captured(model: Any, optimizer: Any, images: Any, labels: np.ndarray, batch: int) -> Epoch:
    """The whole step, optimizer included, in one CUDA graph. Only `rows` changes from replay to replay."""
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

    def epoch(_: Callable[[], None] = step) -> float:  # the default keeps alive what the graph reads
        total.zero_()
        order = torch.randperm(len(images), device="cuda")
        for chosen in order[: len(order) // batch * batch].split(batch):
            rows.copy_(chosen)
            graph.replay()
        return float(total) / len(images)

    return epoch


def jax_on_gpu(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """The epoch as on the CPU, with float32 products as precise as in the other frameworks."""
    _prepare_jax()
    return jax_epoch(settings, x, labels)


def _prepare_jax() -> None:
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    if jax.default_backend() != "gpu":
        raise ImportError(f"JAX runs on {jax.default_backend()} here, not on the GPU")


def launch_floor(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """The cost of launching: a graph of as many empty kernels as a step of tinynet has."""
    import cupy

    empty = cupy.RawKernel('extern "C" __global__ void nothing() {}', "nothing")
    dense = len(settings.hidden) + 1
    kernels = 2 + (2 * dense - 1) + 1 + (2 * dense + 2 * (dense - 1)) + 1
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        empty((1,), (32,), ())
        stream.begin_capture()
        for _ in range(kernels):
            empty((1,), (32,), ())
        graph = stream.end_capture()

    def epoch() -> float:
        for _ in range(-(-len(x) // settings.batch)):
            graph.launch(stream)
        stream.synchronize()
        return float("nan")

    return epoch


def tinynet_pictures(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return tinynet_epoch(peers_pictures.network(settings, "cupy"), x.reshape(-1, 1, 28, 28), labels, settings.batch)


def pytorch_pictures(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    import torch

    model, images = _pytorch_pictures(settings, x)
    targets = torch.tensor(labels.astype(np.int64), device="cuda")
    return pytorch_epoch(model, pytorch_adam(model), images, targets, settings.batch)


def pytorch_pictures_captured(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    model, images = _pytorch_pictures(settings, x)
    return _captured(model, pytorch_adam(model, capturable=True), images, labels, settings.batch)


def _pytorch_pictures(settings: Settings, x: np.ndarray) -> tuple[Any, Any]:
    """Return the model and its pictures, with float32 convolutions as precise as in the other frameworks."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    images = torch.tensor(x.reshape(-1, 1, 28, 28) / np.float32(255), device="cuda")
    return peers_pictures.pytorch_model(settings).to("cuda"), images


def jax_pictures(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    _prepare_jax()
    return peers_pictures.jax_nchw(settings, x, labels)


NETWORKS: dict[str, Callable[[Settings, np.ndarray, np.ndarray], Epoch]] = {
    "tinynet cupy": tinynet_cupy,
    "empty kernels": launch_floor,
    "PyTorch": pytorch_on_gpu,
    "PyTorch, captured": pytorch_captured,
    "JAX epoch": jax_on_gpu,
}

PICTURES: dict[str, Callable[[Settings, np.ndarray, np.ndarray], Epoch]] = {
    "tinynet cupy, pictures": tinynet_pictures,
    "PyTorch, pictures": pytorch_pictures,
    "PyTorch, pictures, captured": pytorch_pictures_captured,
    "JAX step, pictures": jax_pictures,
}

PEERS = NETWORKS | PICTURES
