"""All-reduce of a vector: replace it by its sum over all ranks, in place, between GPUs, or through the host."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from ..arrays.backend import Backend

AllReduce = Callable[[Array], None]


def all_reduce_for(comm: Any, backend: Backend) -> tuple[AllReduce, str]:
    """Return the fastest all-reduce that works for arrays of this backend, and a description of it."""
    from mpi4py import MPI

    def in_place(vector: Array) -> None:
        comm.Allreduce(MPI.IN_PLACE, vector)

    if backend.xp is np:
        name, version = MPI.get_vendor()
        return in_place, f"by {name} {'.'.join(map(str, version))}"
    if _on_all(comm, _has_nccl(comm, backend)):
        return _nccl(comm, backend), "by NCCL"
    if _on_all(comm, _knows_cuda(MPI)):
        return _after_synchronizing(backend, in_place), "by MPI between GPUs"
    return _through_host(backend, in_place), "by MPI through the host"


def _on_all(comm: Any, works: bool) -> bool:
    """Return whether it works on all ranks."""
    return all(comm.allgather(works))


def _through_host(backend: Backend, all_reduce: AllReduce) -> AllReduce:
    def through_host(vector: Array) -> None:
        host = backend.to_host(vector)
        all_reduce(host)
        vector[...] = backend.to_device(host)

    return through_host


def _after_synchronizing(backend: Backend, all_reduce: AllReduce) -> AllReduce:
    """Return an all-reduce that first completes the vector, because MPI does not wait for CUDA streams."""

    def after_synchronizing(vector: Array) -> None:
        backend.synchronize()
        all_reduce(vector)

    return after_synchronizing


def _has_nccl(comm: Any, backend: Backend) -> bool:
    """Return whether CuPy has NCCL and each rank of a machine has its own GPU, which NCCL requires."""
    from mpi4py import MPI

    devices = backend.xp.cuda.runtime.getDeviceCount()
    try:
        nccl = importlib.import_module("cupy.cuda.nccl")
    except ImportError:
        return False
    return getattr(nccl, "available", True) and comm.Split_type(MPI.COMM_TYPE_SHARED).size <= devices


def _nccl(comm: Any, backend: Backend) -> AllReduce:
    nccl = importlib.import_module("cupy.cuda.nccl")
    group = nccl.NcclCommunicator(comm.size, comm.bcast(nccl.get_unique_id() if comm.rank == 0 else None), comm.rank)
    dtypes = {"float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64}

    def by_nccl(vector: Array) -> None:
        stream, pointer = backend.xp.cuda.get_current_stream(), vector.data.ptr
        group.allReduce(pointer, pointer, vector.size, dtypes[vector.dtype.name], nccl.NCCL_SUM, stream.ptr)

    return by_nccl


def _knows_cuda(MPI: Any) -> bool:
    """Return whether this MPI accepts arrays on GPUs. Open MPI and MPICH share this query."""
    query = getattr(ctypes.CDLL(MPI.__file__), "MPIX_Query_cuda_support", None)
    return bool(query and query())
