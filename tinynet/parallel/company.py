"""Processes that go together: they find out before the first step that they differ, and end together."""

from __future__ import annotations

import atexit
import contextlib
import sys
import time
from types import TracebackType
from typing import Any

_joined: list[Any] = []
"""The communicators whose processes end together."""


WAY = 0.5
"""Seconds that the last words need on their way through mpiexec, which forgets what it holds when all are ended."""


def agree(comm: Any, what: str, facts: dict[str, Any]) -> None:
    """ValueError on every process, with the fact and the process, where one does something else, or differs in it."""
    mine = {"call": what, "version": sys.modules["tinynet"].__version__, **facts}
    everyone = comm.allgather(mine)
    for name, value in everyone[0].items():
        for rank, theirs in enumerate(everyone):
            if (other := theirs.get(name, "nothing")) != value:
                raise ValueError(
                    f"across: processes must train the same network on the same data, but process {rank + 1} of "
                    f"{comm.size} differs from the first in {name}: {other}, not {value}"
                )


def end_together(comm: Any) -> None:
    """From now on an error that ends this process ends all, and none leaves while others wait for it in a training."""
    if comm.size == 1 or any(comm == known for known in _joined):
        return
    _joined.append(comm)
    show = sys.excepthook

    def show_and_end_all(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        show(kind, error, trace)
        print(
            f"process {comm.rank + 1} of {comm.size} ended with {kind.__name__}, and with it all: {error}",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(WAY)
        comm.Abort(1)

    def leave() -> None:
        with contextlib.suppress(ValueError):  # who waits says so
            agree(comm, "the end of the program", {})

    sys.excepthook = show_and_end_all
    atexit.register(leave)
