"""The fixtures of PyTorch's numbers are what their scripts make."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["torch_parity", "torch_pictures"])
def test_a_fixture_is_what_its_script_makes(name):
    pytest.importorskip("torch", reason="the fixture is compared with PyTorch's numbers of today only where it is")
    file = Path(__file__).parent / "fixtures" / f"{name}.json"
    made = leaves(json.loads(json.dumps(importlib.import_module(f"fixtures.make_{name}").fixture())))
    kept = leaves(json.loads(file.read_text()))
    assert file.stat().st_size < 100_000
    assert made.keys() == kept.keys()
    for path, numbers in made.items():
        np.testing.assert_allclose(numbers, kept[path], rtol=1e-11, atol=1e-13)


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """All arrays and numbers of the fixture, each under its path; the version of PyTorch apart."""
    found = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{prefix}{name}/")
        elif name != "torch":
            found[prefix + name] = value
    return found
