"""Networks from Keras's files, without Keras, and to Keras models."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from ..arrays.optional import optional_import
from ..files.archive import about, reading, require
from ..layers import (
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
    Residual,
    Sigmoid,
    Softmax,
)
from ..layers.bound import walk
from ..layers.residual import features_in
from ..losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from ..network import Network
from ..optim import SGD, Adam, Optimizer, RMSProp
from .keras_files import Contents, contents, snake_case
from .keras_layers import ACTIVATIONS, OF_ROWS, Form, Options, Part, parts_of
from .predictions import last_activation

LOSSES: dict[str, Callable[[Options], Loss]] = {
    "categorical_crossentropy": lambda options: SoftmaxCrossEntropy(label_smoothing=options.get("label_smoothing", 0)),
    "sparse_categorical_crossentropy": lambda options: SoftmaxCrossEntropy(),
    "binary_crossentropy": lambda options: BinaryCrossEntropy(),
    "mean_squared_error": lambda options: MeanSquaredError(),
    "mse": lambda options: MeanSquaredError(),
}

ADAM = {"beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}
OPTIMIZERS: dict[str, tuple[type[Optimizer], dict[str, str]]] = {
    "SGD": (SGD, {"momentum": "momentum", "nesterov": "nesterov"}),
    "Adam": (Adam, ADAM),
    "AdamW": (Adam, ADAM),
    "RMSprop": (RMSProp, {"rho": "rho", "epsilon": "eps"}),
}
ALWAYS = {"weight_decay": "weight_decay", "global_clipnorm": "clip_norm"}
NOT_HERE = ("amsgrad", "centered", "clipnorm", "clipvalue", "decay", "gradient_accumulation_steps", "use_ema")
"""Options of Keras's optimizers with which they follow another rule."""

NAMES = {kind: name for name, kind in ACTIVATIONS.items()}
VERSIONS: dict[type[Layer], tuple[str, Callable[[Any], Options]]] = {
    Dense: ("Dense", lambda layer: {"units": layer.M}),
    Conv2D: ("Conv2D", lambda layer: {"filters": layer.M, "kernel_size": layer.kernel_size, "strides": layer.stride}),
    MaxPool2D: ("MaxPooling2D", lambda layer: {"pool_size": layer.pool_size}),
    AveragePool2D: ("AveragePooling2D", lambda layer: {"pool_size": layer.pool_size}),
    GlobalAveragePool: ("GlobalAveragePooling2D", lambda layer: {}),
    BatchNorm: ("BatchNormalization", lambda layer: {"momentum": round(1 - layer.momentum, 12), "epsilon": layer.eps}),
    LayerNorm: ("LayerNormalization", lambda layer: {"epsilon": layer.eps}),
    LeakyReLU: ("LeakyReLU", lambda layer: {"negative_slope": layer.slope}),
    Dropout: ("Dropout", lambda layer: {"rate": layer.rate}),
    Flatten: ("Flatten", lambda layer: {}),
} | dict.fromkeys(ACTIVATIONS.values(), ("Activation", lambda layer: {"activation": NAMES[type(layer)]}))
"""Keras's version of each layer, and its options."""

OF_PICTURES = (Conv2D, MaxPool2D, AveragePool2D, GlobalAveragePool)


# ------------------------------------------------------------------------------------------------------ in


def from_keras(path: str | os.PathLike[str], *, backend: str | Backend = "numpy") -> Network:
    """The network in a file of Keras 2.2 or later, HDF5 or .keras: a Sequential of Dense, Conv2D, MaxPooling2D,
    AveragePooling2D, GlobalAveragePooling2D, BatchNormalization, LayerNormalization of rows, Activation, ReLU,
    LeakyReLU, Softmax, Dropout, Flatten and InputLayer, with the activations relu, tanh, sigmoid, gelu, softmax and
    linear.

    A softmax at the end, or a sigmoid of one unit, becomes the loss that the network knows, so that `predict` gives
    what Keras's does. Layers for pictures take them with the channels first, x (N, C, rows, columns), where Keras's
    were last: x.transpose(0, 3, 1, 2). What the file has no bias for gets one of zeros; what was frozen stays frozen.
    Raises ModelFileError for a file that is missing or damaged, and for other layers, by name; ImportError without
    h5py (extra `keras`).
    """
    place = get_backend(backend)
    with about(Path(path)), reading("a Keras file"):
        found = contents(Path(path))
        return _network(*_with_loss(parts_of(found), found), place)


def resume_keras(
    path: str | os.PathLike[str], *, backend: str | Backend = "numpy", lr: Any = None
) -> tuple[Network, Optimizer]:
    """The network and its optimizer, SGD, Adam, AdamW or RMSprop, with the steps taken and what it keeps of them.

    `lr` replaces the learning rate, and must be given where it was a schedule. Keras's Adam and RMSprop add their
    epsilon elsewhere, see `Adam`. Raises ModelFileError for a file without an optimizer, for an optimizer or a loss
    that is not here, and as `from_keras` does.
    """
    place = get_backend(backend)
    with about(Path(path)), reading("a Keras file"):
        found = contents(Path(path))
        parts, loss = _with_loss(parts_of(found), found)
        name, _ = _loss_in(found)
        require(not name or name in LOSSES, f"it was trained with {name}; known here are {', '.join(LOSSES)}")
        network = _network(parts, loss, place)
        optimizer = _optimizer(network, parts, found, 1.0 if lr is not None else None)
    if lr is not None:
        optimizer = _with_rate(optimizer, lr)
    if isinstance(optimizer, SGD):
        optimizer.velocity[...] /= -optimizer.rate  # Keras's holds -lr v
    return network, optimizer


def _network(parts: list[Part], loss: Loss, place: Backend) -> Network:
    double = any(value.dtype == np.float64 for part in parts for value in part.arrays.values())
    network = Network(*(part.layer for part in parts), dtype="float64" if double else "float32", backend=place)
    network.loss = loss
    for part in parts:
        for name, value in part.arrays.items():
            part.layer.views[name][...] = place.to_device(part.ours(name, value).astype(network.dtype))
    return network


def _loss_in(found: Contents) -> tuple[str, Options]:
    """Name and options of the loss that the model was compiled with; "" if none, or more than one."""
    said = found.training.get("loss")
    if isinstance(said, dict) and isinstance(said.get("class_name"), str):
        return snake_case(said["class_name"]), said.get("config") or {}
    return (snake_case(said) if isinstance(said, str) else ""), {}


def _with_loss(parts: list[Part], found: Contents) -> tuple[list[Part], Loss]:
    """The layers, and the loss whose predictions are Keras's; what it does to the outputs is no layer any more."""
    name, options = _loss_in(found)
    last, units = parts[-1].layer, [part.layer.M for part in parts if isinstance(part.layer, Dense)][-1:]
    if len(parts) > 1 and (not name or name.endswith("crossentropy")):
        if isinstance(last, Softmax):
            return parts[:-1], SoftmaxCrossEntropy(label_smoothing=options.get("label_smoothing", 0))
        if isinstance(last, Sigmoid) and units == [1]:
            return parts[:-1], BinaryCrossEntropy()
    if name in LOSSES and (options.get("from_logits") or not name.endswith("crossentropy")):
        return parts, LOSSES[name](options)
    return parts, MeanSquaredError()


def _optimizer(network: Network, parts: list[Part], found: Contents, lr: float | None) -> Optimizer:
    said: Any = found.training.get("optimizer")
    require(isinstance(said, dict), "it was saved without an optimizer; from_keras reads its network")
    name, options = f"{said.get('class_name')}".rpartition(">")[2], said.get("config") or {}
    require(name in OPTIMIZERS, f"its optimizer is {name}; those that are read: {', '.join(OPTIMIZERS)}")
    kind, names = OPTIMIZERS[name]
    others = [option for option in NOT_HERE if options.get(option)]
    others += ["momentum"] if kind is RMSProp and options.get("momentum") else []
    require(not others, f"its {name} has {', '.join(others)}, and follows another rule than {kind.__name__} does")
    rate: Any = lr if lr is not None else options.get("learning_rate", options.get("lr"))
    require(not isinstance(rate, dict), "its learning rate was a schedule; give resume_keras the schedule: lr=")
    settings = {ours: options[theirs] for theirs, ours in (names | ALWAYS).items() if options.get(theirs) is not None}
    optimizer = kind(network, rate, **settings)
    optimizer.step_count = max(
        (int(value) for value in found.optimizer if value.shape == () and value.dtype.kind in "iu"), default=0
    )
    _fill_slots(optimizer, parts, [value for value in found.optimizer if value.shape])
    return optimizer


def _with_rate(optimizer: Optimizer, lr: Any) -> Optimizer:
    """The same with another learning rate; whatever is wrong with that is no fault of the file."""
    again = type(optimizer)(optimizer.network, **optimizer.config() | {"lr": lr})
    again.step_count = optimizer.step_count
    for name in optimizer.slots:
        getattr(again, name)[...] = getattr(optimizer, name)
    return again


def _fill_slots(optimizer: Optimizer, parts: list[Part], state: list[np.ndarray]) -> None:
    """From one array for each parameter and slot: parameter by parameter in new files, slot by slot in old ones."""
    moved = [(k, name) for k, part in enumerate(parts) for name in part.arrays if name in part.layer.shapes()]
    moved = [(k, name) for k, name in moved if parts[k].layer.trainable]
    shapes = [parts[k].arrays[name].shape for k, name in moved]
    slots = len(optimizer.slots)
    there = [value.shape for value in state[: slots * len(moved)]]
    if not there:
        return
    by_parameter = there == [shape for shape in shapes for _ in range(slots)]
    require(by_parameter or there == shapes * slots, f"its optimizer keeps {there}, and its parameters are {shapes}")
    for slot, slot_name in enumerate(optimizer.slots):
        kept = state[slot::slots] if by_parameter else state[slot * len(moved) :]
        values = dict(zip(moved, kept, strict=False))
        pieces = [
            np.ravel(part.ours(name, values[k, name]) if (k, name) in values else np.zeros(shape))
            for k, part in enumerate(parts)
            for name, shape in part.layer.shapes().items()
        ]
        vector = np.concatenate(pieces).astype(optimizer.network.dtype)
        getattr(optimizer, slot_name)[...] = optimizer.network.backend.to_device(vector)


# ----------------------------------------------------------------------------------------------------- out


def to_keras(network: Network, *, logits: bool = False, shape: tuple[int, ...] | None = None) -> Any:
    """A built Keras model that predicts what `predict` does, or with `logits` what `outputs` gives.

    Sequential, or functional where there is a Residual. `shape` is that of a row where it is not (D,), as (1, 28, 28)
    in front of Conv2D or Flatten. With layers for pictures, the model takes what Keras's take: the channels last,
    x.transpose(0, 2, 3, 1). Raises ValueError for layers of your own, and for outputs that nothing gives a meaning;
    ImportError without Keras.
    """
    keras = optional_import("keras")
    network.check_views()
    D = features_in(network.layers)
    if not (shape or D):
        raise ValueError("to_keras: no layer says how long a row is; give shape=, as (1, 28, 28)")
    row = shape or (D or 0,)
    network.output_shape(row)
    form = Form(row[0] if _takes_pictures(network, row) else None)
    x = keras.Input((*row[1:], row[0]) if form.pictures else row, dtype=network.dtype.name)
    y, form = _through(keras, network, network.layers, x, form)
    if not form.is_in_order:
        raise ValueError(
            "to_keras: the outputs are the numbers of pictures, in another order there; a Dense is missing"
        )
    if (activation := last_activation(network, logits)) != "linear":
        y = keras.layers.Activation(activation, dtype=network.dtype.name)(y)
    model = keras.Model(x, y)
    has_blocks = any(layer.children() for layer in network.layers)
    return model if has_blocks else keras.Sequential(model.layers)


def _takes_pictures(network: Network, row: tuple[int, ...]) -> bool:
    """Whether its first layers are layers for pictures: not where it begins with Flatten, which takes what it gets."""
    first = takewhile(lambda layer: not isinstance(layer, Flatten), (layer for _, _, layer in walk(network.layers)))
    return len(row) == 3 and any(isinstance(layer, (*OF_PICTURES, BatchNorm)) for layer in first)


def _through(keras: Any, network: Network, layers: Sequence[Layer], x: Any, form: Form) -> tuple[Any, Form]:
    """What Keras's versions of the layers make of x, and its form."""
    for layer in layers:
        if isinstance(layer, Residual):
            around = [layer.shortcut] if layer.shortcut else []
            other, _ = _through(keras, network, around, x, form)
            y, form = _through(keras, network, layer.layers, x, form)
            x = keras.layers.Add(dtype=network.dtype.name)([y, other])
        else:
            x = _version(keras, network, layer, x, form)
            form = form.behind(layer)
    return x, form


def _version(keras: Any, network: Network, layer: Layer, x: Any, form: Form) -> Any:
    """What Keras's version of a layer makes of x."""
    if type(layer) not in VERSIONS or (form.pictures and isinstance(layer, OF_ROWS)):
        raise ValueError(f"to_keras: {layer}{' of pictures' if form.pictures else ''} has no version in Keras")
    name, options = VERSIONS[type(layer)]
    settings = options(layer) | {"dtype": network.dtype.name, "trainable": layer.trainable}
    if name.endswith("2D") or name == "Flatten":
        settings["data_format"] = "channels_last"
    if isinstance(layer, Conv2D) and layer.stride == 1 and layer.kernel_size == 2 * layer.padding + 1:
        settings["padding"] = "same"
    elif isinstance(layer, Conv2D) and layer.padding:
        x = keras.layers.ZeroPadding2D(layer.padding, data_format="channels_last", dtype=network.dtype.name)(x)
    version = getattr(keras.layers, name)(**settings)
    y = version(x)
    part = Part(layer, {}, form.flattened)
    host = network.backend.to_host
    version.set_weights([part.theirs(name, host(layer.views[name])) for name in (*layer.shapes(), *layer.buffers())])
    return y
