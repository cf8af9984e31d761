"""Finds the ink of one digit in a gray picture: no shadow, frame, ruled lines, dust or edge of a desk."""

from __future__ import annotations

import warnings

import numpy as np

from .digits import DataError

LEAST_CONTRAST = 25
"""In grays of 255. A picture with less is blank."""


def find_ink(gray: np.ndarray, name: str) -> np.ndarray:
    """Return how far each pixel of the digit differs from its paper, and 0 everywhere else.

    The paper may be lighter or darker than the ink, and darker on one side than on the other.
    Raises DataError if there is no ink or if there are two tall shapes.
    Warns if the ink reaches the edge of the picture, is wider than a digit, or has a detached part.
    """
    ink, shapes = _shapes(_without_edge_objects(_without_lines(_contrast(_inside_frame(gray), name))), name)
    if shapes > 1:
        _warn(name, "a part of the ink is separate from the rest. Cut out the digit if the part is not of it")
    height, width = _size(ink > 0)
    if width > 1.3 * height:  # 2 % of MNIST's digits
        _warn(name, f"expected one upright digit, found ink {width} pixels wide and {height} high. Cut out one digit")
    if _border(ink).any():
        _warn(name, "the ink reaches the edge of the picture. Leave a margin if the digit is cut off")
    return ink


def _warn(name: str, message: str) -> None:
    warnings.warn(f"digit_image: {name}: {message}.", UserWarning, stacklevel=4)


def _inside_frame(gray: np.ndarray) -> np.ndarray:
    """Cut off a frame of one color, or a desk around the paper: all that surrounds a rectangle with ink in it."""
    light = gray > (gray.min() + gray.max()) / 2
    surround = light == (_border(light).mean() > 0.5)
    groups = _groups(surround)
    outside = np.isin(groups, _border(groups)) & surround
    rows, columns = (np.flatnonzero(~outside.all(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return gray
    cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    paper = ~outside[cut]
    is_frame = outside.any() and _border(surround).mean() > 0.95 and paper.mean() > 0.9
    is_paper = min(np.array(paper.shape) / gray.shape) > 0.5 and 0.01 < surround[cut][paper].mean() < 0.4
    return gray[cut][2:-2, 2:-2] if is_frame and is_paper else gray


def _contrast(gray: np.ndarray, name: str) -> np.ndarray:
    """Return the difference of each pixel from the paper around it, and 0 for noise.

    The paper is the closing of the picture: the minimum, over a square, of the maximum over the square. A shadow as
    large as the square stays in the paper. A stroke thinner than the square does not.
    """
    light_paper = (_border(gray).mean() + gray.mean()) / 2 > (gray.min() + gray.max()) / 2
    gray = gray if light_paper else 255 - gray
    reach = max(gray.shape) // 5
    paper = -_largest_around(-_largest_around(gray, reach), reach)
    ink = paper - gray
    if light_paper:
        ink *= paper.max() / np.maximum(paper, 1)
    ink -= np.median(_border(ink))
    if ink.max() < LEAST_CONTRAST:
        raise DataError(
            f"digit_image: {name} is blank: expected a contrast of {LEAST_CONTRAST}, found {ink.max():.0f}."
            " Draw with darker ink."
        )
    noise = np.clip(8 * np.median(np.abs(_border(ink))), ink.max() / 10, ink.max() / 2)
    return np.where(ink < noise, 0, ink)


def _without_lines(ink: np.ndarray) -> np.ndarray:
    """Erase ruled lines: thin lines from the left edge to the right, and from the top edge to the bottom."""
    return _without_rows(_without_rows(ink).T).T


def _without_rows(ink: np.ndarray) -> np.ndarray:
    long = _opened(ink.T > 0, max(1, ink.shape[1] // 8)).T
    groups = _groups(long)
    through = set(groups[:, 0]) & set(groups[:, -1]) - {0, *groups[0], *groups[-1]}
    for group in through:
        line = groups == group
        thickness = int(np.median(line.sum(axis=0)))
        if thickness < len(ink) / 12:
            crossing = _opened(ink, thickness + 2)
            ink = np.where(_largest_around(line, 1), crossing, ink)
    return ink


def _without_edge_objects(ink: np.ndarray) -> np.ndarray:
    """Erase what lies along an edge of the picture (a desk, a finger), and what reaches the edge beside the digit."""
    groups = _groups(ink > 0)
    at_edge = [groups == group for group in set(_border(groups)) - {0}]
    along = [shape for shape in at_edge if _border(shape).sum() > 0.9 * max(_size(shape))]
    ink = np.where(np.any(along, axis=0), 0, ink) if along else ink
    touching = np.any(at_edge, axis=0) & (ink > 0) if at_edge else np.zeros_like(ink, bool)
    return np.where(touching, 0, ink) if ink[touching].sum() < ink[~touching].sum() else ink


def _shapes(ink: np.ndarray, name: str) -> tuple[np.ndarray, int]:
    """Return the ink without dust, and the number of separate shapes. Raises DataError if two of them are tall."""
    if not ink.any():
        raise DataError(f"digit_image: {name}: found no ink except along the edges. Leave a margin around the digit.")
    ink = np.where(np.isin(groups := _groups(ink > 0), _large(groups, ink, 0.01)), ink, 0)
    reach = max(1, round(max(_size(ink > 0)) / 25))
    groups = np.where(ink > 0, _groups(_largest_around(ink > 0, reach)), 0)
    shapes = _large(groups, ink, 0.1)
    heights = sorted(_size(groups == shape)[0] for shape in shapes)
    if len(shapes) > 1 and heights[-2] > 0.5 * heights[-1]:
        raise DataError(f"digit_image: {name}: expected one digit, found two separate shapes. Cut out one digit.")
    return np.where(np.isin(groups, shapes), ink, 0), len(shapes)


def _large(groups: np.ndarray, ink: np.ndarray, share: float) -> np.ndarray:
    """Return the groups that have at least this share of the ink of the largest."""
    amounts = np.bincount(groups.ravel(), weights=ink.ravel())
    return np.flatnonzero(amounts > share * amounts.max())


def _groups(mask: np.ndarray) -> np.ndarray:
    """Return the same positive number for all pixels of `mask` that are connected, diagonally too; 0 outside."""
    groups = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        spread = np.where(mask, _largest_around(groups, 1), 0)
        spread = np.append(0, spread)[spread]
        if (spread == groups).all():
            return groups
        groups = spread


def _opened(values: np.ndarray, length: int) -> np.ndarray:
    """Return the opening along axis 0: the maximum, over `length` pixels, of the minimum over `length` pixels."""
    least = _combined(values, length, np.minimum)
    return _combined(np.pad(least, [(length - 1, length - 1), (0, 0)]), length, np.maximum)


def _largest_around(values: np.ndarray, reach: int) -> np.ndarray:
    """Return the maximum over the square of 2 reach + 1 pixels around each pixel, as far as it is in the picture."""
    for _ in range(2):
        padded = np.pad(values, [(reach, reach), (0, 0)], mode="edge")
        values = _combined(padded, 2 * reach + 1, np.maximum).T
    return values


def _combined(values: np.ndarray, length: int, extreme: np.ufunc) -> np.ndarray:
    """Return the minimum or maximum of every `length` rows that follow each other."""
    done = 1
    while done < length:
        step = min(done, length - done)
        values = extreme(values[:-step], values[step:])
        done += step
    return values


def _border(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])


def _size(mask: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero(mask)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
