"""Prepares a picture of one digit like the digits of MNIST."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays.optional import optional_import
from .digits import DataError
from .ink import find_ink


def digit_image(path: str | Path, as_is: bool = False) -> np.ndarray:
    """Return a picture of one digit prepared like MNIST's digits: uint8 (28, 28), light ink on dark.

    1. Rotate it according to its EXIF. If a side is over 280, average it down by the smallest integer that helps.
    2. gray = 0.299 R + 0.587 G + 0.114 B, rounded. Transparent pixels become white, or black behind light ink.
    3. paper = median gray of the border; ink = paper - gray, or gray - paper if the lightest gray differs more.
    4. noise = 8 times the border's median distance from the paper, clipped to 1/10 to 1/2 of the strongest ink.
       Weaker ink becomes 0. Crop to the remaining ink.
    5. Average areas so that the longer side becomes 20 pixels. Scale the strongest ink to 255.
    6. Place it on 28 x 28 zeros, with its center of mass (to 6 decimals) on pixel (14, 14), or as near as possible
       without cutting it. Round. Halves always round up.

    as_is=True stops after step 2, for a picture that is already 28 x 28 and light on dark.
    Raises DataError if the file is missing, not a picture, dangerously large, blank (contrast below 25) or, with as_is,
    not 28 x 28.
    """
    picture = _open_picture(path)
    if as_is and picture.size != (28, 28):
        raise DataError(f"digit_image: {path}: as_is expects (28, 28) pixels, found {picture.size}; omit as_is")
    gray = _gray(picture)
    return (gray if as_is else _prepare(gray, path)).astype(np.uint8)


def _open_picture(path: str | Path) -> Any:
    image, operations = (optional_import(name, "examples") for name in ("PIL.Image", "PIL.ImageOps"))
    try:
        with warnings.catch_warnings(action="error", category=image.DecompressionBombWarning), image.open(path) as file:
            picture = operations.exif_transpose(file)
            return picture.convert("F" if picture.mode.startswith("I") else "RGBA")
    except Exception as error:
        raise DataError(f"digit_image: cannot read {path} as a picture ({error}); give a PNG or a JPEG") from error


def _gray(picture: Any) -> np.ndarray:
    values = np.asarray(picture.reduce(math.ceil(max(picture.size) / 280)), dtype=np.float64)
    if picture.mode == "F":
        return _round(values / 257)
    gray, opacity = _round(values[..., :3] @ [299, 587, 114] / 1000), values[..., 3] / 255
    behind = 0 if (opacity * (gray - 127.5)).sum() > 0 else 255
    return _round(opacity * gray + (1 - opacity) * behind)


def _prepare(gray: np.ndarray, name: str) -> np.ndarray:
    return _round(_center(_fit(find_ink(gray, name))))


def _fit(ink: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(ink)
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = _round(np.array(ink.shape) * 20 / max(ink.shape)).clip(1).astype(int)
    small = _overlaps(ink.shape[0], height) @ ink @ _overlaps(ink.shape[1], width).T
    return small * 255 / small.max()


def _overlaps(before: int, after: int) -> np.ndarray:
    edges, pixels = np.linspace(0, before, after + 1)[:, np.newaxis], np.arange(before)
    return np.maximum(np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels), 0)


def _center(ink: np.ndarray) -> np.ndarray:
    size = np.array(ink.shape)
    center = [np.average(index, weights=ink).round(6) for index in np.indices(ink.shape)]
    before = _round(14 - np.array(center)).clip(0, 28 - size).astype(int)
    return np.pad(ink, np.stack([before, 28 - size - before], axis=1))


def _round(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5)
