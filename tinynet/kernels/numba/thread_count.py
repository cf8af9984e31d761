"""How many threads to use: the most that make sense, and the number that is fastest at the moment."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from numba.core import config


def most_threads() -> int:
    """Return the largest power of two up to 8 and NUMBA_NUM_THREADS, by default the cores of this process."""
    cores: int = vars(config)["NUMBA_NUM_THREADS"]
    return 1 << min(cores, 8).bit_length() - 1


class FastestThreads:
    """Search for the number of threads that takes the least time for a row.

    It takes the number with the lowest estimate. An estimate is the last measured time. It shrinks with every later
    measurement, so that every number is tried again from time to time.
    """

    SHRINK = 0.8

    def __init__(self) -> None:
        numbers = [2**k for k in reversed(range(most_threads().bit_length()))]
        self.seconds = dict.fromkeys(numbers, math.inf)
        self.estimates = dict.fromkeys(numbers, 0.0)

    def next(self) -> tuple[int, bool]:
        """Return a number of threads, and True if it is a trial: another number was faster when last measured.

        The first number is the largest.
        """
        threads = min(self.estimates, key=lambda number: self.estimates[number])
        return threads, self.seconds[threads] > min(self.seconds.values())

    @contextmanager
    def timed(self, threads: int, rows: int) -> Iterator[None]:
        """Measure the time of the block, in which that many threads compute that many rows."""
        start = time.perf_counter()
        yield
        self.estimates = {number: self.SHRINK * seconds for number, seconds in self.estimates.items()}
        self.seconds[threads] = self.estimates[threads] = (time.perf_counter() - start) / rows
