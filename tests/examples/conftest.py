"""One run of the main example for all tests of this folder."""

from pathlib import Path

import pytest
from example_run import SMALL, run


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with two networks trained for one epoch, and what the run printed."""
    out = tmp_path_factory.mktemp("compared")
    return out, run("mnist_compare.py", *SMALL, "--out", out).stdout
