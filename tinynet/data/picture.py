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

FORMATS = "PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"
FULL_SCALES = 1, 255, 4095, 65535


def digit_image(picture: str | Path | np.ndarray, as_is: bool = False) -> np.ndarray:
    """Return a picture of one digit prepared like MNIST's digits: uint8 (28, 28), light ink on dark.

    `picture` is a PNG, JPEG, GIF, BMP, WebP or TIFF file, or an array (H, W), (H, W, 3) or (H, W, 4) of red, green,
    blue and opacity. uint8 counts up to 255. Other numbers count up to the smallest of 1, 255, 4095 and 65535 that none
    of them exceeds, because many 16-bit files hold 8 or 12 bits.

    1. Rotate it according to its EXIF. If a side is over 280, average it down by the smallest integer that helps.
    2. gray = 0.299 R + 0.587 G + 0.114 B, rounded. Transparent pixels become white, or black behind light ink.
    3. Cut off a frame. ink = paper - gray, or gray - paper if the paper is dark. The paper is estimated around each
       pixel, so a shadow is part of it. On light paper, ink in a shadow is scaled by how much darker the paper is.
    4. noise = 8 times the border's median distance from the paper, clipped to 1/10 to 1/2 of the strongest ink.
       Weaker ink becomes 0. So do ruled lines, what lies along an edge of the picture, and dust. Crop to the remaining
       ink.
    5. Average areas so that the longer side becomes 20 pixels. Scale the strongest ink to 255.
    6. Place it on 28 x 28 zeros, with its center of mass (to 6 decimals) on pixel (14, 14), or as near as possible
       without cutting it. Round. Halves always round up.

    as_is=True stops after step 2, for a picture that is already 28 x 28 and light on dark.
    Any single shape is prepared: a letter too. Look at the result if you do not know the picture.
    Raises DataError if the file is missing, not a picture, dangerously large, blank (contrast below 25), if it shows
    two digits side by side or no ink except along its edges, or, with as_is, if it is not 28 x 28.
    Warns if the ink reaches the edge, is wider than a digit, or has a detached part.
    """
    name = "the array" if isinstance(picture, np.ndarray) else str(picture)
    opened = _from_array(picture) if isinstance(picture, np.ndarray) else _open_picture(picture, as_is)
    if as_is and opened.size != (28, 28):
        raise DataError(f"digit_image: {name}: as_is expects (28, 28) pixels, found {opened.size}; omit as_is")
    gray = _gray(opened)
    return (gray if as_is else _round(_center(_fit(find_ink(gray, name))))).astype(np.uint8)


def _open_picture(path: str | Path, as_is: bool) -> Any:
    image, operations = (optional_import(name, "examples") for name in ("PIL.Image", "PIL.ImageOps"))
    try:
        bomb = image.DecompressionBombWarning
        with warnings.catch_warnings(action="error", category=bomb), image.open(path, formats=FORMATS) as file:
            picture = operations.exif_transpose(file)
            if not picture.mode.startswith(("I", "F")):
                return picture.convert("RGBA")
    except Exception as error:
        message = f"digit_image: cannot read {path} as a picture ({error}); give a PNG, JPEG, GIF, BMP, WebP or TIFF"
        raise DataError(message) from error
    values = np.asarray(picture)
    if as_is and 1 < values.max() <= FULL_SCALES[-2]:
        found = f"digit_image: {path}: as_is expects values up to 65535, found values only up to {values.max()}"
        raise DataError(f"{found} of 65535. Save it with 8 bits, or omit as_is.")
    return _from_array(values, str(path))


def _from_array(values: np.ndarray, name: str = "the array") -> Any:
    image = optional_import("PIL.Image", "examples")
    if isinstance(values, np.ma.MaskedArray):
        raise DataError("digit_image: expected an array without a mask, got a masked array. Use .filled(paper).")
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))) or not values.size:
        raise DataError(f"digit_image: expected an array (H, W), (H, W, 3) or (H, W, 4), got {values.shape}")
    if values.dtype.kind not in "buif" or not 0 <= values.min() <= values.max() <= FULL_SCALES[-1]:
        found = f"{values.min()} to {values.max()}" if values.dtype.kind in "buif" else values.dtype
        raise DataError(f"digit_image: {name}: expected numbers from 0 to 65535, got {found}. Scale them.")
    largest = 255 if values.dtype == np.uint8 else min(scale for scale in FULL_SCALES if scale >= values.max())
    scaled = values * (255 / largest)
    return image.fromarray(scaled.astype(np.float32) if values.ndim == 2 else _round(scaled).astype(np.uint8))


def _gray(picture: Any) -> np.ndarray:
    values = np.asarray(picture.reduce(math.ceil(max(picture.size) / 280)), dtype=np.float64)
    if picture.mode == "F":
        return _round(values)
    gray = _round(values[..., :3] @ [299, 587, 114] / 1000)
    opacity = values[..., 3] / 255 if picture.mode == "RGBA" else np.ones_like(gray)
    behind = 0 if (opacity * (gray - 127.5)).sum() > 0 else 255
    return _round(opacity * gray + (1 - opacity) * behind)


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
