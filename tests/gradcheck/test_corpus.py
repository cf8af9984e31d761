"""The corpora: every wrong gradient is rejected, every right function is accepted, and the cause is named."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter

import pytest
from gradcheck import corpus
from gradcheck.corpus import Case, check

pytestmark = pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
MODULES = [module.name for module in pkgutil.iter_modules(corpus.__path__)]
PARTS = [
    pytest.param(3, False, id="a third"),
    pytest.param(1, False, id="all", marks=pytest.mark.slow),
    pytest.param(1, True, id="full", marks=pytest.mark.slow),
]
"""Every how many cases are checked, and whether every coordinate is."""


def cases_of(kind: str) -> dict[str, list[Case]]:
    names = [name for name in MODULES if name.startswith(kind)]
    return {name: importlib.import_module(f"gradcheck.corpus.{name}").CASES for name in names}


RIGHT, WRONG = cases_of("right"), cases_of("wrong")


def outcome(case: Case, full: bool) -> tuple[bool, str]:
    """Return whether the check passed, and its hints or its error."""
    try:
        report = check(case, full=full)
    except (TypeError, ValueError) as error:
        return False, str(error)
    return bool(report), " ".join(report.hints)


@pytest.mark.parametrize(("every", "full"), PARTS)
@pytest.mark.parametrize("module", RIGHT)
def test_right_functions_are_accepted(module, every, full):
    rejected = {case.name: check(case, full=full) for case in RIGHT[module][::every] if not outcome(case, full)[0]}
    assert rejected == {}


@pytest.mark.parametrize(("every", "full"), PARTS)
@pytest.mark.parametrize("module", WRONG)
def test_wrong_gradients_are_rejected_and_most_causes_named(module, every, full):
    found = {case.name: (case.cause, *outcome(case, full)) for case in WRONG[module][::every]}
    assert [name for name, (_, passed, _) in found.items() if passed] == []
    named = [cause in text for cause, _, text in found.values() if cause]
    assert every > 1 or sum(named) >= 0.8 * len(named)


def test_the_corpora_are_large_and_their_names_distinct():
    for cases in (RIGHT, WRONG):
        names = Counter((module, case.name, case.level) for module, all_of in cases.items() for case in all_of)
        assert names.total() >= 200
        assert max(names.values()) == 1
