"""Reading Keras's files, of Keras 3 and earlier versions, and making Keras models."""

import json
import os
import zipfile

os.environ.setdefault("KERAS_BACKEND", "numpy")  # which imports JAX

import fuzz
import h5py
import keras
import numpy as np
import pytest

import tinynet as tn
from tinynet.interop import keras_files

K = keras.layers
pytestmark = [  # Keras's own, with NumPy 2, and about its layers' options
    pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling:UserWarning"),
]


def build(*layers, loss="sparse_categorical_crossentropy", optimizer=None, epochs=0, inputs=(6,), classes=3):
    """Return a compiled Keras model with random weights."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(inputs), *layers])
    draw = np.random.default_rng(1)
    numbers = [draw.normal(size=weight.shape) for weight in model.weights]
    spreads = [weight.path.endswith("variance") for weight in model.weights]
    model.set_weights([abs(value) if spread else value for value, spread in zip(numbers, spreads, strict=True)])
    if loss:
        model.compile(optimizer or keras.optimizers.Adam(), loss)
    return model


def rows(*shape):
    return np.random.default_rng(2).normal(size=(9, *(shape or (6,)))).astype(np.float32)


MODELS = {
    "softmax": lambda: build(K.Dense(5, activation="relu"), K.Dropout(0.2), K.Dense(3, activation="softmax")),
    "logits": lambda: build(K.Dense(5, "tanh"), K.Dense(3), loss=keras.losses.SparseCategoricalCrossentropy(True)),
    "sigmoid": lambda: build(K.Dense(5, "sigmoid"), K.Dense(1, "sigmoid"), loss="binary_crossentropy"),
    "values": lambda: build(K.Dense(5, "gelu"), K.Dense(2), loss="mse"),
    "not compiled": lambda: build(K.Dense(5, "relu"), K.Dense(3, "softmax"), loss=None),
    "not compiled, values": lambda: build(K.Dense(5, "relu"), K.Dense(3), loss=None),
    "pictures": lambda: build(K.Flatten(), K.Dense(5, use_bias=False), K.ReLU(), K.Dense(3, "softmax"), inputs=(2, 3)),
    "layers of activation": lambda: build(
        K.Dense(5), K.LeakyReLU(negative_slope=0.25), K.Dense(4), K.Activation("softmax"), K.Dense(3), K.Softmax()
    ),
    "double": lambda: build(K.Dense(3, dtype="float64"), loss="mse"),
}


def saved(model, path):
    path.unlink(missing_ok=True)
    model.save(path)
    return path


def refused(path, cause, read=tn.from_keras):
    with pytest.raises(tn.ModelFileError, match=cause) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Read files in this process, until a test undoes it, because starting processes is slow."""
    monkeypatch.setattr(keras_files, "apart", lambda path: keras_files.told(str(path)))


# ------------------------------------------------------------------------------------------------------ in


MSE = {"loss": "mse"}
CONVOLUTIONAL = {
    "a whole network": lambda: pictures(
        K.Conv2D(4, 3, activation="relu"),
        K.BatchNormalization(),
        K.MaxPooling2D(2),
        K.Dropout(0.1),
        K.Flatten(),
        K.Dense(5, "tanh"),
        K.BatchNormalization(momentum=0.5, epsilon=0.1),
        K.Dense(3, "softmax"),
    ),
    "same": lambda: pictures(K.Conv2D(4, 3, padding="same"), K.Flatten(), K.Dense(3, "softmax")),
    "same, of one pixel": lambda: pictures(K.Conv2D(4, 1, padding="same"), K.Flatten(), K.Dense(3, "softmax")),
    "strides that do not divide": lambda: pictures(
        K.Conv2D(4, 2, strides=3, use_bias=False), K.LeakyReLU(), K.AveragePooling2D(2), K.Flatten(), K.Dense(3), **MSE
    ),
    "global": lambda: pictures(
        K.BatchNormalization(axis=3, scale=False), K.Conv2D(4, 3), K.GlobalAveragePooling2D(), K.Dense(3, "softmax")
    ),
    "pools alone": lambda: pictures(K.MaxPooling2D(3), K.Flatten(), K.Dense(3), **MSE),
    "norms of flattened pictures": lambda: pictures(
        K.Conv2D(4, 3),
        K.Flatten(),
        K.BatchNormalization(axis=1, center=False),
        K.Activation("tanh"),
        K.LayerNormalization(center=False, epsilon=0.1),
        K.Dense(3, "softmax"),
    ),
    "norms of rows": lambda: build(
        K.Dense(5), K.LayerNormalization(scale=False), K.Dense(4), K.BatchNormalization(), K.Dense(3, "softmax")
    ),
    "any size": lambda: build(K.Conv2D(4, 3), K.GlobalAveragePooling2D(), K.Dense(3), inputs=(None, None, 2), **MSE),
    "double, pictures": lambda: pictures(
        K.Conv2D(4, 3, dtype="float64"), K.Flatten(dtype="float64"), K.Dense(3, dtype="float64"), **MSE
    ),
}


def channels_first(x):
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 else x


@pytest.mark.parametrize("kind", [".h5", ".keras"])
@pytest.mark.parametrize("name", [*MODELS, *CONVOLUTIONAL])
def test_the_network_predicts_what_keras_does(tmp_path, name, kind):
    model = (MODELS | CONVOLUTIONAL)[name]()
    net = tn.from_keras(saved(model, tmp_path / f"model{kind}"))
    x = rows(8, 7, 2) if name == "any size" else rows(*model.input_shape[1:])
    said = (tn.outputs if name == "logits" else tn.predict)(net, channels_first(x))
    np.testing.assert_allclose(said, model.predict(x, verbose=0), rtol=1e-5, atol=1e-5)
    assert net.dtype == ("float64" if "double" in name else "float32")


def test_batch_norm_brings_its_statistics_and_its_numbers(tmp_path):
    model = CONVOLUTIONAL["a whole network"]()
    net = tn.from_keras(saved(model, tmp_path / "model.keras"))
    assert [repr(layer) for layer in net if isinstance(layer, tn.BatchNorm)] == [
        "BatchNorm(4, 0.01, 0.001, 0)",
        "BatchNorm(5, 0.5, 0.1, 0)",
    ]
    gamma, beta, mean, variance = model.layers[1].get_weights()
    for ours, theirs in zip(
        (net[2].gamma, net[2].beta, net[2].mean, net[2].variance), (gamma, beta, mean, variance), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", [".h5", ".keras"])
@pytest.mark.parametrize("name", ["a whole network", "same"])
def test_an_optimizer_of_pictures_goes_on(tmp_path, name, kind):
    """Adam's m is set to twice the parameters and v to their squares; after reading, both hold in our order too."""
    model = CONVOLUTIONAL[name]()
    model.layers[-1].trainable = False
    model.compile(keras.optimizers.Adam(0.5), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    kept = [variable for variable in model.optimizer.variables if variable.shape]
    for parameter, m, v in zip(model.trainable_variables, kept[::2], kept[1::2], strict=True):
        m.assign(2 * parameter.numpy())
        v.assign(parameter.numpy() ** 2)
    net, adam = tn.resume_keras(saved(model, tmp_path / f"model{kind}"))
    frozen = net[-1].size
    given = [part for part in range(net.theta.size - frozen) if adam.v[part]]
    assert len(given) == sum(int(np.prod(parameter.shape)) for parameter in model.trainable_variables)
    np.testing.assert_array_equal(adam.m[given], 2 * net.theta[given])
    np.testing.assert_array_equal(adam.v[given], net.theta[given] ** 2)
    assert not adam.m[-frozen:].any()


def test_a_wrong_rate_is_no_fault_of_the_file(tmp_path):
    model = build(K.Dense(3, "softmax"), optimizer=keras.optimizers.SGD(0.5, momentum=0.5))
    path = saved(model, tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"^SGD takes lr above 0 and finite, or a schedule; got -1$") as error:
        tn.resume_keras(path, lr=-1)
    assert not isinstance(error.value, tn.ModelFileError)

    def schedule(step):
        raise KeyError("of the user")

    with pytest.raises(KeyError, match="of the user"):
        tn.resume_keras(path, lr=schedule)


def test_what_stands_at_the_end_becomes_the_loss(tmp_path):
    found = {name: tn.from_keras(saved(MODELS[name](), tmp_path / "model.keras")) for name in MODELS}
    assert repr(found["softmax"]).startswith("<Network Dense(6, 5), ReLU(), Dropout(0.2), Dense(5, 3): ")
    assert {name: repr(net.loss) for name, net in found.items()} == {
        "softmax": "SoftmaxCrossEntropy()",
        "logits": "SoftmaxCrossEntropy()",
        "sigmoid": "BinaryCrossEntropy()",
        "values": "MeanSquaredError()",
        "not compiled": "SoftmaxCrossEntropy()",
        "not compiled, values": "MeanSquaredError()",
        "pictures": "SoftmaxCrossEntropy()",
        "layers of activation": "SoftmaxCrossEntropy()",
        "double": "MeanSquaredError()",
    }


def test_what_was_frozen_stays_frozen(tmp_path):
    model = MODELS["softmax"]()
    model.layers[0].trainable = False
    net = tn.from_keras(saved(model, tmp_path / "model.keras"))
    assert [layer.trainable for layer in net if layer.shapes()] == [False, True]


OLD = {  # the layers as Keras 2.2.4 wrote them
    "Dense": lambda name, units, activation, **more: {
        "class_name": "Dense",
        "config": {"name": name, "trainable": True, "units": units, "activation": activation, "use_bias": True, **more},
    },
    "Dropout": lambda name, rate: {
        "class_name": "Dropout",
        "config": {"name": name, "trainable": True, "rate": rate, "noise_shape": None, "seed": None},
    },
}
WEIGHTS = [
    np.random.default_rng(k).normal(size=shape).astype(np.float32)
    for k, shape in enumerate([(4, 3), (3,), (3, 2), (2,)])
]


def old_file(path, as_list=True, text=str.encode, state="blocks"):
    """Write a model in the layout of Keras 2.2 or, with these options, of tf.keras."""
    layers = [
        OLD["Dense"]("dense_7", 3, "relu", batch_input_shape=[None, 4], dtype="float32"),
        OLD["Dropout"]("dropout_3", 0.25),
        OLD["Dense"]("dense_8", 2, "softmax"),
    ]
    config = {"class_name": "Sequential", "config": layers if as_list else {"name": "sequential_2", "layers": layers}}
    adam = {"lr": 0.002, "beta_1": 0.8, "beta_2": 0.99, "decay": 0.0, "epsilon": 1e-7, "amsgrad": False}
    training = {"loss": "categorical_crossentropy", "optimizer_config": {"class_name": "Adam", "config": adam}}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = text("2.2.4"), text("tensorflow")
        file.attrs["model_config"], file.attrs["training_config"] = text(json.dumps(config)), text(json.dumps(training))
        group = file.create_group("model_weights")
        put(group, "layer_names", [text(name) for name in ("dense_7", "dropout_3", "dense_8")])
        put(group.create_group("dropout_3"), "weight_names", [])
        for name, (W, b) in {"dense_7": WEIGHTS[:2], "dense_8": WEIGHTS[2:]}.items():
            inner = group.create_group(name)
            put(inner, "weight_names", [text(f"{name}/kernel:0"), text(f"{name}/bias:0")])
            inner[f"{name}/kernel:0"], inner[f"{name}/bias:0"] = W, b
        if state:
            moments, squares = [0.1 * value for value in WEIGHTS], [value**2 for value in WEIGHTS]
            pairs = zip(moments, squares, strict=True)
            blocks = [*moments, *squares, *[np.zeros(1)] * 4]
            kept = [np.array(77), *(blocks if state == "blocks" else [value for pair in pairs for value in pair])]
            inner = file.create_group("optimizer_weights")
            put(inner, "weight_names", [text(f"training/Adam/Variable_{k}:0") for k in range(len(kept))])
            for k, value in enumerate(kept):
                inner[f"training/Adam/Variable_{k}:0"] = value
    return path


def put(group, name, values):
    group.attrs[name] = np.array(values, dtype=h5py.string_dtype() if values and isinstance(values[0], str) else None)


@pytest.mark.parametrize("as_list", [True, False], ids=["config is a list", "config is a dictionary"])
@pytest.mark.parametrize("text", [str.encode, str], ids=["bytes", "text"])
def test_old_files_are_read(tmp_path, as_list, text):
    net = tn.from_keras(old_file(tmp_path / "model.h5", as_list, text))
    assert repr(net).startswith("<Network Dense(4, 3), ReLU(), Dropout(0.25), Dense(3, 2): ")
    assert net.theta.tobytes() == np.concatenate([value.ravel() for value in WEIGHTS]).tobytes()
    assert isinstance(net.loss, tn.SoftmaxCrossEntropy)


@pytest.mark.parametrize("state", ["blocks", "pairs"])
def test_an_old_optimizer_goes_on(tmp_path, state):
    net, adam = tn.resume_keras(old_file(tmp_path / "model.h5", state=state))
    assert adam.config() == {"lr": 0.002, "weight_decay": 0.0, "beta1": 0.8, "beta2": 0.99, "eps": 1e-7}
    assert (adam.network, adam.step_count) == (net, 77)
    np.testing.assert_array_equal(adam.m, np.float32(0.1) * net.theta)
    np.testing.assert_array_equal(adam.v, net.theta**2)


OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(0.25, beta_1=0.5, global_clipnorm=2.0),
    "AdamW": lambda: keras.optimizers.AdamW(weight_decay=0.5),
    "SGD": lambda: keras.optimizers.SGD(0.5),
    "SGD with momentum": lambda: keras.optimizers.SGD(0.5, momentum=0.25, nesterov=True),
    "RMSprop": lambda: keras.optimizers.RMSprop(rho=0.5),
}


@pytest.mark.parametrize("kind", [".h5", ".keras"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_new_optimizer_goes_on(tmp_path, name, kind):
    model = build(K.Dense(4, "relu"), K.Dense(3, "softmax"), optimizer=OPTIMIZERS[name]())
    theirs = model.optimizer
    theirs.build(model.trainable_variables)
    draw = np.random.default_rng(3)
    for variable in theirs.variables:
        if variable.path.endswith("iteration"):
            variable.assign(40)
        elif variable.shape:
            variable.assign(draw.uniform(size=variable.shape))
    _, ours = tn.resume_keras(saved(model, tmp_path / f"model{kind}"))
    kept = [np.array(value) for value in theirs.variables if value.shape]
    slots = {
        slot: np.concatenate([np.ravel(value) for value in kept[k :: len(ours.slots)]]) if kept else 0
        for k, slot in enumerate(ours.slots)
    }
    assert ours.step_count == 40
    for slot, expected in slots.items():
        scale = -0.5 if "momentum" in name else 1
        np.testing.assert_allclose(getattr(ours, slot), expected / scale, rtol=1e-6)
    config = {"Adam": {"lr": 0.25, "beta1": 0.5, "clip_norm": 2.0}, "AdamW": {"weight_decay": 0.5, "eps": 1e-7}}
    config |= {"SGD": {"lr": 0.5}, "SGD with momentum": {"momentum": 0.25, "nesterov": True}, "RMSprop": {"rho": 0.5}}
    assert ours.config().items() >= config[name].items()


@pytest.mark.parametrize("name", ["Adam", "RMSprop"])
def test_an_optimizer_with_the_epsilon_of_keras_is_saved_and_resumed(tmp_path, name):
    net, optimizer = tn.resume_keras(
        saved(build(K.Dense(3, "softmax"), optimizer=OPTIMIZERS[name]()), tmp_path / "model.keras")
    )
    tn.save(net, tmp_path / "net.npz", optimizer)
    _, again = tn.resume(tmp_path / "net.npz", optimizers=[type(optimizer)])
    assert (type(again), repr(again)) == (type(optimizer), repr(optimizer))


def test_momentum_goes_on_as_in_keras(tmp_path):
    """Keras adds momentum m - lr g to theta, where m is -lr v."""
    model = build(K.Dense(3), loss="mse", optimizer=keras.optimizers.SGD(0.5, momentum=0.25))
    model.optimizer.build(model.trainable_variables)
    for variable in model.optimizer.variables:
        if variable.shape:
            variable.assign(np.ones(variable.shape))
    net, sgd = tn.resume_keras(saved(model, tmp_path / "model.keras"))
    before = net.theta.copy()
    net.grad[...] = 2
    sgd.step()
    np.testing.assert_allclose(net.theta - before, 0.25 * 1 - 0.5 * 2, rtol=1e-6)


def test_a_schedule_must_be_given_again(tmp_path):
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
    path = saved(build(K.Dense(3, "softmax"), optimizer=optimizer), tmp_path / "model.keras")
    refused(path, "learning rate was a schedule; pass the schedule to resume_keras as lr=", tn.resume_keras)
    assert tn.resume_keras(path, lr=0.5)[1].lr == 0.5


def test_optimizers_that_tinynet_does_not_have_are_not_resumed(tmp_path):
    path = tmp_path / "model.keras"
    refused(saved(build(K.Dense(3, "softmax"), loss=None), path), "saved without a loss", tn.resume_keras)
    optimizer = keras.optimizers.Lion()
    refused(saved(build(K.Dense(3, "softmax"), optimizer=optimizer), path), "its optimizer is Lion", tn.resume_keras)
    old_file(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        training = json.loads(file.attrs["training_config"])
        file.attrs["training_config"] = json.dumps({"loss": training["loss"]})
    refused(tmp_path / "model.h5", "saved without an optimizer", tn.resume_keras)
    del training["optimizer_config"]["config"]["epsilon"]
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["training_config"] = json.dumps(training)
    refused(tmp_path / "model.h5", "the epsilon of its Adam is missing", tn.resume_keras)


def test_a_learning_rate_of_0_cannot_divide_keras_velocity(tmp_path):
    optimizer = keras.optimizers.SGD(0.5, momentum=0.5)
    path = saved(build(K.Dense(3, "softmax"), optimizer=optimizer), tmp_path / "model.keras")
    with pytest.raises(ValueError, match="expected a learning rate above 0 at step 0, got 0"):
        tn.resume_keras(path, lr=lambda step: 0.0)
    path = saved(build(K.Dense(3, "softmax"), optimizer=keras.optimizers.SGD()), path)
    assert np.isfinite(tn.resume_keras(path, lr=lambda step: 0.0)[1].velocity).all()


class Own(tn.Tanh):
    """A layer that Keras does not have."""


def scaled(loss, y, z):
    return y


class MeanSquaredError(keras.losses.Loss):
    """A loss of the user with the name of one of Keras."""

    call = scaled


class Dense(K.Dense):
    """A layer of the user with the name of one of Keras."""


class SGD(keras.optimizers.SGD):
    """An optimizer of the user with the name of one of Keras."""


ONE = {"loss": "binary_crossentropy"}
LOGITS = {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
OTHER_LOSSES = {
    "several sigmoids": (
        lambda: build(K.Dense(3, "sigmoid"), **ONE),
        r"ends in Sigmoid\(\) with the loss binary_cross",
    ),
    "softmax": (lambda: build(K.Dense(3, "softmax"), **ONE), r"ends in Softmax\(\) with the loss binary_crossentropy"),
    "sigmoid": (lambda: build(K.Dense(1, "sigmoid")), r"ends in Sigmoid\(\) with the loss sparse_categorical_cross"),
    "several logits": (
        lambda: build(K.Dense(3), loss=keras.losses.BinaryCrossentropy(from_logits=True)),
        r"ends in Dense\(6, 3\) with the loss binary_crossentropy \(from_logits=True\)",
    ),
    "softmax as logits": (lambda: build(K.Dense(3, "softmax"), **LOGITS), r"ends in Softmax\(\) .*from_logits=True"),
    "no probabilities": (lambda: build(K.Dense(3)), "supported is a softmax or logits at the end"),
    "dropout behind softmax": (lambda: build(K.Dense(3, "softmax"), K.Dropout(0.0)), r"ends in Dropout\(0.0\) with"),
    "another loss": (lambda: build(K.Dense(2), loss=keras.losses.Huber(0.5)), "its loss is huber; supported are categ"),
    "a dictionary": (lambda: build(K.Dense(3, name="y"), loss={"y": "mae"}), "its loss is mae; supported are"),
    "several": (lambda: build(K.Dense(3), loss={"y": "mse", "z": "mse"}), "its loss is {'y': 'mse', 'z': 'mse'}; supp"),
    "a class of the user": (lambda: build(K.Dense(3), loss=MeanSquaredError()), "its loss is .*; supported are"),
}


@pytest.mark.parametrize("name", OTHER_LOSSES)
def test_other_losses_are_not_resumed_and_warn_when_the_network_is_read(tmp_path, name):
    make, cause = OTHER_LOSSES[name]
    model = make()
    path = saved(model, tmp_path / "model.keras")
    refused(path, cause, tn.resume_keras)
    with pytest.warns(UserWarning, match=cause) as warning:
        net = tn.from_keras(path)
    assert (len(warning), warning[0].filename) == (1, __file__)
    np.testing.assert_allclose(tn.predict(net, rows()), model.predict(rows(), verbose=0), rtol=1e-5, atol=1e-5)


def test_classes_of_the_user_are_refused_by_name(tmp_path):
    path = saved(build(K.Dense(3), optimizer=SGD(), loss="mse"), tmp_path / "model.keras")
    refused(path, "its optimizer is SGD; supported are SGD", tn.resume_keras)
    refused(saved(build(Dense(3), loss="mse"), path), "layer 'dense.*': Dense is a class of your own")


UNREADABLE = {
    "a layer": (
        lambda: build(K.Dense(3), K.GaussianNoise(0.1, name="odd"), K.Dense(3)),
        "layer 'odd': a GaussianNoise is not supported; supported are Dense, Conv2D, ",
    ),
    "an activation": (
        lambda: build(K.Dense(3, "selu", name="odd")),
        "layer 'odd': the activation selu is not supported; supported are linear, relu",
    ),
    "an option": (
        lambda: build(K.Dense(3), K.ReLU(max_value=6, name="odd")),
        "layer 'odd': a ReLU with max_value=6 is not supported",
    ),
    "same, with an even kernel": (
        lambda: pictures(K.Conv2D(3, 2, padding="same", name="odd")),
        "layer 'odd': a Conv2D with padding=same, kernel_size=2 and strides=1 is not supported; supported are",
    ),
    "same, with strides": (
        lambda: pictures(K.Conv2D(3, 3, strides=2, padding="same", name="odd")),
        "padding=same, kernel_size=3 and strides=2 is not supported",
    ),
    "two sizes": (
        lambda: pictures(K.Conv2D(3, (3, 1), name="odd")),
        r"layer 'odd': kernel_size=\[3, 1\] is not supported: rows and columns must have the same",
    ),
    "holes": (
        lambda: pictures(K.Conv2D(3, 2, dilation_rate=2)),
        r"a Conv2D with dilation_rate=\[2, 2\] is not supported",
    ),
    "groups": (lambda: pictures(K.Conv2D(4, 2, groups=2)), "a Conv2D with groups=2 is not supported"),
    "channels first": (
        lambda: pictures(K.MaxPooling2D(2, data_format="channels_first")),
        "a MaxPooling2D with data_format=channels_first is not supported",
    ),
    "patches that overlap": (
        lambda: pictures(K.MaxPooling2D(3, strides=2)),
        r"pooling with pool_size=3, strides=\[2, 2\] and padding=valid is not supported: patches must not",
    ),
    "padded patches": (lambda: pictures(K.AveragePooling2D(3, padding="same")), "and padding=same is not supported"),
    "a mean that keeps its axes": (
        lambda: pictures(K.GlobalAveragePooling2D(keepdims=True)),
        "a GlobalAveragePooling2D with keepdims=True is not supported",
    ),
    "batch norm of rows of pixels": (
        lambda: pictures(K.Conv2D(2, 2), K.BatchNormalization(axis=1)),
        "a BatchNormalization with axis=1 is not supported",
    ),
    "layer norm of pictures": (
        lambda: pictures(K.Conv2D(2, 2), K.LayerNormalization(name="odd")),
        r"layer 'odd': LayerNorm\(2, 0.001\) of pictures is not supported; add a Flatten or a GlobalAveragePooling2D",
    ),
    "softmax of pictures": (
        lambda: pictures(K.Conv2D(2, 2, activation="softmax")),
        r"Softmax\(\) of pictures is not supported",
    ),
    "dense of pictures": (
        lambda: pictures(K.MaxPooling2D(2), K.Dense(2)),
        r"Dense\(2, 2\) of pictures is not supported",
    ),
    "a norm that learns nothing": (
        lambda: build(K.Dense(3), K.LayerNormalization(center=False, scale=False), K.Dense(3)),
        "a LayerNormalization with neither gamma nor beta is not supported",
    ),
    "rms": (
        lambda: build(K.Dense(3), K.LayerNormalization(rms_scaling=True)),
        "a LayerNormalization with rms_scaling=True is not supported",
    ),
    "pictures in a row": (
        lambda: pictures(K.Conv2D(2, 2), K.Flatten()),
        "its outputs are flattened pictures, which have another order here; it needs a Dense",
    ),
    "half precision": (
        lambda: build(K.Dense(3, dtype="mixed_float16")),
        "a Dense with dtype=mixed_float16 is not supported",
    ),
    "integers": (
        lambda: keras.Sequential([keras.Input((6,), dtype="uint8"), K.Dense(3)]),
        "an? InputLayer with dtype=uint8 is not supported",
    ),
    "a graph": (lambda: graph(), "it holds a Functional model; supported are Sequential models"),
}


def pictures(*layers, **options):
    return build(*layers, inputs=(8, 7, 2), **options)


def graph():
    x = keras.Input((6,))
    return keras.Model(x, K.Add()([x, K.Dense(6)(x)]))


@pytest.mark.parametrize("name", UNREADABLE)
def test_other_layers_are_refused_by_name(tmp_path, name):
    make, cause = UNREADABLE[name]
    refused(saved(make(), tmp_path / "model.keras"), cause)


def test_weights_without_a_model_are_refused(tmp_path):
    model = MODELS["softmax"]()
    model.save_weights(tmp_path / "model.weights.h5")
    refused(tmp_path / "model.weights.h5", "holds weights without a model; model.save")


def change(**changes):
    def edit(file):
        for name, value in changes.items():
            file.attrs[name] = value

    return edit


def replaced(path, **options):
    def edit(file):
        del file[path]
        file.create_dataset(path, **options)

    return edit


def linked(kind):
    def edit(file):
        del file["model_weights/dense_7/dense_7/kernel:0"]
        file["model_weights/dense_7/dense_7/kernel:0"] = kind

    return edit


KERNEL = "model_weights/dense_7/dense_7/kernel:0"
HOSTILE = {
    "not JSON": (change(model_config="{"), "not JSON"),
    "another JSON": (change(model_config="[]"), "not a Keras file, or damaged"),
    "no list of layers": (
        change(model_config='{"class_name": "Sequential", "config": {"layers": 3}}'),
        "no list of layers",
    ),
    "no class": (
        change(model_config='{"class_name": "Sequential", "config": [{}]}'),
        "must have a class_name and a config",
    ),
    "no units": (
        change(model_config='{"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {}}]}'),
        "'units' is missing",
    ),
    "no layers": (change(model_config='{"class_name": "Sequential", "config": []}'), "has no layers"),
    "a link": (linked(h5py.SoftLink("/model_weights/dense_8/dense_8/kernel:0")), "is a link"),
    "another file": (linked(h5py.ExternalLink("/etc/passwd", "/")), "is a link"),
    "outside storage": (
        replaced(KERNEL, shape=(4, 3), dtype="f4", external=[("/etc/hostname", 0, 48)]),
        "stored in another file",
    ),
    "packed": (replaced(KERNEL, shape=(4, 3), dtype="f4", compression="gzip"), "is compressed"),
    "larger than the file": (replaced(KERNEL, shape=(10**9, 3), dtype="f4"), "is compressed, or stored"),
    "another shape": (
        replaced(KERNEL, data=np.zeros((4, 2), "f4")),
        r"layer 'dense_7': expected a kernel \(D, 3\), got \(4, 2\)",
    ),
    "not finite": (replaced(KERNEL, data=np.full((4, 3), np.nan, "f4")), "holds numbers that are not finite"),
    "whole numbers": (replaced(KERNEL, data=np.ones((4, 3), int)), "expected floats"),
    "texts": (replaced(KERNEL, data=np.full((4, 3), b"a")), "must be numbers"),
    "a missing kernel": (lambda file: file.__delitem__(KERNEL), "dense_7/kernel:0 is missing"),
    "no weights": (lambda file: file.__delitem__("model_weights"), "model_weights is missing"),
    "too many weights": (
        lambda file: file["model_weights"].attrs.__setitem__("layer_names", [b"dense_7", b"dense_8", b"dense_8"]),
        "weights of more layers than its model",
    ),
    "too few weights": (
        lambda file: file["model_weights"].attrs.__setitem__("layer_names", [b"dense_7"]),
        "layer 'dense_8': expected a kernel and a bias, got 0 arrays",
    ),
}


def test_an_argument_of_a_later_keras_is_refused_unless_it_is_off(tmp_path):
    path = old_file(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        model["config"][0]["config"] |= {"later": None, "last": False}
        file.attrs["model_config"] = json.dumps(model)
    tn.from_keras(path)
    with h5py.File(path, "r+") as file:
        model["config"][0]["config"]["later"] = 3
        file.attrs["model_config"] = json.dumps(model)
    refused(path, "layer 'dense_7': a Dense with later=3 is not supported")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(tmp_path, name):
    edit, cause = HOSTILE[name]
    path = old_file(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        edit(file)
    refused(path, cause)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.keras"
    refused(path, "No such file")
    path.write_bytes(b"")
    refused(path, r"neither an HDF5 file nor a \.keras archive")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    refused(path, r"model.weights.h5 is missing")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(20_000_000))
    refused(path, "model.weights.h5 is compressed, and larger")


def test_the_other_process_reads_the_same(tmp_path, monkeypatch):
    path = old_file(tmp_path / "model.h5")
    expected = tn.from_keras(path).theta
    monkeypatch.undo()
    assert (tn.from_keras(path).theta == expected).all()
    path.write_text("no file of Keras")
    refused(path, "neither an HDF5 file")


@pytest.mark.parametrize(
    ("program", "cause"), [("os.kill(os.getpid(), 11)", "crashed"), ("time.sleep(9)", "took longer than 0.5 s")]
)
def test_a_file_that_crashes_or_blocks_the_process_is_refused(tmp_path, monkeypatch, program, cause):
    """HDF5's library crashes or hangs on some damaged files."""
    path = old_file(tmp_path / "model.h5")
    monkeypatch.undo()
    monkeypatch.setattr(keras_files, "PROGRAM", f"import os, time; {program}")
    monkeypatch.setattr(keras_files, "SECONDS", 0.5)
    refused(path, cause)


# ------------------------------------------------------------------------------------------------ to Keras


def network_of_rows(**options):
    activations = [tn.ReLU(), tn.LeakyReLU(0.25), tn.Tanh(), tn.Sigmoid(), tn.GELU(), tn.Softmax()]
    hidden = [layer for activation in activations for layer in (tn.Dense(6, 6), activation)]
    return tn.Network(tn.Flatten(), tn.Dropout(0.5), *hidden, tn.Dense(6, 4), **options)


def network_of_pictures(**options):
    return tn.Network(
        tn.Conv2D(2, 4, 3, padding=1),
        tn.BatchNorm(4, momentum=0.25, eps=0.1, ddof=0),
        tn.ReLU(),
        tn.Conv2D(4, 3, 2),
        tn.MaxPool2D(2),
        tn.Flatten(),
        tn.BatchNorm(27, ddof=0),
        tn.Dense(27, 6),
        tn.LayerNorm(6),
        tn.Dense(6, 3),
        **options,
    )


@pytest.mark.parametrize("kind", [".h5", ".keras"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("make", "shape", "frozen"), [(network_of_rows, (6,), 2), (network_of_pictures, (2, 8, 7), 1)])
def test_a_network_goes_there_and_back_bit_for_bit(tmp_path, draw, make, shape, frozen, dtype, kind):
    net = make(seed=3, dtype=dtype)
    net.theta[...] = draw.normal(size=net.theta.size)
    net.buffers[...] = draw.uniform(0.5, 2, net.buffers.size)
    net.loss, net[frozen].trainable = tn.SoftmaxCrossEntropy(), False
    model = tn.to_keras(net, shape=shape)
    back = tn.from_keras(saved(model, tmp_path / f"model{kind}"))
    assert (back.theta.tobytes(), back.buffers.tobytes()) == (net.theta.tobytes(), net.buffers.tobytes())
    assert [repr(layer) for layer in back] == [repr(layer) for layer in net]
    assert [layer.trainable for layer in back if layer.shapes()] == [
        k != frozen for k, layer in enumerate(net) if layer.shapes()
    ]
    assert repr(back.loss) == repr(net.loss)
    x = rows(*shape[1:], shape[0])
    np.testing.assert_allclose(model.predict(x, verbose=0), tn.predict(net, channels_first(x)), rtol=0, atol=1e-5)


def test_blocks_of_pictures_become_a_graph(draw):
    block = tn.Residual(tn.Conv2D(2, 4, 3, 2, 1), tn.BatchNorm(4), tn.GELU(), shortcut=tn.Conv2D(2, 4, 1, 2))
    flat = tn.Residual(tn.Tanh(), tn.LayerNorm(64))
    net = tn.Network(block, tn.AveragePool2D(1), tn.Flatten(), flat, tn.Dense(64, 3))
    net.theta[...] = draw.normal(size=net.theta.size)
    x, model = rows(8, 7, 2), tn.to_keras(net, shape=(2, 8, 7))
    np.testing.assert_allclose(model.predict(x, verbose=0), tn.predict(net, channels_first(x)), rtol=0, atol=1e-5)
    net = tn.Network(block.copy(), tn.GlobalAveragePool(), tn.Dense(4, 3))
    model = tn.to_keras(net, shape=(2, 8, 7))
    np.testing.assert_allclose(model.predict(x, verbose=0), tn.predict(net, channels_first(x)), rtol=0, atol=1e-5)


def test_blocks_become_a_graph():
    inner = tn.Residual(tn.Dense(5, 5), tn.Tanh())
    net = tn.Network(tn.Residual(tn.Dense(6, 5), inner, shortcut=tn.Dense(6, 5)), tn.Dense(5, 1))
    net.loss = tn.BinaryCrossEntropy()
    model = tn.to_keras(net)
    np.testing.assert_allclose(model.predict(rows(), verbose=0), tn.predict(net, rows()), rtol=0, atol=1e-6)
    logits = tn.to_keras(net, logits=True)
    np.testing.assert_allclose(logits.predict(rows(), verbose=0), tn.outputs(net, rows()), rtol=0, atol=1e-5)


def test_flattened_pictures_keep_their_order():
    net = tn.Network(tn.Flatten(), tn.Dense(12, 3))
    x = rows(1, 3, 4)
    model = tn.to_keras(net, shape=(1, 3, 4))
    np.testing.assert_allclose(model.predict(x, verbose=0), tn.predict(net, x), rtol=0, atol=1e-6)


class Halved(tn.Residual):
    """A block that adds half of its layers."""


@pytest.mark.parametrize(
    ("layers", "shape", "cause"),
    [
        ([tn.Dense(2, 2), Own()], None, r"to_keras: Keras has no equivalent of Own\(\)"),
        ([tn.Dense(2, 2), Halved(tn.Dense(2, 2))], None, r"Keras has no equivalent of Residual\("),
        ([tn.Tanh()], None, "to_keras: no layer says how long a row is; pass shape="),
        ([tn.Conv2D(1, 2, 3), tn.GlobalAveragePool(), tn.Dense(2, 3)], None, "no layer says how long a row is"),
        ([tn.Conv2D(2, 4, 3)], (8, 7, 2), r"takes x \(N, 2, rows, columns\), but gets \(N, 8, 7, 2\)"),
        (
            [tn.Conv2D(1, 2, 3), tn.Softmax()],
            (1, 5, 5),
            r"Keras has no equivalent of Softmax\(\), a Softmax of pictures",
        ),
        (
            [tn.Conv2D(1, 2, 3), tn.Flatten()],
            (1, 5, 5),
            "the outputs are flattened pictures, which Keras",
        ),
    ],
)
def test_layers_without_an_equivalent_are_refused(layers, shape, cause):
    with pytest.raises(ValueError, match=cause):
        tn.to_keras(tn.Network(*layers), shape=shape)


@pytest.mark.slow
def test_damaged_files_load_correctly_or_are_refused():
    """For more files, run `python tests/fuzz.py --kind keras`."""
    found = fuzz.run(300, seed=20260101, kind="keras")
    assert min(found["loaded"], found["refused"]) > 15
