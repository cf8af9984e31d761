"""network.py: the two vectors and their views, the table, copies, seeds, and the work that is spared."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

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


def test_a_new_network_has_trained_no_epoch_and_has_no_gradient():
    net = tn.mlp(2, [3], 2)
    assert net.epoch == 0
    assert net.notes == {}
    assert not net.grad.any()


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


def test_networks_of_a_stack_of_batches_give_what_single_batches_give():
    net = tn.mlp(4, [5], 3, dtype="float64")
    stack = np.stack([rows(dtype="float64"), 2 * rows(dtype="float64")])
    np.testing.assert_allclose(net.forward(stack), [net.forward(x) for x in stack], rtol=1e-13)


# ------------------------------------------------------------------------------------------- need_dx


def counting_backend(calls: list[str]) -> tn.Backend:
    """The numpy backend, except that dense_backward leaves a note each time."""
    backend = tn.backend("numpy")

    def dense_backward(dy, W):
        calls.append("dense_backward")
        return tn.functions.dense_backward(dy, W)

    return replace(backend, ops=SimpleNamespace(**vars(backend.ops) | {"dense_backward": dense_backward}))


@pytest.mark.parametrize(("need_dx", "count"), [(False, 2), (True, 3)])
@pytest.mark.parametrize("dropout", [[], [0.1]], ids=["", "dropout first"])
def test_the_first_layers_dx_is_computed_only_when_asked_for(need_dx, count, dropout):
    calls: list[str] = []
    net = tn.mlp(4, [5, 3], 2, dropout=dropout, backend=counting_backend(calls))
    dx = net.backward(net.forward(rows(), train=True), need_dx)
    assert len(calls) == count
    assert (dx is not None) == need_dx


def test_sparing_dx_leaves_the_parameters_gradients_as_they_are():
    spared, whole = (tn.mlp(4, [5, 3], 2, dropout=[0.1, 0.25]) for _ in range(2))
    for net, need_dx in ((spared, False), (whole, True)):
        net.backward(net.forward(rows(), train=True), need_dx)
    assert spared.grad.any()
    assert np.array_equal(spared.grad, whole.grad)


def test_backward_never_writes_into_what_it_was_given():
    net = tn.mlp(4, [5], 3, dropout=[0.5])
    x, dy = rows(), rows(D=3)
    for array in (x, dy):
        array.setflags(write=False)
    net.forward(x, train=True)
    net.backward(dy, need_dx=True)
    assert np.array_equal(x, rows())
    assert np.array_equal(dy, rows(D=3))


def test_the_whole_network_passes_the_gradient_check():
    net = tn.mlp(4, [5, 3], 2, dropout=[0.1, 0.25, 0.25])
    assert tn.gradient_check(net, rows(), np.arange(6) % 2)


# --------------------------------------------------------------------------------------------- summary

BLOG = {
    (12, 8): 9_614,
    (24, 12, 6): 19_288,
    (48, 24): 39_106,
    (480, 240, 120, 60): 529_030,
    (960, 480, 240, 120, 60): 1_367_110,
    (12, 10, 8, 6, 4, 4): 9_790,
    (24, 12, 8, 6, 4, 4): 19_396,
    (48, 24, 12, 6, 3): 39_295,
}


@pytest.mark.parametrize(("hidden", "parameters"), BLOG.items(), ids=lambda value: str(value))
def test_the_totals_of_the_blogs_eight_networks(hidden, parameters):
    net = tn.mlp(784, hidden, 10, init="zeros")
    total = next(line.split() for line in net.summary().splitlines() if line.startswith("total"))
    multiply_adds = parameters - sum(hidden) - 10
    assert total == ["total", f"{parameters:,}", f"{4 * parameters:,}", f"{multiply_adds:,}"]


def note_of(backend):
    return f"\n{tn.backend('numpy').note}" if backend == "numpy" else ""


def test_summary_is_this_table(default_backend):
    net = tn.mlp(784, [480, 60], 10, dropout=[0.1], seed=3, dtype="float64")
    assert net.summary() == (
        "layer            output shape  parameters      bytes  multiply-adds\n"
        "-------------------------------------------------------------------\n"
        "Dropout(0.1)         (N, 784)           0          0              0\n"
        "Dense(784, 480)      (N, 480)     376,800  3,014,400        376,320\n"
        "ReLU()               (N, 480)           0          0              0\n"
        "Dense(480, 60)        (N, 60)      28,860    230,880         28,800\n"
        "ReLU()                (N, 60)           0          0              0\n"
        "Dense(60, 10)         (N, 10)         610      4,880            600\n"
        "-------------------------------------------------------------------\n"
        "total                             406,270  3,250,160        405,720\n"
        f"float64, backend {default_backend}, seed 3, 0 epochs trained{note_of(default_backend)}"
    )


def test_summary_says_what_is_faster_than_the_readable_functions():
    assert "backend='auto'" in tn.mlp(4, [3], 2, backend="numpy").summary().splitlines()[-1]


def test_summary_of_layers_that_know_no_width():
    assert "(N, ?)" in tn.Network(tn.ReLU()).summary()


# --------------------------------------------------------------------------------------- a row of layers


def test_a_network_is_a_row_of_its_layers():
    layers = [tn.Dense(4, 3), tn.ReLU(), tn.Dense(3, 2)]
    net = tn.Network(*layers)
    assert len(net) == 3
    assert list(net) == layers
    assert net[-1] is layers[-1]
    assert repr(net) == "<Network Dense(4, 3), ReLU(), Dense(3, 2): 23 parameters>"


@pytest.mark.parametrize(
    ("dropout", "expected"),
    [
        ([], "Dense ReLU Dense ReLU Dense"),
        ([0.1], "Dropout(0.1) Dense ReLU Dense ReLU Dense"),
        ([0.1, 0.25, 0.5], "Dropout(0.1) Dense ReLU Dropout(0.25) Dense ReLU Dropout(0.5) Dense"),
        ([0, 0.25], "Dense ReLU Dropout(0.25) Dense ReLU Dense"),
    ],
)
def test_mlp_puts_dropout_in_front_of_the_kth_dense(dropout, expected):
    net = tn.mlp(4, [5, 3], 2, dropout=dropout)
    names = [repr(layer) if isinstance(layer, tn.Dropout) else type(layer).__name__ for layer in net]
    assert " ".join(names) == expected


def test_mlp_hands_on_what_it_is_given():
    net = tn.mlp(4, [5], 2, init="he_normal", seed=7, dtype="float64", backend="numpy")
    assert net[0].init == net[2].init == "he_normal"
    assert (net.seed, net.dtype.name, net.backend.name) == (7, "float64", "numpy")
    assert np.array_equal(tn.mlp(4, [], 2).theta, tn.Network(tn.Dense(4, 2)).theta)


# ----------------------------------------------------------------------------------------------- refusals

TWICE = tn.Dense(2, 2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: tn.Network(tn.Dense(4, 3), tn.ReLU(), tn.Dense(5, 2)),
            ValueError,
            "Dense(5, 2) takes x (N, 5), but gets (N, 3)",
        ),
        (
            lambda: tn.Network(),
            TypeError,
            "Network takes layers one by one, as in Network(Dense(2, 3), ReLU()); got none",
        ),
        (
            lambda: tn.Network([tn.Dense(4, 3)]),
            TypeError,
            "Network takes layers one by one, as in Network(Dense(2, 3), ReLU()); got [Dense(4, 3)]",
        ),
        (
            lambda: tn.Network(TWICE, TWICE),
            ValueError,
            "Network takes each layer once; Dense(2, 2) is there twice, and has one memory",
        ),
        (
            lambda: tn.Network(tn.ReLU(), seed=-1),
            ValueError,
            "Network takes a whole number of at least 0 as seed; got -1",
        ),
        (
            lambda: tn.Network(tn.ReLU(), seed=0.5),
            ValueError,
            "Network takes a whole number of at least 0 as seed; got 0.5",
        ),
        (
            lambda: tn.Network(tn.ReLU(), dtype="float16"),
            ValueError,
            "Network takes dtype 'float32' or 'float64'; got 'float16'",
        ),
        (
            lambda: tn.Network(tn.ReLU(), dtype="int64"),
            ValueError,
            "Network takes dtype 'float32' or 'float64'; got 'int64'",
        ),
        (
            lambda: tn.mlp(4, [3], 2, dropout=[0.1, 0.2, 0.3]),
            ValueError,
            "mlp takes at most one dropout rate for each of its 2 Dense, got [0.1, 0.2, 0.3]",
        ),
        (lambda: tn.mlp(4, [0], 2), ValueError, "Dense takes two whole numbers of at least 1; got 4 and 0"),
        (lambda: tn.mlp(4, [2.7], 2), ValueError, "Dense takes two whole numbers of at least 1; got 4 and 2.7"),
    ],
)
def test_a_network_says_what_it_takes(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()


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


def trained(**options) -> tn.Network:
    net = tn.mlp(4, [5, 3], 2, dropout=[0.25], **options)
    tn.fit(net, tn.Adam(net), rows(), np.arange(6) % 2, epochs=2)
    net.notes["why"] = "a test"
    return net


def test_a_copy_is_exact():
    net = trained(seed=3)
    twin = net.copy()
    assert np.array_equal(twin.theta, net.theta)
    assert (twin.seed, twin.epoch, twin.notes, twin.dtype) == (3, 2, {"why": "a test"}, net.dtype)
    assert twin.summary() == net.summary()


def test_a_copy_goes_on_with_the_same_dropout_masks():
    net = trained()
    twin = net.copy()
    assert np.array_equal(twin.forward(rows(), train=True), net.forward(rows(), train=True))


def test_a_copy_is_independent():
    net = trained()
    theta, text = net.theta.tobytes(), repr(net)
    twin = net.copy()
    twin.theta += 1
    twin.notes["why"] = "another"
    twin.forward(rows(), train=True)
    assert net.theta.tobytes() == theta
    assert net.notes == {"why": "a test"}
    assert repr(net) == text
    assert not np.shares_memory(twin.grad, net.grad)


def test_a_copy_has_its_own_of_all_that_a_layer_carries():
    class Counting(tn.Layer):
        """The identity; `seen` counts the rows of all training passes."""

        def __init__(self):
            self.seen = np.zeros(1)

        def forward(self, x, train=False):
            self.seen += len(x) if train else 0
            return x

    net = tn.Network(Counting())
    net.copy().forward(rows(), train=True)
    assert net[0].seen == 0


def test_a_copy_of_another_dtype_holds_the_same_numbers():
    net = trained()
    twin = net.copy(dtype="float64")
    assert twin.theta.dtype == twin.grad.dtype == "float64"
    assert np.array_equal(twin.theta, net.theta)
    assert np.array_equal(twin.copy(dtype="float32").theta, net.theta)


def test_the_same_seed_trains_to_the_same_bits():
    assert np.array_equal(trained(seed=5).theta, trained(seed=5).theta)


def test_another_seed_starts_elsewhere():
    assert not np.array_equal(tn.mlp(4, [3], 2, seed=0).theta, tn.mlp(4, [3], 2, seed=1).theta)


def test_these_tests_run_on_the_backend_they_name(default_backend):
    assert tn.mlp(2, [2], 2).backend.name == tn.Network(tn.Dense(1, 1)).backend.name == default_backend
