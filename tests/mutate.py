"""Plant one small fault at a time, a mutant, in the core, and see whether the tests fail.

    python tests/mutate.py [FILE ...]

Each mutant of the files (default: the core) is written into a temporary copy of the repository. There the tests of
TESTS run, on NumPy alone, until one fails. A mutant that passes them all survives and is printed in a line. Then a test
is missing, or the mutant computes the same as the original. Such a mutant belongs in tests/mutate_equivalent.txt:

    FILE WHERE :: the mutated statement :: why it computes the same

Mutants listed there are counted and not run. The exit status is 1 if another mutant survives, or if a line there fits
no mutant.

mutmut does not serve here: it writes mutants beside the functions in one module, and the backends would take them for
functions. cosmic-ray writes into the working tree and starts a Python for each mutant; here a mutant costs one fork.
"""

import ast
import copy
import importlib.util
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis  # noqa: F401  as NumPy: imported once, for all forks
import numpy  # noqa: F401
import pytest

ROOT = Path(__file__).parent.parent
CORE = ("functions.py", "losses.py", "layers/*.py", "optim.py", "training/*.py", "gradcheck/*.py")
EQUIVALENT = ROOT / "tests/mutate_equivalent.txt"
TESTS = {
    "functions": "functions each_layer pictures losses",
    "losses": "losses losses_and_optimizers_on_numpy input_validation evaluation weights pickle",
    "layers": (
        "layers each_layer layer_arguments pictures blocks buffers freezing output_shape network "
        "network_arguments network_parts blocks_and_freezing_on_numpy refused_layers pickle"
    ),
    "network": "network network_arguments network_parts freezing blocks blocks_and_freezing_on_numpy pickle",
    "optim": "optim losses_and_optimizers_on_numpy fit freezing blocks refused_layers pickle files",
    "training": "fit evaluation weights listeners progress refused_settings refused_layers checkpoint augmentation",
    "gradcheck": "gradcheck functions layer_arguments corpus other_libraries",
}
"""The tests that may notice a fault in a file or folder, most likely first, after the tests of the file's own name."""

PYTEST = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
ON_NUMPY = ["-k", "not numba and not cupy and not compare_backends and not joblib"]

SWAPS = {
    **{"Lt": "LtE GtE", "LtE": "Lt Gt", "Gt": "GtE LtE", "GtE": "Gt Lt", "Eq": "NotEq", "NotEq": "Eq"},
    **{"Is": "IsNot", "IsNot": "Is", "In": "NotIn", "NotIn": "In", "And": "Or", "Or": "And"},
    **{"Add": "Sub", "Sub": "Add", "Mult": "Div", "Div": "Mult", "FloorDiv": "Mult", "Mod": "Mult", "Pow": "Mult"},
}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}
TEXTS_AND_IMPORTS = (ast.JoinedStr, ast.Import, ast.ImportFrom)
DROPPED = (ast.Expr, ast.AugAssign, ast.Raise, ast.Delete, ast.Continue, ast.Break)


class Mutant(NamedTuple):
    line: int
    key: str
    before: str
    source: str


def main(files: list[str]) -> int:
    core = [str(path.relative_to(ROOT)) for part in CORE for path in sorted((ROOT / "tinynet").glob(part))]
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    equivalent, started = {line.rpartition(" :: ")[0] for line in lines}, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        workplace = Path(folder) / "copy"
        shutil.copytree(ROOT, workplace, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        found = [score(workplace, name, equivalent) for name in files or core]
    print(*(line for line, _ in found), f"{time.monotonic() - started:.0f} seconds", sep="\n")
    return 1 if any(holes for _, holes in found) else 0


def score(workplace: Path, name: str, equivalent: set[str]) -> tuple[str, int]:
    """A file's line at the end, and how much is wrong: survivors, and equivalents that fit no mutant."""
    mutants = list(mutants_of((ROOT / name).read_text(), name))
    tried = [mutant for mutant in mutants if mutant.key not in equivalent]
    survivors = 0
    for mutant in survivors_of(workplace, name, tried):
        survivors += 1
        print(f"{name}:{mutant.line}: {mutant.before} survives as\n    {mutant.key}", flush=True)
    stale = {key for key in equivalent if key.startswith(f"{name} ")} - {mutant.key for mutant in mutants}
    for key in sorted(stale):
        print(f"{EQUIVALENT.name} fits no mutant: {key}")
    killed, same = len(tried) - survivors, len(mutants) - len(tried)
    return f"{name}: {killed} of {len(tried)} killed, {same} more are equivalent", survivors + len(stale)


# ------------------------------------------------------------------------------------------------- making mutants


def mutants_of(source: str, name: str) -> Iterator[Mutant]:
    """Every mutant of a module, each with one change, which is taken back behind it."""
    tree = ast.parse(source)
    for holder, key, statement, where in places(tree):
        node, before = holder[key], shown(statement)
        for new in replacements(node):
            holder[key] = new
            after = shown(new) if node is statement else shown(statement)
            after = f"dropped: {before}" if isinstance(new, ast.Pass) else after
            yield Mutant(statement.lineno, f"{name} {where} :: {after}", before, ast.unparse(tree))
        holder[key] = node


def places(parent: ast.AST, where: str = "", around: Any = None) -> Iterator[tuple[Any, Any, ast.stmt, str]]:
    """Where nodes stand that may change: in the holder under the key, in a statement of a class or a function."""
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "decorator_list", "exc", "cause"):
            continue
        holder: Any = value if isinstance(value, list) else vars(parent)
        for key in range(len(value)) if isinstance(value, list) else [field]:
            node = holder[key]
            if not isinstance(node, ast.AST) or left_alone(node):
                continue
            statement = node if isinstance(node, ast.stmt) else around
            yield holder, key, statement, where or "module"
            inner = f"{where}.{node.name}".lstrip(".") if isinstance(node, ast.ClassDef | ast.FunctionDef) else where
            yield from places(node, inner, statement)


def left_alone(node: ast.AST) -> bool:
    """Docstrings and other texts, imports, and what is for type checkers alone."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    for_checkers = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    return text or for_checkers or isinstance(node, TEXTS_AND_IMPORTS)


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    yield from (getattr(ast, other)() for other in SWAPS.get(type(node).__name__, "").split())
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(0 if value == 1 else value + 1)
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield node.operand
        case ast.Name(id=name) if name in NAMES:
            yield ast.Name(NAMES[name])
        case ast.Attribute(attr=name) if name in NAMES:
            yield ast.Attribute(node.value, NAMES[name])
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            negated = copy.copy(node)
            negated.test = ast.UnaryOp(ast.Not(), node.test)
            yield negated
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield ast.Pass()
        case _ if isinstance(node, DROPPED):
            yield ast.Pass()


def shown(statement: ast.AST) -> str:
    """A statement in one line: of a function, a loop or a condition its head."""
    return next(line for line in ast.unparse(statement).splitlines() if not line.startswith("@"))


# ---------------------------------------------------------------------------------------------- running their tests


def survivors_of(workplace: Path, name: str, mutants: list[Mutant]) -> Iterator[Mutant]:
    others = TESTS.get(Path(name).parts[1].removesuffix(".py"), "").split()
    found = [workplace.glob(f"tests/**/test_{part}.py") for part in dict.fromkeys([Path(name).stem, *others])]
    limits = {f"{test}": limit(workplace, f"{test}") for tests in found for test in tests}
    for mutant in mutants:
        write(workplace / name, mutant.source)
        if all(passes(workplace, test, seconds) for test, seconds in limits.items()):
            yield mutant
    write(workplace / name, (ROOT / name).read_text())


def limit(workplace: Path, test: str) -> float:
    """Seconds that a mutant has for the tests: what they take on the original, several times over."""
    started = time.monotonic()
    if not passes(workplace, test, 600):
        sys.exit(f"{test} fails without a mutant")
    return 5 + 4 * (time.monotonic() - started)


def write(path: Path, source: str) -> None:
    """Without what Python compiled before, which it takes for the new one if size and second are the same."""
    path.write_text(source)
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def passes(workplace: Path, test: str, seconds: float) -> bool:
    """Whether the tests pass in time, in a fork of this process, which has the libraries and no tinynet yet."""
    process = multiprocessing.get_context("fork").Process(target=run_tests, args=(workplace, test))
    process.start()
    process.join(seconds)
    if process.is_alive():
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()
    return process.exitcode == 0


def run_tests(workplace: Path, test: str) -> None:
    os.setsid()
    os.chdir(workplace)
    os.environ["PYTHONPATH"] = sys.path[0] = str(workplace)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    os._exit(pytest.main([test, *PYTEST, *ON_NUMPY]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
