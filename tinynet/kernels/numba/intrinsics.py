"""Functions written as LLVM code: vectors in registers, bit masks and atomic counters, which Numba does not offer.

From a Python loop over listed rows, LLVM would make vectors only behind a check, in every iteration, that no two rows
overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""float32 numbers in a vector. A processor with narrower registers uses two or four registers for it."""

_LONG, _INT = ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


def _tile(vectors: int) -> tuple[Any, Any]:
    """Return two loops over (row_j, weight_j) = listed[j], j < count, for that many vectors of columns at once.

    Of the last vector they use only the first `lanes` numbers.
    """

    @intrinsic
    def gather(typing_context, listed, count, rows, first, out, begin, lanes):
        """out[begin:] += sum over j of weight_j rows[row_j, first:]"""

        def code(context, builder, signature, arguments):
            pairs, terms, matrix, offset, out_array, start, last_lanes = _unpacked(
                context, builder, signature, arguments
            )
            tile = _Tile(builder, vectors, last_lanes)
            sums = [cgutils.alloca_once_value(builder, part) for part in tile.load(out_array.data, start)]
            with cgutils.for_range(builder, terms) as loop:
                begin_row, weight = _entry(builder, pairs, loop.index, matrix, offset)
                for total, part in zip(sums, tile.load(matrix.data, begin_row), strict=True):
                    builder.store(_multiply_add(builder, weight, part, builder.load(total)), total)
            tile.store([builder.load(total) for total in sums], out_array.data, start)
            return context.get_dummy_value()

        return types.void(listed, types.intp, rows, types.intp, out, types.intp, types.intp), code

    @intrinsic
    def scatter(typing_context, listed, count, rows, first, vector, begin, lanes):
        """rows[row_j, first:] += weight_j vector[begin:]"""

        def code(context, builder, signature, arguments):
            pairs, terms, matrix, offset, array, start, last_lanes = _unpacked(context, builder, signature, arguments)
            tile = _Tile(builder, vectors, last_lanes)
            parts = tile.load(array.data, start)
            with cgutils.for_range(builder, terms) as loop:
                begin_row, weight = _entry(builder, pairs, loop.index, matrix, offset)
                totals = tile.load(matrix.data, begin_row)
                moved = [_multiply_add(builder, weight, *pair) for pair in zip(parts, totals, strict=True)]
                tile.store(moved, matrix.data, begin_row)
            return context.get_dummy_value()

        return types.void(listed, types.intp, rows, types.intp, vector, types.intp, types.intp), code

    return gather, scatter


def _unpacked(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Return the arguments, each array as a structure with `data` and `shape`."""
    return [
        context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


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


def _entry(builder: Any, pairs: Any, j: Any, matrix: Any, offset: Any) -> tuple[Any, Any]:
    """Return where column `offset` of row_j is in the matrix, and weight_j in all lanes."""
    pair = builder.mul(j, _LONG(2))
    row = builder.fptosi(builder.load(builder.gep(pairs.data, [pair])), _LONG)
    weight = builder.load(builder.gep(pairs.data, [builder.add(pair, _LONG(1))]))
    width = builder.extract_value(matrix.shape, 1)
    return builder.add(builder.mul(row, width), offset), _in_all_lanes(builder, weight)


def _multiply_add(builder: Any, a: Any, b: Any, total: Any) -> Any:
    return builder.fadd(total, builder.fmul(a, b, flags=("contract",)), flags=("contract",))


def _in_all_lanes(builder: Any, number: Any) -> Any:
    empty = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    single = builder.insert_element(empty, number, _INT(0))
    return builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES))


(gather_4, scatter_4), (gather_3, scatter_3), (gather_1, scatter_1) = _tile(4), _tile(3), _tile(1)


@intrinsic
def copy(typing_context, row, target, begin, numbers):
    """target[begin : begin + numbers] = row[:numbers], by memcpy: Numba's slice assignment is slow for short rows"""

    def code(context, builder, signature, arguments):
        source, out, first, count = _unpacked(context, builder, signature, arguments)
        size = ir.Constant(_LONG, context.get_abi_sizeof(context.get_value_type(row.dtype)))
        cgutils.raw_memcpy(builder, builder.gep(out.data, [first]), source.data, count, size, align=1)
        return context.get_dummy_value()

    return types.void(row, target, types.intp, types.intp), code


OUTPUTS, VECTORS = 8, 2
"""Outputs that a tile of a convolution computes at once, and vectors of each."""
STEP = LANES * VECTORS
ROWS, TAPS = 4, 4
"""Outputs and taps that a tile of its gradient computes at once."""


@intrinsic
def convolve(typing_context, x, begin, shifts, taps, weights, first, y, start, width):
    """y[start + m width:] = sum over taps t of weights[first + OUTPUTS t + m] x[begin + shift_t:], m < OUTPUTS"""

    def code(context, builder, signature, arguments):
        data, first_x, shift, count, weight, first_weight, out, out_start, out_width = [
            argument.data if hasattr(argument, "data") else argument
            for argument in _unpacked(context, builder, signature, arguments)
        ]
        sums = [[_zero(builder) for _ in range(VECTORS)] for _ in range(OUTPUTS)]
        with cgutils.for_range(builder, count) as loop:
            tap = builder.add(first_x, builder.load(builder.gep(shift, [loop.index])))
            parts = [_vector(builder, data, builder.add(tap, _LONG(LANES * k))) for k in range(VECTORS)]
            weights_at = builder.add(first_weight, builder.mul(loop.index, _LONG(OUTPUTS)))
            for m, totals in enumerate(sums):
                at = builder.gep(weight, [builder.add(weights_at, _LONG(m))])
                _add_products(builder, totals, [_in_all_lanes(builder, builder.load(at))] * VECTORS, parts)
        for m, totals in enumerate(sums):
            row = builder.add(out_start, builder.mul(out_width, _LONG(m)))
            for k, total in enumerate(totals):
                target = _at(builder, out, _VECTOR, builder.add(row, _LONG(LANES * k)))
                builder.store(builder.load(total), target, align=4)
        return context.get_dummy_value()

    long = types.intp
    return types.void(x, long, shifts, long, weights, long, y, long, long), code


@intrinsic
def correlate(typing_context, dy, dy_begin, dy_width, dy_next, x, x_begin, x_next, shifts, first, sizes, sums, start):
    """sums[start + m taps + t] += sum over n and f of dy[dy_begin + n dy_next + m dy_width + f] x[... + shift_t + f]

    For ROWS outputs m and TAPS taps t, from `first` on. sizes = (vectors of f, pictures n, all taps).
    """

    def code(context, builder, signature, arguments):
        unpacked = _unpacked(context, builder, signature, arguments)
        dy_data, dy_at, width, dy_step, x_data, x_at, x_step, shift, tap, numbers, out, out_at = [
            argument.data if hasattr(argument, "data") else argument for argument in unpacked
        ]
        vectors, pictures, all_taps = (builder.extract_value(numbers, k) for k in range(3))
        totals = [[_zero(builder) for _ in range(TAPS)] for _ in range(ROWS)]
        moves = [builder.load(builder.gep(shift, [builder.add(tap, _LONG(t))])) for t in range(TAPS)]
        with cgutils.for_range(builder, pictures) as picture:
            dy_first = builder.add(dy_at, builder.mul(picture.index, dy_step))
            x_first = builder.add(x_at, builder.mul(picture.index, x_step))
            rows = [builder.add(dy_first, builder.mul(width, _LONG(m))) for m in range(ROWS)]
            taps = [builder.add(x_first, move) for move in moves]
            with cgutils.for_range(builder, vectors) as loop:
                f = builder.mul(loop.index, _LONG(LANES))
                dy_parts = [_vector(builder, dy_data, builder.add(row, f)) for row in rows]
                x_parts = [_vector(builder, x_data, builder.add(tap, f)) for tap in taps]
                for row_totals, dy_part in zip(totals, dy_parts, strict=True):
                    _add_products(builder, row_totals, [dy_part] * TAPS, x_parts)
        for m, row_totals in enumerate(totals):
            row = builder.add(out_at, builder.mul(all_taps, _LONG(m)))
            for t, total in enumerate(row_totals):
                target = builder.gep(out, [builder.add(row, _LONG(t))])
                builder.store(_sum(builder, builder.load(target), builder.load(total)), target)
        return context.get_dummy_value()

    long, three = types.intp, types.UniTuple(types.intp, 3)
    return types.void(dy, long, long, long, x, long, long, shifts, long, three, sums, long), code


def combination(matrix: np.ndarray) -> Any:
    """Return an intrinsic that multiplies the matrix by rows of numbers, vector by vector."""

    @intrinsic
    def combine(typing_context, x, begin, width, y, start, y_width, vectors, constant):
        """y[start + i y_width:] = constant + sum over k of matrix[i, k] x[begin + k width:], for that many vectors"""

        def code(context, builder, signature, arguments):
            unpacked = _unpacked(context, builder, signature, arguments)
            data, x_at, x_step, out, out_at, out_step, count, number = [
                argument.data if hasattr(argument, "data") else argument for argument in unpacked
            ]
            with cgutils.for_range(builder, count) as loop:
                f = builder.mul(loop.index, _LONG(LANES))
                starts = [_row(builder, x_at, k, x_step, f) for k in range(matrix.shape[1])]
                rows = [_vector(builder, data, start) for start in starts]
                sums = [_weighted(builder, weights, rows, _in_all_lanes(builder, number)) for weights in matrix]
                for i, total in enumerate(sums):
                    target = _at(builder, out, _VECTOR, _row(builder, out_at, i, out_step, f))
                    builder.store(total, target, align=4)
            return context.get_dummy_value()

        long = types.intp
        return types.void(x, long, long, y, long, long, long, types.float32), code

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
    item = row.dtype

    def code(context, builder, signature, arguments):
        array = context.make_array(row)(context, builder, arguments[0]).data
        kind = ir.VectorType(context.get_value_type(item), COMPARED)
        numbers = builder.load(_at(builder, array, kind, arguments[1]), align=1)
        zeros = ir.Constant(kind, None)
        is_float = isinstance(item, types.Float)
        found = (
            builder.fcmp_unordered("!=", numbers, zeros) if is_float else builder.icmp_unsigned("!=", numbers, zeros)
        )
        return builder.bitcast(found, ir.IntType(COMPARED))

    return types.uint64(row, types.intp), code


@intrinsic
def lowest_bit(typing_context, bits):
    """Return the position of the lowest bit that is set. There must be one."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.uint64), code


@intrinsic
def add_one(typing_context, address):
    """Add 1 to the counter at this address, atomically, and return its value before."""

    def code(context, builder, signature, arguments):
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], _LONG.as_pointer()), _LONG(1), "seq_cst")

    return types.int64(types.intp), code


@intrinsic
def read_counter(typing_context, address):
    """Return the current value of the counter at this address."""

    def code(context, builder, signature, arguments):
        return builder.load_atomic(builder.inttoptr(arguments[0], _LONG.as_pointer()), "acquire", 8)

    return types.int64(types.intp), code


offer_core = types.ExternalFunction("sched_yield", types.int32())
"""Let another thread run on this core."""
