"""Many networks trained at once, on whatever runs functions: processes, a cluster, MPI."""

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
from .reports import Address, listening, reporting

if TYPE_CHECKING:
    from tqdm import tqdm

ATTEMPTS = 3
"""How often a job is begun whose process dies."""


class Trained(NamedTuple):
    """network, history = job.train(tell): what a training made; the network is on "numpy", which every machine has."""

    network: Network
    history: History


@dataclass(frozen=True)
class Job:
    """One training, described so that any process can do it: all of this can be pickled.

    name       what it is called
    network    makes the network: partial(tn.mlp, 784, [48, 24], 10, seed=3)
    optimizer  makes its optimizer: partial(tn.Adam, lr=0.001)
    data       gives x and t to train on, and if there are any x and t to validate with
    epochs     for how long
    settings   what else `fit` takes: {"batch_size": 64, "patience": 3}

    `train_many` takes any object that has a `name`, `epochs` and such a `train`, which raises what `fit` raises: a
    ValueError or TypeError for bad input.
    """

    name: str
    network: Callable[[], Network]
    optimizer: Callable[[Network], Optimizer]
    data: Callable[[], tuple[Any, ...]]
    epochs: int
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def train(self, tell: Callable[[Record], None]) -> Trained:
        """Trains, and tells of each epoch."""
        network = self.network()
        x, t, *validation = self.data()
        settings = {"validation": tuple(validation) or None, "progress": False, **self.settings}
        history = fit(network, self.optimizer(network), x, t, epochs=self.epochs, callbacks=[tell], **settings)
        return Trained(network.copy(backend="numpy"), history)


class Outcome(NamedTuple):
    """A job that has ended: result = job.train(tell), or the error that it raised or that its process died of."""

    job: Any
    result: Any = None
    error: BaseException | None = None


def train_many(
    jobs: Iterable[Any], executor: Any = None, *, side_by_side: int = 2, progress: bool | None = None
) -> Iterator[Outcome]:
    """Trains all jobs, and yields the Outcome of each as soon as it has ended.

    executor      anything with `submit` as in concurrent.futures, where jobs are begun in their order: a dask client's
                  get_executor(), an MPIPoolExecutor of mpi4py.futures; None: processes of this machine, with one
                  BLAS thread each
    side_by_side  how many of those
    progress      True, False, or None: bars in a terminal

    A job is trained as it would be alone, bit for bit, wherever it runs. One whose process dies is begun again, twice;
    then, or when it raises, its Outcome holds the error, and the others go on. When the iteration is left, as by
    Ctrl-C, jobs that have not begun are cancelled, and processes of this machine ended.
    """
    jobs, events = list(jobs), SimpleQueue[tuple[int, Record | Future[Any]]]()
    bars = _Bars(jobs, sys.stderr.isatty() if progress is None else progress)
    with ExitStack() as stack:
        address = None
        if bars.wanted:
            address = stack.enter_context(listening(lambda *report: events.put(report), executor is not None))
        if executor is None:
            executor = Processes(side_by_side)
            stack.callback(executor.close)
        stack.callback(bars.close)

        def begin(k: int) -> Future[Any]:
            try:
                future: Future[Any] = executor.submit(_train, jobs[k], k, address)
            except BrokenExecutor as error:
                future = Future()
                future.set_exception(error)
            future.add_done_callback(lambda done: events.put((k, done)))
            return future

        begun = {k: begin(k) for k in range(len(jobs))}
        stack.callback(lambda: [future.cancel() for future in begun.values()])
        attempts = dict.fromkeys(begun, 1)
        while begun:
            k, event = events.get()
            if isinstance(event, Record):
                bars.show(k, event)
                continue
            outcome = _outcome(jobs[k], event)
            if isinstance(outcome.error, BrokenExecutor) and attempts[k] < ATTEMPTS:
                attempts[k] += 1
                begun[k] = begin(k)
            else:
                del begun[k]
                bars.finish(k)
                yield outcome


def _train(job: Any, k: int, address: Address | None) -> Any:
    with reporting(k, address) as tell:
        return job.train(tell)


def _outcome(job: Any, future: Future[Any]) -> Outcome:
    try:
        return Outcome(job, future.result())
    except (Exception, CancelledError) as error:
        return Outcome(job, error=error)


class _Bars:
    """A bar for each job that runs, with its last epoch."""

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
        place = next(n for n in range(len(self.jobs)) if n not in taken)
        self.bars[k] = tqdm(
            total=self.jobs[k].epochs, desc=f"{self.jobs[k].name:>22}", position=place, leave=False, unit=" epochs"
        )
        return self.bars[k]
