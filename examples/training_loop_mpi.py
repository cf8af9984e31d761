"""Data-parallel training: each rank takes its share of every batch, and the gradients are summed by all-reduce.

mpiexec -n 4 python examples/training_loop_mpi.py

The only change to a program for one process is the backend: `tn.data_parallel(comm)`.
"""

import argparse
import sys

import tinynet as tn

EPOCHS = 5
BATCH = 128


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py found no MPI library
        sys.exit(f"error: expected mpi4py and an MPI library, got {error}. Install the extra `mpi`.")
    comm = MPI.COMM_WORLD
    digits = tn.data.mnist_split()
    network = tn.mlp(784, [480, 240], 10, dropout=[0.1, 0.25], seed=1, backend=tn.data_parallel(comm))
    optimizer = tn.Adam(network, lr=0.001)

    def print_epoch(record: tn.Record) -> None:
        if comm.rank == 0:
            line = f"epoch {record.epoch}: {record.seconds:.1f} s, validation accuracy {record.val_accuracy:.4f}"
            print(line, flush=True)

    if comm.rank == 0:
        print(network.summary())
    tn.fit(
        network,
        optimizer,
        digits.x_train,
        digits.y_train,
        epochs=EPOCHS,
        batch_size=BATCH,
        validation=(digits.x_val, digits.y_val),
        callbacks=[print_epoch],
    )


if __name__ == "__main__":
    main()
