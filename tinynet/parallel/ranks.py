"""Checks that all ranks make the same call, and that an error on one rank ends all ranks."""

from __future__ import annotations

import atexit
import contextlib
import sys
import time
from types import TracebackType
from typing import Any

_joined: list[Any] = []
"""Communicators whose ranks end together."""

DELAY = 0.5
"""Seconds in which mpiexec prints the last error message. Abort discards messages that are not printed yet."""


def agree(comm: Any, what: str, facts: dict[str, Any]) -> None:
    """Raise ValueError on every rank if the ranks differ in their call `what`, the version, or one of the facts."""
    mine = {"call": what, "version": sys.modules["tinynet"].__version__, **facts}
    everyone = comm.allgather(mine)
    for name, value in everyone[0].items():
        for rank, theirs in enumerate(everyone):
            if (other := theirs.get(name, "nothing")) != value:
                raise ValueError(
                    f"data_parallel: all ranks must train the same network on the same data, but rank {rank} of "
                    f"{comm.size} differs from rank 0 in {name}: {other}, not {value}"
                )


def end_together(comm: Any) -> None:
    """Make an error on this rank end all ranks. At exit, report other ranks that still wait for this one."""
    if comm.size == 1 or any(comm == known for known in _joined):
        return
    _joined.append(comm)
    show = sys.excepthook

    def show_and_end_all(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        show(kind, error, trace)
        print(
            f"rank {comm.rank} of {comm.size} ended with {kind.__name__}, and all ranks end with it: {error}",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(DELAY)
        comm.Abort(1)

    def leave() -> None:
        with contextlib.suppress(ValueError):  # the waiting ranks raise it too
            agree(comm, "the end of the program", {})

    sys.excepthook = show_and_end_all
    atexit.register(leave)
