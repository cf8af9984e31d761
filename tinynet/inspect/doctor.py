"""python -m tinynet.inspect.doctor: installed packages, which backends work (or why not), and how fast they train."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata

import numpy as np

from ..arrays.backend import backend, backends
from ..network import mlp
from ..optim import Adam
from ..training.fit import fit

PACKAGES = ("numpy", "tqdm", "numba", "cupy-cuda12x", "cupy-cuda13x", "threadpoolctl", "pandas", "matplotlib", "pillow")
SECONDS = 3.0
"""Seconds for all speed checks together."""


def main() -> None:
    """Print the report. It takes a few seconds; Numba's first compilation takes longer."""
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    print("packages   " + ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    for line in blas_lines():
        print(line)
    for line in backend_lines():
        print(line)


def version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def blas_lines() -> list[str]:
    """Return lines about the BLAS that NumPy uses, from threadpoolctl."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ["BLAS       unknown: threadpoolctl is not installed"]
    found = [
        f"BLAS       {blas['internal_api']} {blas['version']}, {blas['num_threads']} threads, "
        f"kernels for {blas.get('architecture', 'an unnamed processor')}"
        for blas in threadpool_info()
        if blas["user_api"] == "blas"
    ]
    forced = [
        f"           because {name}={os.environ[name]} is set; without it, they may be faster"
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS")
        if name in os.environ
    ]
    return [*(found or ["BLAS       unknown to threadpoolctl"]), *forced]


def backend_lines() -> list[str]:
    """Return a line for each backend: what it computes on and how fast it trains, or why it does not work."""
    lines = []
    for name in backends():
        try:
            rows = speed(name, SECONDS / len(backends()))
            lines.append(f"{name:<10} {backend(name).describe()}; {rows:,.0f} digits a second")
        except Exception as error:
            lines.append(f"{name:<10} {error}")
    return lines


def speed(name: str, seconds: float) -> float:
    """Return the rows per second of training 784x48x24x10 in batches of 32."""
    draw = np.random.default_rng(0)
    x, t = draw.integers(0, 256, (3200, 784)).astype(np.uint8), draw.integers(0, 10, 3200)
    network = mlp(784, [48, 24], 10, backend=name)
    optimizer, rows = Adam(network), 0
    fit(network, optimizer, x, t, epochs=1, progress=False)
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        rows += fit(network, optimizer, x, t, epochs=1, progress=False)[0].rows
    return rows / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
