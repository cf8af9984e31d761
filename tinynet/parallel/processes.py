"""The executor that is used where none is named: processes of this machine."""

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
    """`submit` as in concurrent.futures, on so many processes with one BLAS thread each.

    Each of them stands for itself: one that dies takes the job that it had with it, a BrokenExecutor, and another is
    started in its place. They end with this process, and at Ctrl-C.
    """

    def __init__(self, count: int) -> None:
        self.threads = ThreadPoolExecutor(count)
        self.idle: SimpleQueue[ProcessPoolExecutor | None] = SimpleQueue()
        self.running: dict[ProcessPoolExecutor, int] = {}
        self.stopping = False
        for _ in range(count):
            self.idle.put(None)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """The result of function(*arguments), to come."""
        return self.threads.submit(self._in_process, function, arguments)

    def _in_process(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        process = self.idle.get()
        try:
            process = process or self._started()
            if self.stopping:
                raise BrokenExecutor("processes are no longer wanted")
            return process.submit(function, *arguments).result()
        except BrokenExecutor:
            process = None
            raise
        finally:
            self.idle.put(process)

    def _started(self) -> ProcessPoolExecutor:
        process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_set_up)
        _hold_interrupts()
        self.running[process] = process.submit(os.getpid).result()
        return process

    def stop(self) -> None:
        """Ends all processes, whatever they are doing."""
        self.stopping = True
        self.threads.shutdown(wait=False, cancel_futures=True)
        idle = {self.idle.get() for _ in range(self.idle.qsize())}
        for process, pid in list(self.running.items()):
            if process not in idle:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        self.threads.shutdown()
        for process in self.running:
            process.shutdown()


def _hold_interrupts(hold: bool = True) -> None:
    """In this thread, and in processes that it starts until they are set up: before, they would not end silently."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK if hold else signal.SIG_UNBLOCK, {signal.SIGINT})


def _set_up() -> None:
    """One BLAS thread, and a silent end at Ctrl-C and when the process that trains is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _hold_interrupts(False)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
