"""Data-parallel training: each rank takes its share of every batch, and the gradients are summed by all-reduce.

    grad = sum over ranks p of N_p / N grad_p        N_p of the N rows of a batch; Goyal et al. 2017, section 3

So P ranks compute what one process computes, up to the order in which numbers are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..arrays.backend import NUMPY, Backend, available_cores, kernels_of
from ..arrays.backend import backend as get_backend
from ..arrays.checksum import checksum
from ..files.archive import access
from ..layers import Dropout
from ..layers.bound import paths
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from ..training import evaluation, loop
from ..training.identity import add_rates, identity_of
from ..training.progress import open_bar
from .all_reduce import all_reduce_for
from .ranks import agree, end_together

if TYPE_CHECKING:
    from tqdm import tqdm

Totals = tuple[int, Array, Array]
"""Rows, their summed loss, and the number of correct rows."""

ROWS_AT_ONCE = 4096
"""Minimum rows between two all-reduces of the loss, so that showing the loss does not cost a message per step."""


@dataclass(frozen=True, kw_only=True, repr=False)
class DataParallelBackend(Backend):
    """A backend whose training and evaluation are divided among the ranks of a communicator."""

    parallel: DataParallel


def data_parallel(comm: Any, backend: str | Backend = "auto", *, sharded: bool = False) -> Backend:
    """Return a backend on which all ranks of an MPI communicator train one network together.

    comm     mpi4py's MPI.COMM_WORLD, or a part of it; each rank creates the same network and calls the same functions
    backend  the backend of each rank; for "cupy", each rank of a machine takes its own GPU
    sharded  False: all ranks pass the same rows, and each works on its share of every batch.
             True: each rank passes its own rows; a batch takes rows of each rank in proportion to their number

    theta and the results of `fit` and `evaluate` are equal on all ranks, bit for bit on machines of one kind. Dropout
    masks are those of the whole batch. Batch statistics are those of a share, and buffers are averaged over the ranks
    after each epoch. Rank 0 shows the progress bar and writes files. An error on one rank ends all ranks. Functions
    other than `fit` and `evaluate` compute the same on each rank. Raises TypeError if `comm` is not a communicator, and
    ValueError, before the first step, if the ranks differ in data, seeds, layers, settings or versions.
    """
    if not hasattr(comm, "Allreduce"):
        raise TypeError(f"data_parallel: expected a communicator of mpi4py such as MPI.COMM_WORLD, got {comm!r}")
    inner = _backend_of_rank(comm, get_backend(backend))
    parallel = DataParallel(comm, inner, sharded)
    end_together(comm)
    changed = {
        "describe": lambda: f"{parallel.note()}; {inner.describe()}",
        "note": "; ".join(filter(None, (parallel.note(), inner.note))),
        "train_steps": parallel.train_steps,
        "evaluate_steps": parallel.evaluate_steps,
    }
    same = {field.name: getattr(inner, field.name) for field in fields(inner)}
    return DataParallelBackend(**same | changed, parallel=parallel)


@access.register(DataParallelBackend)
def _(backend: DataParallelBackend, act: Callable[[], Any]) -> Any:
    """Access files on rank 0 only, and return the result on all ranks."""
    comm = backend.parallel.comm
    return comm.bcast(act() if comm.rank == 0 else None)


@open_bar.register(DataParallelBackend)
def _(backend: DataParallelBackend, wanted: tqdm[Any] | bool | None, rows: int) -> tqdm[Any]:
    """Return a bar on rank 0, and a silent bar on the others. With shards, its total assumes equal shards.

    It asks the other ranks nothing: one that passes progress=False opens no bar, and would never answer.
    """
    parallel = backend.parallel
    rows = rows * parallel.comm.size if parallel.sharded else rows
    return open_bar(NUMPY, wanted if parallel.comm.rank == 0 else False, rows)


class Share(NamedTuple):
    """This rank's rows of one batch, the index of the first of them in the batch, and the size of the batch."""

    rows: np.ndarray
    first: int
    of: int


def shares_of_all(order: np.ndarray, batch_size: int, rank: int, size: int) -> Iterator[Share]:
    """Yield the share of this rank of each batch of x[order]: one of `size` consecutive parts."""
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        first, end = rank * len(batch) // size, (rank + 1) * len(batch) // size
        yield Share(batch[first:end], first, len(batch))


def shares_of_own(order: np.ndarray, batch_size: int, rank: int, counts: list[int]) -> Iterator[Share]:
    """Yield the shares of this rank, whose rows are `order`, of batches that take rows in proportion to `counts`."""
    total, size = sum(counts), len(counts)
    before = [0] * size
    for start in range(0, total, batch_size):
        end = min(start + batch_size, total)
        # count * end / total rows of each rank so far, rounded down with an offset that differs between ranks
        after = [(2 * size * count * end + (2 * p + 1) * total) // (2 * size * total) for p, count in enumerate(counts)]
        sizes = [new - old for old, new in zip(before, after, strict=True)]
        if any(sizes):
            yield Share(order[before[rank] : after[rank]], sum(sizes[:rank]), sum(sizes))
        before = after


class DataParallel:
    """Training and evaluation of one network by all ranks of a communicator, on one of them."""

    def __init__(self, comm: Any, backend: Backend, sharded: bool) -> None:
        self.comm, self.backend, self.sharded = comm, backend, sharded
        self.all_reduce, self.method = all_reduce_for(comm, backend)
        self.checksums: dict[str, tuple[Array, str]] = {}

    def train_steps(
        self, network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
    ) -> Iterator[Totals]:
        """Take the steps of `loop.train_steps`, each rank on its share of every batch."""
        self._agree("fit", network, optimizer, loss, x, t, batch_size)
        shares = list(self._shares(order, batch_size))
        given = network, optimizer, loss, x, t, shares, self.all_reduce
        yield from self._summed(self._compiled_steps(*given) or self.share_steps(*given))
        if network.buffers.size:
            self.all_reduce(network.buffers)
            network.buffers[...] = network.buffers / self.comm.size

    def _compiled_steps(self, *given: Any) -> Iterator[Totals] | None:
        """Return the compiled `share_steps` of the kernel module for these arguments, or None."""
        share_steps = getattr(kernels_of(self.backend.name.partition(":")[0]), "share_steps", None)
        return share_steps(*given) if share_steps else None

    def share_steps(
        self,
        network: Network,
        optimizer: Optimizer,
        loss: Loss,
        x: Array,
        t: Array,
        shares: list[Share],
        all_reduce: Callable[[Array], None],
    ) -> Iterator[Totals]:
        """Take a step for each share. Yields the rows of the batch, and the share's loss and correct rows.

        A kernel module may have a compiled version.
        """
        dropouts = [layer for _, layer in paths(network.layers) if isinstance(layer, Dropout)]
        for share in shares:
            rows = share.rows if len(share.rows) else np.arange(1)  # an empty share: one row with weight 0
            weight = len(share.rows) / share.of
            ((x_batch, t_batch),) = loop.batches(network, rows, len(rows), x, t)
            for layer in dropouts:
                layer.first_row = share.first
            try:
                z = network.forward(x_batch, train=True)
            finally:
                for layer in dropouts:
                    layer.first_row = 0
            batch_loss = loss.forward(z, t_batch)
            network.backward(loss.backward() * weight)
            all_reduce(network.grad)
            optimizer.step()
            yield share.of, batch_loss * (weight * share.of), loss.count_correct(z, t_batch) * (weight > 0)

    def evaluate_steps(self, network: Network, loss: Loss, x: Array, t: Array) -> Iterator[Totals]:
        """Take the steps of `evaluation.evaluate_steps`, each rank on its share of the rows."""
        self._agree("evaluate", network, None, loss, x, t, 0)
        rank, size = self.comm.rank, self.comm.size
        mine = slice(None) if self.sharded else slice(rank * len(x) // size, (rank + 1) * len(x) // size)
        steps = (self.backend.evaluate_steps or evaluation.evaluate_steps)(network, loss, x[mine], _rows(t, mine))
        rows, total, correct = 0, 0.0, 0.0
        for rows_here, loss_here, correct_here in steps:
            rows, total, correct = rows + rows_here, total + loss_here, correct + correct_here
        yield self._sum_of(rows, total, correct)

    def _summed(self, steps: Iterator[Totals]) -> Iterator[Totals]:
        """Yield the totals of all ranks together, for many steps at once."""
        rows, total, correct = 0, 0.0, 0.0
        for rows_here, loss_here, correct_here in steps:
            rows, total, correct = rows + rows_here, total + loss_here, correct + correct_here
            if rows >= ROWS_AT_ONCE:
                yield rows, *self._sum_of(rows, total, correct)[1:]
                rows, total, correct = 0, 0.0, 0.0
        if rows:
            yield rows, *self._sum_of(rows, total, correct)[1:]

    def _sum_of(self, rows: int, loss: Array, correct: Array) -> Totals:
        """Return the sums over all ranks."""
        asarray, stack = self.backend.xp.asarray, self.backend.xp.stack
        here = self.backend.to_host(stack([asarray(loss), asarray(correct)]))
        rows, *totals = self.comm.allreduce(np.array([rows, *here.tolist()])).tolist()
        return int(rows), *map(asarray, totals)

    def _shares(self, order: np.ndarray, batch_size: int) -> Iterator[Share]:
        rank, size = self.comm.rank, self.comm.size
        if self.sharded:
            return shares_of_own(order, batch_size, rank, self.comm.allgather(len(order)))
        return shares_of_all(order, batch_size, rank, size)

    def note(self) -> str:
        """Return what `summary` says about the ranks."""
        rows = "its own rows" if self.sharded else "a share of each batch"
        return f"rank {self.comm.rank} of {self.comm.size}, each with {rows}; all-reduce {self.method}"

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
        facts = identity_of(network, optimizer, loss) | {
            "backend": self.backend.name.partition(":")[0],
            "batch size": batch_size,
            "x": x.shape[1:] if self.sharded else self._checksum("x", x),
            "t": _columns(t) if self.sharded else self._checksum("t", t),
        }
        if optimizer:
            steps = -(-len(x) // batch_size)
            facts["learning rates"] = f"{add_rates(0, optimizer.rates(steps)):08x} after {optimizer.step_count} steps"
        agree(self.comm, what, facts)

    def _checksum(self, name: str, array: Array) -> str:
        """Return the checksum of an array. It is computed once if the next call passes the same array."""
        last, value = self.checksums.get(name, (None, ""))
        if last is not array:
            value = checksum(array, self.backend.to_host)
            self.checksums[name] = array, value
        return value


def _rows(t: Any, rows: slice) -> Any:
    """Return these rows of an array, or of each array of a tuple."""
    return type(t)(*(part[rows] for part in t)) if isinstance(t, tuple) else t[rows]


def _columns(t: Any) -> list[tuple[int, ...]]:
    return [part.shape[1:] for part in (t if isinstance(t, tuple) else (t,))]


def _backend_of_rank(comm: Any, backend: Backend) -> Backend:
    """Return the backend of this rank: its own GPU if there are several. On a CPU, give BLAS its share of the cores."""
    from mpi4py import MPI

    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    if hasattr(backend.xp, "cuda") and ":" not in backend.name:
        return get_backend(f"{backend.name}:{here.rank % backend.xp.cuda.runtime.getDeviceCount()}")
    if here.size > 1:
        from threadpoolctl import threadpool_limits

        threadpool_limits(max(1, available_cores() // here.size), "blas")
    return backend
