"""Wrong gradients and right functions, for the tests of the gradient check and for `benchmarks/gradchecks.py`.

A case is a subject of one level, which `make` builds anew for each check:

function    (forward, backward, inputs): y = forward(*inputs), and backward(dy, *inputs) returns a gradient per input
layer       (layer, x)
loss        (loss, z, t)
network     (network, x, t, loss)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tinynet as tn


class Case(NamedTuple):
    """One subject. `cause` is a part of the hint that names the fault; "" for right functions."""

    name: str
    kind: str
    level: str
    make: Callable[[], tuple[Any, ...]]
    cause: str = ""
    source: str = ""
    """Repository and number of the public bug report that the kind of fault was taken from, such as "pytorch#1234"."""


CHECKS: dict[str, Callable[..., tn.GradientReport]] = {
    "function": lambda forward, backward, inputs, **settings: tn.gradient_check_function(
        forward, backward, *inputs, **settings
    ),
    "layer": tn.gradient_check_layer,
    "loss": tn.gradient_check_loss,
    "network": tn.gradient_check,
}


def check(case: Case, **settings: Any) -> tn.GradientReport:
    """Return the report of tinynet's gradient check of a case."""
    return CHECKS[case.level](*case.make(), **settings)
