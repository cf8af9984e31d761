"""NumPy's OpenBLAS: its matrix product as a function for compiled code, and its number of threads.

OpenBLAS's own threads spin while they wait for each other. With another busy program, a step took eight times as long.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding
from numba import types
from threadpoolctl import ThreadpoolController

from .functions import inner

ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE = 101, 111, 112
"""Constants of CBLAS."""


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController().select(internal_api="openblas")


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context manager in which OpenBLAS uses one thread."""
    return _controller().limit(limits=1)


def _sgemm_address() -> int | None:
    """Return the address of cblas_sgemm with 64-bit sizes in NumPy's OpenBLAS; None if NumPy uses another BLAS."""
    for library in _controller().lib_controllers:
        function = getattr(ctypes.CDLL(library.filepath), "scipy_cblas_sgemm64_", None)
        if function:
            return ctypes.cast(function, ctypes.c_void_p).value
    return None


_ADDRESS = _sgemm_address()
HAS_BLAS = _ADDRESS is not None and hasattr(os, "sched_yield")
"""True if compiled code can call BLAS on its own threads."""

binding.add_symbol("tinynet_sgemm", _ADDRESS or 0)
_int, _long, _number, _pointer = types.int32, types.int64, types.float32, types.intp
_matrix = _pointer, _long
_cblas_sgemm = types.ExternalFunction(
    "tinynet_sgemm",
    types.void(_int, _int, _int, _long, _long, _long, _number, *_matrix, *_matrix, _number, *_matrix),
)


@inner
def sgemm(transpose_a, transpose_b, shape, a, lda, b, ldb, out, ldo):
    """out (rows, columns) = a (rows, terms) b (terms, columns)        shape = (rows, columns, terms)

    Each matrix is a vector that starts at its first number; lda, ldb and ldo are the distances between its rows.
    """
    rows, columns, terms = shape
    op_a, op_b = TRANSPOSE if transpose_a else NO_TRANSPOSE, TRANSPOSE if transpose_b else NO_TRANSPOSE
    one, zero = np.float32(1), np.float32(0)
    a_data, b_data, out_data = a.ctypes.data, b.ctypes.data, out.ctypes.data
    _cblas_sgemm(ROW_MAJOR, op_a, op_b, rows, columns, terms, one, a_data, lda, b_data, ldb, zero, out_data, ldo)
