"""The report, opened in a real Chromium: what it shows, how it answers, and that nothing leaves it.

Screenshots of every state go to the folder that TINYNET_SCREENSHOTS names. Without Playwright or Chromium these tests
are left out, unless TINYNET_NEEDS_BROWSER is set.
"""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draw_digits import STROKES
from PIL import Image, ImageDraw

import tinynet as tn
from tinynet.report import backprop, page, weights
from tinynet.report.table import table as comparison

DIGITS = Path(__file__).parent / "digits"
EIGHT = {
    "12x8x10": ([12, 8], []),
    "24x12x6x10": ([24, 12, 6], []),
    "48x24x10": ([48, 24], []),
    "480x240x120x60x10": ([480, 240, 120, 60], [0.1, 0.25, 0.25, 0.25]),
    "960x480x240x120x60x10": ([960, 480, 240, 120, 60], [0.1, 0.25, 0.25, 0.25, 0.25]),
    "12x10x8x6x4x4x10": ([12, 10, 8, 6, 4, 4], []),
    "24x12x8x6x4x4x10": ([24, 12, 8, 6, 4, 4], []),
    "48x24x12x6x3x10": ([48, 24, 12, 6, 3], []),
}
PHONE: dict[str, Any] = {"viewport": {"width": 375, "height": 800}, "has_touch": True, "is_mobile": True}
SHOTS = os.environ.get("TINYNET_SCREENSHOTS", "")
HOSTILE = "</script><script>hacked = 1</script><img src=x onerror='hacked = 1'>\"'&amp;<!--"


# ------------------------------------------------------------------------------------- networks and pages


@pytest.fixture(scope="session")
def digits() -> tn.data.Split:
    return tn.data.mnist_split()


@pytest.fixture(scope="session")
def runs(digits: tn.data.Split) -> list[tn.Run]:
    """All eight, trained for one epoch: a few seconds."""
    trained = []
    for name, (hidden, dropout) in EIGHT.items():
        network = tn.mlp(784, hidden, 10, dropout=dropout, seed=1, backend="auto")
        validation = digits.x_val[:1000], digits.y_val[:1000]
        history = tn.fit(network, tn.Adam(network), digits.x_train, digits.y_train, epochs=1, validation=validation)
        trained.append(tn.Run(name, network, history, figures={"blog accuracy": 0.91}))
    return trained


@pytest.fixture(scope="session")
def eight(runs: list[tn.Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tn.report(runs, tmp_path_factory.mktemp("report") / "report.html", title="Eight networks")


def with_loss(loss: tn.Loss | None, outputs: int) -> tn.Run:
    network = tn.mlp(784, [3], outputs)
    network.loss = loss
    return tn.Run("odd", network, [])


class Bare(tn.Loss):
    """It does not say what the outputs mean."""


def small_run(name: str = "small", inputs: int = 784, classes: int = 10, **fields: Any) -> tn.Run:
    network = tn.mlp(inputs, [6], classes, seed=fields.pop("seed", 0))
    record = tn.Record(1, 2.0, 0.3, 1.9, 0.35, seconds=0.5, rows=100)
    return tn.Run(name, network, [record], **fields)


def overflowing() -> tn.Network:
    network = tn.mlp(784, [3], 10)
    network.theta[...] = 1e30
    return network


def not_finite() -> tn.Network:
    network = tn.mlp(784, [3], 10)
    network.theta[5] = np.nan
    return network


def few_digits(digits: tn.data.Split, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    return digits.x_val[:count], digits.y_val[:count]


def facts_of(path: Path) -> dict[str, Any]:
    return json.loads(
        re.search(r'<script type="application/json" id="facts">(.*?)</script>', path.read_text(), re.S)[1]
    )


# ------------------------------------------------------------------------------------------- the browser


class Tab:
    """A page in the browser, with all that it said and asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"} | options
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page, self.said, self.asked = self.context.new_page(), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(f"{error}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]")

    def draw(self, digit: str) -> None:
        box = self.page.locator("#pad").bounding_box()
        for stroke in STROKES[digit]:
            points = [
                (box["x"] + box["width"] * (0.27 + 0.65 * x), box["y"] + box["height"] * (0.15 + 0.7 * y))
                for x, y in [*stroke[:-1:2], stroke[-1]]
            ]
            self.page.mouse.move(*points[0])
            self.page.mouse.down()
            for point in points[1:]:
                self.page.mouse.move(*point)
            self.page.mouse.up()
        self.settle()

    def settle(self) -> None:
        """Two frames and the delay of the sentence above the answers."""
        self.page.wait_for_timeout(150)

    def load(self, file: Path) -> None:
        self.page.set_input_files("#load", file)
        self.page.wait_for_selector("#pad:not([aria-busy])")
        self.settle()

    def seen(self) -> np.ndarray:
        """The 28 x 28 grays that the networks see: the opacities of the picture beside the pad."""
        script = """() => {
            const context = element("canvas").getContext("2d", { willReadFrequently: true });
            context.drawImage(byId("seen"), 0, 0);
            return [...context.getImageData(0, 0, 28, 28).data];
        }"""
        return np.array(self.page.evaluate(script)).reshape(28, 28, 4)[..., 3]

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()

    def read(self) -> list[str]:
        return self.page.locator("#answers .read").all_inner_texts()

    def shot(self, name: str, selector: str | None = None) -> None:
        if not SHOTS:
            return
        path = Path(SHOTS) / f"{name}.png"
        self.page.evaluate(
            "name => document.querySelectorAll('.top, .stepper').forEach(bar => (bar.style.position = name))",
            "static" if selector else "",
        )
        if selector:
            self.page.locator(selector).first.screenshot(path=path)
        else:
            self.page.screenshot(path=path)
        assert np.asarray(Image.open(path).convert("L")).std() > 5


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    tabs = []

    def open_one(path: Path, **options: Any) -> Tab:
        tabs.append(Tab(browser, path, **options))
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.context.close()
        assert tab.said == []
        assert [url[:5] for url in tab.asked if not url.startswith("blob:")] == ["file:"]


@pytest.fixture
def tab(open_page: Any, eight: Path) -> Tab:
    return open_page(eight)


# ------------------------------------------------------------------------ the same numbers as in Python


def test_probabilities_are_those_of_python_for_all_eight(
    tab: Tab, runs: list[tn.Run], digits: tn.data.Split, eight: Path
) -> None:
    x = digits.x_val[:100]
    for run, p in zip(runs, answers_of(tab, x), strict=True):
        np.testing.assert_allclose(p, tn.predict(run.network, x), rtol=0, atol=1e-5)


def answers_of(tab: Tab, x: np.ndarray) -> np.ndarray:
    """The probabilities (networks, N, K) that the page computes for pixels (N, ...)."""
    script = """async rows => {
        const facts = JSON.parse(document.getElementById("facts").textContent);
        await unpackAll(facts);
        return facts.networks.map(({ layers }) => rows.map(row => [...forward(layers, rowOf(row)).probabilities]));
    }"""
    return np.array(tab.page.evaluate(script, x.reshape(len(x), 784).tolist()))


def test_halved_weights_answer_every_validation_digit_as_the_network_does(
    runs: list[tn.Run], digits: tn.data.Split
) -> None:
    for run in runs[3:5]:
        before = tn.predict(run.network, digits.x_val)
        packed = weights.pack(run.network, digits.x_val, before, crowded=True)
        after = tn.predict(weights.rounded(run.network, packed.precision), digits.x_val)
        assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
        assert np.abs(before - after).max() <= packed.largest_change + 1e-5


def test_loaded_picture_is_prepared_as_in_python(tab: Tab) -> None:
    for file in sorted(DIGITS.glob("*.png")):
        tab.load(file)
        assert np.abs(tab.seen() - tn.data.digit_image(file).astype(int)).max() <= 1, file.name


def test_turned_and_large_pictures_are_prepared_as_in_python(tab: Tab, tmp_path: Path) -> None:
    with Image.open(DIGITS / "4_large_off_center.png") as picture:
        large = picture.convert("RGB").resize((1501, 997))
    exif = Image.Exif()
    exif[0x0112] = 6
    large.save(tmp_path / "turned.png", exif=exif)
    tab.load(tmp_path / "turned.png")
    assert np.abs(tab.seen() - tn.data.digit_image(tmp_path / "turned.png").astype(int)).max() <= 1


def test_random_drawings_are_prepared_as_in_python(tab: Tab, tmp_path: Path, draw: np.random.Generator) -> None:
    worst = 0
    for _ in range(40):
        picture = random_drawing(draw)
        picture.save(tmp_path / "drawing.png")
        rgba = base64.b64encode(picture.convert("RGBA").tobytes()).decode()
        script = """([text, width, height]) => {
            const grays = prepare({ data: bytesOf(text), width, height });
            return grays && [...grays];
        }"""
        found = tab.page.evaluate(script, [rgba, *picture.size])
        try:
            expected = tn.data.digit_image(tmp_path / "drawing.png")
        except tn.data.DataError:
            assert found is None
            continue
        worst = max(worst, np.abs(np.array(found).reshape(28, 28) - expected).max())
    assert worst <= 1


def random_drawing(draw: np.random.Generator) -> Image.Image:
    width, height = (int(side) for side in draw.integers(40, 400, 2))
    paper, ink = (tuple(int(level) for level in draw.integers(0, 256, 3)) for _ in range(2))
    picture = Image.new("RGB", (width, height), paper)
    points = [(int(draw.integers(0, width)), int(draw.integers(0, height))) for _ in range(5)]
    ImageDraw.Draw(picture).line(points, ink, int(draw.integers(4, 40)))
    return picture


# ---------------------------------------------------------------------------------------------- the pad


def test_digit_drawn_with_the_mouse_is_read(tab: Tab) -> None:
    for digit in "0357":
        tab.page.click("#clear")
        tab.draw(digit)
        assert tab.read().count(digit) >= 5
        assert f"read {digit}" in tab.text("#status")
        tab.shot(f"drawn_{digit}")


@pytest.mark.slow
def test_stroke_is_answered_in_under_50_ms(tab: Tab) -> None:
    milliseconds = []
    for digit in "02358":
        tab.draw(digit)
        milliseconds.append(float(tab.page.locator("#timing").get_attribute("data-milliseconds")))
        tab.page.click("#clear")
        tab.settle()
    assert np.median(milliseconds) < 50
    tab.page.locator("#answers .network-name", has_text="960x480").click()
    tab.draw("3")
    assert float(tab.page.locator("#timing").get_attribute("data-milliseconds")) < 50


def test_finger_draws(open_page: Any, eight: Path) -> None:
    tab = open_page(eight, viewport={"width": 375, "height": 800}, has_touch=True, is_mobile=True)
    tab.page.locator("#pad").scroll_into_view_if_needed()
    before = tab.page.evaluate("scrollY")
    box, touch = tab.page.locator("#pad").bounding_box(), tab.context.new_cdp_session(tab.page)
    for step in range(21):
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] * (0.1 + 0.04 * step)}
        kind = "touchMove" if step else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    tab.settle()
    assert tab.read().count("1") >= 4
    assert tab.page.evaluate("scrollY") == before


def test_undo_and_clear(tab: Tab) -> None:
    tab.draw("4")
    both = tab.seen()
    tab.page.click("#undo")
    tab.settle()
    assert (tab.seen() != both).any()
    tab.page.click("#undo")
    tab.settle()
    assert tab.seen().max() == 0
    assert "No answer" in tab.text("#status")
    tab.draw("4")
    tab.page.click("#clear")
    tab.settle()
    assert set(tab.read()) == {"·"}


def test_keyboard_draws(tab: Tab) -> None:
    tab.page.focus("#pad")
    for _ in range(4):
        tab.page.keyboard.press("Shift+ArrowUp")
    tab.page.keyboard.press("Space")
    for _ in range(8):
        tab.page.keyboard.press("Shift+ArrowDown")
    tab.settle()
    tab.shot("keyboard")
    assert "Pen down" in tab.text("#pad-state")
    assert tab.read().count("1") >= 4
    tab.page.keyboard.press("Space")
    tab.page.keyboard.press("Backspace")
    tab.settle()
    assert tab.seen().max() == 0


def test_saved_drawing_is_what_python_sees(tab: Tab, tmp_path: Path) -> None:
    tab.draw("2")
    with tab.page.expect_download() as download:
        tab.page.click("#save")
    assert download.value.suggested_filename == "digit.png"
    download.value.save_as(tmp_path / "digit.png")
    assert np.abs(tab.seen() - tn.data.digit_image(tmp_path / "digit.png").astype(int)).max() <= 1


def test_file_that_is_no_picture_is_named(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("no picture")
    tab.load(tmp_path / "letter.png")
    assert "letter.png cannot be read as a picture" in tab.text("#pad-state")


def test_loaded_picture_is_read_and_shown(tab: Tab) -> None:
    tab.load(DIGITS / "2_red_on_yellow.png")
    assert tab.read().count("2") >= 5
    tab.shot("loaded")


def test_validation_digit_is_laid_on_the_pad_as_it_is(tab: Tab, digits: tn.data.Split) -> None:
    button = tab.page.locator("#samples button").first
    row = int(re.search(r"row (\d+)", button.get_attribute("aria-label"))[1])
    button.click()
    tab.settle()
    np.testing.assert_array_equal(tab.seen().ravel(), digits.x_val[row])


def test_inside_of_a_network_follows_the_drawing(tab: Tab, runs: list[tn.Run]) -> None:
    tab.draw("8")
    tab.page.click("#inside-toggle")
    assert tab.page.locator("#inside .unit").count() == 12
    x = tab.seen().reshape(1, 784).astype(np.uint8)
    first = np.maximum(x / np.float32(255) @ runs[0].network[0].W + runs[0].network[0].b, 0)[0]
    written = [float(value) for value in tab.page.locator("#inside .unit figcaption").all_inner_texts()]
    np.testing.assert_allclose(written, first, atol=0.06)
    tab.shot("inside", "#draw")
    tab.page.locator("#answers .network-name", has_text="960x480").click()
    assert tab.page.locator("#inside .unit").count() == 48
    tab.shot("inside_large", "#draw")


# ------------------------------------------------------------------------------------ tables and charts


def test_table_sorts_by_any_column(tab: Tab) -> None:
    head = tab.page.locator("#comparison thead th").nth(1)
    names = "#comparison tbody th"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert tab.text(names) == "960x480x240x120x60x10"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert tab.text(names) == "12x8x10"
    tab.page.locator("#comparison thead button").first.click()
    assert head.get_attribute("aria-sort") == "none"
    assert tab.page.locator(names).all_inner_texts() == sorted(
        EIGHT, key=lambda name: [int(w) for w in name.split("x")]
    )
    tab.shot("sorted", "#compare")


def test_table_is_what_tinynet_measures(tab: Tab, runs: list[tn.Run], digits: tn.data.Split) -> None:
    row = tab.page.locator("#comparison tbody tr").first.locator("th, td").all_inner_texts()
    loss, accuracy = tn.evaluate(runs[0].network, digits.x_val, digits.y_val)
    assert row[:2] == ["12x8x10", "9,614"]
    assert row[4:7] == [f"{loss:.4f}", f"{accuracy:.4f}", "0.9100"]


def test_legend_isolates_a_network_and_hover_shows_values(tab: Tab, runs: list[tn.Run]) -> None:
    assert tab.page.locator("#curve-chart path.line").count() == 8
    tab.page.locator("#legend button").nth(2).click()
    assert tab.page.locator("#curve-chart path.line").count() == 1
    tab.page.hover("#curve-chart")
    assert f"{100 * runs[2].history[0].val_accuracy:.2f} %" in tab.text("#curve-chart .tip")
    assert f"{100 * runs[2].history[0].accuracy:.2f} %" in tab.text("#curve-chart .tip")
    tab.shot("isolated", "#curves")
    tab.page.locator("#legend button").nth(2).click()
    tab.page.click("[data-curve=val_loss]")
    tab.page.hover("#curve-chart")
    assert f"{runs[2].history[0].val_loss:.4f}" in tab.text("#curve-chart .tip")
    assert tab.page.locator("#curve-chart .tip div").count() == 8
    tab.shot("losses", "#curves")


def test_confusion_cell_shows_its_digits(tab: Tab, runs: list[tn.Run], digits: tn.data.Split) -> None:
    tab.page.select_option("#network-choice", "0")
    said = tn.predict_classes(runs[0].network, digits.x_val)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (digits.y_val, said), 1)
    shown = [
        [cell.replace("·", "0") for cell in row.split("\t")[1:]] for row in tab.text(".confusion tbody").splitlines()
    ]
    np.testing.assert_array_equal(np.array(shown, int), confusion)
    label, answer = divmod(int(np.argmax(confusion * (1 - np.eye(10)))), 10)
    cell = tab.page.locator(f".confusion button[aria-label$='of class {label} read as {answer}']")
    cell.click()
    assert cell.get_attribute("aria-pressed") == "true"
    assert tab.page.locator(".cell-digits figure").count() == min(40, confusion[label, answer])
    labels = tab.page.locator(".cell-digits button").evaluate_all(
        "buttons => buttons.map(b => b.getAttribute('aria-label'))"
    )
    rows = [int(re.search(r"row (\d+)", text)[1]) for text in labels]
    assert (digits.y_val[rows] == label).all()
    assert (said[rows] == answer).all()
    bars = tab.page.locator(".classes i").evaluate_all("bars => bars.map(bar => bar.clientWidth)")
    wrong = 1 - confusion.diagonal() / confusion.sum(axis=1)
    np.testing.assert_allclose(np.array(bars) / max(bars), wrong / wrong.max(), atol=0.02)
    tab.shot("confusion", "#networks")


def test_disagreements_show_every_vote(tab: Tab) -> None:
    assert tab.page.locator(".ballot").count() == 12
    tab.page.click("#disagreements .more")
    assert tab.page.locator(".ballot").count() == 36
    for k in range(3):
        assert tab.page.locator(".ballot").nth(k).locator(".voters span").count() == 8
    tab.shot("disagreements", "#disagreements")


# ------------------------------------------------------------------------------------- colors and widths


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_page_does_not_scroll_sideways(open_page: Any, eight: Path, scheme: str) -> None:
    tab = open_page(eight, viewport={"width": 375, "height": 800}, color_scheme=scheme, has_touch=True)
    tab.page.click("#inside-toggle")
    tab.page.locator("#pad").scroll_into_view_if_needed()
    tab.draw("3")
    assert tab.read().count("3") >= 5
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 375
    tab.shot(f"narrow_{scheme}")
    for section in ("draw", "compare", "curves", "networks", "disagreements", "backprop"):
        tab.shot(f"narrow_{scheme}_{section}", f"#{section}")


@pytest.fixture(scope="session")
def wide(digits: tn.data.Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All columns that examples/mnist_compare.py has: the eight from three seeds, beside three figures of its own."""
    record = tn.Record(1, 2.0, 0.3, 1.9, 0.35, seconds=51.8, rows=90_000_000)
    runs = [
        tn.Run(name, network, [record], figures={"blog loss": 0.1016, "blog accuracy": 0.979, "dead ReLUs": 34.0 + k})
        for name, (hidden, dropout) in EIGHT.items()
        for k, network in enumerate(tn.mlp(784, hidden, 10, dropout=dropout, seed=k) for k in range(3))
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


@pytest.mark.parametrize("width", [1280, 900, 600, 375, 320])
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


@pytest.mark.parametrize("width", [1280, 375])
def test_words_below_the_chart_of_sizes_do_not_meet(
    open_page: Any, digits: tn.data.Split, tmp_path: Path, width: int
) -> None:
    runs = [tn.Run(f"{units}", tn.mlp(784, [units], 10), small_run().history) for units in (12, 24, 48)]
    path = tn.report(runs, tmp_path / "report.html", validation=few_digits(digits))
    tab = open_page(path, viewport={"width": width, "height": 900})
    spans = tab.page.locator("#size-chart .tick[text-anchor=middle]").evaluate_all(
        "all => all.map((tick) => tick.getBoundingClientRect()).map(({ left, right }) => [left, right])"
    )
    assert len(spans) > 2
    assert all(right + 4 < left for (_, right), (left, _) in pairwise(spans))


# ------------------------------------------------------------------------------------- backpropagation


def test_backpropagation_is_shown_as_tinynet_computes_it(
    tab: Tab, runs: list[tn.Run], digits: tn.data.Split, eight: Path
) -> None:
    shown = facts_of(eight)["backprop"]
    assert shown["network"] == "12x8x10"
    twin = runs[0].network.copy(dtype="float64", backend="numpy")
    loss = tn.SoftmaxCrossEntropy()
    x, t = digits.x_val[[shown["row"]]] / 255, np.eye(10)[[digits.y_val[shown["row"]]]]
    assert loss.forward(twin.forward(x, train=True), t) == pytest.approx(shown["loss"]["value"], rel=1e-4)
    dx = twin.backward(loss.backward(), need_dx=True)
    np.testing.assert_allclose(shown["dx"], dx[0], rtol=1e-3, atol=1e-9)
    for layer, step in zip(twin, shown["steps"], strict=True):
        assert step["name"] == f"{layer}"
        if isinstance(layer, tn.Dense):
            np.testing.assert_allclose(step["dW"], layer.dW.ravel(), rtol=1e-3, atol=1e-9)
            np.testing.assert_allclose(step["db"], layer.db.ravel(), rtol=1e-3, atol=1e-9)
    assert shown["update"]["loss"] < shown["loss"]["value"]
    text = tab.text("#backprop")
    for formula in ("y = x W + b", "dx = dy W^T", "dW = x^T dy", "dx = dy [y > 0]", "dz = (p - t) / N"):
        assert formula in text
    tab.page.locator("#backprop canvas[aria-label='gradient, 12 by 8']").hover()
    title = tab.page.locator("#backprop canvas[aria-label='gradient, 12 by 8']").get_attribute("title")
    row, column, value = re.match(r"row (\d+), column (\d+): (.*)", title).groups()
    assert float(value) == pytest.approx(twin[2].dW[int(row), int(column)], rel=1e-2)
    tab.shot("backprop", "#backprop")


def test_same_dropout_masks_before_and_after_the_step(digits: tn.data.Split) -> None:
    network = tn.mlp(784, [20], 10, dropout=[0.5, 0.5], seed=3)
    x = digits.x_val[[5]] / 255
    step = backprop.trace(network, x, int(digits.y_val[5]))
    masked = np.array(step["steps"][0]["y"])
    assert ((masked == 0) | (abs(masked - 2 * x[0]) < 1e-4)).all()
    assert (masked[x[0] > 0] == 0).any()
    assert network[0].counter == 0
    twin, loss, t = network.copy(dtype="float64"), tn.SoftmaxCrossEntropy(), np.eye(10)[digits.y_val[[5]]]
    loss.forward(twin.forward(x, train=True), t)
    twin.backward(loss.backward())
    tn.SGD(twin, lr=step["update"]["lr"]).step()
    twin[0].counter = twin[3].counter = 0
    expected = loss.forward(twin.forward(x, train=True), t)
    assert expected == pytest.approx(step["update"]["loss"], rel=1e-4)
    assert expected < step["loss"]["value"]


def test_backpropagation_is_walked_through(tab: Tab) -> None:
    forward = tab.page.get_by_role("button", name="Next step")
    cards = tab.page.locator("#backprop .card").count()
    for _ in range(cards):
        forward.click()
        assert tab.page.locator("#backprop .card.now").count() == 1
    assert f"{cards} of {cards}" in tab.text(".step-words")
    forward.click()
    assert tab.page.locator("#backprop .card.now").count() == 0


# ------------------------------------------------------------------------------------------------ the file


def test_file_of_all_eight_is_under_12_mb_and_says_how(eight: Path) -> None:
    assert eight.stat().st_size < 12_000_000
    assert {network["precision"] for network in facts_of(eight)["networks"]} == {"float32"}
    assert "half precision" not in eight.read_text()


def test_page_of_many_large_networks_says_which_are_halved(digits: tn.data.Split, tmp_path: Path) -> None:
    runs = [tn.Run(f"large {k}", tn.mlp(784, [1600], 10, seed=k), []) for k in (1, 2)]
    path = tn.report([*runs, small_run()], tmp_path / "report.html", validation=few_digits(digits))
    halved = [network["name"] for network in facts_of(path)["networks"] if network["precision"] == "float16"]
    assert halved
    text = re.sub(r"\s+", " ", re.sub(r"</?bdi>", "", path.read_text()))
    assert f"{' and '.join(halved)} in half precision" in text


def test_nothing_but_its_own_script_may_run(tab: Tab) -> None:
    tab.page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "hacked = 1";
        document.body.append(script);
    }""")
    assert tab.page.evaluate("typeof hacked") == "undefined"
    assert "Content Security Policy" in tab.said.pop()


def test_hostile_names_are_text(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    run = small_run(HOSTILE, figures={HOSTILE: 1.0})
    other = small_run("other", seed=3)
    path = tn.report([run, other], tmp_path / "report.html", title=HOSTILE, validation=few_digits(digits))
    tab = open_page(path)
    tab.draw("1")
    tab.page.click("#inside-toggle")
    tab.page.locator("#legend button").first.click()
    tab.page.hover("#curve-chart")
    assert tab.page.evaluate("typeof hacked") == "undefined"
    assert tab.page.title() == HOSTILE
    for place in ("h1", "#comparison tbody th", "#answers .network-name", "#legend button"):
        assert HOSTILE in tab.text(place), place
    assert HOSTILE in tab.page.locator(".voters span").all_inner_texts()
    assert tab.page.locator("img").count() == 0
    tab.shot("hostile")


def test_other_networks_have_no_pad_and_say_so(open_page: Any, draw: np.random.Generator, tmp_path: Path) -> None:
    x = draw.normal(size=(200, 2))
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    runs = []
    for name, hidden in {"narrow": [3], "wide": [30, 20]}.items():
        network = tn.mlp(2, hidden, 2)
        history = tn.fit(network, tn.Adam(network, lr=0.01), x, labels, epochs=5, validation=(x, labels))
        runs.append(tn.Run(name, network, history))
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=(x, labels)))
    assert tab.page.locator("#pad").count() == 0
    assert "no drawing pad" in tab.text(".note-section")
    tab.page.locator(".confusion button").first.click()
    assert "row " in tab.text(".cell-digits figure")
    assert tab.page.locator("#backprop .card").count() == 9
    tab.shot("two_classes")


@pytest.mark.slow
def test_one_large_network_has_no_picture_of_its_weights(open_page: Any, runs: list[tn.Run], tmp_path: Path) -> None:
    tab = open_page(tn.report([runs[4]], tmp_path / "report.html"))
    tab.draw("0")
    assert tab.text("#status") == "It reads 0."
    assert "960 numbers" in tab.text("#backprop")
    assert "mask 0 with probability rate" in tab.text("#backprop")
    assert tab.page.locator("#backprop .unit").count() == 0
    tab.shot("one_large", "#backprop")


class Negative(tn.Layer):
    """y = -x"""

    def forward(self, x: Any, train: bool = False) -> Any:
        return -x

    def backward(self, dy: Any) -> Any:
        return -dy


def test_network_with_a_layer_of_its_own_is_compared_but_not_on_the_pad(
    open_page: Any, digits: tn.data.Split, tmp_path: Path
) -> None:
    own = tn.Network(Negative(), tn.Dense(784, 5), tn.ReLU(), tn.Dense(5, 10), tn.Softmax())
    record = small_run().history
    runs = [tn.Run("own", own, record), small_run("usual")]
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)))
    assert tab.page.locator("#answers li").count() == 1
    assert tab.page.locator("#comparison tbody tr").count() == 2
    assert "own" in tab.text("#left-out")


# ------------------------------------------------------------------------- every layer, every loss, pictures


def trained(name: str, loss: tn.Loss | None, x: np.ndarray, labels: np.ndarray, *layers: tn.Layer) -> tn.Run:
    network = tn.Network(*layers, seed=1)
    return tn.Run(name, network, tn.fit(network, tn.Adam(network, lr=0.003), x, labels, epochs=2, loss=loss))


@pytest.fixture(scope="module")
def of_every_layer(digits: tn.data.Split) -> list[tn.Run]:
    """Networks that take pictures (N, 1, 28, 28)."""
    x, labels = digits.x_train[:3000].reshape(-1, 1, 28, 28), digits.y_train[:3000]
    block = tn.Residual(tn.Dense(24, 9), tn.Tanh(), tn.Dropout(0.1), tn.Dense(9, 12), shortcut=tn.Dense(24, 12))
    inner = tn.Residual(tn.Residual(tn.Dense(12, 12), tn.GELU()), tn.LeakyReLU(0.2))
    smooth = tn.SoftmaxCrossEntropy(label_smoothing=0.1)
    curves = (tn.Flatten(), tn.Dense(784, 24), tn.LeakyReLU(0.1), block, tn.Sigmoid(), inner, tn.Dense(12, 10))
    around = tn.Residual(tn.Dense(784, 8), tn.GELU(), shortcut=tn.Dense(784, 8))
    return [
        trained("curves", smooth, x, labels, *curves),
        trained("around", None, x, labels, tn.Flatten(), around, tn.Dense(8, 10), tn.Softmax()),
    ]


@pytest.fixture
def every_layer(open_page: Any, of_every_layer: list[tn.Run], digits: tn.data.Split, tmp_path: Path) -> Tab:
    x = digits.x_val[:500].reshape(-1, 1, 28, 28)
    return open_page(tn.report(of_every_layer, tmp_path / "report.html", validation=(x, digits.y_val[:500])))


def test_probabilities_through_every_layer_are_those_of_python(
    every_layer: Tab, of_every_layer: list[tn.Run], digits: tn.data.Split
) -> None:
    x = digits.x_val[:100].reshape(-1, 1, 28, 28)
    for run, p in zip(of_every_layer, answers_of(every_layer, x), strict=True):
        np.testing.assert_allclose(p, tn.predict(run.network, x), rtol=0, atol=1e-5)
    assert every_layer.page.locator("#answers li").count() == 2
    assert every_layer.page.locator("#left-out").count() == 0


def test_gelu_is_that_of_python(every_layer: Tab) -> None:
    x = np.concatenate([np.linspace(-9, 9, 400), [0, 1e-9, -1e-9, 40, -40]])
    found = every_layer.page.evaluate("x => [...gelu(Float64Array.from(x))]", x.tolist())
    np.testing.assert_allclose(found, tn.functions.gelu(x), rtol=1e-13, atol=1e-14)


def test_inside_of_every_layer_is_shown(every_layer: Tab) -> None:
    every_layer.draw("3")
    every_layer.page.click("#inside-toggle")
    assert every_layer.page.locator("#inside .unit").count() == 24
    names = every_layer.page.locator("#inside .strip-name").all_inner_texts()
    assert names[0] == "Dense(784, 24), LeakyReLU(0.1)"
    assert names[-2:] == ["Dense(12, 10)", "softmax: probabilities"]
    assert len(names) == 6
    every_layer.shot("every_layer_inside", "#draw")
    every_layer.page.select_option("#inside-network", "1")
    assert every_layer.page.locator("#inside .unit").count() == 0
    assert every_layer.page.locator("#inside .strip-name").count() == 3


def test_backpropagation_goes_through_blocks(
    every_layer: Tab, of_every_layer: list[tn.Run], digits: tn.data.Split, tmp_path: Path
) -> None:
    shown = facts_of(tmp_path / "report.html")["backprop"]
    assert shown["network"] == "around"
    names = [step["name"] for step in shown["steps"]]
    assert names[1:4] == ["Dense(784, 8), inside Residual", "GELU(), inside Residual", "Dense(784, 8), inside Residual"]
    assert names[4].startswith("Residual(")
    inner = [np.array(step["y"]) for step in shown["steps"]]
    np.testing.assert_allclose(inner[2] + inner[3], inner[4], rtol=1e-3, atol=1e-3)
    text = every_layer.text("#backprop")
    for formula in ("y = x + layers(x)", "y = x P(x), P(x)", "dx = dy (P(x) + x P'(x))", "dp = -t / p / N"):
        assert formula in text
    assert every_layer.page.locator("#backprop .problem").count() == 0
    every_layer.shot("every_layer_backprop", "#backprop")


def test_backpropagation_is_true_of_every_layer(of_every_layer: list[tn.Run], digits: tn.data.Split) -> None:
    """dx against difference quotients of the loss, without the dropout, which no quotient sees through."""
    network = of_every_layer[0].network.copy(dtype="float64")
    network[3].layers[2].rate = 0.0
    x, label = digits.x_val[:1].reshape(1, 1, 28, 28) / 255, int(digits.y_val[0])
    step = backprop.trace(network, x, label)
    at = int(np.argmax(np.abs(step["dx"])))
    moved = [x.copy(), x.copy()]
    for sign, each in zip((-1, 1), moved, strict=True):
        each.reshape(-1)[at] += sign * 1e-5
    losses = [tn.evaluate(network, each, np.array([label])).loss for each in moved]
    assert step["dx"][at] == pytest.approx((losses[1] - losses[0]) / 2e-5, rel=1e-3)
    assert step["loss"]["t"] == pytest.approx([0.91 if k == label else 0.01 for k in range(10)])
    np.testing.assert_allclose(
        np.subtract(step["loss"]["p"], step["loss"]["t"]), step["loss"]["dz"], rtol=1e-3, atol=1e-5
    )
    assert step["loss"]["name"] == "SoftmaxCrossEntropy(label_smoothing=0.1)"
    assert step["loss"]["formulas"][0].startswith("smooth_labels: t <- ")
    assert step["update"]["loss"] < step["loss"]["value"]


@pytest.fixture(scope="module")
def of_pictures(digits: tn.data.Split) -> list[tn.Run]:
    """Networks of convolutions; the smaller one cannot be trained on a single row."""
    x, labels = digits.x_train[:2000].reshape(-1, 1, 28, 28), digits.y_train[:2000]
    block = tn.Residual(tn.Conv2D(6, 9, 3, 2, 1), tn.BatchNorm(9, eps=0.1), tn.ReLU(), shortcut=tn.Conv2D(6, 9, 1, 2))
    normed = (tn.Conv2D(1, 6, 3, padding=1), tn.BatchNorm(6), tn.Tanh(), tn.MaxPool2D(2), block, tn.AveragePool2D(3))
    around = tn.Residual(tn.Conv2D(4, 4, 1), tn.GlobalAveragePool(), shortcut=tn.GlobalAveragePool())
    small = (tn.AveragePool2D(3), tn.Conv2D(1, 4, 4, stride=3), around, tn.BatchNorm(4))
    return [
        trained("normed", None, x, labels, *normed, tn.Flatten(), tn.Dense(36, 12), tn.LayerNorm(12), tn.Dense(12, 10)),
        trained("small", None, x, labels, *small, tn.LayerNorm(4, eps=0.1), tn.Dense(4, 10)),
    ]


@pytest.fixture
def pictures(open_page: Any, of_pictures: list[tn.Run], digits: tn.data.Split, tmp_path: Path) -> Tab:
    x = digits.x_val[:500].reshape(-1, 1, 28, 28)
    return open_page(tn.report(of_pictures, tmp_path / "report.html", validation=(x, digits.y_val[:500])))


def test_probabilities_through_convolutions_are_those_of_python(
    pictures: Tab, of_pictures: list[tn.Run], digits: tn.data.Split
) -> None:
    x = digits.x_val[:100].reshape(-1, 1, 28, 28)
    for run, p in zip(of_pictures, answers_of(pictures, x), strict=True):
        np.testing.assert_allclose(p, tn.predict(run.network, x), rtol=0, atol=1e-5)
    assert pictures.page.locator("#answers li").count() == 2
    assert pictures.page.locator("#left-out").count() == 0


def test_inside_of_convolutions_are_maps(pictures: Tab, of_pictures: list[tn.Run]) -> None:
    pictures.draw("3")
    pictures.page.click("#inside-toggle")
    strips = pictures.page.locator("#inside .strip")
    assert [strip.locator(".unit").count() for strip in strips.all()] == [6, 6, 6, 6, 9, 9, 0, 0, 0, 0]
    maps = pictures.page.locator("#inside .strip:first-child .unit canvas").all()
    shown = [canvas.evaluate("canvas => [...canvas.numbers]") for canvas in maps]
    seen = pictures.page.evaluate(
        "() => [...byId('seen').getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 3)"
    )
    expected = of_pictures[0].network[:1].forward(np.array(seen, "float32").reshape(1, 1, 28, 28) / np.float32(255))
    np.testing.assert_allclose(shown, expected.reshape(6, 784), rtol=0, atol=1e-5)
    assert pictures.page.locator("#inside h3").all_inner_texts() == ["Layer by layer"]
    pictures.shot("convolutions_inside", "#draw")


def test_layers_before_the_first_convolution_are_pictures_and_many_maps_are_counted(pictures: Tab) -> None:
    pictures.draw("3")
    pictures.page.click("#inside-toggle")
    pictures.page.select_option("#inside-network", "1")
    strips = pictures.page.locator("#inside .strip").all()
    assert [strip.locator(".unit").count() for strip in strips] == [1, 4, 0, 0, 0, 0, 0]
    script = """maps => {
        const [group, note] = mapsOf(new Float64Array(4 * maps), maps, 1);
        return [group.children.length, note?.textContent];
    }"""
    assert pictures.page.evaluate(script, 70) == [64, "The first 64 of 70."]
    assert pictures.page.evaluate(script, 64) == [64, None]


def test_kernels_of_a_first_convolution_and_its_shapes_are_shown(pictures: Tab, of_pictures: list[tn.Run]) -> None:
    pictures.page.select_option("#network-choice", "0")
    units = pictures.page.locator("#network .units .unit canvas").all()
    shown = [canvas.evaluate("canvas => [...canvas.numbers]") for canvas in units]
    np.testing.assert_allclose(shown, of_pictures[0].network[0].W.reshape(6, 9), rtol=1e-6)
    assert "Kernels of 3 \u00d7 3 pixels" in pictures.text("#network")
    assert "(N, 6, 28, 28)" in pictures.text("#network .summary")
    pictures.page.select_option("#network-choice", "1")
    assert pictures.page.locator("#network .units").count() == 0


def test_backpropagation_goes_through_convolutions_where_one_row_is_a_batch(
    pictures: Tab, of_pictures: list[tn.Run], digits: tn.data.Split, tmp_path: Path, open_page: Any
) -> None:
    shown = facts_of(tmp_path / "report.html")["backprop"]
    assert shown["network"] == "normed"
    assert [step["maps"] for step in shown["steps"]][:4] == [[6, 1], [6, 6], [6, 6], [6, 6]]
    text = pictures.text("#backprop")
    for formula in ("y = W patches(x) + b", "y = gamma x_hat + beta", "dx = dy / size^2 everywhere in the patch"):
        assert formula in text
    assert pictures.page.locator("#backprop .card .units").count() > 10
    kernels = pictures.page.locator("#backprop .unit canvas[aria-label='gradient of kernel 5']").last
    np.testing.assert_allclose(kernels.evaluate("canvas => canvas.numbers"), shown["steps"][0]["dW"][45:])
    assert "dW 6 \u00d7 1 \u00d7 3 \u00d7 3" in text
    pictures.shot("convolutions_backprop", "#backprop")
    alone = open_page(tn.report(of_pictures[1:], tmp_path / "alone.html"))
    assert "BatchNorm of rows takes the mean over a batch" in alone.text("#backprop")
    assert alone.page.locator(".problem:visible").count() == 0
    assert facts_of(tmp_path / "alone.html")["validation"] == 10_000


def test_pictures_and_rows_are_not_compared(of_pictures: list[tn.Run], digits: tn.data.Split, tmp_path: Path) -> None:
    x, labels = digits.x_val[:9].reshape(-1, 1, 28, 28), digits.y_val[:9]
    with pytest.raises(ValueError, match=r"'small' cannot be shown: .*Flatten\(\) in front of it makes rows"):
        tn.report([of_pictures[0], small_run()], tmp_path / "report.html", validation=(x, labels))
    flat = tn.Run("flat", tn.Network(tn.Flatten(), tn.Dense(784, 10)), [])
    assert facts_of(tn.report([flat, of_pictures[1]], tmp_path / "report.html"))["validation"] == 10_000
    larger = tn.Network(tn.Conv2D(3, 2, 3), tn.GlobalAveragePool(), tn.Dense(2, 10))
    with pytest.raises(ValueError, match=r"report takes validation=\(x, labels\) for networks without 784 inputs"):
        tn.report([tn.Run("colors", larger, [])], tmp_path / "report.html")


def test_frozen_layer_learns_nothing_on_the_page(digits: tn.data.Split) -> None:
    network = tn.mlp(784, [6], 10)
    network[0].trainable = False
    step = backprop.trace(network, digits.x_val[:1] / 255, 3)
    steps = step["steps"]
    assert [each["name"] for each in steps] == ["Dense(784, 6), frozen", "ReLU()", "Dense(6, 10)"]
    assert step["update"]["parameters"] == 70
    assert ["dW" in step for step in steps] == [False, False, True]
    assert "W" in steps[0]


def test_two_classes_may_have_one_output_or_two(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    x, odd = digits.x_train[:3000], digits.y_train[:3000] % 2
    runs = [
        trained("one", tn.BinaryCrossEntropy(), x, odd, tn.Dense(784, 6), tn.Tanh(), tn.Dense(6, 1)),
        trained("two", None, x, odd, tn.Dense(784, 16), tn.ReLU(), tn.Dense(16, 2)),
    ]
    rows, labels = digits.x_val[:500], digits.y_val[:500] % 2
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=(rows, labels)))
    p = answers_of(tab, rows[:100])
    np.testing.assert_allclose(p[0, :, 1:], tn.predict(runs[0].network, rows[:100]), rtol=0, atol=1e-5)
    np.testing.assert_allclose(p.sum(axis=2), 1)
    facts = facts_of(tmp_path / "report.html")
    said = tn.predict_classes(runs[0].network, rows)
    confusion = [[int(((labels == k) & (said == j)).sum()) for j in (0, 1)] for k in (0, 1)]
    assert facts["networks"][0]["confusion"] == confusion
    tab.draw("3")
    assert tab.read() == ["1", "1"]
    assert "BinaryCrossEntropy for one; SoftmaxCrossEntropy for two" in tab.text("#compare .below")
    label = facts["backprop"]["label"]
    row = tab.page.locator("#backprop .loss tbody tr")
    assert row.count() == 1
    assert row.locator("th").inner_text() == ("1 ←" if label else "1")
    assert "L = 1/N sum_n (log(1 + exp(z_n)) - t_n z_n)" in tab.text("#backprop")
    assert tab.page.locator("#backprop [aria-label='weights of unit 5']").count() == 1
    assert tab.page.locator("#backprop .matrix").count() == 0
    before, after = facts["backprop"]["update"]["chances"]
    assert before == pytest.approx(
        facts["backprop"]["loss"]["p"][0] if label else 1 - facts["backprop"]["loss"]["p"][0], rel=1e-3
    )
    assert after > before
    tab.shot("one_output", "#backprop")


class Scaled(tn.SoftmaxCrossEntropy):
    """One that reads the outputs as half of what they are."""

    def predictions(self, z: Any) -> Any:
        return super().predictions(z / 2)


def test_network_with_a_loss_of_its_own_is_compared_but_not_on_the_pad(
    open_page: Any, digits: tn.data.Split, tmp_path: Path
) -> None:
    run = small_run("own")
    run.network.loss = Scaled()
    tab = open_page(tn.report([run, small_run("usual")], tmp_path / "report.html", validation=few_digits(digits)))
    assert tab.page.locator("#answers li").count() == 1
    assert "own" in tab.text("#left-out")
    assert "a loss that this page cannot compute" in tab.text("#left-out")


def test_several_seeds_stand_in_one_row(digits: tn.data.Split) -> None:
    seeds = [small_run("net", seed=seed, train=tn.Evaluation(0.1 * seed, 0.9)) for seed in (1, 2, 3)]
    scores = [tn.Evaluation(0.3, 0.91), tn.Evaluation(0.5, 0.93), tn.Evaluation(2.0, 0.2)]
    table = comparison([(seeds, scores)], failed_below=0.85)
    row = dict(zip(table["columns"], table["rows"][0], strict=True))
    assert row["failed runs"]["text"] == "1 of 3"
    assert row["val accuracy"]["text"] == "0.9200"
    assert row["val accuracy"]["spread"] == "0.0141"
    assert row["train loss"]["text"] == "0.1500"
    assert row["train accuracy"]["spread"] == ""


@pytest.mark.parametrize(
    ("dead", "text"), [([0, 0, 1], "0.3"), ([2, 2, 2], "2"), ([0.5, 0.5, 0.25], "0.4167")], ids=str
)
def test_figures_of_several_seeds_keep_the_digits_that_tell_them_apart(dead: list[float], text: str) -> None:
    seeds = [small_run("net", seed=k, figures={"dead": value}) for k, value in enumerate(dead)]
    table = comparison([(seeds, [tn.Evaluation(0.3, 0.9)] * 3)], failed_below=0.85)
    assert dict(zip(table["columns"], table["rows"][0], strict=True))["dead"]["text"] == text


def test_where_no_seed_worked_the_mean_is_that_of_all() -> None:
    seeds = [small_run("net", seed=k) for k in (1, 2)]
    table = comparison([(seeds, [tn.Evaluation(2.0, 0.2), tn.Evaluation(1.0, 0.4)])], failed_below=0.85)
    row = dict(zip(table["columns"], table["rows"][0], strict=True))
    assert (row["val accuracy"]["text"], row["failed runs"]["text"]) == ("0.3000", "2 of 2")


def test_run_without_history_has_no_seconds() -> None:
    run = tn.Run("bare", tn.mlp(784, [3], 10), [])
    table = comparison([([run], [tn.Evaluation(0.3, 0.9)])], failed_below=0.85)
    assert dict(zip(table["columns"], table["rows"][0], strict=True))["seconds"]["text"] == "\N{EN DASH}"


def test_accuracy_that_nobody_measured_is_a_dash() -> None:
    seeds = [small_run("net", seed=k, train=tn.Evaluation(0.5, None)) for k in (1, 2)]
    table = comparison([(seeds, [tn.Evaluation(0.3, None), tn.Evaluation(0.5, None)])], failed_below=0.85)
    row = {name: cell["text"] for name, cell in zip(table["columns"], table["rows"][0], strict=True)}
    assert (row["train accuracy"], row["val accuracy"]) == ("\N{EN DASH}", "\N{EN DASH}")
    assert (row["val loss"], row["failed runs"]) == ("0.4000", "2 of 2")


@pytest.mark.parametrize("scale", [1, 3], ids=["pixels from 0 to 1", "numbers of another range"])
def test_floats_are_taken(open_page: Any, digits: tn.data.Split, tmp_path: Path, scale: int) -> None:
    x, labels = few_digits(digits)
    x = (x / np.float32(255)) * scale
    tab = open_page(tn.report([small_run()], tmp_path / "report.html", validation=(x, labels)))
    assert tab.page.locator("#draw").count() == (scale == 1)


def test_poor_networks_show_the_surest_of_every_cell(digits: tn.data.Split, tmp_path: Path) -> None:
    runs = [small_run(f"net {k}", seed=k) for k in range(8)]
    facts = facts_of(tn.report(runs, tmp_path / "report.html"))
    assert facts["most_of_a_cell"] < 40
    p, shown = tn.predict(runs[0].network, digits.x_val), facts["digits"]["rows"]
    for k, cell in np.ndenumerate(np.array(facts["networks"][0]["confusion"])):
        rows = np.flatnonzero((digits.y_val == k[0]) & (p.argmax(axis=1) == k[1]))
        surest = rows[np.argsort(-p[rows].max(axis=1), kind="stable")][: facts["most_of_a_cell"]]
        assert cell == len(rows)
        assert set(surest) <= set(shown)


def test_history_without_validation_and_one_network(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    run = small_run()
    bare = tn.Run("bare", run.network, [tn.Record(1, 2.0, 0.3)])
    tab = open_page(tn.report([bare], tmp_path / "report.html", validation=few_digits(digits)))
    assert "without validation rows" in tab.text("#curve-chart")
    assert "Training figures are running means" in tab.text("#compare .below")
    assert tab.page.locator("#disagreements").count() == 0


def test_weights_too_large_for_half_precision_are_kept_in_single(digits: tn.data.Split) -> None:
    network = tn.mlp(784, [200], 10)
    network[0].W[0, 0] = 1e6
    x = digits.x_val[:200]
    packed = weights.pack(network, x, tn.predict(network, x), crowded=True)
    assert packed.precision == "float32"
    assert packed.largest_change == 0
    network[0].W[0, 0] = 0
    assert weights.pack(network, x, tn.predict(network, x), crowded=True).precision == "float16"
    assert weights.pack(network, x, tn.predict(network, x), crowded=False).precision == "float32"


# ------------------------------------------------------------------------------------------------- errors


def test_whole_or_not_at_all(digits: tn.data.Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    tn.report([small_run()], path, validation=few_digits(digits))
    before = path.read_bytes()

    def fails(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        tn.report([small_run("another")], path, validation=few_digits(digits))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], r"takes tn.Run\(name, network, history\), one or more; got none"),
        (["net"], "takes tn.Run.*got.*'net'"),
        ([small_run(), small_run("b", inputs=20)], r"same inputs; got \{'small': 784, 'b': 20\}"),
        ([small_run(), small_run("b", classes=3)], r"same classes; got \{'small': 10, 'b': 3\}"),
        ([small_run(), tn.Run("small", tn.mlp(784, [3], 10), [])], r"'small' has \[2395, 4780\] parameters"),
        ([small_run(7)], "takes a name and a network, got 7"),
        ([tn.Run("a", "net", [])], "takes a name and a network, got 'a' and 'net'"),
        ([small_run(figures={"blog": "0.9"})], "'small' takes figures that are numbers, got"),
        ([tn.Run("nan", not_finite(), [])], "'nan' has parameters that are not finite"),
        ([tn.Run("huge", overflowing(), [])], "'huge' gives probabilities that are not finite"),
        ([small_run(" ")], "takes a name and a network, got ' '"),
        ([small_run(figures={"seconds": 3})], r"has figures named \['seconds'\], as columns of the table are"),
        ([tn.Run("a", small_run().network, [{"epoch": 1}])], "'a' takes the History that fit returned"),
        (
            [with_loss(tn.MeanSquaredError(), 10)],
            r"'odd' was trained with MeanSquaredError\(\), which knows none; leave",
        ),
        ([with_loss(tn.Huber(), 1)], r"'odd' was trained with Huber\(delta=1.0\), which knows none; leave it out"),
        ([with_loss(None, 1)], "'odd' cannot be shown: predict does not know.*set network.loss"),
        ([with_loss(Bare(), 10)], "probabilities from 0 to 1, but 'odd' gives -.*`predictions` of its loss"),
        ([small_run(), with_loss(tn.BinaryCrossEntropy(), 1)], r"same classes; got \{'small': 10, 'odd': 2\}"),
    ],
)
def test_runs_that_do_not_go_together_are_refused(
    runs: Any, message: str, digits: tn.data.Split, tmp_path: Path
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        tn.report(runs, tmp_path / "report.html", validation=few_digits(digits))
    assert list(tmp_path.iterdir()) == []


def test_bad_validation_is_refused(digits: tn.data.Split, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    x, labels = few_digits(digits)
    with pytest.raises(ValueError, match=r"labels \(60,\), whole numbers, got float64"):
        tn.report([small_run()], path, validation=(x, labels * 0.5))
    with pytest.raises(ValueError, match=r"labels 0 .. 9"):
        tn.report([small_run()], path, validation=(x, labels + 1))
    with pytest.raises(ValueError, match=r"'small' cannot be shown: .*\(N, 784\).*Flatten\(\) in front"):
        tn.report([small_run()], path, validation=(x.reshape(-1, 1, 28, 28), labels))
    with pytest.raises(ValueError, match="without 784 inputs, got none"):
        tn.report([small_run(inputs=5)], path)
    with pytest.raises(FileNotFoundError, match=r"make .*nowhere first"):
        tn.report([small_run()], tmp_path / "nowhere" / "report.html", validation=(x, labels))
    with pytest.raises(IsADirectoryError, match="add a file name"):
        tn.report([small_run()], tmp_path, validation=(x, labels))


def test_import_needs_no_jinja2_and_report_says_that_it_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "import sys, tinynet; print('jinja2' in sys.modules, 'tinynet.report.facts' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"tinynet-from-scratch\[examples\]"):
        tn.report([small_run()], tmp_path / "report.html")


# ------------------------------------------------------------------------------- what few pages bring up


@pytest.fixture(scope="module")
def small_page(digits: tn.data.Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "report.html"
    return tn.report([small_run("one"), small_run("two", seed=3)], path, validation=few_digits(digits))


def test_axes_have_ticks_over_any_range(open_page: Any, small_page: Path, draw: np.random.Generator) -> None:
    tab = open_page(small_page)
    shares = [[0.955, 0.975], [0.5, 0.5], [1, 1], [0, 1], [0.9712, 0.9713], *draw.uniform(0, 1, (300, 2)).tolist()]
    losses = np.sort(10 ** draw.uniform(-5, 3, (300, 2))).tolist()
    sizes = [[low, low * times] for low, times in draw.integers(1, 2000, (300, 2)).tolist()]
    script = """([shares, losses, sizes]) => [
        ...shares.map((pair) => scaleOf(pair, true, 300, 0).ticks),
        ...losses.map((pair) => scaleOf(pair, false, 300, 0).ticks),
        ...sizes.map(([low, high]) => axis(low / 1.5, high * 1.5, 0, 300, logarithm, POWERS_OF_TEN).ticks),
    ]"""
    ticks = tab.page.evaluate(script, [shares, losses, sizes])
    assert min(map(len, ticks)) >= 2
    assert all(sorted(set(each)) == each for each in ticks)
    for written, each in (("shareText", ticks[: len(shares)]), ("lossText", ticks[len(shares) :])):
        words = tab.page.evaluate(f"all => all.map((ticks) => ticks.map({written}))", each)
        assert all(len(set(text)) == len(text) for text in words)


def test_layer_may_have_any_name(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    odd = type("toString", (Negative,), {})
    network = tn.Network(odd(), tn.Dense(784, 5), tn.ReLU(), tn.Dense(5, 10), tn.Softmax())
    runs = [tn.Run("odd", network, small_run().history), small_run("usual")]
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)))
    tab.draw("1")
    assert "It reads" in tab.text("#status")
    assert tab.page.locator("#backprop .card").count() == 13
    assert "toString" in tab.text("#backprop")
    assert tab.page.locator(".problem").count() == 0


@pytest.mark.parametrize("section", ["draw", "curves", "networks", "disagreements", "backprop"])
def test_section_that_fails_does_not_stop_the_others(
    open_page: Any, small_page: Path, tmp_path: Path, section: str
) -> None:
    broken = {
        "draw": ("pixels", "digits"),
        "curves": ("epoch", "networks.0.history"),
        "networks": ("confusion", "networks.0"),
        "disagreements": ("rows", "disagreements"),
        "backprop": ("steps", "backprop"),
    }
    facts = facts_of(small_page)
    name, place = broken[section]
    held = facts
    for key in place.split("."):
        held = held[int(key) if key.isdigit() else key]
    held[name] = None
    if section == "networks":
        facts["networks"][1][name] = None
    text = small_page.read_text()
    start = text.index('id="facts">') + len('id="facts">')
    (tmp_path / "report.html").write_text(
        text[:start] + page.json_for_html(facts) + text[text.index("</script>", start) :]
    )
    tab = open_page(tmp_path / "report.html")
    failed = tab.page.locator("main > section:has(.problem[role=alert])").evaluate_all("all => all.map(({ id }) => id)")
    assert section in failed
    assert set(failed) <= {section, "draw" if section == "disagreements" else section}
    assert "could be shown" in tab.text(f"#{section} .problem")
    assert len(tab.said) == len(failed)
    tab.said.clear()
    if "draw" not in failed:
        tab.draw("1")
        assert tab.text("#status") != "No answer yet."


def touch_of(tab: Tab, selector: str) -> Any:
    """Touches at shares of an element's width and height: touch(kind, (x, y), ...)."""
    tab.page.locator(selector).scroll_into_view_if_needed()
    box, session = tab.page.locator(selector).bounding_box(), tab.context.new_cdp_session(tab.page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": box["x"] + box["width"] * x, "y": box["y"] + box["height"] * y, "id": finger}
            for finger, (x, y) in enumerate(places)
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return touch


def test_second_finger_does_not_draw(open_page: Any, small_page: Path) -> None:
    tab = open_page(small_page, **PHONE)
    touch = touch_of(tab, "#pad")
    seen = []
    for others in ([], [(0.9, 0.3)]):
        touch("touchStart", (0.4, 0.1))
        touch("touchMove", (0.4, 0.2))
        if others:
            touch("touchStart", (0.4, 0.2), *others)
        for step in range(3, 9):
            touch("touchMove", (0.4, 0.1 * step), *[(x, 0.1 * step) for x, _ in others])
        touch("touchEnd")
        tab.settle()
        seen.append(tab.seen())
        tab.page.evaluate("byId('clear').click()")
        tab.settle()
    np.testing.assert_array_equal(seen[0], seen[1])
    assert seen[0].max() == 255
    touch("touchStart", (0.5, 0.1))
    touch("touchMove", (0.5, 0.8))
    touch("touchEnd")
    tab.settle()
    assert "1 stroke" in tab.text("#pad-state")


def test_finger_reads_the_curves(open_page: Any, small_page: Path) -> None:
    tab = open_page(small_page, **PHONE)
    touch = touch_of(tab, "#curve-chart")
    touch("touchStart", (0.5, 0.5))
    touch("touchEnd")
    assert "epoch 1" in tab.text("#curve-chart .tip")
    touch("touchStart", (0.6, 0.5))
    touch("touchMove", (0.8, 0.5))
    touch("touchEnd")
    assert tab.page.locator("#curve-chart .tip").is_visible()
    assert "35.00 %" in tab.text("#curve-chart .tip")


def test_tip_of_many_networks_is_short(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    network = small_run().network
    runs = [tn.Run(f"net {k}", network, [tn.Record(e, 2.0, 0.3, 1.9, 0.3 + k / 40) for e in (1, 2)]) for k in range(20)]
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)))
    box = tab.page.locator("#curve-chart").bounding_box()
    assert tab.page.evaluate("[...document.querySelectorAll('#curve-chart .tick')].map(t => t.textContent)")[-3:] == [
        "1",
        "2",
        "epoch",
    ]
    tab.page.locator("#curve-chart").scroll_into_view_if_needed()
    for height, name in ((0.05, "net 19"), (0.85, "net 0")):
        tab.page.locator("#curve-chart").hover(position={"x": 500, "y": height * box["height"]})
        assert tab.page.locator("#curve-chart .tip div").count() == 8
        assert name in tab.page.locator("#curve-chart .tip div > span:first-of-type").all_inner_texts()
        tip = tab.page.locator("#curve-chart .tip").bounding_box()
        assert tip["height"] < box["height"] - 40
    tab.shot("twenty", "#curves")


def saved(tab: Tab, path: Path) -> np.ndarray:
    with tab.page.expect_download() as download:
        tab.page.click("#save")
    download.value.save_as(path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L")).astype(int)


@pytest.mark.slow
def test_pad_saved_picture_and_networks_agree_on_a_loaded_picture(
    open_page: Any, small_page: Path, tmp_path: Path
) -> None:
    tab = open_page(small_page)
    box = tab.page.locator("#pad").bounding_box()
    for file in sorted(DIGITS.glob("*.png")):
        tab.load(file)
        before = saved(tab, tmp_path / "pad.png")
        expected = tn.data.digit_image(file).astype(int)
        assert np.abs(tab.seen() - expected).max() <= 1, file.name
        assert np.abs(tn.data.digit_image(tmp_path / "pad.png") - expected).max() <= 2, file.name
        tab.page.mouse.click(box["x"] + 0.06 * box["width"], box["y"] + 0.06 * box["height"])
        tab.settle()
        after = saved(tab, tmp_path / "dotted.png")
        np.testing.assert_array_equal(after[40:], before[40:])
        assert np.abs(tab.seen() - tn.data.digit_image(tmp_path / "dotted.png").astype(int)).max() <= 1, file.name
        assert (tab.seen() > 127).mean() < 0.4, file.name


def test_long_names_leave_the_inside_on_a_phone(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    runs = [small_run(f"{k} " + "a long name " * 25, seed=k) for k in range(2)]
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)), **PHONE)
    tab.page.click("#inside-toggle")
    assert tab.page.locator("#inside-network").is_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 375


def test_names_do_not_turn_the_words_around_them(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("judged", [None, float("nan")])
def test_curves_without_validation_figures_are_those_of_training(
    open_page: Any, digits: tn.data.Split, tmp_path: Path, judged: float | None
) -> None:
    history = [tn.Record(epoch, 2.0 / epoch, 0.3 * epoch, judged, judged) for epoch in (1, 2, 3)]
    runs = [tn.Run(name, small_run().network, history) for name in ("one", "two")]
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)))
    for alone in (False, True):
        if alone:
            tab.page.locator("#legend button").first.click()
        assert tab.page.locator("#curve-chart > svg path.line[d^=M]").count() == (1 if alone else 2)
        assert "or with figures on them that are not finite" in tab.text("#curve-chart .note")
        tab.page.locator("#curve-chart").focus()
        tab.page.keyboard.press("ArrowRight")
        assert "30.00 %" in tab.text("#curve-chart .tip")
        tab.page.keyboard.press("Tab")


def test_of_many_classes_the_first_five_have_bars(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    runs = [small_run(name, classes=30, seed=k) for k, name in enumerate(("one", "two"))]
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)), **PHONE)
    tab.page.locator("#samples button").first.click()
    tab.settle()
    first = tab.page.locator("#answers li").first
    labels = first.locator("em").all_inner_texts()
    assert len(labels) == 5
    said = re.findall(r"(\d+): ", first.locator(".bars").get_attribute("aria-label"))
    assert labels[:3] == said
    assert first.locator(".column.best em").all_inner_texts() == [tab.read()[0]] == labels[:1]
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 375


def test_numbers_are_read_out_by_finger_and_by_keyboard(open_page: Any, small_page: Path) -> None:
    tab = open_page(small_page, **PHONE)
    for section, canvas in (("backprop", "[aria-label='gradient of unit 0']"), ("networks", "[aria-label$='unit 0']")):
        place, line = f"#{section} canvas{canvas}", f"#{section} > .readout"
        touch = touch_of(tab, place)
        touch("touchStart", (0.52, 0.52))
        touch("touchEnd")
        assert re.search(r"unit 0, row 14, column 14: -?[\d.e-]+$", tab.text(line))
        tab.page.focus(place)
        tab.page.keyboard.press("ArrowRight")
        tab.page.keyboard.press("ArrowDown")
        written = tab.text(line)
        assert "row 15, column 15: " in written
        numbers = tab.page.locator(place).evaluate("canvas => [...canvas.numbers]")
        assert float(written.rsplit(" ", 1)[1]) == pytest.approx(numbers[15 * 28 + 15], rel=1e-2)
        tab.page.keyboard.press("PageDown")
        assert "unit 1, row 0, column 0" in tab.text(line)
    assert tab.page.locator("#networks .units canvas[tabindex='0']").count() == 1


def test_cell_shows_as_many_rows_as_the_facts_say(open_page: Any, small_page: Path, tmp_path: Path) -> None:
    facts = facts_of(small_page) | {"most_of_a_cell": 2}
    text = small_page.read_text()
    start = text.index('id="facts">') + len('id="facts">')
    (tmp_path / "report.html").write_text(
        text[:start] + page.json_for_html(facts) + text[text.index("</script>", start) :]
    )
    tab = open_page(tmp_path / "report.html")
    confusion = np.array(facts["networks"][int(tab.page.locator("#network-choice").input_value())]["confusion"])
    label, answer = divmod(int(confusion.argmax()), 10)
    tab.page.locator(f".confusion button[aria-label$='of class {label} read as {answer}']").click()
    sure = [float(words.rstrip(" %")) for words in tab.page.locator(".cell-digits figcaption").all_inner_texts()]
    assert len(sure) == 2
    assert sure == sorted(sure, reverse=True)
    assert "the 2 surest of them" in tab.text(".cell-digits h3")
