"""What all tests share: random numbers, and for tests of training every backend in turn."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest

import tinynet as tn

TRAINING = ("layers", "losses", "network", "optim", "training", "gradcheck", "parity")
ON_THE_HOST = [name for name in tn.backends() if name != "cupy"]
ON_EVERY_BACKEND = {f"test_{name}" for name in TRAINING}


@pytest.fixture
def draw() -> np.random.Generator:
    """The test's own random numbers, the same on every run."""
    return np.random.default_rng(20260101)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__ in ON_EVERY_BACKEND:
        metafunc.parametrize("default_backend", ON_THE_HOST, indirect=True)


@pytest.fixture(autouse=True)
def default_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The backend of every network for which the test names none: in tests of training, each in turn."""
    name = getattr(request, "param", "numpy")
    for function in (tn.Network.__init__, tn.mlp, tn.load, tn.resume):
        monkeypatch.setitem(function.__kwdefaults__, "backend", name)
    return name
