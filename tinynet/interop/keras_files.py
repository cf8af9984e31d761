"""Reads the content of Keras's files, HDF5 and .keras archives, without Keras. Every claim of a file is checked.

HDF5's C library may crash or hang on a damaged file. It therefore runs in another process, which returns an .npz.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays.optional import optional_import
from ..files.archive import ModelFileError, from_json, reading, require

if TYPE_CHECKING:
    from zipfile import ZipFile

PROGRAM = "import sys; from tinynet.interop.keras_files import told; sys.stdout.buffer.write(told(sys.argv[1]))"
SECONDS = 60
"""Time limit of the process."""

MOST_TEXT = 10_000_000
"""Largest number of bytes of JSON, and of names in a list, that is accepted."""


class Contents(NamedTuple):
    """A saved model: its JSON, the loss and optimizer it was compiled with, and its arrays."""

    model: dict[str, Any]
    training: dict[str, Any]
    weights: list[list[Any]]
    """For each layer with weights, in order, its arrays; HDF5 datasets while the file is open."""
    optimizer: list[Any]


def contents(path: Path) -> Contents:
    """Return the content of a file. Raises ModelFileError if it is damaged, not Keras's, or has no model."""
    optional_import("h5py", "keras")
    with np.load(io.BytesIO(apart(path)), allow_pickle=False) as sent:
        said = json.loads(sent["said"].tobytes())
        arrays = [sent[f"{k}"] for k in range(len(sent.files) - 1)]
    require("error" not in said, said.get("error"))
    weights = [[arrays.pop(0) for _ in range(count)] for count in said["counts"]]
    return Contents(said["model"], said["training"], weights, arrays)


def apart(path: Path) -> bytes:
    """Return `told(path)`, computed in another process."""
    import subprocess  # here, like zipfile below, to keep `import tinynet` fast

    modules = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, os.path.abspath(path)],
            capture_output=True,
            timeout=SECONDS,
            env=os.environ | {"PYTHONPATH": modules},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"damaged: reading it took longer than {SECONDS} s") from None
    require(done.returncode == 0, "damaged: the process that read it crashed")
    return done.stdout


def told(path: str) -> bytes:
    """Return the content as an .npz: the JSON, the number of arrays of each layer, the arrays; or an error message."""
    said: dict[str, Any]
    arrays: list[np.ndarray] = []
    try:
        with reading("a Keras file"):
            said, arrays = _read(Path(path))
    except ModelFileError as error:
        said = {"error": str(error)}
    vectors: dict[str, Any] = {f"{k}": array for k, array in enumerate(arrays)}
    file = io.BytesIO()
    np.savez(file, said=np.frombuffer(json.dumps(said).encode(), np.uint8), **vectors)
    return file.getvalue()


def _read(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    import zipfile

    h5py = optional_import("h5py", "keras")
    with open(path, "rb") as file:
        is_archive = zipfile.is_zipfile(file)
    if is_archive:
        with zipfile.ZipFile(path) as archive:
            weights, config = _member(archive, "model.weights.h5"), _member(archive, "config.json")
    else:
        require(h5py.is_hdf5(path), "neither an HDF5 file nor a .keras archive")
    with h5py.File(io.BytesIO(weights) if is_archive else path, "r") as numbers:
        found = _of_archive(from_json(config), numbers) if is_archive else _of_hdf5(numbers)
        arrays = [_array(dataset) for datasets in (*found.weights, found.optimizer) for dataset in datasets]
    counts = [len(datasets) for datasets in found.weights]
    return {"model": found.model, "training": found.training, "counts": counts}, arrays


def _array(dataset: Any) -> np.ndarray:
    """Return the numbers of a dataset. Raises ModelFileError unless they are finite and in the file itself."""
    name = dataset.name.lstrip("/")
    stored_here = not dataset.is_virtual and not dataset.external and dataset.id.get_storage_size() == dataset.nbytes
    require(stored_here, f"{name} is compressed, or stored in another file")
    require(dataset.dtype.kind in "fiu", f"{name} must be numbers, is {dataset.dtype}")
    values = np.asarray(dataset[()])
    require(np.isfinite(values).all(), f"{name} holds numbers that are not finite")
    return values


def _of_hdf5(file: Any) -> Contents:
    config = _attribute(file, "model_config")
    require(config, "it holds weights without a model; model.save(path) in Keras writes both")
    training = from_json(_attribute(file, "training_config") or "{}")
    group = _inside(file, "model_weights")
    layers = [_inside(group, name) for name in _attribute(group, "layer_names") or []]
    state = _inside(file, "optimizer_weights") if "optimizer_weights" in file else None
    return Contents(
        from_json(config),
        training | {"optimizer": training.get("optimizer_config")},
        [weights for layer in layers if (weights := _named(layer))],
        _named(state) if state is not None else [],
    )


def _named(group: Any) -> list[Any]:
    """Return the datasets that a group lists by name. Keras writes no list if it would be empty."""
    return [_inside(group, name) for name in _attribute(group, "weight_names") or []]


def _of_archive(config: dict[str, Any], file: Any) -> Contents:
    """Return the content of an archive, which names layers after their classes: dense, dense_1, ..."""
    used: dict[str, int] = {}
    weights = []
    root = next((name for name in ("layers", "_layer_checkpoint_dependencies") if name in file), "layers")
    for entry in layer_entries(config):
        kind = snake_case(entry["class_name"])
        used[kind] = used.get(kind, -1) + 1
        weights.append(_numbered(file, f"{root}/{kind}{f'_{used[kind]}' if used[kind] else ''}/vars"))
    training = config.get("compile_config") or {}
    return Contents(config, training, [found for found in weights if found], _numbered(file, "optimizer/vars"))


def snake_case(name: str) -> str:
    """Return Keras's snake case of a name: DenseLayer becomes dense_layer, ReLU re_lu."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()


def layer_entries(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the layers in a model's JSON. Raises ModelFileError if it is not Sequential."""
    kind, config = model.get("class_name"), model.get("config")
    require(kind == "Sequential", f"it holds a {kind} model; supported are Sequential models")
    entries: Any = config.get("layers") if isinstance(config, dict) else config
    require(isinstance(entries, list), "its model has no list of layers")
    for entry in entries:
        sound = isinstance(entry, dict) and isinstance(entry.get("class_name"), str)
        sound = sound and isinstance(entry.get("config"), dict)
        require(sound, f"a layer must have a class_name and a config: {entry}")
    return entries


def _numbered(file: Any, path: str) -> list[Any]:
    """Return the datasets 0, 1, ... of a group, or none if the group is missing."""
    if path not in file:
        return []
    group = _inside(file, path)
    return [_inside(group, f"{k}") for k in range(len(group))]


def _inside(group: Any, path: str) -> Any:
    """Return the object at a path. Raises ModelFileError if it is missing or a link, which may lead to any file."""
    h5py = optional_import("h5py", "keras")
    for name in path.strip("/").split("/"):
        require(isinstance(group, h5py.Group) and name in group, f"{path} is missing")
        require(isinstance(group.get(name, getlink=True), h5py.HardLink), f"{path} is a link")
        group = group[name]
    return group


def _attribute(group: Any, name: str) -> Any:
    """Return a string, a list of strings, or None if there is no such attribute. Old files hold bytes."""
    if name not in group.attrs:
        return None
    size = math.prod(group.attrs.get_id(name).shape)
    require(size <= MOST_TEXT, f"{name} lists {size} names")
    value = group.attrs[name]
    return [_text(part) for part in value] if isinstance(value, np.ndarray) else _text(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _member(archive: ZipFile, name: str) -> bytes:
    """Return a file of the archive. Raises ModelFileError if its size could exhaust the memory."""
    require(archive.namelist().count(name) == 1, f"{name} is missing, or occurs twice")
    info = archive.getinfo(name)
    fits = info.file_size == info.compress_size or info.file_size <= MOST_TEXT
    require(fits, f"{name} is compressed, and larger than {MOST_TEXT} bytes")
    with archive.open(info) as file:
        return file.read(info.file_size + 1)
