"""The pytest plugin of tinynet: the fixture `gradcheck`, and gradient reports in messages of failed assertions.

It is not a part of the package, because pytest imports every plugin at its start: importing `tinynet` imports NumPy.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import tinynet

__tracebackhide__ = True
KEPT = 100
"""pytest shortens the repr of an asserted value, but keeps at least so many characters at each end."""


class GradientCheck:
    """Gradient checks that fail the test. The value of the fixture `gradcheck`.

    Each method takes the arguments of its function in tinynet, also full, seed, tolerance and directions. It returns
    the report, and raises AssertionError with the report as its message if the check did not pass.
    """

    def __init__(self, tinynet: ModuleType) -> None:
        self.tinynet = tinynet

    def __repr__(self) -> str:
        return "gradcheck"

    def __call__(
        self, forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, **settings: Any
    ) -> tinynet.GradientReport:
        """Check a pair of functions: `tinynet.gradient_check_function`."""
        return _passed(self.tinynet.gradient_check_function(forward, backward, *inputs, **settings))

    def layer(self, layer: tinynet.Layer, x: Any, **settings: Any) -> tinynet.GradientReport:
        """Check a layer: `tinynet.gradient_check_layer`."""
        return _passed(self.tinynet.gradient_check_layer(layer, x, **settings))

    def loss(self, loss: tinynet.Loss, z: Any, t: Any, **settings: Any) -> tinynet.GradientReport:
        """Check a loss: `tinynet.gradient_check_loss`."""
        return _passed(self.tinynet.gradient_check_loss(loss, z, t, **settings))

    def network(
        self, network: tinynet.Network, x: Any, t: Any, loss: tinynet.Loss | None = None, **settings: Any
    ) -> tinynet.GradientReport:
        """Check a network: `tinynet.gradient_check`."""
        return _passed(self.tinynet.gradient_check(network, x, t, loss, **settings))


@pytest.fixture(scope="session")
def gradcheck() -> GradientCheck:
    """Check gradients with tinynet: gradcheck(forward, backward, *inputs), or its .layer, .loss and .network.

    A wrong gradient fails the test, and the message is the report.
    """
    import tinynet

    return GradientCheck(tinynet)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the whole report of a failed `assert tinynet.gradient_check(...)`, which pytest shortens to one line."""
    if call.excinfo and isinstance(call.excinfo.value, AssertionError) and "tinynet" in sys.modules:
        _show_report(call.excinfo.value, call.excinfo.traceback[-1].locals)
    return (yield)


def _passed(report: tinynet.GradientReport) -> tinynet.GradientReport:
    """Return the report. Raises AssertionError if the check did not pass."""
    if not report:
        raise AssertionError(repr(report))
    return report


def _show_report(error: AssertionError, variables: dict[str, Any]) -> None:
    """Put the asserted report into the message of the error. It is one of the test's local variables.

    pytest stores the value of an asserted expression in a local variable of its own.
    """
    from tinynet import GradientReport

    message = str(error)
    asserted = re.search(r"^assert (.*)$", message, re.MULTILINE)
    reports = [repr(value) for value in variables.values() if isinstance(value, GradientReport)]
    for report in reports:
        if asserted and _is_shortened(asserted[1], report):
            error.args = (f"{message[: asserted.start()]}assert {report}",)


def _is_shortened(line: str, report: str) -> bool:
    escaped = report.replace("\n", "\\n")
    return (line[:KEPT], line[-KEPT:]) == (escaped[:KEPT], escaped[-KEPT:])
