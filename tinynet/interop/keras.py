"""Networks from Keras's files, without Keras, and to Keras models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from ..files.archive import ModelFileError, about, reading, require
from ..layers import GELU, Dense, Dropout, Flatten, Layer, LeakyReLU, ReLU, Residual, Sigmoid, Softmax, Tanh
from ..losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from ..network import Network
from ..optim import SGD, Adam, Optimizer, RMSProp
from .keras_files import Contents, contents, layer_entries, snake_case
from .library import library
from .predictions import last_activation

Options = dict[str, Any]
Read = list[tuple[Layer, dict[str, np.ndarray]]]
"""Layers, each with those of its parameters that the file has."""

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
}
"""What is made of Keras's layers without weights."""

USUAL: Options = {
    "max_value": (None,),
    "threshold": (None, 0),
    "axis": (None, -1, [-1]),
    "noise_shape": (None,),
    "data_format": (None, "channels_last"),
}
"""Options that must be these, if they are there: with others a layer computes something else."""

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


# ------------------------------------------------------------------------------------------------------ in


def from_keras(path: str | os.PathLike[str], *, backend: str | Backend = "numpy") -> Network:
    """The network in a file of Keras 2.2 or later, HDF5 or .keras: a Sequential of Dense, Activation, ReLU, LeakyReLU,
    Softmax, Dropout, Flatten and InputLayer, with the activations relu, tanh, sigmoid, gelu, softmax and linear.

    A softmax at the end, or a sigmoid of one unit, becomes the loss that the network knows, so that `predict` gives
    what Keras's does. A Dense without bias gets one of zeros; what was frozen stays frozen. Raises ModelFileError for
    a file that is missing or damaged, and for other layers, by name; ImportError without h5py (extra `keras`).
    """
    place = get_backend(backend)
    with about(Path(path)), reading("a Keras file"):
        found = contents(Path(path))
        return _network(*_with_loss(_read(found), found), place)


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
        read, loss = _with_loss(_read(found), found)
        name, _ = _loss_in(found)
        require(not name or name in LOSSES, f"it was trained with {name}; known here are {', '.join(LOSSES)}")
        network = _network(read, loss, place)
        return network, _optimizer(network, read, found, lr)


def _network(read: Read, loss: Loss, place: Backend) -> Network:
    double = any(value.dtype == np.float64 for _, parameters in read for value in parameters.values())
    network = Network(*(layer for layer, _ in read), dtype="float64" if double else "float32", backend=place)
    network.loss = loss
    for layer, parameters in read:
        for window, value in parameters.items():
            layer.windows[window][...] = place.to_device(value.reshape(layer.shapes()[window]).astype(network.dtype))
    return network


def _read(found: Contents) -> Read:
    read: Read = []
    weights = iter(found.weights)
    for entry in layer_entries(found.model):
        kind, options = entry["class_name"], entry["config"]
        try:
            layers = _layers(kind, options, weights)
        except (KeyError, TypeError, ValueError) as error:
            cause = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ModelFileError(f"layer {options.get('name', kind)!r}: {cause}") from None
        for layer, _ in layers:
            layer.trainable = options.get("trainable") is not False
        read += layers
    require(read, "its model has no layers")
    require(next(weights, None) is None, "it has weights of more layers than its model")
    return read


def _layers(kind: str, options: Options, weights: Iterator[list[np.ndarray]]) -> Read:
    if kind == "Dense":
        return _dense(options, next(weights, []))
    if kind not in PLAIN:
        raise ValueError(f"a {kind} is not read; those that are: Dense, {', '.join(PLAIN)}")
    for name, usual in USUAL.items():
        if options.get(name) not in usual:
            raise ValueError(f"a {kind} with {name}={options[name]} is not read")
    return [(layer, {}) for layer in PLAIN[kind](options)]


def _dense(options: Options, arrays: list[np.ndarray]) -> Read:
    units = options["units"]
    require(1 <= len(arrays) <= 2, f"takes a kernel and a bias, the file has {len(arrays)} arrays for it")
    W, *bias = arrays
    require(len(W.shape) == 2 and W.shape[1] == units, f"takes a kernel (D, {units}), the file has {W.shape}")
    layer = Dense(W.shape[0], units)
    require(all(b.shape == (units,) for b in bias), f"takes a bias ({units},), the file has {bias and bias[0].shape}")
    parameters = {"W": W} | ({"b": bias[0]} if bias else {})
    floats = all(value.dtype.kind == "f" for value in parameters.values())
    require(floats, "takes floats, the file has whole numbers")
    return [(layer, parameters), *((bend, {}) for bend in _activation(options.get("activation")))]


def _activation(said: Any) -> list[Layer]:
    """The layer of an activation: by its name, or by an object that has it as config."""
    name = said.get("config") if isinstance(said, dict) else said
    if name in (None, "linear"):
        return []
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"the activation {said} is not read; those that are: linear, {', '.join(ACTIVATIONS)}")
    return [ACTIVATIONS[name]()]


def _loss_in(found: Contents) -> tuple[str, Options]:
    """Name and options of the loss that the model was compiled with; "" if none, or more than one."""
    said = found.training.get("loss")
    if isinstance(said, dict) and isinstance(said.get("class_name"), str):
        return snake_case(said["class_name"]), said.get("config") or {}
    return (snake_case(said) if isinstance(said, str) else ""), {}


def _with_loss(read: Read, found: Contents) -> tuple[Read, Loss]:
    """The layers, and the loss whose predictions are Keras's; what it does to the outputs is no layer any more."""
    name, options = _loss_in(found)
    last, units = read[-1][0], [layer.M for layer, _ in read if isinstance(layer, Dense)][-1:]
    if len(read) > 1 and (not name or name.endswith("crossentropy")):
        if isinstance(last, Softmax):
            return read[:-1], SoftmaxCrossEntropy(label_smoothing=options.get("label_smoothing", 0))
        if isinstance(last, Sigmoid) and units == [1]:
            return read[:-1], BinaryCrossEntropy()
    if name in LOSSES and (options.get("from_logits") or not name.endswith("crossentropy")):
        return read, LOSSES[name](options)
    return read, MeanSquaredError()


def _optimizer(network: Network, read: Read, found: Contents, lr: Any) -> Optimizer:
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
    optimizer.t = max(
        (int(value) for value in found.optimizer if value.shape == () and value.dtype.kind in "iu"), default=0
    )
    _fill_slots(optimizer, read, [value for value in found.optimizer if value.shape])
    if isinstance(optimizer, SGD):
        optimizer.velocity[...] /= -optimizer.rate  # Keras's holds -lr v
    return optimizer


def _fill_slots(optimizer: Optimizer, read: Read, state: list[np.ndarray]) -> None:
    """From one array for each parameter and slot: parameter by parameter in new files, slot by slot in old ones."""
    moved = [(layer, window) for layer, parameters in read if layer.trainable for window in parameters]
    shapes = [parameters[window].shape for layer, parameters in read if layer.trainable for window in parameters]
    slots = len(optimizer.slots)
    there = [value.shape for value in state[: slots * len(moved)]]
    if not there:
        return
    by_parameter = there == [shape for shape in shapes for _ in range(slots)]
    require(by_parameter or there == shapes * slots, f"its optimizer keeps {there}, and its parameters are {shapes}")
    for slot, name in enumerate(optimizer.slots):
        part = state[slot::slots] if by_parameter else state[slot * len(moved) :]
        values = dict(zip(moved, part, strict=False))
        pieces = [
            np.ravel(values.get((layer, window), np.zeros(shape)))
            for layer, _ in read
            for window, shape in layer.shapes().items()
        ]
        vector = np.concatenate(pieces).astype(optimizer.network.dtype)
        getattr(optimizer, name)[...] = optimizer.network.backend.to_device(vector)


# ----------------------------------------------------------------------------------------------------- out


def to_keras(network: Network, *, logits: bool = False, shape: tuple[int, ...] | None = None) -> Any:
    """A built Keras model that predicts what `predict` does, or with `logits` what `outputs` gives.

    Sequential, or functional where there is a Residual. `shape` is that of a row where it is not (D,), as (1, 28, 28)
    in front of Flatten. Raises ValueError for layers of your own, and for outputs that nothing gives a meaning;
    ImportError without Keras.
    """
    keras = library("keras", "keras")
    network.check_windows()
    row = shape or (network.inputs,)
    if row == (None,):
        raise ValueError("to_keras: no layer says how long a row is; give shape=, as (1, 28, 28)")
    x = keras.Input(row, dtype=network.dtype.name)
    y = _through(keras, network, network.layers, x)
    if (activation := last_activation(network, logits)) != "linear":
        y = keras.layers.Activation(activation, dtype=network.dtype.name)(y)
    model = keras.Model(x, y)
    has_blocks = any(layer.children() for layer in network.layers)
    return model if has_blocks else keras.Sequential(model.layers)


def _through(keras: Any, network: Network, layers: Sequence[Layer], x: Any) -> Any:
    """What Keras's versions of the layers make of x."""
    dtype = network.dtype.name
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    for layer in layers:
        if isinstance(layer, Residual):
            shortcut = [layer.shortcut] if layer.shortcut else []
            parts = [_through(keras, network, inside, x) for inside in (layer.layers, shortcut)]
            x = keras.layers.Add(dtype=dtype)(parts)
        elif isinstance(layer, Dense):
            theirs = keras.layers.Dense(layer.M, dtype=dtype, trainable=layer.trainable)
            x = theirs(x)
            W, b = (network.backend.to_host(layer.windows[name]) for name in ("W", "b"))
            theirs.set_weights([W, b[0]])
        elif isinstance(layer, LeakyReLU):
            x = keras.layers.LeakyReLU(negative_slope=layer.slope, dtype=dtype)(x)
        elif isinstance(layer, Dropout):
            x = keras.layers.Dropout(layer.rate, dtype=dtype)(x)
        elif isinstance(layer, Flatten):
            x = keras.layers.Flatten(data_format="channels_last", dtype=dtype)(x)
        elif type(layer) in names:
            x = keras.layers.Activation(names[type(layer)], dtype=dtype)(x)
        else:
            raise ValueError(f"to_keras: {layer} has no version in Keras")
    return x
