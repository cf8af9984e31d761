"""Build the book into docs/_site: run every cell, and compare its output with docs/outputs.

A warning, an exception, a broken link or a changed number fails the build.

    python docs/build.py            build and compare
    python docs/build.py --accept   build, and save the output of the cells as the expected output
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).resolve().parent
SITE, WORK, OUTPUTS = HERE / "_site", HERE / "_work", HERE / "outputs"
MEASURED = "measured"
"""The tag of a cell whose output depends on the machine. It is run, but not compared."""

KERNELS = """
c = get_config()
c.IPKernelApp.log_level = "ERROR"
c.IPKernelApp.exec_lines = [
    "import sys, warnings",
    "sys.stdout._isatty = sys.stderr._isatty = False",
    "sys.stdout.flush_interval = 600",
    "warnings.filterwarnings('ignore', 'IProgress not found')",
    "del sys, warnings",
]
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accept", action="store_true", help="save the output of the cells as the expected output")
    accept = parser.parse_args().accept
    for folder in (SITE, WORK):
        shutil.rmtree(folder, ignore_errors=True)
    os.environ |= {
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path, str(HERE.parent / "examples")]),
        "OPENBLAS_NUM_THREADS": "1",
        "IPYTHONDIR": str(quiet_kernels()),
    }
    failed = sphinx(["-q", "-n", "-W", "--keep-going", "-j", "2", "-d", str(WORK), str(HERE), str(SITE)])
    if failed:
        return failed
    pages = {path.stem: printed(path) for path in sorted((HERE / "jupyter_execute").rglob("*.ipynb"))}
    if accept:
        save(pages)
    changed = [line for name, text in pages.items() for line in difference(name, text)]
    sys.stdout.writelines(changed)
    print(f"docs/_site/index.html is the book; {len(changed)} lines of output changed")
    return bool(changed)


def quiet_kernels() -> Path:
    """Make a folder of IPython settings, so that the user's own do not matter. Return the folder.

    With these settings a cell shows no progress bars, and its output arrives in one piece.
    """
    profile = WORK / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text(KERNELS)
    return profile.parent


def printed(notebook: Path) -> str:
    """Return the output of the cells of an executed page, except for those that measure this machine."""
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    compared = [cell for cell in cells if MEASURED not in cell.metadata.get("tags", ())]
    texts = [text(output).rstrip() for cell in compared for output in cell.outputs]
    return "".join(f"{part}\n\n" for part in texts if part)


def text(output: nbformat.NotebookNode) -> str:
    """Return the text of an output, without the rounding errors of gradient checks, which depend on the machine."""
    data = output.get("data", {})
    printed = output.get("text") or ("" if "text/html" in data else data.get("text/plain", ""))
    return re.sub(r" *\d+ digits \(relative error +\S+|^worst: .*$", " ...", printed, flags=re.MULTILINE)


def save(pages: dict[str, str]) -> None:
    shutil.rmtree(OUTPUTS, ignore_errors=True)
    OUTPUTS.mkdir()
    for name, text in pages.items():
        (OUTPUTS / f"{name}.txt").write_text(text)


def difference(name: str, found: str) -> list[str]:
    path = OUTPUTS / f"{name}.txt"
    expected = path.read_text() if path.exists() else ""
    lines = [expected.splitlines(keepends=True), found.splitlines(keepends=True)]
    return list(difflib.unified_diff(*lines, f"{name}: expected", f"{name}: now", n=1))


if __name__ == "__main__":
    sys.exit(main())
