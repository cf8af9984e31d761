"""The code of docs/howto/other_gradients.md runs, its checks pass, and they fail when a gradient is changed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "other_gradients.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
RIGHT = {
    "torch": "return dy * (s + x * s * (1 - s))",
    "jax": "return dy * s, (dy * (x * s - y)).sum() / beta",
    "cupy": "dx = dy / (size * size)",
}
WRONG = {
    "torch": "return dy * (s - x * s * (1 - s))",
    "jax": "return dy * s, (dy * (x * s + y)).sum() / beta",
    "cupy": "dx = dy / size",
}


def code(library: str) -> str:
    """Return the block of the page that imports the library."""
    (block,) = [block for block in BLOCKS if re.search(rf"^import {library}$", block, flags=re.MULTILINE)]
    return block


def printed(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def skip_without(library: str) -> None:
    pytest.importorskip(library, exc_type=ImportError)
    if library == "cupy":
        cupy = pytest.importorskip("cupy")
        if not cupy.cuda.is_available():
            pytest.skip("CuPy finds no GPU")


@pytest.mark.parametrize("library", RIGHT)
def test_the_code_of_the_page_passes_its_check(library: str) -> None:
    skip_without(library)
    assert "gradient check passed" in printed(code(library))


@pytest.mark.parametrize("library", RIGHT)
def test_a_wrong_gradient_in_the_code_of_the_page_fails(library: str) -> None:
    skip_without(library)
    assert RIGHT[library] in code(library)
    assert "gradient check FAILED" in printed(code(library).replace(RIGHT[library], WRONG[library]))


def test_the_test_on_the_page_is_a_test_of_the_code_above() -> None:
    skip_without("torch")
    (test,) = [block for block in BLOCKS if block.startswith("def test_")]
    name = re.match(r"def (\w+)", test)[1]
    printed(f"{code('torch')}\n{test}\n{name}()")
