"""What all tests share: random numbers, and for tests of training every backend in turn."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import chromium
import numpy as np
import pytest
import standin
from report_pages import (  # noqa: F401  fixtures
    digits,
    eight,
    every_layer,
    every_layer_page,
    of_every_layer,
    of_pictures,
    open_page,
    pictures,
    pictures_page,
    runs,
    small_page,
    tab,
)

import tinynet as tn

ON_EVERY_BACKEND = {
    f"test_{subject}"
    for subject in (
        *(
            "layers",
            "each_layer",
            "pictures",
            "buffers",
            "blocks",
            "freezing",
            "network",
            "network_parts",
            "losses",
            "optim",
        ),
        *("fit", "evaluation", "weights", "listeners", "diagnosis", "parity"),
    )
}
BACKENDS = ["numpy", "numba", "cupy on a stand-in", pytest.param("cupy", marks=pytest.mark.gpu)]


LEFT_OUT = pytest.StashKey[int]()
"""How many tests need a browser that is not there."""


@pytest.fixture
def draw() -> np.random.Generator:
    """The test's own random numbers, the same on every run."""
    return np.random.default_rng(20260101)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__ in ON_EVERY_BACKEND:
        metafunc.parametrize("default_backend", BACKENDS, indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is slow, or for a GPU, is for those who ask: `pytest -m slow`. Without a browser, a line counts the rest."""
    for mark in ("slow", "gpu"):
        if mark not in config.option.markexpr:
            items[:] = [item for item in items if not item.get_closest_marker(mark)]
    if chromium.missing() and not chromium.NEEDED:
        config.stash[LEFT_OUT] = sum("browser" in item.fixturenames for item in items)
        items[:] = [item for item in items if "browser" not in item.fixturenames]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.line(f"{count} tests need a browser and are left out: {chromium.missing()}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if reason := chromium.missing():
        pytest.fail(reason)
    with chromium.opened() as browser:
        yield browser


@pytest.fixture(autouse=True)
def default_backend(request, monkeypatch, tmp_path_factory) -> Iterator[str]:
    """The backend of every network for which the test names none: in tests of training, each in turn.

    Those tests look into host arrays; on a GPU, and on its stand-in, every function moves them there and back.
    """
    name = getattr(request, "param", "numpy")
    with contextlib.ExitStack() as stack:
        place: str | tn.Backend = name
        if name == "cupy on a stand-in":
            folder = standin.shared_folder(tmp_path_factory)
            place = standin.by_functions(stack.enter_context(standin.installed(folder)))
        elif name == "cupy":
            place = standin.by_functions(standin.real_gpu())
        for function in (tn.Network.__init__, tn.mlp, tn.load, tn.resume):
            monkeypatch.setitem(function.__kwdefaults__, "backend", place)
        yield getattr(place, "name", place)
