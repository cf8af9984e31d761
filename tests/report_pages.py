"""Networks, pages and the browser tab for the tests of the report. tests/conftest.py imports the fixtures.

Screenshots go to the folder in TINYNET_SCREENSHOTS. Without Playwright or Chromium, tests that need a browser are left
out, unless TINYNET_NEEDS_BROWSER is set.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draw_digits import STROKES
from PIL import Image

import tinynet as tn
from tinynet.report import page

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


class Tab:
    """A page in the browser, with its console messages and requests."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"} | options
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page, self.messages, self.requests = self.context.new_page(), [], []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(f"{error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
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
        """Wait until a drawing is prepared, and for the delay of the sentence above the answers."""
        self.page.wait_for_timeout(450)

    def load(self, file: Path) -> None:
        self.page.set_input_files("#load", file)
        self.page.wait_for_selector("#pad:not([aria-busy])")
        self.settle()

    def seen(self) -> np.ndarray:
        """Return the 28 x 28 grays of the networks' input."""
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


@pytest.fixture(scope="session")
def digits() -> tn.data.Split:
    return tn.data.mnist_split()


@pytest.fixture(scope="session")
def runs(digits: tn.data.Split) -> list[tn.Run]:
    """Eight networks, trained for one epoch on 12,000 digits."""
    trained = []
    for name, (hidden, dropout) in EIGHT.items():
        network = tn.mlp(784, hidden, 10, dropout=dropout, seed=1, backend="auto")
        validation = digits.x_val[:1000], digits.y_val[:1000]
        x, labels = digits.x_train[:12_000], digits.y_train[:12_000]
        history = tn.fit(network, tn.Adam(network, lr=0.003), x, labels, epochs=1, validation=validation)
        trained.append(tn.Run(name, network, history, figures={"blog accuracy": 0.91}))
    return trained


@pytest.fixture(scope="session")
def eight(runs: list[tn.Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tn.report(runs, tmp_path_factory.mktemp("report") / "report.html", title="Eight networks")


def small_run(name: str = "small", inputs: int = 784, classes: int = 10, **fields: Any) -> tn.Run:
    network = tn.mlp(inputs, [6], classes, seed=fields.pop("seed", 0))
    record = tn.Record(1, 2.0, 0.3, 1.9, 0.35, seconds=0.5, rows=100)
    return tn.Run(name, network, [record], **fields)


def trained(name: str, loss: tn.Loss | None, x: np.ndarray, labels: np.ndarray, *layers: tn.Layer) -> tn.Run:
    network = tn.Network(*layers, seed=1)
    return tn.Run(name, network, tn.fit(network, tn.Adam(network, lr=0.003), x, labels, epochs=2, loss=loss))


def few_digits(digits: tn.data.Split, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    return digits.x_val[:count], digits.y_val[:count]


def facts_of(path: Path) -> dict[str, Any]:
    return json.loads(
        re.search(r'<script type="application/json" id="facts">(.*?)</script>', path.read_text(), re.S)[1]
    )


def with_facts(page_path: Path, facts: dict[str, Any], path: Path) -> Path:
    """Copy a page with other facts to `path`."""
    text = page_path.read_text()
    start = text.index('id="facts">') + len('id="facts">')
    path.write_text(text[:start] + page.json_for_html(facts) + text[text.index("</script>", start) :])
    return path


class Negative(tn.Layer):
    """y = -x"""

    def forward(self, x: Any, train: bool = False) -> Any:
        return -x

    def backward(self, dy: Any) -> Any:
        return -dy


@pytest.fixture(scope="session")
def of_every_layer(digits: tn.data.Split) -> list[tn.Run]:
    """Two networks with all layers except convolutions. They take pictures (N, 1, 28, 28)."""
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


def report_on_pictures(runs: list[tn.Run], digits: tn.data.Split, folder: Path) -> Path:
    x, labels = few_digits(digits, 500)
    return tn.report(runs, folder / "report.html", validation=(x.reshape(-1, 1, 28, 28), labels))


@pytest.fixture(scope="session")
def every_layer_page(of_every_layer: list[tn.Run], digits: tn.data.Split, tmp_path_factory: Any) -> Path:
    return report_on_pictures(of_every_layer, digits, tmp_path_factory.mktemp("every_layer"))


@pytest.fixture
def every_layer(open_page: Any, every_layer_page: Path) -> Tab:
    return open_page(every_layer_page)


@pytest.fixture(scope="session")
def of_pictures(digits: tn.data.Split) -> list[tn.Run]:
    """Two convolutional networks, of which the smaller one cannot train on a single row."""
    x, labels = digits.x_train[:2000].reshape(-1, 1, 28, 28), digits.y_train[:2000]
    block = tn.Residual(tn.Conv2D(6, 9, 3, 2, 1), tn.BatchNorm(9, eps=0.1), tn.ReLU(), shortcut=tn.Conv2D(6, 9, 1, 2))
    normed = (tn.Conv2D(1, 6, 3, padding=1), tn.BatchNorm(6), tn.Tanh(), tn.MaxPool2D(2), block, tn.AveragePool2D(3))
    around = tn.Residual(tn.Conv2D(4, 4, 1), tn.GlobalAveragePool(), shortcut=tn.GlobalAveragePool())
    small = (tn.AveragePool2D(3), tn.Conv2D(1, 4, 4, stride=3), around, tn.BatchNorm(4))
    return [
        trained("normed", None, x, labels, *normed, tn.Flatten(), tn.Dense(36, 12), tn.LayerNorm(12), tn.Dense(12, 10)),
        trained("small", None, x, labels, *small, tn.LayerNorm(4, eps=0.1), tn.Dense(4, 10)),
    ]


@pytest.fixture(scope="session")
def pictures_page(of_pictures: list[tn.Run], digits: tn.data.Split, tmp_path_factory: Any) -> Path:
    return report_on_pictures(of_pictures, digits, tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def pictures(open_page: Any, pictures_page: Path) -> Tab:
    return open_page(pictures_page)


@pytest.fixture(scope="session")
def small_page(digits: tn.data.Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "report.html"
    return tn.report([small_run("one"), small_run("two", seed=3)], path, validation=few_digits(digits))


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    tabs = []

    def open_one(path: Path, **options: Any) -> Tab:
        tabs.append(Tab(browser, path, **options))
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.context.close()
        assert tab.messages == []
        assert [url[:5] for url in tab.requests if not url.startswith("blob:")] == ["file:"]


@pytest.fixture
def tab(open_page: Any, eight: Path) -> Tab:
    return open_page(eight)


def touch_of(tab: Tab, selector: str) -> Any:
    """Return touch(kind, (x, y), ...), which touches an element at shares of its width and height."""
    tab.page.locator(selector).scroll_into_view_if_needed()
    box, session = tab.page.locator(selector).bounding_box(), tab.context.new_cdp_session(tab.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        pixels = [
            {"x": box["x"] + box["width"] * x, "y": box["y"] + box["height"] * y, "id": finger}
            for finger, (x, y) in enumerate(points)
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": pixels})

    return touch


def answers_of(tab: Tab, x: np.ndarray) -> np.ndarray:
    """Return the probabilities (networks, N, K) that the page computes for pixels (N, ...)."""
    script = """async rows => {
        const facts = JSON.parse(document.getElementById("facts").textContent);
        await unpackAll(facts);
        return facts.networks.map(({ layers }) => rows.map(row => [...forward(layers, rowOf(row)).at(-1)]));
    }"""
    return np.array(tab.page.evaluate(script, x.reshape(len(x), 784).tolist()))
