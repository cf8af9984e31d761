"""What the examples share at a command line: errors in one line, whole files, options, executors that have a name."""

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
from tinynet.files.archive import replacing


def status_of(main: Callable[[], int]) -> int:
    """Runs main: its status, or that of an error, which is told in a line on stderr."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lead_closed_streams_nowhere()
    try:
        status = main()
        sys.stdout.flush()  # what cannot be printed is an error like others, and would not be one after the end
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # who read this has read enough, as `head` has
        return 128 + 13  # a shell's number for what SIGPIPE ended
    except (tn.ModelFileError, tn.data.DataError, ImportError, OSError, MemoryError, BrokenExecutor) as error:
        return stop(f"error: {cause(error)}", 2)
    return status


def stop(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


def write(path: Path, content: str | bytes) -> None:
    """All of it, or the file stays as it was."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def cause(error: Exception) -> str:
    """What went wrong, with the name of the file that it went wrong with."""
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def lead_closed_streams_nowhere() -> None:
    """Under `>&-` there is nothing to print to, and the next file to be opened would take the number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "w"))


def positive(text: str) -> int:
    """An option's type: a whole number of at least 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def executor_name(text: str) -> str:
    """An option's type: the text, if `executor_named` knows it."""
    if text not in ("processes", "mpi") and not text.startswith("dask://"):
        raise argparse.ArgumentTypeError(f"expected processes, mpi or dask://host:port, got {text!r}")
    return text


@contextlib.contextmanager
def executor_named(name: str, *modules: str) -> Iterator[Any]:
    """What trains the networks: "processes" of this machine (None), "mpi", or "dask://host:port".

    Dask's workers are sent the files of the modules in which the jobs' classes are.
    """
    kind, _, address = name.partition("://")
    if kind == "dask":
        from distributed import Client

        with Client(f"tcp://{address}") as client, client.get_executor() as executor:
            for module in modules:
                client.upload_file(module)
            yield executor
    elif kind == "mpi":
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as executor:
            yield executor
    else:
        yield None
