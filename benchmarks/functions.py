"""Microseconds per call of the functions on the NumPy and Numba backends, with shapes of a small and a large network.

python benchmarks/functions.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from report import markdown, write_section
from threadpoolctl import threadpool_limits

import tinynet as tn

SHAPES = {"batch 32, 784 -> 12": (32, 784, 12, 9_614), "batch 64, 784 -> 480": (64, 784, 480, 529_030)}
BACKENDS = ("numpy", "numpy-fast", "numba")
ROUNDS, SECONDS = 7, 0.02
KEY = (12345, 67890)


def main() -> None:
    rows = []
    with threadpool_limits(1):
        for shape, sizes in SHAPES.items():
            for name, arguments in calls(*sizes).items():
                readable, fast, compiled = (getattr(tn.backend(backend).ops, name) for backend in BACKENDS)
                if compiled is not readable:
                    calls_of = [lambda f=f, v=arguments: f(*v) for f in (readable, fast, compiled)]
                    times = in_turn(*calls_of)
                    us = {f"{backend}, us": f"{time:.1f}" for backend, time in zip(BACKENDS, times, strict=True)}
                    ratio = {"numpy-fast / numba": f"{times[1] / times[2]:.1f}"}
                    rows.append({"function": name, "shape": shape, **us, **ratio})
    write_section("functions.py: microseconds per call, by backend", markdown(rows))


def calls(N: int, D: int, M: int, parameters: int) -> dict[str, tuple[Any, ...]]:
    """Return arguments for each function in float32: a layer D -> M, N rows, ten classes, this many parameters."""
    draw = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return draw.normal(size=shape).astype(np.float32)

    x, W, b, y, z = array(N, D), array(D, M), array(1, M), array(N, M), array(N, 10)
    t = np.eye(10, dtype=np.float32)[draw.integers(0, 10, N)]
    theta, grad, m, v = array(parameters), array(parameters), array(parameters), abs(array(parameters))
    pixels = draw.integers(0, 256, (32_000, 784)).astype(np.uint8)
    return {
        "dense": (x, W, b),
        "dense_backward_parameters": (y, x, W.copy(), b.copy()),
        "relu": (y,),
        "relu_backward": (y, y),
        "dropout": (y, 0.25, KEY),
        "softmax_cross_entropy": (z, t),
        "count_correct": (z, t),
        "sgd": (theta, grad, m, 1e-6, 0.9, False),
        "adam": (theta, grad, m, v, 10, 1e-6, 0.9, 0.999, 1e-7),
        "gather": (pixels, draw.integers(0, 32_000, N), np.dtype(np.float32)),
    }


def in_turn(*functions: Callable[[], Any]) -> list[float]:
    """Return the median microseconds of each function, measured in turn for several rounds."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(ROUNDS):
        for function, found in zip(functions, times, strict=True):
            found.append(one_call(function))
    return [1e6 * statistics.median(found) for found in times]


def one_call(function: Callable[[], Any]) -> float:
    """Return the mean seconds of a call, over as many calls as fit into SECONDS."""
    function()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        function()
        calls += 1
    return (time.perf_counter() - start) / calls


if __name__ == "__main__":
    main()
