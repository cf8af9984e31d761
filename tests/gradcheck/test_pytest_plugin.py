"""The pytest plugin, as a user sees it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
pytest_plugins = ["pytester"]

SUBJECTS = """
import numpy as np
import tinynet as tn

X = np.linspace(-1, 1, 12).reshape(4, 3)
T = np.array([0, 1, 2, 0])

def tanh_backward(dy, x):
    return dy * (1 - np.tanh(x) ** 2)

def wrong_backward(dy, x):
    return -tanh_backward(dy, x)

class Wrong(tn.Tanh):
    def backward(self, dy):
        return -super().backward(dy)

class WrongLoss(tn.MeanSquaredError):
    def backward(self):
        return -super().backward()
"""


@pytest.fixture
def run(pytester):
    """Return a function that runs a test file, and returns its result."""

    def run(code: str) -> pytest.RunResult:
        pytester.makepyfile(SUBJECTS + code)
        return pytester.runpytest("-p", "pytest_tinynet")

    return run


def test_every_setting_reaches_the_check():
    from pytest_tinynet import GradientCheck

    def recorded(*arguments, **settings):
        return [(arguments, settings)]

    names = ("gradient_check_function", "gradient_check_layer", "gradient_check_loss", "gradient_check")
    check = GradientCheck(SimpleNamespace(**dict.fromkeys(names, recorded)))
    settings = {"full": True, "seed": 1, "tolerance": 1e-3, "directions": 5}
    assert check(1, 2, 3, 4, **settings) == [((1, 2, 3, 4), settings)]
    assert check.layer(1, 2, **settings) == [((1, 2), settings)]
    assert check.loss(1, 2, 3, **settings) == [((1, 2, 3), settings)]
    assert check.network(1, 2, 3, **settings) == [((1, 2, 3, None), settings)]
    assert check.network(1, 2, 3, 4, **settings) == [((1, 2, 3, 4), settings)]


def text_of(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


def test_right_gradients_pass_and_the_report_is_returned(run):
    result = run(
        """
def test_all(gradcheck):
    assert len(gradcheck(np.tanh, tanh_backward, X)) == 3
    assert len(gradcheck(np.tanh, tanh_backward, X, full=True, seed=1)) == 12 + 3
    assert gradcheck.layer(tn.Dense(3, 2), X, full=True)
    assert gradcheck.loss(tn.MeanSquaredError(), X, X + 1, seed=2)
    assert gradcheck.network(tn.mlp(3, [4], 3), X, T)
    assert gradcheck.network(tn.mlp(3, [4], 3), X, T, tn.SoftmaxCrossEntropy(), full=True)
    assert repr(gradcheck) == "gradcheck"
"""
    )
    result.assert_outcomes(passed=1)


CALLS = [
    "gradcheck(np.tanh, wrong_backward, X)",
    "gradcheck.layer(Wrong(), X)",
    "gradcheck.loss(WrongLoss(), X, X + 1)",
    "gradcheck.network(tn.Network(tn.Dense(3, 3), Wrong()), X, X, tn.MeanSquaredError())",
]


def test_a_wrong_gradient_fails_with_the_report_and_no_code_of_the_plugin(run):
    result = run("".join(f"def test_{k}(gradcheck):\n    {call}\n\n" for k, call in enumerate(CALLS)))
    result.assert_outcomes(failed=len(CALLS))
    shown = text_of(result)
    assert [
        call for call in CALLS if f">       {call}\nE       AssertionError: gradient check FAILED: " not in shown
    ] == []
    assert shown.count("E       hint: the sign is wrong") == len(CALLS)
    assert "pytest_tinynet.py" not in shown


def test_an_error_of_a_check_is_shown_without_code_of_the_plugin(run):
    shown = text_of(run("def test_it(gradcheck):\n    gradcheck(np.tanh, lambda dy, x: (dy, dy), X)\n"))
    assert "E           ValueError: " in shown
    assert "pytest_tinynet.py" not in shown


def test_an_assertion_shows_the_whole_report_and_the_message_of_the_test(run):
    result = run(
        """
def check(scale=1):
    return tn.gradient_check_function(np.tanh, wrong_backward, scale * X)

def test_call():
    assert check()

def test_message():
    assert check(), "tanh is wrong"

def test_attribute():
    Wrong.report = check()
    assert Wrong.report

def test_two_reports():
    first, second = check(), check(2)
    assert second, f"first {first[0].numeric:.9g}, second {second[0].numeric:.9g}"
"""
    )
    result.assert_outcomes(failed=4)
    shown = text_of(result)
    report = (
        r"assert gradient check FAILED: 3 comparisons, 2 other checks, 3 failed.*\n"
        r"E         input 0 +3 x .*\nE .*\nE .*\n"
        r"E       worst: .*\nE       hint: the sign is wrong \(everywhere\)\n"
    )
    assert len(re.findall(report, shown)) == 4
    assert re.search(r"E       AssertionError: tanh is wrong\nE       " + report, shown)
    assert "\\n" not in shown


def test_other_assertions_are_left_as_they_are(run):
    result = run(
        """
def test_comparison():
    report = tn.gradient_check_layer(Wrong(), X)
    assert X.size == 13

def test_without_message():
    report = tn.gradient_check_layer(Wrong(), X)
    raise AssertionError

def test_not():
    report = tn.gradient_check_layer(Wrong(), X)
    assert not tn.gradient_check_layer(tn.Tanh(), X)
"""
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "E       assert 12 == 13",
            "E       AssertionError",
            "E       AssertionError: assert not gradient check passed: *",
        ]
    )
    assert "sign is wrong" not in text_of(result)


@pytest.mark.slow
def test_the_fixture_works_with_hypothesis(run):
    result = run(
        """
from hypothesis import given, settings
from tinynet.testing import arrays, shapes

@settings(max_examples=10, database=None, deadline=None)
@given(x=arrays(shapes(2, 2)))
def test_right(x, gradcheck):
    gradcheck(np.tanh, tanh_backward, x)

@settings(max_examples=10, database=None, deadline=None)
@given(x=arrays(shapes(2, 2)))
def test_wrong(x, gradcheck):
    gradcheck(np.tanh, wrong_backward, x)
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*hint: the sign is wrong*", "*array (1, 1) has layout 'C'", "*array(?[[]0.50195312]*"]
    )


UNUSED = """
import sys, pytest
assert pytest.main(["--collect-only", "-q", "-p", "pytest_tinynet", sys.argv[1]]) == 0
print("imported:", sorted({"pytest_tinynet", "tinynet", "numpy", "hypothesis"} & set(sys.modules)))
"""


def test_a_run_that_does_not_use_it_imports_neither_tinynet_nor_numpy(tmp_path):
    path = tmp_path / "test_nothing.py"
    path.write_text("def test_nothing(): pass\n")
    done = subprocess.run(
        [sys.executable, "-c", UNUSED, str(path)],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "imported: ['pytest_tinynet']"


def test_the_entry_point_has_the_name_of_its_module():
    """Then `-p pytest_tinynet` and the entry point load the plugin once."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["project"]["entry-points"]["pytest11"] == {"pytest_tinynet": "pytest_tinynet"}


@pytest.mark.slow
def test_the_wheel_holds_the_plugin_and_its_entry_point(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = [archive.read(name).decode() for name in names if name.endswith("/entry_points.txt")]
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"tinynet", "pytest_tinynet.py"}
    assert "[pytest11]\npytest_tinynet = pytest_tinynet" in entry_points
