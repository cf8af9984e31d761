"""The layout: what stands where, which way imports go, and that the texts about it are true."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tinynet"
COURSE = ["functions.py", "layers/", "losses.py", "network.py", "optim.py", "training/", "gradcheck.py"]
BESIDE = ["arrays/", "data/", "files/", "interop/", "inspect/", "parallel/", "kernels/", "report/"]
EARLIEST_FIRST = [
    "arrays",
    "arrays.optional",
    "arrays.rng",
    "functions",
    "arrays.backend",
    "layers",
    "inspect.summary",
    "layers.container",
    "losses",
    "network",
    "optim",
    "files.archive",
    "training.history",
    "training.loop",
    "training.input_validation",
    "training.evaluation",
    "inspect.step",
    "inspect.diagnosis_report",
    "inspect.diagnosis",
    "training.listeners",
    "training.progress",
    "training.checkpoint",
    "training.fit",
    "inspect.gradient_report",
    "gradcheck",
    "inspect",
    "files",
    "interop",
    "parallel",
    "data",
    "kernels",
    "report",
]
"""A module may import what stands before it, or beside it in its own room; each is ruled by its longest name here."""

BACKWARDS = {("arrays.backend", "kernels")}
"""Kernels stand behind all that they replace, and the backend, which chooses them, in front of it. It asks for them by
name, when somebody does; the import named here gives it no more than the folder in which to look."""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package by its name below tinynet; "" is the package itself."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imports(name: str, path: Path) -> Iterator[str]:
    """What a module imports of this package, imports inside functions too; those for type checkers alone left out."""
    tree = ast.parse(path.read_text())
    for_checkers = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    skipped = {id(inner) for node in for_checkers for inner in ast.walk(node)}
    here = name.split(".") if name else []
    package = here if path.name == "__init__.py" else here[:-1]
    known = {name for name, _ in modules()}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level or id(node) in skipped:
            continue
        base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
        for alias in node.names:
            inner = ".".join([*base, alias.name])
            yield inner if inner in known else ".".join(base)


def rank(name: str) -> int:
    rules = [rule for rule in EARLIEST_FIRST if name == rule or name.startswith(f"{rule}.")]
    assert rules, f"tinynet/{name} has no place in the order of imports"
    return EARLIEST_FIRST.index(max(rules, key=len))


def arrows_back(name: str, targets: Iterator[str]) -> list[tuple[str, str]]:
    return [(name, target) for target in targets if rank(target) > rank(name) and (name, target) not in BACKWARDS]


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, path in modules() if name], ids=str)
def test_imports_go_one_way(name: str, path: Path) -> None:
    assert not arrows_back(name, imports(name, path))


def test_the_exception_is_needed() -> None:
    assert {
        (name, target)
        for name, path in modules()
        if name
        for target in imports(name, path)
        if rank(target) > rank(name)
    } == BACKWARDS


def test_an_arrow_back_is_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "losses.py"
    wrong.write_text("def late():\n    from .training.fit import fit\n    return fit\n")
    assert arrows_back("losses", imports("losses", wrong)) == [("losses", "training.fit")]


def test_the_root_holds_the_course_and_nothing_else() -> None:
    found = {f"{path.name}/" if path.is_dir() else path.name for path in PACKAGE.iterdir()} - {"__pycache__/"}
    assert found == {"__init__.py", "py.typed", *COURSE, *BESIDE}


def test_every_module_says_first_what_it_is_for() -> None:
    for name, path in modules():
        assert ast.get_docstring(ast.parse(path.read_text())), name


def test_the_readmes_table_is_the_layout() -> None:
    section = (ROOT / "README.md").read_text().partition("## How to read the code")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert len(rows) <= 12
    assert re.findall(r"`(.*?)`", " ".join(rows)) == [*COURSE, *BESIDE]


# -------------------------------------------------------------------------- CONTRIBUTING.md, followed to the letter


def test_every_file_that_the_texts_name_is_there() -> None:
    for text in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"`((?:tinynet|tests|examples|benchmarks|docs)/[\w/.]+)`", (ROOT / text).read_text())
        for name in set(named) - {"docs/_site"}:  # built, not kept
            assert (ROOT / name).exists(), f"{text} names {name}"


def test_every_link_between_the_texts_leads_somewhere() -> None:
    texts = [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")]
    links = [(text, link) for text in texts for link in re.findall(r"\]\((?!http)(.*?)\)", text.read_text())]
    assert len(links) > 5
    assert [f"{text.name}: {link}" for text, link in links if not (text.parent / link).exists()] == []


def test_a_layer_is_added_by_following_the_text(tmp_path: Path) -> None:
    """Each piece of code goes to the end of the file that the line above it names; nothing else is touched."""
    shutil.copytree(PACKAGE, tmp_path / "tinynet", ignore=shutil.ignore_patterns("__pycache__", "mnist"))
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## How to add a layer")[2].partition("\n## ")[0]
    steps = re.findall(r"`(tinynet/[\w/.]+)`[^`]*?:\n\n((?:    .*\n|\n)+)", section)
    assert [name for name, _ in steps] == [
        "tinynet/functions.py",
        "tinynet/layers/activation.py",
        "tinynet/layers/__init__.py",
        "tinynet/__init__.py",
    ]
    for name, code in steps:
        with (tmp_path / name).open("a") as file:
            file.write(f"\n\n{textwrap.dedent(code)}")
    (check,) = re.findall(r"^ +(assert tn\.gradient_check_layer.*)$", section, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", FOLLOWED.replace("CHECK", check)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


FOLLOWED = """
import numpy as np, pickle, tinynet as tn
draw = np.random.default_rng(1)
CHECK
net = tn.Network(tn.Dense(4, 8), tn.Swish(), tn.Dense(8, 3))
x, t = draw.normal(size=(40, 4)), draw.integers(0, 3, 40)
history = tn.fit(net, tn.Adam(net, lr=0.05), x, t, epochs=20)
assert history[-1].loss < history[0].loss
tn.save(net, "net.npz")
assert (tn.predict(tn.load("net.npz"), x) == tn.predict(net, x)).all()
assert (tn.predict(pickle.loads(pickle.dumps(net)), x) == tn.predict(net, x)).all()
print(tn.__file__)
"""
