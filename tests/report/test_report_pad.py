"""The report's drawing pad, answers and the view inside a network."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_pages import DIGITS, PHONE, Negative, Tab, few_digits, small_run, touch_of

import tinynet as tn


def test_digit_drawn_with_the_mouse_is_read(tab: Tab) -> None:
    for digit in "03":
        tab.page.click("#clear")
        tab.draw(digit)
        assert tab.read().count(digit) >= 5
        assert f"read {digit}" in tab.text("#verdict")
        tab.shot(f"drawn_{digit}")


def test_finger_draws(open_page: Any, eight: Path) -> None:
    tab = open_page(eight, **PHONE)
    touch = touch_of(tab, "#pad")
    before = tab.page.evaluate("scrollY")
    for step in range(21):
        touch("touchMove" if step else "touchStart", (0.5, 0.1 + 0.04 * step))
    touch("touchEnd")
    tab.settle()
    assert tab.read().count("1") >= 4
    assert tab.page.evaluate("scrollY") == before


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


def test_undo_and_clear(tab: Tab) -> None:
    tab.draw("4")
    both = tab.seen()
    tab.page.click("#undo")
    tab.settle()
    assert (tab.seen() != both).any()
    tab.page.click("#undo")
    tab.settle()
    assert tab.seen().max() == 0
    assert "No answer" in tab.text("#verdict")
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


def saved(tab: Tab, path: Path) -> np.ndarray:
    with tab.page.expect_download() as download:
        tab.page.click("#save")
    download.value.save_as(path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L")).astype(int)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:digit_image")
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


def test_file_that_is_not_a_picture_is_named(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("no picture")
    tab.load(tmp_path / "letter.png")
    assert "letter.png cannot be read as a picture" in tab.text("#pad-state")


def test_validation_digit_is_put_on_the_pad_unchanged(tab: Tab, digits: tn.data.Split) -> None:
    button = tab.page.locator("#samples button").first
    row = int(re.search(r"row (\d+)", button.get_attribute("aria-label"))[1])
    button.click()
    tab.settle()
    np.testing.assert_array_equal(tab.seen().ravel(), digits.x_val[row])


def test_true_classes_are_written_and_a_digit_replaces_what_is_on_the_pad(tab: Tab, digits: tn.data.Split) -> None:
    buttons = tab.page.locator("#samples button")
    rows = [int(re.search(r"row (\d+)", button.get_attribute("aria-label"))[1]) for button in buttons.all()]
    assert tab.page.locator("#samples figcaption").all_inner_texts() == [f"is {digits.y_val[row]}" for row in rows]
    for k, row in enumerate(rows[:2]):
        buttons.nth(k).click()
        tab.settle()
        assert tab.text("#pad-state") == f"A validation digit of class {digits.y_val[row]} on the pad."
    tab.draw("1")
    assert tab.text("#pad-state") == f"A validation digit of class {digits.y_val[rows[1]]} and 1 stroke on the pad."
    tab.load(DIGITS / "2_red_on_yellow.png")
    assert tab.text("#pad-state") == "1 picture on the pad."
    tab.page.click("#undo")
    tab.settle()
    assert tab.text("#pad-state") == f"A validation digit of class {digits.y_val[rows[1]]} and 1 stroke on the pad."


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


@pytest.mark.parametrize("scale", [1, 3], ids=["pixels from 0 to 1", "numbers of another range"])
def test_floats_are_taken(open_page: Any, digits: tn.data.Split, tmp_path: Path, scale: int) -> None:
    x, labels = few_digits(digits)
    x = (x / np.float32(255)) * scale
    tab = open_page(tn.report([small_run()], tmp_path / "report.html", validation=(x, labels)))
    assert tab.page.locator("#draw").count() == (scale == 1)


class Scaled(tn.SoftmaxCrossEntropy):
    """A loss that halves the outputs before its predictions."""

    def predictions(self, z: Any) -> Any:
        return super().predictions(z / 2)


def test_network_with_a_layer_or_a_loss_of_its_own_is_compared_but_not_on_the_pad(
    open_page: Any, digits: tn.data.Split, tmp_path: Path
) -> None:
    layer = tn.Network(Negative(), tn.Dense(784, 5), tn.ReLU(), tn.Dense(5, 10), tn.Softmax())
    runs = [tn.Run("own layer", layer, small_run().history), small_run("own loss"), small_run("usual")]
    runs[1].network.loss = Scaled()
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)))
    assert tab.page.locator("#answers li").count() == 1
    assert tab.page.locator("#comparison tbody tr").count() == 3
    for words in ("own layer", "own loss", "cannot compute their layers or loss"):
        assert words in tab.text("#left-out")


def test_layer_may_have_any_name(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    odd = type("toString", (Negative,), {})
    network = tn.Network(odd(), tn.Dense(784, 5), tn.ReLU(), tn.Dense(5, 10), tn.Softmax())
    runs = [tn.Run("odd", network, small_run().history), small_run("usual")]
    tab = open_page(tn.report(runs, tmp_path / "report.html", validation=few_digits(digits)))
    tab.draw("1")
    assert "It reads" in tab.text("#verdict")
    assert tab.page.locator("#backprop .card").count() == 13
    assert "toString" in tab.text("#backprop")
    assert tab.page.locator(".problem").count() == 0
