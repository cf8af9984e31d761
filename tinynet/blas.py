"""What multiplies NumPy's matrices, and whether it knows this processor."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

AVX512 = {"X86_V4", "AVX512_SKX"}
"""Names under which NumPy's versions report a processor with AVX-512."""


def faster_environment() -> dict[str, str]:
    """Environment variables under which a new process multiplies matrices up to twice as fast; mostly none.

    OpenBLAS knows processors by their model. One that is newer than itself passes for a Haswell of 2013, and its
    AVX-512 lies idle; OPENBLAS_CORETYPE names the kernels to use instead. It is read when NumPy is first imported.
    Empty too where it is set already, or threadpoolctl is not installed.
    """
    if "OPENBLAS_CORETYPE" in os.environ:
        return {}
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    takes_it_for_older = any(library.get("architecture") in ("Haswell", "Zen") for library in libraries())
    return {"OPENBLAS_CORETYPE": "SkylakeX"} if takes_it_for_older and AVX512.intersection(found) else {}


def libraries() -> list[dict[str, Any]]:
    """What threadpoolctl says of the BLAS libraries that this process has loaded; nothing if it is not installed."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return [library for library in threadpool_info() if library["user_api"] == "blas"]
