"""The report's section about one network, and the disagreements."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import PHONE, Tab, facts_of, small_run, touch_of, with_facts

import tinynet as tn


def test_confusion_cell_shows_its_digits(tab: Tab, eight: Path, runs: list[tn.Run], digits: tn.data.Split) -> None:
    tab.page.select_option("#network-choice", "0")
    said = tn.predict_classes(runs[0].network, digits.x_val)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (digits.y_val, said), 1)
    shown = [
        [cell.replace("·", "0") for cell in row.split("\t")[1:]] for row in tab.text(".confusion tbody").splitlines()
    ]
    np.testing.assert_array_equal(np.array(shown, int), confusion)
    label, answer = divmod(int(np.argmax(confusion * (1 - np.eye(10)))), 10)
    cell = tab.page.locator(f".confusion button[aria-label$='of class {label} classified as {answer}']")
    cell.click()
    assert cell.get_attribute("aria-pressed") == "true"
    assert tab.page.locator(".cell-digits figure").count() == min(
        facts_of(eight)["most_of_a_cell"], confusion[label, answer]
    )
    labels = tab.page.locator(".cell-digits button").evaluate_all(
        "buttons => buttons.map(b => b.getAttribute('aria-label'))"
    )
    rows = [int(re.search(r"row (\d+)", text)[1]) for text in labels]
    assert (digits.y_val[rows] == label).all()
    assert (said[rows] == answer).all()
    bars = tab.page.locator(".classes i").evaluate_all("bars => bars.map(bar => bar.clientWidth)")
    wrong = 1 - confusion.diagonal() / confusion.sum(axis=1)
    np.testing.assert_allclose(np.array(bars) / max(bars), wrong / wrong.max(), atol=0.02)
    written = tab.page.locator(".classes li .value:nth-last-child(2)").all_inner_texts()
    assert written == [f"{100 * share:.1f} %" for share in wrong]
    tab.shot("confusion", "#networks")


def test_summary_names_no_backend_and_points_to_the_pad_and_the_tour(tab: Tab, runs: list[tn.Run]) -> None:
    """The runs were trained by "auto", and a saved run is loaded on "numpy": the page cannot know."""
    tab.page.select_option("#network-choice", "0")
    assert tab.text(".summary").splitlines()[-1] == "float32, seed 1, 1 epochs trained"
    assert tab.text(".summary").splitlines()[:-1] == runs[0].network.summary().splitlines()[: -1 - len(notes(runs[0]))]
    below = tab.page.locator(".scroll:has(.summary) + .note")
    assert below.locator("a").get_attribute("href") == "#draw"
    assert "examples/tour.ipynb" in below.inner_text()


def notes(run: tn.Run) -> list[str]:
    return [run.network.backend.note] if run.network.backend.note else []


def test_cell_shows_as_many_rows_as_the_facts_say(open_page: Any, small_page: Path, tmp_path: Path) -> None:
    facts = facts_of(small_page) | {"most_of_a_cell": 2}
    tab = open_page(with_facts(small_page, facts, tmp_path / "report.html"))
    confusion = np.array(facts["networks"][int(tab.page.locator("#network-choice").input_value())]["confusion"])
    label, answer = divmod(int(confusion.argmax()), 10)
    tab.page.locator(f".confusion button[aria-label$='of class {label} classified as {answer}']").click()
    sure = [float(words.rstrip(" %")) for words in tab.page.locator(".cell-digits figcaption").all_inner_texts()]
    assert len(sure) == 2
    assert sure == sorted(sure, reverse=True)
    assert "showing the 2 most confident" in tab.text(".cell-digits h3")


def test_inaccurate_networks_show_the_most_confident_rows_of_every_cell(digits: tn.data.Split, tmp_path: Path) -> None:
    runs = [small_run(f"net {k}", seed=k) for k in range(8)]
    facts = facts_of(tn.report(runs, tmp_path / "report.html"))
    assert facts["most_of_a_cell"] < 40
    p, shown = tn.predict(runs[0].network, digits.x_val), facts["digits"]["rows"]
    for k, cell in np.ndenumerate(np.array(facts["networks"][0]["confusion"])):
        rows = np.flatnonzero((digits.y_val == k[0]) & (p.argmax(axis=1) == k[1]))
        surest = rows[np.argsort(-p[rows].max(axis=1), kind="stable")][: facts["most_of_a_cell"]]
        assert cell == len(rows)
        assert set(surest) <= set(shown)


def test_kernels_of_a_first_convolution_and_its_shapes_are_shown(pictures: Tab, of_pictures: list[tn.Run]) -> None:
    pictures.page.select_option("#network-choice", "0")
    units = pictures.page.locator("#network .units .unit canvas").all()
    shown = [canvas.evaluate("canvas => [...canvas.numbers]") for canvas in units]
    np.testing.assert_allclose(shown, of_pictures[0].network[0].W.reshape(6, 9), rtol=1e-6)
    assert "Kernels of 3 \u00d7 3 pixels" in pictures.text("#network")
    assert "(N, 6, 28, 28)" in pictures.text("#network .summary")
    pictures.page.select_option("#network-choice", "1")
    assert pictures.page.locator("#network .units").count() == 0


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


def test_disagreements_show_every_vote(tab: Tab) -> None:
    assert tab.page.locator(".ballot").count() == 12
    tab.page.click("#disagreements .more")
    assert tab.page.locator(".ballot").count() == 36
    for k in range(3):
        assert tab.page.locator(".ballot").nth(k).locator(".voters span").count() == 8
    tab.shot("disagreements", "#disagreements")
