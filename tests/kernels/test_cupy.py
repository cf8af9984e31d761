"""kernels/cupy, on a strict stand-in for a GPU. Tests marked gpu run on a real one."""

from __future__ import annotations

import gc
import sys
import warnings

import numpy as np
import pytest
import standin
from test_kernels import DTYPES, KEY, OPTIMIZERS, arguments, copies

import tinynet as tn
from tinynet.arrays.backend import FUNCTIONS

OVERRIDES = ["dense", "relu", "relu_backward", "gelu", "gelu_backward", "dropout", "softmax_cross_entropy"]
OVERRIDES += ["count_correct", "sgd", "adam", "gather"]
OVERRIDES += ["conv2d", "conv2d_backward", "conv2d_backward_parameters"]
OVERRIDES += ["max_pool2d", "max_pool2d_backward", "average_pool2d", "average_pool2d_backward"]
OVERRIDES += ["moments", "batch_norm", "batch_norm_backward", "batch_norm_backward_parameters"]
WHERE = ["standin", pytest.param("gpu", marks=pytest.mark.gpu)]
LAYERS = [tn.Dense(5, 4), tn.ReLU(), tn.Softmax(), tn.Dropout(0.3)]
LOSSES = [tn.SoftmaxCrossEntropy, tn.CrossEntropy, tn.MeanSquaredError]


@pytest.fixture
def backend(request, tmp_path_factory):
    """`backend("cupy")` on the stand-in. A test marked gpu gets the real GPU, or is skipped if there is none."""
    if request.node.get_closest_marker("gpu"):
        yield standin.real_gpu()
        return
    with standin.installed(standin.shared_folder(tmp_path_factory)) as found:
        standin.counts.clear()
        yield found


@pytest.fixture
def plain(backend):
    """A backend with the readable functions, on arrays of the stand-in."""
    fields = {name: getattr(backend, name) for name in ("xp", "to_device", "to_host", "synchronize", "describe")}
    return tn.Backend(name="plain", ops=tn.functions, **fields)


def moved(backend, values):
    return [backend.to_device(value) if isinstance(value, np.ndarray) else value for value in values]


def fetched(backend, values):
    return [backend.to_host(value) for value in values if isinstance(value, backend.xp.ndarray)]


def outcome(backend, name, values):
    """Call a function on the device. Return its results, and its array arguments after the call, on the host."""
    values = moved(backend, copies(values))
    returned = getattr(backend.ops, name)(*values)
    returned = returned if isinstance(returned, tuple) else () if returned is None else (returned,)
    return fetched(backend, returned), fetched(backend, values)


def network(backend, hidden=(6, 5), **options):
    dropout = [0.1, 0.25] if hidden else []
    return tn.mlp(8, list(hidden), 3, dropout=dropout, seed=1, backend=backend, **options)


def digits(rows=50):
    draw = np.random.default_rng(7)
    return draw.normal(size=(rows, 8)).astype("float32"), draw.integers(0, 3, rows)


def check_kernel(backend, draw, name, dtype, rows=()):
    check_call(backend, name, arguments(name, draw, dtype, rows))


def check_call(backend, name, values, atol=1e-6):
    found, changed = outcome(backend, name, values)
    on_host = copies(values)
    expected = FUNCTIONS[name](*on_host)
    expected = expected if isinstance(expected, tuple) else () if expected is None else (expected,)
    for device, host in zip(found, expected, strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-5, atol=atol)
        assert device.dtype == host.dtype
        assert device.shape == np.shape(host)
    for device, host in zip(changed, [value for value in on_host if isinstance(value, np.ndarray)], strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-5, atol=atol)


# ---------------------------------------------------------------------------------- kernel by kernel


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OVERRIDES)
def test_kernel_equals_its_original(backend, draw, name, dtype):
    check_kernel(backend, draw, name, dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_on_the_gpu_equals_its_original(backend, draw, name, dtype):
    check_kernel(backend, draw, name, dtype)


def test_these_are_all_the_kernels(backend):
    module = sys.modules["tinynet.kernels.cupy"]
    assert sorted(name for name in FUNCTIONS if hasattr(module, name)) == sorted(OVERRIDES)


@pytest.mark.parametrize("name", [name for name in OVERRIDES if name not in ("sgd", "adam")])
def test_kernel_accepts_axes_in_front(backend, draw, name):
    check_kernel(backend, draw, name, "float32", rows=(2,))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_readable_functions_never_leave_the_device(plain, draw, name):
    check_kernel(plain, draw, name, "float32")


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("where", WHERE)
def test_dropout_masks_are_equal_bit_for_bit(backend, draw, rate, where):
    x = draw.normal(size=(64, 480)).astype("float32")
    for key in (KEY, (2**32 - 1, 2**31 + 7), (0, 0)):
        (y, mask), _ = outcome(backend, "dropout", (x, rate, key, key[1] // 2))
        expected = tn.functions.dropout(x, rate, key, key[1] // 2)
        np.testing.assert_array_equal(mask, expected[1])
        np.testing.assert_array_equal(y, expected[0])


def test_pixels_are_gathered_and_scaled(backend, draw):
    pixels, index = draw.integers(0, 256, (50, 784)).astype(np.uint8), draw.integers(0, 50, 32)
    ((found,), _) = outcome(backend, "gather", (pixels, index, np.dtype("float32")))
    np.testing.assert_array_equal(found, tn.functions.gather(pixels, index, np.dtype("float32")))


def test_a_nan_is_not_lost(backend):
    x = np.full((4, 3), np.nan, np.float32)
    assert np.isnan(outcome(backend, "relu", (x,))[0][0]).all()
    assert np.isnan(outcome(backend, "softmax_cross_entropy", (x, np.ones_like(x)))[0][0])


# ------------------------------------------------------------------------------------------ pictures

PIXELS = (-4, -2, -1)
PICTURES = [(1, 1, 1, 2), (2, 3, 7, 5), (3, 1, 5, 8), (1, 2, 4, 4), (9, 2, 13, 11)]
POOLS = [((1, 1, 1, 1), 1), ((2, 3, 7, 5), 3), ((1, 2, 4, 6), 2), ((3, 1, 5, 5), 2), ((2, 2, 5, 9), 4)]
CONVOLUTIONS = [
    ((1, 1, 1, 1), (1, 1, 1, 1), 1, 0),
    ((1, 1, 1, 1), (2, 1, 3, 3), 1, 1),
    ((2, 3, 7, 5), (5, 3, 3, 3), 1, 1),
    ((3, 1, 8, 6), (4, 1, 3, 3), 2, 0),
    ((1, 5, 9, 7), (9, 5, 2, 2), 3, 1),
    ((2, 4, 4, 4), (3, 4, 4, 4), 1, 0),
    ((2, 2, 6, 5), (2, 2, 1, 1), 2, 2),
    ((2, 2, 5, 5), (1, 2, 5, 5), 2, 3),
    ((1, 8, 12, 11), (8, 8, 3, 3), 1, 1),
    ((5, 2, 13, 11), (3, 2, 3, 3), 1, 1),
]


def pool_calls(draw, shape, size, dtype="float32"):
    """Yield pooling calls in which many numbers are equal."""
    x = draw.integers(-3, 3, shape).astype(dtype)
    dy = draw.normal(size=(*shape[:2], shape[2] // size, shape[3] // size)).astype(dtype)
    yield from [("max_pool2d", (x, size)), ("max_pool2d_backward", (dy, x, size))]
    yield from [("average_pool2d", (x, size)), ("average_pool2d_backward", (dy, shape, size))]


def norm_calls(draw, shape, dtype="float32"):
    x, dy = draw.normal(2, 1, shape).astype(dtype), draw.normal(0, 0.3, shape).astype(dtype)
    gamma, mean, variance, beta = (draw.uniform(1, 3, (1, shape[1], 1, 1)).astype(dtype) for _ in range(4))
    yield "moments", (x, PIXELS)
    yield "batch_norm", (x, gamma, beta, mean, variance, 0.1)
    yield "batch_norm_backward", (dy, x, gamma, mean, variance, 0.1, beta, gamma)
    yield "batch_norm_backward_parameters", (dy, x, mean, variance, 0.1, PIXELS, gamma, beta)


def convolution_calls(draw, shape, W_shape, stride, padding, dtype="float32"):
    """Yield convolutions whose results are about 1 in size, whatever the number of terms."""
    y_shape = shape[0], W_shape[0], *tn.arrays.positions(shape, W_shape[-1], stride, padding)
    x, dy = draw.normal(size=shape).astype(dtype), (draw.normal(size=y_shape) / y_shape[-1]).astype(dtype)
    W = (draw.normal(size=W_shape) / W_shape[1] ** 0.5).astype(dtype)
    b = draw.normal(size=(W_shape[0], 1, 1)).astype(dtype)
    yield "conv2d", (x, W, b, stride, padding)
    yield "conv2d_backward", (dy, W, shape, stride, padding)
    yield "conv2d_backward_parameters", (dy, x, np.empty_like(W), np.empty_like(b), stride, padding)


def picture_calls(draw):
    for case in CONVOLUTIONS:
        yield from convolution_calls(draw, *case)
    for shape, size in POOLS:
        yield from pool_calls(draw, shape, size)
    for shape in PICTURES:
        yield from norm_calls(draw, shape)


@pytest.mark.parametrize("where", WHERE)
def test_kernels_for_pictures_equal_their_originals(backend, draw, where):
    for name, values in picture_calls(draw):
        check_call(backend, name, values, atol=1e-5)


@pytest.mark.gpu
def test_kernels_for_pictures_repeat_bit_for_bit(backend, draw):
    for name, values in picture_calls(draw):
        first, again = outcome(backend, name, values), outcome(backend, name, values)
        for a, b in zip([*first[0], *first[1]], [*again[0], *again[1]], strict=True):
            np.testing.assert_array_equal(a, b)


def test_kernels_for_pictures_stay_on_the_device(backend, draw):
    for name, values in picture_calls(draw):
        on_device = moved(backend, values)
        standin.counts.clear()
        getattr(backend.ops, name)(*on_device)
        assert not standin.counts["transfers"]
        assert standin.counts["launches"] <= 5


@pytest.mark.parametrize("where", WHERE)
def test_kernels_for_pictures_accept_non_contiguous_arrays(backend, draw, where):
    for name, values in picture_calls(draw):
        expected, changed = outcome(backend, name, values)
        is_array = [isinstance(value, np.ndarray) for value in values]
        wide = [np.repeat(value, 2, axis=-1) if known else value for value, known in zip(values, is_array, strict=True)]
        on_device = moved(backend, wide)
        on_device = [value[..., ::2] if known else value for value, known in zip(on_device, is_array, strict=True)]
        found = getattr(backend.ops, name)(*on_device)
        found = found if isinstance(found, tuple) else () if found is None else (found,)
        for a, b in zip(fetched(backend, [*found, *on_device]), [*expected, *changed], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("where", WHERE)
def test_max_pooling_keeps_nan(backend, where):
    x = np.array([[[[1, np.nan, 2, 3], [np.nan, 5, 2, 3]]]], np.float32)
    check_call(backend, "max_pool2d", (x, 2))
    check_call(backend, "max_pool2d_backward", (np.ones((1, 1, 1, 2), np.float32), x, 2))


def test_arrays_that_no_kernel_covers_go_to_the_readable_functions(backend, draw):
    x = draw.integers(-9, 9, (2, 3, 4, 4))
    check_call(backend, "max_pool2d", (x, 2))
    (_, values), *_ = norm_calls(draw, (2, 3, 4, 5))
    check_call(backend, "moments", (values[0], (-1,)))
    check_call(backend, "batch_norm", (values[0], *draw.uniform(1, 2, (4, 1, 3, 1, 1)), 1e-5))


# ------------------------------------------------------------------------- no implicit transfers


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("version", ["backend", "plain"])
def test_a_layer_stays_on_the_device(request, version, layer):
    network = tn.Network(layer.copy(), backend=request.getfixturevalue(version))
    x = network.backend.to_device(np.random.default_rng(1).normal(size=(6, 5)).astype("float32"))
    standin.counts.clear()
    y = network.forward(x, train=True)
    network.backward(y, need_dx=True)
    assert not standin.counts["transfers"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("version", ["backend", "plain"])
def test_a_loss_stays_on_the_device(request, version, loss):
    backend = request.getfixturevalue(version)
    z, t = (backend.to_device(np.full((4, 2), 0.5, np.float32)) for _ in range(2))
    standin.counts.clear()
    loss = loss().bind(backend)
    loss.forward(z, t)
    loss.backward()
    assert not standin.counts["transfers"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("version", ["backend", "plain"])
def test_an_optimizer_stays_on_the_device(request, version, optimizer):
    net = network(request.getfixturevalue(version))
    rule = OPTIMIZERS[optimizer](net)
    net.grad[...] = 0.5
    standin.counts.clear()
    rule.step()
    assert not standin.counts["transfers"]


@pytest.mark.parametrize("version", ["backend", "plain"])
def test_an_epoch_waits_for_its_totals_and_for_whether_all_is_finite(request, version):
    net = network(request.getfixturevalue(version))
    optimizer, (x, t) = tn.Adam(net), digits(64)
    waits = []
    for epochs in (1, 4):
        standin.counts.clear()
        tn.fit(net, optimizer, x, t, epochs=epochs, batch_size=16)
        waits.append(standin.counts["synchronizations"])
    assert waits == [2, 8]


@pytest.mark.parametrize("use", ["evaluate", "predict", "save", "gradient_check"])
def test_everything_else_makes_no_implicit_transfer(backend, tmp_path, use):
    net, (x, t) = network(backend), digits()
    standin.counts.clear()
    if use == "evaluate":
        assert np.isfinite(tn.evaluate(net, x, t).loss)
    elif use == "predict":
        np.testing.assert_allclose(tn.predict(net, x), tn.predict(net.copy(backend="numpy"), x), rtol=1e-5)
    elif use == "save":
        tn.save(net, tmp_path / "net.npz")
        again = tn.load(tmp_path / "net.npz", backend="cupy")
        np.testing.assert_array_equal(backend.to_host(again.theta), backend.to_host(net.theta))
    else:
        assert tn.gradient_check(net, x[:4], t[:4])


def test_a_layer_that_calls_numpy_is_refused(backend):
    class Careless(tn.Layer):
        def forward(self, x, train=False):
            return np.tanh(x)

    net = tn.Network(tn.Dense(8, 3), Careless(), backend=backend)
    with pytest.raises(TypeError):
        tn.fit(net, tn.SGD(net), *digits(), epochs=1)


@pytest.mark.parametrize(
    "transfer",
    [np.asarray, float, bool, list, lambda y: y + np.ones(3), lambda y: np.ones(3) * y, lambda y: y[np.array([0])]],
)
def test_the_stand_in_refuses_implicit_transfers(backend, transfer):
    with pytest.raises(TypeError, match="backend's"):
        transfer(backend.to_device(np.ones(3)))


# ------------------------------------------------------------------------------- whole training steps


def trained(backend, optimizer="Adam", hidden=(6, 5), batch_size=16, epochs=3, pixels=False, **options):
    """Train a network. Return the losses, and the vectors and counters after it, on the host."""
    x, t = digits()
    x = np.clip(128 + 50 * x, 0, 255).astype(np.uint8) if pixels else x
    net = network(backend, hidden, **options)
    rule = OPTIMIZERS[optimizer](net)
    history = tn.fit(net, rule, x, t, epochs=epochs, batch_size=batch_size)
    vectors = [net.theta, net.grad, *(getattr(rule, name) for name in rule.slots)]
    counters = [rule.step_count, [layer.counter for layer in net]]
    return [record.loss for record in history], [net.backend.to_host(vector) for vector in vectors], counters


def assert_same_training(found, expected):
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    for device, host in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-3, atol=1e-4)
    assert found[2] == expected[2]


@pytest.mark.parametrize(
    ("optimizer", "hidden"),
    [*((name, (6,)) for name in OPTIMIZERS), ("Adam", ()), ("Adam", (7, 5, 4)), ("SGD", (7, 5, 4))],
    ids=str,
)
@pytest.mark.parametrize("pixels", [False, True], ids=["floats", "pixels"])
@pytest.mark.parametrize("where", WHERE)
def test_captured_steps_equal_those_of_backend_numpy(backend, optimizer, hidden, pixels, where):
    found, host = (trained(place, optimizer, hidden, pixels=pixels) for place in (backend, "numpy"))
    assert_same_training(found, host)


def test_a_diagnosis_on_the_device_equals_that_on_the_host(backend):
    x, t = digits()
    net = network(backend)
    before = backend.to_host(net.theta).tobytes()
    reference = net.copy(backend="numpy")
    found = tn.diagnose(net, x, t, tn.Adam(net))
    expected = tn.diagnose(reference, x, t, tn.Adam(reference))
    assert [row.y_spread for row in found.rows] == pytest.approx([row.y_spread for row in expected.rows], rel=1e-4)
    updates = [[row.update for row in report.rows if row.learns] for report in (found, expected)]
    assert updates[0] == pytest.approx(updates[1], rel=1e-2)
    assert backend.to_host(net.theta).tobytes() == before


def test_steps_are_launched_as_graphs(backend):
    trained(backend, batch_size=5, epochs=1)
    assert standin.counts["graph launches"] == 50 // 5 - 1
    assert standin.counts["launches"] <= 2 * 22 + 20 + 9
    assert standin.counts["waits"] == 2


@pytest.mark.gpu
def test_a_step_is_captured_on_the_gpu(backend):
    with warnings.catch_warnings(action="error"):
        trained(backend)


def test_without_capture_the_same_kernels_run_one_by_one(backend, monkeypatch):
    def refuse(self):
        raise RuntimeError("capture is not available")

    captured = trained(backend)
    monkeypatch.setattr(standin.Stream, "begin_capture", refuse)
    with pytest.warns(RuntimeWarning, match="capture is not available"):
        launched = trained(backend)
    for a, b in zip(captured[1], launched[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("where", WHERE)
def test_the_same_seed_gives_the_same_run(backend, where):
    first, second = trained(backend), trained(backend)
    assert first[0] == second[0]
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.gpu
def test_gradient_check_passes_in_float64_on_the_gpu(backend):
    net, (x, t) = network(backend, dtype="float64"), digits()
    assert tn.gradient_check(net, x[:8], t[:8])


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("hidden", "batch_size", "dropout"),
    [
        ([12, 8], 32, []),
        ([960, 480, 240, 120, 60], 128, [0.10, 0.25, 0.25, 0.25, 0.25]),
        ([48, 24, 12, 6, 3], 32, []),
    ],
    ids=str,
)
def test_networks_reach_the_same_accuracy_on_gpu_and_cpu(backend, hidden, batch_size, dropout):
    digits, accuracies = tn.data.mnist_split(), []
    for name in (backend, "numpy"):
        net = tn.mlp(784, hidden, 10, dropout=dropout, seed=1, backend=name)
        tn.fit(net, tn.Adam(net), digits.x_train, digits.y_train, epochs=3, batch_size=batch_size)
        accuracies.append(tn.evaluate(net, digits.x_val, digits.y_val).accuracy)
    assert abs(accuracies[0] - accuracies[1]) < 0.02


# ------------------------------------------------------------------------------------- messages


def test_a_gpu_describes_itself(backend):
    assert backend.describe() == (
        "CuPy stand-in on a stand-in; memory in MiB: 0 in arrays, 1 reserved, 1024 of 2048 free"
    )


def test_a_device_is_chosen_by_number(backend):
    net = network("cupy:1")
    tn.fit(net, tn.Adam(net), *digits(), epochs=2)
    assert standin.counts["device switches"] == 1
    with pytest.raises(ValueError, match="expected a device below 2, got 'cupy:2'"):
        tn.backend("cupy:2")
    for wrong in ("cupy:first", "numpy:0"):
        with pytest.raises(ValueError, match=f"got '{wrong}'"):
            tn.backend(wrong)


def test_without_cublas_steps_run_function_by_function(backend, monkeypatch):
    products = sys.modules["tinynet.kernels.cupy.products"]
    monkeypatch.setattr(products, "library", fails(OSError("no libcublas")))
    with pytest.warns(RuntimeWarning, match="steps run function by function, which is slower: no libcublas"):
        found = trained(backend)
    assert_same_training(found, trained("numpy"))


def test_an_interrupt_while_steps_are_launched_leaves_counters_consistent(backend, monkeypatch):
    launches, launch = [], standin.Graph.launch

    def interrupted(self, stream):
        launches.append(stream)
        if len(launches) == 2:
            raise KeyboardInterrupt
        launch(self, stream)

    net, (x, t) = network(backend), digits()
    optimizer = tn.Adam(net)
    monkeypatch.setattr(standin.Graph, "launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tn.fit(net, optimizer, x, t, epochs=1, batch_size=5)
    assert optimizer.step_count == 2
    assert {layer.counter for layer in net if isinstance(layer, tn.Dropout)} == {2}
    assert not launches[0].pending


def test_an_interrupt_during_capture_leaves_the_stream_usable(backend, monkeypatch):
    net, (x, t) = network(backend), digits()
    with monkeypatch.context() as patch:
        patch.setattr(standin.Stream, "end_capture", fails(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            tn.fit(net, tn.Adam(net), x, t, epochs=1, batch_size=5)
    found = trained(backend)
    assert_same_training(found, trained("numpy"))


def test_a_step_is_captured_once_per_fit_and_freed_with_its_network(backend):
    captures = []
    end_capture = standin.Stream.end_capture
    standin.Stream.end_capture = lambda self: captures.append(self) or end_capture(self)
    try:
        net, (x, t) = network(backend), digits()
        tn.fit(net, tn.Adam(net), x, t, epochs=4, batch_size=5)
    finally:
        standin.Stream.end_capture = end_capture
    assert len(captures) == 1
    steps = sys.modules["tinynet.kernels.cupy.steps"]._steps
    assert len(steps) == 1
    del net
    gc.collect()
    assert len(steps) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda optimizer, loss: setattr(optimizer, "beta1", 0.5),
        lambda optimizer, loss: setattr(optimizer, "clip_norm", 0.1),
        lambda optimizer, loss: setattr(loss, "label_smoothing", 0.0),
    ],
    ids=["beta1", "clip_norm", "label_smoothing"],
)
def test_settings_changed_between_epochs_are_used(backend, change):
    def trained_with_a_change(backend):
        net, (x, t) = network(backend), digits()
        optimizer, loss = tn.Adam(net, 0.01), tn.SoftmaxCrossEntropy(label_smoothing=0.3)
        tn.fit(net, optimizer, x, t, epochs=3, batch_size=5, loss=loss, callbacks=[lambda _: change(optimizer, loss)])
        return net.backend.to_host(net.theta)

    np.testing.assert_allclose(trained_with_a_change(backend), trained_with_a_change("numpy"), rtol=1e-3, atol=1e-4)


def test_a_batch_size_beyond_the_number_of_rows_allocates_no_more_memory(backend):
    net, (x, t) = network(backend), digits()
    tn.fit(net, tn.Adam(net), x, t, epochs=1, batch_size=10**12)
    assert net.epoch == 1


def fails(error):
    def raising(*args, **options):
        raise error

    return raising


@pytest.mark.parametrize(
    ("function", "replacement", "sentence"),
    [
        ("getDeviceCount", fails(RuntimeError("no libcuda")), "finds no working NVIDIA driver .*no libcuda.*install"),
        ("getDeviceCount", lambda: 0, "there is no GPU here, or CUDA_VISIBLE_DEVICES hides it"),
        ("getDeviceCount", fails(RuntimeError("cudaErrorNoDevice")), "there is no GPU here, or CUDA_VISIBLE_DEVICES"),
        (
            "getDeviceCount",
            fails(RuntimeError("cudaErrorInsufficientDriver")),
            "there is no NVIDIA driver.*cuda12",
        ),
    ],
)
def test_the_error_names_what_is_wrong_with_the_gpu(backend, monkeypatch, function, replacement, sentence):
    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, function, replacement)
    standin.forget()
    with pytest.raises(ImportError, match=f"backend 'cupy' does not work here: .*{sentence}"):
        tn.backend("cupy")
    assert sentence.split()[1] in tn.backend("auto").note


def test_a_gpu_on_which_no_kernel_runs_is_refused(backend, monkeypatch):
    monkeypatch.setattr(sys.modules["cupy"], "RawModule", fails(RuntimeError("no nvrtc")))
    standin.forget()
    with pytest.raises(ImportError, match=r"runs no kernel \(RuntimeError: no nvrtc\); CuPy needs CUDA's compiler"):
        tn.backend("cupy")


def test_without_cupy_the_extras_are_named(monkeypatch):
    standin.forget()
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="CuPy is not installed; install the extra cuda12 or cuda13"):
        tn.backend("cupy")
