"""A pool of threads that share the rows of one function: `parallel_for` outside compiled code, `own_rows` inside."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from .barrier import SPINS, spin_until
from .functions import generator
from .intrinsics import add_one
from .thread_count import most_threads

CHUNKS = 8
"""Chunks into which rows are cut. It does not depend on the number of threads, so that sums are equal bit for bit."""

MOST_READS = SPINS + 300
"""Reads of the counter, a fifth of a millisecond, in which a thread waits for the next call before it sleeps."""

_WORD = 8
"""Bytes of a counter."""


class Call(NamedTuple):
    """One call of `parallel_for`, as one of its threads sees it.

    `counters` are the chunks that were taken and the chunks that are done, `last_call` is the number of the pool's
    last call.
    """

    counters: np.ndarray
    number: int
    last_call: np.ndarray
    is_caller: bool


def parallel_for(work: Callable[..., Any], *arrays: Any) -> None:
    """Call work(*arrays, call) on all threads at once. They share the rows through `own_chunks` or `own_rows`."""
    _pool_of(os.getpid()).call(partial(work, *arrays))


@generator
def own_chunks(rows, call):
    """Yield (chunk, first row, end) for each chunk that this thread takes; it takes the next when it is done with one.

    The caller returns when all chunks are done; it does not wait for a thread that arrives after the last was taken.
    The other threads wait here for the next call, because in Python they would hold the lock that the caller needs.
    """
    count, taken = min(CHUNKS, rows), call.counters.ctypes.data
    done = taken + _WORD
    if call.is_caller:
        call.last_call[0] = call.number
    chunk = add_one(taken)
    while chunk < count:
        yield chunk, rows * chunk // count, rows * (chunk + 1) // count
        add_one(done)
        chunk = add_one(taken)
    if call.is_caller:
        spin_until(done, count, sys.maxsize)
    else:
        spin_until(call.last_call.ctypes.data, call.number + 1, MOST_READS)


@generator
def own_rows(rows, call):
    """Yield each row of the chunks that this thread takes."""
    for _, first, end in own_chunks(rows, call):
        for n in range(first, end):  # noqa: UP028 - Numba does not support "yield from"
            yield n


class _Pool:
    """Threads that help the caller. An idle thread first spins, because waking it takes longer than most work.

    Each call has its own counters and arrays, so that an interrupted call does not disturb the next.
    """

    def __init__(self, threads: int) -> None:
        self.number, self.last_call, self.is_free = 0, np.zeros(1, np.int64), threading.Lock()
        self.queues: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(threads)]
        for queue in self.queues:
            threading.Thread(target=_serve, args=(queue,), daemon=True).start()

    def call(self, work: Callable[[Call], Any]) -> None:
        """Do the work on this thread and all of the pool; on this thread alone if the pool is busy."""
        counters = np.zeros(2, np.int64)
        if not self.is_free.acquire(blocking=False):
            work(Call(counters, 0, np.zeros(1, np.int64), True))
            return
        try:
            self.number += 1
            helpers_call = Call(counters, self.number, self.last_call, False)
            for queue in self.queues:
                queue.put((work, helpers_call))
            work(helpers_call._replace(is_caller=True))
        finally:
            self.is_free.release()


def _serve(queue: SimpleQueue[Any]) -> None:
    """Work forever. A thread that runs out of memory before it has begun leaves the chunks to the others."""
    while True:
        work, call = queue.get()
        with suppress(MemoryError):
            work(call)
        del work, call


@cache
def _pool_of(process: int) -> _Pool:
    """Return the pool of a process: a forked process starts its own threads."""
    return _Pool(most_threads() - 1)
