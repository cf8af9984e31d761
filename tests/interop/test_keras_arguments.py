"""Every argument of the Keras classes that tinynet reads is carried over, refused, or does not change the numbers."""

import inspect
import os

os.environ.setdefault("KERAS_BACKEND", "numpy")

import keras
import pytest

import tinynet as tn
from tinynet.interop import keras_files, keras_losses, keras_optimizers
from tinynet.interop.keras_arguments import COMPILE, LAYERS, LOSSES, OPTIMIZERS, UNKNOWN, argument
from tinynet.interop.keras_files import snake_case
from tinynet.interop.keras_layers import READERS

K = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
LAYER_CLASSES = [*READERS, "Activation", "InputLayer"]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(keras_files, "apart", lambda path: keras_files.told(str(path)))


def arguments(*functions):
    """Return the names of the arguments of Keras's functions, except self and **kwargs."""
    parameters = [parameter for each in functions for parameter in inspect.signature(each).parameters.values()]
    named = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    return [name for name in dict.fromkeys(named) if name not in ("self", "y_true", "y_pred")]


def loss_class(name):
    return next(kind for kind in vars(keras.losses).values() if snake_case(getattr(kind, "__name__", "")) == name)


ALL = [
    *((LAYERS, kind, arguments(getattr(K, kind).__init__, K.Layer.__init__)) for kind in LAYER_CLASSES),
    *(
        (LOSSES, name, arguments(loss_class(name).__init__, getattr(keras.losses, name)))
        for name in keras_losses.READERS
    ),
    *((OPTIMIZERS, kind, arguments(getattr(keras.optimizers, kind).__init__)) for kind in keras_optimizers.READERS),
    (COMPILE, "compile", arguments(keras.Model.compile)),
]
"""The table, the class and the arguments of everything that is read."""


@pytest.mark.parametrize(("table", "kind", "names"), ALL, ids=[kind for _, kind, _ in ALL])
def test_every_argument_of_the_installed_keras_is_in_the_table(table, kind, names):
    """If this fails after an update of Keras, decide what the argument changes and add a row to keras_arguments.py."""
    assert len(names) > 2
    assert [name for name in names if argument(table, kind, name) is UNKNOWN] == []


def test_every_row_says_why():
    rows = [row for table in (LAYERS, LOSSES, OPTIMIZERS, COMPILE) for row in table.values()]
    assert all(row.reason or row.fate == "carried over" for row in rows)


PICTURES = ("Conv2D", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D")
NEEDED = {
    "Dense": {"units": 5},
    "Conv2D": {"filters": 2, "kernel_size": 3},
    "AveragePooling2D": {"pool_size": 2},
    "Activation": {"activation": "relu"},
    "Dropout": {"rate": 0.5},
    "InputLayer": {"shape": (6,)},
}
OTHER = {
    "dtype": "mixed_bfloat16",
    "use_bias": False,
    "center": False,
    "scale": False,
    "lora_rank": 2,
    "data_format": "channels_first",
    "dilation_rate": 2,
    "groups": 2,
    "keepdims": True,
    "renorm": True,
    "max_value": 6.0,
    "threshold": 0.5,
    "noise_shape": (None, 1),
    "ragged": True,
    "optional": True,
    "ignore_class": 2,
    "reduction": "sum",
    "label_smoothing": 0.25,
    "momentum": 0.5,
    "amsgrad": True,
    "centered": True,
    "clipnorm": 0.5,
    "clipvalue": 0.5,
    "gradient_accumulation_steps": 2,
    "use_ema": True,
    "loss_weights": 0.5,
}
"""Values that the arguments do not have by default."""
NOT_IN_FILES = {
    ("Flatten", "data_format"),  # of rows
    *((kind, "axis") for kind in ("LayerNormalization", "Softmax", "BatchNormalization", *keras_losses.READERS)),
    *((kind, "dtype") for kind in (*keras_losses.READERS, "InputLayer")),
    ("Dense", "quantization_config"),
    ("InputLayer", "ragged"),
    ("InputLayer", "activity_regularizer"),
}
"""Arguments that another test changes, or that Keras does not write or does not accept in such a model."""

REFUSED = [
    (table, kind, name)
    for table, kind, names in ALL
    for name in names
    if argument(table, kind, name).fate.startswith("changes") and (kind, name) not in NOT_IN_FILES
]


def other(name):
    if name.endswith("regularizer"):
        return keras.regularizers.L2(0.1)
    return keras.constraints.MaxNorm(0.1) if name.endswith("constraint") else OTHER[name]


def model_with(table, kind, options):
    """Return a compiled model in which the layer, the loss, the optimizer or `compile` has these options."""
    layer, last = [], "sigmoid" if kind == "binary_crossentropy" else "softmax"
    if table is LAYERS and kind != "InputLayer":
        layer = [getattr(K, kind)(**NEEDED.get(kind, {}) | options)]
    flat = [K.Flatten()] if kind in PICTURES and kind != "GlobalAveragePooling2D" else []
    start = K.Input((8, 8, 8)) if kind in PICTURES else K.Input((6,))
    if kind == "InputLayer":
        start = K.InputLayer(**NEEDED[kind] | options)
    model = keras.Sequential([start, *layer, *flat, K.Dense(1 if last == "sigmoid" else 3, last)])
    loss, optimizer = "sparse_categorical_crossentropy", keras.optimizers.SGD()
    if table is LOSSES:
        loss = loss_class(kind)(**options)
    if table is OPTIMIZERS:
        optimizer = getattr(keras.optimizers, kind)(**options)
    model.compile(optimizer, loss, **(options if table is COMPILE else {}))
    return model


@pytest.mark.parametrize(("table", "kind", "name"), REFUSED, ids=[f"{kind}.{name}" for _, kind, name in REFUSED])
def test_an_argument_that_is_not_carried_over_is_refused_by_name(tmp_path, table, kind, name):
    path = tmp_path / "model.keras"
    model_with(table, kind, {name: other(name)}).save(path)
    with pytest.raises(tn.ModelFileError, match=f"{name}="):
        tn.resume_keras(path)
    if table is LAYERS and argument(table, kind, name).fate == "changes the outputs":
        with pytest.raises(tn.ModelFileError, match=f"{name}="):
            tn.from_keras(path)
    elif table is LAYERS or table is OPTIMIZERS:
        tn.from_keras(path)
    else:
        with pytest.warns(UserWarning, match=f"{name}="):
            tn.from_keras(path)


@pytest.mark.parametrize(("table", "kind"), [row[:2] for row in ALL], ids=[kind for _, kind, _ in ALL])
def test_defaults_are_not_refused(tmp_path, table, kind):
    model_with(table, kind, {}).save(tmp_path / "model.keras")
    tn.resume_keras(tmp_path / "model.keras")


def test_the_tests_above_cover_what_changes_the_numbers():
    """Held by name: a row of the tables with another fate would leave the list of refused arguments."""
    found = {(kind, name) for _, kind, name in REFUSED}
    terms = {(kind, name) for _, kind, names in ALL for name in names if name.endswith(("regularizer", "constraint"))}
    one_class = {("RMSprop", "momentum")}
    one_class |= {("binary_crossentropy", "label_smoothing"), ("sparse_categorical_crossentropy", "ignore_class")}
    assert {*terms, *one_class} - {("InputLayer", "activity_regularizer")} <= found
    assert OTHER.keys() - {"ragged"} <= {name for _, name in found}
