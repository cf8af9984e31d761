"""The GPU itself: whether it can be used, the way there and back, and what its memory holds."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Array

try:
    import cupy
except ModuleNotFoundError as error:
    raise ImportError(
        "CuPy is not installed; install the extra cuda12 or cuda13, whichever CUDA your driver speaks (nvidia-smi)"
    ) from error
except ImportError as error:
    raise ImportError(f"CuPy is installed, but cannot be imported: {error}; install it anew") from error

xp = cupy
NO_GPU = "there is no GPU here, or CUDA_VISIBLE_DEVICES hides it; the other backends need none"
SOURCE = "".join((Path(__file__).parent / name).read_text() for name in ("kernels.cu", "pictures.cu"))


def probe() -> None:
    """ImportError, with what to do, unless a GPU is there and has run a kernel."""
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        raise ImportError(_without_devices(_first_line(error))) from error
    if devices == 0:
        raise ImportError(NO_GPU)
    try:
        y = cupy.zeros(3, np.float32)
        launch("add_bias", np.float32, 3, y, cupy.ones(3, np.float32), np.int32(3))
        works = bool((to_host(y) == 1).all())
    except Exception as error:
        raise ImportError(
            f"the GPU runs no kernel ({_first_line(error)}); CuPy needs CUDA's compiler and headers, which the extras "
            "cuda12 and cuda13 bring along, and a CuPy built for the driver's CUDA"
        ) from error
    if not works:
        raise ImportError("the GPU computes 0 + 1 wrongly; CuPy and the driver do not fit together: update either")


def use(device: int) -> None:
    """Makes a device the one on which arrays are made from now on. ValueError if there is none of that number."""
    devices = cupy.cuda.runtime.getDeviceCount()
    if not 0 <= device < devices:
        raise ValueError(f"backend 'cupy' has {devices} devices, numbered from 0; got 'cupy:{device}'")
    cupy.cuda.Device(device).use()


def to_device(array: np.ndarray) -> Array:
    return cupy.asarray(array)


def to_host(array: Array) -> np.ndarray:
    return cupy.asnumpy(array)


def synchronize() -> None:
    cupy.cuda.get_current_stream().synchronize()


def describe() -> str:
    """Which GPU, and its memory in MiB: what arrays take, what CuPy's pool keeps for more, what the driver has free."""
    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    pool, (free, total) = cupy.get_default_memory_pool(), cupy.cuda.runtime.memGetInfo()
    used, kept, free, total = (round(size / 2**20) for size in (pool.used_bytes(), pool.free_bytes(), free, total))
    memory = f"{used} in arrays, {kept} kept for more, {free} of {total} free"
    return f"CuPy {cupy.__version__} on {name}; memory in MiB: {memory}"


@functools.cache
def _module(real: str) -> Any:
    return cupy.RawModule(code=SOURCE, options=(f"-Dreal={real}",))


@functools.cache
def kernel(name: str, dtype: np.dtype) -> Any:
    """The kernel of that name in SOURCE, for float32 or float64."""
    return _module("float" if dtype == np.float32 else "double").get_function(name)


def launch(name: str, dtype: Any, size: int, *arguments: Any) -> None:
    """Runs a kernel with `size` threads or a few more; `size` is its last argument."""
    if size:
        launch_blocks(name, dtype, -(-size // 128), 128, *arguments, np.int64(size))


def launch_blocks(name: str, dtype: Any, blocks: int, threads: int, *arguments: Any) -> None:
    """Runs a kernel with so many blocks of so many threads each."""
    kernel(name, np.dtype(dtype))((blocks,), (threads,), arguments)


def _without_devices(error: str) -> str:
    if "NoDevice" in error:
        return NO_GPU
    if "InsufficientDriver" in error:
        return (
            "there is no NVIDIA driver, or one for an older CUDA than this CuPy's; install or update it (nvidia-smi "
            "shows which CUDA it speaks), or take the extra cuda12 in place of cuda13"
        )
    return f"CuPy finds no working NVIDIA driver ({error}); install it, or use another backend, which needs none"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
