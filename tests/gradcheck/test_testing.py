"""The Hypothesis strategies of tinynet.testing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import tinynet as tn
from tinynet.testing import LAYOUTS, arrays, dtypes, in_layout, layouts, shapes

few = settings(max_examples=30, deadline=None, database=None)


@few
@given(x=arrays())
def test_numbers_are_moderate_and_far_from_zero_and_from_each_other(x):
    numbers = np.sort(x, axis=None)
    assert abs(x).max() <= 4
    assert abs(x).min() >= 1 / 512
    assert (np.diff(numbers) >= 1 / 256).all()


@few
@given(x=arrays(low=0, high=2))
def test_low_and_high_are_limits(x):
    assert x.min() > 0
    assert x.max() < 2


def test_ties_are_found_and_zeros_too():
    tied = find(arrays((3,), ties=True), lambda x: len(np.unique(x)) < 3)
    assert tied.tolist() == [0, 0, 0]
    assert find(arrays((2,), ties=True), lambda x: x.all() and np.isfinite(x).all()).size == 2


def test_arguments_are_values_or_strategies():
    x = find(arrays((2, 3), "float32", "Fortran"), lambda x: True)
    assert (x.shape, x.dtype, x.flags.f_contiguous) == ((2, 3), np.float32, True)
    x = find(arrays(st.just((5,)), st.just("float64"), st.just("read-only")), lambda x: True)
    assert (x.shape, x.dtype, x.flags.writeable) == ((5,), np.float64, False)


def test_the_simplest_array_is_far_from_a_flat_part():
    assert find(arrays(), lambda x: True).tolist() == [257 / 512]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_dtype_and_layout_is_found(dtype):
    assert find(dtypes(), lambda found: found == dtype) == dtype
    assert {find(layouts(), lambda found, name=name: found == name) for name in LAYOUTS} == set(LAYOUTS)


@few
@given(shape=shapes(2, 3, min_side=2, max_side=5))
def test_shapes_keep_their_limits(shape):
    assert len(shape) in (2, 3)
    assert {2, 3, 4, 5} >= set(shape)


IS_IN_LAYOUT = {
    "C": lambda x: x.flags.c_contiguous and not x.flags.f_contiguous,
    "Fortran": lambda x: x.flags.f_contiguous and not x.flags.c_contiguous,
    "strided": lambda x: x.strides == (6 * x.itemsize, 2 * x.itemsize),
    "reversed": lambda x: x.strides == (-3 * x.itemsize, -x.itemsize),
    "read-only": lambda x: x.flags.c_contiguous and not x.flags.writeable,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_a_layout_keeps_numbers_shape_and_dtype(layout, dtype):
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    y = in_layout(x, layout)
    np.testing.assert_array_equal(x, y, strict=True)
    assert not np.shares_memory(x, y)
    assert IS_IN_LAYOUT[layout](y)
    assert y.flags.writeable == (layout != "read-only")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0, 3)], ids=str)
def test_a_number_and_an_empty_array_have_layouts_too(layout, shape):
    x = np.full(shape, 0.5)
    np.testing.assert_array_equal(x, in_layout(x, layout), strict=True)


def test_the_gaps_of_a_strided_array_hold_nan():
    assert np.isnan(in_layout(np.ones(3), "strided").base[:, 1]).all()


def test_an_unknown_layout_is_refused():
    with pytest.raises(ValueError, match=r"^in_layout: expected one of C, .*read-only, got 'F'$"):
        in_layout(np.ones(3), "F")


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("low", "high"), [(1, -1), (0.1, 0.101)])
def test_limits_without_a_number_between_them_are_refused(low, high, ties):
    with pytest.raises(InvalidArgument):
        find(arrays(low=low, high=high, ties=ties), lambda x: True)


@few
@given(x=arrays((4, 3, 16, 16), ties=True, low=-1, high=2))
def test_ties_are_halves_in_large_arrays_too(x):
    assert set(x.flat) <= {-1, -0.5, 0, 0.5, 1, 1.5, 2}


@few
@given(x=arrays(shapes(2, 2)))
def test_the_example_of_the_docstring(x):
    assert tn.gradient_check_layer(tn.GELU(), x)
    network = tn.Network(tn.GELU(), dtype=x.dtype)
    y = network.forward(x)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, network.forward(np.array(x, order="C")))


def test_without_hypothesis_the_error_says_what_to_install(monkeypatch):
    for name in ("tinynet.testing", "tinynet.testing.strategies"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r'^this needs hypothesis: pip install "tinynet-from-scratch\[testing\]"$'):
        import tinynet.testing  # noqa: F401


def test_tinynet_does_not_import_hypothesis():
    code = "import sys, tinynet; print({'hypothesis', 'pytest', 'tinynet.testing'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
