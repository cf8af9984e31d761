"""Preparing pictures of single digits like MNIST's."""

from pathlib import Path

import numpy as np
import pytest
from draw_digits import DISTURBED, FOLDER, FROM_EDGE, PICTURES, Style, draw, photo
from PIL import Image

from tinynet import data
from tinynet.data import DataError

INK = np.asarray(draw("3", Style((150, 130), "black", "white", 12, 90, (80, 60))).convert("L")) / 255


def picture(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.floor(values + 0.5).astype(np.uint8))


def tinted(paper: tuple[int, int, int], ink: tuple[int, int, int]) -> Image.Image:
    return picture(np.array(paper) + INK[..., None] * (np.array(ink) - paper))


def transparent(level: int) -> Image.Image:
    return picture(np.stack([np.full(INK.shape, level)] * 3 + [255 * INK], axis=-1))


def prepared(image: Image.Image, folder: Path, name: str = "digit.png", **options) -> np.ndarray:
    image.save(folder / name, **options)
    return data.digit_image(folder / name)


def center_of_mass(image: np.ndarray) -> np.ndarray:
    return np.array([np.average(index, weights=image) for index in np.indices(image.shape)])


def in_a_corner() -> np.ndarray:
    canvas = np.zeros((270, 190))
    canvas[120:250, 35:185] = INK
    return canvas


def cut_close() -> np.ndarray:
    rows, columns = np.nonzero(INK > 0.1)
    return INK[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def with_a_smudge() -> np.ndarray:
    canvas = 255 * INK
    canvas[0:5, 0:5] = 20
    return canvas


def with_noise_and_shadow() -> np.ndarray:
    shadow = np.linspace(0, 50, INK.shape[1])
    noise = np.random.default_rng(0).normal(0, 5, INK.shape)
    return (220 - 150 * INK - shadow + noise).clip(0, 255)


STYLES = {
    "light on dark": picture(255 * INK),
    "RGB": picture(255 - 255 * INK).convert("RGB"),
    "palette": picture(255 - 255 * INK).convert("P"),
    "LA": picture(255 - 255 * INK).convert("LA"),
    "low contrast": picture(210 - 150 * INK),
    "light on gray": picture(90 + 120 * INK),
    "dark on gray": picture(120 - 100 * INK),
    "16 bits": Image.fromarray((40_000 - 30_000 * INK).astype(np.uint16)),
    "blue on cream": tinted((255, 246, 220), (29, 63, 158)),
    "yellow on green": tinted((20, 60, 30), (250, 240, 120)),
    "transparent, black": transparent(0),
    "transparent, gray": transparent(60),
    "transparent, white": transparent(255),
    "transparent, LA": transparent(200).convert("LA"),
}
VARIANTS = {name: (image, 12, 0.5) for name, image in STYLES.items()} | {
    "faint": (picture(200 - 30 * INK), 20, 20),
    "in a corner": (picture(255 * in_a_corner()), 0, 0),
    "twice as large": (picture(255 * INK[:, :140].repeat(2, axis=0).repeat(2, axis=1)), 1, 1),
    "12 times as large": (picture(255 - 255 * INK.repeat(12, axis=0).repeat(12, axis=1)), 40, 2),
    "with a smudge": (picture(with_a_smudge()), 0, 0),
    "with noise and shadow": (picture(with_noise_and_shadow()), 255, 6),
}
"""Pictures of the same digit, and the largest and mean difference allowed after preparing them."""


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_a_picture_give_the_same_digit(tmp_path, name):
    image, largest, mean = VARIANTS[name]
    reference = prepared(picture(255 - 255 * INK), tmp_path)
    difference = np.abs(prepared(image, tmp_path).astype(int) - reference)
    assert difference.max() <= largest
    assert difference.mean() <= mean


@pytest.mark.parametrize("name", DISTURBED)
def test_disturbance_does_not_change_the_digit(name):
    clean = np.array([data.digit_image(photo(digit)).astype(int) for digit in "0123456789"])
    disturb = DISTURBED[name]
    found = [data.digit_image(np.floor(disturb(photo(digit)).clip(0, 255)).astype(np.uint8)) for digit in "0123456789"]
    differences = np.abs(np.array(found)[:, None] - clean).mean(axis=(2, 3))
    np.testing.assert_array_equal(differences.argmin(axis=1), range(10))
    assert np.median(differences.diagonal()) < 5
    assert differences.diagonal().max() < 16  # a shift by one pixel


REFUSED = {
    "two digits": (np.hstack([photo("4"), photo("2")]), "found two separate shapes"),
    "two digits, one above the other": (np.vstack([photo("4"), photo("2")]), "found two separate shapes"),
    "a drawn box": (np.where((FROM_EDGE > 20) & (FROM_EDGE < 24), 0, photo("4")), "found two separate shapes"),
    "a desk alone": (np.where(np.arange(200) < 15, 60, np.full((200, 200), 235)), "no ink except along the edges"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_picture_that_does_not_show_one_digit_is_refused(name):
    gray, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        data.digit_image(gray.astype(np.uint8))


def with_a_bar() -> np.ndarray:
    gray = photo("1")
    gray[36:44, 140:185] = 35
    return gray


def touching_digits() -> np.ndarray:
    ink = 235 - photo("2")
    columns = np.flatnonzero(ink.any(axis=0))
    return 235 - np.pad(np.hstack([ink[:, columns[0] : columns[-1] - 3]] * 2), 30)


WARNED = {
    "cut close": (255 - 255 * cut_close(), "the ink reaches the edge"),
    "cut off": (photo("8")[:130], "the ink reaches the edge"),
    "touching digits": (touching_digits(), "pixels wide and"),
    "detached part": (with_a_bar(), "a part of the ink is separate"),
}


@pytest.mark.parametrize("name", WARNED)
def test_picture_that_may_be_cut_wrongly_is_read_with_a_warning(name):
    gray, message = WARNED[name]
    with pytest.warns(UserWarning, match=message) as warned:
        data.digit_image(gray.astype(np.uint8))
    assert [warning.filename for warning in warned] == [__file__]


@pytest.mark.filterwarnings("ignore:.*the ink reaches the edge")
def test_digit_that_is_cut_close_loses_nothing():
    close, wide = (data.digit_image(np.floor(255.5 - 255 * ink).astype(np.uint8)) for ink in (cut_close(), INK))
    np.testing.assert_array_equal(close, wide)


ARRAYS = {
    "uint8": lambda gray: gray,
    "integers": lambda gray: gray.astype(int),
    "8 of 16 bits": lambda gray: gray.astype(np.uint16),
    "12 of 16 bits": lambda gray: (gray * (4095 / 255)).astype(np.uint16),
    "16 bits": lambda gray: gray.astype(np.uint16) * 257,
    "0 to 1": lambda gray: gray / 255,
    "0 to 255": lambda gray: gray.astype(np.float32),
    "colors": lambda gray: np.stack([gray] * 3, axis=-1),
    "colors from 0 to 1": lambda gray: np.stack([gray] * 3, axis=-1) / 255,
    "opacity": lambda gray: np.stack([np.zeros_like(gray)] * 3 + [255 - gray], axis=-1),
    "every second column of a larger one": lambda gray: gray.repeat(2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_array_is_read_like_a_file(tmp_path, name):
    gray = np.floor(255.5 - 200 * INK).astype(np.uint8)
    array = ARRAYS[name](gray)
    expected = prepared(Image.fromarray(gray), tmp_path)
    assert np.abs(data.digit_image(array).astype(int) - expected).max() <= 1
    if array.dtype == np.uint16:
        assert np.abs(prepared(Image.fromarray(array), tmp_path).astype(int) - expected).max() <= 1


def test_array_of_two_values_is_read(tmp_path):
    np.testing.assert_array_equal(data.digit_image(INK > 0.5), prepared(picture(255 * (INK > 0.5)), tmp_path))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ma.masked_less(255 * INK, 9), "got a masked array"),
        (-INK, "expected numbers from 0 to 65535, got -1.0 to"),
        (INK * np.nan, "got nan to nan"),
        (INK * 1e6, r"expected numbers from 0 to 65535, got 0\.0 to 1000000\.0"),
        (INK.astype(str), "expected numbers from 0 to 65535, got <U"),
        (INK.ravel(), r"expected an array \(H, W\), \(H, W, 3\) or \(H, W, 4\), got \(19500,\)"),
        (INK[None], r"got \(1, 130, 150\)"),
        (INK[:0], r"got \(0, 150\)"),
    ],
)
def test_array_that_is_not_a_picture_is_refused(array, message):
    with pytest.raises(DataError, match=message):
        data.digit_image(array)


def test_16_bits_as_they_are_need_the_full_scale(tmp_path):
    Image.fromarray(data.mnist().x_test[3].astype(np.uint16)).save(tmp_path / "dark.png")
    with pytest.raises(DataError, match=r"dark\.png: as_is .* found values only up to 25\d of 65535"):
        data.digit_image(tmp_path / "dark.png", as_is=True)


@pytest.mark.parametrize(
    ("color", "gray"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((1, 2, 250), 30)]
)
def test_gray_weights_the_colors(tmp_path, color, gray):
    Image.new("RGB", (28, 28), color).save(tmp_path / "flat.png")
    assert (data.digit_image(tmp_path / "flat.png", as_is=True) == gray).all()


@pytest.mark.parametrize(
    ("mode", "name"),
    [("CMYK", "digit.tif"), ("RGB", "digit.jpg"), ("L", "digit.webp"), ("P", "digit.gif"), ("L", "digit.bmp")],
)
def test_picture_format_does_not_matter(tmp_path, mode, name):
    reference = prepared(picture(255 - 255 * INK), tmp_path)
    found = prepared(picture(255 - 255 * INK).convert("RGB").convert(mode), tmp_path, name, quality=95)
    assert np.abs(found.astype(int) - reference).max() <= 12


@pytest.mark.parametrize("name", ["digit.ppm", "digit.tga", "digit.ico"])
def test_other_format_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"give a PNG, JPEG, GIF, BMP, WebP or TIFF"):
        prepared(picture(255 * INK), tmp_path, name)


def test_picture_may_have_dust_if_it_is_large(tmp_path):
    canvas = 255 * INK.repeat(10, axis=0).repeat(10, axis=1)
    reference = prepared(picture(canvas), tmp_path)
    canvas[[50, 60, 1200], [40, 1400, 30]] = 255
    np.testing.assert_array_equal(prepared(picture(canvas), tmp_path), reference)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_rotation_is_applied(tmp_path, orientation):
    turns = {3: 2, 6: 1, 8: 3}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = picture(255 * np.rot90(INK, turns))
    found = prepared(turned, tmp_path, exif=exif)
    np.testing.assert_array_equal(found, prepared(picture(255 * INK), tmp_path))


def test_picture_of_a_rectangle_worked_out_by_hand(tmp_path):
    canvas = np.full((100, 100), 255)
    canvas[10:50, 30:50] = 0
    canvas[10:50:2, 50:70] = 0
    canvas[11:50:2, 50:70] = 204
    expected = np.zeros((28, 28))
    expected[5:25, 6:16] = 255
    expected[5:25, 16:26] = 153
    np.testing.assert_array_equal(prepared(picture(canvas), tmp_path), expected)


def test_picture_with_a_high_center_of_mass_is_not_cut(tmp_path):
    canvas = np.zeros((60, 60))
    canvas[5:13, 10:50] = 255
    canvas[13:45, 29:31] = 255
    expected = np.zeros((28, 28))
    expected[8:12, 5:25] = 255
    expected[12:28, 14:16] = 128
    np.testing.assert_array_equal(prepared(picture(canvas), tmp_path), expected)


@pytest.mark.parametrize("name", PICTURES)
def test_picture_becomes_like_mnist(name):
    found = data.digit_image(FOLDER / f"{name}.png")
    assert found.shape == (28, 28)
    assert found.dtype == np.uint8
    assert found.max() == 255
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    for center, inked in zip(center_of_mass(found), (rows, columns), strict=True):
        assert abs(center - 14) <= 0.51 or inked[0] == 0 or inked[-1] == 27


@pytest.mark.filterwarnings("ignore:digit_image")
def test_mnist_digits_change_little():
    digits = data.mnist().x_test[:200]
    found = np.array([data.digit_image(digit) for digit in digits])
    changes = np.abs(found.astype(int) - digits)
    assert (changes.max(axis=(1, 2)) < 26).mean() > 0.95
    assert changes.mean() < 1


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_as_is_changes_nothing(tmp_path, mode):
    digit = data.mnist().x_test[3]
    image = Image.fromarray(digit.astype(np.uint16) * 257) if mode == "I;16" else picture(digit).convert(mode)
    image.save(tmp_path / "digit.png")
    np.testing.assert_array_equal(data.digit_image(tmp_path / "digit.png", as_is=True), digit)


def test_picture_as_is_needs_28_by_28(tmp_path):
    Image.new("L", (28, 29)).save(tmp_path / "tall.png")
    with pytest.raises(DataError, match=r"tall\.png: as_is expects \(28, 28\) pixels, found \(28, 29\)"):
        data.digit_image(tmp_path / "tall.png", as_is=True)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (50, 40), 255),
        Image.new("RGB", (50, 40), "black"),
        Image.new("RGBA", (50, 40), (10, 20, 30, 0)),
        Image.new("L", (1, 1), 90),
        picture(200 - 20 * INK),
    ],
)
def test_blank_picture_is_refused(tmp_path, image):
    image.save(tmp_path / "blank.png")
    with pytest.raises(DataError, match=r"blank\.png is blank"):
        data.digit_image(tmp_path / "blank.png")


def test_unreadable_picture_is_refused(tmp_path):
    image = tmp_path / "digit.png"
    with pytest.raises(DataError, match=r"cannot read .*digit\.png .*No such file"):
        data.digit_image(image)
    image.write_text("seven")
    with pytest.raises(DataError, match=r"cannot read .*digit\.png .*cannot identify"):
        data.digit_image(str(image))
    picture(255 * INK).save(image)
    image.write_bytes(image.read_bytes()[:300])
    with pytest.raises(DataError, match=r"cannot read .*digit\.png"):
        data.digit_image(image)
    with pytest.raises(DataError, match="cannot read"):
        data.digit_image(tmp_path)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("side", [10_000, 14_000])
def test_huge_picture_is_refused(tmp_path, side):
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"cannot read .*bomb\.png .*decompression bomb"):
        data.digit_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", PICTURES)
def test_stored_digits_are_those_of_the_program(name):
    stored = FOLDER / f"{name}.png"
    with Image.open(stored) as image:
        drawn = draw(name[0], PICTURES[name])
        assert image.mode == drawn.mode
        np.testing.assert_array_equal(np.asarray(image), np.asarray(drawn))
    assert stored.stat().st_size < 20_000


def test_drawings_show_all_ten_digits():
    assert {name[0] for name in PICTURES} == set("0123456789")
    assert {file.stem for file in FOLDER.iterdir()} == set(PICTURES)
