"""mutate.py: which faults it plants, and what it says of those that tests notice and of those that they do not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import mutate

TINY = '''"""Not 1 but 0."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from somewhere import ONE


def above(x: "0", low: int = 10) -> "1":
    """x > 1"""
    if x < 0:
        raise ValueError(f"{x + 1} below 0")
    return x > low


class Count:
    def up(self):
        self.n += 1
        return not self.n and max(self.n, 2)
'''

MUTANTS = [
    "above :: def above(x: '0', low: int=11) -> '1':",
    "above :: if x <= 0:",
    "above :: if x >= 0:",
    "above :: if x < 1:",
    "above :: dropped: raise ValueError(f'{x + 1} below 0')",
    "above :: return x >= low",
    "above :: return x <= low",
    "Count.up :: dropped: self.n += 1",
    "Count.up :: self.n -= 1",
    "Count.up :: self.n += 0",
    "Count.up :: return not self.n or max(self.n, 2)",
    "Count.up :: return self.n and max(self.n, 2)",
    "Count.up :: return not self.n and min(self.n, 2)",
    "Count.up :: return not self.n and max(self.n, 3)",
]

TESTS = """
import pytest
from tinynet.tiny import above

def test_above():
    assert above(11) and not above(9)
    assert not above(0)
    with pytest.raises(ValueError):
        above(-1)
"""


def test_every_mutant_has_one_change_and_texts_have_none():
    mutants = list(mutate.mutants_of(TINY, "tiny.py"))
    assert [mutant.key for mutant in mutants] == [f"tiny.py {key}" for key in MUTANTS]
    assert {mutant.line for mutant in mutants if "self.n and" in mutant.key} == {18}
    for mutant in mutants:
        compile(mutant.source, "tiny.py", "exec")
    assert "return x <= low" in mutants[6].source
    assert "if x < 0:" in mutants[6].source


def run(folder: Path, *equivalent: str) -> tuple[int, list[str]]:
    """Exit status and output in a repository of one module; the last line, of seconds, left out."""
    (folder / "tests/mutate_equivalent.txt").write_text("".join(f"{line} :: because\n" for line in equivalent))
    program = [sys.executable, "tests/mutate.py", "tinynet/tiny.py"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=folder, check=False)
    return done.returncode, (done.stderr + done.stdout).splitlines()[:-1]


def test_a_survivor_is_shown_until_it_is_listed(tmp_path):
    for folder in ("tinynet", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tinynet/__init__.py").touch()
    shutil.copy(mutate.__file__, tmp_path / "tests")
    (tmp_path / "tinynet/tiny.py").write_text(TINY.partition("class")[0])
    (tmp_path / "tests/test_tiny.py").write_text(TESTS)
    survivor, strange = (f"tinynet/tiny.py above :: return x {sign} low" for sign in (">=", "=="))
    assert run(tmp_path, strange) == (
        1,
        [
            "tinynet/tiny.py:12: return x > low survives as",
            f"    {survivor}",
            f"mutate_equivalent.txt fits no mutant: {strange}",
            "tinynet/tiny.py: 6 of 7 killed, 0 more are equivalent",
        ],
    )
    assert run(tmp_path, survivor) == (0, ["tinynet/tiny.py: 6 of 6 killed, 1 more are equivalent"])
    assert (tmp_path / "tinynet/tiny.py").read_text() == TINY.partition("class")[0]
