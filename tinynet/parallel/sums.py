"""How a vector is added up over all processes: in place, between GPUs, or by way of the host."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from ..arrays.backend import Backend

Sum = Callable[[Array], None]


def sum_for(comm: Any, place: Backend) -> tuple[Sum, str]:
    """The fastest way there is to replace a vector by its sum over all processes, and its name."""
    from mpi4py import MPI

    def in_place(vector: Array) -> None:
        comm.Allreduce(MPI.IN_PLACE, vector)

    if place.xp is np:
        name, version = MPI.get_vendor()
        return in_place, f"by {name} {'.'.join(map(str, version))}"
    if _on_all(comm, _has_nccl(comm, place)):
        return _nccl(comm, place), "by NCCL"
    if _on_all(comm, _knows_cuda(MPI)):
        return _after_synchronizing(place, in_place), "by MPI between GPUs"
    return _over_the_host(place, in_place), "by MPI over the host"


def _on_all(comm: Any, works: bool) -> bool:
    return all(comm.allgather(works))


def _over_the_host(place: Backend, add_up: Sum) -> Sum:
    def over_the_host(vector: Array) -> None:
        host = place.to_host(vector)
        add_up(host)
        vector[...] = place.to_device(host)

    return over_the_host


def _after_synchronizing(place: Backend, add_up: Sum) -> Sum:
    """MPI knows nothing of streams: what it is given must be there."""

    def after_synchronizing(vector: Array) -> None:
        place.synchronize()
        add_up(vector)

    return after_synchronizing


def _has_nccl(comm: Any, place: Backend) -> bool:
    """Whether CuPy has NCCL, and no two processes of a machine share a GPU, which NCCL refuses."""
    from mpi4py import MPI

    devices = place.xp.cuda.runtime.getDeviceCount()
    try:
        nccl = importlib.import_module("cupy.cuda.nccl")
    except ImportError:
        return False
    return getattr(nccl, "available", True) and comm.Split_type(MPI.COMM_TYPE_SHARED).size <= devices


def _nccl(comm: Any, place: Backend) -> Sum:
    nccl = importlib.import_module("cupy.cuda.nccl")
    group = nccl.NcclCommunicator(comm.size, comm.bcast(nccl.get_unique_id() if comm.rank == 0 else None), comm.rank)
    kinds = {"float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64}

    def by_nccl(vector: Array) -> None:
        stream, at = place.xp.cuda.get_current_stream(), vector.data.ptr
        group.allReduce(at, at, vector.size, kinds[vector.dtype.name], nccl.NCCL_SUM, stream.ptr)

    return by_nccl


def _knows_cuda(MPI: Any) -> bool:
    """Whether this MPI takes arrays on GPUs: Open MPI and MPICH answer by the same name."""
    query = getattr(ctypes.CDLL(MPI.__file__), "MPIX_Query_cuda_support", None)
    return bool(query and query())
