"""The report's JavaScript computes the same numbers as Python."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draw_digits import DISTURBED, photo
from PIL import Image, ImageDraw
from report_pages import DIGITS, Tab, answers_of, facts_of, trained

import tinynet as tn
from tinynet.report import weights


def test_probabilities_of_dense_networks_are_those_of_python(
    tab: Tab, runs: list[tn.Run], digits: tn.data.Split, eight: Path
) -> None:
    x = digits.x_val[:100]
    for run, p in zip(runs, answers_of(tab, x), strict=True):
        np.testing.assert_allclose(p, tn.predict(run.network, x), rtol=0, atol=1e-5)


def test_half_precision_keeps_every_answer(runs: list[tn.Run], digits: tn.data.Split) -> None:
    x = digits.x_val[:2000]
    for run in runs[3:5]:
        before = tn.predict(run.network, x)
        packed = weights.pack(run.network, x, before, crowded=True)
        after = tn.predict(weights.rounded(run.network, packed.precision), x)
        assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
        assert np.abs(before - after).max() <= packed.largest_change + 1e-5


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


def test_loaded_picture_is_prepared_as_in_python(tab: Tab) -> None:
    for file in sorted(DIGITS.glob("*.png")):
        tab.load(file)
        assert np.abs(tab.seen() - tn.data.digit_image(file).astype(int)).max() <= 1, file.name


@pytest.mark.filterwarnings("ignore:digit_image")
def test_turned_and_large_pictures_are_prepared_as_in_python(tab: Tab, tmp_path: Path) -> None:
    with Image.open(DIGITS / "4_large_off_center.png") as picture:
        large = picture.convert("RGB").resize((1501, 997))
    exif = Image.Exif()
    exif[0x0112] = 6
    large.save(tmp_path / "turned.png", exif=exif)
    tab.load(tmp_path / "turned.png")
    assert np.abs(tab.seen() - tn.data.digit_image(tmp_path / "turned.png").astype(int)).max() <= 1


@pytest.mark.filterwarnings("ignore:digit_image")
def test_random_drawings_are_prepared_as_in_python(tab: Tab, tmp_path: Path, draw: np.random.Generator) -> None:
    worst = 0
    for _ in range(40):
        picture = random_drawing(draw)
        picture.save(tmp_path / "drawing.png")
        found = prepared_on_the_page(tab, picture)
        try:
            expected = tn.data.digit_image(tmp_path / "drawing.png")
        except tn.data.DataError:
            assert found is None
            continue
        worst = max(worst, np.abs(np.array(found).reshape(28, 28) - expected).max())
    assert worst <= 1


@pytest.mark.parametrize("name", DISTURBED)
def test_disturbed_photos_are_prepared_as_in_python(tab: Tab, name: str) -> None:
    for digit in "27":
        gray = np.floor(DISTURBED[name](photo(digit)).clip(0, 255)).astype(np.uint8)
        found = prepared_on_the_page(tab, Image.fromarray(gray))
        assert np.abs(np.array(found).reshape(28, 28) - tn.data.digit_image(gray)).max() <= 1


def test_two_digits_are_not_prepared(tab: Tab) -> None:
    two = np.hstack([photo("4"), photo("2")]).astype(np.uint8)
    assert prepared_on_the_page(tab, Image.fromarray(two)) is None


def prepared_on_the_page(tab: Tab, picture: Image.Image) -> list[int] | None:
    rgba = base64.b64encode(picture.convert("RGBA").tobytes()).decode()
    script = """([text, width, height]) => {
        const grays = prepare({ data: bytesOf(text), width, height });
        return grays && [...grays];
    }"""
    return tab.page.evaluate(script, [rgba, *picture.size])


def random_drawing(draw: np.random.Generator) -> Image.Image:
    width, height = (int(side) for side in draw.integers(40, 400, 2))
    paper, ink = (tuple(int(level) for level in draw.integers(0, 256, 3)) for _ in range(2))
    picture = Image.new("RGB", (width, height), paper)
    points = [(int(draw.integers(0, width)), int(draw.integers(0, height))) for _ in range(5)]
    ImageDraw.Draw(picture).line(points, ink, int(draw.integers(4, 40)))
    return picture


@pytest.mark.parametrize(("page", "runs"), [("every_layer", "of_every_layer"), ("pictures", "of_pictures")])
def test_probabilities_through_every_layer_are_those_of_python(
    request: pytest.FixtureRequest, page: str, runs: str, digits: tn.data.Split
) -> None:
    tab, x = request.getfixturevalue(page), digits.x_val[:100].reshape(-1, 1, 28, 28)
    for run, p in zip(request.getfixturevalue(runs), answers_of(tab, x), strict=True):
        np.testing.assert_allclose(p, tn.predict(run.network, x), rtol=0, atol=1e-5)
    assert tab.page.locator("#answers li").count() == 2
    assert tab.page.locator("#left-out").count() == 0


def test_gelu_is_that_of_python(every_layer: Tab) -> None:
    x = np.concatenate([np.linspace(-9, 9, 400), [0, 1e-9, -1e-9, 40, -40]])
    found = every_layer.page.evaluate("x => [...gelu(Float64Array.from(x))]", x.tolist())
    np.testing.assert_allclose(found, tn.functions.gelu(x), rtol=1e-13, atol=1e-14)


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
