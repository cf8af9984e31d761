"""The exercises: unsolved they fail with the intended message, the reference solutions pass, and typical mistakes are
named."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

EXERCISES = Path(__file__).parents[2] / "docs" / "exercises"
sys.path.insert(0, str(EXERCISES))

import checking  # noqa: E402

ALL = len(checking.EXERCISES)
TRAINS = pytest.mark.slow
"""It trains twenty networks."""

UNTOUCHED = {
    "01_chain_rule": "line 20 is for you to write: dz = ...",
    "02_backward_order": "a single layer would pass, three do not",
    "03_dense_dW": "line 9 is for you to write: return ...",
    "04_dense_dx_db": "line 10 is for you to write",
    "05_residual": "line 17 is for you to write",
    "06_relu_backward": "nothing that is negative comes through, yet L depends on those x too",
    "07_narrow_network": "of 20 runs failed, seeds",
    "08_stable_softmax": "z around 1000: exp overflows to inf",
    "09_softmax_backward": "line 8 is for you to write",
    "10_missing_mean": "6 times too large with 6 rows, 12 times with 12",
    "11_dropout": "line 8 is for you to write",
    "12_momentum": "theta has not moved",
    "13_adam_correction": "3.2 times as long as lr",
    "14_weight_decay": "weights with a large gradient decay less",
    "15_exploding_network": "the root mean square is 3.8e+10 times what it was",
    "16_batches": "the first batch has x = [8, 0, 5, 4] with t = [106, 101, 100, 105]",
    "17_standardize": "it depends on the other validation rows",
    "18_difference_quotient": "line 12 is for you to write: gradient[index] = ...",
    "19_vacuous_check": "a backward that returns zeros passes",
    "20_batch_norm_backward": "line 18 is for you to write",
    "21_every_backend": "line 35 is for you to write: self.dbeta[...] = ...",
    "22_ten_seeds": "line 8 is for you to write: return ..., ...",
    "23_training_loop": "line 13 is for you to write",
    "24_conv2d_dx": "line 28 is for you to write: ...",
    "25_max_pool": "a patch of zeros gets 3 from behind and gives back 12, 4 times as much",
    "26_running_statistics": "one row in use: it is zero, whatever comes in",
    "27_projection": "line 17 is for you to write: dWs = ...",
}

WRONG = {
    "01_chain_rule": [
        ("dy if z > 0 else 0.0", "dy", "max(z, 0) is flat, but a gradient passes"),
        ("dw = dz * x", "dw = dz * w", "w and x are the wrong way round"),
        ("dx = dz * w", "dx = dz", "the slope of a = w x is left out"),
        ("dy if z > 0 else 0.0", "dy * (1 - y**2)", "dz: 1 - y^2 is the slope of tanh"),
        ("dy if z > 0 else 0.0", "-dy if z > 0 else 0.0", "dz: the sign is wrong"),
        ("dy if z > 0 else 0.0", "dy * y", "dz: y stands where the slope"),
        ("db = dz", "db = dz * b", "db is 0.4 times what it should be\n"),
        ("dw = dz * x", "dw = dz / x", "    at x = 2.0, w = 0.7, b = 0.4, t = 3.0, with z = 1.8"),
        ("dw = dz * x", "dw = -dz * x", "dw: the sign is wrong"),
        ("dw = dz * x", "dw = dz / w", "dw is 0.7143 times what it should be"),
        ("dx = dz * w", "dx = dy * w", "dx: z is below zero"),
    ],
    "02_backward_order": [
        ("dy = layer.backward(dy)", "dx = layer.backward(dy)\n    dy = dx", "every layer gets the same dy"),
        ("reversed(layers)", "reversed(layers[1:])", "the first layer is left out"),
        ("reversed(layers)", "layers[-2::-1]", "the last layer is left out"),
        ("for layer in reversed(layers)", "layers.reverse()\n    for layer in layers", "is changed"),
        ("for layer in reversed(layers)", "layers.reverse()\n    for layer in layers[1:]", "the last"),
        ("reversed(layers):\n        dy", "layers:\n        dx", "this is the dy that came in"),
        ("reversed(layers)", "layers[-1:]", "the order is wrong, and every layer gets the same dy"),
    ],
    "03_dense_dW": [
        ("x.T @ dy", "dy.T @ x", "x and dy are the wrong way round"),
        ("x.T @ dy", "x.T @ dy / len(x)", "1/N belongs to the loss"),
        ("x.T @ dy", "x.sum(axis=0)[:, None] * dy.sum(axis=0)", "the product of two sums"),
        ("x.T @ dy", "x @ dy", "x has the shape (5, 3)\n    dy has the shape (5, 4)"),
    ],
    "04_dense_dx_db": [
        ("dy @ W.T", "dy @ W", "the transpose of W is missing"),
        ("dy.sum(axis=0, keepdims=True)", "dy.mean(axis=0, keepdims=True)", "1/N belongs to the loss"),
        ("dy.sum(axis=0, keepdims=True)", "dy.sum(axis=0)", "keepdims=True keeps the (1, M) of b"),
        ("dy @ W.T", "W @ dy", "    W has the shape (3, 3)\n    dy has the shape (5, 3)"),
    ],
    "05_residual": [
        ("dy + through_the_block", "through_the_block", "the way around the block is missing"),
        ("dy + through_the_block", "dy * through_the_block", "the two ways are multiplied"),
        ("dy + through_the_block", "x + through_the_block", "x is added, where its gradient should be"),
        ("dy + through_the_block", "1 + through_the_block", "the dy that arrives is missing"),
        ("dy + through_the_block", "dy * (1 + through_the_block)", "has dy in it already"),
        ("dy + through_the_block", "dy @ W.T + through_the_block", "it goes past the block"),
        ("dy + through_the_block", "dy - through_the_block", "one way is taken off the other"),
        ("dy + through_the_block", "residual(x, W)", "this is y"),
    ],
    "06_relu_backward": [
        ("y > 0", "y >= 0", "everything passes"),
        ("dy * (y > 0)", "(y > 0)", "this is the slope alone"),
        ("dy * (y > 0)", "dy * y", "multiplied by y"),
        ("(y > 0)", "(y > 0) * (dy > 0)", "two numbers decide"),
        ("(y > 0)", "(y == 0)", "the wrong way round"),
        ("(y > 0)", "(y < 0)", "y is never below 0"),
        ("(y > 0)", "(y > dy)", "y is compared with dy"),
        ("dy * (y > 0)", "y", "this is y"),
    ],
    "07_narrow_network": [
        ("tn.LeakyReLU(0.1)", "tn.Sigmoid()", "a sigmoid's slope is 1/4 at most"),
        ("seed=seed", "seed=4", "every seed gives the same initial weights"),
        ("784, 12, 10, 8, 6, 4, 4, 10", "784, 32, 32, 32, 32, 32, 32, 10", "wider layers do help, but keep"),
    ],
    "08_stable_softmax": [
        ("z.max(axis=1, keepdims=True)", "z.max()", "with one shift for all rows"),
        ("z.max(axis=1, keepdims=True)", "z.mean(axis=1, keepdims=True)", "a shift by the mean"),
        ("z - z.max(axis=1, keepdims=True)", "z.clip(-700, 700)", "z is cut off"),
    ],
    "09_softmax_backward": [
        ("y * (dy - (dy * y).sum(axis=1, keepdims=True))", "dy * y * (1 - y)", "only the diagonal"),
        (".sum(axis=1, keepdims=True)", ".sum()", "the sum runs over all rows"),
        (
            "y * (dy - (dy * y).sum(axis=1, keepdims=True))",
            "(y[:, :, None] * (__import__('numpy').eye(y.shape[1]) - y[:, None]) * dy[:, :, None]).sum(axis=1)",
            "the Jacobian is built",
        ),
    ],
    "10_missing_mean": [
        ("len(p)", "p.size", "the mean runs over the rows only"),
        ("(p - t)", "(t - p)", "this increases the loss"),
        ("(p - t) / len(p)", "-t / p / len(p)", "this is the gradient of the probabilities"),
    ],
    "11_dropout": [
        (" / (1 - rate)", " * 1.0", "not scaled"),
        (">= rate", "< rate", "the comparison is the wrong way round"),
        ("dy * mask", "dy", "what was dropped gets a gradient all the same"),
    ],
    "12_momentum": [
        ("velocity *= momentum\n    velocity += grad", "velocity = momentum * velocity + grad", "not changed in place"),
        ("velocity += grad", "velocity += lr * grad", "lr is taken twice"),
        ("theta -= lr * velocity", "theta += lr * velocity", "increased the loss"),
    ],
    "13_adam_correction": [
        ("1 - beta2**step", "1", "only m is corrected"),
        ("np.sqrt(v_corrected) + eps", "np.sqrt(v_corrected + eps)", "eps stands inside the root"),
        ("**step", "**(step - 1)", "1 - beta^0 would be zero"),
    ],
    "14_weight_decay": [
        ("lr * weight_decay", "weight_decay", "lr is missing"),
        ("theta -=", "theta +=", "the weights grow"),
        ("theta -= lr * weight_decay * theta\n", "grad = grad + lr * weight_decay * theta\n", "Adam divides it"),
    ],
    "15_exploding_network": [
        ("2 / D", "1 / D", "a ReLU halves the mean square"),
        ("(2 / D) ** 0.5", "2 / D", "that is the variance"),
        ("2 / D", "6 / D", "the bound of a uniform distribution"),
    ],
    "16_batches": [
        ("len(x), size)", "len(x) - size + 1, size)", "the last batch, of 2 rows, is dropped"),
        ("draw.permutation(len(x))", "__import__('numpy').arange(len(x))", "nothing is shuffled"),
        ("draw.permutation", "__import__('numpy').random.default_rng(0).permutation", "every epoch has the same order"),
    ],
    "17_standardize": [
        ("(x_val - mean) / std", "(x_val - x_val.mean(axis=0)) / x_val.std(axis=0)", "standardized by itself"),
        ("axis=0", "", "one mean for all columns"),
        ("    std = np.where(std > 0, std, 1)\n", "", "0 / 0 is nan"),
    ],
    "18_difference_quotient": [
        ("(above - below) / (2 * h)", "(above - f(x)) / h", "only one side is asked"),
        ("        x[index] = kept\n", "", "x is changed"),
        ("(2 * h)", "h", "a distance of 2 h, not h"),
    ],
    "19_vacuous_check": [
        ("draw.normal(size=y.shape)", "2 + 0 * y", "the rows of y sum to one"),
        ("draw.normal(size=y.shape)", "draw.normal(size=(len(y), 1)) + 0 * y", "dy is the same in a whole row"),
        ("draw.normal(size=y.shape)", "0 * y", "with dy = 0, f is 0"),
    ],
    "20_batch_norm_backward": [
        (" - dy.mean(axis=0) - y * (dy * y).mean(axis=0)", "", "mean and variance are taken as constants"),
        (" - y * (dy * y).mean(axis=0)", "", "the way through the variance is missing"),
        (" - dy.mean(axis=0)", "", "the way through the mean is missing"),
    ],
    "21_every_backend": [
        ("self.dbeta[...] =", "self.dbeta =", "write into the view"),
        ("dy * (s + ", "dy * (", "dx is not: x takes part twice"),
        ("dy * (s", "np.ones(x.shape, x.dtype) * dy * (s", "not on a device: a NumPy array among a device's"),
    ],
    "22_ten_seeds": [
        ("/ len(a) + b.var(ddof=1) / len(b)", "+ b.var(ddof=1)", "that is how far single runs spread"),
        ("ddof=1", "", "it must be n - 1: ddof=1"),
        (") ** 0.5", ")", "the standard error is its root"),
    ],
    "23_training_loop": [
        ("L * len(rows)", "L", "total adds up means"),
        ("network.backward(dz)", "network.backward(L)", "it starts from dz, and not from L"),
        (
            "network.backward(dz)\n            optimizer.step()",
            "optimizer.step()\n            network.backward(dz)",
            "a step is forward, backward, step",
        ),
    ],
    "24_conv2d_dx": [
        ("] += dy", "] = dy", "the last one wipes out what the others brought"),
        ("dy[m, i, j] * W[m]", "dy[m, i, j] * W[m, :, ::-1, ::-1]", "W is upside down"),
        (
            "dx[:, down : down + size, across : across + size]",
            "dx[:, i : i + size, j : j + size]",
            "patches stand at 0, 2",
        ),
        ("dy[m, i, j] * W[m]", "dy[m, i, j] * W[m].swapaxes(1, 2)", "rows for columns"),
        ("dy[m, i, j] * W[m]", "W[m]", "dy is missing"),
        ("dy[m, i, j] * W[m]", "dy[m, i, j]", "W is missing"),
        ("dy[m, i, j] * W[m]", "dy[m, i, j] * W.sum(axis=0)", "the weights of all outputs"),
        ("dx[:, down : down + size, across : across + size] += dy[m, i, j] * W[m]", "pass", "nothing is"),
        ("dx[:, down : down + size, across : across + size]", "dx[:, down, across]", "could not be broadcast"),
    ],
    "25_max_pool": [
        ("argmax", "argmin", "it goes to the smallest number of each patch"),
        ("dx[i * size + p, j * size + q]", "dx[p, q]", "places are counted within the patch"),
        ("= dy[i, j]", "= patch.max()", "this is the largest number itself"),
        ("= dy[i, j]", "= 1", "it must be multiplied with the dy that arrives"),
        ("patch.argmax()", "0", "it goes to the first number of each patch"),
        ("dx[i * size + p, j * size + q]", "patch = dx[i * size : (i + 1) * size]\n        patch", "dx"),
        (
            "dx[i * size + p, j * size + q] = dy[i, j]",
            "dx[i * size : (i + 1) * size, j * size : (j + 1) * size] = dy[i, j] / size**2",
            "that is the backward of a mean",
        ),
    ],
    "26_running_statistics": [
        ("if train:", "if True:", "it is zero, whatever comes in"),
        ("* n / max(n - 1, 1)", "", "n / (n - 1) is missing"),
        (
            '(1 - momentum) * kept["mean"] + momentum * mean',
            'momentum * kept["mean"] + (1 - momentum) * mean',
            "it is the share of the old number",
        ),
        ("if train:", "if not train:", "in training the kept numbers are used"),
        ("    else:\n        mean, variance =", "    mean, variance =", "with this batch in them"),
        ("np.sqrt(variance + eps)", "np.sqrt(variance * n / (n - 1) + eps)", "divided by n - 1"),
        ('(1 - momentum) * kept["variance"]', 'kept["variance"]', "not made smaller"),
        ('kept["mean"], kept["variance"]', 'kept["mean"], x.var(axis=0)', "but the variance of"),
        ('mean, variance = kept["mean"], kept["variance"]', "return x", "it is left as it is"),
        (
            '        mean, variance = kept["mean"], kept["variance"]\n',
            '        mean, variance = kept["mean"], kept["variance"]\n        kept["mean"] = x.mean(axis=0)\n',
            "in prediction the kept numbers change",
        ),
    ],
    "27_projection": [
        (" + dy @ Ws.T", "", "the way around is missing"),
        ("x.T @ dy\n", "x.T @ dz\n", "the way around has no tanh"),
        ("dy @ Ws.T", "dz @ Ws.T", "the tanh is on both ways"),
        ("dy @ Ws.T", "dy", "could not be broadcast"),
        ("dz @ W.T", "dy @ W.T", "the tanh is on neither way"),
        ("x.T @ dy\n", "dy.T @ x\n", "this is the transpose of dWs"),
        ("return dx, dW, dWs", "return dx", "expected three gradients"),
        ("return dx, dW, dWs", "return dx, dWs, dWs", "the block's tanh is left out"),
    ],
}


def params(names: list[str]) -> list:
    return [pytest.param(name, marks=TRAINS) if name == "07_narrow_network" else name for name in names]


def mistakes() -> list:
    cases = [(name, k) for name, answers in WRONG.items() for k in range(len(answers))]
    return [pytest.param(*case, marks=TRAINS) if case == ("07_narrow_network", 0) else case for case in cases]


def solution(name: str) -> str:
    return (EXERCISES / "solutions" / f"{name}.py").read_text()


def test_each_exercise_has_all_its_parts() -> None:
    for folder in ("checks", "solutions"):
        assert sorted(path.stem for path in (EXERCISES / folder).glob("*.py")) == checking.EXERCISES
    assert list(UNTOUCHED) == list(WRONG) == checking.EXERCISES
    rows = re.findall(
        r"^\| `(\d.*?)` \| .*\(\.\./book/(.*\.md)\) \|$", (EXERCISES / "README.md").read_text(), re.MULTILINE
    )
    assert [name for name, _ in rows] == checking.EXERCISES
    assert all((EXERCISES.parent / "book" / chapter).exists() for _, chapter in rows)
    assert min(map(len, WRONG.values())) == 3


@pytest.mark.parametrize("name", params(checking.EXERCISES))
def test_an_unsolved_exercise_fails_with_the_intended_message(name: str) -> None:
    assert UNTOUCHED[name] in checking.examine(name, EXERCISES / f"{name}.py"), "git checkout restores the exercise"


@pytest.mark.parametrize("name", params(checking.EXERCISES))
def test_the_reference_solution_passes(name: str) -> None:
    assert checking.examine(name, EXERCISES / "solutions" / f"{name}.py") == ""


@pytest.mark.parametrize(("name", "k"), mistakes())
def test_a_typical_mistake_is_named(name: str, k: int, tmp_path: Path) -> None:
    (right, wrong, words), text = WRONG[name][k], solution(name)
    assert right in text
    (tmp_path / "answer.py").write_text(text.replace(right, wrong))
    assert words in checking.examine(name, tmp_path / "answer.py")


@pytest.mark.parametrize("name", checking.EXERCISES)
def test_there_are_at_least_three_different_hints(name: str) -> None:
    hints = checking.teacher(name)["HINTS"]
    assert len(hints) >= 3
    assert len(set(hints)) == len(hints)


# --------------------------------------------------------------------------------------------------- check.py


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A copy of the exercises, to write answers into."""
    return shutil.copytree(EXERCISES, tmp_path / "exercises", ignore=shutil.ignore_patterns(".progress.json"))


def solve(course: Path, name: str) -> None:
    shutil.copy(course / "solutions" / f"{name}.py", course / f"{name}.py")


def checked(course: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(course / "check.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_check_takes_the_first_unsolved_exercise(course: Path) -> None:
    first = checked(course, "--once")
    assert first.returncode == 1
    assert f"0 of {ALL} solved" in first.stdout
    assert f"{course / '01_chain_rule.py'}\n  line 20 is for you to write: dz = ...\n" in first.stdout

    solve(course, "01_chain_rule")
    second = checked(course, "--once")
    assert (second.returncode, second.stdout.splitlines()[-2:]) == (
        0,
        ["  solved", f"  [#{(ALL - 1) * '.'}] 1 of {ALL} solved"],
    )
    third = checked(course, "--once")
    assert f"1 of {ALL} solved" in third.stdout
    assert "02_backward_order.py" in third.stdout


def test_a_solved_exercise_that_was_edited_is_checked_again(course: Path) -> None:
    solve(course, "01_chain_rule")
    checked(course, "--once")
    (course / "01_chain_rule.py").write_text("def neuron(x, w, b, t):\n    return 0, 0, 0, 0\n")
    assert "01_chain_rule.py\n  dz is zero\n" in checked(course, "--once").stdout


def test_an_exercise_can_be_chosen_by_number(course: Path) -> None:
    assert "03_dense_dW.py" in checked(course, "3", "--once").stdout
    refused = checked(course, str(ALL + 1))
    assert refused.returncode == 2
    assert f"there is no exercise {ALL + 1}; there are 1 to {ALL}" in refused.stderr


def test_hints_are_shown_one_at_a_time(course: Path) -> None:
    hints = checking.teacher("03_dense_dW")["HINTS"]
    for given in (1, 2, 3, 3):
        lines = checked(course, "3", "--hint").stdout.splitlines()
        assert lines == [f"03_dense_dW, hint {given} of 3", *(f"  {text}" for text in hints[:given])]


def test_the_list_shows_what_is_solved(course: Path) -> None:
    solve(course, "02_backward_order")
    checked(course, "2", "--once")
    lines = checked(course, "--list").stdout.splitlines()
    assert lines[0] == f"[#{(ALL - 1) * '.'}] 1 of {ALL} solved"
    assert lines[1:4] == ["          01_chain_rule", "  solved  02_backward_order", "          03_dense_dW"]


def test_check_reports_that_all_are_solved(course: Path) -> None:
    for name in checking.EXERCISES[1:]:
        (course / f"{name}.py").unlink()
    solve(course, "01_chain_rule")
    checked(course, "--once")
    assert checked(course).stdout == "All 1 exercises are solved.\n"


def test_a_damaged_record_counts_as_empty(course: Path) -> None:
    (course / ".progress.json").write_text("{")
    assert f"0 of {ALL} solved" in checked(course, "--list").stdout


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("def dense_dW(dy, x):\n    return x @ dy\n", "line 2 raised ValueError: the last axis of a product"),
        ("def dense_dW(dy, x)\n    return x\n", "line 1 is not Python yet, SyntaxError: expected ':'"),
        ("def dense_dW(dy, x):\n    x.T @ dy\n", "dW is None: is a return missing?"),
        ("def dense_dW(dy, x):\n    return 3 * x.T @ dy\n", "dW is 3 times what it should be, everywhere"),
        ("def dense_dW(dy, x):\n    return x\n", "dW has the shape (5, 3), and should have (3, 4)"),
        ("def dense_dW(dy, x):\n    return 'dW'\n", "dW is 'dW'; expected numbers in the shape (3, 4)"),
        ("dense = 1\n", "what comes back cannot be used: AttributeError"),
        ("import os\nos._exit(7)\n", "Python itself ended, with code 7"),
        ("import sys\nsys.exit()\n", "line 2 raised SystemExit"),
    ],
)
def test_unusable_answers_are_reported_in_one_line(course: Path, answer: str, words: str) -> None:
    (course / "03_dense_dW.py").write_text(answer)
    found = checked(course, "3", "--once")
    assert found.returncode == 1
    assert words in found.stdout
    assert "Traceback" not in found.stdout + found.stderr


def test_an_endless_answer_is_ended(course: Path) -> None:
    (course / "03_dense_dW.py").write_text("while True:\n    pass\n")
    code = "import sys, check; check.SECONDS = 1.0; sys.argv = ['check.py', '3', '--once']; sys.exit(check.main())"
    found = subprocess.run([sys.executable, "-c", code], cwd=course, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (1, "")
    assert "no answer after 1 s: is there a loop without an end?" in found.stdout


@pytest.fixture
def watched(course: Path) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-u", str(course / "check.py")]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as process:
        yield process
        process.kill()


def until(watched: subprocess.Popen, words: str) -> str:
    """Return what it prints up to the line with these words."""
    said = ""
    for line in watched.stdout:
        said += line
        if words in line:
            return said
    pytest.fail(f"it ended without {words!r}, after:\n{said}")


def test_check_watches_the_file_and_continues_when_it_is_solved(course: Path, watched: subprocess.Popen) -> None:
    until(watched, "Waiting")
    path = course / "01_chain_rule.py"
    path.write_text(path.read_text().replace("dz = ...", "dz = dy"))
    assert "line 21 is for you to write: dw = ..." in until(watched, "Waiting")

    (course / "new.py").write_text(solution("01_chain_rule"))
    path.unlink()
    time.sleep(0.3)
    os.replace(course / "new.py", path)
    said = until(watched, "Waiting")
    assert f"solved\n  [#{(ALL - 1) * '.'}] 1 of {ALL} solved\n" in said
    assert "02_backward_order.py" in said

    watched.send_signal(signal.SIGINT)
    assert watched.wait(10) == 0
    assert "Traceback" not in watched.stdout.read()
