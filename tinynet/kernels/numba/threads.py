"""Threads of our own inside compiled code: matrix products of NumPy's BLAS on one thread each, and where they meet.

OpenBLAS's own threads wait for each other by spinning: beside another busy program a step took eight times as long.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from queue import SimpleQueue
from typing import Any

import numpy as np
from llvmlite import binding
from numba import types
from numba.core import config
from threadpoolctl import ThreadpoolController

from .functions import generator, inner
from .intrinsics import add_one, offer_core, read_counter

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
"""CBLAS's names for how a matrix lies in memory."""

SPINS = 2000
"""Looks at the counter before a thread offers its core to others: some microseconds, as long as a meeting lasts."""
PATIENCE = SPINS + 300
"""Looks for a next call before a thread sleeps: a fifth of a millisecond."""


# ----------------------------------------------------------------------------------------------- BLAS


@cache
def blas() -> ThreadpoolController:
    return ThreadpoolController().select(internal_api="openblas")


def _sgemm_address() -> int | None:
    """Where NumPy's OpenBLAS keeps cblas_sgemm with 64-bit sizes; None for another BLAS."""
    for library in blas().lib_controllers:
        function = getattr(ctypes.CDLL(library.filepath), "scipy_cblas_sgemm64_", None)
        if function:
            return ctypes.cast(function, ctypes.c_void_p).value
    return None


_ADDRESS = _sgemm_address()
HAS_BLAS = _ADDRESS is not None and hasattr(os, "sched_yield")
binding.add_symbol("tinynet_sgemm", _ADDRESS or 0)
_int, _long, _number, _pointer = types.int32, types.int64, types.float32, types.intp
_matrix = _pointer, _long
_sgemm = types.ExternalFunction(
    "tinynet_sgemm",
    types.void(_int, _int, _int, _long, _long, _long, _number, *_matrix, *_matrix, _number, *_matrix),
)


@inner
def product(a_turned, b_turned, sizes, a, a_row, b, b_row, out, out_row):
    """out = a b, sizes (rows, columns, terms); each a vector from its first number on, and the length of its rows."""
    rows, columns, terms = sizes
    a_lies, b_lies = TRANSPOSED if a_turned else PLAIN, TRANSPOSED if b_turned else PLAIN
    one, zero = np.float32(1), np.float32(0)
    a_at, b_at, out_at = a.ctypes.data, b.ctypes.data, out.ctypes.data
    _sgemm(ROW_MAJOR, a_lies, b_lies, rows, columns, terms, one, a_at, a_row, b_at, b_row, zero, out_at, out_row)


# -------------------------------------------------------------------------------------------- threads


def most_threads() -> int:
    """A power of two, at most eight and NUMBA_NUM_THREADS, which is the cores of this process unless set."""
    cores: int = vars(config)["NUMBA_NUM_THREADS"]
    return 1 << min(cores, 8).bit_length() - 1


def together(threads: int, work: Callable[[int], Any]) -> None:
    """work(rank) on so many threads at once, or on none. None is the main one, so that Ctrl-C waits for all."""
    gate = threading.Barrier(threads)

    def start(rank: int) -> None:
        gate.wait()
        work(rank)

    with blas().limit(limits=1), ThreadPoolExecutor(threads) as pool:
        try:
            for future in [pool.submit(start, rank) for rank in range(threads)]:
                future.result()
        except BaseException:
            gate.abort()
            raise


PARTS = 8
"""Into how many parts rows are cut, whatever the number of threads: sums of parts are then the same in every bit."""

Call = tuple[np.ndarray, np.ndarray, bool]
"""Parts taken, parts done and the call's number; the number of the last call; whether this thread is who called."""
_WORD = 8


def in_parts(work: Callable[..., Any], *arrays: Any) -> None:
    """work(*arrays, call) on all threads at once, which share the rows out by `parts` or `shared`."""
    _crew(os.getpid()).call(partial(work, *arrays))


@generator
def parts(rows, call):
    """(part, first row, row behind its last) for each of at most PARTS parts; who is done with one takes the next.

    Who comes too late finds none, and is not waited for. No thread comes back to Python before all is done: for its
    lock others would have to wait, asleep.
    """
    counters, last_call, leads = call
    count, taken, number = min(PARTS, rows), counters.ctypes.data, counters[2]
    if leads:
        last_call[0] = number
    part = add_one(taken)
    while part < count:
        yield part, rows * part // count, rows * (part + 1) // count
        add_one(taken + _WORD)
        part = add_one(taken)
    if leads:
        _watch(taken + _WORD, count, sys.maxsize)
    else:
        _watch(last_call.ctypes.data, number + 1, PATIENCE)


@generator
def shared(rows, call):
    """The rows of this thread's parts."""
    for _, first, last in parts(rows, call):
        for n in range(first, last):  # noqa: UP028 - Numba knows no "yield from"
            yield n


@inner
def _watch(address, number, patience):
    """Looks at the counter until it has come to the number, so many times at most."""
    looks = 0
    while read_counter(address) < number and looks < patience:
        looks += 1
        if looks > SPINS:
            offer_core()


class _Crew:
    """Threads that help. Who is done looks for the next call before it sleeps: to be woken takes longer than most work.

    Each call has its own counters and arrays: one that is left, as by Ctrl-C, disturbs no other.
    """

    def __init__(self, threads: int) -> None:
        self.number, self.last_call, self.is_free = 0, np.zeros(1, np.int64), threading.Lock()
        self.tasks: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(threads)]
        for tasks in self.tasks:
            threading.Thread(target=_serve, args=(tasks,), daemon=True).start()

    def call(self, work: Callable[[Call], Any]) -> None:
        """All do the work, this thread too; this one alone if the others are at another's."""
        if not self.is_free.acquire(blocking=False):
            return work((np.zeros(3, np.int64), np.zeros(1, np.int64), True))
        try:
            self.number += 1
            counters = np.array([0, 0, self.number])
            for tasks in self.tasks:
                tasks.put((work, (counters, self.last_call, False)))
            work((counters, self.last_call, True))
        finally:
            self.is_free.release()


def _serve(tasks: SimpleQueue[Any]) -> None:
    """Works for ever. Who has no memory to begin with leaves the parts to the others."""
    while True:
        work, call = tasks.get()
        with suppress(MemoryError):
            work(call)
        del work, call


@cache
def _crew(process: int) -> _Crew:
    """A process that was forked starts its own."""
    return _Crew(most_threads() - 1)


class Pace:
    """Which number of threads takes least time a row: each is tried, and again the longer ago that was."""

    FORGETTING = 0.8

    def __init__(self) -> None:
        numbers = [2**k for k in reversed(range(most_threads().bit_length()))]
        self.seconds = dict.fromkeys(numbers, math.inf)
        self.hoped = dict.fromkeys(numbers, 0.0)

    def next(self) -> tuple[int, bool]:
        """A number of threads, at first the largest, and whether it is only tried: another was faster when measured."""
        threads = min(self.hoped, key=lambda number: self.hoped[number])
        return threads, self.seconds[threads] > min(self.seconds.values())

    @contextmanager
    def timed(self, threads: int, rows: int) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.hoped = {number: self.FORGETTING * seconds for number, seconds in self.hoped.items()}
        self.seconds[threads] = self.hoped[threads] = (time.perf_counter() - start) / rows


@inner
def meet(counter, threads, meetings):
    """Waits until all threads have come here, after so many meetings before."""
    if threads == 1:
        return
    address = counter.ctypes.data
    add_one(address)
    looks = 0
    while read_counter(address) < threads * (meetings + 1):
        looks += 1
        if looks > SPINS:
            offer_core()
