import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from draw_digits import FOLDER, PICTURES, Style, draw
from PIL import Image

from tinynet import data
from tinynet.data import DataError

CHECKSUMS = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_mnist_is_the_original_byte_for_byte(name):
    array = getattr(data.mnist(), name)
    assert array.dtype == np.uint8
    assert hashlib.sha256(array.tobytes()).hexdigest() == CHECKSUMS[name]


def test_mnist_shapes():
    shapes = [array.shape for array in data.mnist()]
    assert shapes == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]


def test_split_sizes():
    split = data.mnist_split()
    assert [len(array) for array in split] == [32_000, 32_000, 10_000, 10_000, 28_000, 28_000]
    assert {array.shape[1:] for array in split} == {(784,), ()}
    assert {array.dtype for array in split} == {np.dtype(np.uint8)}


def test_split_deals_every_digit_once_with_its_own_label():
    digits, split = data.mnist(), data.mnist_split(5)
    whole = digits.x_train, digits.y_train, digits.x_test, digits.y_test
    assert labeled(*split) == labeled(*whole)


def test_split_follows_its_seed():
    first, again, other = data.mnist_split(1), data.mnist_split(1), data.mnist_split(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.y_train, other.y_train)


def test_split_mixes_the_classes_as_the_whole_does():
    split = data.mnist_split()
    shares = [np.bincount(y, minlength=10) / len(y) for y in (split.y_train, split.y_val, split.y_test)]
    assert np.ptp(shares, axis=0).max() < 0.015


def labeled(*arrays):
    pairs = zip(arrays[::2], arrays[1::2], strict=True)
    return Counter(digit.tobytes() + bytes([label]) for x, y in pairs for digit, label in zip(x, y, strict=True))


PIXELS = [f"pixel{i}" for i in range(784)]
TRAIN_HEADER = ["label", *PIXELS]


def row(number: int) -> list[str]:
    """A row of train.csv that tells its number: its label is the last digit, its first pixels spell it in base 256."""
    return [str(number % 10), str(number % 256), str(number // 256), *["0"] * 782]


def text(*rows: list[str]) -> str:
    return "".join(",".join(cells) + "\n" for cells in rows)


def numbers_of(x: np.ndarray) -> np.ndarray:
    return x[:, 0].astype(int) + 256 * x[:, 1].astype(int)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kaggle")
    (folder / "train.csv").write_text(text(TRAIN_HEADER, *map(row, range(42_000))))
    return folder


@pytest.fixture
def small(tmp_path):
    (tmp_path / "train.csv").write_text(text(TRAIN_HEADER, *map(row, range(5))))
    (tmp_path / "test.csv").write_text(text(PIXELS, row(7)[1:]))
    return tmp_path


def complaint(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        data.kaggle(folder)
    assert "Digit Recognizer" in str(caught.value)
    assert "pandas" not in str(caught.value)
    return str(caught.value)


def test_kaggle_splits_in_file_order(full):
    as_editors_leave_it = text(PIXELS, row(7)[1:], [" 255", "1\t", *row(0)[3:]]).replace("\n", "\r\n \r\n\r\n")
    (full / "test.csv").write_bytes(b"\xef\xbb\xbf" + as_editors_leave_it.encode())
    split = data.kaggle(full)
    np.testing.assert_array_equal(numbers_of(split.x_train), np.arange(32_000))
    np.testing.assert_array_equal(numbers_of(split.x_val), np.arange(32_000, 42_000))
    np.testing.assert_array_equal(numbers_of(split.x_test), [7, 511])
    np.testing.assert_array_equal(split.y_train, np.arange(32_000) % 10)
    np.testing.assert_array_equal(split.y_val, np.arange(32_000, 42_000) % 10)
    assert split.y_test is None
    assert {array.dtype for array in split[:5]} == {np.dtype(np.uint8)}
    assert {array.shape[1:] for array in split[:5]} == {(784,), ()}
    assert all(array.flags.c_contiguous for array in split[:5])


def test_kaggle_validates_on_the_last_rows_however_many(full, tmp_path):
    more = (full / "train.csv").read_text() + text(row(42_000), row(42_001))
    (tmp_path / "train.csv").write_text(more)
    (tmp_path / "test.csv").write_text(text(PIXELS, row(0)[1:]))
    split = data.kaggle(str(tmp_path))
    assert numbers_of(split.x_train)[[0, -1]].tolist() == [0, 31_999]
    assert numbers_of(split.x_val)[[0, -1]].tolist() == [32_002, 42_001]


@pytest.mark.parametrize(
    ("name", "cell", "found"),
    [
        ("pixel3", "3.5", "'3.5'"),
        ("pixel3", "5.0", "'5.0'"),
        ("pixel0", "1e2", "'1e2'"),
        ("pixel0", "", "''"),
        ("pixel783", "", "''"),
        ("pixel100", "NA", "'NA'"),
        ("pixel100", "nan", "'nan'"),
        ("pixel100", "True", "'True'"),
        ("pixel100", "seven", "'seven'"),
        ("pixel100", '"7"', "'\"7\"'"),
        ("pixel100", '"7', "'\"7'"),
        ("pixel100", "7\x00", "'7\\x00'"),
        ("pixel100", "\u0667", "'\u0667'"),
        ("pixel100", "256", "'256'"),
        ("pixel100", "-1", "'-1'"),
        ("pixel100", "9" * 19, "'" + "9" * 19),
        ("pixel100", "9" * 40, "'" + "9" * 19),
        ("label", "10", "'10'"),
        ("label", "-1", "'-1'"),
        ("label", "", "''"),
    ],
)
def test_kaggle_names_the_guilty_cell(small, name, cell, found):
    rows = [row(number) for number in range(5)]
    column = TRAIN_HEADER.index(name)
    rows[2][column] = cell
    (small / "train.csv").write_text(text(TRAIN_HEADER, *rows), encoding="utf-8")
    top = 9 if name == "label" else 255
    assert (
        f"{small / 'train.csv'}: line 4, column {column + 1} ({name}): "
        f"expected a whole number from 0 to {top}, found {found}" in complaint(small)
    )


def test_kaggle_names_undecodable_bytes(small):
    rows = text(TRAIN_HEADER, row(0), row(1)).encode().split(b"\n")
    rows[2] = rows[2].replace(b"1,1,", b"1,\xff1,", 1)
    (small / "train.csv").write_bytes(b"\n".join(rows))
    assert r"train.csv: line 3, column 2 (pixel0): expected a whole number from 0 to 255, found '\\xff1'" in complaint(
        small
    )


def test_kaggle_names_the_first_of_several_faults(small):
    broken = row(1)
    broken[5] = broken[9] = "x"
    (small / "train.csv").write_text(text(TRAIN_HEADER, row(0), broken, ["77", *row(2)[1:]]))
    assert "line 3, column 6 (pixel4)" in complaint(small)


def test_kaggle_counts_lines_as_an_editor_does(small):
    broken = ["x", *row(1)[1:]]
    (small / "train.csv").write_text(text(TRAIN_HEADER, row(0), [""], [" "], broken))
    assert "line 5, column 1 (label)" in complaint(small)


@pytest.mark.parametrize("line", [2, 4])
@pytest.mark.parametrize(
    ("cut", "place"),
    [
        (row(0)[:-1], "column 785 (pixel783): expected a whole number from 0 to 255, found ''"),
        (row(0)[:3], "column 4 (pixel2): expected a whole number from 0 to 255, found ''"),
        ([*row(0), "8"], "column 786: expected the line to end, found '8'"),
        ([*row(0), ""], "column 786: expected the line to end, found ''"),
    ],
)
def test_kaggle_names_a_ragged_row(small, line, cut, place):
    rows = [row(0), row(1), row(2), row(3)]
    rows[line - 2] = cut
    (small / "train.csv").write_text(text(TRAIN_HEADER, *rows))
    assert f"train.csv: line {line}, {place}" in complaint(small)


def test_kaggle_names_rows_that_are_all_too_long(small):
    (small / "train.csv").write_text(text(TRAIN_HEADER, *([*row(number), "0"] for number in range(3))))
    assert "line 2, column 786: expected the line to end, found '0'" in complaint(small)


@pytest.mark.parametrize(
    ("header", "place"),
    [
        (PIXELS, "column 1: expected 'label', found 'pixel0'"),
        (TRAIN_HEADER[:-1], "column 785: expected 'pixel783', found ''"),
        ([*TRAIN_HEADER[:9], *TRAIN_HEADER[10:]], "column 10: expected 'pixel8', found 'pixel9'"),
        ([*TRAIN_HEADER, "pixel784"], "column 786: expected the line to end, found 'pixel784'"),
        ([*TRAIN_HEADER, ""], "column 786: expected the line to end, found ''"),
        (["Label", *PIXELS], "column 1: expected 'label', found 'Label'"),
        (["label", "pixel1", "pixel0", *PIXELS[2:]], "column 2: expected 'pixel0', found 'pixel1'"),
        (row(0), "column 1: expected 'label', found '0'"),
        ([""], "column 1: expected 'label', found ''"),
    ],
)
def test_kaggle_names_the_first_wrong_column(small, header, place):
    (small / "train.csv").write_text(text(header, row(0)))
    assert f"train.csv: line 1, {place}" in complaint(small)


def test_kaggle_refuses_another_encoding(small):
    (small / "train.csv").write_text(text(TRAIN_HEADER, row(0)), encoding="utf-16")
    assert "train.csv: line 1, column 1: expected 'label', found" in complaint(small)


@pytest.mark.parametrize("rows", [0, 5])
def test_kaggle_counts_too_few_rows(small, rows):
    (small / "train.csv").write_text(text(TRAIN_HEADER, *map(row, range(rows))))
    assert f"train.csv: expected 42000 rows or more below its header, found {rows}" in complaint(small)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_kaggle_refuses_an_empty_file(small, content):
    (small / "train.csv").write_bytes(content)
    assert f"{small / 'train.csv'}: it is empty" in complaint(small)


def test_kaggle_misses_a_file(small, tmp_path):
    (small / "train.csv").unlink()
    assert f"cannot read {small / 'train.csv'} (No such file" in complaint(small)
    assert str(tmp_path / "nowhere" / "train.csv") in complaint(tmp_path / "nowhere")
    (small / "train.csv").mkdir()
    assert f"cannot read {small / 'train.csv'}" in complaint(small)


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([PIXELS], "expected 1 rows or more below its header, found 0"),
        ([PIXELS, row(1)], "line 2, column 785: expected the line to end, found '0'"),
        ([["pixel", *PIXELS[1:]], row(1)[1:]], "line 1, column 1: expected 'pixel0', found 'pixel'"),
        ([PIXELS, ["256", *row(1)[2:]]], "line 2, column 1 (pixel0): expected a whole number from 0 to 255"),
        ([PIXELS, ["-1", *row(1)[2:]]], "line 2, column 1 (pixel0): expected a whole number from 0 to 255"),
        ([PIXELS, ["5.0", *row(1)[2:]]], "line 2, column 1 (pixel0): expected a whole number from 0 to 255"),
        ([PIXELS, ['"7"', *row(1)[2:]]], "line 2, column 1 (pixel0): expected a whole number from 0 to 255"),
    ],
)
def test_kaggle_reads_the_second_file_as_strictly(full, rows, place):
    (full / "test.csv").write_text(text(*rows))
    assert f"{full / 'test.csv'}: {place}" in complaint(full)


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


@pytest.mark.parametrize(
    "image",
    [
        picture(255 * INK),
        picture(255 - 255 * INK).convert("RGB"),
        picture(255 - 255 * INK).convert("P"),
        picture(255 - 255 * INK).convert("LA"),
        picture(210 - 150 * INK),
        picture(90 + 120 * INK),
        picture(120 - 100 * INK),
        Image.fromarray((40_000 - 30_000 * INK).astype(np.uint16)),
        tinted((255, 246, 220), (29, 63, 158)),
        tinted((20, 60, 30), (250, 240, 120)),
        transparent(0),
        transparent(60),
        transparent(255),
        transparent(200).convert("LA"),
    ],
    ids=lambda image: image.mode,
)
def test_picture_style_does_not_matter(tmp_path, image):
    reference = prepared(picture(255 - 255 * INK), tmp_path)
    difference = np.abs(prepared(image, tmp_path).astype(int) - reference)
    assert difference.max() <= 12
    assert difference.mean() < 0.5


def test_picture_may_be_faint(tmp_path):
    reference = prepared(picture(255 * INK), tmp_path)
    found = prepared(picture(200 - 30 * INK), tmp_path)
    assert np.abs(found.astype(int) - reference).max() <= 20


@pytest.mark.parametrize(
    ("color", "gray"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((1, 2, 250), 30)]
)
def test_picture_weighs_colors_as_the_eye_does(tmp_path, color, gray):
    Image.new("RGB", (28, 28), color).save(tmp_path / "flat.png")
    assert (data.digit_image(tmp_path / "flat.png", as_is=True) == gray).all()


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "digit.tif"), ("RGB", "digit.jpg")])
def test_picture_format_does_not_matter(tmp_path, mode, name):
    reference = prepared(picture(255 - 255 * INK), tmp_path)
    found = prepared(picture(255 - 255 * INK).convert("RGB").convert(mode), tmp_path, name, quality=95)
    assert np.abs(found.astype(int) - reference).max() <= 12


def test_picture_place_and_size_do_not_matter(tmp_path):
    reference = prepared(picture(255 * INK), tmp_path)
    moved = np.zeros((270, 190))
    moved[120:250, 35:185] = 255 * INK
    np.testing.assert_array_equal(prepared(picture(moved), tmp_path), reference)
    doubled = 255 * INK[:, :140].repeat(2, axis=0).repeat(2, axis=1)
    assert np.abs(prepared(picture(doubled), tmp_path).astype(int) - reference).max() <= 1


def test_picture_may_be_cut_close_to_the_ink(tmp_path):
    rows, columns = np.nonzero(INK > 0.1)
    close = INK[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    reference = prepared(picture(255 * INK), tmp_path)
    np.testing.assert_array_equal(prepared(picture(255 * close), tmp_path), reference)


def test_picture_may_be_large(tmp_path):
    reference = prepared(picture(255 * INK), tmp_path)
    large = 255 - 255 * INK.repeat(12, axis=0).repeat(12, axis=1)
    difference = np.abs(prepared(picture(large), tmp_path).astype(int) - reference)
    assert difference.max() <= 40
    assert difference.mean() < 2


def test_picture_may_have_a_faint_smudge(tmp_path):
    canvas = 255 * INK
    reference = prepared(picture(canvas), tmp_path)
    canvas[0:5, 0:5] = 20
    np.testing.assert_array_equal(prepared(picture(canvas), tmp_path), reference)


def test_picture_may_have_dust_if_it_is_large(tmp_path):
    canvas = 255 * INK.repeat(10, axis=0).repeat(10, axis=1)
    reference = prepared(picture(canvas), tmp_path)
    canvas[[50, 60, 1200], [40, 1400, 30]] = 255
    np.testing.assert_array_equal(prepared(picture(canvas), tmp_path), reference)


def test_picture_may_have_noise_and_shadow(tmp_path):
    reference = prepared(picture(255 * INK), tmp_path)
    shadow = np.linspace(0, 50, INK.shape[1])
    noise = np.random.default_rng(0).normal(0, 5, INK.shape)
    found = prepared(picture((220 - 150 * INK - shadow + noise).clip(0, 255)), tmp_path)
    assert np.abs(found.astype(int) - reference).mean() < 6


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_picture_turns_as_exif_says(tmp_path, orientation):
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


def test_picture_with_a_heavy_head_keeps_its_foot(tmp_path):
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


def test_picture_of_an_mnist_digit_stays_what_it_is(tmp_path):
    digits = data.mnist().x_test[:200]
    found = np.array([prepared(Image.fromarray(digit), tmp_path) for digit in digits])
    changes = np.abs(found.astype(int) - digits)
    assert (changes.max(axis=(1, 2)) < 26).mean() > 0.95
    assert changes.mean() < 1


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_picture_as_is_changes_nothing(tmp_path, mode):
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
def test_picture_without_ink(tmp_path, image):
    image.save(tmp_path / "blank.png")
    with pytest.raises(DataError, match=r"blank\.png is blank"):
        data.digit_image(tmp_path / "blank.png")


def test_picture_that_cannot_be_read(tmp_path):
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
def test_picture_that_would_fill_the_memory(tmp_path, side):
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"cannot read .*bomb\.png .*decompression bomb"):
        data.digit_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", PICTURES)
def test_drawing_is_what_the_program_draws(name):
    stored = FOLDER / f"{name}.png"
    with Image.open(stored) as image:
        drawn = draw(name[0], PICTURES[name])
        assert image.mode == drawn.mode
        np.testing.assert_array_equal(np.asarray(image), np.asarray(drawn))
    assert stored.stat().st_size < 20_000


def test_drawings_show_all_ten_digits():
    assert {name[0] for name in PICTURES} == set("0123456789")
    assert {file.stem for file in FOLDER.iterdir()} == set(PICTURES)
