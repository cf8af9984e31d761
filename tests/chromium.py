"""The browser for tests of pages: the system's Chromium, driven by Playwright."""

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import Any

NEEDED = bool(os.environ.get("TINYNET_NEEDS_BROWSER"))
"""Whether tests without a browser fail instead of being left out."""


def executable() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def missing() -> str:
    """Return what to install, or "" if nothing is missing."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is missing: pip install playwright"
    return "" if executable() else "Chromium is missing: apt-get install chromium"


@contextlib.contextmanager
def opened() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        yield browser
        browser.close()
