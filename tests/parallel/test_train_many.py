"""Many trainings at once: the same results on every executor, and a dead process affects no other job."""

import concurrent.futures
import contextlib
import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import train_many_program

import tinynet as tn
from tinynet.parallel import progress_socket, train_many

HERE = Path(__file__).parents[1]
EXAMPLE = HERE.parent / "examples" / "mnist_compare.py"


def by_name(outcomes):
    return {outcome.job.name: outcome for outcome in outcomes}


def alone(job):
    return job.train(lambda record: None)


def check_equal(found: dict, jobs: list) -> None:
    assert found.keys() == {job.name for job in jobs}
    for job in jobs:
        network, history = alone(job)
        assert found[job.name].error is None
        assert found[job.name].result.network.theta.tobytes() == network.theta.tobytes()
        assert [r.loss for r in found[job.name].result.history] == [r.loss for r in history]


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(sys.path.insert, 0, str(HERE))
        yield client


@pytest.mark.parametrize("start", [contextlib.nullcontext, lambda: concurrent.futures.ThreadPoolExecutor(2)])
def test_processes_and_threads_give_the_same_networks(start):
    jobs = [train_many_program.job(seed) for seed in range(3)]
    with start() as executor:
        check_equal(by_name(tn.train_many(jobs, executor)), jobs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_same_networks_and_survives_a_killed_worker(dask, tmp_path):
    jobs = [train_many_program.job(seed) for seed in range(3)]
    with dask.get_executor() as executor:
        check_equal(by_name(tn.train_many(jobs, executor)), jobs)
        deadly = train_many_program.Deadly("deadly", tmp_path, 1)
        found = by_name(tn.train_many([*jobs, deadly], executor))
    assert found["deadly"].result.network.theta.tobytes() == alone(train_many_program.job(7)).network.theta.tobytes()


def test_outcomes_are_yielded_once_they_are_known(tmp_path):
    slow = train_many_program.Endless("endless", tmp_path)
    outcomes = tn.train_many([slow, train_many_program.job(1)])
    assert next(outcomes).job.name == "seed 1"
    while not (tmp_path / "endless").exists():
        time.sleep(0.05)
    outcomes.close()
    check_gone(tmp_path / "endless")


def test_a_process_that_is_starting_is_ended_too(tmp_path):
    start = time.perf_counter()
    outcomes = tn.train_many(
        [train_many_program.Broken("broken"), train_many_program.Endless("endless", tmp_path)], side_by_side=1
    )
    assert next(outcomes).error
    outcomes.close()
    assert time.perf_counter() - start < 20


def check_gone(file: Path) -> None:
    pid = int(file.read_text())
    for _ in range(100):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still running")


@pytest.mark.parametrize("times", [2, 9])
def test_a_job_whose_process_is_killed_is_started_again_a_few_times(tmp_path, times):
    jobs = [train_many_program.Deadly("deadly", tmp_path, times), *map(train_many_program.job, range(3))]
    found = by_name(tn.train_many(jobs))
    deadly = found.pop("deadly")
    assert len(list(tmp_path.iterdir())) == train_many.ATTEMPTS == 3
    if times < train_many.ATTEMPTS:
        assert deadly.result.network.theta.tobytes() == alone(train_many_program.job(7)).network.theta.tobytes()
    else:
        assert isinstance(deadly.error, concurrent.futures.BrokenExecutor)
    check_equal(found, jobs[1:])


def test_a_job_that_raises_is_reported_once_and_the_others_continue():
    jobs = [train_many_program.Broken("broken"), train_many_program.job(1)]
    found = by_name(tn.train_many(jobs))
    assert str(found["broken"].error) == "this job cannot be done"
    check_equal({"seed 1": found["seed 1"]}, jobs[1:])


def test_a_broken_executor_is_reported(tmp_path):
    with concurrent.futures.ProcessPoolExecutor(1) as executor:
        found = by_name(
            tn.train_many([train_many_program.Deadly("deadly", tmp_path, 9), train_many_program.job(1)], executor)
        )
    assert all(isinstance(outcome.error, concurrent.futures.BrokenExecutor) for outcome in found.values())


def test_a_process_has_one_blas_thread_and_is_reused():
    found = [outcome.result for outcome in tn.train_many([train_many_program.Counting(f"{k}") for k in range(6)])]
    assert all(set(threads) == {1} for threads, _ in found)
    assert len({pid for _, pid in found}) == 2
    assert os.getpid() not in {pid for _, pid in found}


def test_no_jobs():
    assert list(tn.train_many([])) == []


# ------------------------------------------------------------------------------------------- progress


def test_each_epoch_is_sent_while_jobs_run(monkeypatch):
    seen = []
    monkeypatch.setattr(train_many._Bars, "show", lambda bars, k, record: seen.append((k, record.epoch, record.loss)))
    found = by_name(tn.train_many([train_many_program.job(seed) for seed in range(2)], progress=True))
    for k in range(2):
        losses = [record.loss for record in found[f"seed {k}"].result.history]
        assert [loss for job, _, loss in seen if job == k] == losses


def test_bars_are_shown(capsys):
    list(tn.train_many([train_many_program.job(seed, epochs=300) for seed in range(2)], progress=True))
    shown = capsys.readouterr().err
    assert "seed 0" in shown
    assert "val_accuracy" in shown


def test_no_bars_are_shown_if_stderr_is_not_a_terminal(capsys):
    list(tn.train_many([train_many_program.job(1)]))
    assert capsys.readouterr().err == ""


def test_a_job_trains_without_a_receiver():
    with progress_socket.sender(1, progress_socket.Address("127.0.0.1", 9, "word")) as send:
        assert (
            alone(train_many_program.job(1)).network.theta.tobytes()
            == train_many_program.job(1).train(send)[0].theta.tobytes()
        )


def test_messages_without_token_or_record_are_ignored():
    received = []
    record = tn.Record(1, 0.5, 0.9)
    with progress_socket.receiver(lambda *message: received.append(message), False) as address:
        for line in (b"GET / HTTP/1.1\n", b'{"token": "guess", "job": 1, "record": {}}\n', b"\xff\n", b"[]\n"):
            with progress_socket.socket.create_connection(address[:2]) as other:
                other.sendall(line)
        with progress_socket.sender(5, address._replace(token="guess")) as send:
            send(record)
        with progress_socket.sender(5, address) as send:
            send(record)
        for _ in range(100):
            if received:
                break
            time.sleep(0.02)
    assert received == [(5, record)]


def test_a_job_can_be_pickled():
    found = alone(pickle.loads(pickle.dumps(train_many_program.job(3))))
    assert found.network.theta.tobytes() == alone(train_many_program.job(3)).network.theta.tobytes()


# ------------------------------------------------------------------------- the main example, on executors


MPI = [str(Path(sys.executable).parent / "mpiexec"), "-n", "3", sys.executable, "-m", "mpi4py.futures"]
ON_MPI = ["--executor", "mpi"]


def compare(out: Path, *words: str, by: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*(by or [sys.executable]), str(EXAMPLE), "--models", "12x8x10", "24x12x6x10", "--epochs", "1"]
    return subprocess.run(
        [*command, "--out", str(out), *words], capture_output=True, text=True, timeout=120, check=False
    )


def thetas(out: Path) -> list[bytes]:
    return [tn.load(out / f"{name}.npz").theta.tobytes() for name in ("12x8x10", "24x12x6x10")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_main_example_gives_the_same_networks_on_each_executor(dask, tmp_path):
    done = compare(tmp_path / "here")
    assert done.returncode == 0, done.stderr
    address = dask.scheduler.address.removeprefix("tcp://")
    there = compare(tmp_path / "dask", "--executor", f"dask://{address}")
    assert there.returncode == 0, there.stderr
    mpi = compare(tmp_path / "mpi", *ON_MPI, by=MPI)
    assert mpi.returncode == 0, mpi.stderr
    assert thetas(tmp_path / "here") == thetas(tmp_path / "dask") == thetas(tmp_path / "mpi")
    tables = [re.sub(r"\|[^|]*\|[^|]*\|$", "", done.stdout, flags=re.M) for done in (done, there, mpi)]
    assert tables[0].count("12x8x10") >= 1
    assert (tmp_path / "mpi" / "report.html").exists()


@pytest.mark.slow
def test_a_killed_rank_ends_the_main_example_and_the_same_command_resumes(tmp_path):
    psutil = pytest.importorskip("psutil")
    words = ["--models", "12x8x10", "480x240x120x60x10", "--epochs", "3", "--out", str(tmp_path), *ON_MPI]
    main_job = subprocess.Popen(
        [*MPI, str(EXAMPLE), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for _ in range(600):
        if (tmp_path / "12x8x10.npz").exists():
            break
        time.sleep(0.1)
    ranks = psutil.Process(main_job.pid).children(recursive=True)
    next(process for process in ranks if process.environ().get("PMI_RANK") == "2").kill()
    printed, _ = main_job.communicate(timeout=10)
    assert main_job.returncode != 0
    assert "Killed (signal 9)" in printed
    done = subprocess.run([*MPI, str(EXAMPLE), *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 networks are saved and loaded" in done.stdout
    assert "480x240x120x60x10" in (tmp_path / "results.md").read_text()
