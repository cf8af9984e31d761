"""What Python cannot say: vectors in registers, masks of comparisons, counters that threads share. Written as LLVM.

LLVM would vectorise a loop over rows that lists choose only behind a check, in every round, that no two overlap.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Numbers taken at once; a processor with narrower registers takes two or four in their place."""

_LONG, _FLOAT = ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _at(builder: Any, array: Any, kind: Any, index: Any = None) -> Any:
    """A pointer of this kind to the array's data, so many numbers further."""
    data = array if index is None else builder.gep(array, [index])
    return builder.bitcast(data, kind.as_pointer())


def _tile(vectors: int) -> Any:
    @intrinsic
    def add_tile(typing_context, listed, count, rows, first, out, begin):
        """out[begin:] += sum over j < count of weight_j rows[row_j, first:], where listed[j] is (row_j, weight_j)."""

        def code(context, builder, signature, arguments):
            listed_array, terms, rows_array, offset, out_array, start = arguments
            pairs, matrix, target = (
                context.make_array(kind)(context, builder, value)
                for kind, value in ((listed, listed_array), (rows, rows_array), (out, out_array))
            )
            width = builder.extract_value(matrix.shape, 1)
            aims = [_at(builder, target.data, _VECTOR, builder.add(start, _LONG(LANES * k))) for k in range(vectors)]
            sums = [cgutils.alloca_once_value(builder, builder.load(aim, align=4)) for aim in aims]
            with cgutils.for_range(builder, terms) as loop:
                pair = builder.mul(loop.index, _LONG(2))
                row = builder.fptosi(builder.load(builder.gep(pairs.data, [pair])), _LONG)
                weight = _in_all_lanes(builder, builder.load(builder.gep(pairs.data, [builder.add(pair, _LONG(1))])))
                begin_row = builder.add(builder.mul(row, width), offset)
                for k, total in enumerate(sums):
                    part = builder.load(
                        _at(builder, matrix.data, _VECTOR, builder.add(begin_row, _LONG(LANES * k))), align=4
                    )
                    term = builder.fmul(weight, part, flags=("contract",))
                    builder.store(builder.fadd(builder.load(total), term, flags=("contract",)), total)
            for total, aim in zip(sums, aims, strict=True):
                builder.store(builder.load(total), aim, align=4)
            return context.get_dummy_value()

        return types.void(listed, types.intp, rows, types.intp, out, types.intp), code

    return add_tile


def _in_all_lanes(builder: Any, number: Any) -> Any:
    empty = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(empty, number, ir.IntType(32)(0))
    return builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


WIDE = 4
add_wide_tile, add_tile = _tile(WIDE), _tile(1)


@intrinsic
def not_zero(typing_context, row, first):
    """Bit k is set where row[first + k] is not 0, for k < LANES."""
    item = row.dtype

    def code(context, builder, signature, arguments):
        array = context.make_array(row)(context, builder, arguments[0]).data
        kind = ir.VectorType(context.get_value_type(item), LANES)
        numbers = builder.load(_at(builder, array, kind, arguments[1]), align=1)
        zeros = ir.Constant(kind, None)
        is_float = isinstance(item, types.Float)
        found = (
            builder.fcmp_unordered("!=", numbers, zeros) if is_float else builder.icmp_unsigned("!=", numbers, zeros)
        )
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), _LONG)

    return types.int64(row, types.intp), code


@intrinsic
def lowest_bit(typing_context, bits):
    """The place of the lowest bit that is set; there must be one."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), code


@intrinsic
def add_one(typing_context, address):
    """Adds 1 to the counter at this address, which threads share."""

    def code(context, builder, signature, arguments):
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], _LONG.as_pointer()), _LONG(1), "seq_cst")

    return types.int64(types.intp), code


@intrinsic
def read_counter(typing_context, address):
    """The counter at this address, as it is now."""

    def code(context, builder, signature, arguments):
        return builder.load_atomic(builder.inttoptr(arguments[0], _LONG.as_pointer()), "acquire", 8)

    return types.int64(types.intp), code


offer_core = types.ExternalFunction("sched_yield", types.int32())
