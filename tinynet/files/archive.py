"""Reads and writes .npz files of vectors with a JSON header. Writing is atomic, and reading checks every claim."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np

from ..arrays.backend import Backend

if TYPE_CHECKING:
    from zipfile import ZipFile


T = TypeVar("T")


class ModelFileError(ValueError):
    """The ValueError for a network file that cannot be written or read. It names the file and the cause."""


def require(holds: Any, cause: str) -> None:
    """Raise ModelFileError(cause) unless `holds` is true."""
    if not holds:
        raise ModelFileError(cause)


@singledispatch
def access(backend: Backend, act: Callable[[], T]) -> T:
    """Return act(), which reads or writes the files of a network on this backend.

    `parallel/` registers another version for its backend.
    """
    return act()


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Prefix the message of a ModelFileError with the name of the file."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None


def write(path: Path, header: dict[str, Any], vectors: dict[str, Any]) -> None:
    """Write the file atomically. Raises ModelFileError if something cannot be saved; an old file is left unchanged."""
    text = sound_json(header, vectors)
    with writing(path) as file:
        np.savez(file, header=np.frombuffer(text, np.uint8), **vectors)


def sound_json(header: dict[str, Any], arrays: dict[str, Any]) -> bytes:
    """Return the header as JSON. Raises ModelFileError if the header or an array cannot be saved."""
    for name, array in arrays.items():
        require(np.isfinite(array).all(), f"{name} holds numbers that are not finite, and is not saved")
    try:
        return json.dumps(header, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the header cannot be written as JSON: {error}") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file atomically. Raises ModelFileError if it cannot be written."""
    with writing(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Do as `replacing`, but raise ModelFileErrors."""
    try:
        with replacing(path) as file:
            yield file
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot be written: {getattr(error, 'strerror', None) or error}") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when everything is written, and is removed after an error.

    An OSError names `path` instead of the temporary file.
    """
    part = path.parent / f".{path.name}.{os.urandom(4).hex()}.part"
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _write_through(path.parent)
    except OSError as error:
        if error.errno is not None:  # otherwise the error has its own message, which a file name would replace
            error.filename = str(path)
        raise
    finally:
        if part.exists():
            part.unlink()


def _write_through(folder: Path) -> None:
    """Flush the folder to disk, because a renamed file survives a power failure only after that."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[ZipFile]:
    """Open the archive for reading. Any error inside becomes a ModelFileError."""
    import zipfile  # here, to keep `import tinynet` fast

    with reading("an .npz file"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in names:
            require(names.count(name) == 1, f"{name} occurs twice")
        yield archive


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn errors inside into ModelFileErrors, because damaged files cause errors of many types."""
    try:
        yield
    except (ModelFileError, ImportError):
        raise
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}") from None
    except Exception as error:
        raise ModelFileError(f"not {what}, or damaged: {error}") from None


def read_header(archive: ZipFile) -> Any:
    """Return the header, unchecked except that it is JSON with finite numbers."""
    return from_json(read_vector(archive, "header", np.dtype(np.uint8)).tobytes())


def from_json(text: bytes | str) -> Any:
    """Return the parsed JSON. Raises ModelFileError if it is not JSON or holds numbers that are not finite."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its header is not JSON: {error}") from None


def read_vector(archive: ZipFile, name: str, dtype: np.dtype, size: int | None = None) -> np.ndarray:
    """Return one vector. The sizes that its header claims are checked before memory is allocated."""
    require(f"{name}.npy" in archive.namelist(), f"{name} is missing")
    info = archive.getinfo(f"{name}.npy")
    stored = info.compress_size == info.file_size and info.file_size <= os.path.getsize(archive.filename or "")
    require(stored, f"{name} is compressed, or larger than the file")
    with archive.open(info) as file:
        try:
            require(np.lib.format.read_magic(file) == (1, 0), f"{name} has an unknown .npy version")
            shape, _, found = np.lib.format.read_array_header_1_0(file)
        except (ValueError, SyntaxError) as error:
            raise ModelFileError(f"{name} is not an array: {error}") from None
        require(found == dtype, f"{name} must be {dtype}, is {found}")
        expected = shape if size is None else (size,)
        require(shape == expected, f"{name} must have the shape {expected} for these layers, has {shape}")
        content = file.read()
    require(shape == (len(content) / dtype.itemsize,), f"{name} is {len(content)} bytes, not {shape} {dtype}")
    vector = np.frombuffer(content, dtype)
    require(np.isfinite(vector).all(), f"{name} holds numbers that are not finite")
    return vector


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
