"""One training over many processes: each takes its share of every batch, and their gradients are summed.

    grad = sum over processes of N_p / N grad_p        N_p of the N rows of a batch; Goyal et al. 2017, section 3

So P processes compute what one computes, up to the order in which numbers are added.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from ..arrays.checksum import checksum
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from ..training import evaluation
from ..training.progress import Progress
from .company import agree, end_together
from .sums import sum_for

if TYPE_CHECKING:
    from tqdm import tqdm

Totals = tuple[int, Array, Array]
"""Rows, their summed loss, their right answers."""

ROWS_AT_ONCE = 4096
"""Rows of a batch or more between two sums of the loss: it is only looked at, and should not cost a message a step."""


def across(comm: Any, backend: str | Backend = "auto", *, sharded: bool = False) -> Backend:
    """A backend on which all processes of an MPI communicator train one network together.

    comm     mpi4py's MPI.COMM_WORLD, or a part of it; each process makes the same network and calls the same functions
    backend  what each of them computes with; for "cupy" each process of a machine takes a GPU of its own
    sharded  False: each process hands in the same rows, and works on its share of each batch.
             True: each hands in rows of its own; a batch takes from each in proportion to what it has

    theta and what `fit` and `evaluate` return are equal on all processes, in every bit on machines of one kind. Dropout
    masks are those of the whole batch; statistics that a layer takes of its batch are those of a share, and buffers
    their mean after each epoch. The first process shows the bar, and writes files; an error on one ends all. Functions
    other than `fit` and `evaluate` compute alike on each. Raises TypeError for what is no communicator, and ValueError,
    before the first step, where processes have other data, seeds, layers, settings or versions.
    """
    if not hasattr(comm, "Allreduce"):
        raise TypeError(f"across takes a communicator of mpi4py, as MPI.COMM_WORLD is; got {comm!r}")
    place = _place_of_this_process(comm, get_backend(backend))
    team = Team(comm, place, sharded)
    end_together(comm)
    return replace(
        place,
        ops=SimpleNamespace(**vars(place.ops) | {"dropout": team.dropout}),
        describe=lambda: f"{team.note()}; {place.describe()}",
        note="; ".join(filter(None, (team.note(), place.note))),
        train_steps=team.train_steps,
        evaluate_steps=team.evaluate_steps,
        progress=team.progress,
        once=team.once,
        alone=place,
    )


class Share(NamedTuple):
    """This process's rows of one batch, which row of the batch the first of them is, and how many the batch has."""

    rows: np.ndarray
    first: int
    of: int


def shares_of_all(order: np.ndarray, batch_size: int, rank: int, size: int) -> Iterator[Share]:
    """Each batch of x[order] in as many neighbouring parts as there are processes."""
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        first, end = rank * len(batch) // size, (rank + 1) * len(batch) // size
        yield Share(batch[first:end], first, len(batch))


def shares_of_own(order: np.ndarray, batch_size: int, rank: int, counts: list[int]) -> Iterator[Share]:
    """Batches that take from each process in proportion to its `counts` of rows; `order` is over its own."""
    total, size = sum(counts), len(counts)
    before = [0] * size
    for start in range(0, total, batch_size):
        end = min(start + batch_size, total)
        # up to here count * end / total of each, rounded down with a head start that differs between processes
        after = [(2 * size * count * end + (2 * p + 1) * total) // (2 * size * total) for p, count in enumerate(counts)]
        sizes = [new - old for old, new in zip(before, after, strict=True)]
        if any(sizes):
            yield Share(order[before[rank] : after[rank]], sum(sizes[:rank]), sum(sizes))
        before = after


class Team:
    """What one process has to do with the others of its communicator."""

    def __init__(self, comm: Any, place: Backend, sharded: bool) -> None:
        self.comm, self.place, self.sharded = comm, place, sharded
        self.add_up, self.way = sum_for(comm, place)
        self.first_row = 0
        self.seen: dict[str, tuple[Array, str]] = {}

    def train_steps(
        self, network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
    ) -> Iterator[Totals]:
        """`loop.train_steps`, of which each process does its share."""
        self._agree("fit", network, optimizer, loss, x, t, batch_size)
        shares = list(self._shares(order, batch_size))
        given = network, optimizer, loss, x, t, shares, self.add_up
        fast = self.place.share_steps and self.place.share_steps(*given)
        yield from self._summed(fast or self.share_steps(*given))
        if network.buffers.size:
            self.add_up(network.buffers)
            network.buffers[...] = network.buffers / self.comm.size

    def share_steps(
        self,
        network: Network,
        optimizer: Optimizer,
        loss: Loss,
        x: Array,
        t: Array,
        shares: list[Share],
        add_up: Callable[[Array], None],
    ) -> Iterator[Totals]:
        """A step for each share. Yields how many rows the batch had, and of the share's the loss and right answers.

        A backend may hold a faster version.
        """
        for share in shares:
            rows = share.rows if len(share.rows) else np.arange(1)  # no row: one that weighs nothing
            weight = len(share.rows) / share.of
            ((x_batch, t_batch),) = evaluation.batches(network, rows, len(rows), x, t)
            self.first_row = share.first
            z = network.forward(x_batch, train=True)
            batch_loss = loss.forward(z, t_batch)
            network.backward(loss.backward() * weight)
            add_up(network.grad)
            optimizer.step()
            self.first_row = 0
            yield share.of, batch_loss * (weight * share.of), loss.count_correct(z, t_batch) * (weight > 0)

    def evaluate_steps(self, network: Network, loss: Loss, x: Array, t: Array) -> Iterator[Totals]:
        """`evaluation.evaluate_steps`, of which each process does its share."""
        self._agree("evaluate", network, None, loss, x, t, 0)
        rank, size = self.comm.rank, self.comm.size
        mine = slice(None) if self.sharded else slice(rank * len(x) // size, (rank + 1) * len(x) // size)
        steps = (self.place.evaluate_steps or evaluation.evaluate_steps)(network, loss, x[mine], t[mine])
        rows, total, correct = 0, 0.0, 0.0
        for rows_here, loss_here, correct_here in steps:
            rows, total, correct = rows + rows_here, total + loss_here, correct + correct_here
        yield self._sum_of(rows, total, correct)

    def _summed(self, steps: Iterator[Totals]) -> Iterator[Totals]:
        """The same, of all processes together, and for many steps at once."""
        rows, total, correct = 0, 0.0, 0.0
        for rows_here, loss_here, correct_here in steps:
            rows, total, correct = rows + rows_here, total + loss_here, correct + correct_here
            if rows >= ROWS_AT_ONCE:
                yield rows, *self._sum_of(rows, total, correct)[1:]
                rows, total, correct = 0, 0.0, 0.0
        if rows:
            yield rows, *self._sum_of(rows, total, correct)[1:]

    def _sum_of(self, rows: int, loss: Array, correct: Array) -> Totals:
        """The sums over all processes."""
        asarray, stack = self.place.xp.asarray, self.place.xp.stack
        here = self.place.to_host(stack([asarray(loss), asarray(correct)]))
        rows, *totals = self.comm.allreduce(np.array([rows, *here.tolist()])).tolist()
        return int(rows), *map(asarray, totals)

    def _shares(self, order: np.ndarray, batch_size: int) -> Iterator[Share]:
        rank, size = self.comm.rank, self.comm.size
        if self.sharded:
            return shares_of_own(order, batch_size, rank, self.comm.allgather(len(order)))
        return shares_of_all(order, batch_size, rank, size)

    def dropout(self, x: Array, rate: float, key: tuple[int, int], first: int = 0) -> tuple[Array, Array]:
        """The mask of these rows' place in the whole batch."""
        return self.place.ops.dropout(x, rate, key, first + self.first_row * (x.size // len(x)))

    def progress(self, wanted: tqdm[Any] | bool | None, rows: int) -> Progress:
        """A bar on the first process, over the rows of all."""
        rows = self.comm.allreduce(rows) if self.sharded else rows
        return Progress(wanted if self.comm.rank == 0 else False, rows)

    def once(self, act: Callable[[], Any]) -> Any:
        """What only one should do, as to write a file: the first process does it, and all have its result."""
        return self.comm.bcast(act() if self.comm.rank == 0 else None)

    def note(self) -> str:
        """What `summary` says of the processes."""
        rows = "rows of its own" if self.sharded else "a share of each batch"
        return f"process {self.comm.rank + 1} of {self.comm.size}, each with {rows}; gradients are summed {self.way}"

    def _agree(
        self,
        what: str,
        network: Network,
        optimizer: Optimizer | None,
        loss: Loss,
        x: Array,
        t: Array,
        batch_size: int,
    ) -> None:
        facts = {
            "backend": self.place.name.partition(":")[0],
            "layers": ", ".join(map(repr, network.layers)),
            "seed": network.seed,
            "dtype": network.dtype.name,
            "epoch": network.epoch,
            "loss": f"{type(loss).__name__} {loss.config()}",
            "batch size": batch_size,
            "x": x.shape[1:] if self.sharded else self._checksum("x", x),
            "t": t.shape[1:] if self.sharded else self._checksum("t", t),
            "theta": checksum(network.theta, self.place.to_host),
        }
        if optimizer:
            settings = {name: "a schedule" if callable(value) else value for name, value in optimizer.config().items()}
            facts["optimizer"] = f"{type(optimizer).__name__} {settings} after {optimizer.t} steps"
        agree(self.comm, what, facts)

    def _checksum(self, name: str, array: Array) -> str:
        """Kept until another array comes: an epoch hands in the one of the epoch before."""
        known, found = self.seen.get(name, (None, ""))
        if known is not array:
            found = checksum(array, self.place.to_host)
            self.seen[name] = array, found
        return found


def _place_of_this_process(comm: Any, place: Backend) -> Backend:
    """The backend; of several GPUs each process of a machine takes another, of several cores its part for BLAS."""
    from mpi4py import MPI  # here, because only who trains across processes has it

    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    if place.name == "cupy":
        return get_backend(f"cupy:{here.rank % place.xp.cuda.runtime.getDeviceCount()}")
    if here.size > 1:
        from threadpoolctl import threadpool_limits

        threadpool_limits(max(1, len(os.sched_getaffinity(0)) // here.size), "blas")
    return place
