"""The report's file: size, policy, atomic writing, and errors."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import Tab, facts_of, few_digits, small_run, with_facts

import tinynet as tn


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
    assert f"{' and '.join(halved)} are in half precision" in text


def test_nothing_but_its_own_script_may_run(tab: Tab) -> None:
    tab.page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "hacked = 1";
        document.body.append(script);
    }""")
    assert tab.page.evaluate("typeof hacked") == "undefined"
    assert "Content Security Policy" in tab.messages.pop()


HOSTILE = "</script><script>hacked = 1</script><img src=x onerror='hacked = 1'>\"'&amp;<!--"


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
    name, path = broken[section]
    held = facts
    for key in path.split("."):
        held = held[int(key) if key.isdigit() else key]
    held[name] = None
    if section == "networks":
        facts["networks"][1][name] = None
    tab = open_page(with_facts(small_page, facts, tmp_path / "report.html"))
    failed = tab.page.locator("main > section:has(.problem[role=alert])").evaluate_all("all => all.map(({ id }) => id)")
    assert section in failed
    assert set(failed) <= {section, "draw" if section == "disagreements" else section}
    assert "could not be shown" in tab.text(f"#{section} .problem")
    assert len(tab.messages) == len(failed)
    tab.messages.clear()
    if "draw" not in failed:
        tab.draw("1")
        assert tab.text("#verdict") != "No answer yet."


def test_writing_is_atomic(digits: tn.data.Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def with_loss(loss: tn.Loss | None, outputs: int) -> tn.Run:
    network = tn.mlp(784, [3], outputs)
    network.loss = loss
    return tn.Run("odd", network, [])


class Bare(tn.Loss):
    """A loss that does not define what the outputs mean."""


def overflowing() -> tn.Network:
    network = tn.mlp(784, [3], 10)
    network.theta[...] = 1e30
    return network


def not_finite() -> tn.Network:
    network = tn.mlp(784, [3], 10)
    network.theta[5] = np.nan
    return network


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], r"expected one or more tn.Run\(name, network, history\), got none"),
        (["net"], "expected one or more tn.Run.*got.*'net'"),
        ([small_run(), small_run("b", inputs=20)], r"same number of inputs, got \{'small': 784, 'b': 20\}"),
        ([small_run(), small_run("b", classes=3)], r"same number of classes, got \{'small': 10, 'b': 3\}"),
        ([small_run(), tn.Run("small", tn.mlp(784, [3], 10), [])], r"'small' with \[2395, 4780\] parameters"),
        ([small_run(7)], "expected a tn.Run with a name and a network, got 7"),
        ([tn.Run("a", "net", [])], "expected a tn.Run with a name and a network, got 'a' and 'net'"),
        ([small_run(figures={"blog": "0.9"})], "expected numbers as figures of 'small', got"),
        ([tn.Run("nan", not_finite(), [])], "'nan' has parameters that are not finite"),
        ([tn.Run("huge", overflowing(), [])], "'huge' gives probabilities that are not finite"),
        ([small_run(" ")], "expected a tn.Run with a name and a network, got ' '"),
        ([small_run(figures={"seconds": 3})], r"has figures \['seconds'\], which are names of other columns"),
        ([tn.Run("a", small_run().network, [{"epoch": 1}])], "expected the History that fit returned for 'a'"),
        (
            [with_loss(tn.MeanSquaredError(), 10)],
            r"'odd' was trained with MeanSquaredError\(\); leave it out",
        ),
        ([with_loss(tn.Huber(), 1)], r"'odd' was trained with Huber\(delta=1.0\); leave it out"),
        ([with_loss(None, 1)], "'odd' cannot be shown: predict does not know.*set network.loss"),
        ([with_loss(Bare(), 10)], "probabilities from 0 to 1, but 'odd' gives -.*`predictions` of its loss"),
        (
            [small_run(), with_loss(tn.BinaryCrossEntropy(), 1)],
            r"number of classes, got \{'small': 10, 'odd': 2\}",
        ),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(
    runs: Any, message: str, digits: tn.data.Split, tmp_path: Path
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        tn.report(runs, tmp_path / "report.html", validation=few_digits(digits))
    assert list(tmp_path.iterdir()) == []


def test_bad_validation_is_refused(digits: tn.data.Split, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    x, labels = few_digits(digits)
    with pytest.raises(ValueError, match=r"expected integer labels \(60,\), got float64"):
        tn.report([small_run()], path, validation=(x, labels * 0.5))
    with pytest.raises(ValueError, match=r"expected labels 0 .. 9"):
        tn.report([small_run()], path, validation=(x, labels + 1))
    with pytest.raises(ValueError, match=r"'small' cannot be shown: .*\(N, 784\).*Flatten\(\) in front"):
        tn.report([small_run()], path, validation=(x.reshape(-1, 1, 28, 28), labels))
    with pytest.raises(ValueError, match="without 784 inputs need validation="):
        tn.report([small_run(inputs=5)], path)
    with pytest.raises(FileNotFoundError, match=r"make .*nowhere first"):
        tn.report([small_run()], tmp_path / "nowhere" / "report.html", validation=(x, labels))
    with pytest.raises(IsADirectoryError, match="add a file name"):
        tn.report([small_run()], tmp_path, validation=(x, labels))


def test_pictures_and_rows_are_not_compared(of_pictures: list[tn.Run], digits: tn.data.Split, tmp_path: Path) -> None:
    x, labels = digits.x_val[:9].reshape(-1, 1, 28, 28), digits.y_val[:9]
    with pytest.raises(ValueError, match=r"'small' cannot be shown: .*Flatten\(\) in front of it makes rows"):
        tn.report([of_pictures[0], small_run()], tmp_path / "report.html", validation=(x, labels))
    flat = tn.Run("flat", tn.Network(tn.Flatten(), tn.Dense(784, 10)), [])
    assert facts_of(tn.report([flat, of_pictures[1]], tmp_path / "report.html"))["validation"] == 10_000
    larger = tn.Network(tn.Conv2D(3, 2, 3), tn.GlobalAveragePool(), tn.Dense(2, 10))
    with pytest.raises(ValueError, match=r"networks without 784 inputs need validation=\(x, labels\)"):
        tn.report([tn.Run("colors", larger, [])], tmp_path / "report.html")


def test_importing_tinynet_does_not_import_jinja2() -> None:
    code = "import sys, tinynet; print('jinja2' in sys.modules, 'tinynet.report.facts' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
