"""Data-parallel training of one network: tinynet over MPI, and PyTorch's DistributedDataParallel over gloo.

    python benchmarks/data_parallel.py            six minutes

960x480x240x120x60x10 with its dropout, one BLAS thread per rank, the same rows and the same Adam, all in turn. New
processes are started for each measurement. Below the table is a model of the cost of a step, fitted to measurements.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import charts
import numpy as np
from arena import SETTINGS
from peers import Settings, pytorch_model
from report import markdown, write_section

NETWORK = SETTINGS["960x480x240x120x60x10"]
BATCHES, ROWS, EPOCHS = (128, 1024), 8192, 5
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
RANKS = [2**k for k in range(11)]
"""Numbers of ranks in the model, and numbers of rows in a share."""
LINKS = {"25 Gb/s, 20 us": (25e9 / 8, 20e-6), "1 Gb/s, 100 us": (1e9 / 8, 100e-6)}
"""Bytes per second and seconds per message of common network links, from their specifications; not measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        what, *numbers = options.worker
        WORKERS[what](*map(int, numbers))
        return
    kinds = [(what, count, batch) for batch in BATCHES for what in ("tinynet", "pytorch") for count in (1, 2)]
    times: dict[Any, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for what, count, batch in kinds:
            times[what, count, batch].append(started(what, count, batch))
    found = {kind: statistics.median(seconds) for kind, seconds in times.items()}
    cost = measured()
    picture = Path(__file__).with_name("data_parallel.png")
    links = {"as fast as this machine's memory": (cost.bandwidth, cost.latency), **LINKS}
    curves = {
        name: {batch: [cost.step(batch, P, *link) for P in RANKS] for batch in BATCHES} for name, link in links.items()
    }
    charts.data_parallel(
        RANKS,
        curves,
        {batch: found["tinynet", 2, batch] / found["tinynet", 1, batch] for batch in BATCHES},
        picture,
    )
    write_section(
        "data_parallel.py: milliseconds per training step on one and two ranks",
        "\n\n".join([table(found), str(cost), limits(curves), f"![Speed-up by number of ranks]({picture.name})"]),
    )


def table(found: dict[Any, float]) -> str:
    rows = []
    for batch in BATCHES:
        ours, theirs = ([found[what, count, batch] for count in (1, 2)] for what in ("tinynet", "pytorch"))
        rows.append(
            {
                "rows in a batch": f"{batch:,}",
                **{f"tinynet, {count} rank{'s' * (count > 1)}": f"{1e3 * ours[count - 1]:.1f}" for count in (1, 2)},
                **{f"PyTorch, {count}": f"{1e3 * theirs[count - 1]:.1f}" for count in (1, 2)},
                "tinynet, 1 / 2": f"{ours[0] / ours[1]:.2f}",
                "PyTorch, 1 / 2": f"{theirs[0] / theirs[1]:.2f}",
                "PyTorch / tinynet, 2": f"{theirs[1] / ours[1]:.2f}",
            }
        )
    return markdown(rows)


# ----------------------------------------------------------------------------------------- the model


@dataclass(frozen=True)
class Cost:
    """A model of the seconds of a step: compute(B / P) + 2 log2(P) latency + 2 (P - 1) / P bytes / bandwidth

    for P ranks and B rows. compute is the measured time of one rank for a share. The rest is an all-reduce by recursive
    halving and doubling: Thakur, Rabenseifner and Gropp 2005, section 4.5.
    """

    compute: dict[int, float]
    latency: float
    bandwidth: float
    bytes: int

    def step(self, batch: int, ranks: int, bandwidth: float, latency: float) -> float:
        all_reduce = 2 * np.log2(ranks) * latency + 2 * (ranks - 1) / ranks * self.bytes / bandwidth
        return float(self.compute[max(1, batch // ranks)] + all_reduce)

    def __str__(self) -> str:
        shares = ", ".join(f"{1e3 * seconds:.1f} of {rows:,}" for rows, seconds in self.compute.items())
        return (
            "The next table is a model, not a measurement. A step takes the measured time of one rank for its share of "
            f"the rows (ms: {shares}). The all-reduce of {self.bytes / 1e6:.1f} MB adds 2 log2 P times "
            f"{1e6 * self.latency:.0f} us and 2 (P - 1) / P times {1e3 * self.bytes / self.bandwidth:.1f} ms, which is "
            "fitted to all-reduces of 1 kB to 16 MB on two ranks. The model ignores that ranks on a machine share its "
            "memory, and that ranks wait for each other."
        )


def measured() -> Cost:
    sizes = [2**k for k in range(10, 25, 2)]
    seconds = np.array(started("all-reduce", 2, *sizes))
    slope, start = np.polyfit(sizes, seconds, 1, w=1 / seconds)  # two ranks send 2 messages, and each byte once
    compute = {rows: started("tinynet", 1, rows) for rows in RANKS}
    return Cost(compute, max(start, 0) / 2, 1 / slope, 4 * parameters(NETWORK))


def parameters(settings: Settings) -> int:
    return sum(D * M + M for D, M in pairwise(settings.widths))


def limits(curves: dict[str, dict[int, list[float]]]) -> str:
    """Tabulate from where on twice as many ranks gain less than a tenth, and where a step is fastest."""
    rows = []
    for link, of in curves.items():
        for batch, seconds in of.items():
            pays = [P for P, (now, twice) in zip(RANKS, pairwise(seconds), strict=False) if now / twice < 1.1]
            best = int(np.argmin(seconds))
            rows.append(
                {
                    "link": link,
                    "rows in a batch": f"{batch:,}",
                    "pays up to, ranks": f"{pays[0] if pays else RANKS[-1]:,}",
                    "fastest with, ranks": f"{RANKS[best]:,}",
                    "then times as fast as one": f"{seconds[0] / seconds[best]:.1f}",
                }
            )
    return markdown(rows)


# --------------------------------------------------------------------------------------- the processes


def started(what: str, count: int, *numbers: int) -> Any:
    """Return what rank 0 of `count` ranks prints: the seconds of a step, or of all-reduces."""
    me = [sys.executable, __file__, "--worker", what, *map(str, numbers)]
    environment = os.environ | ONE_THREAD
    if what != "pytorch":
        mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or "mpiexec"
        done = subprocess.run([mpiexec, "-n", f"{count}", *me], env=environment, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout.splitlines()[-1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{probe.getsockname()[1]}"}
    ranks = [environment | {"RANK": f"{rank}", "WORLD_SIZE": f"{count}"} for rank in range(count)]
    processes = [subprocess.Popen(me, env=rank, stdout=subprocess.PIPE) for rank in ranks]
    first, *_ = [process.communicate()[0] for process in processes]
    return json.loads(first)


def print_on_rank_0(rank: int, value: Any) -> None:
    if rank == 0:
        print(json.dumps(value), flush=True)


def epochs(epoch: Callable[[], object], steps: float) -> float:
    """Return the median seconds of a step over epochs of `steps` steps, after one epoch that is not timed."""
    epoch()
    times = []
    while len(times) < EPOCHS:
        start = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - start)
    return statistics.median(times) / steps


def tinynet(batch: int) -> None:
    from mpi4py import MPI

    import tinynet as tn

    comm, digits = MPI.COMM_WORLD, tn.data.mnist_split()
    network = tn.mlp(784, NETWORK.hidden, 10, dropout=NETWORK.dropout, backend=tn.data_parallel(comm, "numba"))
    rows = min(ROWS, 256 * batch)
    optimizer, x, t = tn.Adam(network, eps=1e-7), digits.x_train[:rows], digits.y_train[:rows]
    print_on_rank_0(
        comm.rank, epochs(lambda: tn.fit(network, optimizer, x, t, epochs=1, batch_size=batch), rows / batch)
    )


def pytorch(batch: int) -> None:
    import torch
    from torch import distributed, nn

    import tinynet as tn

    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, world, digits = distributed.get_rank(), distributed.get_world_size(), tn.data.mnist_split()
    plain, optimizer = pytorch_model(NETWORK, "cpu")
    model = nn.parallel.DistributedDataParallel(plain) if world > 1 else plain
    images = torch.tensor(digits.x_train[:ROWS] / np.float32(255))
    targets = torch.tensor(digits.y_train[:ROWS].astype(np.int64))
    draw = torch.Generator().manual_seed(0)

    def epoch() -> None:
        for rows in torch.randperm(ROWS, generator=draw).split(batch):
            share = rows.tensor_split(world)[rank]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[share]), targets[share]).backward()
            optimizer.step()

    print_on_rank_0(rank, epochs(epoch, ROWS / batch))
    distributed.destroy_process_group()


def all_reduces(*sizes: int) -> None:
    """Print the seconds of an all-reduce of vectors of these sizes in bytes."""
    from mpi4py import MPI

    comm, found = MPI.COMM_WORLD, []
    for size in sizes:
        vector, times = np.zeros(size // 4, np.float32), []
        for _ in range(50):
            comm.Barrier()
            start = time.perf_counter()
            comm.Allreduce(MPI.IN_PLACE, vector)
            times.append(time.perf_counter() - start)
        found.append(statistics.median(times))
    print_on_rank_0(comm.rank, found)


WORKERS = {"tinynet": tinynet, "pytorch": pytorch, "all-reduce": all_reduces}


if __name__ == "__main__":
    main()
