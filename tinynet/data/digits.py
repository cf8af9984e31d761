"""The embedded MNIST: 70,000 digits, split as by its authors or as by Kaggle."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..arrays import rng


class DataError(ValueError):
    """The ValueError for a data file that cannot be used. It names the file, the position, the cause and the fix."""


class Mnist(NamedTuple):
    """70,000 digits: x uint8 (N, 28, 28), paper = 0 to ink = 255; y uint8 (N,), 0 to 9."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class Split(NamedTuple):
    """Three sets: x uint8 (N, 784), paper = 0 to ink = 255; y uint8 (N,), 0 to 9. Kaggle's y_test is None."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray | None


def mnist() -> Mnist:
    """Return MNIST as its authors split it: 60,000 training + 10,000 test = 70,000 digits. In this package."""
    with np.load(Path(__file__).parent / "mnist" / "mnist.npz", allow_pickle=False) as arrays:
        return Mnist(**arrays)


def mnist_split(seed: int = 0) -> Split:
    """Return MNIST, shuffled and split as by Kaggle: 32,000 + 10,000 + 28,000 = 70,000 digits.

    The test set corresponds to Kaggle's unlabeled one. Use y_test to evaluate a finished model, never to choose one.
    """
    digits = mnist()
    x = np.concatenate([digits.x_train, digits.x_test]).reshape(70_000, 784)
    y = np.concatenate([digits.y_train, digits.y_test])
    train, val, test = np.split(rng.generator(seed, "split").permutation(70_000), [32_000, 42_000])
    return Split(x[train], y[train], x[val], y[val], x[test], y[test])
