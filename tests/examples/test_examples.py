"""The examples, run as users run them."""

import argparse
import ast
import functools
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_run import EXAMPLES, SMALL, run
from PIL import Image

import tinynet as tn
from tinynet.layers.bound import walk

DIGITS = Path(__file__).parents[1] / "digits"
PICTURES = [("compared", name) for name in ("curves", "confusion", "mistakes", "weights", "predictions")]
PICTURES += [("best", name) for name in ("curves", "mistakes", "feature_maps", "costs")]


def test_from_scratch_is_short_and_needs_numpy_only() -> None:
    above, _ = (EXAMPLES / "from_scratch.py").read_text().split("\n\n\nif __name__")
    assert len(above.splitlines()) <= 105
    imports = [node for node in ast.walk(ast.parse(above)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["from itertools import pairwise", "import numpy as np"]


@pytest.mark.parametrize("hidden", [[12, 8], [48, 24], [12, 10, 8, 6, 4, 4]], ids=str)
def test_from_scratch_trains_the_same_network_bit_for_bit(monkeypatch: pytest.MonkeyPatch, hidden: list[int]) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import from_scratch

    digits = tn.data.mnist_split()
    x, labels = digits.x_train[:1605], digits.y_train[:1605]
    mine = from_scratch.Network([784, *hidden, 10], seed=3)
    losses = list(from_scratch.train(mine, from_scratch.Adam(mine), x * (1 / 255), np.eye(10)[labels], 2, seed=3))
    theirs = tn.mlp(784, hidden, 10, seed=3, dtype="float64")
    history = tn.fit(theirs, tn.Adam(theirs), x, labels, epochs=2)
    flat = np.concatenate([theta.ravel() for layer in mine.layers for theta in layer.theta])
    assert (flat == theirs.theta).all()
    assert losses == pytest.approx([record.loss for record in history], rel=1e-12)


@pytest.mark.slow
def test_from_scratch_prints_its_gradient_check_and_reaches_96_percent() -> None:
    printed = run("from_scratch.py").stdout
    assert float(re.search(r"largest error (\S+)", printed)[1]) < 1e-9
    assert float(re.findall(r"validation accuracy (0\.\d+)", printed)[-1]) > 0.96


def test_training_loop_learns_and_is_short() -> None:
    accuracies = re.findall(r"validation accuracy (0\.\d+)", run("training_loop.py").stdout)
    assert len(accuracies) == 5
    assert float(accuracies[-1]) > 0.95
    assert len((EXAMPLES / "training_loop.py").read_text().splitlines()) < 60


@pytest.mark.parametrize("name", ["gradient_check", "training_loop", "training_loop_mpi", "mnist_compare", "search"])
def test_help_only_explains(name: str) -> None:
    printed = run(f"{name}.py", "--help").stdout
    assert printed.startswith(f"usage: {name}.py [-h]")
    assert "accuracy 0." not in printed
    assert "passed" not in printed


def test_mpi_example_without_mpi_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mpi4py.py").write_text("raise RuntimeError('cannot load MPI library')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = run("training_loop_mpi.py", status=1)
    assert done.stderr.startswith("error: expected mpi4py and an MPI library, got ")
    assert done.stderr.endswith("Install the extra `mpi`.\n")


def test_gradient_check_passes_three_and_catches_the_broken_one() -> None:
    printed = run("gradient_check.py").stdout
    assert printed.count("gradient check passed") == 3
    assert printed.count("gradient check FAILED") == 1
    assert "N = 8 times too large" in printed


def test_compare_prints_one_row_per_network_with_the_blogs_figures(compared: tuple[Path, str]) -> None:
    rows = [line.split("|") for line in compared[1].splitlines() if line.startswith("| 12x8x10")]
    assert [cell.strip() for cell in rows[0][1:3]] == ["12x8x10", "9,614"]
    assert "0.9314" in compared[1]
    assert re.search(r"on the 28,000 it never saw: accuracy 0\.[89]", compared[1])


def test_compare_writes_tables_and_no_submission_for_its_own_digits(compared: tuple[Path, str]) -> None:
    out = compared[0]
    assert pd.read_csv(out / "results.csv")["parameters"].tolist() == [9_614, 39_295]
    assert (out / "results.md").read_text() in compared[1]
    assert not (out / "submission.csv").exists()
    assert "submission" not in compared[1]


@pytest.fixture
def main_job(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("mnist_compare")


def options_of(main_job: ModuleType, monkeypatch: pytest.MonkeyPatch, words: str) -> argparse.Namespace:
    monkeypatch.setattr(sys, "argv", ["mnist_compare.py", *words.split()])
    return main_job.parse_options()


@pytest.mark.parametrize(("rows", "is_written"), [(28_000, True), (27_999, False)])
def test_a_submission_is_for_kaggles_test_csv(
    main_job, monkeypatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: int, is_written: bool
) -> None:
    options = options_of(main_job, monkeypatch, f"--data {tmp_path} --out {tmp_path}")
    path = tmp_path / "submission.csv"
    path.write_text("of a run before")
    main_job.write_submission("12x8x10", np.arange(rows) % 10, options)
    printed = capsys.readouterr().out
    assert path.exists() == is_written
    if is_written:
        submission = pd.read_csv(path)
        assert submission["ImageId"].tolist() == list(range(1, 28_001))
        assert submission["Label"].tolist() == [k % 10 for k in range(rows)]
        assert printed == f"{path} holds the answers of 12x8x10 for {tmp_path / 'test.csv'}, to upload to Kaggle.\n"
    else:
        expected = f"{tmp_path / 'test.csv'} has 27,999 rows, and Kaggle's has 28,000.\n"
        assert printed == f"No submission.csv is written: {expected}"


@pytest.mark.parametrize(
    ("words", "networks", "results"),
    [
        ("", "mnist_compare", ""),
        ("--image 5.png", "mnist_compare", ""),
        ("--retrain --jobs 1", "mnist_compare", ""),
        ("--quick", "mnist_compare_quick", ""),
        ("--epochs 4", "mnist_compare_epochs4", ""),
        ("--quick --epochs 3", "mnist_compare_quick", ""),
        ("--data some/kaggle", "mnist_compare_data_kaggle", ""),
        ("--seeds 3 --models 12x8x10", "mnist_compare", "12x8x10_seeds3"),
        ("--quick --seeds 2", "mnist_compare_quick", "seeds2"),
        ("--keras some/model.h5", "mnist_compare", "model.h5"),
        ("--seeds 3 --out here", "here", None),
    ],
)
def test_each_source_of_digits_and_each_selection_has_its_own_folder(
    main_job, monkeypatch, words: str, networks: str, results: str | None
) -> None:
    options = options_of(main_job, monkeypatch, words)
    expected = Path(networks) if results is None else Path("runs") / networks
    assert (options.out, options.results) == (expected, expected / (results or ""))


def small_job(jobs: ModuleType, out: Path, **changes: Any) -> tn.Job:
    """Return a job on ten random digits. `changes` are arguments of the network, of Adam, of fit, or the labels."""
    draw = np.random.default_rng(1)
    x, labels = draw.integers(0, 256, (10, 784)).astype(np.uint8), changes.pop("labels", np.arange(10))
    made_with = {name: changes.pop(name) for name in ("seed", "dropout", "init") if name in changes}
    adam = {name: changes.pop(name) for name in ("lr", "beta2") if name in changes}
    network = functools.partial(jobs.new_network, (4,), out, **{"seed": 1} | made_with)
    adam_of, epochs = functools.partial(tn.Adam, **{"lr": 0.001} | adam), changes.pop("epochs", 1)
    return tn.Job("small", network, adam_of, lambda: (x, labels, x, labels), epochs, {"batch_size": 5} | changes)


CHANGES = [
    ({"labels": (np.arange(10) + 1) % 10}, "of other data; data: expected ['uint8 (10, 784) "),
    ({"epochs": 2}, "of other settings; epochs: expected 2, got 1. Keep it"),
    ({"batch_size": 4}, "of other settings; batch_size: expected 4, got 5. Keep it"),
    ({"seed": 2}, "of other settings; seed: expected 2, got 1; initial parameters: expected float32 (3190,) "),
    ({"init": "zeros"}, "of other settings; layers: expected ["),
    ({"dropout": (0.5,)}, "of other settings; layers: expected ['Dropout(0.5)', "),
    (
        {"lr": 0.002},
        "of other settings; optimizer: expected ['Adam', [], {'lr': 0.002}], got ['Adam', [], {'lr': 0.001}]",
    ),
    ({"patience": 2}, "of other settings; patience: expected 2, got no value. Keep it"),
    ({"augment": tn.data.augment}, "of other settings; augment: expected augment, got no value. Keep it"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[next(iter(change)) for change, _ in CHANGES])
def test_a_saved_network_is_used_for_the_same_job_only(main_job, tmp_path: Path, change, message: str) -> None:
    import jobs

    job = small_job(jobs, tmp_path)
    jobs.save(job, job.train(lambda record: None), tmp_path)
    assert jobs.is_saved(small_job(jobs, tmp_path), tmp_path)
    other = small_job(jobs, tmp_path, **change)
    with pytest.raises(FileExistsError, match=re.escape(message)):
        jobs.is_saved(other, tmp_path)
    checkpoints = {jobs.with_checkpoint(each, tmp_path).settings["checkpoint"] for each in (job, other)}
    assert len(checkpoints) == 2
    assert jobs.with_checkpoint(small_job(jobs, tmp_path), tmp_path).settings["checkpoint"] in checkpoints


def test_an_interrupted_training_of_edited_settings_is_not_resumed(main_job, tmp_path: Path) -> None:
    import jobs

    def stop(record: tn.Record) -> None:
        raise KeyboardInterrupt

    for rate in (0.001, 0.5):
        job = jobs.with_checkpoint(small_job(jobs, tmp_path, lr=rate, epochs=3), tmp_path, every=1)
        with pytest.raises(KeyboardInterrupt):
            job.train(stop)
    alone = small_job(jobs, tmp_path, lr=0.5, epochs=3).train(lambda record: None)
    resumed = job.train(lambda record: None)
    np.testing.assert_array_equal(resumed.network.theta, alone.network.theta)


def test_a_process_does_not_train_on_other_digits_than_the_main_process(main_job, monkeypatch, tmp_path: Path) -> None:
    """As in a worker that outlives a comparison, or on a machine with another file of the same name."""
    import jobs

    labels = {"value": 1}

    def kaggle(folder: Path) -> tn.data.Split:
        y = np.full(3, labels["value"])
        return tn.data.Split(np.zeros((3, 784)), y, np.zeros((2, 784)), y[:2], np.zeros((1, 784)), None)

    monkeypatch.setattr(tn.data, "kaggle", kaggle)
    file = tmp_path / "train.csv"
    file.write_text("1")
    data = jobs.digits_to_train_on(tmp_path, jobs.read_digits(tmp_path))
    assert data()[1].tolist() == [1, 1, 1]
    labels["value"] = 2
    file.write_text("22")
    with pytest.raises(tn.data.DataError, match="Start again, with the same files on every machine"):
        data()
    assert jobs.digits_to_train_on(tmp_path, jobs.read_digits(tmp_path))()[1].tolist() == [2, 2, 2]


@pytest.mark.slow
def test_a_replaced_train_csv_is_noticed(tmp_path: Path) -> None:
    digits, header = tn.data.mnist_split(), [f"pixel{k}" for k in range(784)]
    x, y = np.concatenate([digits.x_train, digits.x_val]), np.concatenate([digits.y_train, digits.y_val])
    pd.DataFrame(digits.x_test, columns=header).to_csv(tmp_path / "test.csv", index=False)
    command = ["mnist_compare.py", *SMALL, "--data", tmp_path, "--out", tmp_path / "out"]
    for labels, status in (((y + 1) % 10, 0), (y, 2)):
        pd.DataFrame(np.c_[labels, x], columns=["label", *header]).to_csv(tmp_path / "train.csv", index=False)
        done = run(*command, status=status)
    assert "12x8x10.npz holds a network of other data; data: " in done.stderr
    assert len(pd.read_csv(tmp_path / "out" / "submission.csv")) == 28_000


def test_saved_network_gives_the_accuracy_of_the_table(compared: tuple[Path, str]) -> None:
    digits = tn.data.mnist_split()
    accuracy = tn.evaluate(tn.load(compared[0] / "12x8x10.npz"), digits.x_val, digits.y_val).accuracy
    assert accuracy > 0.85
    assert f" {accuracy:.4f} " in compared[1]


@pytest.mark.parametrize(("example", "name"), PICTURES)
def test_pictures_are_not_empty(request: pytest.FixtureRequest, example: str, name: str) -> None:
    with Image.open(request.getfixturevalue(example)[0] / f"{name}.png") as picture:
        assert picture.width > 300
        assert np.asarray(picture.convert("L")).std() > 10


def test_compare_ends_with_a_report_and_prints_its_path(compared: tuple[Path, str]) -> None:
    out, printed = compared
    assert f"reads your digit: {out / 'report.html'}" in printed
    page = (out / "report.html").read_text()
    assert "Networks that read handwritten digits" in page
    assert "48x24x12x6x3x10" in page
    assert "0.9314" in page


@pytest.mark.slow
def test_second_run_loads_instead_of_training(compared: tuple[Path, str]) -> None:
    out, first = compared
    before = (out / "12x8x10.npz").stat().st_mtime_ns
    second = run("mnist_compare.py", *SMALL, "--out", out).stdout
    assert "2 of 2 networks are saved and loaded" in second
    assert (out / "12x8x10.npz").stat().st_mtime_ns == before
    assert [line for line in second.splitlines() if line.startswith("|")] == [
        line for line in first.splitlines() if line.startswith("|")
    ]


def test_a_saved_network_of_other_settings_is_refused_and_kept(compared: tuple[Path, str]) -> None:
    out = compared[0]
    before = (out / "12x8x10.npz").read_bytes()
    done = run("mnist_compare.py", "--models", "12x8x10", "--epochs", 2, "--out", out, status=2)
    assert "a network of other settings" in done.stderr
    assert "--retrain" in done.stderr
    assert (out / "12x8x10.npz").read_bytes() == before


def test_pictures_are_read_by_every_network(compared: tuple[Path, str]) -> None:
    pictures = [DIGITS / "5_blue_on_cream.png", DIGITS / "2_red_on_yellow.png"]
    printed = run("mnist_compare.py", *SMALL, "--out", compared[0], "--image", *pictures).stdout
    assert len(re.findall(r"\d \(\d+%\)", printed)) == 4
    assert "5_blue_on_cream.png" in printed
    for number, path in enumerate(pictures, 1):
        with Image.open(compared[0] / f"seen_{number}_{path.stem}.png") as seen:
            image = np.asarray(seen)
        np.testing.assert_array_equal(image, tn.data.digit_image(path))
        assert "\n".join("".join(" .:-=+*#%@"[k // 26] * 2 for k in row).rstrip() for row in image) in printed
    assert f"reads your digit: {compared[0] / 'report.html'}" in printed
    assert "examples/tour.ipynb" in printed


@pytest.fixture
def keras_model(monkeypatch: pytest.MonkeyPatch) -> Callable[[tn.Network, Path], Path]:
    """Return a function that saves a network as a Keras file and returns the path."""
    monkeypatch.setenv("KERAS_BACKEND", "numpy")

    def write(network: tn.Network, path: Path) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Keras's own, with NumPy 2
            tn.to_keras(network).save(path)
        return path

    return write


@pytest.mark.slow
def test_a_network_from_keras_is_compared_with_ours(compared: tuple[Path, str], tmp_path: Path, keras_model) -> None:
    out, digits = shutil.copytree(compared[0], tmp_path / "out"), tn.data.mnist_split()
    network = tn.load(out / "12x8x10.npz")
    path = keras_model(network, tmp_path / "mine.keras")
    printed = run("mnist_compare.py", *SMALL, "--out", out, "--keras", path).stdout
    ours, theirs = (re.findall(rf"^\| {name} .*", printed, re.MULTILINE)[0] for name in ("12x8x10", "mine.keras"))
    accuracy = f"{tn.evaluate(network, digits.x_val, digits.y_val).accuracy:.4f}"
    assert accuracy in ours
    dash, dead = "\N{EN DASH}", ours.split("|")[8].strip()
    assert [cell.strip() for cell in theirs.split("|")[5:-1]] == [dash, accuracy, dash, dead, dash, dash]
    assert pd.read_csv(out / "results.csv")["network"].tolist() == ["12x8x10", "48x24x12x6x3x10", "mine.keras"]
    assert "mine.keras" in (out / "report.html").read_text()
    asked = run(
        "mnist_compare.py", *SMALL, "--out", out, "--keras", path, "--image", DIGITS / "2_red_on_yellow.png"
    ).stdout
    assert re.search(r"^\| mine.keras +\| +\d \(", asked, re.MULTILINE)


def test_a_network_from_keras_for_other_data_is_refused_before_training(tmp_path: Path, keras_model) -> None:
    path = keras_model(tn.mlp(5, [], 10), tmp_path / "mine.keras")
    done = run("mnist_compare.py", "--keras", path, "--out", tmp_path / "out", status=2)
    assert done.stderr.startswith(
        f"error: {path}: expected 784 pixels in and probabilities of ten digits out, got <Network"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "name", "message"), [("--image", "none.png", "none.png"), ("--data", "", "train.csv")]
)
def test_bad_input_is_refused_before_training(tmp_path: Path, option: str, name: str, message: str) -> None:
    done = run("mnist_compare.py", "--out", tmp_path / "new", option, tmp_path / name, status=2)
    assert message in done.stderr
    assert not (tmp_path / "new").exists()


def test_damaged_network_is_reported_and_kept(compared: tuple[Path, str], tmp_path: Path) -> None:
    damaged = tmp_path / "12x8x10.npz"
    damaged.write_bytes((compared[0] / "12x8x10.npz").read_bytes()[:-100])
    before = damaged.read_bytes()
    done = run("mnist_compare.py", "--models", "12x8x10", "--epochs", 1, "--out", tmp_path, status=2)
    assert "12x8x10.npz" in done.stderr
    assert damaged.read_bytes() == before


@pytest.mark.slow
def test_several_seeds_give_mean_deviation_and_failed_runs(tmp_path: Path) -> None:
    printed = run("mnist_compare.py", "--models", "12x8x10", "--epochs", 1, "--seeds", 3, "--out", tmp_path).stdout
    assert re.search(r"0\.\d{4} ± 0\.\d{4}", printed)
    assert "0 of 3" in printed
    assert len(list(tmp_path.glob("*.npz"))) == 3


@pytest.mark.slow
def test_one_process_and_two_train_the_same_network(compared: tuple[Path, str], tmp_path: Path) -> None:
    run("mnist_compare.py", "--models", "12x8x10", "--epochs", 1, "--jobs", 1, "--out", tmp_path)
    alone, beside = (tn.load(folder / "12x8x10.npz") for folder in (tmp_path, compared[0]))
    np.testing.assert_allclose(alone.theta, beside.theta, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("ended", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slow
def test_interrupted_run_keeps_finished_networks_and_leaves_no_process(tmp_path: Path, ended: signal.Signals) -> None:
    models = ["12x8x10", "960x480x240x120x60x10"]
    command = [sys.executable, str(EXAMPLES / "mnist_compare.py"), "--models", *models, "--epochs", "3"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    wait_for(tmp_path / "12x8x10.npz")
    os.killpg(process.pid, ended) if ended is signal.SIGINT else process.send_signal(ended)
    _, errors = process.communicate(timeout=30)
    if ended is not signal.SIGKILL:
        assert process.returncode == 130
        assert "Finished and saved: 12x8x10. The same command continues" in errors
        assert "Traceback" not in errors
    assert [file.name for file in tmp_path.iterdir()] == ["12x8x10.npz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "13x8x10"], "invalid choice: '13x8x10'"),
        (["--epochs", "0"], "expected a whole number of at least 1, got '0'"),
        (["--jobs", "two"], "expected a whole number of at least 1, got 'two'"),
        (["--backend", "abacus"], "invalid choice: 'abacus'"),
    ],
)
def test_bad_options_are_explained(arguments: list[str], message: str) -> None:
    assert message in run("mnist_compare.py", *arguments, status=2).stderr


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with the convolutional network of a quick run on digits held out, and what the run printed."""
    out = tmp_path_factory.mktemp("best")
    return out, run("mnist_best.py", "--quick", "--held-out", "--out", out).stdout


def test_best_trains_and_evaluates_a_convolutional_network(
    best: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import mnist_best

    out, printed = best
    digits, network = tn.data.mnist(), tn.load(out / "convolutional.seed1.npz", backend="auto")
    accuracy = tn.evaluate(network, digits.x_train[-10_000:-9_000, None], digits.y_train[-10_000:-9_000]).accuracy
    assert accuracy > 0.7
    assert f"epoch  1 of 1   accuracy 0.{printed.split('accuracy 0.')[1][:4]}, held out {accuracy:.4f}" in printed
    assert f"Accuracy on the 1,000 digits held out: {accuracy:.4f}" in printed
    many = mnist_best.looks(network, digits.x_train[-10_000:-9_000, None]).mean(axis=0).argmax(axis=1)
    assert f"In the mean of 16 looks at each: {(many == digits.y_train[-10_000:-9_000]).mean():.4f}" in printed
    assert pd.read_csv(out / "convolutional.csv")["parameters"].tolist() == [32_250]
    assert (out / "results.md").read_text() in printed
    assert "MNIST as well as we can" in (out / "report.html").read_text()


def test_costs_show_all_trained_networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)
    import mnist_best

    columns = "network,parameters,seconds,accuracy"
    Path("residual.csv").write_text(f"{columns}\nresidual,9,20,0.9\nresidual,9,40,0.8\n")
    Path("convolutional.csv").write_text(f"{columns}\nconvolutional,5,10,0.7\n")
    Path("another.csv").write_text("network,validation_accuracy\n12x8x10,0.9\n")
    found = mnist_best.compared(tmp_path)
    assert found.to_dict("index") == {
        "convolutional": {"parameters": 5, "seconds": 10, "accuracy": 0.7},
        "residual": {"parameters": 9, "seconds": 30, "accuracy": pytest.approx(0.85)},
    }


@pytest.mark.slow
def test_best_loads_its_network_and_refuses_one_of_other_settings(best: tuple[Path, str]) -> None:
    out, first = best
    second = run("mnist_best.py", "--quick", "--held-out", "--out", out).stdout
    assert "epoch" not in second.split("|")[0]
    assert [line for line in second.splitlines() if line.startswith("|")] == [
        line for line in first.splitlines() if line.startswith("|")
    ]
    before = (out / "convolutional.seed1.npz").read_bytes()
    done = run("mnist_best.py", "--held-out", "--out", out, status=2)
    assert "a network of other settings" in done.stderr
    assert "--retrain" in done.stderr
    assert (out / "convolutional.seed1.npz").read_bytes() == before


@pytest.mark.slow
def test_an_ensemble_averages_three_residual_networks(tmp_path: Path) -> None:
    printed = run("mnist_best.py", "--quick", "--ensemble", "--out", tmp_path).stdout
    digits = tn.data.mnist()
    p = [tn.predict(tn.load(tmp_path / f"residual.seed{seed}.npz"), digits.x_test[:1_000, None]) for seed in (1, 2, 3)]
    wrong = (np.mean(p, axis=0).argmax(axis=1) != digits.y_test[:1_000]).sum()
    row = next(line for line in printed.splitlines() if line.startswith("| all 3, averaged"))
    assert [cell.strip() for cell in row.split("|")[3:4] + row.split("|")[6:7]] == ["454,686", str(wrong)]
    assert re.search(r"test digits: 0\.\d{4} ± 0\.\d{4}", printed)


def test_each_trial_of_the_ablation_changes_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from mnist_ablation import TRIALS

    found = {
        name: (Counter(type(layer).__name__ for *_, layer in walk(trial.layers())), trial.augment, trial.rate(100))
        for name, trial in TRIALS.items()
    }
    base, distorted, rate = found.pop("a residual network")
    assert (base["BatchNorm"], base["Residual"], distorted) == (7, 3, tn.data.augment)
    assert found.pop("without distorted digits")[:2] == (base, None)
    assert found.pop("without batch normalization")[0] == base - Counter(BatchNorm=7)
    assert found.pop("without residuals")[0] == base - Counter(Residual=3, Conv2D=1)
    assert found.pop("at a constant rate")[2] == 0.003
    assert rate(99) < rate(0) < rate(50) < rate(10) < 0.003
    assert found.pop("twice as wide")[0] == base
    assert not found
    widths = [TRIALS[name].layers()[0].M for name in ("a residual network", "twice as wide")]
    assert widths == [16, 32]


@pytest.mark.slow
def test_ablation_prints_the_errors_of_each_network(tmp_path: Path) -> None:
    printed = run("mnist_ablation.py", "--quick", "--out", tmp_path).stdout
    table = (tmp_path / "results.md").read_text()
    assert table in printed
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    assert rows[0] == ["recipe", "seed 1", "seed 2", "mean"]
    assert len(rows) == 7
    for name, first, second, mean in rows[1:]:
        assert f"{name}, seed 1: {first} of 3,000" in printed
        assert float(mean) == (int(first) + int(second)) / 2


@pytest.mark.slow
def test_search_trains_only_new_settings(tmp_path: Path) -> None:
    settings = ["--hidden", "8", "16x8", "--lr", "0.001", "--dropout", "0", "--epochs", "1", "--out", tmp_path]
    assert "2 trainings, 0 of them done before" in run("search.py", *settings, "--seeds", 1).stdout
    before = pd.read_csv(tmp_path / "results.csv")
    printed = run("search.py", *settings, "--seeds", 2).stdout
    after = pd.read_csv(tmp_path / "results.csv")
    assert "4 trainings, 2 of them done before" in printed
    assert before.merge(after).shape == before.shape
    assert len(after) == len(after.drop_duplicates(["hidden", "seed"])) == 4
    assert after.accuracy.between(0.3, 1).all()
    best = after.groupby("hidden").accuracy.mean().idxmax()
    assert "Accuracy on the 10,000 validation digits after the last epoch, over the seeds of each setting:" in printed
    table = [line.split("|") for line in printed.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in table[0][4:-1]] == ["mean", "std", "min", "max", "seeds"]
    assert table[2][1].strip() == best
    after.assign(signature="edited").to_csv(tmp_path / "results.csv", index=False)
    assert "2 trainings, 0 of them done before" in run("search.py", *settings, "--seeds", 1).stdout
    with Image.open(tmp_path / "search.png") as picture:
        assert len(set(picture.convert("L").tobytes())) > 10


@pytest.mark.slow
def test_search_ends_silently_when_its_pipe_is_closed(tmp_path: Path) -> None:
    settings = "--hidden 4 --lr 0.001 --dropout 0 --epochs 1 --seeds 1 --out"
    command = f"{sys.executable} {EXAMPLES / 'search.py'} {settings} {tmp_path} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGPIPE
    assert done.stdout == "1 trainings, 0 of them done before\n"
    assert done.stderr == ""
    assert len(pd.read_csv(tmp_path / "results.csv")) == 1


@pytest.mark.slow
def test_search_reports_an_unreadable_results_file(tmp_path: Path) -> None:
    (tmp_path / "results.csv").mkdir()
    assert run("search.py", "--out", tmp_path, status=2).stderr.startswith(f"error: {tmp_path / 'results.csv'}: ")


@pytest.mark.slow
def test_two_ranks_train_the_mpi_example() -> None:
    command = [Path(sys.executable).parent / "mpiexec", "-n", "2", sys.executable, EXAMPLES / "training_loop_mpi.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    accuracies = re.findall(r"validation accuracy (0\.\d+)", done.stdout)
    assert len(accuracies) == 5
    assert float(accuracies[-1]) > 0.97
    assert "rank 0 of 2" in done.stdout


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} does not exist"
        time.sleep(0.02)


def test_readme_snippets_run_and_the_gradient_check_prints_what_is_shown(tmp_path: Path) -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    training, check = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    shown = re.search(r"```\n(gradient check passed.*?)```", readme, re.DOTALL)
    assert shown
    assert without_rounding(snippet(check, tmp_path)) == without_rounding(shown[1])
    with_a_minus = snippet(check.replace("dy * (1", "-dy * (1"), tmp_path)
    assert re.search(r"`(hint: the sign is wrong \(everywhere\))`", readme)[1] in with_a_minus
    assert "gradient check passed" in snippet(training, tmp_path)
    assert {"digits.npz", "report.html"} <= {path.name for path in tmp_path.iterdir()}


def without_rounding(text: str) -> str:
    return re.sub(r" *\d+ digits \(relative error \S+|^worst: .*$", "...", text, flags=re.MULTILINE)


def snippet(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", ["", "Unable to allocate 1 GiB"])
def test_a_memory_error_is_reported_with_and_without_a_message(monkeypatch, words: str) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    from command_line import cause

    assert cause(MemoryError(*filter(None, [words]))) == ": ".join(filter(None, ["not enough memory", words]))


def test_a_relu_that_is_active_for_one_digit_is_not_dead(monkeypatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    import jobs

    net = tn.mlp(1, [3], 2, init="zeros")
    net.layers[0].W[...], net.layers[0].b[...] = [[1, 1, 0]], [[0, -1, -1]]
    pixels = np.zeros((40, 1), np.uint8)
    assert jobs.dead_units(net, pixels) == 3
    pixels[7] = 100
    assert jobs.dead_units(net, pixels) == 2
