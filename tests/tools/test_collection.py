"""What `pytest` says: a GPU's tests to those who ask, and in one line that there is no browser."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def run_pytest(*arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("module", ["test_optim", "kernels/test_cupy"])
def test_a_gpus_tests_are_collected_for_those_who_ask(module):
    usual, asked = (run_pytest("--collect-only", f"tests/{module}.py", *more)[1] for more in ((), ("-m", "gpu")))
    names = [set(re.findall(r"::(\S.*)", text)) for text in (usual, asked)]
    assert len(names[0]) > 20
    assert len(names[1]) > 20
    assert not names[0] & names[1]
    assert "skipped" not in usual
    assert "deselected" not in usual


def without_browser(tmp_path: Path, **environment: str) -> tuple[int, str]:
    files = [f"tests/report/test_report_{name}.py" for name in ("layout", "table", "backprop")]
    tests = [*files, "-k", "sideways or sorts or one_row"]
    return run_pytest(*tests, PATH=str(tmp_path), **environment)


def test_without_a_browser_one_line_says_so(tmp_path):
    status, text = without_browser(tmp_path, TINYNET_NEEDS_BROWSER="")
    assert status == 0
    assert "\n3 tests need a browser and are left out: Chromium is missing: apt-get install chromium\n" in text
    assert "SKIPPED" not in text


def test_where_a_browser_is_needed_its_absence_fails(tmp_path):
    status, text = without_browser(tmp_path, TINYNET_NEEDS_BROWSER="1")
    assert status == 1
    assert "Chromium is missing" in text
