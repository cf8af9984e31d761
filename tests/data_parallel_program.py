"""Run under mpiexec by tests/parallel/test_data_parallel.py: train on all ranks, and save the results of each rank.

mpiexec -n P python tests/data_parallel_program.py FOLDER WHAT
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import own_layers
import standin
from mpi4py import MPI

import tinynet as tn

comm = MPI.COMM_WORLD
folder, what, *arguments = Path(sys.argv[1]), *sys.argv[2:]


def data(rows: int = 203) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    return draw.normal(size=(rows, 12)).astype(np.float32), draw.integers(0, 3, rows)


def network(backend, seed: int = 3) -> tn.Network:
    return tn.mlp(12, [17, 9], 3, dropout=[0.1, 0.25], seed=seed, backend=backend)


def trained(net: tn.Network, x, t, **settings) -> tn.History:
    draw = np.random.default_rng(6)
    optimizer = tn.Adam(net, lr=tn.cosine(0.01, 40), clip_norm=1.0)
    weights = draw.uniform(0.5, 2, len(x))
    return tn.fit(net, optimizer, x, t, epochs=2, batch_size=20, validation=data(57), sample_weight=weights, **settings)


def save_results(net: tn.Network, history: tn.History, x=None) -> None:
    """Save theta, buffers, losses and accuracies, the summary and the predictions of this rank."""
    x = data(57)[0] if x is None else x[:57]
    figures = [[r.loss, r.accuracy, r.val_loss, r.val_accuracy, r.rows] for r in history]
    evaluation = tn.evaluate(net, x, data(57)[1])
    np.savez(
        folder / f"{what}{'.'.join(arguments)}.{comm.rank}.npz",
        theta=net.backend.to_host(net.theta),
        buffers=net.backend.to_host(net.buffers),
        figures=np.concatenate([np.ravel(np.array(figures, float)), evaluation]),
        summary=net.summary(),
        predictions=tn.predict(net, x),
    )


def same_data(backend: str) -> None:
    with standin.installed(folder / "standin") if backend == "cupy" else open(os.devnull):
        standin.add_nccl(comm)
        net = network(tn.data_parallel(comm, backend))
        save_results(net, trained(net, *data()))


def wide(backend: str) -> None:
    """Train a network that is large enough for compiled steps, on sparse pictures, with and without a clipped gradient.

    The last batch has one row, so some ranks have none.
    """
    draw = np.random.default_rng(5)
    x = (draw.integers(0, 256, (201, 70)) * (draw.random((201, 70)) < 0.2)).astype(np.uint8)
    net = tn.mlp(70, [700, 30], 3, dropout=[0.1, 0.25, 0.5], seed=3, backend=tn.data_parallel(comm, backend))
    for optimizer in (tn.Adam(net, weight_decay=0.01), tn.SGD(net, momentum=0.9, clip_norm=0.5)):
        history = tn.fit(net, optimizer, x, data(201)[1], epochs=2, batch_size=20)
    save_results(net, history, x)


def sharded(backend: str) -> None:
    """Train on every P-th row of a file, which no rank reads completely."""
    x, t = np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "t.npy", mmap_mode="r")
    net = network(tn.data_parallel(comm, backend, sharded=True))
    optimizer = tn.Adam(net, lr=0.01)
    history = tn.fit(net, optimizer, x[comm.rank :: comm.size], t[comm.rank :: comm.size], epochs=3, batch_size=20)
    save_results(net, history)


def buffers(backend: str) -> None:
    net = tn.Network(tn.Dense(12, 8), own_layers.BatchNorm(8), tn.Dense(8, 3), backend=tn.data_parallel(comm, backend))
    save_results(net, trained(net, *data()))


def few_rows(backend: str) -> None:
    """Train on batches of fewer rows than ranks."""
    x, t = data(5)
    net = network(tn.data_parallel(comm, backend))
    save_results(net, tn.fit(net, tn.Adam(net), x, t, epochs=2, batch_size=2))


def resumed(backend: str, ends_at: str) -> None:
    """Train with a checkpoint. The last rank is killed at step `ends_at`, unless that is 'never'."""
    net = network(tn.data_parallel(comm, backend))
    if ends_at != "never" and comm.rank == comm.size - 1:
        optimizer_step, steps = tn.Adam.step, iter(range(int(ends_at)))

        def step(self) -> None:
            if next(steps, None) is None:
                os.kill(os.getpid(), 9)
            optimizer_step(self)

        tn.Adam.step = step
    save_results(net, trained(net, *data(), checkpoint=folder / "run.checkpoint", every=3, patience=5))
    tn.save(net, folder / "net.npz")
    assert tn.load(folder / "net.npz").theta.tobytes() == net.theta.tobytes()


def differs(fact: str) -> None:
    """Pass something else on the last rank."""
    odd = comm.rank == comm.size - 1
    x, t = data()
    if fact == "version" and odd:
        tn.__version__ = "0.0.0"
    if fact == "data" and odd:
        x[100, 3] += 1e-3
    layers = (
        tn.Dense(12, 9 if odd and fact == "layers" else 8),
        tn.ReLU(),
        tn.Dense(9 if odd and fact == "layers" else 8, 3),
    )
    net = tn.Network(*layers, seed=odd and fact == "seed", backend=tn.data_parallel(comm, "numpy"))
    net[0].trainable = not (odd and fact == "frozen")
    if fact == "call" and odd:
        tn.evaluate(net, x, t)
    if fact == "end" and odd:
        return
    tn.fit(net, tn.Adam(net, lr=0.1 if odd and fact == "settings" else 0.01), x, t, epochs=2)
    (folder / f"{what}.{fact}.{comm.rank}").touch()


def ends_badly(how: str) -> None:
    """On the last rank raise, exit or die during the training, while the others wait for it."""
    net = network(tn.data_parallel(comm, "numpy"))
    odd = comm.rank == comm.size - 1

    def callback(record: tn.Record) -> None:
        if odd and record.epoch == 2:
            if how == "killed":
                os.kill(os.getpid(), 9)
            if how == "exit":
                sys.exit(3)
            raise RuntimeError("an error on one rank")

    if how == "bad rows" and odd:
        tn.fit(net, tn.Adam(net), np.full((203, 12), np.nan), data()[1], epochs=3)
    tn.fit(net, tn.Adam(net), *data(), epochs=1000, callbacks=[callback])


def bars() -> None:
    net = network(tn.data_parallel(comm, "numpy"))
    trained(net, *data(), progress=True)
    time.sleep(0.1)


globals()[what](*arguments)
