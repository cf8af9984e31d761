"""The report's learning curves and charts."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import PHONE, Tab, few_digits, small_run, touch_of

import tinynet as tn


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


@pytest.mark.parametrize("width", [1280, 375])
def test_labels_below_the_chart_of_sizes_do_not_overlap(
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


def test_history_without_validation_and_one_network(open_page: Any, digits: tn.data.Split, tmp_path: Path) -> None:
    run = small_run()
    bare = tn.Run("bare", run.network, [tn.Record(1, 2.0, 0.3)])
    tab = open_page(tn.report([bare], tmp_path / "report.html", validation=few_digits(digits)))
    assert "no finite validation figures" in tab.text("#curve-chart")
    assert "Training loss and accuracy are running means" in tab.text("#compare .below")
    assert tab.page.locator("#disagreements").count() == 0


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
        assert "no finite validation figures" in tab.text("#curve-chart .note")
        tab.page.locator("#curve-chart").focus()
        tab.page.keyboard.press("ArrowRight")
        assert "30.00 %" in tab.text("#curve-chart .tip")
        tab.page.keyboard.press("Tab")


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
