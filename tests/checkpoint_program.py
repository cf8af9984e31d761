"""What tests/training/test_checkpoint.py starts, kills and starts again: a training that is kept in a file.

python tests/checkpoint_program.py FOLDER BACKEND
"""

import sys
from pathlib import Path

import numpy as np

import tinynet as tn


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    return draw.normal(size=(rows, 12)).astype(np.float32), draw.integers(0, 3, rows)


def main(folder: Path, backend: str) -> None:
    """Everything that must come back: dropout, a schedule, momentum, early stopping, an epoch of many saves."""
    net = tn.mlp(12, [40, 9], 3, dropout=[0.1, 0.25], seed=3, backend=backend)
    optimizer = tn.Adam(net, lr=tn.cosine(0.01, 300), weight_decay=0.001)
    settings = {"epochs": 12, "batch_size": 20, "patience": 6, "validation": data(57)}
    history = tn.fit(net, optimizer, *data(1003), **settings, checkpoint=folder / "run.checkpoint", every=7)
    figures = [[r.epoch, r.loss, r.accuracy, r.val_loss, r.val_accuracy, r.rows, r.lr] for r in history]
    np.savez(folder / "end.npz", theta=net.theta, m=optimizer.m, v=optimizer.v, t=optimizer.step_count, figures=figures)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
