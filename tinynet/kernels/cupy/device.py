"""The GPU itself: whether it works, copies to and from its memory, and kernel launches."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

try:
    import cupy
except ModuleNotFoundError as error:
    raise ImportError(
        "CuPy is not installed; install the extra cuda12 or cuda13, for the CUDA version that nvidia-smi shows"
    ) from error
except ImportError as error:
    raise ImportError(f"CuPy is installed, but cannot be imported: {error}; reinstall it") from error

xp, to_device, to_host = cupy, cupy.asarray, cupy.asnumpy
NO_GPU = "there is no GPU here, or CUDA_VISIBLE_DEVICES hides it; use another backend"
SOURCE = "".join((Path(__file__).parent / name).read_text() for name in ("kernels.cu", "pictures.cu"))


def probe() -> None:
    """Run a kernel. Raises ImportError, with a way to fix it, if there is no GPU or it does not work."""
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
            "cuda12 and cuda13 install, and must be built for the driver's CUDA version"
        ) from error
    if not works:
        raise ImportError("the GPU computes 0 + 1 wrongly: CuPy and the driver are not compatible; update one of them")


def use(device: int) -> None:
    """Create new arrays on this device from now on. Raises ValueError if there is no device with that number."""
    devices = cupy.cuda.runtime.getDeviceCount()
    if not 0 <= device < devices:
        raise ValueError(f"backend 'cupy': expected a device below {devices}, got 'cupy:{device}'")
    cupy.cuda.Device(device).use()


def synchronize() -> None:
    cupy.cuda.get_current_stream().synchronize()


def describe() -> str:
    """Return the name of the GPU, and its memory in MiB: in arrays, reserved by CuPy's pool, and free."""
    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    pool, (free, total) = cupy.get_default_memory_pool(), cupy.cuda.runtime.memGetInfo()
    used, reserved, free, total = (round(size / 2**20) for size in (pool.used_bytes(), pool.free_bytes(), free, total))
    memory = f"{used} in arrays, {reserved} reserved, {free} of {total} free"
    return f"CuPy {cupy.__version__} on {name}; memory in MiB: {memory}"


@functools.cache
def _module(real: str) -> Any:
    return cupy.RawModule(code=SOURCE, options=(f"-Dreal={real}",))


@functools.cache
def kernel(name: str, dtype: np.dtype) -> Any:
    """Return the kernel of that name in SOURCE, for float32 or float64."""
    return _module("float" if dtype == np.float32 else "double").get_function(name)


def launch(name: str, dtype: Any, size: int, *arguments: Any) -> None:
    """Run a kernel with `size` threads, rounded up to whole blocks. `size` becomes its last argument."""
    if size:
        launch_blocks(name, dtype, -(-size // 128), 128, *arguments, np.int64(size))


def launch_blocks(name: str, dtype: Any, blocks: int, threads: int, *arguments: Any) -> None:
    """Run a kernel with that number of blocks, each with that number of threads."""
    kernel(name, np.dtype(dtype))((blocks,), (threads,), arguments)


def _without_devices(error: str) -> str:
    if "NoDevice" in error:
        return NO_GPU
    if "InsufficientDriver" in error:
        return (
            "there is no NVIDIA driver, or it supports only an older CUDA than this CuPy needs (nvidia-smi shows "
            "which); install or update the driver, or install the extra cuda12 instead of cuda13"
        )
    return f"CuPy finds no working NVIDIA driver ({error}); install one, or use another backend"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
