"""Threads that run one compiled loop together and wait for each other at barriers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .blas import one_blas_thread
from .functions import inner
from .intrinsics import add_one, offer_core, read_counter

SPINS = 2000
"""Reads of a counter before a thread offers its core to others: some microseconds, the usual wait at a barrier."""


def run_together(threads: int, work: Callable[[int], Any]) -> None:
    """Call work(rank) on that many threads at once. If one of them cannot start, none calls it.

    The main thread only waits, so that Ctrl-C waits until all threads are done.
    """
    gate = threading.Barrier(threads)

    def start(rank: int) -> None:
        gate.wait()
        work(rank)

    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        try:
            for future in [pool.submit(start, rank) for rank in range(threads)]:
                future.result()
        except BaseException:
            gate.abort()
            raise


@inner
def barrier(counter, threads, passed):
    """Wait until all threads have arrived here. `passed` barriers came before; return `passed + 1`."""
    if threads > 1:
        address = counter.ctypes.data
        add_one(address)
        spin_until(address, threads * (passed + 1), sys.maxsize)
    return passed + 1


@inner
def spin_until(address, number, most_reads):
    """Read the counter at the address until it has reached the number, at most `most_reads` times."""
    reads = 0
    while read_counter(address) < number and reads < most_reads:
        reads += 1
        if reads > SPINS:
            offer_core()
