"""Reads the layers of a Keras model, and converts arrays between Keras's order and ours.

Keras has the channels of a picture last, (rows, columns, C); we have them first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from ..files.archive import ModelFileError, require
from ..layers import AveragePool2D, Conv2D, Dense, Flatten, GlobalAveragePool, Layer, MaxPool2D
from .keras_arguments import LAYERS, is_from_keras, unusual
from .keras_files import Contents, layer_entries
from .keras_readers import LayerAndArrays, Options
from .layer_names import ROWS, Keras

READERS = {row.keras.name: (row.keras.read, bool(row.pytorch)) for row in ROWS.values() if row.keras and row.keras.read}
"""For each class of Keras, its reader, and whether it has arrays."""

ACTIVATIONS = {row.keras.activation: kind for kind, row in ROWS.items() if row.keras and row.keras.activation}


class Part(NamedTuple):
    """A layer, its arrays in Keras's shapes and order, and the channels of the pictures flattened to its rows.

    Keras flattens pictures pixel by pixel, we channel by channel.
    """

    layer: Layer
    arrays: dict[str, np.ndarray]
    flattened: int | None = None

    def ours(self, name: str, value: np.ndarray) -> np.ndarray:
        """Convert a parameter, a buffer or an optimizer slot from Keras's shape and order to ours."""
        if isinstance(self.layer, Conv2D):
            value = value.transpose(3, 2, 0, 1) if name == "W" else value
        elif self.flattened and name != "b":
            value = value.reshape(-1, self.flattened, *value.shape[1:]).swapaxes(0, 1)
        return value.reshape((self.layer.shapes() | self.layer.buffers())[name])

    def theirs(self, name: str, value: np.ndarray) -> np.ndarray:
        """Convert from our shape and order to Keras's."""
        shape = value.shape if name == "W" else (value.size,)
        if isinstance(self.layer, Conv2D):
            return value.transpose(2, 3, 1, 0) if name == "W" else value.reshape(shape)
        if self.flattened and name != "b":
            value = value.reshape(self.flattened, -1, *shape[1:]).swapaxes(0, 1)
        return value.reshape(shape)


class Form(NamedTuple):
    """Data between two layers: the channels of pictures, or of the pictures that were flattened to rows."""

    pictures: int | None
    flattened: int | None = None

    def behind(self, layer: Layer) -> Form:
        """Return the form of the layer's output."""
        if isinstance(layer, Conv2D):
            return Form(layer.M)
        if isinstance(layer, Flatten) and self.pictures:
            return Form(None, self.pictures)
        return Form(None) if isinstance(layer, Dense | GlobalAveragePool) else self

    @property
    def has_same_order(self) -> bool:
        """Whether rows have the same order in Keras and here."""
        return self.flattened in (None, 1)


def may_take_pictures(keras_name: str) -> bool:
    return keras_name.endswith("2D") or keras_name == "BatchNormalization"


def keras_of(layer: Layer) -> Keras | None:
    return ROWS[type(layer)].keras if type(layer) in ROWS else None


def parts_of(found: Contents) -> list[Part]:
    """Return the layers of a file. Raises ModelFileError, with the layer's name, for layers that are not supported."""
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
            if not is_from_keras(entry):
                raise ValueError(f"{entry.get('registered_name')} is a class of your own, which is not supported")
        except (KeyError, TypeError, ValueError) as error:
            cause = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ModelFileError(f"layer {options.get('name', kind)!r}: {cause}") from None
    require(parts, "its model has no layers")
    require(next(weights, None) is None, "it has weights of more layers than its model")
    require(form.has_same_order, "its outputs are flattened pictures, which have another order here; it needs a Dense")
    return parts


def training_problems(found: Contents) -> list[str]:
    """Return the arguments of layers that change the training in a way that tinynet does not support."""
    return [
        f"layer {entry['config'].get('name', entry['class_name'])!r} has {', '.join(others)}, "
        "with which tinynet does not train"
        for entry in layer_entries(found.model)
        if (others := unusual(LAYERS, entry["class_name"], entry["config"], "changes the training"))
    ]


def _channels(entries: list[dict[str, Any]]) -> int | None:
    """Return the channels of the input pictures; None if the inputs are rows or the file does not say."""
    first = list(takewhile(lambda entry: entry["class_name"] != "Flatten", entries))
    shapes = [
        entry["config"].get("batch_shape")
        or entry["config"].get("batch_input_shape")
        or (entry.get("build_config") or {}).get("input_shape")
        for entry in first
    ]
    shape: list[Any] = next(filter(None, shapes), [])
    takes_pictures = len(shape) == 4 and any(may_take_pictures(entry["class_name"]) for entry in first)
    return shape[-1] if takes_pictures else None


def _layers(kind: str, options: Options, weights: Iterator[list[np.ndarray]], form: Form) -> list[LayerAndArrays]:
    supported = [*READERS, "Activation", "InputLayer"]
    if kind not in supported:
        raise ValueError(f"a {kind} is not supported; supported are {', '.join(supported)}")
    last = 3 if form.pictures else 1
    if options.get("axis") in (last, [last]):
        options = options | {"axis": -1}
    if others := unusual(LAYERS, kind, options, "changes the outputs"):
        raise ValueError(f"a {kind} with {', '.join(others)} is not supported")
    layers: list[LayerAndArrays] = []
    if kind in READERS:
        read, has_arrays = READERS[kind]
        layers.append(read(options, next(weights, []) if has_arrays else []))
    activation = options["activation"] if kind == "Activation" else options.get("activation")
    return layers + [(layer, {}) for layer in _activation(activation)]


def _check_form(layer: Layer, form: Form) -> None:
    keras = keras_of(layer)
    if form.pictures and keras and keras.of_rows:
        raise ValueError(f"{layer} of pictures is not supported; add a Flatten or a GlobalAveragePooling2D")
    if isinstance(layer, MaxPool2D | AveragePool2D) and not form.pictures:
        raise ValueError("the file does not say how many channels its pictures have")


def _activation(said: Any) -> list[Layer]:
    """Return the layer of an activation, given by its name or by an object with the name as config."""
    name = said.get("config") if isinstance(said, dict) else said
    if name in (None, "linear"):
        return []
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"the activation {said} is not supported; supported are linear, {', '.join(ACTIVATIONS)}")
    return [ACTIVATIONS[name]()]
