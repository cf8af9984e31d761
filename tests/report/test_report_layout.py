"""The report's colors and widths, and long or unusual names."""

import re
from pathlib import Path
from typing import Any

import pytest
from report_pages import EIGHT, PHONE, Tab, few_digits, small_run

import tinynet as tn


def test_dark_and_light(open_page: Any, eight: Path) -> None:
    tab = open_page(eight, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"

    def brightness() -> int:
        return sum(int(level) for level in re.findall(r"\d+", tab.page.evaluate(background))[:3])

    assert brightness() < 150
    tab.draw("5")
    tab.shot("dark")
    tab.page.click("#theme")
    assert brightness() > 600
    tab.page.click("#theme")
    assert brightness() < 150
    tab.page.click("#theme")
    assert tab.text("#theme-name") == "auto"


def test_narrow_page_does_not_scroll_sideways(open_page: Any, eight: Path) -> None:
    tab = open_page(eight, viewport={"width": 375, "height": 800}, color_scheme="dark", has_touch=True)
    tab.page.click("#inside-toggle")
    tab.page.locator("#pad").scroll_into_view_if_needed()
    tab.draw("3")
    assert tab.read().count("3") >= 5
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 375
    tab.shot("narrow")
    for section in ("draw", "compare", "curves", "networks", "disagreements", "backprop"):
        tab.shot(f"narrow_{section}", f"#{section}")


@pytest.fixture(scope="session")
def wide(digits: tn.data.Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all columns of examples/mnist_compare.py: eight networks from two seeds, and three figures."""
    record = tn.Record(1, 2.0, 0.3, 1.9, 0.35, seconds=51.8, rows=90_000_000)
    runs = [
        tn.Run(name, network, [record], figures={"blog loss": 0.1016, "blog accuracy": 0.979, "dead ReLUs": 34.0 + k})
        for name, (hidden, dropout) in EIGHT.items()
        for k, network in enumerate(tn.mlp(784, hidden, 10, dropout=dropout, seed=k) for k in range(2))
    ]
    path = tmp_path_factory.mktemp("wide") / "report.html"
    return tn.report(runs, path, validation=few_digits(digits), failed_below=0)


def box_of(tab: Tab, selector: str) -> tuple[float, float]:
    box = tab.page.locator(selector).bounding_box()
    return box["x"], box["x"] + box["width"]


@pytest.mark.parametrize("width", [1280, 1920])
def test_whole_table_is_seen_in_a_wide_window(open_page: Any, wide: Path, width: int) -> None:
    tab = open_page(wide, viewport={"width": width, "height": 900})
    left, right = box_of(tab, "#compare .scroll")
    assert left >= 0
    assert right <= width
    assert tab.page.locator("#comparison thead th").count() == 12
    for cell in tab.page.locator("#comparison tr:first-child > *").all():
        box = cell.bounding_box()
        assert left <= box["x"] < box["x"] + box["width"] <= right, cell.inner_text()
    assert tab.page.evaluate("document.documentElement.scrollWidth") == width


def test_table_scrolls_in_its_own_box_on_a_phone(open_page: Any, wide: Path) -> None:
    tab = open_page(wide, **PHONE)
    left, right = box_of(tab, "#compare .scroll")
    assert left >= 0
    assert right <= 375
    tab.page.locator("#compare .scroll").evaluate("box => box.scrollTo(10_000, 0)")
    last = box_of(tab, "#comparison tbody tr:first-child td:last-child")
    assert last[1] == pytest.approx(right, abs=1)
    assert last[0] > box_of(tab, "#comparison tbody tr:first-child th")[1]
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 375


@pytest.mark.parametrize("width", [1280, 600, 320])
def test_no_number_in_a_name_is_split_over_two_lines(open_page: Any, wide: Path, width: int) -> None:
    tab = open_page(wide, viewport={"width": width, "height": 900})
    numbers, split = tab.page.evaluate("""() => {
        const range = document.createRange();
        const names = [...document.querySelectorAll("#comparison tbody bdi, .lede bdi, #legend bdi, .voters span")];
        const numbers = [];
        for (const name of names) {
            const walker = document.createTreeWalker(name, NodeFilter.SHOW_TEXT);
            while (walker.nextNode())
                for (const { index, 0: digits } of walker.currentNode.data.matchAll(/[0-9]+x?/g)) {
                    range.setStart(walker.currentNode, index);
                    range.setEnd(walker.currentNode, index + digits.length);
                    const tops = [...range.getClientRects()].map(({ top }) => Math.round(top));
                    numbers.push([`${name.textContent}: ${digits}`, new Set(tops).size]);
                }
        }
        return [numbers.length, numbers.filter(([, lines]) => lines !== 1)];
    }""")
    assert numbers > 100
    assert split == []


def test_long_names_fit_on_a_phone(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    runs = [small_run(f"{k} " + "a long name " * 25, seed=k) for k in range(2)]
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)), **PHONE)
    tab.page.click("#inside-toggle")
    assert tab.page.locator("#inside-network").is_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 375


def test_names_do_not_change_the_writing_direction(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    runs = [small_run(f"{k} \u202eturned", seed=k) for k in range(2)]
    tab = open_page(tn.report(runs, tmp_path / "report.html", title="The \u202etitle", validation=few_digits(digits)))
    script = """selector => {
        const walker = document.createTreeWalker(document.querySelector(selector), NodeFilter.SHOW_TEXT);
        const pairs = [];
        while (walker.nextNode()) {
            const node = walker.currentNode;
            for (let i = 0; i + 1 < node.length; i++) {
                if (!/^[a-z]{2}$/.test(node.data.slice(i, i + 2)) || node.data.includes("turned")) continue;
                const boxes = [i, i + 1].map((at) => {
                    const range = document.createRange();
                    range.setStart(node, at);
                    range.setEnd(node, at + 1);
                    return range.getBoundingClientRect();
                });
                if (boxes[0].top === boxes[1].top && boxes[0].width && boxes[1].width)
                    pairs.push(boxes[0].left < boxes[1].left);
            }
        }
        return pairs;
    }"""
    for place in (".lede", "footer p", "#backprop-page p"):
        forward = tab.page.evaluate(script, place)
        assert len(forward) > 10
        assert all(forward), place
    isolated = "node => getComputedStyle(node).unicodeBidi.includes('isolate')"
    for place in ("#legend bdi", "#answers .network-name", ".voters span", "#comparison tbody bdi", "h1 bdi"):
        assert tab.page.locator(place).first.evaluate(isolated), place
    assert tab.page.locator("#network-choice option").first.text_content().startswith("\u20680 ")
