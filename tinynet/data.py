"""Arrays in: the embedded MNIST, Kaggle's CSV files, a picture of one digit."""

import csv
import importlib
import math
import warnings
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import rng

PIXELS = [f"pixel{i}" for i in range(28 * 28)]
LARGEST = {"label": 9, **dict.fromkeys(PIXELS, 255)}
VALUES = {str(value): value for value in range(256)}
SOURCE = 'take it from the Kaggle competition "Digit Recognizer"'


class DataError(ValueError):
    """A file that cannot be used; the message says which, where, why, and the way out."""


class Mnist(NamedTuple):
    """70,000 digits: x uint8 (N, 28, 28), 0 for paper to 255 for ink; y uint8 (N,), 0 to 9."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class Split(NamedTuple):
    """Three sets: x uint8 (N, 784), 0 for paper to 255 for ink; y uint8 (N,), 0 to 9. Kaggle's y_test is None."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray | None


def mnist() -> Mnist:
    """MNIST as its authors split it, from this package: 60,000 digits to train, 10,000 to test."""
    with np.load(Path(__file__).parent / "mnist" / "mnist.npz", allow_pickle=False) as arrays:
        return Mnist(**arrays)


def mnist_split(seed: int = 0) -> Split:
    """MNIST's 70,000 digits, shuffled and cut as Kaggle cuts them: 32,000 / 10,000 / 28,000.

    The last 28,000 play Kaggle's unlabelled set: y_test may judge a finished model, never choose one.
    """
    x, y = _all_digits()
    train, val, test = np.split(rng.generator(seed, "split").permutation(70_000), [32_000, 42_000])
    return Split(x[train], y[train], x[val], y[val], x[test], y[test])


def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    digits = mnist()
    x = np.concatenate([digits.x_train, digits.x_test]).reshape(70_000, 784)
    return x, np.concatenate([digits.y_train, digits.y_test])


def kaggle(folder: str | Path) -> Split:
    """The two files of the Kaggle competition "Digit Recognizer", in file order.

    train.csv: label,pixel0..pixel783; its first 32,000 rows train, its last 10,000 validate.
    test.csv: pixel0..pixel783, without labels: y_test is None.

    Raises DataError at the first fault, with its file, line (the header is line 1) and column.
    """
    train = _read_csv(Path(folder) / "train.csv", ["label", *PIXELS], least=42_000)
    x_test = _read_csv(Path(folder) / "test.csv", PIXELS, least=1)
    x, y = train[:, 1:].copy(), train[:, 0].copy()
    return Split(x[:32_000], y[:32_000], x[-10_000:], y[-10_000:], x_test, None)


def digit_image(path: str | Path, as_is: bool = False) -> np.ndarray:
    """A picture of one digit, prepared as MNIST's digits were: uint8 (28, 28), light ink on dark.

    1. Turn it as its EXIF says. If a side is over 280, average it down by the smallest whole factor that helps.
    2. grey = 0.299 R + 0.587 G + 0.114 B, rounded. What is transparent turns white, or black behind light ink.
    3. paper = median grey of the border; ink = paper - grey, or grey - paper if the lightest grey is farther off.
    4. noise = 8 times the border's median distance from the paper, but between 1/10 and 1/2 of the strongest ink.
       Weaker ink becomes 0. Crop to the rest.
    5. Average areas so that the longer side becomes 20 pixels. Stretch the strongest ink to 255.
    6. Lay it on 28 x 28 zeros, its centre of mass (to 6 decimals) on pixel (14, 14), or as near as whole pixels
       come without cutting it. Round. Halves always round up.

    as_is=True stops after step 2, for a picture that is 28 x 28 and light on dark already.
    Raises DataError if the file is missing, no picture, dangerously large, blank (contrast below 25), or not 28 x 28.
    """
    picture = _open_picture(path)
    if as_is and picture.size != (28, 28):
        raise DataError(f"digit_image: {path}: as_is expects (28, 28) pixels, found {picture.size}; leave as_is out")
    grey = _grey(picture)
    return (grey if as_is else _prepare(grey, path)).astype(np.uint8)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'tinynet.data needs {name}: pip install "tinynet-from-scratch[examples]"') from error


def _read_csv(path: Path, columns: list[str], least: int) -> np.ndarray:
    pandas = _import("pandas")
    literally = {"quoting": csv.QUOTE_NONE, "low_memory": False}
    try:
        header = next(_lines(path), [])
        table = pandas.read_csv(path, header=None, skiprows=1, **literally).to_numpy()
    except OSError as error:
        raise DataError(f"kaggle: cannot read {path} ({error.strerror}); {SOURCE}") from error
    except ValueError:
        table = np.empty((0, 0))
    sound = header == columns and table.dtype == np.int64 and table.shape[1] == len(columns) and len(table) >= least
    if not sound or table.min() < 0 or any(table.max(axis=0) > [LARGEST[name] for name in columns]):
        raise DataError(f"kaggle: {path}: {_first_fault(path, columns, least)}; {SOURCE}")
    return table.astype(np.uint8, order="C")


def _first_fault(path: Path, columns: list[str], least: int) -> str:
    rows = 0
    for line, cells in enumerate(_lines(path), start=1):
        if line > 1 and cells == [""]:
            continue
        rows += 1
        for column, (name, cell) in enumerate(zip_longest(columns, cells, fillvalue=""), start=1):
            if not name:
                return f"line {line}, column {column}: expected the line to end, found {cell!r:.20}"
            if line == 1 and cell != name:
                return f"line 1, column {column}: expected {name!r}, found {cell!r:.20}"
            if line > 1 and VALUES.get(cell, 256) > LARGEST[name]:
                expected = f"a whole number from 0 to {LARGEST[name]}"
                return f"line {line}, column {column} ({name}): expected {expected}, found {cell!r:.20}"
    return f"expected {least} rows or more below its header, found {rows - 1}" if rows else "it is empty"


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig", errors="backslashreplace") as file:
        for line in file:
            yield [cell.strip(" \t\n") for cell in line.split(",")]


def _open_picture(path: str | Path) -> Any:
    image, operations = _import("PIL.Image"), _import("PIL.ImageOps")
    try:
        with warnings.catch_warnings(action="error", category=image.DecompressionBombWarning), image.open(path) as file:
            picture = operations.exif_transpose(file)
            return picture.convert("F" if picture.mode.startswith("I") else "RGBA")
    except Exception as error:
        raise DataError(f"digit_image: cannot read {path} as a picture ({error}); give a PNG or a JPEG") from error


def _grey(picture: Any) -> np.ndarray:
    values = np.asarray(picture.reduce(math.ceil(max(picture.size) / 280)), dtype=np.float64)
    if picture.mode == "F":
        return _round(values / 257)
    grey, opacity = _round(values[..., :3] @ [299, 587, 114] / 1000), values[..., 3] / 255
    behind = 0 if (opacity * (grey - 127.5)).sum() > 0 else 255
    return _round(opacity * grey + (1 - opacity) * behind)


def _prepare(grey: np.ndarray, path: str | Path) -> np.ndarray:
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    paper = np.median(border)
    ink = grey - paper if grey.max() - paper > paper - grey.min() else paper - grey
    if ink.max() < 25:
        raise DataError(f"digit_image: {path} is blank: expected contrast 25, found {ink.max():.0f}; draw it bolder")
    noise = np.clip(8 * np.median(np.abs(border - paper)), ink.max() / 10, ink.max() / 2)
    return _round(_centre(_fit(np.where(ink < noise, 0, ink))))


def _fit(ink: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(ink)
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = _round(np.array(ink.shape) * 20 / max(ink.shape)).clip(1).astype(int)
    small = _overlaps(ink.shape[0], height) @ ink @ _overlaps(ink.shape[1], width).T
    return small * 255 / small.max()


def _overlaps(before: int, after: int) -> np.ndarray:
    edges, pixels = np.linspace(0, before, after + 1)[:, np.newaxis], np.arange(before)
    return np.maximum(np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels), 0)


def _centre(ink: np.ndarray) -> np.ndarray:
    size = np.array(ink.shape)
    centre = [np.average(index, weights=ink).round(6) for index in np.indices(ink.shape)]
    before = _round(14 - np.array(centre)).clip(0, 28 - size).astype(int)
    return np.pad(ink, np.stack([before, 28 - size - before], axis=1))


def _round(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5)
