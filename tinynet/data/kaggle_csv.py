"""Reads the CSV files of the Kaggle competition "Digit Recognizer"."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np

from ..arrays.optional import optional_import
from .digits import DataError, Split

PIXELS = [f"pixel{i}" for i in range(28 * 28)]
LARGEST = {"label": 9, **dict.fromkeys(PIXELS, 255)}
VALUES = {str(value): value for value in range(256)}
TRAINING_ROWS, VALIDATION_ROWS = 32_000, 10_000
TEST_ROWS = 28_000
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
SOURCE = 'download it from the Kaggle competition "Digit Recognizer"'


def kaggle(folder: str | Path) -> Split:
    """Return the two files of the Kaggle competition "Digit Recognizer", in file order.

    train.csv: label,pixel0..pixel783; the first 32,000 rows are for training, the last 10,000 for validation.
    test.csv: pixel0..pixel783, without labels: y_test is None. Warns unless it has 28,000 rows, as Kaggle's file has.

    Raises DataError with the file, line (the header is line 1) and column of the first error.
    """
    train = _read_csv(Path(folder) / "train.csv", ["label", *PIXELS], least=TRAINING_ROWS + VALIDATION_ROWS)
    x_test = _read_csv(Path(folder) / "test.csv", PIXELS, least=1)
    if len(x_test) != TEST_ROWS:
        expected = f"expected Kaggle's {TEST_ROWS} rows after the header, got {len(x_test)}"
        warnings.warn(f"kaggle: {Path(folder) / 'test.csv'}: {expected}; for a submission, {SOURCE}", stacklevel=2)
    x, y = train[:, 1:].copy(), train[:, 0].copy()
    return Split(x[:TRAINING_ROWS], y[:TRAINING_ROWS], x[-VALIDATION_ROWS:], y[-VALIDATION_ROWS:], x_test, None)


def _read_csv(path: Path, columns: list[str], least: int) -> np.ndarray:
    pandas = optional_import("pandas", "examples")
    as_written = {"quoting": csv.QUOTE_NONE, "low_memory": False}
    try:
        header = next(_lines(path), [])
        table = pandas.read_csv(path, header=None, skiprows=1, **as_written).to_numpy()
    except OSError as error:
        raise DataError(f"kaggle: cannot read {path} ({error.strerror}); {SOURCE}") from error
    except ValueError:
        table = np.empty((0, 0))
    valid = header == columns and table.dtype == np.int64 and table.shape[1] == len(columns) and len(table) >= least
    if not valid or table.min() < 0 or any(table.max(axis=0) > [LARGEST[name] for name in columns]):
        raise DataError(f"kaggle: {path}: {_first_error(path, columns, least)}; {SOURCE}")
    return table.astype(np.uint8, order="C")


def _first_error(path: Path, columns: list[str], least: int) -> str:
    rows = 0
    for line, cells in enumerate(_lines(path), start=1):
        if line > 1 and cells == [""]:
            continue
        rows += 1
        if len(cells) == 1 and (separators := [sign for sign in OTHER_SEPARATORS if sign in cells[0]]):
            found = OTHER_SEPARATORS[separators[0]]
            return f"line {line}: expected commas between the cells, found {found}; save the file with commas"
        for column, (name, cell) in enumerate(zip_longest(columns, cells, fillvalue=""), start=1):
            if not name:
                return f"line {line}, column {column}: expected the line to end, found {cell!r:.20}"
            if line == 1 and cell != name:
                return f"line 1, column {column}: expected {name!r}, found {cell!r:.20}"
            if line > 1 and VALUES.get(cell, 256) > LARGEST[name]:
                expected = f"a whole number from 0 to {LARGEST[name]}"
                return f"line {line}, column {column} ({name}): expected {expected}, found {cell!r:.20}"
    return f"expected {least} rows or more after the header, found {rows - 1}" if rows else "it is empty"


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig", errors="backslashreplace") as file:
        for line in file:
            yield [cell.strip(" \t\n") for cell in line.split(",")]
