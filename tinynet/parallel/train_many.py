"""Many trainings at once on any executor: processes of this machine, a cluster, MPI."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from ..network import Network
from ..optim import Optimizer
from ..training.fit import fit
from ..training.history import History, Record, shown
from .processes import Processes
from .progress_socket import Address, receiver, sender

if TYPE_CHECKING:
    from tqdm import tqdm

ATTEMPTS = 3
"""How many times a job is started in all, if its process dies."""


class Trained(NamedTuple):
    """network, history = job.train(callback): the result of a training. The network is on backend "numpy"."""

    network: Network
    history: History


@dataclass(frozen=True)
class Job:
    """One training, described so that any process can run it. All fields must be picklable.

    name       the label of its progress bar and of messages
    network    returns the network: partial(tn.mlp, 784, [48, 24], 10, seed=3)
    optimizer  returns the optimizer of a network: partial(tn.Adam, lr=0.001)
    data       returns (x, t), or (x, t, x_val, t_val) with validation data
    epochs     number of epochs
    settings   other arguments of `fit`: {"batch_size": 64, "patience": 3}

    `train_many` accepts any object with `name`, `epochs` and a method `train(callback)`. `train` raises what `fit`
    raises: ValueError or TypeError for bad input.
    """

    name: str
    network: Callable[[], Network]
    optimizer: Callable[[Network], Optimizer]
    data: Callable[[], tuple[Any, ...]]
    epochs: int
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def train(self, callback: Callable[[Record], None]) -> Trained:
        """Train the network, and call callback(record) after each epoch."""
        network = self.network()
        x, t, *validation = self.data()
        settings = {"validation": tuple(validation) or None, "progress": False, **self.settings}
        history = fit(network, self.optimizer(network), x, t, epochs=self.epochs, callbacks=[callback], **settings)
        return Trained(network.copy(backend="numpy"), history)


class Outcome(NamedTuple):
    """A finished job: result = job.train(callback), or the error that ended it."""

    job: Any
    result: Any = None
    error: BaseException | None = None


def train_many(
    jobs: Iterable[Any], executor: Any = None, *, side_by_side: int = 2, progress: bool | None = None
) -> Iterator[Outcome]:
    """Train all jobs, and yield the Outcome of each as soon as it has finished.

    executor      any object with `submit` as in concurrent.futures, such as a dask client's get_executor() or an
                  MPIPoolExecutor of mpi4py.futures; jobs are submitted in order. None: tn.Processes(side_by_side)
    side_by_side  number of processes without an executor
    progress      True, False, or None: progress bars in a terminal

    A job gives the same network as it would alone, bit for bit, wherever it runs. If the process of a job dies, the job
    is started again, at most twice. After that, or if the job raises an error, its Outcome holds the error, and the
    other jobs continue. When the iteration is left, for example by Ctrl-C, jobs that have not started are cancelled,
    and processes of this machine are ended.
    """
    jobs, events = list(jobs), SimpleQueue[tuple[int, Record | Future[Any]]]()
    bars = _Bars(jobs, sys.stderr.isatty() if progress is None else progress)
    with ExitStack() as stack:
        address = None
        if bars.wanted:
            address = stack.enter_context(receiver(lambda *event: events.put(event), executor is not None))
        if executor is None:
            executor = Processes(side_by_side)
            stack.callback(executor.close)
        stack.callback(bars.close)

        def start(k: int) -> Future[Any]:
            try:
                future: Future[Any] = executor.submit(_train, jobs[k], k, address)
            except BrokenExecutor as error:
                future = Future()
                future.set_exception(error)
            future.add_done_callback(lambda done: events.put((k, done)))
            return future

        running = {k: start(k) for k in range(len(jobs))}
        stack.callback(lambda: [future.cancel() for future in running.values()])
        attempts = dict.fromkeys(running, 1)
        while running:
            k, event = events.get()
            if isinstance(event, Record):
                bars.show(k, event)
                continue
            outcome = _outcome(jobs[k], event)
            if isinstance(outcome.error, BrokenExecutor) and attempts[k] < ATTEMPTS:
                attempts[k] += 1
                running[k] = start(k)
            else:
                del running[k]
                bars.finish(k)
                yield outcome


def _train(job: Any, k: int, address: Address | None) -> Any:
    with sender(k, address) as callback:
        return job.train(callback)


def _outcome(job: Any, future: Future[Any]) -> Outcome:
    try:
        return Outcome(job, future.result())
    except (Exception, CancelledError) as error:
        return Outcome(job, error=error)


class _Bars:
    """A progress bar for each running job, with its last epoch."""

    def __init__(self, jobs: list[Any], wanted: bool) -> None:
        self.jobs, self.wanted = jobs, wanted
        self.bars: dict[int, tqdm[Any]] = {}

    def show(self, k: int, record: Record) -> None:
        bar = self.bars.get(k) or self._new(k)
        known = [f"{name} {text}" for name in ("loss", "val_accuracy") if (text := shown(record, name))]
        bar.set_postfix_str(", ".join(known), refresh=False)
        bar.update(record.epoch - bar.n)

    def finish(self, k: int) -> None:
        if bar := self.bars.pop(k, None):
            bar.close()

    def close(self) -> None:
        for k in list(self.bars):
            self.finish(k)

    def _new(self, k: int) -> tqdm[Any]:
        from tqdm import tqdm

        taken = {abs(bar.pos) for bar in self.bars.values()}
        position = next(n for n in range(len(self.jobs)) if n not in taken)
        self.bars[k] = tqdm(
            total=self.jobs[k].epochs, desc=f"{self.jobs[k].name:>22}", position=position, leave=False, unit=" epochs"
        )
        return self.bars[k]
