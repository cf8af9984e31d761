"""The reference lists every public name, and the build refuses faulty pages. docs/test_site.py opens the pages."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinynet as tn
from tinynet import functions, testing

DOCS = Path(__file__).parents[2] / "docs"

LATE = ["Classifier", "Regressor"]
"""Public names that need scikit-learn, which `from tinynet import *` must not."""

SEPARATE = ["testing"]
"""Public modules that `import tinynet` does not import."""


def test_every_public_name_stands_in_the_reference() -> None:
    text = (DOCS / "reference.md").read_text()
    shown = [line.rpartition("tinynet.")[2] for line in text.splitlines() if line.startswith(".. auto")]
    assert sorted(shown) == sorted([*tn.__all__, *LATE, *SEPARATE])


def test_every_public_name_says_its_formula_or_its_errors() -> None:
    found = {name: getattr(room, name) for room in (tn, tn.data, testing) for name in room.__all__}
    found |= {name: getattr(tn, name) for name in LATE}
    own = {name: f for name, f in vars(functions).items() if getattr(f, "__module__", "") == functions.__name__}
    found |= {name: f for name, f in own.items() if not name.startswith("_")}
    assert len(found) > 100
    silent = {name for name, it in found.items() if not re.search(r" = |<-|Error|raise", inspect.getdoc(it) or "")}
    documented_elsewhere = {"functions", "data", "backends", "Listener", "StopTraining", "LAYOUTS"}
    assert silent == documented_elsewhere, "modules, a tuple, and classes whose methods say it"


# ------------------------------------------------------------------------ what the build refuses, by trying it

PAGE = """---
file_format: mystnb
kernelspec:
  name: python3
---

# A page

```{code-cell} ipython3
print(6 * 7)
```
"""
FORMULA = "```{formula} relu_backward\n:says: SAYS\n\\mathrm dx\n```\n"
CELL = "```{code-cell} ipython3\nCODE\n```\n"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """The engine of the book, for a page of one's own."""
    pytest.importorskip("sphinx", reason="Sphinx is missing: pip install -e '.[docs]'", exc_type=ImportError)
    for name in ("build.py", "conf.py", "directives.py", "plotting.py", "book.css"):
        shutil.copy(DOCS / name, tmp_path)
    return tmp_path


def build(book: Path, page: str, *options: str) -> subprocess.CompletedProcess[str]:
    (book / "index.md").write_text(page)
    command = [sys.executable, str(book / "build.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_sound_page_is_built_and_a_changed_number_fails(book: Path) -> None:
    assert build(book, PAGE, "--accept").returncode == 0
    assert "42" in (book / "_site" / "index.html").read_text()
    assert build(book, PAGE).returncode == 0
    changed = build(book, PAGE.replace("6 * 7", "6 * 8"))
    assert changed.returncode == 1
    assert "-42\n+48\n" in changed.stdout


@pytest.mark.slow
def test_a_measured_cell_may_print_another_number(book: Path) -> None:
    page = PAGE.replace("print", ":tags: [measured]\nprint")
    assert build(book, page, "--accept").returncode == 0
    assert build(book, page.replace("6 * 7", "6 * 8")).returncode == 0


@pytest.mark.slow
def test_a_number_that_nobody_wrote_down_fails(book: Path) -> None:
    assert build(book, PAGE).returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (CELL.replace("CODE", "1 / 0"), "ZeroDivisionError"),
        (CELL.replace("CODE", "import warnings; warnings.warn('odd')"), "stderr was found"),
        (FORMULA.replace("SAYS", "dx = dy [y >= 0]"), "the docstring of relu_backward does not say"),
        (FORMULA.replace("relu_backward", "relu_onward").replace("SAYS", "dx"), "relu_onward"),
        ("```{source} functions.relu_onward\n```\n", "relu_onward"),
        ("[a chapter](book/00_nothing)\n", "cross-reference target not found"),
    ],
)
def test_what_is_wrong_on_a_page_fails_the_build(book: Path, more: str, message: str) -> None:
    done = build(book, PAGE + more, "--accept")
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


@pytest.mark.slow
def test_a_formula_and_a_source_are_shown(book: Path) -> None:
    source = "```{source} functions.relu functions.relu_backward\n```\n"
    assert build(book, PAGE + FORMULA.replace("SAYS", "dx = dy [y > 0]") + source, "--accept").returncode == 0
    words = re.sub(r"<.*?>", "", (book / "_site" / "index.html").read_text())
    assert "relu_backward: dx = dy [y &gt; 0]" in words
    assert "tinynet/functions.py" in words
    assert "return dy * (y &gt; 0)" in words
