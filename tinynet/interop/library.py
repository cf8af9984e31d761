"""Libraries that are there for those who want them."""

from __future__ import annotations

import importlib
from typing import Any


def library(name: str, extra: str) -> Any:
    """The module of that name. ImportError, with what to install, where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = name.partition(".")[0]
        raise ImportError(f'this needs {missing}: pip install "tinynet-from-scratch[{extra}]"') from error
