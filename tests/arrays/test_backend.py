"""backend.py: whose version of a function serves, where arrays cross the border, what every kernels module keeps to."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from functools import partial
from types import ModuleType

import numpy as np
import pytest

import tinynet as tn
from tinynet import functions, kernels
from tinynet.arrays.backend import FUNCTIONS
from tinynet.parallel.data_parallel import DataParallel

KERNELS = '''
"""The functions themselves under another name, counted; arrays that "live elsewhere" and stay where they are."""

import numpy as np

from tinynet import functions

calls, crossings = [], []


def relu(x):
    calls.append("relu")
    return functions.relu(x)


def softmax_cross_entropy(z, t):
    calls.append("softmax_cross_entropy")
    return functions.softmax_cross_entropy(z, t)


def adam(theta, grad, m, v, step, lr, beta1, beta2, eps):
    calls.append("adam")
    return functions.adam(theta, grad, m, v, step, lr, beta1, beta2, eps)


def to_device(array):
    crossings.append("to_device")
    return np.array(array)


def to_host(array):
    crossings.append("to_host")
    return np.array(array)
'''


@pytest.fixture
def counting(tmp_path, monkeypatch) -> ModuleType:
    """A second kernels module, `counting`, there for the length of a test."""
    (tmp_path / "counting.py").write_text(KERNELS)
    monkeypatch.setattr(kernels, "__path__", [*kernels.__path__, str(tmp_path)])
    yield importlib.import_module("tinynet.kernels.counting")
    del sys.modules["tinynet.kernels.counting"], kernels.counting


def network(backend: str | tn.Backend) -> tn.Network:
    return tn.mlp(4, [5, 3], 2, dropout=[0.1, 0.25], seed=1, backend=backend)


def trained(backend: str | tn.Backend, batch_size: int = 4, epochs: int = 2) -> tn.Network:
    x = np.random.default_rng(2).normal(size=(16, 4))
    net = network(backend)
    tn.fit(net, tn.Adam(net), x, np.arange(16) % 2, epochs=epochs, batch_size=batch_size)
    return net


def step(net: tn.Network) -> None:
    """One step of training, written out."""
    optimizer, loss = tn.Adam(net), tn.SoftmaxCrossEntropy().bind(net.backend)
    x, t = np.ones((6, 4), "float32"), np.eye(2, dtype="float32")[[0, 1] * 3]
    loss.forward(net.forward(x, train=True), t)
    net.backward(loss.backward())
    optimizer.step()


# ------------------------------------------------------------------------------------------- names


def test_a_module_in_kernels_is_a_backend(counting):
    assert "counting" in tn.backends()
    assert tn.backend("counting").name == "counting"


@pytest.mark.parametrize("name", ["nunpy", "", "functions", None])
def test_an_unknown_backend_is_refused_with_the_names_there_are(name, counting):
    with pytest.raises(ValueError, match=r"backend: expected one of auto, .*numpy, .*counting.*; got ") as error:
        tn.backend(name)
    assert str(error.value).endswith(f"got {name!r}")


def test_a_backend_is_handed_on_as_it_is():
    backend = tn.backend("numpy")
    assert tn.backend(backend) is backend
    assert network(backend).backend is backend


# -------------------------------------------------------------------------------------- the readable functions


def test_numpy_is_the_backend_of_the_functions_themselves(draw):
    ops = tn.backend("numpy").ops
    assert all(getattr(ops, name) is getattr(functions, name) for name in FUNCTIONS)
    assert tn.Layer.ops is tn.Loss.ops is tn.Optimizer.ops is tn.Network.ops is ops is functions
    assert tn.backend("numpy").xp is np


def test_every_function_is_entered_when_every_layer_trains_once(draw):
    """What a reader sees in functions.py is what runs: a breakpoint in any function is hit."""
    entered: set[str] = set()

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_filename == functions.__file__:
            entered.add(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        for net, loss, optimizer in every_layer_loss_and_optimizer():
            x = draw.normal(size=(6, *(net.notes["row"])))
            labels = np.arange(6) % 2
            t = labels if loss.classifies else draw.normal(size=(6, 2))
            tn.fit(net, optimizer, x, t, epochs=1, batch_size=3, loss=loss, validation=(x, t))
            if loss.classifies:
                tn.predict(net, x)
    finally:
        sys.setprofile(None)
    assert entered >= set(FUNCTIONS)


def every_layer_loss_and_optimizer():
    """Networks with the shape of a row in their notes; each layer, loss and optimizer is in one of them."""
    rows = [tn.Dense(4, 4), tn.BatchNorm(4), tn.LayerNorm(4), tn.LeakyReLU(), tn.Tanh(), tn.Sigmoid(), tn.GELU()]
    last = [tn.Softmax(), tn.Residual(tn.Dense(4, 4), tn.ReLU()), tn.Dropout(0.1)]
    pools = [tn.MaxPool2D(2), tn.AveragePool2D(2), tn.GlobalAveragePool()]
    pictures = [tn.Conv2D(1, 2, 3, padding=1), tn.Conv2D(2, 2, 1), tn.BatchNorm(2), *pools]
    networks = [
        ((4,), [*rows, *last, tn.Dense(4, 2)], tn.SoftmaxCrossEntropy(label_smoothing=0.1), tn.Adam),
        ((1, 8, 8), [*pictures, tn.Dense(2, 2)], tn.MeanSquaredError(), tn.SGD),
        ((1, 2, 2), [tn.Flatten(), tn.Dense(4, 1)], tn.BinaryCrossEntropy(), tn.RMSProp),
        ((4,), [tn.Dense(4, 2), tn.Softmax()], tn.CrossEntropy(), tn.AdamW),
        ((4,), [tn.Dense(4, 2)], tn.Huber(), partial(tn.SGD, momentum=0.9, clip_norm=1.0)),
    ]
    for row, layers, loss, optimizer in networks:
        net = tn.Network(*layers, seed=1)
        net.notes["row"] = row
        yield net, loss, optimizer(net)


def test_numpy_fast_changes_no_bit_of_dense_and_gather(draw):
    ops = vars(tn.backend("numpy-fast").ops)
    x, W, b = draw.random((9, 7), np.float32), draw.random((7, 5), np.float32), draw.random((1, 5), np.float32)
    np.testing.assert_array_equal(ops["dense"](x, W, b), FUNCTIONS["dense"](x, W, b))
    pixels = draw.integers(0, 256, (9, 256)).astype(np.uint8), np.array([3, 0, 3]), np.dtype("float32")
    np.testing.assert_array_equal(ops["gather"](*pixels), FUNCTIONS["gather"](*pixels))


@pytest.mark.parametrize("size", [0, 5, 32_768, 32_769, 100_001])
@pytest.mark.parametrize(
    ("name", "settings"),
    [("sgd", (0.1, 0.9, True)), ("adam", (3, 0.01, 0.9, 0.999, 1e-8)), ("rmsprop", (0.01, 0.9, 1e-8))],
)
def test_theta_moved_in_parts_is_the_same_in_every_bit(draw, name, settings, size):
    vectors = draw.random((2, 4 if name == "adam" else 3, size), np.float32)
    vectors[1] = vectors[0]
    FUNCTIONS[name](*vectors[0], *settings)
    getattr(tn.backend("numpy-fast").ops, name)(*vectors[1], *settings)
    np.testing.assert_array_equal(vectors[1], vectors[0])


def test_numpys_arrays_cross_no_border():
    x, backend = np.ones(3), tn.backend("numpy")
    assert backend.to_device(x) is backend.to_host(x) is x
    assert backend.synchronize() is None


# -------------------------------------------------------------------------------------- a second implementation


def test_kernels_replace_what_they_name_and_nothing_else(counting):
    ops = vars(tn.backend("counting").ops)
    assert {name for name in FUNCTIONS if ops[name] is not FUNCTIONS[name]} == {"relu", "softmax_cross_entropy", "adam"}
    assert ops["relu"] is counting.relu
    assert set(ops) == set(FUNCTIONS)


def test_a_step_calls_the_kernels(counting):
    step(network("counting"))
    assert counting.calls == ["relu", "relu", "softmax_cross_entropy", "adam"]


def test_the_losses_of_fit_and_evaluate_are_the_backends(counting):
    net = trained("counting", batch_size=4, epochs=2)
    assert counting.calls.count("softmax_cross_entropy") == 2 * 16 / 4
    tn.evaluate(net, np.ones((3, 4)), [0, 1, 0])
    assert counting.calls.count("softmax_cross_entropy") == 2 * 16 / 4 + 1


# ------------------------------------------------------------------------------------------------- the border


def test_no_array_crosses_inside_a_step(counting):
    net = network("counting")
    counting.crossings.clear()
    step(net)
    assert not counting.crossings


def test_an_epoch_sends_its_order_and_fetches_its_totals_and_whether_all_is_finite(counting):
    counts = []
    for epochs in (1, 2):
        counting.crossings.clear()
        trained("counting", epochs=epochs)
        counts.append(np.array([counting.crossings.count(way) for way in ("to_device", "to_host")]))
    assert (counts[1] - counts[0]).tolist() == [1, 2]


@pytest.mark.parametrize(
    "border",
    [
        lambda net, x, t, path: tn.evaluate(net, x, t),
        lambda net, x, t, path: tn.predict(net, x),
        lambda net, x, t, path: tn.save(net, path),
        lambda net, x, t, path: net.copy(backend="numpy"),
    ],
    ids=["evaluate", "predict", "save", "copy"],
)
def test_what_leaves_a_network_comes_through_to_host(border, counting, tmp_path):
    net = network("counting")
    counting.crossings.clear()
    border(net, np.ones((3, 4)), np.array([0, 1, 0]), tmp_path / "net.npz")
    assert "to_host" in counting.crossings


# --------------------------------------------------------------------- what every kernels module must keep to


def installed(name: str) -> ModuleType:
    return pytest.importorskip(f"tinynet.kernels.{name.replace('-', '_')}", exc_type=ImportError)


def broken_rules(module: ModuleType) -> list[str]:
    """Functions of a kernels module whose parameters differ from their original's, or that have no original."""
    offered = {
        name: function
        for name, function in vars(module).items()
        if callable(function)
        and not inspect.isclass(function)
        and not name.startswith("_")
        and (getattr(function, "__module__", None) or "").startswith(module.__name__)
    }
    steps = {"train_steps": tn.training.loop.train_steps, "evaluate_steps": tn.training.evaluation.evaluate_steps}
    steps["share_steps"] = partial(DataParallel.share_steps, None)
    originals = FUNCTIONS | steps
    return [
        name
        for name, function in offered.items()
        if name not in ("to_device", "to_host", "synchronize", "describe", "use", "compile_step")
        and (name not in originals or parameters(function) != parameters(originals[name]))
    ]


def parameters(function) -> list[tuple[str, object]]:
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", [name for name in tn.backends() if name != "numpy"])
def test_kernels_have_the_names_and_parameters_of_their_originals(name):
    assert not broken_rules(installed(name))


def test_kernels_of_another_name_or_signature_would_be_found(counting):
    assert not broken_rules(counting)
    counting.rellu, counting.softmax = counting.relu, counting.adam
    assert broken_rules(counting) == ["rellu", "softmax"]


def test_auto_takes_the_next_backend_if_one_fails_in_any_way(monkeypatch):
    def broken(name):
        if name == "numba":
            raise RuntimeError("cannot cache function")
        return found(name)

    module = importlib.import_module("tinynet.arrays.backend")
    found = module.kernels_of
    monkeypatch.setattr(module, "kernels_of", broken)
    backend = tn.backend("auto")
    assert backend.name == "numpy-fast"
    assert "backend 'numba' fails: RuntimeError('cannot cache function')" in backend.note


NO_PLACE = """
import numba.core.caching
numba.core.caching.CacheImpl._locator_classes = []
import numpy as np
import tinynet as tn
net = tn.mlp(3, [2], 2, backend="numba")
tn.fit(net, tn.Adam(net), np.zeros((4, 3)), [0, 1, 0, 1], epochs=1, progress=False)
print(tn.backend("auto").name)
"""


@pytest.mark.slow
def test_numba_works_where_no_cache_can_be_written():
    done = subprocess.run([sys.executable, "-c", NO_PLACE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("numba\n", 0), done.stderr
