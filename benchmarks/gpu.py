"""The eight networks and a convolutional network on a GPU: microseconds per training step, all frameworks in turn.

    python benchmarks/gpu.py               needs backend("cupy"), and PyTorch and JAX with CUDA to compare with

Like frameworks.py, with all arrays on the GPU. "empty kernels" launches as many empty kernels as a step of tinynet has,
in a graph: the floor. The convolutional network is that of pictures.py. At the end, the main job is timed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from arena import SETTINGS, Times, compare
from frameworks import losses, microseconds, ratios
from peers_gpu import NETWORKS, PICTURES
from pictures import NETWORK, ROWS
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
    networks = {name: compare(list(NETWORKS), SETTINGS[name], 32_000, options.rounds, "peers_gpu") for name in SETTINGS}
    pictures = {"pictures": compare(list(PICTURES), NETWORK, ROWS, options.rounds, "peers_gpu")}
    text = [*tables(networks, OURS), *tables(pictures, next(iter(PICTURES)))]
    present = {name for times in (networks, pictures) for name in next(iter(times.values()))}
    absent = [name for name in (*NETWORKS, *PICTURES) if name not in present]
    seconds = f"The main job with `--backend cupy --jobs 1`, from start to finish: {main_job():.1f} s."
    without = f" Not installed, or without this GPU: {', '.join(absent)}." if absent else ""
    write_section(TITLE, "\n\n".join([*text, f"Medians of {options.rounds} epochs. {gpu}.{without}", seconds]))
    return 0


def tables(times: dict[str, dict[str, Times]], ours: str) -> list[str]:
    """Return tables of microseconds, of how many times as fast ours is, and of losses."""
    present = list(next(iter(times.values())))
    trained = [name for name in present if name != "empty kernels"]
    return [microseconds(times, present), ratios(times, present, [ours]), losses(times, trained)]


def not_measured(reason: str) -> int:
    """Print the reason, and write it into RESULTS.md if that has no figures of a GPU. Return the exit status."""
    print(reason, file=sys.stderr)
    if not RESULTS.exists() or TITLE not in RESULTS.read_text():
        write_section(TITLE, f"Not measured: no GPU was available ({reason}).")
    return 2


def main_job() -> float:
    """Return the seconds of the main job with one network at a time."""
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
