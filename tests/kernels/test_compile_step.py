"""Numba compiles before the clock of the first epoch starts, and that trains nothing."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tinynet.arrays.backend import backend
from tinynet.kernels.numba import functions, large, pictures, small
from tinynet.training import progress


def picture_network() -> tn.Network:
    layers = [tn.Conv2D(1, 3, 3, padding=1), tn.BatchNorm(3), tn.ReLU(), tn.MaxPool2D(2), tn.Flatten()]
    return tn.Network(*layers, tn.Dropout(0.2), tn.Dense(3 * 4 * 4, 10), seed=1, backend="numba")


NETWORKS: dict[str, tuple[Callable[[], tn.Network], tuple[int, ...]]] = {
    "small": (lambda: tn.mlp(64, [12, 8], 10, dropout=[0.1], seed=1, backend="numba"), (64,)),
    "large": (lambda: tn.mlp(64, [480, 20], 10, dropout=[0.1], seed=1, backend="numba"), (64,)),
    "pictures": (picture_network, (1, 8, 8)),
    "float64": (lambda: tn.mlp(64, [12], 10, seed=1, dtype="float64", backend="numba"), (64,)),
}


def rows(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    return draw.integers(0, 256, (70, *shape)).astype(np.uint8), draw.integers(0, 10, 70)


def compiled() -> dict[str, int]:
    """Return how many versions of each function Numba has compiled or loaded in this process."""
    modules = (functions, large, pictures, small)
    found = {f"{module.__name__}.{name}": value for module in modules for name, value in vars(module).items()}
    return {name: len(value.signatures) for name, value in found.items() if hasattr(value, "signatures")}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_compiled_by_the_first_epoch_and_the_training_is_the_same(name: str) -> None:
    make, shape = NETWORKS[name]
    x, t = rows(shape)
    network = make()
    seen = []

    class Look(tn.Listener):
        def steps(self, steps: Any) -> Any:
            def looking(*given: Any) -> Any:
                seen.append(compiled())
                yield from steps(*given)
                seen.append(compiled())

            return looking

    history = tn.fit(network, tn.Adam(network), x, t, epochs=2, batch_size=32, callbacks=[Look()])
    assert seen[0] == seen[1]
    other = make()
    object.__setattr__(other, "backend", replace(other.backend, compile_step=lambda *given: None))
    again = tn.fit(other, tn.Adam(other), x, t, epochs=2, batch_size=32)
    np.testing.assert_array_equal(network.theta, other.theta)
    np.testing.assert_array_equal(network.buffers, other.buffers)
    assert [record.loss for record in history] == [record.loss for record in again]


def test_the_clock_starts_after_compilation_and_the_bar_says_why_it_waits(monkeypatch) -> None:
    x, t = rows((64,))
    waits, texts, waited = 0.5, [], []
    bar = pytest.importorskip("tqdm").tqdm(total=1, file=io.StringIO())
    monkeypatch.setattr(bar, "set_postfix_str", lambda text, refresh=True: texts.append(text))

    def compile_step(*given: Any) -> None:
        assert texts == [progress.COMPILES]
        time.sleep(waits)
        waited.append(waits)

    slow = replace(backend("numba"), compile_step=compile_step)
    network = tn.mlp(64, [12], 10, backend=slow)
    history = tn.fit(network, tn.Adam(network), x, t, epochs=1, progress=bar)
    assert waited == [waits]
    assert history[0].seconds < waits
    assert "compile" not in texts[-1]


def test_layers_of_a_user_are_called_for_training_only() -> None:
    calls = []

    class Own(tn.ReLU):
        def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
            calls.append(train)
            return super().forward(x, train)

    network = tn.Network(tn.Dense(64, 8), Own(), tn.Dense(8, 10), backend="numba")
    x, t = rows((64,))
    tn.fit(network, tn.Adam(network), x, t, epochs=1, batch_size=35)
    assert calls.count(True) == 2
