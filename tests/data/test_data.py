"""The embedded MNIST and its split."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from tinynet import data

CHECKSUMS = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_mnist_is_the_original(name):
    array = getattr(data.mnist(), name)
    assert array.dtype == np.uint8
    assert hashlib.sha256(array.tobytes()).hexdigest() == CHECKSUMS[name]


def test_mnist_shapes():
    shapes = [array.shape for array in data.mnist()]
    assert shapes == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]


def test_split_sizes():
    split = data.mnist_split()
    assert [len(array) for array in split] == [32_000, 32_000, 10_000, 10_000, 28_000, 28_000]
    assert {array.shape[1:] for array in split} == {(784,), ()}
    assert {array.dtype for array in split} == {np.dtype(np.uint8)}


def test_split_contains_every_digit_once_with_its_label():
    digits, split = data.mnist(), data.mnist_split(5)
    whole = digits.x_train, digits.y_train, digits.x_test, digits.y_test
    assert labeled(*split) == labeled(*whole)


def test_split_follows_its_seed():
    first, again, other = data.mnist_split(1), data.mnist_split(1), data.mnist_split(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.y_train, other.y_train)


def test_split_has_similar_class_shares_in_all_sets():
    split = data.mnist_split()
    shares = [np.bincount(y, minlength=10) / len(y) for y in (split.y_train, split.y_val, split.y_test)]
    assert np.ptp(shares, axis=0).max() < 0.015


def labeled(*arrays):
    pairs = zip(arrays[::2], arrays[1::2], strict=True)
    return Counter(digit.tobytes() + bytes([label]) for x, y in pairs for digit, label in zip(x, y, strict=True))
