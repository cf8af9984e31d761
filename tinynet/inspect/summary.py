"""A network as a table: its layers, what they give, hold and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers import Layer
from ..layers.bound import Shape, size_of, walk
from ..layers.recording import recorded
from ..layers.residual import features_in

if TYPE_CHECKING:
    from ..network import Network

UNKNOWN = "? where no layer says what goes in: summary((1, 28, 28)), as it may be, knows all shapes and multiply-adds"
COLUMNS = ("layer", "output shape", "parameters", "bytes", "multiply-adds", "buffers")


def summary(network: Network, row: Shape = None) -> str:
    """A row a layer, those inside a block below it, indented; totals; where and how far it is trained."""
    row = row or ((D,) if (D := features_in(network.layers)) else None)
    with recorded(network.layers, "output_shape") as shapes:
        network.output_shape(row)
    rows = [_row(network, place, layer, shapes.get(name)) for place, name, layer in walk(network.layers)]
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
    where = f"{network.dtype}, backend {network.backend.name}, seed {network.seed}, {network.epoch} epochs trained"
    notes = [note for note in (network.backend.note, None if row else UNKNOWN) if note]
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], where, *notes])


def _row(network: Network, place: str, layer: Layer, shape: tuple[int, ...] | None) -> tuple[str, ...]:
    """A layer's own numbers: those of the layers inside stand in rows of their own."""
    inside = layer.children()
    name = "  " * place.count(".") + (type(layer).__name__ if inside else f"{layer}")
    frozen = "" if layer.trainable or not layer.size else " (frozen)"
    row = ", ".join(["N", *(map(str, shape) if shape else "?")])
    adds = layer.multiply_adds(shape)
    return _cells(network, name + frozen, f"({row})", size_of(layer.shapes()), adds, size_of(layer.buffers()))


def _cells(network: Network, name: str, shape: str, size: int, adds: int, buffers: int) -> tuple[str, ...]:
    return name, shape, f"{size:,}", f"{size * network.dtype.itemsize:,}", f"{adds:,}", f"{buffers:,}"
