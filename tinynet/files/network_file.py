"""Save and load networks. A file holds no code and loading runs none. This version writes format 3 and reads 1 to 3.

header         JSON: format, version, layers with their arguments, dtype, seed, epoch, notes, loss, optimizer; and
               states: counter and trainable of every layer, with the layers inside a block directly after the block
theta, buffers all parameters and all buffers, in the order of the layers
...            the vectors of the optimizer, if there is one, each as long as theta
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from ..layers import Layer
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from .archive import about, access, opened, read_header, read_vector, require, write
from .header import (
    Known,
    check_that_it_reads_back,
    checked,
    header_of,
    known_classes,
    made,
    network_of,
    sizes_of,
    stack_of,
)


def save(network: Network, path: str | os.PathLike[str], optimizer: Optimizer | None = None) -> None:
    """Write the network to a file, and with an optimizer everything that `resume` needs to continue bit for bit.

    The file is written under another name and then renamed, so an error leaves the old file unchanged. Raises
    ModelFileError if parameters are not finite, if JSON cannot hold the notes or a config, and if a layer, loss or
    optimizer cannot be made again from its config().
    """
    with about(Path(path)):
        require(optimizer is None or optimizer.network is network, "the optimizer belongs to another network")
        network.check_views()
        header, vectors = header_of(network, optimizer), _vectors(network, optimizer)
        check_that_it_reads_back(network, optimizer, header)
        access(network.backend, lambda: write(Path(path), header, vectors))


def load(
    path: str | os.PathLike[str],
    *,
    backend: str | Backend = "numpy",
    layers: Sequence[type[Layer]] = (),
    losses: Sequence[type[Loss]] = (),
) -> Network:
    """Return the network in a file, on a backend. Pass layer and loss classes of your own as `layers=[MyLayer]`.

    Raises ModelFileError if the file is missing, damaged, inconsistent, written by a later version, or not a network.
    """
    with about(Path(path)):
        return _read(Path(path), backend, known_classes(layers, losses))[0]


def resume(
    path: str | os.PathLike[str],
    *,
    backend: str | Backend = "numpy",
    layers: Sequence[type[Layer]] = (),
    losses: Sequence[type[Loss]] = (),
    optimizers: Sequence[type[Optimizer]] = (),
    lr: Any = None,
) -> tuple[Network, Optimizer]:
    """Return the network and the optimizer of a file; `fit` continues as if training had never been interrupted.

    `lr` replaces the learning rate. It is required if the learning rate was a schedule, because files hold no
    schedules. Pass classes of your own as for `load`. Raises ModelFileError as `load` does, and if the file has no
    optimizer.
    """
    known = known_classes(layers, losses, optimizers)
    with about(Path(path)):
        network, saved, vectors = _read(Path(path), backend, known)
        require(saved, "it was saved without an optimizer; load reads its network")
        config = saved["config"] | ({} if lr is None else {"lr": lr})
        require(config.get("lr") is not None, "its learning rate was a schedule; pass the schedule to resume as lr=")
        optimizer = made("optimizer", saved | {"config": config}, known, network)
        for name in optimizer.slots:
            require(name in vectors, f"{name} is missing")
            getattr(optimizer, name)[...] = network.backend.to_device(vectors[name])
    optimizer.step_count = saved["t"]
    return network, optimizer


def _vectors(network: Network, optimizer: Optimizer | None) -> dict[str, np.ndarray]:
    vectors = {"theta": network.theta, "buffers": network.buffers}
    if optimizer:
        taken = [name for name in optimizer.slots if name in ("header", "file", *vectors)]
        require(not taken, f"{type(optimizer).__name__} has slots {taken}, which are reserved names; rename them")
        vectors |= {name: getattr(optimizer, name) for name in optimizer.slots}
    return {name: network.backend.to_host(vector) for name, vector in vectors.items()}


def _read(path: Path, backend: str | Backend, known: Known) -> tuple[Network, dict[str, Any], dict[str, np.ndarray]]:
    """Return the network, the optimizer's part of the header, and all vectors."""
    device = get_backend(backend)
    with opened(path) as archive:
        header = checked(read_header(archive), known)
        stack, loss = stack_of(header, known)
        sizes = sizes_of(stack)
        dtype, names = np.dtype(header["dtype"]), {name.removesuffix(".npy") for name in archive.namelist()}
        others = names - {"header", *sizes, *header["optimizer"].get("slots", ())}
        require(not others, f"{', '.join(others)} is not part of such a file")
        names |= {"theta", *(["buffers"] if header["version"] > 1 else [])}
        vectors = {
            name: read_vector(archive, name, dtype, sizes.get(name, sizes["theta"])) for name in names - {"header"}
        }
        network = network_of(header, stack, loss, device)
    for name in sizes.keys() & vectors.keys():
        getattr(network, name)[...] = device.to_device(vectors[name])
    return network, header["optimizer"], vectors
