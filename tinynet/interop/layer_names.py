"""The names of our layers elsewhere: in ONNX, Keras, PyTorch and on the report page. One row per layer class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .. import layers
from . import keras_readers as read
from .keras_readers import Options, Reader

LINEAR, AFFINE = {"W": "weight", "b": "bias"}, {"gamma": "weight", "beta": "bias"}


class Onnx(NamedTuple):
    """An ONNX operator and its attributes for a layer of ours."""

    name: str
    attributes: Callable[[Any], Options] = lambda layer: {}


class Keras(NamedTuple):
    """A class of keras.layers, how to read it, and its options for a layer of ours.

    activation  its name as an activation. A layer that has one is written as an Activation
    of_rows     whether it acts on each row: for pictures, that is on the channels of a pixel in Keras
    """

    name: str = ""
    read: Reader | None = None
    options: Callable[[Any], Options] = lambda layer: {}
    activation: str = ""
    of_rows: bool = False


class Row(NamedTuple):
    """The names of one layer; None if the library has no single layer for it.

    function  the function in functions.py and in the report's script/network.js
    pytorch   PyTorch's names of the parameters and buffers
    """

    function: str
    onnx: Onnx | None = None
    keras: Keras | None = None
    pytorch: Mapping[str, str] = MappingProxyType({})


def _onnx_pool(layer: Any) -> Options:
    return {"kernel_shape": [layer.pool_size] * 2, "strides": [layer.pool_size] * 2}


def _keras_pool(name: str, kind: type[layers.MaxPool2D | layers.AveragePool2D]) -> Keras:
    return Keras(name, read.pool(kind), lambda layer: {"pool_size": layer.pool_size})


def _onnx_conv2d(layer: Any) -> Options:
    return {"strides": [layer.stride] * 2, "pads": [layer.padding] * 4}


def _keras_conv2d(layer: Any) -> Options:
    return {"filters": layer.M, "kernel_size": layer.kernel_size, "strides": layer.stride}


def _epsilon(layer: Any) -> Options:
    return {"epsilon": layer.eps}


def _keras_batch_norm(layer: Any) -> Options:
    return {"momentum": round(1 - layer.momentum, 12), "epsilon": layer.eps}


ROWS: dict[type[layers.Layer], Row] = {
    layers.Dense: Row(
        "dense", Onnx("Gemm"), Keras("Dense", read.dense, lambda layer: {"units": layer.M}, of_rows=True), LINEAR
    ),
    layers.Conv2D: Row("conv2d", Onnx("Conv", _onnx_conv2d), Keras("Conv2D", read.conv2d, _keras_conv2d), LINEAR),
    layers.MaxPool2D: Row("max_pool2d", Onnx("MaxPool", _onnx_pool), _keras_pool("MaxPooling2D", layers.MaxPool2D)),
    layers.AveragePool2D: Row(
        "average_pool2d", Onnx("AveragePool", _onnx_pool), _keras_pool("AveragePooling2D", layers.AveragePool2D)
    ),
    layers.GlobalAveragePool: Row(
        "global_average_pool", keras=Keras("GlobalAveragePooling2D", read.plain(layers.GlobalAveragePool))
    ),
    layers.BatchNorm: Row(
        "batch_norm",
        Onnx("BatchNormalization", _epsilon),
        Keras("BatchNormalization", read.batch_norm, _keras_batch_norm),
        AFFINE | {"mean": "running_mean", "variance": "running_var"},
    ),
    layers.LayerNorm: Row(
        "layer_norm",
        Onnx("LayerNormalization", _epsilon),
        Keras("LayerNormalization", read.layer_norm, _epsilon, of_rows=True),
        AFFINE,
    ),
    layers.ReLU: Row("relu", Onnx("Relu"), Keras("ReLU", read.relu, activation="relu")),
    layers.LeakyReLU: Row(
        "leaky_relu",
        Onnx("LeakyRelu", lambda layer: {"alpha": layer.slope}),
        Keras("LeakyReLU", read.leaky_relu, lambda layer: {"negative_slope": layer.slope}),
    ),
    layers.Tanh: Row("tanh", Onnx("Tanh"), Keras(activation="tanh")),
    layers.Sigmoid: Row("sigmoid", Onnx("Sigmoid"), Keras(activation="sigmoid")),
    layers.GELU: Row("gelu", Onnx("Gelu"), Keras(activation="gelu")),
    layers.Softmax: Row(
        "softmax", Onnx("Softmax"), Keras("Softmax", read.plain(layers.Softmax), activation="softmax", of_rows=True)
    ),
    layers.Flatten: Row("flatten", Onnx("Flatten"), Keras("Flatten", read.plain(layers.Flatten))),
    layers.Dropout: Row("dropout", Onnx("Dropout"), Keras("Dropout", read.dropout, lambda layer: {"rate": layer.rate})),
    layers.Residual: Row("residual"),
}
"""ONNX's Dropout does nothing in inference. Parameters and buffers are inputs of an operator, in the layer's order."""
