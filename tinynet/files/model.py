"""Networks to and from disk: an .npz of plain arrays with a JSON header. A file holds no code, and none is run.

header   uint8, JSON: format, version, layers with their arguments, dtype, seed, epoch, notes, optimizer
theta    all parameters, in the order of the layers
...      and with an optimizer its vectors, each as long as theta
"""

from __future__ import annotations

import json
import math
import os
import secrets
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from ..layers import Dense, Dropout, Layer, ReLU, Softmax
from ..network import Network
from ..optim import SGD, Adam, Optimizer

FORMAT, VERSION = "tinynet network", 1
LAYERS: tuple[type[Layer], ...] = (Dense, ReLU, Softmax, Dropout)
OPTIMIZERS: dict[str, type[Optimizer]] = {"SGD": SGD, "Adam": Adam}


class ModelFileError(ValueError):
    """A file that cannot be written or read as a network; the message names the file and the cause."""


def save(network: Network, path: str | os.PathLike[str], optimizer: Optimizer | None = None) -> None:
    """Writes the network, and with an optimizer all that `resume` needs to go on training bit for bit.

    The file appears whole or not at all: it is written under another name and renamed. Raises ModelFileError, with
    the file on disk as it was, for parameters that are not finite and for what JSON cannot hold.
    """
    path, to_host, kind = Path(path), network.backend.to_host, type(optimizer)
    _require(
        optimizer is None or kind in OPTIMIZERS.values(), path, f"resume knows no {kind.__name__}; save without it"
    )
    _require(optimizer is None or optimizer.network is network, path, "the optimizer is another network's")
    arrays = {"theta": to_host(network.theta)}
    if optimizer:
        arrays |= {name: to_host(getattr(optimizer, name)) for name in optimizer.slots}
    network.check_windows()
    for name, array in arrays.items():
        _require(np.isfinite(array).all(), path, f"{name} holds numbers that are not finite, and is not saved")
    for layer in network:
        _require_config(layer, path)
    try:
        header = json.dumps(_header(network, optimizer), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: the header cannot be written as JSON: {error}") from None
    _write(path, {"header": np.frombuffer(header, np.uint8)} | arrays)


def load(
    path: str | os.PathLike[str], *, backend: str | Backend = "numpy", layers: Sequence[type[Layer]] = ()
) -> Network:
    """The network in a file, on a backend. Layers of your own must be named: `layers=[MyLayer]`.

    Raises ModelFileError for a file that is missing, damaged, not ours, of a later version, or that does not add up.
    """
    return _read(Path(path), backend, layers)[0]


def resume(
    path: str | os.PathLike[str],
    *,
    backend: str | Backend = "numpy",
    layers: Sequence[type[Layer]] = (),
    lr: Any = None,
) -> tuple[Network, Optimizer]:
    """The network and the optimizer of a file that was saved with one: `fit` goes on as if never interrupted.

    `lr` replaces the learning rate, and must be given where it was a schedule, which no file holds.
    """
    path = Path(path)
    network, header, arrays = _read(path, backend, layers)
    saved = header["optimizer"]
    _require(saved, path, "it was saved without an optimizer; load reads its network")
    kind, config = OPTIMIZERS[saved["optimizer"]], saved["config"] | ({} if lr is None else {"lr": lr})
    _require(config.get("lr") is not None, path, "its learning rate was a schedule; give resume the schedule: lr=")
    try:
        optimizer = kind(network, **config)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: its optimizer is wrong: {error}") from None
    optimizer.t = saved["t"]
    for name in optimizer.slots:
        _require(name in arrays, path, f"{name} is missing")
        getattr(optimizer, name)[...] = network.backend.to_device(arrays[name])
    return network, optimizer


def _require_config(layer: Layer, path: Path) -> None:
    try:
        type(layer)(**layer.config())
    except TypeError as error:
        raise ModelFileError(f"{path}: {layer} could not be read back; its config() must give {error}") from None


def _header(network: Network, optimizer: Optimizer | None) -> dict[str, Any]:
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "layers": [{"layer": type(layer).__name__, "counter": layer.counter} | layer.config() for layer in network],
        "dtype": network.dtype.name,
        "seed": network.seed,
        "epoch": network.epoch,
        "notes": network.notes,
        "optimizer": {},
    }
    if optimizer:
        config = optimizer.config() | ({"lr": None} if callable(optimizer.lr) else {})
        header["optimizer"] = {"optimizer": type(optimizer).__name__, "config": config, "t": optimizer.t}
    return header


def _write(path: Path, arrays: dict[str, Any]) -> None:
    part = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        with open(part, "xb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path}: cannot be written: {getattr(error, 'strerror', error)}") from None
    finally:
        if part.exists():
            part.unlink()


def _read(
    path: Path, backend: str | Backend, layers: Sequence[type[Layer]]
) -> tuple[Network, dict[str, Any], dict[str, np.ndarray]]:
    place = get_backend(backend)
    try:
        with zipfile.ZipFile(path) as archive:
            header = _parsed(path, _member(path, archive, "header", np.dtype(np.uint8)))
            stack = _layers(path, header["layers"], layers)
            dtype, size = np.dtype(header["dtype"]), sum(layer.size for layer in stack)
            arrays = {name: _member(path, archive, name, dtype, size) for name in _vectors(path, archive)}
            network = Network(*stack, seed=header["seed"], dtype=dtype.name, backend=place)
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile, json and NumPy answer a damaged file with errors of a dozen kinds
        raise ModelFileError(f"{path}: not an .npz file, or damaged: {error}") from None
    network.theta[...] = network.backend.to_device(arrays["theta"])
    network.epoch, network.notes = header["epoch"], header["notes"]
    return network, header, arrays


def _vectors(path: Path, archive: zipfile.ZipFile) -> list[str]:
    """The names of the archive's vectors, each known and there once."""
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    known = {"header", "theta", *(slot for kind in OPTIMIZERS.values() for slot in kind.slots)}
    for name in names:
        _require(name in known and names.count(name) == 1, path, f"{name} does not belong here, or is there twice")
    _require("theta" in names, path, "theta is missing")
    return [name for name in names if name != "header"]


def _member(path: Path, archive: zipfile.ZipFile, name: str, dtype: np.dtype, size: int | None = None) -> np.ndarray:
    """One vector of the archive. What its own header claims is held against what is there before it is read."""
    _require(f"{name}.npy" in archive.namelist(), path, f"{name} is missing")
    info = archive.getinfo(f"{name}.npy")
    stored = info.compress_type == zipfile.ZIP_STORED and info.file_size <= path.stat().st_size
    _require(stored, path, f"{name} is packed, or larger than the file")
    with archive.open(info) as file:
        try:
            _require(np.lib.format.read_magic(file) == (1, 0), path, f"{name} is of an unknown .npy version")
            shape, _, found = np.lib.format.read_array_header_1_0(file)
        except (ValueError, SyntaxError) as error:
            raise ModelFileError(f"{path}: {name} is no array: {error}") from None
        _require(found == dtype, path, f"{name} must be {dtype}, is {found}")
        expected = shape if size is None else (size,)
        _require(shape == expected, path, f"{name} must have the shape {expected} for these layers, has {shape}")
        content = file.read()
    _require(shape == (len(content) / dtype.itemsize,), path, f"{name} is {len(content)} bytes, not {shape} {dtype}")
    array = np.frombuffer(content, dtype)
    _require(np.isfinite(array).all(), path, f"{name} holds numbers that are not finite")
    return array


def _parsed(path: Path, content: np.ndarray) -> dict[str, Any]:
    try:
        header = json.loads(content.tobytes(), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: its header is no JSON: {error}") from None
    _require(isinstance(header, dict) and header.get("format") == FORMAT, path, f"not a {FORMAT}")
    version = header.get("version")
    _require(version == VERSION, path, f"its format is version {version!r}; this tinynet reads {VERSION}")
    kinds = {"layers": list, "dtype": str, "seed": int, "epoch": int, "notes": dict, "optimizer": dict}
    _check_kinds(path, header, kinds)
    _require(header["dtype"] in ("float32", "float64"), path, f"dtype must be a float, is {header['dtype']!r}")
    _require(header["epoch"] >= 0, path, f"epoch must be at least 0, is {header['epoch']}")
    if saved := header["optimizer"]:
        _require(saved.get("optimizer") in [*OPTIMIZERS], path, f"unknown optimizer {saved.get('optimizer')!r}")
        _check_kinds(path, saved, {"config": dict, "t": int}, "its optimizer is wrong: ")
        _require(0 <= saved["t"] < 2**53, path, f"its optimizer is wrong: t must be from 0 to 2^53, is {saved['t']}")
    return header


def _check_kinds(path: Path, header: dict[str, Any], kinds: dict[str, type], where: str = "") -> None:
    for name, kind in kinds.items():
        found = header.get(name)
        _require(type(found) is kind, path, f"{where}{name} must be {kind.__name__}, is {found!r}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _layers(path: Path, configs: list[Any], own: Sequence[type[Layer]]) -> list[Layer]:
    known = {kind.__name__: kind for kind in (*LAYERS, *own)}
    stack = []
    for config in configs:
        _require(isinstance(config, dict), path, f"a layer must be a JSON object, is {config!r}")
        name, counter = config.pop("layer", None), config.pop("counter", 0)
        _require(type(counter) is int and counter >= 0, path, f"a counter must be at least 0, is {counter!r}")
        known_names = ", ".join(known)
        _require(
            name in [*known], path, f"unknown layer {name!r}; known are {known_names}, others go into layers=[...]"
        )
        try:
            stack.append(known[name](**config))
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"{path}: {name} with {config}: {error}") from None
        stack[-1].counter = counter
    return stack


def _require(holds: Any, path: Path, cause: str) -> None:
    if not holds:
        raise ModelFileError(f"{path}: {cause}")
