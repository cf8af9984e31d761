"""Every kernel compared with its original in functions.py: values, dtypes, shapes, and non-contiguous arrays."""

import os
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tinynet as tn
import tinynet.kernels.numba.barrier as barrier_module
import tinynet.kernels.numba.thread_count as thread_count_module
from tinynet.arrays.backend import FUNCTIONS, kernels_of
from tinynet.kernels.numba import large
from tinynet.kernels.numba import steps as steps_module
from tinynet.kernels.numba.sparse import are_used, lists_for

KERNELS = [
    pytest.param(backend, name, id=f"{backend}-{name}")
    for backend in ["numpy-fast", "numba"]
    for name in FUNCTIONS
    if hasattr(kernels_of(backend), name)
]
DTYPES = ["float32", "float64"]
KEY = (12345, 67890)


def arguments(name, draw, dtype, rows=()):
    """Return arguments for the function of that name; `rows` are axes in front of the last two."""

    def array(*shape):
        return draw.normal(size=(*rows, *shape)).astype(dtype)

    def vector():
        return abs(draw.normal(size=50)).astype(dtype)

    x, W, b, y, p = array(7, 5), array(5, 3), array(1, 3), array(7, 3), tn.functions.softmax(array(7, 3))
    t = draw.dirichlet(np.ones(3), (*rows, 7)).astype(dtype)
    picture, weights, dy, pixels = array(7, 2, 5, 6), array(3, 2, 3, 3), array(7, 3, 3, 3), (-4, -2, -1)
    channels = [abs(array(1, 2, 1, 1)) for _ in range(4)]
    gamma, beta = abs(array(1, 5)), array(1, 5)
    return {
        "dense": (x, W, b),
        "dense_backward": (y, W),
        "dense_backward_parameters": (y, x, array(5, 3), array(1, 3)),
        "relu": (x,),
        "relu_backward": (array(7, 5), x),
        "leaky_relu": (x, 0.1),
        "leaky_relu_backward": (array(7, 5), x, 0.1),
        "tanh": (x,),
        "tanh_backward": (x, array(7, 5)),
        "sigmoid": (x,),
        "sigmoid_backward": (x, array(7, 5)),
        "gelu": (x,),
        "gelu_backward": (array(7, 5), x),
        "softmax": (x,),
        "softmax_backward": (y, p),
        "dropout": (x, 0.3, KEY),
        "dropout_backward": (x, x),
        "softmax_cross_entropy": (y, t),
        "softmax_cross_entropy_backward": (p, t),
        "smooth_labels": (t, 0.1),
        "binary_cross_entropy": (array(7, 1), t[..., :1]),
        "binary_cross_entropy_backward": (p[..., :1], t[..., :1]),
        "cross_entropy": (p, t),
        "cross_entropy_backward": (p, t),
        "mean_squared_error": (y, t),
        "mean_squared_error_backward": (y, t),
        "huber": (y, t, 0.5),
        "huber_backward": (y, t, 0.5),
        "count_correct": (y, t),
        "count_correct_binary": (array(7, 1), t[..., :1]),
        "patches": (picture, 3, 2, 1),
        "patches_backward": (array(7, 18, 9), picture.shape, 3, 2, 1),
        "conv2d": (picture, weights, array(3, 1, 1), 2, 1),
        "conv2d_backward": (dy, weights, picture.shape, 2, 1),
        "conv2d_backward_parameters": (dy, picture, weights, array(3, 1, 1), 2, 1),
        "max_pool2d": (picture, 2),
        "max_pool2d_backward": (array(7, 2, 2, 3), picture, 2),
        "average_pool2d": (picture, 2),
        "average_pool2d_backward": (array(7, 2, 2, 3), picture.shape, 2),
        "global_average_pool": (picture,),
        "global_average_pool_backward": (array(7, 2), picture.shape),
        "moments": (picture, pixels),
        "batch_norm": (picture, *channels, 1e-5),
        "batch_norm_backward": (array(7, 2, 5, 6), picture, *channels[:3], 1e-5, *channels[2:]),
        "batch_norm_backward_parameters": (array(7, 2, 5, 6), picture, *channels[:2], 1e-5, pixels, *channels[2:]),
        "layer_norm": (x, gamma, beta, 1e-5),
        "layer_norm_backward": (array(7, 5), x, gamma, 1e-5),
        "layer_norm_backward_parameters": (array(7, 5), x, 1e-5, gamma, beta),
        "sgd": (vector(), vector(), vector(), 0.1, 0.9, True),
        "adam": (vector(), vector(), vector(), vector(), 3, 0.01, 0.9, 0.999, 1e-8),
        "rmsprop": (vector(), vector(), vector(), 0.01, 0.9, 1e-8),
        "decay": (vector(), 0.1),
        "clip_norm": (vector(), 2.0),
        "gather": (draw.normal(size=(9, 5)).astype(dtype), np.array([8, 0, 8, 3]), np.dtype(dtype)),
    }[name]


def copies(values):
    return [value.copy() if isinstance(value, np.ndarray) else value for value in values]


def outcome(function, values):
    """Return the results of a call, and its array arguments after the call, which it may have changed."""
    values = copies(values)
    returned = function(*values)
    returned = returned if isinstance(returned, tuple) else () if returned is None else (returned,)
    return [np.asarray(value) for value in (*returned, *(v for v in values if isinstance(v, np.ndarray)))]


def assert_same(backend, name, values):
    for kernel, plain in zip(
        outcome(getattr(kernels_of(backend), name), values), outcome(FUNCTIONS[name], values), strict=True
    ):
        assert (kernel.shape, kernel.dtype) == (plain.shape, plain.dtype)
        tolerance = 1e-5 if kernel.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(kernel, plain, rtol=tolerance, atol=tolerance)


def strided(value):
    """Return the same numbers as every second element of a larger array whose axes are in reverse order."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return value
    wide = np.zeros([2 * size for size in value.shape[::-1]], value.dtype).T
    wide[tuple(slice(None, None, 2) for _ in value.shape)] = value
    return wide[tuple(slice(None, None, 2) for _ in value.shape)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("backend", "name"), KERNELS)
def test_kernel_equals_its_original(draw, backend, name, dtype):
    assert_same(backend, name, arguments(name, draw, dtype))


@pytest.mark.parametrize(("backend", "name"), KERNELS)
def test_kernel_accepts_non_contiguous_arrays(draw, backend, name):
    values = arguments(name, draw, "float32")
    kernel = getattr(kernels_of(backend), name)
    given = [strided(value) for value in values]
    returned = kernel(*given)
    expected = outcome(FUNCTIONS[name], values)
    returned = returned if isinstance(returned, tuple) else () if returned is None else (returned,)
    found = [*returned, *(value for value in given if isinstance(value, np.ndarray))]
    for kernel_value, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(kernel_value, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("backend", "name"), KERNELS)
def test_kernel_accepts_axes_in_front(draw, backend, name):
    assert_same(backend, name, arguments(name, draw, "float32", rows=(2,)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", ["numpy-fast", "numba"])
@pytest.mark.parametrize(
    ("picture", "M", "size", "stride", "padding"),
    [
        ((40, 16, 28, 28), 8, 3, 1, 1),
        ((120, 5, 7, 7), 19, 3, 1, 1),
        ((2, 4, 16, 38), 5, 3, 1, 1),
        ((3, 4, 9, 30), 6, 3, 1, 2),
        ((30, 7, 8, 6), 4, 3, 1, 0),
        ((2, 4, 4, 300), 4, 3, 1, 3),
        ((3, 2, 7, 4), 4, 4, 1, 3),
        ((2, 3, 4, 4), 20, 4, 1, 0),
        ((2, 3, 4, 4), 2, 3, 1, 5),
        ((3, 1, 8, 9), 5, 3, 2, 0),
        ((3, 2, 8, 9), 5, 2, 3, 1),
        ((1, 1, 1, 1), 1, 1, 1, 0),
    ],
)
def test_convolutions_of_every_shape(draw, backend, dtype, picture, M, size, stride, padding):
    x, W, b = (draw.normal(size=shape).astype(dtype) for shape in (picture, (M, picture[1], size, size), (M, 1, 1)))
    W /= np.sqrt(W[0].size).astype(dtype)
    y = tn.functions.conv2d(x, W, b, stride, padding)
    dy, settings = draw.normal(size=y.shape).astype(dtype), (stride, padding)
    assert_same(backend, "conv2d", (x, W, b, *settings))
    assert_same(backend, "conv2d_backward", (dy, W, x.shape, *settings))
    dy /= np.sqrt(dy[:, 0].size).astype(dtype)
    assert_same(backend, "conv2d_backward_parameters", (dy, x, W, b, *settings))


def test_a_convolution_does_not_depend_on_the_other_pictures_of_the_batch(draw):
    ops = tn.backend("numba").ops
    x, W, b = (draw.normal(size=shape).astype("float32") for shape in ((41, 4, 7, 6), (5, 4, 3, 3), (5, 1, 1)))
    y = ops.conv2d(x, W, b, 1, 1)
    x[1] = np.nan
    np.testing.assert_array_equal(ops.conv2d(x, W, b, 1, 1)[2:], y[2:])
    np.testing.assert_array_equal(ops.conv2d(x[2:3], W, b, 1, 1), y[2:3])
    assert np.isnan(ops.conv2d(x, W, b, 1, 1)[1]).all()


def test_dy_may_have_another_precision(draw):
    x, W, b = (draw.normal(size=shape).astype("float32") for shape in ((5, 4, 7, 6), (5, 4, 3, 3), (5, 1, 1)))
    assert_same("numba", "conv2d_backward_parameters", (draw.normal(size=(5, 5, 7, 6)), x, W, b, 1, 1))


@pytest.mark.parametrize("backend", ["numpy-fast", "numba"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pools_of_equal_numbers(draw, backend, size):
    x = draw.integers(0, 3, (4, 3, 7, 8)).astype("float32")
    dy = draw.normal(size=tn.functions.max_pool2d(x, size).shape).astype("float32")
    assert_same(backend, "max_pool2d", (x, size))
    assert_same(backend, "max_pool2d_backward", (dy, x, size))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.999])
def test_dropout_masks_are_equal_bit_for_bit(draw, rate):
    x = draw.normal(size=(64, 480)).astype("float32")
    for key in (KEY, (2**32 - 1, 2**31 + 7), (0, 0)):
        kernel, plain = (ops.dropout(x, rate, key, key[1] // 2) for ops in (tn.backend("numba").ops, tn.functions))
        np.testing.assert_array_equal(kernel[1], plain[1])
        np.testing.assert_array_equal(kernel[0], plain[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gathered_pixels_are_equal_bit_for_bit(draw, dtype):
    pixels, index = draw.integers(0, 256, (50, 784)).astype(np.uint8), draw.integers(0, 50, 32)
    kernel, plain = (ops.gather(pixels, index, np.dtype(dtype)) for ops in (tn.backend("numba").ops, tn.functions))
    assert kernel.dtype == dtype
    np.testing.assert_array_equal(kernel, plain)


@pytest.mark.parametrize("backend", ["numpy-fast", "numba"])
def test_a_nan_is_not_lost_in_a_kernel(backend):
    ops, x = tn.backend(backend).ops, np.full((4, 3), np.nan, np.float32)
    assert np.isnan(ops.relu(x)).all()
    assert np.isnan(ops.dense(x, np.ones((3, 2), np.float32), np.ones((1, 2), np.float32))).all()
    assert np.isnan(ops.softmax_cross_entropy(x, np.ones_like(x))[0])
    assert np.isnan(ops.gelu(x)).all()
    for index in np.ndindex(2, 2):
        picture = np.zeros((1, 1, 2, 2), np.float32)
        picture[0, 0, *index] = np.nan
        assert np.isnan(ops.max_pool2d(picture, 2)).all()
        np.testing.assert_array_equal(ops.max_pool2d_backward(np.ones((1, 1, 1, 1)), picture, 2), np.isnan(picture))
    grad = np.array([1, np.nan, 2], np.float32)
    ops.clip_norm(grad, 1.0)
    assert np.isnan(grad).all()


def test_denormal_moments_become_zero():
    theta, m, v = (np.full(3, value, np.float32) for value in (1, 1e-37, 1e-40))
    tn.backend("numba").ops.adam(theta, np.zeros(3, np.float32), m, v, 100, 0.001, 0.9, 0.999, 1e-8)
    assert (m == 0).all()
    assert (v == 0).all()
    assert (theta == 1).all()


# ------------------------------------------------------------------------------------ whole training steps

SCHEDULE = tn.warm_up(tn.cosine(0.02, steps=9), steps=4)
OPTIMIZERS = {
    "Adam": lambda net: tn.Adam(net, 0.01, eps=1e-5),
    "Adam, scheduled, with decay": lambda net: tn.Adam(net, SCHEDULE, beta1=0.8, eps=1e-5, weight_decay=0.1),
    "Adam, clipped": lambda net: tn.Adam(net, 0.01, weight_decay=0.1, clip_norm=0.3),
    "SGD": lambda net: tn.SGD(net, 0.1),
    "SGD, clipped": lambda net: tn.SGD(net, 0.1, momentum=0.9, clip_norm=0.3),
    "SGD, Nesterov, with decay": lambda net: tn.SGD(net, SCHEDULE, momentum=0.9, nesterov=True, weight_decay=0.1),
}


class DoubledReLU(tn.ReLU):
    """A subclass that computes something else than its base class."""

    def forward(self, x, train=False):
        return 2 * super().forward(x, train)

    def backward(self, dy):
        return super().backward(2 * dy)


class DoubledAdam(tn.Adam):
    def update(self, lr):
        super().update(2 * lr)


class DoubledLoss(tn.SoftmaxCrossEntropy):
    def backward(self):
        return 2 * super().backward()


class DoubledNetwork(tn.Network):
    def forward(self, x, train=False):
        return super().forward(x, train) * 2


def stepped(
    backend, draw, hidden, optimizer, *, D=20, K=4, rows=50, batch=16, pixels=False, zeros=0.0, smoothing=0.0, **options
):
    """Train one epoch. Return totals, vectors and counters afterwards, and how often the steps yielded."""
    x = draw.integers(0, 256, (rows, D)).astype(np.uint8) if pixels else draw.normal(size=(rows, D)).astype("float32")
    x[draw.random(x.shape) < zeros] = 0
    t = draw.dirichlet(np.ones(K), rows).astype("float32")
    t[::3] = np.eye(K, dtype="float32")[draw.integers(0, K, len(t[::3]))]
    net = tn.mlp(D, hidden, K, seed=3, backend=backend, **options)
    rule = OPTIMIZERS[optimizer](net)
    steps = net.backend.train_steps or tn.training.loop.train_steps
    loss = tn.SoftmaxCrossEntropy(label_smoothing=smoothing).bind(net.backend)
    yields = list(steps(net, rule, loss, x, t, draw.permutation(rows), batch))
    totals = [sum(float(part[k]) for part in yields) for k in range(3)]
    slots = [getattr(rule, name) for name in rule.slots]
    counters = [layer.counter for layer in net]
    return [totals, net.theta, net.grad, *slots, counters, [rule.step_count]], len(yields)


SMALL = {
    "one layer": {"hidden": []},
    "pixels": {"hidden": [12, 8], "pixels": True},
    "smooth labels": {"hidden": [9], "smoothing": 0.2},
    "one row a batch": {"hidden": [1, 2, 3], "D": 1, "K": 2, "batch": 1},
    "dropout": {"hidden": [5, 6, 7, 9], "D": 17, "batch": 13, "dropout": [0.0, 0.3]},
    "one batch": {"hidden": [16, 10], "D": 33, "batch": 64, "dropout": [0.1, 0.25, 0.5], "pixels": True},
    "pixels, mostly zero": {"hidden": [50, 8], "D": 90, "pixels": True, "zeros": 0.8},
    "floats, mostly zero": {"hidden": [112], "D": 64, "batch": 15, "zeros": 0.9, "dropout": [0.3, 0.1]},
}


def check_steps(optimizer, **case):
    """Compare an epoch of backend numba with one of backend numpy. Return how often the compiled steps yielded."""
    (plain, _), (compiled, yields) = (
        stepped(name, np.random.default_rng(5), optimizer=optimizer, **case) for name in ("numpy", "numba")
    )
    for found, expected in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    return yields


@pytest.mark.parametrize(
    ("case", "optimizer"), [*((case, "Adam") for case in SMALL), *(("dropout", name) for name in [*OPTIMIZERS][1:])]
)
def test_compiled_steps_equal_those_of_backend_numpy(case, optimizer):
    assert check_steps(optimizer, **SMALL[case]) == 1


LARGE = {
    "pixels, mostly zero": {"hidden": [150, 70], "D": 260, "rows": 300, "batch": 64, "pixels": True, "zeros": 0.8},
    "floats, mostly zero": {"hidden": [133], "D": 277, "rows": 150, "batch": 70, "zeros": 0.8},
    "pixels": {"hidden": [130, 20], "D": 33, "rows": 200, "batch": 80, "pixels": True, "dropout": [0.1, 0.2, 0.3]},
    "lists and dropout": {
        "hidden": [200, 33, 17],
        "D": 300,
        "batch": 49,
        "zeros": 0.9,
        "dropout": [0.2, 0.5, 0.0, 0.3],
    },
    "floats": {"hidden": [300], "D": 7, "K": 2, "batch": 50, "smoothing": 0.1},
    "more columns than fit a tile": {"hidden": [1000], "D": 256, "K": 70, "zeros": 0.75, "batch": 9},
}


@pytest.mark.parametrize(
    ("case", "optimizer"),
    [
        *((case, "Adam") for case in LARGE),
        *(("lists and dropout", name) for name in [*OPTIMIZERS][1:] if "clipped" not in name),
    ],
)
def test_steps_on_threads_equal_those_of_backend_numpy(case, optimizer):
    assert check_steps(optimizer, **LARGE[case]) >= 1


@pytest.mark.parametrize("case", LARGE)
def test_no_bit_depends_on_the_number_of_threads(monkeypatch, case):
    outcomes = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(thread_count_module, "most_threads", lambda: 4)
        monkeypatch.setattr(large, "most_threads", lambda: 4)
        monkeypatch.setattr(large.FastestThreads, "next", lambda self, threads=threads: (threads, True))
        outcomes.append(stepped("numba", np.random.default_rng(5), optimizer="Adam", **LARGE[case])[0])
    for found in outcomes[1:]:
        for values, expected in zip(found, outcomes[0], strict=True):
            np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("zeros", "shape", "batch", "expected"),
    [
        (0.8, (50, 256), 64, True),
        (0.5, (50, 256), 64, False),
        (0.8, (50, 255), 64, False),
        (0.8, (50, 256), 4097, False),
    ],
)
def test_lists_are_used_for_wide_rows_that_are_mostly_zero(draw, zeros, shape, batch, expected):
    x = np.where(draw.random(shape) < zeros, 0, draw.integers(1, 256, shape)).astype(np.uint8)
    assert are_used(lists_for(x, batch, pieces=4)) == expected


def test_large_networks_use_the_steps_on_threads(monkeypatch):
    def none(*arguments):
        raise AssertionError("taken")

    monkeypatch.setattr(large, "train", none)
    with pytest.raises(AssertionError, match="taken"):
        stepped("numba", np.random.default_rng(5), optimizer="Adam", **LARGE["floats"])
    monkeypatch.setattr(steps_module, "HAS_BLAS", False)
    stepped("numba", np.random.default_rng(5), optimizer="Adam", **LARGE["floats"])


def test_training_on_threads_that_stops_early_keeps_the_steps_taken(draw):
    x, t = draw.normal(size=(5000, 40)).astype("float32"), np.eye(3, dtype="float32")[draw.integers(0, 3, 5000)]
    net = tn.mlp(40, [300], 3, backend="numba")
    rule, first = tn.Adam(net), net.theta.copy()
    steps = net.backend.train_steps(net, rule, tn.SoftmaxCrossEntropy(), x, t, np.arange(5000), 50)
    rows, _, _ = next(steps)
    assert (net.theta == first).all()
    steps.close()
    assert rule.step_count == rows / 50
    reference = tn.mlp(40, [300], 3, backend="numba")
    list(
        reference.backend.train_steps(
            reference, tn.Adam(reference), tn.SoftmaxCrossEntropy(), x, t, np.arange(rows), 50
        )
    )
    np.testing.assert_array_equal(net.theta, reference.theta)


@pytest.mark.parametrize(
    ("hidden", "kind"),
    [([12, 8], "pixels"), ([12, 8], "floats"), ([40, 8], "mostly zero"), ([40, 8], "pixels")]
    + [([200, 100], kind) for kind in ("pixels", "mostly zero", "floats")],
    ids=str,
)
def test_compiled_evaluation_equals_that_of_backend_numpy(draw, hidden, kind):
    x = draw.normal(size=(5001, 140)).astype("float32")
    x = (
        draw.integers(0, 256, x.shape).astype(np.uint8)
        if kind == "pixels"
        else np.where(draw.random(x.shape) < 0.8, 0, x)
        if kind == "mostly zero"
        else x
    )
    labels = draw.integers(0, 3, len(x))
    net = tn.mlp(140, hidden, 3, dropout=[0.5, 0.5], backend="numba")
    loss = tn.SoftmaxCrossEntropy(label_smoothing=0.1).bind(net.backend)
    found = tn.evaluate(net, x, labels, loss)
    expected = tn.evaluate(net.copy(backend="numpy"), x, labels, tn.SoftmaxCrossEntropy(label_smoothing=0.1))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert [layer.counter for layer in net] == [0] * len(net.layers)


def test_evaluation_with_a_replaced_method_of_the_loss_is_not_compiled(draw):
    net = tn.mlp(6, [5], 3, backend="numba")
    loss = tn.SoftmaxCrossEntropy()
    loss.count_correct = lambda z, t: np.array(1)
    assert tn.evaluate(net, draw.normal(size=(10, 6)), draw.integers(0, 3, 10), loss).accuracy == 0.1


def test_an_error_in_a_thread_is_raised():
    ranks = []
    barrier_module.run_together(3, ranks.append)
    assert sorted(ranks) == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        barrier_module.run_together(2, lambda rank: 1 // rank)


def test_no_thread_waits_for_one_that_cannot_start(monkeypatch):
    class Pool(barrier_module.ThreadPoolExecutor):
        def submit(self, work, rank):
            if rank == 1:
                raise RuntimeError("can't start new thread")
            return super().submit(work, rank)

    ranks = []
    monkeypatch.setattr(barrier_module, "ThreadPoolExecutor", Pool)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        barrier_module.run_together(2, ranks.append)
    assert ranks == []


def test_an_epoch_starts_with_the_number_of_threads_that_was_fastest_before(draw):
    net = tn.mlp(40, [300], 3, backend="numba")
    rule, x, t = tn.Adam(net), draw.normal(size=(100, 40)), draw.integers(0, 3, 100)
    tn.fit(net, rule, x, t, epochs=1, batch_size=50, progress=False)
    measured = large._fastest_threads[net]
    assert measured.seconds[thread_count_module.most_threads()] < float("inf")
    tn.fit(net, rule, x, t, epochs=1, batch_size=50, progress=False)
    assert large._fastest_threads[net] is measured


def test_the_faster_number_of_threads_is_used_and_the_other_tried_again(monkeypatch):
    now, taken = [0.0], []
    monkeypatch.setattr(thread_count_module, "most_threads", lambda: 2)
    monkeypatch.setattr(thread_count_module.time, "perf_counter", lambda: now[0])
    fastest = thread_count_module.FastestThreads()
    for k in range(100):
        threads, is_trial = fastest.next()
        assert is_trial == (threads != (1 if k > 60 else 2)) or 50 <= k <= 60
        taken.append(threads)
        with fastest.timed(threads, 10):
            busy = k >= 50
            now[0] += {1: 1.0, 2: 2.5 if busy else 0.6}[threads]
    assert taken[:2] == [2, 1]
    assert 0.6 < np.mean(np.array(taken[2:50]) == 2) < 1
    assert 0.6 < np.mean(np.array(taken[60:]) == 1) < 1


def with_replaced_step(net):
    optimizer = tn.Adam(net)
    step = optimizer.step
    optimizer.step = lambda: (step(), step())
    return optimizer


def with_replaced_relu(net):
    net.backend = replace(net.backend, ops=SimpleNamespace(**vars(net.backend.ops)))
    net.backend.ops.relu = lambda x: 2 * tn.functions.relu(x)
    for layer in net:
        layer.ops = net.backend.ops
    return tn.Adam(net)


def usual():
    return [tn.Dense(6, 5), tn.ReLU(), tn.Dense(5, 3)]


@pytest.mark.parametrize(
    ("make", "optimizer", "loss"),
    [
        (lambda: tn.Network(tn.Dense(6, 5), DoubledReLU(), tn.Dense(5, 3)), tn.Adam, tn.SoftmaxCrossEntropy),
        (lambda: tn.Network(tn.Dense(6, 5), tn.Dense(5, 3)), tn.Adam, tn.SoftmaxCrossEntropy),
        (lambda: tn.Network(*usual(), tn.Dropout(0.5)), tn.Adam, tn.SoftmaxCrossEntropy),
        (lambda: DoubledNetwork(*usual()), tn.Adam, tn.SoftmaxCrossEntropy),
        (lambda: tn.Network(*usual()), DoubledAdam, tn.SoftmaxCrossEntropy),
        (lambda: tn.Network(*usual()), tn.SGD, DoubledLoss),
        (lambda: tn.Network(*usual()), with_replaced_step, tn.SoftmaxCrossEntropy),
        (lambda: tn.Network(*usual()), with_replaced_relu, tn.SoftmaxCrossEntropy),
    ],
    ids=["a layer", "no ReLU between", "dropout last", "network", "optimizer", "loss", "method", "function"],
)
def test_what_is_not_covered_uses_the_ordinary_steps(draw, make, optimizer, loss):
    x, t = draw.normal(size=(20, 6)).astype("float32"), draw.integers(0, 3, 20)
    thetas = []
    for backend in ("numpy", "numba"):
        net = make().copy(backend=backend)
        tn.fit(net, optimizer(net), x, t, epochs=2, batch_size=8, loss=loss())
        thetas.append(net.theta)
    np.testing.assert_allclose(*thetas, rtol=1e-3, atol=1e-5)


def test_a_batch_size_beyond_the_number_of_rows_allocates_no_more_memory(draw):
    net = tn.mlp(6, [4], 3, backend="numba")
    tn.fit(net, tn.Adam(net), draw.normal(size=(20, 6)), draw.integers(0, 3, 20), epochs=1, batch_size=10**12)
    assert net.epoch == 1


@pytest.mark.parametrize("change", ["read-only", "not contiguous"])
def test_compiled_steps_accept_read_only_and_non_contiguous_arrays(draw, change):
    x, t = draw.normal(size=(20, 6)).astype("float32"), draw.dirichlet(np.ones(3), 20).astype("float32")
    thetas = []
    for backend in ("numpy", "numba"):
        net = tn.mlp(6, [4], 3, backend=backend)
        rows, targets = (strided(x), strided(t)) if change == "not contiguous" else (x.view(), t.view())
        rows.flags.writeable = targets.flags.writeable = change != "read-only"
        steps = net.backend.train_steps or tn.training.loop.train_steps
        yields = list(steps(net, tn.SGD(net), tn.SoftmaxCrossEntropy(), rows, targets, np.arange(20), 5))
        thetas.append(net.theta)
    assert len(yields) == 1
    np.testing.assert_allclose(*thetas, rtol=1e-4, atol=1e-6)


def test_compiled_steps_return_to_python_often_and_continue_exactly(draw):
    x, t = draw.normal(size=(10_000, 3)).astype("float32"), np.eye(2, dtype="float32")[draw.integers(0, 2, 10_000)]
    net = tn.mlp(3, [4], 2, backend="numba")
    rule = tn.Adam(net)
    rows = [
        part[0] for part in net.backend.train_steps(net, rule, tn.SoftmaxCrossEntropy(), x, t, np.arange(10_000), 7)
    ]
    assert sum(rows) == 10_000
    assert len(rows) == 3
    assert rule.step_count == -(-10_000 // 7)


def test_a_nan_in_the_rows_reaches_the_loss_of_compiled_steps():
    net = tn.mlp(3, [4], 2, backend="numba")
    x, t = np.full((8, 3), np.nan, np.float32), np.full((8, 2), 0.5, np.float32)
    ((_, loss, _),) = net.backend.train_steps(net, tn.Adam(net), tn.SoftmaxCrossEntropy(), x, t, np.arange(8), 4)
    assert np.isnan(loss)


@pytest.mark.slow
def test_kernels_are_compiled_again_when_a_file_with_functions_that_they_call_changes(tmp_path):
    shutil.copytree(Path(tn.__file__).parent, tmp_path / "tinynet", ignore=shutil.ignore_patterns("__pycache__"))
    script = """
import numpy as np, tinynet as tn
net = tn.mlp(4, [3], 2, backend="numba")
tn.fit(net, tn.SGD(net, 0.1), np.eye(4), np.array([0, 1, 0, 1]), epochs=1, progress=False)
print(net.theta)
"""

    def theta():
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=300
        ).stdout

    before = theta()
    assert theta() == before
    functions = tmp_path / "tinynet/kernels/numba/functions.py"
    functions.write_text(functions.read_text().replace("theta[k] -= step *", "theta[k] += step *"))
    assert theta() != before


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("hidden", [8, 300], ids=["small", "large"])
def test_rows_in_a_file_are_not_copied(tmp_path, name, hidden):
    rows = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(60_000, 100))
    rows[:, ::7] = 50
    rows.flush()
    x, labels = np.memmap(tmp_path / "x", np.uint8, "r", shape=(60_000, 100)), np.zeros(60_000, int)
    net = tn.mlp(100, [hidden], 2, backend=name)
    optimizer = tn.Adam(net)
    tn.fit(net, optimizer, x[:100], labels[:100], epochs=1, batch_size=64)
    tracemalloc.start()
    try:
        tn.fit(net, optimizer, x, labels, epochs=1, batch_size=64)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 2
