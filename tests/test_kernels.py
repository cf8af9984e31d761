"""Every kernel beside its original in functions.py: values, dtype, shapes, and arrays that are not contiguous."""

import numpy as np
import pytest

import tinynet as tn
from tinynet.backend import FUNCTIONS, _kernels

KERNELS = [
    pytest.param(backend, name, id=f"{backend}-{name}")
    for backend in tn.backends()[1:]
    for name in FUNCTIONS
    if hasattr(_kernels(backend), name)
]
DTYPES = ["float32", "float64"]
KEY = (12345, 67890)


def arguments(name, draw, dtype, rows=()):
    """What the function of that name takes; `rows` are axes in front of the last two."""

    def array(*shape):
        return draw.normal(size=(*rows, *shape)).astype(dtype)

    def vector():
        return abs(draw.normal(size=50)).astype(dtype)

    x, W, b, y, p = array(7, 5), array(5, 3), array(1, 3), array(7, 3), tn.functions.softmax(array(7, 3))
    t = draw.dirichlet(np.ones(3), (*rows, 7)).astype(dtype)
    return {
        "dense": (x, W, b),
        "dense_backward": (y, W),
        "dense_backward_parameters": (y, x, array(5, 3), array(1, 3)),
        "relu": (x,),
        "relu_backward": (array(7, 5), x),
        "softmax": (x,),
        "softmax_backward": (y, p),
        "dropout": (x, 0.3, KEY),
        "dropout_backward": (x, x),
        "softmax_cross_entropy": (y, t),
        "softmax_cross_entropy_backward": (p, t),
        "cross_entropy": (p, t),
        "cross_entropy_backward": (p, t),
        "mean_squared_error": (y, t),
        "mean_squared_error_backward": (y, t),
        "count_correct": (y, t),
        "sgd": (vector(), vector(), vector(), 0.1, 0.9, True),
        "adam": (vector(), vector(), vector(), vector(), 3, 0.01, 0.9, 0.999, 1e-8),
        "decay": (vector(), 0.1),
        "gather": (draw.normal(size=(9, 5)).astype(dtype), np.array([8, 0, 8, 3]), np.dtype(dtype)),
    }[name]


def copies(values):
    return [value.copy() if isinstance(value, np.ndarray) else value for value in values]


def outcome(function, values):
    """All that a call gives: what it returns, and its arguments, which it may have changed."""
    values = copies(values)
    returned = function(*values)
    returned = returned if isinstance(returned, tuple) else () if returned is None else (returned,)
    return [np.asarray(value) for value in (*returned, *(v for v in values if isinstance(v, np.ndarray)))]


def assert_same(backend, name, values):
    for kernel, plain in zip(
        outcome(getattr(_kernels(backend), name), values), outcome(FUNCTIONS[name], values), strict=True
    ):
        assert (kernel.shape, kernel.dtype) == (plain.shape, plain.dtype)
        tolerance = 1e-5 if kernel.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(kernel, plain, rtol=tolerance, atol=tolerance)


def strided(value):
    """The same numbers in every second place of a larger array, with its axes in the other order."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return value
    wide = np.zeros([2 * size for size in value.shape[::-1]], value.dtype).T
    wide[tuple(slice(None, None, 2) for _ in value.shape)] = value
    return wide[tuple(slice(None, None, 2) for _ in value.shape)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("backend", "name"), KERNELS)
def test_kernel_equals_its_original(draw, backend, name, dtype):
    assert_same(backend, name, arguments(name, draw, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("backend", "name"), KERNELS)
def test_kernel_takes_arrays_that_are_not_contiguous(draw, backend, name, dtype):
    values = arguments(name, draw, dtype)
    kernel = getattr(_kernels(backend), name)
    places = [strided(value) for value in values]
    returned = kernel(*places)
    expected = outcome(FUNCTIONS[name], values)
    returned = returned if isinstance(returned, tuple) else () if returned is None else (returned,)
    found = [*returned, *(value for value in places if isinstance(value, np.ndarray))]
    for kernel_value, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(kernel_value, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("backend", "name"), KERNELS)
def test_kernel_takes_axes_in_front(draw, backend, name):
    assert_same(backend, name, arguments(name, draw, "float32", rows=(2,)))


@pytest.mark.parametrize("backend", tn.backends()[1:])
@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.999])
def test_dropout_masks_are_equal_bit_for_bit(draw, backend, rate):
    x = draw.normal(size=(64, 480)).astype("float32")
    for key in (KEY, (2**32 - 1, 2**31 + 7), (0, 0)):
        kernel, plain = (ops.dropout(x, rate, key) for ops in (tn.backend(backend).ops, tn.backend("numpy").ops))
        np.testing.assert_array_equal(kernel[1], plain[1])
        np.testing.assert_array_equal(kernel[0], plain[0])


@pytest.mark.parametrize("backend", tn.backends()[1:])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gathered_pixels_are_equal_bit_for_bit(draw, backend, dtype):
    pixels, index = draw.integers(0, 256, (50, 784)).astype(np.uint8), draw.integers(0, 50, 32)
    kernel, plain = (ops.gather(pixels, index, np.dtype(dtype)) for ops in (tn.backend(backend).ops, tn.functions))
    assert kernel.dtype == dtype
    np.testing.assert_array_equal(kernel, plain)


@pytest.mark.parametrize("backend", tn.backends()[1:])
def test_a_nan_is_not_lost_in_a_kernel(backend):
    ops, x = tn.backend(backend).ops, np.full((4, 3), np.nan, np.float32)
    assert np.isnan(ops.relu(x)).all()
    assert np.isnan(ops.dense(x, np.ones((3, 2), np.float32), np.ones((1, 2), np.float32))).all()
    assert np.isnan(ops.softmax_cross_entropy(x, np.ones_like(x))[0])


@pytest.mark.parametrize("backend", tn.backends()[1:])
def test_moments_that_fade_become_zero_and_not_denormal(backend):
    theta, m, v = (np.full(3, value, np.float32) for value in (1, 1e-37, 1e-40))
    tn.backend(backend).ops.adam(theta, np.zeros(3, np.float32), m, v, 100, 0.001, 0.9, 0.999, 1e-8)
    assert (m == 0).all()
    assert (v == 0).all()
    assert (theta == 1).all()


@pytest.mark.parametrize("backend", tn.backends()[1:])
def test_training_follows_the_plain_backend(draw, backend):
    x, t = draw.normal(size=(200, 8)).astype("float32"), draw.integers(0, 3, 200)
    losses = []
    for name in ("numpy", backend):
        net = tn.mlp(8, [16, 8], 3, dropout=[0.1, 0.2], backend=name)
        losses.append([record.loss for record in tn.fit(net, tn.Adam(net), x, t, epochs=5)])
    np.testing.assert_allclose(*losses, rtol=1e-4)
