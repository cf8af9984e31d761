"""Helpers for the command lines of the examples: one-line errors, whole files, option types, executors by name."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import tinynet as tn


def status_of(main: Callable[[], int]) -> int:
    """Call main. Return its exit status, or that of an error, which is printed in one line on stderr."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    open_closed_streams()
    try:
        status = main()
        sys.stdout.flush()  # here, because a failed flush at exit could not be reported
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has ended, for example `head`
        return 128 + 13  # the status that a shell gives to a program ended by SIGPIPE
    except (tn.ModelFileError, tn.data.DataError, ImportError, OSError, MemoryError, BrokenExecutor) as error:
        return stop(f"error: {cause(error)}", 2)
    return status


def stop(message: str, status: int) -> int:
    """Print the message on stderr, and return the status."""
    print(message, file=sys.stderr)
    return status


def write(path: Path, content: str | bytes) -> None:
    """Write the whole file, or leave the old one unchanged. An OSError names `path`."""
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        with open(part, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def cause(error: Exception) -> str:
    """Return the message of an error, with the name of the file that it concerns."""
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def open_closed_streams() -> None:
    """Open closed standard streams on the null device; otherwise the next file opened would take their number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "w"))


def positive(text: str) -> int:
    """Return the text as an integer. Raises ArgumentTypeError unless it is at least 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def executor_name(text: str) -> str:
    """Return the text. Raises ArgumentTypeError if `executor_named` does not know it."""
    if text not in ("processes", "mpi") and not text.startswith("dask://"):
        raise argparse.ArgumentTypeError(f"expected processes, mpi or dask://host:port, got {text!r}")
    return text


@contextlib.contextmanager
def executor_named(name: str, module: str) -> Iterator[Any]:
    """Yield the executor for tn.train_many: "processes" of this machine (None), "mpi", or "dask://host:port".

    Dask's workers receive the file `module`, whose functions the jobs call. MPI's workers get one BLAS thread each, as
    the processes of this machine have.
    """
    kind, _, address = name.partition("://")
    if kind == "dask":
        from distributed import Client

        with Client(f"tcp://{address}") as client, client.get_executor() as executor:
            client.upload_file(module)
            yield executor
    elif kind == "mpi":
        from mpi4py.futures import MPIPoolExecutor
        from threadpoolctl import threadpool_limits

        with MPIPoolExecutor(initializer=threadpool_limits, initargs=(1, "blas")) as executor:
            yield executor
    else:
        yield None
