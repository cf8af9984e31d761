"""Networks to and from disk: save, load, resume. A file holds no code, and none is run; format 2 also reads 1.

header         JSON: format, version, layers with their arguments, dtype, seed, epoch, notes, loss, optimizer; and
               states: counter and trainable of every layer, those inside right behind their block
theta, buffers all parameters and all buffers, in the order of the layers
...            and with an optimizer its vectors, each as long as theta
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
    """Writes the network, and with an optimizer all that `resume` needs to go on training bit for bit.

    The file appears whole or not at all: it is written under another name and renamed. Raises ModelFileError, with
    the file on disk as it was, for parameters that are not finite, for what JSON cannot hold and for layers or losses
    whose config() would not make them again.
    """
    with about(Path(path)):
        require(optimizer is None or optimizer.network is network, "the optimizer is another network's")
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
    """The network in a file, on a backend. Layers and losses of your own must be named: `layers=[MyLayer]`.

    Raises ModelFileError for a file that is missing, damaged, not ours, of a later version, or that does not add up.
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
    """The network and the optimizer of a file that was saved with one: `fit` goes on as if never interrupted.

    `lr` replaces the learning rate, and must be given where it was a schedule, which no file holds. What is your own
    must be named, as for `load`. Raises ModelFileError for a file without an optimizer, and as `load` does.
    """
    known = known_classes(layers, losses, optimizers)
    with about(Path(path)):
        network, saved, vectors = _read(Path(path), backend, known)
        require(saved, "it was saved without an optimizer; load reads its network")
        config = saved["config"] | ({} if lr is None else {"lr": lr})
        require(config.get("lr") is not None, "its learning rate was a schedule; give resume the schedule: lr=")
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
        require(not taken, f"{type(optimizer).__name__} has slots {taken}, names that a file needs for itself")
        vectors |= {name: getattr(optimizer, name) for name in optimizer.slots}
    return {name: network.backend.to_host(vector) for name, vector in vectors.items()}


def _read(path: Path, backend: str | Backend, known: Known) -> tuple[Network, dict[str, Any], dict[str, np.ndarray]]:
    """The network, what the file says of its optimizer, and all vectors."""
    place = get_backend(backend)
    with opened(path) as archive:
        header = checked(read_header(archive))
        stack, loss = stack_of(header, known)
        sizes = sizes_of(stack)
        dtype, names = np.dtype(header["dtype"]), {name.removesuffix(".npy") for name in archive.namelist()}
        strangers = names - {"header", *sizes, *header["optimizer"].get("slots", ())}
        require(not strangers, f"{', '.join(strangers)} does not belong here")
        names |= {"theta", *(["buffers"] if header["version"] > 1 else [])}
        vectors = {
            name: read_vector(archive, name, dtype, sizes.get(name, sizes["theta"])) for name in names - {"header"}
        }
        network = network_of(header, stack, loss, place)
    for name in sizes.keys() & vectors.keys():
        getattr(network, name)[...] = place.to_device(vectors[name])
    return network, header["optimizer"], vectors
