"""Writing ONNX models: onnxruntime computes what `predict` computes."""

import json

import numpy as np
import onnx
import onnxruntime
import own_layers
import pytest

import tinynet as tn

LAYERS = {
    "dense": [tn.Dense(6, 4)],
    "relu": [tn.Dense(6, 4), tn.ReLU()],
    "leaky_relu": [tn.Dense(6, 4), tn.LeakyReLU(0.2)],
    "tanh": [tn.Dense(6, 4), tn.Tanh()],
    "sigmoid": [tn.Dense(6, 4), tn.Sigmoid()],
    "gelu": [tn.Dense(6, 4), tn.GELU()],
    "softmax": [tn.Dense(6, 4), tn.Softmax()],
    "dropout": [tn.Dropout(0.5), tn.Dense(6, 4)],
    "residual": [tn.Residual(tn.Dense(6, 6), tn.ReLU()), tn.Dense(6, 3)],
    "shortcut": [tn.Residual(tn.Residual(tn.Dense(6, 6)), tn.Dense(6, 4), shortcut=tn.Dense(6, 4)), tn.Tanh()],
    "no parameters": [tn.Tanh()],
    "one feature": [tn.LayerNorm(6), tn.Dense(6, 1), tn.Dense(1, 4)],
    "batch norm": [tn.Dense(6, 4), tn.BatchNorm(4, eps=0.1)],
    "layer norm": [tn.Dense(6, 4), tn.LayerNorm(4, eps=0.1)],
}
PICTURES = {
    "convolution": [tn.Conv2D(2, 4, 3)],
    "strides that do not divide": [tn.Conv2D(2, 4, 3, stride=2, padding=1), tn.ReLU(), tn.Conv2D(4, 1, 2, stride=3)],
    "one pixel": [tn.Conv2D(2, 1, 1)],
    "max": [tn.MaxPool2D(2), tn.MaxPool2D(1)],
    "average": [tn.AveragePool2D(3)],
    "global average": [tn.Residual(tn.Conv2D(2, 2, 1), tn.Tanh()), tn.GlobalAveragePool(), tn.Dense(2, 3)],
    "batch norm of pictures": [tn.Conv2D(2, 4, 3), tn.BatchNorm(4), tn.ReLU()],
    "shortcut of pictures": [tn.Residual(tn.Conv2D(2, 4, 3, 2, 1), tn.GELU(), shortcut=tn.Conv2D(2, 4, 1, 2))],
    "a whole network": [
        tn.Conv2D(2, 4, 3, padding=1),
        tn.BatchNorm(4),
        tn.ReLU(),
        tn.MaxPool2D(2),
        tn.Flatten(),
        tn.Dense(48, 5),
        tn.LayerNorm(5),
        tn.Dense(5, 3),
    ],
}
"""Networks for pictures (N, 2, 8, 7)."""


def test_every_layer_is_in_these_tests():
    ours = {kind.__name__ for kind in vars(tn).values() if isinstance(kind, type) and issubclass(kind, tn.Layer)}
    assert ours - {"Layer", "Flatten"} <= set(
        " ".join(map(repr, [*LAYERS.values(), *PICTURES.values()])).replace("(", " ").replace("[", " ").split()
    )


def filled(net, draw):
    """Return the network with random parameters and buffers."""
    net.theta[...] = draw.normal(size=net.theta.size)
    net.buffers[...] = draw.uniform(0.5, 2, net.buffers.size)


def run(path, x):
    (y,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    return y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*LAYERS, *PICTURES])
def test_onnxruntime_gives_what_outputs_gives(tmp_path, draw, name, dtype):
    shape = (6,) if name in LAYERS else (2, 8, 7)
    net = tn.Network(*(layer.copy() for layer in (LAYERS | PICTURES)[name]), dtype=dtype)
    filled(net, draw)
    tn.to_onnx(net, tmp_path / "net.onnx", shape=shape, logits=True)
    for rows in (1, 50):
        x = draw.normal(size=(rows, *shape)).astype(np.float32)
        np.testing.assert_allclose(run(tmp_path / "net.onnx", x), tn.outputs(net, x), rtol=1e-5, atol=1e-5)


LOSSES = {
    "no loss": (3, None),
    "softmax": (3, tn.SoftmaxCrossEntropy()),
    "sigmoid": (1, tn.BinaryCrossEntropy()),
    "values": (2, tn.MeanSquaredError()),
    "huber": (2, tn.Huber()),
}


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_the_outputs_mean_what_the_loss_says(tmp_path, draw, name, logits):
    outputs, loss = LOSSES[name]
    net = tn.mlp(6, [5], outputs)
    net.loss = loss
    tn.to_onnx(net, tmp_path / "net.onnx", logits=logits)
    x = draw.normal(size=(9, 6)).astype(np.float32)
    expected = tn.outputs(net, x) if logits else tn.predict(net, x)
    np.testing.assert_allclose(run(tmp_path / "net.onnx", x), expected, rtol=0, atol=1e-5)


def test_pictures_go_in_as_they_are(tmp_path, draw):
    net = tn.Network(tn.Flatten(), tn.Dense(12, 3))
    tn.to_onnx(net, tmp_path / "net.onnx", shape=(1, 3, 4))
    x = draw.normal(size=(5, 1, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(run(tmp_path / "net.onnx", x), tn.predict(net, x), rtol=0, atol=1e-5)


def test_names_and_metadata_are_those_of_the_network(tmp_path):
    net = tn.Network(tn.Dense(4, 8), tn.Residual(tn.Dense(8, 8), tn.ReLU()), tn.Dense(8, 3), seed=4)
    net.notes = {"data": "toy"}
    tn.to_onnx(net, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    assert [(node.op_type, node.name) for node in model.graph.node] == [
        ("Gemm", "0 Dense(4, 8)"),
        ("Gemm", "1 Residual / 0 Dense(8, 8)"),
        ("Relu", "1 Residual / 1 ReLU()"),
        ("Add", "1 Residual"),
        ("Gemm", "2 Dense(8, 3)"),
        ("Softmax", "softmax"),
    ]
    parameters = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert parameters["1 Residual / 0 Dense(8, 8).W"].tobytes() == net[1].layers[0].W.tobytes()
    shapes = [
        [part.dim_param or part.dim_value for part in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["batch", 4], ["batch", 3]]
    (found,) = model.metadata_props
    assert (found.key, json.loads(found.value)["notes"], json.loads(found.value)["seed"]) == ("tinynet", net.notes, 4)


def refused(path, net, cause, kind=tn.ModelFileError, **options):
    with pytest.raises(kind, match=cause):
        tn.to_onnx(net, path, **options)
    assert not path.exists()


def test_networks_that_cannot_be_written_are_refused_and_leave_no_file(tmp_path):
    path = tmp_path / "net.onnx"
    refused(path, own_layers.network(), r"layer 1 Forked.* has no operator in ONNX", shape=(1, 2, 2))
    refused(path, tn.Network(tn.Tanh()), "no layer says how long a row is; pass shape=")
    refused(
        path, tn.Network(tn.Conv2D(1, 2, 3), tn.GlobalAveragePool(), tn.Dense(2, 3)), "no layer says how long a row"
    )
    refused(path, tn.Network(tn.Conv2D(1, 2, 3)), r"Conv2D\(1, 2, 3, 1, 0\) takes", ValueError, shape=(28, 28))
    refused(path, tn.mlp(4, [], 1), "the meaning of one output is unknown", ValueError)
    refused(path, tn.mlp(4, [], 2), r"takes x \(N, 4\), but gets \(N, 5\)", ValueError, shape=(5,))
    net = tn.mlp(4, [], 2)
    net.loss = own_layers.Power()
    net.loss.predictions = None
    net.theta[0] = np.inf
    refused(path, net, "theta holds numbers that are not finite")


class Halved(tn.Residual):
    """A block that adds half of its layers."""


class FlatAverage(tn.GlobalAveragePool):
    """A layer with the base class of one that needs two operators."""


@pytest.mark.parametrize("layer", [Halved(tn.Conv2D(1, 1, 1)), FlatAverage()], ids=["block", "two operators"])
def test_a_subclass_is_not_written_as_its_base_class(tmp_path, layer):
    refused(tmp_path / "net.onnx", tn.Network(layer), "has no operator in ONNX", logits=True, shape=(1, 4, 4))


@pytest.mark.parametrize("vector", ["theta", "buffers"])
def test_numbers_beyond_float32_are_refused(tmp_path, vector):
    net = tn.Network(tn.Dense(2, 2), tn.BatchNorm(2), dtype="float64")
    getattr(net, vector)[-1] = 1e300
    refused(tmp_path / "net.onnx", net, "holds numbers that are not finite in float32")


class Odds(tn.Loss):
    """A loss that defines its own predictions."""

    def predictions(self, z):
        return 2 * z


def test_own_predictions_need_logits(tmp_path, draw):
    net = tn.mlp(4, [], 2)
    net.loss = Odds()
    refused(
        tmp_path / "net.onnx",
        net,
        r"defines its own predictions, .*; pass logits=True",
        ValueError,
    )
    tn.to_onnx(net, tmp_path / "net.onnx", logits=True)
