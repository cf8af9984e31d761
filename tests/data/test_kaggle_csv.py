"""Reading the CSV files of Kaggle's "Digit Recognizer"."""

from pathlib import Path

import numpy as np
import pytest

from tinynet import data
from tinynet.data import DataError, kaggle_csv

PIXELS = [f"pixel{i}" for i in range(784)]
TRAIN_HEADER = ["label", *PIXELS]


def row(number: int) -> list[str]:
    """Return a row of train.csv that encodes its number: the last digit as label, base 256 in the first two pixels."""
    return [str(number % 10), str(number % 256), str(number // 256), *["0"] * 782]


def text(*rows: list[str]) -> str:
    return "".join(",".join(cells) + "\n" for cells in rows)


def numbers_of(x: np.ndarray) -> np.ndarray:
    return x[:, 0].astype(int) + 256 * x[:, 1].astype(int)


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A folder with a complete train.csv, with 300 rows for training and 10 for validation to make it short."""
    monkeypatch.setattr("tinynet.data.kaggle_csv.TRAINING_ROWS", 300)
    monkeypatch.setattr("tinynet.data.kaggle_csv.VALIDATION_ROWS", 10)
    monkeypatch.setattr("tinynet.data.kaggle_csv.TEST_ROWS", 2)
    (tmp_path / "train.csv").write_text(text(TRAIN_HEADER, *map(row, range(312))))
    return tmp_path


@pytest.fixture
def small(tmp_path):
    (tmp_path / "train.csv").write_text(text(TRAIN_HEADER, *map(row, range(5))))
    (tmp_path / "test.csv").write_text(text(PIXELS, row(7)[1:]))
    return tmp_path


def error_of(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        data.kaggle(folder)
    assert "Digit Recognizer" in str(caught.value)
    assert "pandas" not in str(caught.value)
    return str(caught.value)


def test_splits_in_file_order(full):
    as_edited = text(PIXELS, row(7)[1:], [" 255", "1\t", *row(0)[3:]]).replace("\n", "\r\n \r\n\r\n")
    (full / "test.csv").write_bytes(b"\xef\xbb\xbf" + as_edited.encode())
    split = data.kaggle(str(full))
    np.testing.assert_array_equal(numbers_of(split.x_train), np.arange(300))
    np.testing.assert_array_equal(numbers_of(split.x_val), np.arange(302, 312))
    np.testing.assert_array_equal(numbers_of(split.x_test), [7, 511])
    np.testing.assert_array_equal(split.y_train, np.arange(300) % 10)
    np.testing.assert_array_equal(split.y_val, np.arange(302, 312) % 10)
    assert split.y_test is None
    assert {array.dtype for array in split[:5]} == {np.dtype(np.uint8)}
    assert {array.shape[1:] for array in split[:5]} == {(784,), ()}
    assert all(array.flags.c_contiguous for array in split[:5])


@pytest.mark.parametrize(
    ("name", "cell", "found"),
    [
        ("pixel3", "3.5", "'3.5'"),
        ("pixel0", "1e2", "'1e2'"),
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
def test_error_names_the_cell(small, name, cell, found):
    rows = [row(number) for number in range(5)]
    column = TRAIN_HEADER.index(name)
    rows[2][column] = cell
    (small / "train.csv").write_text(text(TRAIN_HEADER, *rows), encoding="utf-8")
    top = 9 if name == "label" else 255
    assert (
        f"{small / 'train.csv'}: line 4, column {column + 1} ({name}): "
        f"expected a whole number from 0 to {top}, found {found}" in error_of(small)
    )


def test_error_names_undecodable_bytes(small):
    rows = text(TRAIN_HEADER, row(0), row(1)).encode().split(b"\n")
    rows[2] = rows[2].replace(b"1,1,", b"1,\xff1,", 1)
    (small / "train.csv").write_bytes(b"\n".join(rows))
    assert r"train.csv: line 3, column 2 (pixel0): expected a whole number from 0 to 255, found '\\xff1'" in error_of(
        small
    )


def test_error_names_the_first_of_several_errors(small):
    broken = row(1)
    broken[5] = broken[9] = "x"
    (small / "train.csv").write_text(text(TRAIN_HEADER, row(0), broken, ["77", *row(2)[1:]]))
    assert "line 3, column 6 (pixel4)" in error_of(small)


def test_counts_lines_as_an_editor_does(small):
    broken = ["x", *row(1)[1:]]
    (small / "train.csv").write_text(text(TRAIN_HEADER, row(0), [""], [" "], broken))
    assert "line 5, column 1 (label)" in error_of(small)


@pytest.mark.parametrize("line", [2, 4])
@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (row(0)[:-1], "column 785 (pixel783): expected a whole number from 0 to 255, found ''"),
        (row(0)[:3], "column 4 (pixel2): expected a whole number from 0 to 255, found ''"),
        ([*row(0), "8"], "column 786: expected the line to end, found '8'"),
        ([*row(0), ""], "column 786: expected the line to end, found ''"),
    ],
)
def test_error_names_a_ragged_row(small, line, cut, message):
    rows = [row(0), row(1), row(2), row(3)]
    rows[line - 2] = cut
    (small / "train.csv").write_text(text(TRAIN_HEADER, *rows))
    assert f"train.csv: line {line}, {message}" in error_of(small)


def test_error_names_rows_that_are_all_too_long(small):
    (small / "train.csv").write_text(text(TRAIN_HEADER, *([*row(number), "0"] for number in range(3))))
    assert "line 2, column 786: expected the line to end, found '0'" in error_of(small)


@pytest.mark.parametrize(
    ("header", "message"),
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
def test_error_names_the_first_wrong_column(small, header, message):
    (small / "train.csv").write_text(text(header, row(0)))
    assert f"train.csv: line 1, {message}" in error_of(small)


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_separator_is_named(small, separator, name):
    header, *rows = text(TRAIN_HEADER, row(0), row(1)).splitlines()
    for line, lines in ((1, [header, *rows]), (2, [None, *rows])):
        written = [header if each is None else each.replace(",", separator) for each in lines]
        (small / "train.csv").write_text("\n".join(written) + "\n")
        expected = f"line {line}: expected commas between the cells, found {name}; save the file with commas; "
        assert expected in error_of(small)


def test_a_short_test_csv_is_said(full):
    (full / "test.csv").write_text(text(PIXELS, row(7)[1:]))
    with pytest.warns(
        UserWarning, match=r"test.csv: expected Kaggle's 2 rows after the header, got 1; for a submission"
    ):
        assert len(data.kaggle(full).x_test) == 1


def test_refuses_another_encoding(small):
    (small / "train.csv").write_text(text(TRAIN_HEADER, row(0)), encoding="utf-16")
    assert "train.csv: line 1, column 1: expected 'label', found" in error_of(small)


@pytest.mark.parametrize("rows", [0, 5])
def test_counts_too_few_rows(small, rows):
    rows_of = kaggle_csv.TRAINING_ROWS, kaggle_csv.VALIDATION_ROWS, kaggle_csv.TEST_ROWS
    assert rows_of == (32_000, 10_000, 28_000)
    (small / "train.csv").write_text(text(TRAIN_HEADER, *map(row, range(rows))))
    assert f"train.csv: expected 42000 rows or more after the header, found {rows}" in error_of(small)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_refuses_an_empty_file(small, content):
    (small / "train.csv").write_bytes(content)
    assert f"{small / 'train.csv'}: it is empty" in error_of(small)


def test_a_missing_file_is_named(small, tmp_path):
    (small / "train.csv").unlink()
    assert f"cannot read {small / 'train.csv'} (No such file" in error_of(small)
    assert str(tmp_path / "nowhere" / "train.csv") in error_of(tmp_path / "nowhere")
    (small / "train.csv").mkdir()
    assert f"cannot read {small / 'train.csv'}" in error_of(small)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([PIXELS], "expected 1 rows or more after the header, found 0"),
        ([PIXELS, row(1)], "line 2, column 785: expected the line to end, found '0'"),
        ([["pixel", *PIXELS[1:]], row(1)[1:]], "line 1, column 1: expected 'pixel0', found 'pixel'"),
        ([PIXELS, ["256", *row(1)[2:]]], "line 2, column 1 (pixel0): expected a whole number from 0 to 255"),
    ],
)
def test_test_csv_is_checked_too(full, rows, message):
    (full / "test.csv").write_text(text(*rows))
    assert f"{full / 'test.csv'}: {message}" in error_of(full)
