"""What goes wrong with data: a file that cannot be used, a library that is not there."""

from __future__ import annotations

import importlib
from typing import Any


class DataError(ValueError):
    """The ValueError of a file that cannot be used; it says which, where, why, and the way out."""


def required(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'tinynet.data needs {name}: pip install "tinynet-from-scratch[examples]"') from error
