"""Networks on NumPy alone: arguments, summaries, layers one by one, and the work that is spared."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import tinynet as tn

ROWS = np.random.default_rng(1).normal(size=(6, 4)).astype("float32")


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
    dx = net.backward(net.forward(ROWS, train=True), need_dx)
    assert len(calls) == count
    assert (dx is not None) == need_dx


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


def test_summary_is_this_table():
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
        f"float64, backend numpy, seed 3, 0 epochs trained\n{net.backend.note}"
    )


def test_summary_says_what_is_faster_than_the_readable_functions():
    assert "backend='auto'" in tn.mlp(4, [3], 2, backend="numpy").summary().splitlines()[-1]


def test_summary_of_layers_that_know_no_width():
    assert "(N, ?)" in tn.Network(tn.ReLU()).summary()


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
            lambda: tn.Network(tn.Dense(4, 3), "relu"),
            TypeError,
            "Network takes layers one by one, as in Network(Dense(2, 3), ReLU()); got 'relu'",
        ),
        (
            lambda: tn.mlp(4, 3, 2),
            TypeError,
            "mlp takes hidden widths and dropout rates in lists; got 3 and ()",
        ),
        (
            lambda: tn.mlp(4, [3], 2, dropout=0.5),
            TypeError,
            "mlp takes hidden widths and dropout rates in lists; got [3] and 0.5",
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


def test_a_copy_has_its_own_of_all_that_a_layer_carries():
    class Counting(tn.Layer):
        """The identity; `seen` counts the rows of all training passes."""

        def __init__(self):
            self.seen = np.zeros(1)

        def forward(self, x, train=False):
            self.seen += len(x) if train else 0
            return x

    net = tn.Network(Counting())
    net.copy().forward(ROWS, train=True)
    assert net[0].seen == 0


def test_a_network_and_its_parts_compute_with_the_functions_of_their_backend():
    net = tn.mlp(4, [3], 2, backend="numpy-fast")
    assert net.ops is net[:2].ops is net[0].ops is net.backend.ops
    assert net.ops is not tn.functions
