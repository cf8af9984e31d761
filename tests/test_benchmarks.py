"""The benchmarks measure the networks of the main job, and their contestants really train."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(code: str) -> None:
    paths = f"import sys; sys.path[:0] = [{str(ROOT / 'examples')!r}, {str(ROOT / 'benchmarks')!r}]\n"
    done = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_recipes_are_those_of_the_main_job() -> None:
    run("""
import arena, mnist_compare
assert {name: (r.hidden, r.batch, r.dropout) for name, r in arena.RECIPES.items()} == {
    name: (r.hidden, r.batch_size, r.dropout) for name, r in mnist_compare.NETWORKS.items()
}
""")


def test_our_contestants_train() -> None:
    run("""
import numpy as np, peers
draw = np.random.default_rng(0)
x, labels = draw.integers(0, 256, (320, 784)).astype(np.uint8), draw.integers(0, 10, 320)
for peer in (peers.tinynet_numba, peers.tinynet_numpy):
    epoch = peer(peers.Recipe((12, 8), 32, (0.1,)), x, labels)
    losses = [epoch() for _ in range(20)]
    assert losses[-1] < losses[0]
""")


def test_contestants_on_pictures_train_the_same_network() -> None:
    run("""
import numpy as np, peers, peers_pictures
draw = np.random.default_rng(0)
x, labels = draw.integers(0, 256, (64, 784)).astype(np.uint8), draw.integers(0, 10, 64)
recipe, losses = peers.Recipe((3, 4), 64), []
for name in ("tinynet numba", "tinynet numpy", "JAX step, NCHW", "JAX step, NHWC"):
    epoch = peers_pictures.PEERS[name](recipe, x, labels)
    losses.append([epoch() for _ in range(4)])
np.testing.assert_allclose(losses, [losses[0]] * 4, rtol=1e-3)
assert losses[0][-1] < losses[0][0]
""")


def test_every_contestant_is_a_dot_of_its_own_color() -> None:
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


def test_the_busy_program_is_there_as_long_as_it_should_be_and_cores_are_given_back() -> None:
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
found = neighbor.row("a", {"alone": 2.0, "alone on one core": 4.0, "beside a busy loop": 6.0})
assert (found["beside / alone"], found["beside / alone on one core"]) == ("3.00", "1.50")
""")
