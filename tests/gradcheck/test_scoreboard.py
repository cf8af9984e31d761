"""benchmarks/gradchecks.py: every contestant accepts right gradients and rejects wrong ones, and the scores add up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATHS = [str(ROOT / "benchmarks"), str(ROOT / "tests")]
CASES = """
import numpy as np
import tinynet as tn
from gradcheck.corpus import Case
from tinynet import functions

draw = np.random.default_rng(1)
x, t = draw.normal(size=(6, 4)), np.arange(6) % 3


class Scale(tn.Layer):
    def __init__(self, factor):
        self.factor = factor

    def shapes(self):
        return {"s": (4,)}

    def forward(self, x, train=False):
        self.memory = x if train else None
        return x * (self.s + 1)

    def backward(self, dy):
        self.ds[...] = self.factor * (dy * self.recall()).sum(axis=0)
        return dy * (self.s + 1)


class Scaled(tn.MeanSquaredError):
    def __init__(self, factor):
        self.factor = factor

    def backward(self):
        return self.factor * super().backward()


def rows_times(factor):
    backward = lambda dy, x, index, a: (factor * a * np.eye(6)[index].T @ dy, None, float((dy * x[index]).sum()))
    return (lambda x, index, a: a * x[index]), backward, (x, np.array([1, 2, 2]), 0.5)


def network(factor):
    return tn.Network(tn.BatchNorm(4), tn.Dense(4, 4), tn.Dropout(0.2), Scale(factor), tn.Dense(4, 3))


def case(level, factor):
    make = {
        "function": lambda: rows_times(factor),
        "layer": lambda: (Scale(factor), x),
        "loss": lambda: (Scaled(factor), x, x[::-1].copy()),
        "network": lambda: (network(factor), x, t, None),
    }
    return Case("a name", "a kind", level, make[level], "the sign is wrong" if factor == -1 else "")


LEVELS = ("function", "layer", "loss", "network")
"""


def run(code: str) -> str:
    paths = f"import sys; sys.path[:0] = {PATHS!r}\n"
    done = subprocess.run([sys.executable, "-c", paths + CASES + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["tinynet", "PyTorch", "PyTorch, fast_mode", "JAX", "autograd", "Chainer"])
def test_every_contestant_accepts_right_gradients_and_rejects_a_wrong_sign(name: str) -> None:
    printed = run(f"""
import gradchecks, peers_gradchecks
name = {name!r}
if reason := peers_gradchecks.missing(name):
    print("does not run here:", reason)
    raise SystemExit
for level in LEVELS:
    right, wrong = (gradchecks.outcome(name, case(level, factor), factor == -1) for factor in (1, -1))
    assert right.passed, (level, right.message)
    assert not wrong.passed, level
""")
    if printed:
        pytest.skip(printed.strip())


def test_the_list_of_contestants_is_complete() -> None:
    run("""
import peers_gradchecks
assert list(peers_gradchecks.PEERS) == ["tinynet", "PyTorch", "PyTorch, fast_mode", "JAX", "autograd", "Chainer"]
assert list(peers_gradchecks.MODULES) == list(peers_gradchecks.PEERS)
""")


def test_the_scores_count_what_the_checks_said() -> None:
    run("""
import gradchecks, pathlib, charts
from matplotlib.figure import Figure

wrong, right = case("layer", -1), case("layer", 1)
found = gradchecks.compare(["tinynet"], [wrong], [right])["tinynet"]
assert [outcome.is_miss for outcome in found] == [False, False]
blind = [gradchecks.Outcome(wrong, True, 3.0, True), gradchecks.Outcome(right, False, 1.0, False, "a reason")]
scores = {"tinynet": gradchecks.score(found), "blind": gradchecks.score(blind)}
assert scores["tinynet"][:3] == ((1, 1), (1, 1), (1, 1))
assert scores["blind"] == ((0, 1), (0, 1), (0, 1), 2.0)
assert gradchecks.misses("blind", blind) == [
    "blind accepts wrong layer a name (a kind)", "blind rejects right layer a name (a kind): a reason"
]
assert gradchecks.table(scores, {"Chainer": "a reason"}).count("does not run") == 4
kept, Figure.savefig = [], lambda figure, path: kept.append(figure)
charts.gradient_checks(scores, pathlib.Path("unused.png"))
shares, times = kept[0].axes
assert [label.get_text() for label in shares.get_yticklabels()] == ["tinynet", "blind"]
assert [line.get_xdata()[0] for line in times.lines][1] == 2000
""")


def test_the_modules_of_the_corpus_are_found() -> None:
    run("""
import gradchecks, importlib, pkgutil
import gradcheck.corpus as corpus
found = {"wrong": [], "right": []}
for module in pkgutil.iter_modules(corpus.__path__):
    if module.name[:5] in found:
        found[module.name[:5]] += importlib.import_module(f"gradcheck.corpus.{module.name}").CASES
assert found == {name: gradchecks.corpus(name) for name in found}
""")
