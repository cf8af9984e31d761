"""twins.py: one step on two backends, tensor by tensor."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import tinynet as tn
from tinynet.arrays.backend import FUNCTIONS
from tinynet.inspect.compare_backends import _difference


@pytest.fixture
def rows(draw):
    return draw.normal(size=(12, 6)).astype("float32"), draw.integers(0, 3, 12)


def network(**options):
    return tn.mlp(6, [5, 4], 3, dropout=[0.0, 0.2], seed=2, **options)


def off_by_one_ulp(y):
    return np.nextafter(y, np.float32(np.inf))


def twin(**replaced):
    """The plain backend with some functions replaced."""
    plain = tn.backend("numpy")
    return replace(plain, name="twin", ops=SimpleNamespace(**FUNCTIONS | replaced))


def test_a_backend_agrees_with_itself_in_every_bit(rows):
    report = tn.compare_backends(network(), *rows, "numpy", "numpy")
    assert report.first_difference is None
    assert report.largest == 0
    assert str(report).endswith("numpy and numpy agree in every bit")


def test_numba_stays_within_a_few_units_in_the_last_place(rows):
    report = tn.compare_backends(network(), *rows, "numpy", "numba")
    assert report.largest < 50


def test_the_first_tensor_that_differs_is_named(rows):
    report = tn.compare_backends(network(), *rows, "numpy", twin(relu=lambda x: off_by_one_ulp(np.maximum(x, 0))))
    assert report.first_difference == "1 ReLU() y"
    assert "numpy and twin first differ at 1 ReLU() y" in str(report)
    first = next(entry for entry in report.differences if entry.name == report.first_difference)
    assert first.ulps == 1


def test_every_tensor_of_a_step_is_there(rows):
    names = [entry.name for entry in tn.compare_backends(network(), *rows, "numpy", "numpy").differences]
    assert len(names) == len(set(names)) == 6 + 2 + 6 + 2 * 3 + 2
    assert names[-2:] == ["theta after the step", "theta after a step of fit"]


def test_the_network_is_left_alone(rows):
    net = network()
    before = net.theta.copy()
    tn.compare_backends(net, *rows)
    assert (net.theta == before).all()
    assert (net.epoch, [layer.counter for layer in net]) == (0, [0] * len(net))


def test_other_losses_and_pixels_are_taken(draw):
    net = tn.mlp(6, [4], 2)
    pixels = draw.integers(0, 256, (5, 6)).astype(np.uint8)
    assert tn.compare_backends(net, pixels, draw.normal(size=(5, 2)), loss=tn.MeanSquaredError()).largest < 50


@pytest.mark.parametrize(
    ("a", "b", "ulps", "of_largest"),
    [
        ([1, 0.5], [1, 0.5], 0, 0),
        ([1, 2**-20], [1, 2**-20 + 2**-43], 1, 2**-20),
        ([1, 1], [1, 1 + 2**-23], 1, 1),
        ([np.nan, 1], [np.nan, 1], 0, 0),
        ([0.0, 1], [-0.0, 1], 0, 0),
    ],
)
def test_differences_are_counted_in_units_in_the_last_place(a, b, ulps, of_largest):
    found = _difference("x", np.array(a, np.float32), np.array(b, np.float32))
    assert (found.ulps, found.of_largest) == (ulps, of_largest)


@pytest.mark.parametrize("one", [np.nan, np.inf])
def test_a_number_that_is_not_finite_on_one_side_only_is_infinitely_far(one):
    found = _difference("x", np.array([one, 1], np.float32), np.array([1, 1], np.float32))
    assert (found.ulps, found.of_largest) == (np.inf, np.inf)


def test_a_network_without_parameters_can_be_compared(rows):
    assert tn.compare_backends(tn.Network(tn.ReLU()), rows[0], rows[1], "numpy", "numpy").first_difference is None
