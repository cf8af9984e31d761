"""The built book in a real Chromium: every page is complete, and needs no network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

SITE = Path(__file__).parents[2] / "docs" / "_site"
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if path.name != "report.html")
SHOTS = os.environ.get("TINYNET_SCREENSHOTS", "")
NOT_BUILT = "the book is not built: python docs/build.py"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PAGES, reason=NOT_BUILT)]


@pytest.fixture(params=[(1280, "light"), (375, "dark")], ids=["desktop", "phone"])
def tab(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open a page, and fail if it logs a warning or an error, or requests anything except files."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, logged, requested = context.new_page(), [], []
    page.on("console", lambda message: logged.append(message.text) if message.type in ("warning", "error") else None)
    page.on("pageerror", lambda error: logged.append(f"{error}"))
    page.on("request", lambda request: requested.append(request.url))
    yield page
    context.close()
    assert logged == []
    assert {url.partition(":")[0] for url in requested} <= {"file", "data", "blob"}


def opened(tab: Any, page: str, query: str = "") -> None:
    tab.goto((SITE / page).as_uri() + query)
    tab.wait_for_function("!window.MathJax || MathJax.startup.promise.then(() => true)")


@pytest.mark.parametrize("page", PAGES)
def test_page_is_complete(tab: Any, page: str) -> None:
    opened(tab, page)
    width = tab.viewport_size["width"]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator(".math").count() == tab.locator("mjx-container").count()
    assert tab.locator("[data-mjx-error], mjx-container [fill=red]").count() == 0
    hidden = "dark" if tab.evaluate("matchMedia('(prefers-color-scheme: light)').matches") else "light"
    assert tab.locator(f"img.only-{hidden}:visible").count() == 0
    broken = (
        "[...document.images].filter(image => image.checkVisibility() && !image.naturalWidth).map(image => image.src)"
    )
    assert tab.evaluate(broken) == []
    if SHOTS:
        tab.screenshot(path=Path(SHOTS) / f"book_{page.replace('/', '_')}_{width}.png", full_page=True)


def test_search_finds_dropout(tab: Any) -> None:
    opened(tab, "search.html", "?q=dropout")
    tab.wait_for_selector("#search-results li")
    assert "tinynet.Dropout" in tab.inner_text("#search-results")


def test_the_report_in_the_gallery_reads_a_digit(browser: Any) -> None:
    page = browser.new_page()
    opened(page, "gallery.html")
    report = page.frame_locator("iframe.report")
    page.locator("iframe.report").scroll_into_view_if_needed()
    report.locator("html[data-ready]").wait_for()
    box = report.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    page.mouse.up()
    assert report.locator("#answers .read").first.inner_text() in "0123456789"


def test_links_lead_somewhere() -> None:
    texts = {name: (SITE / name).read_text() for name in PAGES}
    links = [
        (name, unquote(link)) for name, text in texts.items() for link in re.findall(r'<a [^>]*href="(.*?)"', text)
    ]
    inner = [(name, link) for name, link in links if not link.startswith(("http", "mailto:"))]
    assert len(inner) > 100
    assert [pair for pair in inner if not leads_somewhere(*pair)] == []


def leads_somewhere(page: str, link: str) -> bool:
    path, anchor = urldefrag(link)
    target = (SITE / page).parent / path if path else SITE / page
    return target.is_file() and (not anchor or f'id="{anchor}"' in target.read_text())
