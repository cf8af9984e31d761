"""Processes of this machine as an executor."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any


class Processes:
    """An executor of `count` processes of this machine, with one BLAS thread each: the default of `train_many`.

    If a process dies, only the call that it ran raises BrokenExecutor, and another process takes its place. All
    processes end with this one, at Ctrl-C, and at `close()`.
    """

    def __init__(self, count: int) -> None:
        self.threads = ThreadPoolExecutor(count)
        self.idle: SimpleQueue[ProcessPoolExecutor | None] = SimpleQueue()
        self.running: dict[ProcessPoolExecutor, int] = {}
        self.closed = False
        for _ in range(count):
            self.idle.put(None)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Return a future of function(*arguments)."""
        return self.threads.submit(self._call, function, arguments)

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        process = self.idle.get()
        try:
            process = process or self._start()
            if self.closed:
                raise BrokenExecutor("the processes are closed")
            return process.submit(function, *arguments).result()
        except BrokenExecutor:
            if process:
                del self.running[process]
                process.shutdown()
                process = None
            raise
        finally:
            self.idle.put(process)

    def _start(self) -> ProcessPoolExecutor:
        process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_set_up)
        _block_interrupts()
        self.running[process] = process.submit(os.getpid).result()
        return process

    def close(self) -> None:
        """End all processes, also those that are computing."""
        self.closed = True
        self.threads.shutdown(wait=False, cancel_futures=True)
        idle = {self.idle.get() for _ in range(self.idle.qsize())}
        for process, pid in list(self.running.items()):
            if process not in idle:
                with contextlib.suppress(OSError):  # it has ended already
                    os.kill(pid, signal.SIGTERM)
        self.threads.shutdown()
        for process in self.running:
            process.shutdown()


def _block_interrupts(block: bool = True) -> None:
    """Block SIGINT in this thread and in processes that it starts: before `_set_up` they would print a traceback."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK if block else signal.SIG_UNBLOCK, {signal.SIGINT})


def _set_up() -> None:
    """Use one BLAS thread, and end silently at Ctrl-C and when the parent process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _block_interrupts(False)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
