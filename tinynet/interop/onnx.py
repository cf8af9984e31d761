"""Writes networks as ONNX models, which run on servers, phones and in browsers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..arrays.optional import optional_import
from ..files.archive import ModelFileError, about, access, require, sound_json, write_bytes
from ..files.header import header_of
from ..layers import GlobalAveragePool, Layer, Residual
from ..layers.bound import walk
from ..layers.residual import features_in
from ..network import Network
from .layer_names import ROWS
from .predictions import last_activation

OPSET = 22


class Node(NamedTuple):
    """One operator. Its inputs are the names of the layers that compute them."""

    operator: str
    inputs: list[str]
    name: str
    attributes: Mapping[str, Any] = MappingProxyType({})


def to_onnx(
    network: Network, path: str | os.PathLike[str], *, logits: bool = False, shape: tuple[int, ...] | None = None
) -> None:
    """Write the network as an ONNX model, "x" (batch, *shape) -> "y", in float32. y is what `predict` returns for x.

    With `logits`, y is what `outputs` returns, without the softmax or sigmoid of the loss. `shape` is the shape of a
    row if that is not (D,), such as (1, 28, 28) for Conv2D or Flatten. x holds floats: divide pixels by 255. Nodes and
    parameters have the names of their layers, as in `activations`. The entry "tinynet" of the metadata is the header
    that `save` writes, with the loss and the notes. The optimizer and its schedule are not in the file. The file is
    written atomically.

    Raises ModelFileError for layers of your own, for numbers beyond the range of float32 and as `save` does, ValueError
    if the network cannot take the shape or the meaning of the outputs is unknown, and ImportError without onnx
    (extra `onnx`).
    """
    onnx = optional_import("onnx", "onnx")
    with about(Path(path)):
        network.check_views()
        D = features_in(network.layers)
        require(shape or D, "no layer says how long a row is; pass shape=, such as (1, 28, 28)")
        model = _model(onnx, network, shape or (D or 0,), last_activation(network, logits))
        content = model.SerializeToString()
        access(network.backend, lambda: write_bytes(Path(path), content))


def _model(onnx: Any, network: Network, shape: tuple[int, ...], activation: str) -> Any:
    make, host = onnx.helper, network.backend.to_host
    metadata = sound_json(header_of(network, None), {"theta": host(network.theta)})
    parameters = [
        onnx.numpy_helper.from_array(_float32(name, host(layer.views[name])), f"{layer_name}.{name}")
        for _, layer_name, layer in walk(network.layers)
        for name in (*layer.shapes(), *layer.buffers())
    ]
    nodes = list(_chain(network.layers, "", "x"))
    if activation != "linear":
        nodes.append(Node(activation.capitalize(), [nodes[-1].name], activation))
    x, y = (
        make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *row])
        for name, row in (("x", shape), ("y", network.output_shape(shape) or ()))
    )
    steps = [
        make.make_node(
            node.operator, node.inputs, ["y" if node is nodes[-1] else node.name], node.name, **node.attributes
        )
        for node in nodes
    ]
    opset = make.make_opsetid("", OPSET)
    model = make.make_model(
        make.make_graph(steps, "tinynet", [x], [y], parameters),
        opset_imports=[opset],
        ir_version=make.find_min_ir_version_for([opset]),
        producer_name="tinynet",
    )
    make.set_model_props(model, {"tinynet": metadata.decode()})
    onnx.checker.check_model(model, full_check=True)
    return model


def _float32(name: str, values: np.ndarray) -> np.ndarray:
    """Return a parameter or buffer in ONNX's shape: all except weights are vectors."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32).reshape(values.shape if name == "W" else -1)
    require(np.isfinite(single).all(), f"a {name} holds numbers that are not finite in float32")
    return single


def _chain(layers: Sequence[Layer], around: str, x: str) -> Iterator[Node]:
    """Yield the nodes of consecutive layers."""
    for k, layer in enumerate(layers):
        yield from _nodes(layer, around, k, x)
        x = _named(layer, around, k)


def _named(layer: Layer, around: str, k: int) -> str:
    """Return the name of a layer, as in `walk` and `activations`."""
    return f"{around}{k} {type(layer).__name__ if layer.children() else layer}"


def _nodes(layer: Layer, around: str, k: int, x: str) -> Iterator[Node]:
    name = _named(layer, around, k)
    if type(layer) is Residual:  # a subclass may add something else
        inside, last = f"{name} / ", len(layer.layers) - 1
        yield from _chain(layer.layers, inside, x)
        if layer.shortcut:
            yield from _nodes(layer.shortcut, inside, last + 1, x)
        shortcut = _named(layer.shortcut, inside, last + 1) if layer.shortcut else x
        yield Node("Add", [_named(layer.layers[last], inside, last), shortcut], name)
    elif type(layer) is GlobalAveragePool:
        yield Node("GlobalAveragePool", [x], f"{name}.mean")
        yield Node("Flatten", [f"{name}.mean"], name)
    elif type(layer) in ROWS and (operator := ROWS[type(layer)].onnx):
        inputs = [f"{name}.{view}" for view in (*layer.shapes(), *layer.buffers())]
        yield Node(operator.name, [x, *inputs], name, operator.attributes(layer))
    else:
        known = ", ".join(kind.__name__ for kind in ROWS)
        kind = type(layer).__name__
        raise ModelFileError(f"layer {name}, a {kind}, has no operator in ONNX; supported layers are {known}")
