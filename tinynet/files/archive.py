"""An .npz of vectors with a JSON header: written whole or not at all, and believed nothing when it is read."""

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
    """The ValueError of a file that cannot be written or read as a network; it names the file and the cause."""


def require(holds: Any, cause: str) -> None:
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
    """Puts the file's name in front of what a ModelFileError says."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None


def write(path: Path, header: dict[str, Any], vectors: dict[str, Any]) -> None:
    """Under another name first, then renamed. ModelFileError, with the file on disk as it was, for what is unsound."""
    text = sound_json(header, vectors)
    with writing(path) as file:
        np.savez(file, header=np.frombuffer(text, np.uint8), **vectors)


def sound_json(header: dict[str, Any], arrays: dict[str, Any]) -> bytes:
    """The header as JSON; ModelFileError where it, or one of the arrays that go with it, cannot be saved."""
    for name, array in arrays.items():
        require(np.isfinite(array).all(), f"{name} holds numbers that are not finite, and is not saved")
    try:
        return json.dumps(header, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the header cannot be written as JSON: {error}") from None


def write_bytes(path: Path, content: bytes) -> None:
    with writing(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """`replacing`, with ModelFileErrors."""
    try:
        with replacing(path) as file:
            yield file
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot be written: {getattr(error, 'strerror', None) or error}") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` when all is written, and else is gone.

    An OSError names `path`: by itself it would name the other file, or, where the disk is full, none.
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
        if error.errno is not None:  # else it is a library's own sentence, which a name would replace
            error.filename = str(path)
        raise
    finally:
        if part.exists():
            part.unlink()


def _write_through(folder: Path) -> None:
    """A new name, too, outlives a loss of power only once its folder is on the disk."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[ZipFile]:
    """The archive to read from; whatever goes wrong with it, or with what is made of it, is a ModelFileError."""
    import zipfile  # here, because it takes an eighth of the time that importing tinynet took

    with reading("an .npz file"), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in names:
            require(names.count(name) == 1, f"{name} is there twice")
        yield archive


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever goes wrong inside is a ModelFileError: a damaged file has errors of a dozen kinds for an answer."""
    try:
        yield
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}") from None
    except Exception as error:
        raise ModelFileError(f"not {what}, or damaged: {error}") from None


def read_header(archive: ZipFile) -> Any:
    return from_json(read_vector(archive, "header", np.dtype(np.uint8)).tobytes())


def from_json(text: bytes | str) -> Any:
    """What the text says; ModelFileError where it is no JSON, or holds numbers that are not finite."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its header is no JSON: {error}") from None


def read_vector(archive: ZipFile, name: str, dtype: np.dtype, size: int | None = None) -> np.ndarray:
    """One vector. What its own header claims is held against what is there before it is read."""
    require(f"{name}.npy" in archive.namelist(), f"{name} is missing")
    info = archive.getinfo(f"{name}.npy")
    stored = info.compress_size == info.file_size and info.file_size <= os.path.getsize(archive.filename or "")
    require(stored, f"{name} is packed, or larger than the file")
    with archive.open(info) as file:
        try:
            require(np.lib.format.read_magic(file) == (1, 0), f"{name} is of an unknown .npy version")
            shape, _, found = np.lib.format.read_array_header_1_0(file)
        except (ValueError, SyntaxError) as error:
            raise ModelFileError(f"{name} is no array: {error}") from None
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
        raise ValueError(f"{text} is no finite number")
    return number
