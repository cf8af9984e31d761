"""The main example writes files atomically, and every failure has a clear message."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import tinynet as tn

MAIN = Path(__file__).parents[2] / "examples" / "mnist_compare.py"
NETWORK = "12x8x10.npz"
WRITTEN = ["results.md", "results.csv", "report.html"]
WRITTEN += [f"{picture}.png" for picture in ("curves", "predictions", "mistakes", "weights", "confusion")]
"""In the order in which they are written, after the network."""

OLD = b"of the run before"


def command(out: Path, *options: str, models: tuple[str, ...] = ("12x8x10",)) -> list[str]:
    return [sys.executable, str(MAIN), "--models", *models, "--epochs", "1", "--out", str(out), *options]


def run(arguments: list[str], before: Callable[[], object] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False, preexec_fn=before)


def in_shell(arguments: list[str], line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of Bash with the command as "$@"."""
    return run(["bash", "-c", line, "bash", *arguments])


def started(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} was not written"
        time.sleep(0.005)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def assert_complete(folder: Path, networks: tuple[str, ...] = (NETWORK,)) -> None:
    """Check that all files can be read, and that there are no others."""
    assert names(folder) == {*networks, *WRITTEN}
    for network in networks:
        tn.load(folder / network)
    assert len(pd.read_csv(folder / "results.csv")) == len(networks)
    assert (folder / "results.md").read_text().endswith("|\n")
    assert (folder / "report.html").read_text().rstrip().endswith("</html>")
    for picture in folder.glob("*.png"):
        with Image.open(picture) as image:
            image.load()


@pytest.fixture
def trained(compared: tuple[Path, str], tmp_path: Path) -> Path:
    """A folder with a trained network and old versions of the other files."""
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(compared[0] / NETWORK, out)
    for name in WRITTEN:
        (out / name).write_bytes(OLD)
    return out


def assert_new_up_to(stop: str, folder: Path) -> None:
    """Check that the files before `stop` are new, all others old, and that there are no further files."""
    assert names(folder) == {NETWORK, *WRITTEN}
    is_old = [(folder / name).read_bytes() == OLD for name in WRITTEN]
    assert is_old == [k >= WRITTEN.index(stop) for k in range(len(WRITTEN))]
    tn.load(folder / NETWORK)


# ------------------------------------------------------------------------------------------------- full disks


def at_most(size: int) -> Callable[[], None]:
    """Limit the size of files of this process and its children, with an error instead of a signal."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (100, "results.md"),
        pytest.param(300_000, "report.html", marks=pytest.mark.slow),
        pytest.param(700_000, "predictions.png", marks=pytest.mark.slow),
    ],
)
def test_a_file_that_does_not_fit_is_named_and_unchanged(trained: Path, size: int, name: str) -> None:
    done = run(command(trained), at_most(size))
    assert done.returncode == 2
    assert done.stderr == f"error: {trained / name}: File too large\n"
    assert_new_up_to(name, trained)


def test_a_network_that_does_not_fit_leaves_the_one_before(trained: Path) -> None:
    before = (trained / NETWORK).read_bytes()
    done = run(command(trained, "--retrain"), at_most(1_000))
    assert done.returncode == 2
    assert done.stderr == f"error: {trained / NETWORK}: cannot be written: File too large\n"
    assert (trained / NETWORK).read_bytes() == before
    assert_new_up_to("results.md", trained)


# ------------------------------------------------------------------------------------------- folders that fail


def obey_permissions() -> None:
    """Apply file permissions to root too, by dropping CAP_DAC_OVERRIDE."""
    drop_from_bounding_set, dac_override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


def test_a_folder_that_is_read_only(trained: Path) -> None:
    trained.chmod(0o555)
    done = run(command(trained), obey_permissions)
    assert (done.returncode, done.stderr) == (2, f"error: {trained / 'results.md'}: Permission denied\n")
    assert_new_up_to("results.md", trained)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(OLD)
    done = run(command(file))
    assert (done.returncode, done.stderr) == (2, f"error: {file}: File exists\n")
    assert file.read_bytes() == OLD


@pytest.mark.slow
def test_two_at_once_in_one_folder(tmp_path: Path) -> None:
    models = ("12x8x10", "480x240x120x60x10")  # the large one saves checkpoints
    both = [started(command(tmp_path, models=models)) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    assert_complete(tmp_path, tuple(f"{model}.npz" for model in models))


# ----------------------------------------------------------------------------------- streams, signals, the clock


def test_a_reader_that_stops_reading(trained: Path) -> None:
    done = in_shell(command(trained), '"$@" 2>&1 | head -1; exit ${PIPESTATUS[0]}')
    assert done.returncode == 128 + signal.SIGPIPE
    assert done.stdout.splitlines() == ["1 of 1 networks are saved and loaded; --retrain trains anew"]
    assert done.stderr == ""
    assert names(trained) == {NETWORK, *WRITTEN}


def test_a_reader_that_is_gone_before_the_first_line(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command(tmp_path), stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
    assert names(tmp_path) == set()


def test_full_standard_output(tmp_path: Path) -> None:
    done = in_shell(command(tmp_path), '"$@" > /dev/full')
    assert done.returncode == 2
    assert done.stderr == "error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.slow
def test_streams_that_are_closed(tmp_path: Path, closed: str) -> None:
    done = in_shell(command(tmp_path), f'exec "$@" {closed}')
    assert (done.returncode, done.stderr) == (0, "")
    assert_complete(tmp_path)


@pytest.mark.parametrize("pause", [0.02, 0.3])
@pytest.mark.parametrize("ended", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slow
def test_signals_while_pictures_are_drawn(trained: Path, ended: signal.Signals, pause: float) -> None:
    (trained / "results.csv").unlink()
    process = subprocess.Popen(
        command(trained),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(trained / "results.csv")
    time.sleep(pause)  # processes start, import and draw
    os.killpg(process.pid, ended) if ended is signal.SIGINT else process.send_signal(ended)
    _, errors = process.communicate(timeout=30)  # returns when every process has closed its stderr
    if ended is not signal.SIGKILL:
        goes_on = "Stopped. Finished and saved: 12x8x10. The same command continues with the others."
        assert (process.returncode, errors.strip()) == (130, goes_on)
    assert names(trained) == {NETWORK, *WRITTEN}
    assert (trained / "confusion.png").read_bytes() == OLD


BACKWARDS = """
import itertools, time
def set_back(clock, calls=itertools.count()):
    return lambda: clock() - 3600 * next(calls)
time.time = set_back(time.time)  # the other clocks cannot be set
"""


@pytest.mark.slow
def test_a_clock_that_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(BACKWARDS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = run(command(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert_complete(tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "results.csv")["seconds"].item() > 0


# ------------------------------------------------------------------------------------------------------ memory


@pytest.mark.slow
def test_memory_that_is_not_enough_for_the_digits(trained: Path) -> None:
    most = 200 * 2**20
    done = run(command(trained), lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)))
    assert done.returncode == 2, done.stderr
    assert "error: not enough memory: Unable to allocate" in done.stderr
    assert "Traceback" not in done.stderr
    assert_new_up_to("results.md", trained)


# --------------------------------------------------------------------------------------------------- rare cases


ON_A_DISK = """
disk=$1 kib=$2 start=$3 seen=$4; shift 4
mount -t tmpfs -o size=${kib}k tmpfs $disk && cp $start/* $disk || exit 99
"$@"; status=$?
cp -a $disk/. $seen; exit $status
"""


def in_memory(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


def assert_too_little_to_compare(folder: Path, stderr: str) -> None:
    """Check a run that trained but ran out of memory later: the network is saved, and every file complete or absent."""
    assert stderr.startswith("error: not enough memory")
    assert "Traceback" not in stderr
    tn.load(folder / NETWORK)
    assert names(folder) <= {NETWORK, *WRITTEN}


@pytest.fixture
def finished(compared: tuple[Path, str]) -> Path:
    """The folder of a successful run."""
    return compared[0]


@pytest.mark.slow
def test_the_same_command_continues_after_a_full_disk(trained: Path) -> None:
    before = (trained / NETWORK).stat().st_mtime_ns
    assert run(command(trained), at_most(100)).returncode == 2
    done = run(command(trained))
    assert done.returncode == 0, done.stderr
    assert "1 of 1 networks are saved and loaded" in done.stdout
    assert (trained / NETWORK).stat().st_mtime_ns == before
    assert_complete(trained)


@pytest.mark.slow
@pytest.mark.parametrize(("pages", "name"), [(0, "results.md"), (1, "results.csv"), (80, "report.html")])
def test_a_disk_that_is_full(finished: Path, tmp_path: Path, pages: int, name: str) -> None:
    """A disk with this many free pages. No part of the file that did not fit is left."""
    disk, start, seen = (tmp_path / folder for folder in ("disk", "start", "seen"))
    for folder in (disk, start, seen):
        folder.mkdir()
    if run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(disk)]).returncode:
        pytest.skip("no disk can be mounted here")
    shutil.copy(finished / NETWORK, start)
    kib = 4 * (-(-(start / NETWORK).stat().st_size // 4096) + pages)
    arguments = ["unshare", "-rm", "bash", "-c", ON_A_DISK, "bash", *map(str, (disk, kib, start, seen)), *command(disk)]
    done = run(arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"error: {disk / name}: No space left on device\n"
    assert names(seen) == {NETWORK, *WRITTEN[: WRITTEN.index(name)]}
    assert (seen / NETWORK).read_bytes() == (finished / NETWORK).read_bytes()


@pytest.mark.slow
def test_a_folder_that_is_read_only_and_empty(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    done = run(command(tmp_path), obey_permissions)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / NETWORK}: cannot be written: Permission denied\n"
    assert names(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", [NETWORK, "results.csv"])
def test_a_folder_that_is_renamed(tmp_path: Path, name: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    process = started(command(out))
    wait_for(out / name)
    out.rename(elsewhere)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith("error: ")
    assert str(out) in errors
    assert "Traceback" not in errors
    tn.load(elsewhere / NETWORK)
    assert names(elsewhere) <= {NETWORK, *WRITTEN}


@pytest.mark.parametrize("mib", [300, 400, 500])
@pytest.mark.slow
def test_memory_that_is_not_enough_to_train(finished: Path, tmp_path: Path, mib: int) -> None:
    """Training needs about 550 MiB of address space. The first allocation that fails may print further text."""
    done = run(command(tmp_path), in_memory(mib * 2**20))
    if done.returncode == 0 and mib > 300:
        return assert_complete(tmp_path)
    if done.returncode == 2 and mib > 300:
        return assert_too_little_to_compare(tmp_path, done.stderr)
    assert done.returncode == 1, done.stderr
    assert "error:\n12x8x10 was not trained: " in done.stderr
    assert "The same command tries them again.\n" in done.stderr
    assert names(tmp_path) == set()
