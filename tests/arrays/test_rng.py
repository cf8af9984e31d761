"""rng.py: pinned numbers, streams that share nothing, and bits that look like coin tosses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tinynet.arrays import rng

# ---------------------------------------------------------------------- pinned: a change of stream changes these

PERMUTATION = [2, 1, 5, 0, 7, 3, 6, 4]
NORMALS = [-0.45643284018540975, -0.7562219989438395, 0.5293168959891428]
STREAM = 0x2A3A5EECC1EEEF6F
KEY = (0x4B3EFE02, 0xD497FBE6)
LATER_KEY = (0xEE4DF5A5, 0xEBC69994)
BITS = [0x9D4F7D7B, 0x6C4DE2D, 0x8BB16E0C, 0xCB58B000]


def test_the_hosts_generator_is_pinned():
    assert rng.generator(0, "shuffle", 0).permutation(8).tolist() == PERMUTATION
    assert rng.generator(7, "layer 2").normal(size=3).tolist() == NORMALS


def test_streams_and_keys_are_pinned():
    assert rng.random_key(0, "layer 0") == STREAM
    assert rng.fold_in(STREAM, 0) == KEY
    assert rng.fold_in(STREAM, 12345) == LATER_KEY


def test_random_bits_are_pinned():
    assert rng.random_bits(np, 4, KEY).tolist() == BITS


# ------------------------------------------------------------------------------------------- the two formulas


def test_stream_key_is_splitmix64():
    """The generator's first words from state 0, as its authors' program prints them."""
    words = [high << 32 | low for high, low in (rng.fold_in(0, counter) for counter in range(4))]
    assert words == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]


def test_random_bits_without_a_key_are_lowbias32():
    def lowbias32(x: int) -> int:
        x = (x ^ x >> 16) * 0x7FEB352D % 2**32
        x = (x ^ x >> 15) * 0x846CA68B % 2**32
        return x ^ x >> 16

    assert rng.random_bits(np, 1000, (0, 0)).tolist() == [lowbias32(x) for x in range(1000)]


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_random_bits_are_uint32_and_begin_alike_at_every_size(size):
    bits = rng.random_bits(np, size, KEY)
    assert bits.dtype == np.uint32
    assert np.array_equal(bits, rng.random_bits(np, 2000, KEY)[:size])


def test_random_bits_ask_an_array_namespace_for_nothing_but_arange_and_uint32():
    namespace = SimpleNamespace(arange=np.arange, uint32=np.uint32)
    assert np.array_equal(rng.random_bits(namespace, 100, KEY), rng.random_bits(np, 100, KEY))


# ------------------------------------------------------------------------------------------------ independence

ORIGIN = (0, "layer 1", 0)
OTHERS = [(1, "layer 1", 0), (0, "layer 2", 0), (0, "layer 10", 0), (0, "shuffle", 0), (0, "layer 1", 1)]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """In standard deviations of what independent numbers would show."""
    return abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(a.size)


def test_a_generator_is_a_function_of_seed_purpose_and_counter():
    assert np.array_equal(rng.generator(*ORIGIN).random(9), rng.generator(*ORIGIN).random(9))


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_generators_of_another_seed_purpose_or_counter_are_unrelated(other):
    assert correlation(rng.generator(*ORIGIN).random(10_000), rng.generator(*other).random(10_000)) < 4


def device_bits(seed: int, purpose: str, counter: int, size: int = 2**14) -> np.ndarray:
    return rng.random_bits(np, size, rng.fold_in(rng.random_key(seed, purpose), counter))


def test_a_thousand_keys_are_a_thousand_keys():
    streams = [rng.random_key(seed, f"layer {k}") for seed in range(10) for k in range(10)]
    assert len({rng.fold_in(stream, counter) for stream in streams for counter in range(10)}) == 1000


# -------------------------------------------------------------------------------------------------- uniformity

STEPS = np.stack([device_bits(0, "layer 1", counter) for counter in range(64)])
"""What one layer draws in 64 steps: (64, 16384)."""


def kept(rate: float) -> np.ndarray:
    return rate * 2**32 <= STEPS


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5])
def test_masks_of_different_steps_are_uncorrelated(rate):
    """2,016 pairs of steps: none beyond 5 standard deviations, and together with a variance of 1."""
    deviations = np.corrcoef(kept(rate))[np.triu_indices(64, 1)] * np.sqrt(STEPS.shape[1])
    assert abs(deviations).max() < 5
    assert deviations.var() == pytest.approx(1, abs=4 * np.sqrt(2 / deviations.size))


@pytest.mark.parametrize("distance", [1, 2, 28, 60, 120, 240, 480, 784, 1024])
def test_neighbors_in_a_row_and_in_a_column_are_uncorrelated(distance):
    mask = kept(0.25)
    assert correlation(mask[:, distance:].ravel(), mask[:, :-distance].ravel()) < 4
