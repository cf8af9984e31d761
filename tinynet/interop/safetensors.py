"""Reads and writes networks as .safetensors files, with PyTorch's names of the parameters. They hold no code."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from ..arrays.optional import optional_import
from ..files.archive import about, access, from_json, reading, require, sound_json, write_bytes
from ..files.header import check_that_it_reads_back, checked, header_of, known_classes, network_of, stack_of
from ..layers import BatchNorm, Conv2D, Dense, Layer
from ..layers.bound import walk
from ..layers.validation import check_layers
from ..losses import Loss
from ..network import Network
from .layer_names import ROWS

NOT_HERE = "num_batches_tracked"
"""A counter of PyTorch's BatchNorm, which uses it only without a momentum."""


class Tensor(NamedTuple):
    """A tensor of the file, and the parameter or buffer in it. W of a Dense is transposed in the file."""

    name: str
    shape: tuple[int, ...]
    layer: Layer
    view: str


def to_safetensors(network: Network, path: str | os.PathLike[str]) -> None:
    """Write the network with the names of a PyTorch Sequential of the same layers: "1.weight" (M, D), "1.bias" (M,).

    The number is the position of the layer; layers inside a block have two. W of a Dense is transposed. Dense, Conv2D,
    BatchNorm and LayerNorm use PyTorch's names, layers of your own keep theirs. From the metadata,
    `from_safetensors` makes the same network, bit for bit: its loss, frozen layers, counters of Dropout, dtype,
    seed, epoch and notes. The optimizer is not in the file; `save` writes both. PyTorch reads only the arrays. The
    file is written atomically. Raises ModelFileError as `save` does, and ImportError without safetensors (extra
    `safetensors`).
    """
    to_bytes = optional_import("safetensors.numpy", "safetensors").save
    with about(Path(path)):
        network.check_views()
        header = header_of(network, None)
        check_that_it_reads_back(network, None, header)
        host = network.backend.to_host
        tensors = {}
        for name, shape, layer, view in _tensors(network.layers):
            tensors[name] = np.ascontiguousarray(_transposed(host(layer.views[view]), layer).reshape(shape))
        metadata = {"format": "pt", "tinynet": sound_json(header, tensors).decode()}
        access(network.backend, lambda: write_bytes(Path(path), to_bytes(tensors, metadata)))


def from_safetensors(
    path: str | os.PathLike[str],
    *,
    layers: Sequence[Layer | type[Layer]] = (),
    losses: Sequence[type[Loss]] = (),
    backend: str | Backend = "numpy",
) -> Network:
    """Return the network in a file that `to_safetensors` wrote, or a network of these `layers` with a file's numbers.

    For a file without metadata, such as a PyTorch state_dict of Linear, Conv2d, BatchNorm and LayerNorm, `layers` is
    the list of layers, such as [tn.Dense(784, 48), tn.ReLU(), tn.Dense(48, 10)]. Tensors named by position go to that
    layer. Otherwise they go to the layer of their shape; several of one shape are ordered by the numbers in their
    names. A missing bias is zeros. A state_dict holds neither eps and momentum nor activation functions nor frozen
    layers: they are those of `layers`, and so they are if the file has metadata. For a file with metadata, `layers` and
    `losses` are classes of your own, as for `load`.

    Raises ModelFileError if the file is missing or damaged, does not match the layers, or holds numbers that are not
    finite, ValueError if the layers do not fit each other, and ImportError without safetensors (extra `safetensors`).
    """
    device, safe_open = get_backend(backend), optional_import("safetensors", "safetensors").safe_open
    own = [layer for layer in layers if isinstance(layer, type)]
    given = [layer for layer in layers if isinstance(layer, Layer)]
    if given:
        check_layers(given)
    known = known_classes(own, losses)
    with about(Path(path)), reading("a .safetensors file"), safe_open(os.fspath(path), framework="numpy") as file:
        stored = file.keys()
        found = {name: tuple(file.get_slice(name).get_shape()) for name in stored if not name.endswith(NOT_HERE)}
        kinds = {file.get_slice(name).get_dtype() for name in found}
        others = ", ".join(kinds - {"F64", "F32", "F16"})
        require(not others, f"it holds {others}; supported are floats of 16 to 64 bits")
        text = (file.metadata() or {}).get("tinynet")
        header = checked(from_json(text), known) if text else _unsaid("float64" if "F64" in kinds else "float32")
        stack, loss = stack_of(header | ({"layers": [], "states": []} if given else {}), known)
        require(given or stack, f"it names no layers; pass them, such as layers=[tn.Dense(4, 2)], for {_listed(found)}")
        names = _names_of(_tensors(given or stack), found)
        network = network_of(header, given or stack, loss, device)
        for tensor, name in names.items():
            values = file.get_tensor(name)
            require(np.isfinite(values).all(), f"{name} holds numbers that are not finite")
            view = tensor.layer.views[tensor.view]
            view[...] = device.to_device(_transposed(values, tensor.layer).reshape(view.shape).astype(network.dtype))
    return network


def _tensors(stack: Sequence[Layer]) -> list[Tensor]:
    found = []
    for path, _, layer in walk(stack):
        names = _pytorchs_names(layer)
        for view, shape in (layer.shapes() | layer.buffers()).items():
            if names:
                matrix = shape[::-1] if isinstance(layer, Dense) else shape
                shape = matrix if view == "W" else (math.prod(shape),)
            found.append(Tensor(f"{path}.{names.get(view, view)}", shape, layer, view))
    return found


def _pytorchs_names(layer: Layer) -> Mapping[str, str]:
    return next((row.pytorch for kind, row in ROWS.items() if isinstance(layer, kind)), {})


def _transposed(values: np.ndarray, layer: Layer) -> np.ndarray:
    """Convert W between PyTorch's order and ours, in both directions."""
    return values.T if isinstance(layer, Dense) else values


def _unsaid(dtype: str) -> dict[str, Any]:
    """Return the header for a file without one."""
    return {"layers": [], "states": [], "loss": {}, "dtype": dtype, "seed": 0, "epoch": 0, "notes": {}}


def _names_of(tensors: list[Tensor], found: dict[str, tuple[int, ...]]) -> dict[Tensor, str]:
    """Return the name in the file for each tensor of the network. `found` are the shapes in the file."""
    by_position = {tensor: tensor.name for tensor in tensors if tensor.name in found or not _may_be_missing(tensor)}
    names = by_position if set(by_position.values()) == found.keys() else _by_shape(tensors, found)
    for tensor, name in names.items():
        require(found[name] == tensor.shape, f"{name} must be {tensor.shape} for {tensor.layer}, is {found[name]}")
    return names


def _may_be_missing(tensor: Tensor) -> bool:
    return isinstance(tensor.layer, Dense | Conv2D) and tensor.view == "b"


def _by_shape(tensors: list[Tensor], found: dict[str, tuple[int, ...]]) -> dict[Tensor, str]:
    others = [tensor.name for tensor in tensors if not _pytorchs_names(tensor.layer)]
    require(not others, f"it must hold {', '.join(tensor.name for tensor in tensors)}, and holds {_listed(found)}")
    names: dict[Tensor, str] = {}
    weights = [tensor for tensor in tensors if tensor.name.endswith(".weight")]
    for shape, has_mean in {(tensor.shape, isinstance(tensor.layer, BatchNorm)): None for tensor in weights}:
        takers = [t for t in weights if t.shape == shape and isinstance(t.layer, BatchNorm) == has_mean]
        alike = [name for name in found if name.endswith("weight") and found[name] == shape]
        matching = sorted(
            (name for name in alike if (_neighbor(name, "running_mean") in found) == has_mean), key=_natural
        )
        count = "a weight" if len(takers) == 1 else f"{len(takers)} weights"
        wanted = f"{count} of shape {shape} for {takers[0].layer}"
        held = ", ".join(matching) or _listed(found)
        require(len(matching) == len(takers), f"it must hold {wanted}, and holds {held}")
        are_numbered = len({re.sub(r"\d+", "", name) for name in matching}) == 1
        require(are_numbered, f"{held} have one shape and no numbers to order them by; rename them to 0.weight, ...")
        names |= dict(zip(takers, matching, strict=True))
    weight_of = {id(tensor.layer): names[tensor] for tensor in weights}
    for tensor in tensors:
        name = _neighbor(weight_of[id(tensor.layer)], tensor.name.rpartition(".")[2])
        require(name in found or _may_be_missing(tensor), f"{name} is missing, {tensor.shape} for {tensor.layer}")
        names |= {tensor: name} if name in found else {}
    unused = {name: shape for name, shape in found.items() if name not in names.values()}
    require(not unused, f"these layers do not have {_listed(unused)}")
    return names


def _neighbor(weight: str, name: str) -> str:
    """Return the name of another tensor of the layer whose weight has this name."""
    return weight.removesuffix("weight") + name


def _natural(name: str) -> list[int]:
    """Return the numbers in a name, so that layer 2 comes before layer 10."""
    return [int(digits) for digits in re.findall(r"\d+", name)]


def _listed(found: dict[str, tuple[int, ...]]) -> str:
    names = [f"{name} {shape}" for name, shape in sorted(found.items())]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "no tensor"
