"""What all tests share."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest


@pytest.fixture
def draw() -> np.random.Generator:
    """The test's own random numbers, the same on every run."""
    return np.random.default_rng(20260101)
