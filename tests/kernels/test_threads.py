"""The thread pool of the numba backend: every row is computed once, whatever happens. And reuse of array memory."""

import multiprocessing
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("numba")

import tinynet.kernels.numba.thread_pool as thread_pool_module
from tinynet.kernels.numba import memory
from tinynet.kernels.numba.functions import jit
from tinynet.kernels.numba.thread_pool import CHUNKS, own_chunks, own_rows, parallel_for


@jit
def count_rows(seen, call):
    for n in own_rows(len(seen), call):
        seen[n] += 1


@jit
def write_chunks(found, call):
    for chunk, first, end in own_chunks(len(found), call):
        found[first:end] = chunk


@pytest.fixture(params=[1, 2, 4], ids="{} threads".format)
def threads(request, monkeypatch):
    """A pool of this many threads that no other test uses."""
    pool = thread_pool_module._Pool(request.param - 1)
    monkeypatch.setattr(thread_pool_module, "_pool_of", lambda process: pool)
    return request.param


@pytest.mark.parametrize("rows", [0, 1, 3, CHUNKS, 1000])
def test_every_row_is_done_once(threads, rows):
    for _ in range(50):
        seen = np.zeros(rows, int)
        parallel_for(count_rows, seen)
        assert (seen == 1).all()


@pytest.mark.parametrize("rows", [1, 5, CHUNKS, 100])
def test_chunks_are_the_same_on_any_number_of_threads(threads, rows):
    found = np.full(rows, -1)
    parallel_for(write_chunks, found)
    assert sorted(found) == list(found)
    assert len(set(found)) == min(rows, CHUNKS)
    assert np.ptp(np.bincount(found)) <= 1


def test_other_threads_take_the_rows_of_a_thread_that_runs_out_of_memory(threads):
    caller = threading.current_thread()

    def count_here_alone(seen, call):
        if threading.current_thread() is not caller:
            raise MemoryError("no room")
        count_rows(seen, call)

    for work in (count_here_alone, count_rows):
        seen = np.zeros(100, int)
        parallel_for(work, seen)
        assert (seen == 1).all()


def test_the_caller_does_not_wait_for_a_thread_that_arrives_late(threads):
    caller, may_begin, late = threading.current_thread(), threading.Event(), []

    def count_late(seen, call):
        if threading.current_thread() is not caller:
            may_begin.wait(60)
            late.append(threading.current_thread())
        count_rows(seen, call)

    seen = np.zeros(100, int)
    parallel_for(count_late, seen)
    assert (seen == 1).all()
    assert not late
    may_begin.set()
    deadline, calls = time.monotonic() + 60, 1
    while len(late) < threads - 1 and time.monotonic() < deadline:
        parallel_for(count_rows, seen)
        calls += 1
    assert len(late) == threads - 1
    assert (seen == calls).all()


def test_an_interrupted_call_does_not_disturb_the_next(threads):
    def interrupt(seen, call):
        if call.is_caller:
            raise KeyboardInterrupt
        count_rows(seen, call)

    left = np.zeros(100, int)
    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            parallel_for(interrupt, left)
        seen = np.zeros(100, int)
        parallel_for(count_rows, seen)
        assert (seen == 1).all()


def test_several_threads_of_a_program_can_call_at_once(threads):
    results = [np.zeros(1000, int) for _ in range(6)]

    def call_often(seen):
        for _ in range(200):
            parallel_for(count_rows, seen)

    callers = [threading.Thread(target=call_often, args=(seen,)) for seen in results]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((seen == 200).all() for seen in results)


def count_here(connection):
    seen = np.zeros(100, int)
    parallel_for(count_rows, seen)
    connection.send((seen.tolist(), threading.active_count()))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_starts_its_own_threads():
    parallel_for(count_rows, np.zeros(100, int))
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=count_here, args=(there,))
    process.start()
    assert here.poll(60), "the forked process did not finish within 60 seconds"
    assert here.recv() == ([1] * 100, thread_pool_module.most_threads())
    process.join()


# ------------------------------------------------------------------------------------------------ memory


@pytest.fixture
def empty():
    memory._free.clear()
    return memory.empty


LARGE = (memory.SMALL,)


def test_an_array_reuses_the_memory_of_a_deleted_one(empty):
    first = empty(LARGE, np.float32)
    address = first.ctypes.data
    assert address % memory.LINE == 0
    assert first.shape == LARGE
    assert first.dtype == np.float32
    del first
    second, third = empty((LARGE[0] // 4, 4), np.float32), empty(LARGE, np.float32)
    assert second.ctypes.data == address
    assert not np.shares_memory(second, third)


def test_memory_is_not_reused_while_a_view_of_it_exists(empty):
    view = empty(LARGE, np.float32)[5:10].T
    view[...] = 7
    other = empty(LARGE, np.float32)
    other[...] = 1
    assert (view == 7).all()
    assert not np.shares_memory(view, other)


def test_the_memory_kept_for_reuse_is_limited(empty, monkeypatch):
    monkeypatch.setattr(memory, "MOST", 10 * 4 * LARGE[0])
    for size in range(30):
        empty((LARGE[0] + size,), np.float32)
    held = sum(size * len(arrays) for size, arrays in memory._free.items())
    assert 0 < held <= memory.MOST


def test_small_arrays_come_from_numpy(empty):
    assert empty((4, 3), np.float64).base is None
