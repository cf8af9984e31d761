"""One network trained by several processes: tinynet over MPI, and PyTorch's DistributedDataParallel over gloo.

    python benchmarks/data_parallel.py            six minutes

960x480x240x120x60x10 with its dropout, one BLAS thread a process, the same rows, the same Adam; all in turn, and each
figure by processes that are started for it. Below the table a model of what a step costs, from what was measured.
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
from arena import RECIPES
from peers import Recipe, pytorch_model
from report import markdown, write_section

RECIPE = RECIPES["960x480x240x120x60x10"]
BATCHES, ROWS, EPOCHS = (128, 1024), 8192, 5
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PROCESSES = [2**k for k in range(11)]
"""Of processes, and of rows in a share."""
LINKS = {"25 Gb/s, 20 us": (25e9 / 8, 20e-6), "1 Gb/s, 100 us": (1e9 / 8, 100e-6)}
"""Bytes a second and seconds a message of networks between machines, as they are sold; not measured."""


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
        name: {batch: [cost.step(batch, P, *link) for P in PROCESSES] for batch in BATCHES}
        for name, link in links.items()
    }
    charts.across(
        PROCESSES,
        curves,
        {batch: found["tinynet", 2, batch] / found["tinynet", 1, batch] for batch in BATCHES},
        picture,
    )
    write_section(
        "data_parallel.py: milliseconds per training step, by several processes",
        "\n\n".join([table(found), str(cost), limits(curves), f"![across]({picture.name})"]),
    )


def table(found: dict[Any, float]) -> str:
    rows = []
    for batch in BATCHES:
        ours, theirs = ([found[what, count, batch] for count in (1, 2)] for what in ("tinynet", "pytorch"))
        rows.append(
            {
                "rows in a batch": f"{batch:,}",
                **{f"tinynet, {count} process{'es' * (count > 1)}": f"{1e3 * ours[count - 1]:.1f}" for count in (1, 2)},
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
    """Seconds of a step: compute(B / P) + 2 log2(P) latency + 2 (P - 1) / P bytes / bandwidth

    of P processes and B rows. compute is what one process takes for a share, as measured; the rest is a sum by halving
    and doubling: Thakur, Rabenseifner and Gropp 2005, section 4.5.
    """

    compute: dict[int, float]
    latency: float
    bandwidth: float
    bytes: int

    def step(self, batch: int, processes: int, bandwidth: float, latency: float) -> float:
        sum_of_all = 2 * np.log2(processes) * latency + 2 * (processes - 1) / processes * self.bytes / bandwidth
        return float(self.compute[max(1, batch // processes)] + sum_of_all)

    def __str__(self) -> str:
        shares = ", ".join(f"{1e3 * seconds:.1f} of {rows:,}" for rows, seconds in self.compute.items())
        return (
            f"By the model below, a step takes as long as a step of one process on its share of the rows (measured, in "
            f"ms: {shares}), and to sum {self.bytes / 1e6:.1f} MB 2 log2 P times {1e6 * self.latency:.0f} us and "
            f"2 (P - 1) / P times {1e3 * self.bytes / self.bandwidth:.1f} ms (fitted to sums of 1 kB to 16 MB by two "
            "processes). It leaves out that processes of one machine share its memory, and that some wait for others."
        )


def measured() -> Cost:
    sizes = [2**k for k in range(10, 25, 2)]
    sums = np.array(started("sums", 2, *sizes))
    slope, start = np.polyfit(sizes, sums, 1, w=1 / sums)  # two processes send 2 messages, and each byte once
    compute = {rows: started("tinynet", 1, rows) for rows in PROCESSES}
    return Cost(compute, max(start, 0) / 2, 1 / slope, 4 * parameters(RECIPE))


def parameters(recipe: Recipe) -> int:
    return sum(D * M + M for D, M in pairwise(recipe.widths))


def limits(curves: dict[str, dict[int, list[float]]]) -> str:
    """Where twice as many processes bring less than a tenth, and where a step is fastest."""
    rows = []
    for link, of in curves.items():
        for batch, seconds in of.items():
            pays = [P for P, (now, twice) in zip(PROCESSES, pairwise(seconds), strict=False) if now / twice < 1.1]
            best = int(np.argmin(seconds))
            rows.append(
                {
                    "link": link,
                    "rows in a batch": f"{batch:,}",
                    "pays up to, processes": f"{pays[0] if pays else PROCESSES[-1]:,}",
                    "fastest with": f"{PROCESSES[best]:,}",
                    "then times as fast as one": f"{seconds[0] / seconds[best]:.1f}",
                }
            )
    return markdown(rows)


# --------------------------------------------------------------------------------------- the processes


def started(what: str, count: int, *numbers: int) -> Any:
    """What the first of so many processes prints: seconds of a step, or of sums."""
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


def tell(first: bool, value: Any) -> None:
    if first:
        print(json.dumps(value), flush=True)


def epochs(epoch: Callable[[], object], steps: float) -> float:
    """Seconds of a step: the median over epochs of so many steps, after one that does not count."""
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
    network = tn.mlp(784, RECIPE.hidden, 10, dropout=RECIPE.dropout, backend=tn.data_parallel(comm, "numba"))
    rows = min(ROWS, 256 * batch)
    optimizer, x, t = tn.Adam(network, eps=1e-7), digits.x_train[:rows], digits.y_train[:rows]
    tell(comm.rank == 0, epochs(lambda: tn.fit(network, optimizer, x, t, epochs=1, batch_size=batch), rows / batch))


def pytorch(batch: int) -> None:
    import torch
    from torch import distributed, nn

    import tinynet as tn

    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, world, digits = distributed.get_rank(), distributed.get_world_size(), tn.data.mnist_split()
    plain, optimizer = pytorch_model(RECIPE, "cpu")
    model = nn.parallel.DistributedDataParallel(plain) if world > 1 else plain
    images = torch.tensor(digits.x_train[:ROWS] / np.float32(255))
    targets = torch.tensor(digits.y_train[:ROWS].astype(np.int64))
    draw = torch.Generator().manual_seed(0)

    def epoch() -> None:
        for rows in torch.randperm(ROWS, generator=draw).split(batch):
            mine = rows.tensor_split(world)[rank]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[mine]), targets[mine]).backward()
            optimizer.step()

    tell(rank == 0, epochs(epoch, ROWS / batch))
    distributed.destroy_process_group()


def sums(*sizes: int) -> None:
    """Seconds to sum vectors of so many bytes."""
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
    tell(comm.rank == 0, found)


WORKERS = {"tinynet": tinynet, "pytorch": pytorch, "sums": sums}


if __name__ == "__main__":
    main()
