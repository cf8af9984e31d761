"""Reads networks from Keras's files, without Keras, and makes Keras models of networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.backend import Backend
from ..arrays.backend import backend as get_backend
from ..arrays.optional import optional_import
from ..files.archive import about, reading, require
from ..layers import Conv2D, Flatten, Layer, Residual
from ..layers.bound import walk
from ..layers.residual import features_in
from ..losses import Loss
from ..network import Network
from ..optim import SGD, Optimizer
from ..training.input_validation import warn
from .keras_files import contents
from .keras_layers import Form, Part, keras_of, may_take_pictures, parts_of, training_problems
from .keras_losses import loss_in, with_loss
from .keras_optimizers import divide_velocity, optimizer_of, with_rate
from .predictions import last_activation

# ---------------------------------------------------------------------------------------------- from Keras


def from_keras(path: str | os.PathLike[str], *, backend: str | Backend = "numpy") -> Network:
    """Return the network in a file of Keras 2.2 or later, HDF5 or .keras.

    The file must hold a Sequential of Dense, Conv2D, MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D,
    BatchNormalization, LayerNormalization of rows, Activation, ReLU, LeakyReLU, Softmax, Dropout, Flatten and
    InputLayer, with the activations relu, tanh, sigmoid, gelu, softmax and linear.

    A softmax at the end, or a sigmoid of one unit, becomes the loss of the network, so that `predict` returns what
    Keras's does. For a loss with from_logits, `outputs` returns what Keras's predict does. Pictures have the channels
    first, x (N, C, rows, columns); Keras has them last: use x.transpose(0, 3, 1, 2). Layers without a bias get one of
    zeros, and frozen layers stay frozen. Regularizers, constraints and the optimizer belong to a training and are not
    read. A warning says if tinynet does not have the loss. `keras_arguments.py` lists every argument.

    Raises ModelFileError if the file is missing or damaged or has other layers, and ImportError without h5py (extra
    `keras`). A file does not tell a function of your own from Keras's function of the same name.
    """
    device = get_backend(backend)
    with about(Path(path)), reading("a Keras file"):
        found = contents(Path(path))
        parts, loss, problems = with_loss(parts_of(found), found)
        network = _network(parts, loss, device)
    if problems:
        cure = f"predict returns what Keras's does; pass fit a loss, or it trains with {loss}"
        warn(f"{path}: {'; '.join(problems)}. {cure}", UserWarning)
    return network


def resume_keras(
    path: str | os.PathLike[str], *, backend: str | Backend = "numpy", lr: Any = None
) -> tuple[Network, Optimizer]:
    """Return the network and its optimizer, SGD, Adam, AdamW or RMSprop, with its step count and its slots.

    With the same batches, the training goes on as in Keras, except that Dropout draws other masks and that Keras
    ignores probabilities below 1e-7 in a cross-entropy. Adam and RMSprop add epsilon where Keras does: they are the
    subclasses `KerasAdam` and `KerasRMSProp` of `tinynet.interop.keras_optimizers`, which `resume` takes as
    `optimizers=[type(optimizer)]`.

    `lr` replaces the learning rate, and is required if that was a schedule. Keras's velocity holds the learning rates
    of earlier steps; ours is multiplied by that of the current step.

    Raises ModelFileError as `from_keras` does, and if the file has no optimizer, or if an argument of a layer, the loss
    or the optimizer changes the training in a way that tinynet does not support, such as a regularizer. Raises
    ValueError if the optimizer has momentum and its learning rate is 0.
    """
    device = get_backend(backend)
    with about(Path(path)), reading("a Keras file"):
        found = contents(Path(path))
        parts, loss, problems = with_loss(parts_of(found), found)
        problems = training_problems(found) + problems
        require(not problems, f"{'; '.join(problems)}. from_keras reads the network alone")
        require(loss_in(found)[0], "it was saved without a loss; from_keras reads its network")
        network = _network(parts, loss, device)
        optimizer = optimizer_of(network, parts, found, 1.0 if lr is not None else None)
    if lr is not None:
        optimizer = with_rate(optimizer, lr)
    if isinstance(optimizer, SGD):
        divide_velocity(optimizer)
    return network, optimizer


def _network(parts: list[Part], loss: Loss, device: Backend) -> Network:
    double = any(value.dtype == np.float64 for part in parts for value in part.arrays.values())
    network = Network(*(part.layer for part in parts), dtype="float64" if double else "float32", backend=device)
    network.loss = loss
    for part in parts:
        for name, value in part.arrays.items():
            part.layer.views[name][...] = device.to_device(part.ours(name, value).astype(network.dtype))
    return network


# ------------------------------------------------------------------------------------------------ to Keras


def to_keras(network: Network, *, logits: bool = False, shape: tuple[int, ...] | None = None) -> Any:
    """Return a built Keras model that predicts what `predict` returns, or with `logits` what `outputs` returns.

    The model is Sequential, or functional if there is a Residual. `shape` is the shape of a row if that is not (D,),
    such as (1, 28, 28) for Conv2D or Flatten. A model of pictures has the channels last: use x.transpose(0, 2, 3, 1).

    The model has the parameters, buffers, dtype and frozen layers of the network. It is not compiled: the loss, its
    label smoothing and the optimizer are not part of it, and neither are notes, epochs and the seed. In training, a
    BatchNormalization of Keras follows the variance with n instead of n - 1 (ddof=0 here).

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
        if type(layer) is Residual:  # a subclass may add something else
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
        kind = f"{type(layer).__name__}{' of pictures' if form.pictures else ''}"
        raise ValueError(f"to_keras: Keras has no equivalent of {layer}, a {kind}")
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
