"""The folders of the package, the direction of imports, and the texts about them."""

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

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tinynet"
COURSE = ["functions.py", "layers/", "losses.py", "network.py", "optim.py", "training/", "gradcheck/"]
FOLDERS = ["arrays/", "data/", "files/", "interop/", "inspect/", "testing/", "parallel/", "kernels/", "report/"]
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
    "training.identity",
    "training.checkpoint",
    "training.fit",
    "gradcheck",
    "inspect",
    "files",
    "interop",
    "parallel",
    "data",
    "testing",
    "kernels",
    "report",
]
"""A module may import modules of the same or an earlier entry. The longest entry that matches its name counts."""

EXCEPTIONS = {("arrays.backend", "kernels")}
"""`backend` imports a module of kernels by name when it is asked for. This import only gives it the folder."""


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the name below tinynet and the path of every module; "" is the package itself."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imports(name: str, path: Path) -> Iterator[str]:
    """Yield the modules of this package that a module imports, also inside functions, except for type checkers."""
    tree = ast.parse(path.read_text())
    type_checking = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    skipped = {id(inner) for node in type_checking for inner in ast.walk(node)}
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
    assert rules, f"tinynet/{name} is missing in EARLIEST_FIRST"
    return EARLIEST_FIRST.index(max(rules, key=len))


def upward_imports(name: str, targets: Iterator[str]) -> set[tuple[str, str]]:
    return {(name, target) for target in targets if rank(target) > rank(name)}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, path in modules() if name], ids=str)
def test_imports_go_one_way(name: str, path: Path) -> None:
    assert upward_imports(name, imports(name, path)) <= EXCEPTIONS


def test_the_exception_is_needed() -> None:
    found = [upward_imports(name, imports(name, path)) for name, path in modules() if name]
    assert set().union(*found) == EXCEPTIONS


def test_the_root_holds_the_course_and_nothing_else() -> None:
    found = {f"{path.name}/" if path.is_dir() else path.name for path in PACKAGE.iterdir()} - {"__pycache__/"}
    assert found == {"__init__.py", "py.typed", *COURSE, *FOLDERS}


def test_every_module_has_a_docstring() -> None:
    for name, path in modules():
        assert ast.get_docstring(ast.parse(path.read_text())), name


def test_the_readmes_table_lists_the_package() -> None:
    section = (ROOT / "README.md").read_text().partition("## How to read the code")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert len(rows) <= 12
    assert re.findall(r"`(.*?)`", " ".join(rows)) == [*COURSE, *FOLDERS]


def test_every_file_that_the_texts_name_exists() -> None:
    for text in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"`((?:tinynet|tests|examples|benchmarks|docs)/[\w/.]+)`", (ROOT / text).read_text())
        for name in set(named):
            assert (ROOT / name).exists(), f"{text} names {name}"


def test_every_link_of_the_texts_leads_somewhere() -> None:
    texts = [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")]
    links = [(text, link) for text in texts for link in re.findall(r"\]\((?!http)(.*?)\)", text.read_text())]
    assert len(links) > 5
    assert [f"{text.name}: {link}" for text, link in links if not leads_somewhere(text, link)] == []


def leads_somewhere(text: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = text.parent / path if path else text
    headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
    return target.exists() and (not anchor or anchor in [heading.lower().replace(" ", "-") for heading in headings])


def test_the_readme_is_short_and_leads_to_the_code_at_once() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1300
    first_screen = "\n".join(text.splitlines()[:30])
    assert "(examples/from_scratch.py)" in first_screen
    assert "(#how-to-read-the-code)" in first_screen


def test_ci_finds_the_test_command_of_the_readme() -> None:
    (pattern,) = re.findall(r"grep -m1 '(.*?)' README\.md", (ROOT / ".ci" / "run").read_text())
    first = next(line for line in (ROOT / "README.md").read_text().splitlines() if pattern in line)
    assert first.startswith('python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && ')


def test_the_version_is_the_same_everywhere() -> None:
    version = re.search(r'^__version__ = "(.*)"$', (PACKAGE / "__init__.py").read_text(), re.MULTILINE)[1]
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version} - " in (ROOT / "CHANGELOG.md").read_text()


def test_a_layer_is_added_by_following_the_text(tmp_path: Path) -> None:
    """Append each piece of code to the file that the line above it names; change nothing else."""
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
