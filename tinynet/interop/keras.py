"""Reads networks from Keras's files, without Keras, and makes Keras models of networks."""

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
from ..layers import Conv2D, Dense, Flatten, Layer, Residual, Sigmoid, Softmax
from ..layers.bound import walk
from ..layers.residual import features_in
from ..losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from ..network import Network
from ..optim import SGD, Adam, Optimizer, RMSProp
from .keras_files import Contents, contents, snake_case
from .keras_layers import Form, Part, keras_of, may_take_pictures, parts_of
from .keras_readers import Options
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
"""Options with which Keras's optimizers follow another update rule."""


# ---------------------------------------------------------------------------------------------- from Keras


def from_keras(path: str | os.PathLike[str], *, backend: str | Backend = "numpy") -> Network:
    """Return the network in a file of Keras 2.2 or later, HDF5 or .keras.

    The file must hold a Sequential of Dense, Conv2D, MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D,
    BatchNormalization, LayerNormalization of rows, Activation, ReLU, LeakyReLU, Softmax, Dropout, Flatten and
    InputLayer, with the activations relu, tanh, sigmoid, gelu, softmax and linear.

    A softmax at the end, or a sigmoid of one unit, becomes the loss of the network, so that `predict` returns what
    Keras's does. Pictures have the channels first, x (N, C, rows, columns); Keras has them last: use
    x.transpose(0, 3, 1, 2). Layers without a bias get one of zeros, and frozen layers stay frozen. Raises
    ModelFileError if the file is missing or damaged or has other layers, and ImportError without h5py (extra `keras`).
    """
    device = get_backend(backend)
    with about(Path(path)), reading("a Keras file"):
        found = contents(Path(path))
        return _network(*_with_loss(parts_of(found), found), device)


def resume_keras(
    path: str | os.PathLike[str], *, backend: str | Backend = "numpy", lr: Any = None
) -> tuple[Network, Optimizer]:
    """Return the network and its optimizer, SGD, Adam, AdamW or RMSprop, with its step count and its slots.

    `lr` replaces the learning rate, and is required if that was a schedule. Keras's Adam and RMSprop add epsilon at
    another point, see `Adam`. Raises ModelFileError as `from_keras` does, and if the file has no optimizer, or an
    optimizer or a loss that tinynet does not have.
    """
    device = get_backend(backend)
    with about(Path(path)), reading("a Keras file"):
        found = contents(Path(path))
        parts, loss = _with_loss(parts_of(found), found)
        name, _ = _loss_in(found)
        require(not name or name in LOSSES, f"it was trained with the loss {name}; supported are {', '.join(LOSSES)}")
        network = _network(parts, loss, device)
        optimizer = _optimizer(network, parts, found, 1.0 if lr is not None else None)
    if lr is not None:
        optimizer = _with_rate(optimizer, lr)
    if isinstance(optimizer, SGD):
        optimizer.velocity[...] /= -optimizer.rate  # Keras's velocity is -lr v
    return network, optimizer


def _network(parts: list[Part], loss: Loss, device: Backend) -> Network:
    double = any(value.dtype == np.float64 for part in parts for value in part.arrays.values())
    network = Network(*(part.layer for part in parts), dtype="float64" if double else "float32", backend=device)
    network.loss = loss
    for part in parts:
        for name, value in part.arrays.items():
            part.layer.views[name][...] = device.to_device(part.ours(name, value).astype(network.dtype))
    return network


def _loss_in(found: Contents) -> tuple[str, Options]:
    """Return name and options of the loss that the model was compiled with; "" if there is none, or several."""
    said = found.training.get("loss")
    if isinstance(said, dict) and isinstance(said.get("class_name"), str):
        return snake_case(said["class_name"]), said.get("config") or {}
    return (snake_case(said) if isinstance(said, str) else ""), {}


def _with_loss(parts: list[Part], found: Contents) -> tuple[list[Part], Loss]:
    """Return the layers and the loss. A last activation that the loss applies in `predict` is no longer a layer."""
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
    require(name in OPTIMIZERS, f"its optimizer is {name}; supported are {', '.join(OPTIMIZERS)}")
    kind, names = OPTIMIZERS[name]
    others = [option for option in NOT_HERE if options.get(option)]
    others += ["momentum"] if kind is RMSProp and options.get("momentum") else []
    require(not others, f"its {name} has {', '.join(others)}, which {kind.__name__} does not support")
    rate: Any = lr if lr is not None else options.get("learning_rate", options.get("lr"))
    require(not isinstance(rate, dict), "its learning rate was a schedule; pass the schedule to resume_keras as lr=")
    settings = {ours: options[theirs] for theirs, ours in (names | ALWAYS).items() if options.get(theirs) is not None}
    optimizer = kind(network, rate, **settings)
    counts = [int(value) for value in found.optimizer if value.shape == () and value.dtype.kind in "iu"]
    optimizer.step_count = max(counts, default=0)
    _fill_slots(optimizer, parts, [value for value in found.optimizer if value.shape])
    return optimizer


def _with_rate(optimizer: Optimizer, lr: Any) -> Optimizer:
    """Return a copy with another learning rate. An invalid rate raises its own error, not that of a file."""
    again = type(optimizer)(optimizer.network, **optimizer.config() | {"lr": lr})
    again.step_count = optimizer.step_count
    for name in optimizer.slots:
        getattr(again, name)[...] = getattr(optimizer, name)
    return again


def _fill_slots(optimizer: Optimizer, parts: list[Part], state: list[np.ndarray]) -> None:
    """Fill the slots. New files hold the arrays parameter by parameter, old ones slot by slot."""
    trained = [(k, name) for k, part in enumerate(parts) for name in part.arrays if name in part.layer.shapes()]
    trained = [(k, name) for k, name in trained if parts[k].layer.trainable]
    shapes = [parts[k].arrays[name].shape for k, name in trained]
    slots = len(optimizer.slots)
    found = [value.shape for value in state[: slots * len(trained)]]
    if not found:
        return
    by_parameter = found == [shape for shape in shapes for _ in range(slots)]
    fits = by_parameter or found == shapes * slots
    require(fits, f"its optimizer has arrays {found}, and its parameters are {shapes}")
    for slot, slot_name in enumerate(optimizer.slots):
        kept = state[slot::slots] if by_parameter else state[slot * len(trained) :]
        values = dict(zip(trained, kept, strict=False))
        pieces = [
            np.ravel(part.ours(name, values[k, name]) if (k, name) in values else np.zeros(shape))
            for k, part in enumerate(parts)
            for name, shape in part.layer.shapes().items()
        ]
        vector = np.concatenate(pieces).astype(optimizer.network.dtype)
        getattr(optimizer, slot_name)[...] = optimizer.network.backend.to_device(vector)


# ------------------------------------------------------------------------------------------------ to Keras


def to_keras(network: Network, *, logits: bool = False, shape: tuple[int, ...] | None = None) -> Any:
    """Return a built Keras model that predicts what `predict` returns, or with `logits` what `outputs` returns.

    The model is Sequential, or functional if there is a Residual. `shape` is the shape of a row if that is not (D,),
    such as (1, 28, 28) for Conv2D or Flatten. A model of pictures has the channels last: use x.transpose(0, 2, 3, 1).
    Raises ValueError for layers of your own and if the meaning of the outputs is unknown, and ImportError without
    Keras.
    """
    library = optional_import("keras")
    network.check_views()
    D = features_in(network.layers)
    if not (shape or D):
        raise ValueError("to_keras: no layer says how long a row is; pass shape=, such as (1, 28, 28)")
    row = shape or (D or 0,)
    network.output_shape(row)
    form = Form(row[0] if _takes_pictures(network, row) else None)
    x = library.Input((*row[1:], row[0]) if form.pictures else row, dtype=network.dtype.name)
    y, form = _through(library, network, network.layers, x, form)
    if not form.has_same_order:
        raise ValueError("to_keras: the outputs are flattened pictures, which Keras orders differently; add a Dense")
    if (activation := last_activation(network, logits)) != "linear":
        y = library.layers.Activation(activation, dtype=network.dtype.name)(y)
    model = library.Model(x, y)
    has_blocks = any(layer.children() for layer in network.layers)
    return model if has_blocks else library.Sequential(model.layers)


def _takes_pictures(network: Network, row: tuple[int, ...]) -> bool:
    """Return whether a layer before the first Flatten takes pictures."""
    first = takewhile(lambda layer: not isinstance(layer, Flatten), (layer for _, _, layer in walk(network.layers)))
    names = [keras.name for layer in first if (keras := keras_of(layer))]
    return len(row) == 3 and any(map(may_take_pictures, names))


def _through(library: Any, network: Network, layers: Sequence[Layer], x: Any, form: Form) -> tuple[Any, Form]:
    """Return Keras's output of the equivalent layers for x, and its form."""
    for layer in layers:
        if isinstance(layer, Residual):
            around = [layer.shortcut] if layer.shortcut else []
            other, _ = _through(library, network, around, x, form)
            y, form = _through(library, network, layer.layers, x, form)
            x = library.layers.Add(dtype=network.dtype.name)([y, other])
        else:
            x = _equivalent(library, network, layer, x, form)
            form = form.behind(layer)
    return x, form


def _equivalent(library: Any, network: Network, layer: Layer, x: Any, form: Form) -> Any:
    """Return Keras's output of the equivalent layer for x."""
    keras = keras_of(layer)
    if keras is None or (form.pictures and keras.of_rows):
        raise ValueError(f"to_keras: Keras has no equivalent of {layer}{' of pictures' if form.pictures else ''}")
    options = {"activation": keras.activation} if keras.activation else keras.options(layer)
    options |= {"dtype": network.dtype.name, "trainable": layer.trainable}
    if keras.name.endswith("2D") or keras.name == "Flatten":
        options["data_format"] = "channels_last"
    if isinstance(layer, Conv2D) and layer.stride == 1 and layer.kernel_size == 2 * layer.padding + 1:
        options["padding"] = "same"
    elif isinstance(layer, Conv2D) and layer.padding:
        x = library.layers.ZeroPadding2D(layer.padding, data_format="channels_last", dtype=network.dtype.name)(x)
    their_layer = getattr(library.layers, "Activation" if keras.activation else keras.name)(**options)
    y = their_layer(x)
    part = Part(layer, {}, form.flattened)
    host = network.backend.to_host
    names = (*layer.shapes(), *layer.buffers())
    their_layer.set_weights([part.theirs(name, host(layer.views[name])) for name in names])
    return y
