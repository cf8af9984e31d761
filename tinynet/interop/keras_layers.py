"""Keras's layers as ours, from what its files say of them, and their arrays in our order.

Pictures have their channels last there, (rows, columns, C), and first here: so have the rows that Flatten makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from ..files.archive import ModelFileError, require
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
    Sigmoid,
    Softmax,
    Tanh,
)
from .keras_files import Contents, layer_entries

Options = dict[str, Any]
Read = tuple[Layer, dict[str, np.ndarray]]

ACTIVATIONS: dict[str, type[Layer]] = {
    "relu": ReLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "gelu": GELU,
    "softmax": Softmax,
}
PLAIN: dict[str, Callable[[Options], list[Layer]]] = {
    "InputLayer": lambda options: [],
    "Activation": lambda options: _activation(options["activation"]),
    "ReLU": lambda options: [LeakyReLU(slope) if (slope := options.get("negative_slope")) else ReLU()],
    "LeakyReLU": lambda options: [LeakyReLU(options.get("negative_slope") or options["alpha"])],
    "Softmax": lambda options: [Softmax()],
    "Dropout": lambda options: [Dropout(options["rate"])],
    "Flatten": lambda options: [Flatten()],
    "MaxPooling2D": lambda options: [MaxPool2D(_pool_size(options))],
    "AveragePooling2D": lambda options: [AveragePool2D(_pool_size(options))],
    "GlobalAveragePooling2D": lambda options: [GlobalAveragePool()],
}
"""What is made of Keras's layers without weights."""

USUAL: Options = {
    "max_value": (None,),
    "threshold": (None, 0),
    "axis": (None, -1, [-1]),
    "noise_shape": (None,),
    "data_format": (None, "channels_last"),
    "dilation_rate": (None, 1, [1, 1]),
    "groups": (None, 1),
    "keepdims": (None, False),
    "rms_scaling": (None, False),
}
"""Options that must be these, if they are there: with others a layer computes something else."""

OF_PICTURES = ("Conv2D", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "BatchNormalization")
OF_ROWS = (Dense, LayerNorm, Softmax)
"""Layers that take each row of numbers for itself: of pictures that is a pixel's channels there, and a line here."""


class Part(NamedTuple):
    """A layer, and those of its parameters and buffers that the file has, as the file has them.

    flattened  channels of the pictures that its rows were: pixel by pixel there, channel by channel here
    """

    layer: Layer
    arrays: dict[str, np.ndarray]
    flattened: int | None = None

    def ours(self, name: str, value: np.ndarray) -> np.ndarray:
        """A parameter or buffer, or what an optimizer keeps of it, from Keras's shape and order to ours."""
        if isinstance(self.layer, Conv2D):
            value = value.transpose(3, 2, 0, 1) if name == "W" else value
        elif self.flattened and name != "b":
            value = value.reshape(-1, self.flattened, *value.shape[1:]).swapaxes(0, 1)
        return value.reshape((self.layer.shapes() | self.layer.buffers())[name])

    def theirs(self, name: str, value: np.ndarray) -> np.ndarray:
        """From our shape and order to Keras's."""
        shape = value.shape if name == "W" else (value.size,)
        if isinstance(self.layer, Conv2D):
            return value.transpose(2, 3, 1, 0) if name == "W" else value.reshape(shape)
        if self.flattened and name != "b":
            value = value.reshape(self.flattened, -1, *shape[1:]).swapaxes(0, 1)
        return value.reshape(shape)


class Form(NamedTuple):
    """What stands between two layers: pictures of so many channels, or rows that were such pictures, or neither."""

    pictures: int | None
    flattened: int | None = None

    def behind(self, layer: Layer) -> Form:
        if isinstance(layer, Conv2D):
            return Form(layer.M)
        if isinstance(layer, Flatten) and self.pictures:
            return Form(None, self.pictures)
        return Form(None) if isinstance(layer, Dense | GlobalAveragePool) else self

    @property
    def is_in_order(self) -> bool:
        """Whether rows are the same there and here."""
        return self.flattened in (None, 1)


def parts_of(found: Contents) -> list[Part]:
    """The layers of a file. ModelFileError for what is none of ours, by the name that it has there."""
    entries, weights = layer_entries(found.model), iter(found.weights)
    form, parts = Form(_channels(entries)), []
    for entry in entries:
        kind, options = entry["class_name"], entry["config"]
        try:
            for layer, arrays in _layers(kind, options, weights, form):
                _check_form(layer, form)
                layer.trainable = options.get("trainable") is not False
                parts.append(Part(layer, arrays, form.flattened))
                form = form.behind(layer)
        except (KeyError, TypeError, ValueError) as error:
            cause = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ModelFileError(f"layer {options.get('name', kind)!r}: {cause}") from None
    require(parts, "its model has no layers")
    require(next(weights, None) is None, "it has weights of more layers than its model")
    require(
        form.is_in_order, "its outputs are the numbers of pictures, in another order here; a Dense is missing there"
    )
    return parts


def _channels(entries: list[dict[str, Any]]) -> int | None:
    """Channels of the pictures that go in; None for rows, and where the file does not say."""
    first = list(takewhile(lambda entry: entry["class_name"] != "Flatten", entries))
    shapes = [
        entry["config"].get("batch_shape")
        or entry["config"].get("batch_input_shape")
        or (entry.get("build_config") or {}).get("input_shape")
        for entry in first
    ]
    shape: list[Any] = next(filter(None, shapes), [])
    takes_pictures = len(shape) == 4 and any(entry["class_name"] in OF_PICTURES for entry in first)
    return shape[-1] if takes_pictures else None


def _layers(kind: str, options: Options, weights: Iterator[list[np.ndarray]], form: Form) -> list[Read]:
    if kind not in LEARNED and kind not in PLAIN:
        raise ValueError(f"a {kind} is not read; those that are: {', '.join([*LEARNED, *PLAIN])}")
    last = 3 if form.pictures else 1
    for name, usual in USUAL.items():
        if options.get(name) not in (*usual, *((last, [last]) if name == "axis" else ())):
            raise ValueError(f"a {kind} with {name}={options[name]} is not read")
    if kind in PLAIN:
        return [(layer, {}) for layer in PLAIN[kind](options)]
    bends = _activation(options.get("activation"))
    return [LEARNED[kind](options, next(weights, [])), *((bend, {}) for bend in bends)]


def _check_form(layer: Layer, form: Form) -> None:
    if form.pictures and isinstance(layer, OF_ROWS):
        raise ValueError(f"{layer} of pictures is not read; a Flatten or a GlobalAveragePooling2D makes rows of them")
    if isinstance(layer, MaxPool2D | AveragePool2D) and not form.pictures:
        raise ValueError("the file does not say how many channels its pictures have")


def _dense(options: Options, arrays: list[np.ndarray]) -> Read:
    W, parameters = _kernel_and_bias(arrays, "(D, {})", options["units"], 2)
    return Dense(W.shape[0], options["units"]), parameters


def _conv2d(options: Options, arrays: list[np.ndarray]) -> Read:
    kernel, stride = _both(options, "kernel_size"), _both(options, "strides")
    is_same = options["padding"] == "same" and kernel % 2 == 1 and stride == 1
    if options["padding"] != "valid" and not is_same:
        raise ValueError(
            f"a Conv2D with padding={options['padding']}, kernel_size={kernel} and strides={stride} is not read: "
            "valid is, and same where the kernel is odd and its strides are 1, for else the zeros depend on the picture"
        )
    W, parameters = _kernel_and_bias(arrays, f"({kernel}, {kernel}, C, {{}})", options["filters"], 4)
    require(W.shape[:2] == (kernel, kernel), f"takes a kernel of {kernel} x {kernel}, the file has {W.shape}")
    return Conv2D(W.shape[2], options["filters"], kernel, stride, kernel // 2 if is_same else 0), parameters


def _kernel_and_bias(
    arrays: list[np.ndarray], form: str, units: int, axes: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    require(1 <= len(arrays) <= 2, f"takes a kernel and a bias, the file has {len(arrays)} arrays for it")
    W, *bias = arrays
    fits = W.ndim == axes and W.shape[-1] == units
    require(fits, f"takes a kernel {form.format(units)}, the file has {W.shape}")
    require(all(b.shape == (units,) for b in bias), f"takes a bias ({units},), the file has {bias and bias[0].shape}")
    return W, _floats({"W": W} | ({"b": bias[0]} if bias else {}))


def _batch_norm(options: Options, arrays: list[np.ndarray]) -> Read:
    vectors = _vectors(options, arrays, ["mean", "variance"])
    momentum = round(1 - options["momentum"], 12)
    return BatchNorm(len(vectors["mean"]), momentum, options["epsilon"]), vectors


def _layer_norm(options: Options, arrays: list[np.ndarray]) -> Read:
    if not (options.get("scale", True) or options.get("center", True)):
        raise ValueError("a LayerNormalization with neither gamma nor beta is not read")
    vectors = _vectors(options, arrays, [])
    return LayerNorm(len(next(iter(vectors.values()))), options["epsilon"]), vectors


def _vectors(options: Options, arrays: list[np.ndarray], buffers: list[str]) -> dict[str, np.ndarray]:
    learned = [name for name, switch in (("gamma", "scale"), ("beta", "center")) if options.get(switch, True)]
    names, shapes = learned + buffers, [array.shape for array in arrays]
    fit = len(shapes) == len(names) and len(set(shapes)) == 1 and len(shapes[0]) == 1
    require(fit, f"takes {', '.join(names)} of one length, the file has {shapes}")
    return _floats(dict(zip(names, arrays, strict=True)))


def _floats(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    floats = all(value.dtype.kind == "f" for value in arrays.values())
    require(floats, "takes floats, the file has whole numbers")
    return arrays


LEARNED = {
    "Dense": _dense,
    "Conv2D": _conv2d,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
}
"""What is made of Keras's layers with weights: the layer and its arrays."""


def _pool_size(options: Options) -> int:
    size, strides = _both(options, "pool_size"), options.get("strides")
    if options["padding"] != "valid" or (strides and _both(options, "strides") != size):
        given = f"pool_size={size}, strides={strides} and padding={options['padding']}"
        raise ValueError(f"pooling with {given} is not read: its patches must not overlap, without padding")
    return size


def _both(options: Options, name: str) -> int:
    """The number that Keras has for rows and for columns."""
    value = options[name]
    rows, columns = value if isinstance(value, list) else (value, value)
    if rows != columns:
        raise ValueError(f"{name}={value} is not read: rows and columns must have the same")
    return rows


def _activation(said: Any) -> list[Layer]:
    """The layer of an activation: by its name, or by an object that has it as config."""
    name = said.get("config") if isinstance(said, dict) else said
    if name in (None, "linear"):
        return []
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"the activation {said} is not read; those that are: linear, {', '.join(ACTIVATIONS)}")
    return [ACTIVATIONS[name]()]
