"""Data-parallel training: P ranks compute what one computes, and no rank waits for one that has ended."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet.parallel.data_parallel import DataParallel, shares_of_all, shares_of_own

PROGRAM = Path(__file__).parents[1] / "data_parallel_program.py"
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}")
BACKENDS = ["numpy", *(pytest.param(name, marks=pytest.mark.slow) for name in ("numba", "cupy"))]


def run(ranks: int, folder: Path, *words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    command = [MPIEXEC, "-n", str(ranks), sys.executable, str(PROGRAM), str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def results(ranks: int, folder: Path, *words: str) -> list[dict]:
    done = run(ranks, folder, *words)
    assert done.returncode == 0, done.stderr
    name = f"{words[0]}{'.'.join(words[1:])}"
    return [dict(np.load(folder / f"{name}.{rank}.npz")) for rank in range(ranks)]


def check_that_all_are_equal(found: list[dict]) -> None:
    for other in found[1:]:
        for name in ("theta", "buffers", "figures", "predictions"):
            np.testing.assert_array_equal(other[name], found[0][name])


def check_that_close(found: dict, expected: dict) -> None:
    np.testing.assert_allclose(found["theta"], expected["theta"], atol=1e-5)
    np.testing.assert_allclose(found["figures"], expected["figures"], atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ranks_compute_what_one_computes(tmp_path, backend):
    alone, *rest = [results(ranks, tmp_path, "same_data", backend) for ranks in (1, 2, 4)]
    for found in rest:
        check_that_all_are_equal(found)
        check_that_close(found[0], alone[0])
    assert "rank 1 of 4, each with a share of each batch" in str(rest[-1][1]["summary"])
    if backend == "cupy":  # the stand-in has two GPUs, and NCCL needs one for each rank of a machine
        assert [found[0]["summary"].item().count("by NCCL") for found in (alone, *rest)] == [1, 1, 0]
        assert "by MPI through the host" in rest[-1][0]["summary"].item()


@pytest.mark.slow
def test_large_networks_in_compiled_steps(tmp_path):
    plain, alone, *rest = [
        results(ranks, tmp_path, "wide", backend)
        for ranks, backend in ((1, "numpy"), (1, "numba"), (2, "numba"), (3, "numba"))
    ]
    for found in (alone, *rest):
        check_that_all_are_equal(found)
        np.testing.assert_allclose(found[0]["theta"], plain[0]["theta"], atol=2e-5)
        np.testing.assert_allclose(found[0]["figures"], plain[0]["figures"], atol=1e-4)


def test_one_rank_computes_what_a_program_without_mpi_computes(tmp_path, monkeypatch):
    (found,) = results(1, tmp_path, "same_data", "numpy")
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path), "same_data", "numpy"])
    namespace = runpy_without_its_last_line()
    net = namespace["network"]("numpy")
    history = namespace["trained"](net, *namespace["data"]())
    np.testing.assert_allclose(found["theta"], net.theta, atol=1e-6)
    assert found["figures"][5:7] == pytest.approx([history[-1].loss, history[-1].accuracy])


def runpy_without_its_last_line() -> dict:
    """Return the functions of the program."""
    lines = PROGRAM.read_text().rstrip().splitlines()
    namespace: dict = {"__name__": "program"}
    exec("\n".join(lines[:-1]).replace("from mpi4py import MPI", "").replace("comm = MPI.COMM_WORLD", ""), namespace)
    return namespace


def test_ranks_pass_their_own_rows(tmp_path):
    """Rank r passes every P-th row from r on, read from a file; the numbers of rows differ by one."""
    draw = np.random.default_rng(8)
    x, t = draw.normal(size=(151, 12)).astype(np.float32), draw.integers(0, 3, 151)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "t.npy", t)
    found = results(3, tmp_path, "sharded", "numba")
    check_that_all_are_equal(found)
    losses, rows = found[0]["figures"][0:-2:5], found[0]["figures"][4:-2:5]
    assert losses[0] > losses[-1]
    assert (rows == 151).all()
    assert "its own rows" in str(found[0]["summary"])


@pytest.mark.parametrize("counts", [[5, 5], [7, 5, 3], [1, 1, 1], [100, 1], [4]], ids=str)
@pytest.mark.parametrize("batch_size", [1, 2, 4, 1000])
def test_shares_of_own_rows_hold_each_row_once(counts, batch_size):
    shares = [list(shares_of_own(np.arange(count), batch_size, rank, counts)) for rank, count in enumerate(counts)]
    for rank, count in enumerate(counts):
        assert np.concatenate([share.rows for share in shares[rank]]).tolist() == list(range(count))
    for step in zip(*shares, strict=True):
        assert sum(len(share.rows) for share in step) == step[0].of <= batch_size + len(counts)
        assert [share.first for share in step] == [sum(len(s.rows) for s in step[:k]) for k in range(len(step))]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_of_all_rows_are_the_batches(size):
    order = np.random.default_rng(1).permutation(23)
    ranks = [list(shares_of_all(order, 5, rank, size)) for rank in range(size)]
    for step, shares in enumerate(zip(*ranks, strict=True)):
        batch = order[step * 5 : step * 5 + 5]
        assert np.concatenate([share.rows for share in shares]).tolist() == batch.tolist()
        assert all(share.of == len(batch) for share in shares)
        assert [share.first for share in shares if len(share.rows)] == [
            batch.tolist().index(share.rows[0]) for share in shares if len(share.rows)
        ]


def test_buffers_are_equal_on_all_ranks(tmp_path):
    check_that_all_are_equal(results(3, tmp_path, "buffers", "numpy"))


def test_batches_of_fewer_rows_than_ranks(tmp_path):
    alone, found = results(1, tmp_path, "few_rows", "numpy"), results(3, tmp_path, "few_rows", "numpy")
    check_that_all_are_equal(found)
    check_that_close(found[0], alone[0])


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("data", "differs from rank 0 in x: "),
        ("seed", "differs from rank 0 in seed: 1, not 0"),
        ("layers", "differs from rank 0 in layers: 0 Dense"),
        ("settings", "differs from rank 0 in learning rate: 0.1, not 0.01"),
        ("frozen", "differs from rank 0 in layers: 0 Dense{"),
        ("version", "differs from rank 0 in version: 0.0.0, not"),
        ("call", "differs from rank 0 in call: evaluate, not fit"),
        ("end", "differs from rank 0 in call: the end of the program, not fit"),
    ],
)
def test_ranks_that_differ_are_refused_before_the_first_step(tmp_path, fact, message):
    done = run(2, tmp_path, "differs", fact, seconds=20)
    assert done.returncode != 0
    assert "rank 1 of 2" in done.stderr
    assert message in done.stderr
    assert not list(tmp_path.glob("differs.*"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", "rank 1 of 2 ended with RuntimeError, and all ranks end with it: an error on one rank"),
        ("killed", "KILLED BY SIGNAL: 9|signal 9"),
        ("exit", "the end of the program"),
        ("bad rows", "rank 1 of 2 ended with ValueError, and all ranks end with it: x must be finite"),
    ],
)
def test_an_error_on_one_rank_ends_all(tmp_path, how, message):
    start = time.perf_counter()
    done = run(2, tmp_path, "ends_badly", how, seconds=30)
    assert done.returncode != 0
    assert time.perf_counter() - start < 15
    assert re.search(message, done.stdout + done.stderr), done.stdout + done.stderr


def test_only_rank_0_shows_a_bar(tmp_path):
    done = run(2, tmp_path, "bars")
    assert done.returncode == 0, done.stderr
    assert "406/406" in done.stderr
    assert done.stderr.count("406/406") == 1


@pytest.mark.parametrize("ends_at", ["7", *(pytest.param(step, marks=pytest.mark.slow) for step in ("11", "20"))])
def test_a_killed_training_resumes(tmp_path, ends_at):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    expected = results(2, whole, "resumed", "numpy", "never")
    assert run(2, broken, "resumed", "numpy", ends_at).returncode != 0
    assert (broken / "run.checkpoint").exists()
    found = results(2, broken, "resumed", "numpy", "never")
    check_that_all_are_equal([*expected, *found])


def test_an_object_that_is_not_a_communicator_is_refused():
    with pytest.raises(TypeError, match="data_parallel: expected a communicator of mpi4py"):
        tn.data_parallel(3)


def test_a_step_leaves_the_masks_of_later_forward_passes_as_they_are():
    """Each rank sets the row at which its share begins; a forward pass of its own begins at row 0 again."""
    net = tn.Network(tn.Dropout(0.5), tn.Dense(4, 2), seed=1)
    loss, x, t = tn.SoftmaxCrossEntropy(), np.ones((8, 4), np.float32), np.eye(2, dtype=np.float32)[[0, 1] * 4]
    shares = shares_of_all(np.arange(8), 8, rank=1, size=2)
    list(DataParallel.share_steps(None, net, tn.SGD(net), loss, x, t, list(shares), lambda vector: None))
    assert net[0].first_row == 0
