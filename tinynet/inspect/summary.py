"""A network as a table: layers, output shapes, parameters, bytes and multiply-adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers import Layer
from ..layers.bound import Shape, size_of, walk
from ..layers.recording import recorded
from ..layers.residual import features_in

if TYPE_CHECKING:
    from ..network import Network

UNKNOWN = "?: no layer determines the input shape; pass it, such as summary((1, 28, 28)), to see all shapes"
COLUMNS = ("layer", "output shape", "parameters", "bytes", "multiply-adds", "buffers")


def summary(network: Network, row: Shape = None) -> str:
    """Return the table: layers, those inside a block indented below it; totals; dtype, backend, seed and epochs."""
    where = f"{network.dtype}, backend {network.backend.name}, seed {network.seed}, {network.epoch} epochs trained"
    notes = [network.backend.note] if network.backend.note else []
    table, *unknown = layer_table(network, row)
    return "\n".join([table, where, *notes, *unknown])


def layer_table(network: Network, row: Shape = None) -> list[str]:
    """Return the table of layers and totals, and a note if the input shape is not known."""
    row = row or ((D,) if (D := features_in(network.layers)) else None)
    with recorded(network.layers, "output_shape") as shapes:
        network.output_shape(row)
    rows = [_row(network, path, layer, shapes.get(name)) for path, name, layer in walk(network.layers)]
    adds = sum(layer.multiply_adds(shapes.get(name)) for _, name, layer in walk(network.layers))
    total = _cells(network, "total", "", network.theta.size, adds, network.buffers.size)
    table = [COLUMNS, *rows, total]
    if not network.buffers.size:
        table = [cells[:-1] for cells in table]
    first, *others = (max(map(len, column)) for column in zip(*table, strict=True))
    lines = [
        "  ".join([cells[0].ljust(first), *(cell.rjust(w) for cell, w in zip(cells[1:], others, strict=True))])
        for cells in table
    ]
    rule = "-" * len(lines[0])
    text = "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
    return [text] if row else [text, UNKNOWN]


def _row(network: Network, path: str, layer: Layer, shape: tuple[int, ...] | None) -> tuple[str, ...]:
    """Return the row of a layer without the layers inside, which have their own rows."""
    inside = layer.children()
    name = "  " * path.count(".") + (type(layer).__name__ if inside else f"{layer}")
    frozen = "" if layer.trainable or not layer.size else " (frozen)"
    row = ", ".join(["N", *(map(str, shape) if shape else "?")])
    adds = layer.multiply_adds(shape)
    return _cells(network, name + frozen, f"({row})", size_of(layer.shapes()), adds, size_of(layer.buffers()))


def _cells(network: Network, name: str, shape: str, size: int, adds: int, buffers: int) -> tuple[str, ...]:
    return name, shape, f"{size:,}", f"{size * network.dtype.itemsize:,}", f"{adds:,}", f"{buffers:,}"
