"""Augmentation: random small shifts, rotations and distortions of pictures, different in every epoch."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Array, module_of, rng

CHUNK = 128
"""Number of pictures distorted at once, few enough to stay in the cache."""

SUM = 2**16
"""Approximate sum of the Gaussian's weights. They are integers, so that sums are exact in any order."""


def augment(
    x: Array,
    seed: int,
    epoch: int,
    *,
    shift: float = 2.0,
    rotation: float = 12.0,
    scale: float = 0.1,
    shear: float = 0.15,
    elastic: float = 16.0,
    smoothness: float = 4.0,
) -> Array:
    """y(p) = x(A p + d(p)), with an A and a d for every picture        x (N, H, W) or (N, C, H, W) -> y

    p is the position of a pixel relative to the center. x is interpolated between its pixels and 0 outside.

    shift       largest shift by A, in pixels, down and across
    rotation    largest rotation by A, in degrees
    scale       largest relative change of height and width by A
    shear       largest shear by A, in pixels across for each pixel down
    elastic     d(p) = elastic, in pixels, times noise in [-1, 1), averaged around p with the weights of a Gaussian
    smoothness  the Gaussian's standard deviation, in pixels. With 16 and 4, a pixel typically moves by 2/3 of a pixel

    y is a function of the seed, the epoch and the index of the row in x, and equal on every backend. x is not changed.
    Use it as `fit(..., augment=tn.data.augment)`, or functools.partial(tn.data.augment, elastic=0) for other settings.
    Raises ValueError if rows are not pictures or a setting is out of range. Simard, Steinkraus and Platt 2003.
    """
    _check(x, shift=shift, rotation=rotation, scale=scale, shear=shear, elastic=elastic, smoothness=smoothness)
    C, H, W = (1, *x.shape[1:])[-3:]
    most = np.array([math.radians(rotation), scale, scale, shear, shift, shift])
    gaussians = [module_of(x).asarray(_gaussian(size, smoothness)) for size in (H, W)]
    keys = [rng.random_key(seed, purpose) for purpose in ("affine", "elastic")]
    y = module_of(x).empty_like(x)
    for start in range(0, len(x), CHUNK):
        pictures = x[start : start + CHUNK].reshape(-1, C, H, W)
        affine, elastic_key = (rng.fold_in(key, epoch * 2**32 + start) for key in keys)
        positions = _affine_positions(pictures, most, affine)
        if elastic:
            positions += elastic * _noise(pictures, gaussians, elastic_key)
        y[start : start + CHUNK] = _interpolated(pictures, positions).reshape(-1, *x.shape[1:])
    return y


def _affine_positions(x: Array, most: np.ndarray, key: tuple[int, int]) -> Array:
    """Return A p for every pixel, relative to the upper left one        -> (N, 2, H, W): down and across"""
    xp, (H, W) = module_of(x), x.shape[-2:]
    random = rng.random_bits(np, 6 * len(x), key).reshape(len(x), 6) / 2**31 - 1
    angle, taller, wider, slant, down, across = (most * random).T
    cos, sin = np.cos(angle), np.sin(angle)
    A = np.array(
        [
            [(1 + taller) * cos - slant * sin, (1 + taller) * sin + slant * cos],
            [-(1 + wider) * sin, (1 + wider) * cos],
            [down + (H - 1) / 2, across + (W - 1) / 2],
        ]
    )
    A = xp.asarray(np.moveaxis(A, 2, 1)[..., None, None].astype(np.float32))  # three times (N, 2, 1, 1)
    i, j = (xp.arange(size, dtype=np.float32) - (size - 1) / 2 for size in (H, W))
    return A[0] * i[:, None] + A[2] + A[1] * j


def _noise(x: Array, gaussians: list[Array], key: tuple[int, int]) -> Array:
    """Return noise in [-1, 1), averaged by the Gaussians        -> (N, 2, H, W): down and across"""
    xp, N, (H, W) = module_of(x), len(x), x.shape[-2:]
    words = math.ceil(2 * H * W / 4)
    noise = rng.random_bits(xp, N * words, key).view(np.int8).reshape(N, -1)[:, : 2 * H * W]
    sums = gaussians[0] @ noise.reshape(N, 2, H, W).astype(np.float64) @ gaussians[1]
    return (sums / (128 * SUM**2)).astype(np.float32)


def _gaussian(size: int, deviation: float) -> np.ndarray:
    """Return the weight of every position around every other        -> (size, size), symmetric, integers"""
    apart = np.arange(size)[:, None] - np.arange(size)
    density = np.exp(-((apart / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
    return np.rint(SUM * density)


def _interpolated(x: Array, positions: Array) -> Array:
    """Return x at positions between its pixels, by bilinear interpolation; 0 outside."""
    xp, (N, C, H, W) = module_of(x), x.shape
    padded = xp.zeros((N, C, H + 3, W + 3), np.float32 if x.dtype == np.uint8 else x.dtype)
    padded[..., 1 : H + 1, 1 : W + 1] = x
    down, across = xp.clip(positions[:, :1], -1, H), xp.clip(positions[:, 1:], -1, W)
    upper, left = xp.floor(down), xp.floor(across)
    row = xp.arange(N * C).reshape(N, C, 1, 1) * (H + 3) + 1 + upper.astype(np.intp)
    index = row * (W + 3) + 1 + left.astype(np.intp)
    a, b, c, d = (padded.ravel().take(index + step) for step in (0, 1, W + 3, W + 4))
    above, below = a + (b - a) * (across - left), c + (d - c) * (across - left)
    y = above + (below - above) * (down - upper)
    return xp.rint(y).astype(np.uint8) if x.dtype == np.uint8 else y


def _check(x: Array, **settings: float) -> None:
    if x.ndim not in (3, 4) or not (x.dtype == np.uint8 or x.dtype.kind == "f"):
        raise ValueError(
            f"augment: expected pictures (N, H, W) or (N, C, H, W), floats or uint8, got {x.dtype} {x.shape}; "
            "for rows of MNIST use x.reshape(-1, 1, 28, 28)"
        )
    for name, value in settings.items():
        if not 0 <= value < math.inf or (name == "smoothness" and value == 0) or (name == "scale" and value >= 1):
            most = {"scale": " and below 1", "smoothness": " and above 0"}.get(name, "")
            raise ValueError(f"augment: expected {name} of at least 0{most}, got {value!r}")
