"""The report's comparison table."""

from typing import Any

import pytest
from report_pages import EIGHT, Tab, small_run

import tinynet as tn
from tinynet.report.table import table as comparison


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


def row_of(runs: list[tn.Run], scores: list[tn.Evaluation]) -> dict[str, Any]:
    """Return the texts of the only row of a table, by column."""
    table = comparison([(runs, scores)], failed_below=0.85)
    return {name: cell["text"] for name, cell in zip(table["columns"], table["rows"][0], strict=True)}


def test_several_seeds_share_one_row(digits: tn.data.Split) -> None:
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
def test_figures_of_several_seeds_keep_enough_digits(dead: list[float], text: str) -> None:
    seeds = [small_run("net", seed=k, figures={"dead": value}) for k, value in enumerate(dead)]
    assert row_of(seeds, [tn.Evaluation(0.3, 0.9)] * 3)["dead"] == text


def test_if_all_seeds_failed_the_mean_is_over_all() -> None:
    seeds = [small_run("net", seed=k) for k in (1, 2)]
    row = row_of(seeds, [tn.Evaluation(2.0, 0.2), tn.Evaluation(1.0, 0.4)])
    assert (row["val accuracy"], row["failed runs"]) == ("0.3000", "2 of 2")


def test_run_without_history_has_no_seconds() -> None:
    run = tn.Run("bare", tn.mlp(784, [3], 10), [])
    assert row_of([run], [tn.Evaluation(0.3, 0.9)])["seconds"] == "\N{EN DASH}"


def test_missing_accuracy_is_a_dash() -> None:
    seeds = [small_run("net", seed=k, train=tn.Evaluation(0.5, None)) for k in (1, 2)]
    row = row_of(seeds, [tn.Evaluation(0.3, None), tn.Evaluation(0.5, None)])
    assert (row["train accuracy"], row["val accuracy"]) == ("\N{EN DASH}", "\N{EN DASH}")
    assert (row["val loss"], row["failed runs"]) == ("0.4000", "2 of 2")
