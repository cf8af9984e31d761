"""Functions written as LLVM code: vectors in registers, bit masks and atomic counters, which Numba does not offer.

From a Python loop over listed rows, LLVM would make vectors only behind a check, in every iteration, that no two rows
overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""float32 numbers in a vector. A processor with narrower registers uses two or four registers for it."""

long = types.intp
_LONG, _INT = ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


def _intrinsic_of(signature: Any, code: Callable[..., Any]) -> tuple[Any, Any]:
    """Return what Numba expects from an intrinsic. code(builder, *arguments) gets each array as its data pointer."""

    def generate(context, builder, signature, arguments):
        pointers = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        result = code(builder, *pointers)
        return context.get_dummy_value() if result is None else result

    return signature, generate


@intrinsic
def gather(typing_context, pairs, count, rows, width, first, out, begin, vectors, lanes):
    """out[begin:] += sum over (j, w) in pairs[:count] of w rows[j, first:], for one tile of columns

    `rows` has `width` columns. The tile has 4, 3 or 1 vectors; of the last one only the first `lanes` numbers are used.
    """

    def code(builder, pairs, count, rows, width, first, out, begin, vectors, lanes):
        for tile in _tiles(builder, vectors, lanes):
            sums = [cgutils.alloca_once_value(builder, part) for part in tile.load(out, begin)]
            with cgutils.for_range(builder, count) as loop:
                row_begin, weight = _entry(builder, pairs, loop.index, width, first)
                for total, part in zip(sums, tile.load(rows, row_begin), strict=True):
                    builder.store(_multiply_add(builder, weight, part, builder.load(total)), total)
            tile.store([builder.load(total) for total in sums], out, begin)

    return _intrinsic_of(types.void(pairs, long, rows, long, long, out, long, long, long), code)


@intrinsic
def scatter(typing_context, pairs, count, rows, width, vector, begin, vectors, lanes):
    """rows[j, begin:] += w vector[begin:] for each (j, w) in pairs[:count], for one tile of columns as in `gather`"""

    def code(builder, pairs, count, rows, width, vector, begin, vectors, lanes):
        for tile in _tiles(builder, vectors, lanes):
            parts = tile.load(vector, begin)
            with cgutils.for_range(builder, count) as loop:
                row_begin, weight = _entry(builder, pairs, loop.index, width, begin)
                totals = tile.load(rows, row_begin)
                moved = [_multiply_add(builder, weight, *pair) for pair in zip(parts, totals, strict=True)]
                tile.store(moved, rows, row_begin)

    return _intrinsic_of(types.void(pairs, long, rows, long, vector, long, long, long), code)


def _tiles(builder: Any, vectors: Any, lanes: Any) -> Iterator[_Tile]:
    """Yield a tile of each size; what is built for it runs only if `vectors` is its size."""
    for size in (4, 3, 1):
        with builder.if_then(builder.icmp_signed("==", vectors, _LONG(size))):
            yield _Tile(builder, size, lanes)


class _Tile:
    """Vectors that follow each other in memory, of the last one only the first `lanes` numbers."""

    def __init__(self, builder: Any, vectors: int, lanes: Any) -> None:
        numbers = ir.Constant(ir.VectorType(_LONG, LANES), list(range(LANES)))
        self.builder, self.vectors = builder, vectors
        self.mask = builder.icmp_signed("<", numbers, _in_all_lanes(builder, lanes))

    def load(self, data: Any, start: Any) -> list[Any]:
        *whole, last = self._pointers(data, start)
        arguments = [last, _INT(4), self.mask, ir.Constant(_VECTOR, None)]
        return [*(self.builder.load(at, align=4) for at in whole), self._call("load", _VECTOR, arguments)]

    def store(self, numbers: list[Any], data: Any, start: Any) -> None:
        *whole, last = self._pointers(data, start)
        for number, at in zip(numbers, whole, strict=False):
            self.builder.store(number, at, align=4)
        self._call("store", ir.VoidType(), [numbers[-1], last, _INT(4), self.mask])

    def _pointers(self, data: Any, start: Any) -> list[Any]:
        starts = [self.builder.add(start, _LONG(LANES * k)) for k in range(self.vectors)]
        return [_at(self.builder, data, _VECTOR, begin) for begin in starts]

    def _call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.{name}.v{LANES}f32.p0")
        return self.builder.call(function, arguments)


def _at(builder: Any, data: Any, kind: Any, index: Any) -> Any:
    """Return a pointer of that kind to the number at the index."""
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _entry(builder: Any, pairs: Any, k: Any, width: Any, first: Any) -> tuple[Any, Any]:
    """Return the position of rows[j, first], and w in all lanes, where (j, w) = pairs[k]."""
    pair = builder.mul(k, _LONG(2))
    row = builder.fptosi(builder.load(builder.gep(pairs, [pair])), _LONG)
    weight = builder.load(builder.gep(pairs, [builder.add(pair, _LONG(1))]))
    return builder.add(builder.mul(row, width), first), _in_all_lanes(builder, weight)


def _multiply_add(builder: Any, a: Any, b: Any, total: Any) -> Any:
    return builder.fadd(total, builder.fmul(a, b, flags=("contract",)), flags=("contract",))


def _in_all_lanes(builder: Any, number: Any) -> Any:
    empty = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    single = builder.insert_element(empty, number, _INT(0))
    return builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES))


@intrinsic
def copy(typing_context, row, target, begin, numbers):
    """target[begin : begin + numbers] = row[:numbers], by memcpy: Numba's slice assignment is slow for short rows"""

    def code(builder, row_data, target, begin, numbers):
        size = _LONG(row.dtype.bitwidth // 8)
        cgutils.raw_memcpy(builder, builder.gep(target, [begin]), row_data, numbers, size, align=1)

    return _intrinsic_of(types.void(row, target, long, long), code)


OUTPUTS, VECTORS = 8, 2
"""Outputs that a tile of a convolution computes at once, and vectors of each."""
STEP = LANES * VECTORS
ROWS, TAPS = 4, 4
"""Outputs and taps that a tile of its gradient computes at once."""


@intrinsic
def convolve(typing_context, x, begin, shifts, taps, weights, first, y, start, width):
    """y[start + m width:] = sum over taps t of weights[first + OUTPUTS t + m] x[begin + shift_t:], m < OUTPUTS"""

    def code(builder, x, begin, shifts, taps, weights, first, y, start, width):
        sums = [[_zero(builder) for _ in range(VECTORS)] for _ in range(OUTPUTS)]
        with cgutils.for_range(builder, taps) as loop:
            tap = builder.add(begin, builder.load(builder.gep(shifts, [loop.index])))
            parts = [_vector(builder, x, builder.add(tap, _LONG(LANES * k))) for k in range(VECTORS)]
            weights_at = builder.add(first, builder.mul(loop.index, _LONG(OUTPUTS)))
            for m, totals in enumerate(sums):
                at = builder.gep(weights, [builder.add(weights_at, _LONG(m))])
                _add_products(builder, totals, [_in_all_lanes(builder, builder.load(at))] * VECTORS, parts)
        for m, totals in enumerate(sums):
            for k, total in enumerate(totals):
                target = _at(builder, y, _VECTOR, _row(builder, start, m, width, _LONG(LANES * k)))
                builder.store(builder.load(total), target, align=4)

    return _intrinsic_of(types.void(x, long, shifts, long, weights, long, y, long, long), code)


@intrinsic
def correlate(typing_context, dy, dy_begin, dy_width, dy_next, x, x_begin, x_next, shifts, first, sizes, sums, start):
    """sums[start + m taps + t] += sum over n and f of dy[dy_begin + n dy_next + m dy_width + f] x[... + shift_t + f]

    For ROWS outputs m and TAPS taps t, from `first` on. sizes = (vectors of f, pictures n, all taps).
    """

    def code(builder, dy, dy_begin, dy_width, dy_next, x, x_begin, x_next, shifts, first, sizes, sums, start):
        vectors, pictures, all_taps = (builder.extract_value(sizes, k) for k in range(3))
        totals = [[_zero(builder) for _ in range(TAPS)] for _ in range(ROWS)]
        moves = [builder.load(builder.gep(shifts, [builder.add(first, _LONG(t))])) for t in range(TAPS)]
        with cgutils.for_range(builder, pictures) as picture:
            dy_first = builder.add(dy_begin, builder.mul(picture.index, dy_next))
            x_first = builder.add(x_begin, builder.mul(picture.index, x_next))
            rows = [builder.add(dy_first, builder.mul(dy_width, _LONG(m))) for m in range(ROWS)]
            taps = [builder.add(x_first, move) for move in moves]
            with cgutils.for_range(builder, vectors) as loop:
                f = builder.mul(loop.index, _LONG(LANES))
                dy_parts = [_vector(builder, dy, builder.add(row, f)) for row in rows]
                x_parts = [_vector(builder, x, builder.add(tap, f)) for tap in taps]
                for row_totals, dy_part in zip(totals, dy_parts, strict=True):
                    _add_products(builder, row_totals, [dy_part] * TAPS, x_parts)
        for m, row_totals in enumerate(totals):
            for t, total in enumerate(row_totals):
                target = builder.gep(sums, [_row(builder, start, m, all_taps, _LONG(t))])
                builder.store(_sum(builder, builder.load(target), builder.load(total)), target)

    three = types.UniTuple(long, 3)
    return _intrinsic_of(types.void(dy, long, long, long, x, long, long, shifts, long, three, sums, long), code)


def combination(matrix: np.ndarray) -> Any:
    """Return an intrinsic that multiplies the matrix by rows of numbers, vector by vector."""

    @intrinsic
    def combine(typing_context, x, begin, width, y, start, y_width, vectors, constant):
        """y[start + i y_width:] = constant + sum over k of matrix[i, k] x[begin + k width:], for that many vectors"""

        def code(builder, x, begin, width, y, start, y_width, vectors, constant):
            with cgutils.for_range(builder, vectors) as loop:
                f = builder.mul(loop.index, _LONG(LANES))
                starts = [_row(builder, begin, k, width, f) for k in range(matrix.shape[1])]
                rows = [_vector(builder, x, row_start) for row_start in starts]
                sums = [_weighted(builder, weights, rows, _in_all_lanes(builder, constant)) for weights in matrix]
                for i, total in enumerate(sums):
                    target = _at(builder, y, _VECTOR, _row(builder, start, i, y_width, f))
                    builder.store(total, target, align=4)

        return _intrinsic_of(types.void(x, long, long, y, long, long, long, types.float32), code)

    return combine


def _row(builder: Any, begin: Any, k: int, width: Any, f: Any) -> Any:
    return builder.add(builder.add(begin, builder.mul(width, _LONG(k))), f)


def _weighted(builder: Any, weights: Any, rows: list[Any], total: Any) -> Any:
    """Return the total plus the sum of the rows, each times its weight."""
    for weight, row in zip(weights, rows, strict=True):
        if weight:
            total = _multiply_add(builder, ir.Constant(_VECTOR, [float(weight)] * LANES), row, total)
    return total


def _zero(builder: Any) -> Any:
    return cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None))


def _vector(builder: Any, data: Any, index: Any) -> Any:
    return builder.load(_at(builder, data, _VECTOR, index), align=4)


def _add_products(builder: Any, totals: list[Any], a: list[Any], b: list[Any]) -> None:
    for total, left, right in zip(totals, a, b, strict=True):
        builder.store(_multiply_add(builder, left, right, builder.load(total)), total)


def _sum(builder: Any, number: Any, lanes: Any) -> Any:
    """Return the number plus the sum of all lanes."""
    kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _VECTOR])
    reduce = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
    return builder.call(reduce, [number, lanes], fastmath=("reassoc",))


COMPARED = 64
"""Numbers compared with zero at once."""


@intrinsic
def not_zero(typing_context, row, first):
    """Return 64 bits: bit k is 1 if row[first + k] is not 0, k < COMPARED."""

    def code(builder, data, first):
        kind = ir.VectorType(data.type.pointee, COMPARED)
        numbers, zeros = builder.load(_at(builder, data, kind, first), align=1), ir.Constant(kind, None)
        compare = builder.fcmp_unordered if isinstance(row.dtype, types.Float) else builder.icmp_unsigned
        return builder.bitcast(compare("!=", numbers, zeros), ir.IntType(COMPARED))

    return _intrinsic_of(types.uint64(row, long), code)


@intrinsic
def lowest_bit(typing_context, bits):
    """Return the position of the lowest bit that is set. There must be one."""
    return _intrinsic_of(types.int64(types.uint64), lambda builder, bits: builder.cttz(bits, ir.IntType(1)(1)))


@intrinsic
def add_one(typing_context, address):
    """Add 1 to the counter at this address, atomically, and return its value before."""

    def code(builder, address):
        return builder.atomic_rmw("add", builder.inttoptr(address, _LONG.as_pointer()), _LONG(1), "seq_cst")

    return _intrinsic_of(types.int64(long), code)


@intrinsic
def read_counter(typing_context, address):
    """Return the current value of the counter at this address."""

    def code(builder, address):
        return builder.load_atomic(builder.inttoptr(address, _LONG.as_pointer()), "acquire", 8)

    return _intrinsic_of(types.int64(long), code)


offer_core = types.ExternalFunction("sched_yield", types.int32())
"""Let another thread run on this core."""
