"""The report's walk through one step of backpropagation."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import Tab, facts_of

import tinynet as tn
from tinynet.report import backprop


def test_backpropagation_is_shown_as_tinynet_computes_it(
    tab: Tab, runs: list[tn.Run], digits: tn.data.Split, eight: Path
) -> None:
    shown = facts_of(eight)["backprop"]
    assert shown["network"] == "12x8x10"
    reference = runs[0].network.copy(dtype="float64", backend="numpy")
    loss = tn.SoftmaxCrossEntropy()
    x, t = digits.x_val[[shown["row"]]] / 255, np.eye(10)[[digits.y_val[shown["row"]]]]
    assert loss.forward(reference.forward(x, train=True), t) == pytest.approx(shown["loss"]["value"], rel=1e-4)
    dx = reference.backward(loss.backward(), need_dx=True)
    np.testing.assert_allclose(shown["dx"], dx[0], rtol=1e-3, atol=1e-9)
    for layer, step in zip(reference, shown["steps"], strict=True):
        assert step["name"] == f"{layer}"
        if isinstance(layer, tn.Dense):
            np.testing.assert_allclose(step["dW"], layer.dW.ravel(), rtol=1e-3, atol=1e-9)
            np.testing.assert_allclose(step["db"], layer.db.ravel(), rtol=1e-3, atol=1e-9)
            np.testing.assert_allclose(step["b"], layer.b.ravel(), rtol=1e-3, atol=1e-9)
    text = tab.text("#backprop")
    for size in (12, 8, 10):
        assert re.search(rf"^b, {size} numbers$", text, re.M)
    for formula in ("y = x W + b", "dx = dy W^T", "dW = x^T dy", "dx = dy [y > 0]", "dz = (p - t) / N"):
        assert formula in text
    tab.page.locator("#backprop canvas[aria-label='gradient, 12 by 8']").hover()
    title = tab.page.locator("#backprop canvas[aria-label='gradient, 12 by 8']").get_attribute("title")
    row, column, value = re.match(r"row (\d+), column (\d+): (.*)", title).groups()
    assert float(value) == pytest.approx(reference[2].dW[int(row), int(column)], rel=1e-2)
    tab.shot("backprop", "#backprop")


def test_the_step_is_so_small_that_the_first_order_predicts_its_change(tab: Tab, eight: Path) -> None:
    shown = facts_of(eight)["backprop"]
    update, before = shown["update"], shown["loss"]["value"]
    assert update["predicted_change"] == pytest.approx(-update["lr"] * update["gradient_norm"] ** 2, rel=1e-3)
    assert update["predicted_change"] == pytest.approx(-0.1 * before, rel=0.5)
    assert update["loss"] - before == pytest.approx(update["predicted_change"], rel=0.15)
    changes = [f"{value:.3g}".replace("-", "\u2212") for value in (update["loss"] - before, update["predicted_change"])]
    figures = dict(zip(*(tab.page.locator(f".update {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True))
    assert figures["change of the loss"].rstrip("0") == changes[0].rstrip("0")
    assert figures["change predicted by the first order, \u2212lr |grad|\u00b2"].rstrip("0") == changes[1].rstrip("0")


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_the_step_suits_gradients_of_any_size(digits: tn.data.Split, scale: float) -> None:
    network = tn.mlp(784, [12, 8], 10, seed=1, dtype="float64")
    network.theta[...] *= scale
    update = (step := backprop.trace(network, digits.x_val[:1] / 255, int(digits.y_val[0])))["update"]
    assert 0 < update["lr"] <= 0.01
    assert step["loss"]["value"] + update["predicted_change"] > 0.8 * step["loss"]["value"]


def test_parameters_of_every_layer_are_recorded_and_a_large_w_is_named(digits: tn.data.Split) -> None:
    layers = [tn.Dense(784, 64), tn.LayerNorm(64), tn.ReLU(), tn.Dense(64, 10)]
    step = backprop.trace(tn.Network(*layers, seed=1), digits.x_val[:1] / 255, 3)
    assert [each["parameters"] for each in step["steps"]] == [["b"], ["gamma", "beta"], [], ["W", "b"]]
    assert step["steps"][0]["shape"] == (784, 64)
    assert [len(step["steps"][1][name]) for name in ("gamma", "dgamma", "beta", "dbeta")] == [64] * 4


def test_dropout_masks_are_the_same_before_and_after_the_step(digits: tn.data.Split) -> None:
    network = tn.mlp(784, [20], 10, dropout=[0.5, 0.5], seed=3)
    x = digits.x_val[[5]] / 255
    step = backprop.trace(network, x, int(digits.y_val[5]))
    masked = np.array(step["steps"][0]["y"])
    assert ((masked == 0) | (abs(masked - 2 * x[0]) < 1e-4)).all()
    assert (masked[x[0] > 0] == 0).any()
    assert network[0].counter == 0
    reference, loss, t = network.copy(dtype="float64"), tn.SoftmaxCrossEntropy(), np.eye(10)[digits.y_val[[5]]]
    loss.forward(reference.forward(x, train=True), t)
    reference.backward(loss.backward())
    tn.SGD(reference, lr=step["update"]["lr"]).step()
    reference[0].counter = reference[3].counter = 0
    expected = loss.forward(reference.forward(x, train=True), t)
    assert expected == pytest.approx(step["update"]["loss"], rel=1e-4)
    assert expected < step["loss"]["value"]


def test_backpropagation_can_be_read_step_by_step(tab: Tab) -> None:
    forward = tab.page.get_by_role("button", name="Next step")
    cards = tab.page.locator("#backprop .card").count()
    for _ in range(cards):
        forward.click()
        assert tab.page.locator("#backprop .card.now").count() == 1
    assert f"{cards} of {cards}" in tab.text(".step-words")
    forward.click()
    assert tab.page.locator("#backprop .card.now").count() == 0


def test_backpropagation_goes_through_blocks(every_layer: Tab, every_layer_page: Path) -> None:
    shown = facts_of(every_layer_page)["backprop"]
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


def test_backpropagation_matches_difference_quotients(of_every_layer: list[tn.Run], digits: tn.data.Split) -> None:
    """Compare dx with difference quotients of the loss. Dropout is switched off, because they need a fixed function."""
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


def test_backpropagation_goes_through_convolutions_where_one_row_is_a_batch(
    pictures: Tab, pictures_page: Path, of_pictures: list[tn.Run], tmp_path: Path, open_page: Any
) -> None:
    shown = facts_of(pictures_page)["backprop"]
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
    assert "BatchNorm of rows needs a" in alone.text("#backprop")
    assert alone.page.locator(".problem:visible").count() == 0
    assert facts_of(tmp_path / "alone.html")["validation"] == 10_000


def test_frozen_layer_has_no_gradients(digits: tn.data.Split) -> None:
    network = tn.mlp(784, [6], 10)
    network[0].trainable = False
    step = backprop.trace(network, digits.x_val[:1] / 255, 3)
    steps = step["steps"]
    assert [each["name"] for each in steps] == ["Dense(784, 6), frozen", "ReLU()", "Dense(6, 10)"]
    assert step["update"]["parameters"] == 70
    assert ["dW" in step for step in steps] == [False, False, True]
    assert "W" in steps[0]


@pytest.mark.slow
def test_one_large_network_has_no_picture_of_its_weights(open_page: Any, runs: list[tn.Run], tmp_path: Path) -> None:
    tab = open_page(tn.report([runs[4]], tmp_path / "report.html"))
    tab.draw("0")
    assert tab.text("#verdict") == "It reads 0."
    assert "960 numbers" in tab.text("#backprop")
    assert "W 784 \u00d7 960: too large to be shown here" in tab.text("#backprop")
    assert "mask 0 with probability rate" in tab.text("#backprop")
    assert tab.page.locator("#backprop .unit").count() == 0
    tab.shot("one_large", "#backprop")
