"""Draws tests/digits/*.png with simple strokes: python tests/draw_digits.py"""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent / "digits"
FINE = 6

Stroke = list[tuple[float, float]]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, style in PICTURES.items():
        draw(name[0], style).save(FOLDER / f"{name}.png", optimize=True)


class Style(NamedTuple):
    """Lengths in pixels; slant as a share of the height; turn in degrees, clockwise; noise and shadow in grays."""

    size: tuple[int, int]
    paper: str
    ink: str
    pen: float
    height: float
    center: tuple[float, float]
    slant: float = 0
    turn: float = 0
    noise: float = 0
    shadow: float = 0


def draw(digit: str, style: Style) -> Image.Image:
    mode = "RGBA" if len(style.paper) == len("#rrggbbaa") else "RGB"
    fine = Image.new(mode, (style.size[0] * FINE, style.size[1] * FINE), style.paper)
    pen, radius = ImageDraw.Draw(fine), style.pen * FINE / 2
    for stroke in STROKES[digit]:
        points = [(x * FINE, y * FINE) for x, y in placed(stroke, style)]
        pen.line(points, style.ink, round(2 * radius))
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), style.ink)
    picture = fine.reduce(FINE)
    return scanned(picture, style) if style.noise else picture


def placed(stroke: Stroke, style: Style) -> Stroke:
    cos, sin = math.cos(math.radians(style.turn)), math.sin(math.radians(style.turn))
    upright = [(x - 0.33 + style.slant * (0.5 - y), y - 0.5) for x, y in stroke]
    left, top = style.center
    return [(left + style.height * (x * cos - y * sin), top + style.height * (x * sin + y * cos)) for x, y in upright]


def scanned(picture: Image.Image, style: Style) -> Image.Image:
    """Return a gray background, darker towards the right by the style's shadow, with noise on every pixel."""
    gray, chance = picture.convert("L"), random.Random(0)
    fall = style.shadow / gray.width
    levels = [
        level - fall * (place % gray.width) + chance.uniform(-style.noise, style.noise)
        for place, level in enumerate(gray.tobytes())
    ]
    return Image.frombytes("L", gray.size, bytes(round(min(max(level, 0), 255)) for level in levels))


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Stroke:
    """Return part of an ellipse, in degrees: 0 is right, 90 is below."""
    angles = [math.radians(start + (end - start) * step / 40) for step in range(41)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


STROKES: dict[str, list[Stroke]] = {
    "0": [arc(0.35, 0.5, 0.3, 0.48, -70, 295)],
    "1": [[(0.14, 0.24), (0.36, 0.02), (0.36, 0.98)]],
    "2": [[*arc(0.32, 0.29, 0.27, 0.27, 190, 395), (0.04, 0.96), (0.64, 0.96)]],
    "3": [[*arc(0.3, 0.26, 0.25, 0.24, 205, 450), *arc(0.3, 0.74, 0.3, 0.24, -90, 150)]],
    "4": [[(0.42, 0.02), (0.03, 0.62), (0.68, 0.62)], [(0.5, 0.36), (0.48, 0.98)]],
    "5": [[(0.58, 0.03), (0.16, 0.03), (0.12, 0.43), *arc(0.3, 0.68, 0.28, 0.28, 235, 510)]],
    "6": [[*arc(0.62, 0.7, 0.56, 0.68, 265, 180), *arc(0.33, 0.7, 0.27, 0.27, 180, 540)]],
    "7": [[(0.04, 0.06), (0.62, 0.06), (0.44, 0.42), (0.26, 0.98)]],
    "8": [arc(0.32, 0.26, 0.22, 0.23, 90, 450), arc(0.32, 0.74, 0.27, 0.24, -90, 270)],
    "9": [[*arc(0.32, 0.29, 0.26, 0.26, 0, -360), (0.57, 0.5), (0.5, 0.98)]],
}

PICTURES = {
    "0_chalk_on_slate": Style((180, 220), "#2f3a3a", "#e8ece6", 15, 150, (88, 112), slant=0.1),
    "1_thick_pen": Style((140, 140), "white", "black", 17, 96, (70, 70), slant=0.15),
    "2_red_on_yellow": Style((160, 200), "#ffe98a", "#b3201a", 14, 140, (82, 98)),
    "2_white_on_transparent": Style((120, 120), "#ffffff00", "#ffffff", 10, 84, (60, 60), slant=0.2),
    "3_black_on_transparent": Style((150, 150), "#00000000", "#000000", 12, 110, (74, 76)),
    "4_large_off_center": Style((600, 400), "#f4f4f4", "#202020", 22, 210, (440, 150)),
    "5_blue_on_cream": Style((170, 170), "#fff6dc", "#1d3f9e", 13, 124, (84, 86), slant=0.12),
    "6_noisy_scan": Style((110, 110), "#c8c8c8", "#3c3c3c", 9, 76, (55, 56), noise=12),
    "7_shadow_on_paper": Style((120, 120), "#d2d2d2", "#282828", 9, 80, (58, 62), noise=4, shadow=50),
    "7_thin_pen": Style((200, 260), "white", "#303030", 4, 190, (100, 130), slant=0.08),
    "8_small_28x28": Style((28, 28), "black", "white", 2.4, 17, (14, 14), slant=0.15),
    "9_turned": Style((160, 160), "white", "#0b6b3a", 13, 116, (80, 80), turn=14),
}


def photo(digit: str) -> np.ndarray:
    """Return gray (200, 200): a digit in dark ink on white paper."""
    style = Style((200, 200), "#ebebeb", "#232323", 11, 112, (100, 100), slant=0.1)
    return np.asarray(draw(digit, style).convert("L"), dtype=float)


ROW, COLUMN = np.mgrid[:200, :200]
FROM_EDGE = np.minimum(np.minimum(ROW, 199 - ROW), np.minimum(COLUMN, 199 - COLUMN))


def with_noise(gray: np.ndarray, spread: float) -> np.ndarray:
    return gray + np.random.default_rng(0).normal(0, spread, gray.shape)


def ruled(gray: np.ndarray, level: int = 150, slope: float = 0) -> np.ndarray:
    return np.where((ROW + slope * COLUMN) % 25 < 1.5, np.minimum(gray, level), gray)


DISTURBED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "shadow": lambda gray: np.where(ROW + COLUMN > 220, 0.6 * gray, gray),
    "dark shadow": lambda gray: np.where(COLUMN > 80, 0.4 * gray, gray),
    "soft shadow": lambda gray: gray * (1 - 0.5 / (1 + np.exp((120 - ROW - 0.4 * COLUMN) / 12))),
    "lamp on one side": lambda gray: gray * (1 - 0.6 * COLUMN / 200),
    "desk": lambda gray: np.where(COLUMN < 15, 60, gray),
    "desk at an angle": lambda gray: np.where(COLUMN < 6 + 0.12 * ROW, 60, gray),
    "ruled": ruled,
    "ruled in dark": lambda gray: ruled(gray, 60),
    "ruled at an angle": lambda gray: ruled(gray, 150, 0.02),
    "squared": lambda gray: ruled(ruled(gray, 180).T, 180).T,
    "frame": lambda gray: np.where(FROM_EDGE < 3, 0, gray),
    "paper on a desk": lambda gray: np.pad(gray, 33, constant_values=60),
    "noise": lambda gray: with_noise(gray, 12),
    "low contrast": lambda gray: with_noise(160 + 0.2 * gray, 2),
    "dust": lambda gray: np.where(np.random.default_rng(3).random(gray.shape) < 2e-4, 0, gray),
    "light on dark": lambda gray: 255 - gray,
    "desk, shadow and lines": lambda gray: with_noise(DISTURBED["desk"](DISTURBED["shadow"](ruled(gray))), 3),
}
"""What happens to the pictures that people take: the digit stays the same."""


if __name__ == "__main__":
    main()
