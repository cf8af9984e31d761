"""Matrix products of float32 that can be captured in a CUDA graph.

CuPy refuses its own cuBLAS calls during capture. cuBLAS itself allows them if its workspace was allocated before. So
this module has its own handle and workspace, on one stream. cuBLAS is column-major: it computes the row-major y = a b
as y^T = b^T a^T, and gets the operands in the other order.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import cupy

from ...arrays import Array

WORKSPACE = 32 * 2**20
"""Bytes that NVIDIA recommends for Hopper; other generations need less."""

NO_TRANSPOSE, TRANSPOSE = 0, 1
ONE, ZERO = ctypes.c_float(1), ctypes.c_float(0)


class Products:
    """cuBLAS on one stream. Raises RuntimeError with cuBLAS's status if a call fails, OSError if cuBLAS is missing."""

    def __init__(self, stream: Any) -> None:
        self.handle = ctypes.c_void_p()
        self.library = library()
        self.workspace = cupy.empty(WORKSPACE, "uint8")
        self._call("cublasCreate_v2", ctypes.byref(self.handle))
        self._call("cublasSetStream_v2", self.handle, ctypes.c_void_p(stream.ptr))
        pointer = ctypes.c_void_p(self.workspace.data.ptr)
        self._call("cublasSetWorkspace_v2", self.handle, pointer, ctypes.c_size_t(WORKSPACE))

    def forward(self, x: Array, W: Array, y: Array) -> None:
        """y = x W        x (N, D), W (D, M) -> y (N, M)"""
        (N, D), M = x.shape, W.shape[1]
        self._multiply(NO_TRANSPOSE, NO_TRANSPOSE, M, N, D, W, M, x, D, y)

    def backward(self, dy: Array, W: Array, dx: Array) -> None:
        """dx = dy W^T        dy (N, M), W (D, M) -> dx (N, D)"""
        (N, M), D = dy.shape, W.shape[0]
        self._multiply(TRANSPOSE, NO_TRANSPOSE, D, N, M, W, M, dy, M, dx)

    def backward_parameters(self, dy: Array, x: Array, dW: Array) -> None:
        """dW = x^T dy        dy (N, M), x (N, D) -> dW (D, M)"""
        (N, M), D = dy.shape, x.shape[1]
        self._multiply(NO_TRANSPOSE, TRANSPOSE, M, D, N, dy, M, x, D, dW)

    def _multiply(
        self, op_a: int, op_b: int, m: int, n: int, k: int, a: Array, lda: int, b: Array, ldb: int, c: Array
    ) -> None:
        """c (m, n) = op_a(a) (m, k) op_b(b) (k, n), all column-major."""
        a, b, c = (ctypes.c_void_p(array.data.ptr) for array in (a, b, c))
        scale, add = ctypes.byref(ONE), ctypes.byref(ZERO)
        self._call("cublasSgemm_v2", self.handle, op_a, op_b, m, n, k, scale, a, lda, b, ldb, add, c, m)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} failed with cuBLAS status {status}")

    def __del__(self) -> None:
        if self.handle:
            self.library.cublasDestroy_v2(self.handle)


@functools.cache
def library() -> Any:
    """Return the cuBLAS that CuPy uses, found in the same way."""
    from cuda.pathfinder import load_nvidia_dynamic_lib  # comes with CuPy 14

    return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
