"""Random numbers: each is a pure function of (seed, purpose, counter). No global seed exists.

Weights and shuffles are drawn on the host by NumPy's generators. Dropout's bits come from an integer hash, which the
backend computes where the arrays live; it is equal on every backend, bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

WORD = 0xFFFFFFFF
GOLDEN = 0x9E3779B97F4A7C15


def generator(seed: int, purpose: str, counter: int = 0) -> np.random.Generator:
    """Return the host's generator for one purpose. Another purpose or counter gives independent numbers."""
    return np.random.default_rng([seed, *purpose.encode(), counter])


def random_key(seed: int, purpose: str) -> int:
    """Return the 64-bit random key of one purpose; fold_in makes a new key of it for each use."""
    return int(np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1, np.uint64)[0])


def fold_in(key: int, counter: int) -> tuple[int, int]:
    """Return two 32-bit words for use number `counter` of a key: the splitmix64 step, Steele, Lea and Flood 2014."""
    word = (key + (counter + 1) * GOLDEN) % 2**64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    word ^= word >> 31
    return word >> 32, word & WORD


def random_bits(xp: Any, size: int, key: tuple[int, int], first: int = 0) -> Any:
    """Return 32 random bits for each of `size` positions, counted from `first`: uint32 (size,).

    An invertible mix of the position (shift, xor and multiply, after Wellons' lowbias32), with one word of the
    key before it and one in its middle.
    """
    bits = xp.arange(first, first + size, dtype=xp.uint32)
    bits ^= key[0]
    bits ^= bits >> 16
    bits *= 0x7FEB352D
    bits += key[1]
    bits ^= bits >> 15
    bits *= 0x846CA68B
    bits ^= bits >> 16
    return bits
