"""network.py: the two vectors and their views, the table, copies, seeds, and the work that is spared."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinynet as tn


def rows(N: int = 6, D: int = 4, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).normal(size=(N, D)).astype(dtype)


# ------------------------------------------------------------------------------------ theta, grad and views


def test_theta_and_grad_hold_layer_after_layer_weights_before_biases():
    net = tn.mlp(2, [3], 2)
    net.theta[...] = np.arange(17)
    net.grad[...] = np.arange(17) + 100
    first, _, second = net
    assert first.W.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert first.b.tolist() == [[6, 7, 8]]
    assert second.W.tolist() == [[9, 10], [11, 12], [13, 14]]
    assert second.b.tolist() == [[15, 16]]
    assert second.dW.tolist() == [[109, 110], [111, 112], [113, 114]]
    assert first.db.tolist() == [[106, 107, 108]]


def test_forward_by_hand():
    net = tn.mlp(2, [2], 1)
    net.theta[...] = [1, -1, 2, 1, 0.5, 0, 10, 100, -3]
    assert net.forward(np.array([[1, 2], [1, 0]], "float32")).tolist() == [[5.5 * 10 + 1 * 100 - 3], [1.5 * 10 - 3]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_is_of_one_dtype_from_end_to_end(dtype):
    net = tn.mlp(4, [5, 3], 2, dropout=[0.1, 0.25], dtype=dtype)
    y = net.forward(rows(dtype=dtype), train=True)
    dx = net.backward(y, need_dx=True)
    assert {array.dtype.name for array in (y, dx, net.theta, net.grad)} == {dtype}


def test_a_network_without_parameters_works():
    net = tn.Network(tn.ReLU(), tn.Softmax())
    net.forward(rows(), train=True)
    assert net.theta.size == 0
    assert net.backward(rows()) is None
    assert net.backward(rows(), need_dx=True).shape == (6, 4)


# ----------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (rows(dtype="float64"), "float64 ndarray"),
        (np.ones((6, 4), int), "int64 ndarray"),
        (np.ones((6, 4), "uint8"), "uint8 ndarray"),
        ([[1.0, 2.0, 3.0, 4.0]], "list"),
    ],
    ids=["float64", "int", "uint8", "list"],
)
def test_forward_refuses_another_dtype_or_type(default_backend, x, got):
    message = f"this network takes a float32 array of backend {default_backend!r}, got {got}; "
    with pytest.raises(TypeError, match="^" + re.escape(message)):
        tn.mlp(4, [3], 2).forward(x)


# ------------------------------------------------------------------------------------------ copies and seeds


def test_these_tests_run_on_the_backend_they_name(default_backend):
    assert tn.mlp(2, [2], 2).backend.name == tn.Network(tn.Dense(1, 1)).backend.name == default_backend
