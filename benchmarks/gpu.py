"""The eight networks and one for pictures on a GPU: microseconds per training step, in one interleaved run.

    python benchmarks/gpu.py               needs backend("cupy"), and PyTorch and JAX with CUDA to compare with

As frameworks.py, but everything lives on the GPU. "empty kernels" launches as many kernels as a step of ours has, in a
graph, and computes nothing: the floor. The network for pictures is that of pictures.py. At the end, the main job from
start to finish.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from arena import RECIPES, Times, compare
from frameworks import losses, microseconds, ratios
from peers_gpu import NETWORKS, PICTURES
from pictures import RECIPE, ROWS
from report import RESULTS, write_section

import tinynet as tn

OURS = "tinynet cupy"
TITLE = "gpu.py: microseconds per training step on a GPU"
MAIN_JOB = Path(__file__).parent.parent / "examples" / "mnist_compare.py"


def main() -> int:
    options = parse_options()
    try:
        gpu = tn.backend("cupy").describe()
    except ImportError as error:
        return not_measured(str(error))
    networks = {name: compare(list(NETWORKS), RECIPES[name], 32_000, options.rounds, "peers_gpu") for name in RECIPES}
    pictures = {"pictures": compare(list(PICTURES), RECIPE, ROWS, options.rounds, "peers_gpu")}
    text = [*tables(networks, OURS), *tables(pictures, next(iter(PICTURES)))]
    present = {name for times in (networks, pictures) for name in next(iter(times.values()))}
    absent = [name for name in (*NETWORKS, *PICTURES) if name not in present]
    seconds = f"The main job with `--backend cupy --jobs 1`, from start to finish: {main_job():.1f} s."
    without = f" Not to be had on this GPU: {', '.join(absent)}." if absent else ""
    write_section(TITLE, "\n\n".join([*text, f"Medians of {options.rounds} epochs. {gpu}.{without}", seconds]))
    return 0


def tables(times: dict[str, dict[str, Times]], ours: str) -> list[str]:
    """Microseconds, how many times as fast ours is, and losses."""
    present = list(next(iter(times.values())))
    trained = [name for name in present if name != "empty kernels"]
    return [microseconds(times, present), ratios(times, present, [ours]), losses(times, trained)]


def not_measured(reason: str) -> int:
    """Says so, in RESULTS.md too as long as it has no figures of a GPU."""
    print(reason, file=sys.stderr)
    if not RESULTS.exists() or TITLE not in RESULTS.read_text():
        write_section(TITLE, f"Not measured: no GPU was at hand. Nothing is claimed. ({reason})")
    return 2


def main_job() -> float:
    """Seconds that it takes, all eight networks one after the other."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, str(MAIN_JOB), "--backend", "cupy", "--jobs", "1", "--out", out]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
