"""The benchmarks measure the networks of the main job, and their contestants train."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(code: str) -> None:
    paths = f"import sys; sys.path[:0] = [{str(ROOT / 'examples')!r}, {str(ROOT / 'benchmarks')!r}]\n"
    done = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_networks_are_those_of_the_main_job() -> None:
    run("""
import arena, mnist_compare
assert {name: (s.batch, s.dropout) for name, s in arena.SETTINGS.items()} == {
    name: (s.batch_size, s.dropout) for name, s in mnist_compare.NETWORKS.items()
}
assert all(name == "x".join(map(str, [*s.hidden, 10])) for name, s in arena.SETTINGS.items())
""")


def test_our_contestants_train() -> None:
    run("""
import numpy as np, peers
draw = np.random.default_rng(0)
x, labels = draw.integers(0, 256, (320, 784)).astype(np.uint8), draw.integers(0, 10, 320)
for name in ("tinynet numba", "tinynet numpy-fast", "tinynet numpy"):
    epoch = peers.PEERS[name](peers.Settings((12, 8), 32, (0.1,)), x, labels)
    losses = [epoch() for _ in range(20)]
    assert losses[-1] < losses[0]
""")


def test_contestants_on_pictures_train_the_same_network() -> None:
    run("""
import numpy as np, peers, peers_pictures
draw = np.random.default_rng(0)
x, labels = draw.integers(0, 256, (64, 784)).astype(np.uint8), draw.integers(0, 10, 64)
settings, losses = peers.Settings((3, 4), 64), []
for name in ("tinynet numba", "tinynet numpy-fast", "tinynet numpy", "JAX step, NCHW", "JAX step, NHWC"):
    epoch = peers_pictures.PEERS[name](settings, x, labels)
    losses.append([epoch() for _ in range(4)])
np.testing.assert_allclose(losses, [losses[0]] * 5, rtol=1e-3)
assert losses[0][-1] < losses[0][0]
""")


def test_every_contestant_is_a_dot_in_the_chart() -> None:
    run("""
import pathlib, charts, peers
from arena import Times
from frameworks import FLOOR
from matplotlib.figure import Figure

def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]

assert set(peers.PEERS) - set(charts.COLORS) == {FLOOR}
kept, Figure.savefig = [], lambda figure, path: kept.append(figure)
times = {"12x8x10": {name: Times(1, [k + 1.0]) for k, name in enumerate(peers.PEERS)}}
charts.against_floor(times, FLOOR, pathlib.Path("unused.png"))
assert labels(kept[0]) == list(charts.COLORS)
floor = 1 + list(peers.PEERS).index(FLOOR)
dots = {line.get_label(): line.get_xdata()[0] for line in kept[0].axes[0].lines}
assert dots["tinynet numba"] == 1 / floor and dots["Keras"] == (1 + list(peers.PEERS).index("Keras")) / floor
""")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs CPU affinity")
def test_the_busy_program_ends_and_the_cores_are_restored() -> None:
    run("""
import multiprocessing, os, busy_neighbor as neighbor
neighbor.NAMES = ["tinynet numpy"]
before = os.sched_getaffinity(0)
with neighbor.busy_program() as process:
    assert process.poll() is None
assert process.poll() is not None
(one,) = neighbor.contestants({min(before)}).values()
assert os.sched_getaffinity(0) == before
(child,) = multiprocessing.active_children()
assert os.sched_getaffinity(child.pid) == {min(before)}
found = neighbor.row("a", {"alone": 2.0, "alone on one core": 4.0, "with a busy program": 6.0})
assert (found["busy / alone"], found["busy / alone on one core"]) == ("3.00", "1.50")
""")
