"""A network of every layer for pictures, and pictures that it learns."""

from typing import Any

import numpy as np

import tinynet as tn


def network(**options: Any) -> tn.Network:
    """Pictures (N, 1, 7, 6) to three logits, through every layer for pictures.

    A Tanh stands in front of each BatchNorm, which takes the mean away: a bias right in front has no gradient.
    """
    return tn.Network(
        tn.Conv2D(1, 4, 3, padding=1),
        tn.Tanh(),
        tn.BatchNorm(4),
        tn.MaxPool2D(2),
        tn.Residual(tn.Conv2D(4, 6, 3, 2, 1), tn.Tanh(), shortcut=tn.Conv2D(4, 6, 1, 2)),
        tn.Tanh(),
        tn.BatchNorm(6, momentum=0.5),
        tn.AveragePool2D(2),
        tn.GlobalAveragePool(),
        tn.Dropout(0.25),
        tn.LayerNorm(6),
        tn.Dense(6, 3),
        **options,
    )


def examples(N: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Pictures with a bright row, and which of three it is."""
    draw, labels = np.random.default_rng(3), np.arange(N) % 3
    x = draw.uniform(size=(N, 1, 7, 6)).astype("float32")
    x[np.arange(N), 0, 2 * labels] += 1
    return x, labels


def train(optimizer: tn.Optimizer, epochs: int) -> None:
    tn.fit(optimizer.network, optimizer, *examples(), epochs=epochs, batch_size=8)
