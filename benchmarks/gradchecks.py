"""Gradient checks of several libraries on the same wrong gradients and right functions.

    python benchmarks/gradchecks.py
    python benchmarks/gradchecks.py --list     also list the misses of each check by name

The cases are those of `tests/gradcheck/corpus`. All checks run on a case in turn, in float64 and with their default
settings. An error counts like a failed check. The first check of each library, which imports and warms it up, is not
counted.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import pkgutil
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import charts
import numpy as np
from peers_gradchecks import PEERS, missing
from report import markdown, write_section
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from gradcheck.corpus import Case

TESTS = Path(__file__).parents[1] / "tests"


class Outcome(NamedTuple):
    """What a check said about a case: its seconds, whether it passed, and the message of its error."""

    case: Case
    wrong: bool
    """Whether the case is a wrong gradient."""

    seconds: float
    passed: bool
    message: str = ""

    @property
    def is_miss(self) -> bool:
        """Whether a wrong gradient passed, or a right one did not."""
        return self.passed == self.wrong

    @property
    def is_named(self) -> bool:
        """Whether the message names the cause."""
        return not self.passed and self.case.cause in self.message


class Score(NamedTuple):
    """Right answers and all answers of a check, and the median seconds of a check."""

    caught: tuple[int, int]
    accepted: tuple[int, int]
    named: tuple[int, int]
    """Wrong gradients whose cause the message names, of those for which the corpus says a cause."""

    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="list the misses of each check by name")
    options = parser.parse_args()
    absent = {name: reason for name in PEERS if (reason := missing(name))}
    logging.disable()  # JAX logs the traceback of every error that a case raises
    found = compare([name for name in PEERS if name not in absent], corpus("wrong"), corpus("right"))
    scores = {name: score(outcomes) for name, outcomes in found.items()}
    picture = Path(__file__).with_name("gradchecks.png")
    charts.gradient_checks(scores, picture)
    text = [f"![Wrong gradients caught, right functions accepted, and time]({picture.name})", table(scores, absent)]
    text += [f"{name} does not run here. {reason}" for name, reason in absent.items()]
    write_section("gradchecks.py: gradient checks on wrong gradients and right functions", "\n\n".join(text))
    if options.list:
        print("\n".join(line for name, outcomes in found.items() for line in misses(name, outcomes)))


def corpus(name: str) -> list[Case]:
    """Return the cases of all modules of the corpus whose names begin with this one."""
    sys.path.append(str(TESTS))
    package = importlib.import_module("gradcheck.corpus")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name.startswith(name))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return [case for module in modules for case in module.CASES]


def compare(names: list[str], wrong: list[Case], right: list[Case]) -> dict[str, list[Outcome]]:
    """Return the outcomes of each check, one for each case."""
    found: dict[str, list[Outcome]] = {name: [] for name in names}
    cases = [*((case, True) for case in wrong), *((case, False) for case in right)]
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name in names:
            outcome(name, *cases[0])
        for case in cases:
            for name in names:
                found[name].append(outcome(name, *case))
    return found


def outcome(name: str, case: Case, wrong: bool) -> Outcome:
    start = time.perf_counter()
    try:
        PEERS[name](case)
    except Exception as error:
        return Outcome(case, wrong, time.perf_counter() - start, passed=False, message=str(error))
    return Outcome(case, wrong, time.perf_counter() - start, passed=True)


def score(outcomes: list[Outcome]) -> Score:
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    right = [outcome for outcome in outcomes if not outcome.wrong]
    with_cause = [outcome for outcome in wrong if outcome.case.cause]
    return Score(
        caught=(sum(not outcome.passed for outcome in wrong), len(wrong)),
        accepted=(sum(outcome.passed for outcome in right), len(right)),
        named=(sum(outcome.is_named for outcome in with_cause), len(with_cause)),
        seconds=statistics.median(outcome.seconds for outcome in outcomes),
    )


def table(scores: dict[str, Score], absent: dict[str, str]) -> str:
    rows = [
        {
            "gradient check": name,
            "wrong caught": share(*found.caught),
            "right accepted": share(*found.accepted),
            "cause named": share(*found.named) if name == "tinynet" else "",
            "ms per check": f"{1e3 * found.seconds:,.1f}",
        }
        for name, found in scores.items()
    ]
    rows += [{"gradient check": name} | dict.fromkeys(list(rows[0])[1:], "does not run") for name in absent]
    return markdown(rows)


def share(count: int, of: int) -> str:
    return f"{count} of {of} ({100 * count / of:.0f} %)" if of else ""


def misses(name: str, outcomes: list[Outcome]) -> list[str]:
    """Return a line for each wrong gradient that passed, and for each right function that did not."""
    lines = []
    for case, wrong, _, _, message in filter(lambda outcome: outcome.is_miss, outcomes):
        reason = f": {' '.join(message.split())[:100]}" if message else ""
        subject = f"{case.level} {case.name} ({case.kind})"
        lines.append(f"{name} accepts wrong {subject}" if wrong else f"{name} rejects right {subject}{reason}")
    return lines


if __name__ == "__main__":
    main()
