"""The browser in which pages are tested: the system's Chromium, driven by Playwright."""

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import Any

NEEDED = bool(os.environ.get("TINYNET_NEEDS_BROWSER"))
"""Whether tests that find no browser fail, in place of being left out."""


def executable() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def missing() -> str:
    """What to install; empty if nothing is missing."""
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
