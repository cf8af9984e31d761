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
    name: (r.hidden, r.batch, r.dropout) for name, r in mnist_compare.NETWORKS.items()
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
