"""Networks to ONNX, which other runtimes read: servers, phones, browsers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..arrays.optional import optional_import
from ..files.archive import ModelFileError, about, access, require, sound_json, write_bytes
from ..files.header import header_of
from ..layers import (
    GELU,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..layers.bound import walk
from ..layers.residual import features_in
from ..network import Network
from .predictions import last_activation

OPSET = 22
OPERATORS: dict[type[Layer], tuple[str, Callable[[Any], dict[str, Any]]]] = {
    Dense: ("Gemm", lambda layer: {}),
    Conv2D: ("Conv", lambda layer: {"strides": [layer.stride] * 2, "pads": [layer.padding] * 4}),
    MaxPool2D: ("MaxPool", lambda layer: {"kernel_shape": [layer.pool_size] * 2, "strides": [layer.pool_size] * 2}),
    AveragePool2D: (
        "AveragePool",
        lambda layer: {"kernel_shape": [layer.pool_size] * 2, "strides": [layer.pool_size] * 2},
    ),
    BatchNorm: ("BatchNormalization", lambda layer: {"epsilon": layer.eps}),
    LayerNorm: ("LayerNormalization", lambda layer: {"epsilon": layer.eps}),
    ReLU: ("Relu", lambda layer: {}),
    LeakyReLU: ("LeakyRelu", lambda layer: {"alpha": layer.slope}),
    Tanh: ("Tanh", lambda layer: {}),
    Sigmoid: ("Sigmoid", lambda layer: {}),
    GELU: ("Gelu", lambda layer: {}),
    Softmax: ("Softmax", lambda layer: {}),
    Flatten: ("Flatten", lambda layer: {}),
    Dropout: ("Dropout", lambda layer: {}),
}
"""The operator of each layer, and its attributes; parameters and buffers go in as the layer names them.

Dropout does nothing where nobody trains.
"""


class Node(NamedTuple):
    """What a layer does, to arrays that have the names of the layers that give them."""

    operator: str
    inputs: list[str]
    name: str
    attributes: Mapping[str, Any] = MappingProxyType({})


def to_onnx(
    network: Network,
    path: str | os.PathLike[str],
    *,
    logits: bool = False,
    shape: tuple[int, ...] | None = None,
) -> None:
    """Writes the network as an ONNX model, "x" (batch, *shape) -> "y", what `predict` makes of x, in float32.

    With `logits`, y is what `outputs` gives: no softmax or sigmoid of the loss. `shape` is that of a row where it is
    not (D,), as (1, 28, 28) in front of Conv2D or Flatten. x are floats: pixels must be divided by 255. Nodes and
    parameters have the names of their layers, as in `activations`; the metadata's "tinynet" is the header that `save`
    writes. The file appears whole or not at all. Raises ModelFileError for layers of your own and for what `save` does
    not write either, ValueError for a shape that the network cannot take and for outputs that nothing gives a meaning,
    ImportError without onnx (extra `onnx`).
    """
    onnx = optional_import("onnx", "onnx")
    with about(Path(path)):
        network.check_views()
        D = features_in(network.layers)
        require(shape or D, "no layer says how long a row is; give shape=, as (1, 28, 28)")
        model = _model(onnx, network, shape or (D or 0,), last_activation(network, logits))
        content = model.SerializeToString()
        access(network.backend, lambda: write_bytes(Path(path), content))


def _model(onnx: Any, network: Network, shape: tuple[int, ...], activation: str) -> Any:
    make, host = onnx.helper, network.backend.to_host
    metadata = sound_json(header_of(network, None), {"theta": host(network.theta)})
    parameters = [
        onnx.numpy_helper.from_array(_float32(name, host(layer.views[name])), f"{place}.{name}")
        for _, place, layer in walk(network.layers)
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
    """A parameter as ONNX has it: all that are no weights are vectors."""
    return values.astype(np.float32).reshape(values.shape if name == "W" else -1)


def _chain(layers: Sequence[Layer], around: str, x: str) -> Iterator[Node]:
    """The nodes of layers, one after the other."""
    for k, layer in enumerate(layers):
        yield from _nodes(layer, around, k, x)
        x = _named(layer, around, k)


def _named(layer: Layer, around: str, k: int) -> str:
    """As `walk` and `activations` name it."""
    return f"{around}{k} {type(layer).__name__ if layer.children() else layer}"


def _nodes(layer: Layer, around: str, k: int, x: str) -> Iterator[Node]:
    name = _named(layer, around, k)
    if isinstance(layer, Residual):
        inside, last = f"{name} / ", len(layer.layers) - 1
        yield from _chain(layer.layers, inside, x)
        if layer.shortcut:
            yield from _nodes(layer.shortcut, inside, last + 1, x)
        shortcut = _named(layer.shortcut, inside, last + 1) if layer.shortcut else x
        yield Node("Add", [_named(layer.layers[last], inside, last), shortcut], name)
    elif isinstance(layer, GlobalAveragePool):
        yield Node("GlobalAveragePool", [x], f"{name}.mean")
        yield Node("Flatten", [f"{name}.mean"], name)
    elif type(layer) in OPERATORS:
        operator, attributes = OPERATORS[type(layer)]
        inputs = [f"{name}.{view}" for view in (*layer.shapes(), *layer.buffers())]
        yield Node(operator, [x, *inputs], name, attributes(layer))
    else:
        known = ", ".join(kind.__name__ for kind in (*OPERATORS, GlobalAveragePool, Residual))
        raise ModelFileError(f"layer {name} has no operator in ONNX; those with one are {known}")
