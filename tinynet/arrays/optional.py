"""Imports of libraries that tinynet does not require."""

from __future__ import annotations

import importlib
from typing import Any


def optional_import(name: str, extra: str = "") -> Any:
    """Return the module `name`.

    Raises ImportError with what to install: the extra of tinynet, or the library itself if no extra contains it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        library = name.partition(".")[0]
        needed = f'"tinynet-from-scratch[{extra}]"' if extra else library
        raise ImportError(f"this needs {library}: pip install {needed}") from error
