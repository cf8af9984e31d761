"""Networks to and from .safetensors: numbers under the names that PyTorch gives them, and no code."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from ..arrays.optional import optional_import
from ..files.archive import about, access, from_json, reading, require, sound_json, write_bytes
from ..files.header import check_that_it_reads_back, checked, header_of, known_classes, network_of, stack_of
from ..layers import BatchNorm, Conv2D, Dense, Layer, LayerNorm
from ..layers.bound import walk
from ..layers.validation import check_layers
from ..losses import Loss
from ..network import Network

LINEAR, AFFINE = {"W": "weight", "b": "bias"}, {"gamma": "weight", "beta": "bias"}
NAMES: dict[type[Layer], dict[str, str]] = {
    Dense: LINEAR,
    Conv2D: LINEAR,
    BatchNorm: AFFINE | {"mean": "running_mean", "variance": "running_var"},
    LayerNorm: AFFINE,
}
"""What PyTorch's layers call these layers' parameters and buffers."""

NOT_HERE = "num_batches_tracked"
"""What PyTorch's BatchNorm counts, and does not use unless it has no momentum."""

DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16"}


class Tensor(NamedTuple):
    """A tensor of the file, and the parameter or buffer of a layer that it is; a Dense's are transposed."""

    name: str
    shape: tuple[int, ...]
    layer: Layer
    view: str


def to_safetensors(network: Network, path: str | os.PathLike[str]) -> None:
    """Writes the network as a PyTorch Sequential of the same layers names it: "1.weight" (M, D) and "1.bias" (M,).

    The number is the layer's place, and a Dense's W is transposed. Conv2D, BatchNorm and LayerNorm have PyTorch's names
    too, layers of your own keep theirs, and inside a block stand two numbers. The metadata hold what
    `from_safetensors` makes the network from, bit for bit.
    The file appears whole or not at all. Raises ModelFileError for what `save` does not write either, ImportError
    without safetensors (extra `safetensors`).
    """
    to_bytes = optional_import("safetensors.numpy", "safetensors").save
    with about(Path(path)):
        network.check_views()
        header = header_of(network, None)
        check_that_it_reads_back(network, None, header)
        host = network.backend.to_host
        tensors = {
            tensor.name: np.ascontiguousarray(
                _turned(host(tensor.layer.views[tensor.view]), tensor.layer).reshape(tensor.shape)
            )
            for tensor in _tensors(network.layers)
        }
        metadata = {"format": "pt", "tinynet": sound_json(header, tensors).decode()}
        access(network.backend, lambda: write_bytes(Path(path), to_bytes(tensors, metadata)))


def from_safetensors(
    path: str | os.PathLike[str],
    *,
    layers: Sequence[Layer | type[Layer]] = (),
    losses: Sequence[type[Loss]] = (),
    backend: str | Backend = "numpy",
) -> Network:
    """The network in a file that `to_safetensors` wrote, or of these `layers` with a file's numbers.

    `layers` are the stack, as [tn.Dense(784, 48), tn.ReLU(), tn.Dense(48, 10)], for a file that does not say it, as a
    PyTorch state_dict of Linear, Conv2d, BatchNorm and LayerNorm: tensors named by place go there, others to the layer
    of their shape, those of one shape in the order of the numbers in their names; where a bias is missing, it is zeros.
    Or they are classes of your own, and so are `losses`, as for `load`. Raises ModelFileError for a file that is
    missing or damaged, holds no such network, or numbers that are not finite; ValueError for layers that do not follow
    each other; ImportError without safetensors (extra `safetensors`).
    """
    place, safe_open = get_backend(backend), optional_import("safetensors", "safetensors").safe_open
    own = [layer for layer in layers if isinstance(layer, type)]
    given = [layer for layer in layers if isinstance(layer, Layer)]
    if given:
        check_layers(given)
    known = known_classes(own, losses)
    with about(Path(path)), reading("a .safetensors file"), safe_open(os.fspath(path), framework="numpy") as file:
        stored = file.keys()
        found = {name: tuple(file.get_slice(name).get_shape()) for name in stored if not name.endswith(NOT_HERE)}
        kinds = {file.get_slice(name).get_dtype() for name in found}
        require(
            kinds <= DTYPES.keys(), f"it holds {', '.join(kinds - DTYPES.keys())}; floats of 16 to 64 bits are read"
        )
        text = (file.metadata() or {}).get("tinynet")
        header = checked(from_json(text), known) if text else _unsaid("float64" if "F64" in kinds else "float32")
        stack, loss = stack_of(header | ({"layers": [], "states": []} if given else {}), known)
        require(given or stack, f"it names no layers; give them, as layers=[tn.Dense(4, 2)], for {_listed(found)}")
        names = _names_of(_tensors(given or stack), found)
        network = network_of(header, given or stack, loss, place)
        for tensor, name in names.items():
            values = file.get_tensor(name)
            require(np.isfinite(values).all(), f"{name} holds numbers that are not finite")
            view = tensor.layer.views[tensor.view]
            view[...] = place.to_device(_turned(values, tensor.layer).reshape(view.shape).astype(network.dtype))
    return network


def _tensors(stack: Sequence[Layer]) -> list[Tensor]:
    found = []
    for place, _, layer in walk(stack):
        names = _pytorchs_names(layer)
        for view, shape in (layer.shapes() | layer.buffers()).items():
            if names:
                matrix = shape[::-1] if isinstance(layer, Dense) else shape
                shape = matrix if view == "W" else (math.prod(shape),)
            found.append(Tensor(f"{place}.{names.get(view, view)}", shape, layer, view))
    return found


def _pytorchs_names(layer: Layer) -> dict[str, str]:
    return next((names for kind, names in NAMES.items() if isinstance(layer, kind)), {})


def _turned(values: np.ndarray, layer: Layer) -> np.ndarray:
    """Between PyTorch's W and that of a Dense, its transpose."""
    return values.T if isinstance(layer, Dense) else values


def _unsaid(dtype: str) -> dict[str, Any]:
    """The header of a file that has none."""
    return {"layers": [], "states": [], "loss": {}, "dtype": dtype, "seed": 0, "epoch": 0, "notes": {}}


def _names_of(tensors: list[Tensor], found: dict[str, tuple[int, ...]]) -> dict[Tensor, str]:
    """Which of the file's tensors, given by their shapes, is which of the network's."""
    by_place = {tensor: tensor.name for tensor in tensors if tensor.name in found or not _may_be_missing(tensor)}
    names = by_place if set(by_place.values()) == found.keys() else _by_shape(tensors, found)
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
        there = sorted((name for name in alike if (_beside(name, "running_mean") in found) == has_mean), key=_natural)
        count = "a weight" if len(takers) == 1 else f"{len(takers)} weights"
        wanted = f"{count} {shape} for {takers[0].layer}"
        require(len(there) == len(takers), f"it must hold {wanted}, and holds {', '.join(there) or _listed(found)}")
        told_apart = len({re.sub(r"\d+", "", name) for name in there}) == 1
        require(
            told_apart, f"{', '.join(there)} have one shape and no numbers to order them by; rename them, as 0.weight"
        )
        names |= dict(zip(takers, there, strict=True))
    weight_of = {id(tensor.layer): names[tensor] for tensor in weights}
    for tensor in tensors:
        name = _beside(weight_of[id(tensor.layer)], tensor.name.rpartition(".")[2])
        require(name in found or _may_be_missing(tensor), f"{name} is missing, {tensor.shape} for {tensor.layer}")
        names |= {tensor: name} if name in found else {}
    unused = {name: shape for name, shape in found.items() if name not in names.values()}
    require(not unused, f"these layers have no place for {_listed(unused)}")
    return names


def _beside(weight: str, name: str) -> str:
    """The name of a tensor of the layer whose weight has this name."""
    return weight.removesuffix("weight") + name


def _natural(name: str) -> list[int]:
    """The numbers in a name: layer 2 comes before layer 10."""
    return [int(digits) for digits in re.findall(r"\d+", name)]


def _listed(found: dict[str, tuple[int, ...]]) -> str:
    names = [f"{name} {shape}" for name, shape in sorted(found.items())]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "no tensor"
