"""Networks packed for the page: a row of plain layers, and their parameters as compressed text."""

from __future__ import annotations

import base64
import zlib
from typing import Any, NamedTuple

import numpy as np

from ..layers import Dense, Dropout, ReLU, Softmax
from ..network import Network
from ..training.evaluation import predict

KINDS = {Dense: "dense", ReLU: "relu", Softmax: "softmax", Dropout: "dropout"}
"""The layers that script/network.js knows."""

MOST, LARGE = 2_200_000, 100_000
"""Parameters of all networks together from which on the large ones are halved: the page stays below 12 MB."""


class Packed(NamedTuple):
    """Parameters as the page holds them: of which precision, and how far that moves a probability."""

    precision: str
    largest_change: float
    text: str


def layers(network: Network) -> list[dict[str, Any]] | None:
    """The layers as script/network.js takes them; None if one of them is unknown there."""
    if any(type(layer) not in KINDS for layer in network):
        return None
    return [{"kind": KINDS[type(layer)], "name": f"{layer}"} | layer.config() for layer in network]


def pack(network: Network, x: np.ndarray, p: np.ndarray, crowded: bool) -> Packed:
    """Single precision; on a crowded page half of it for a large network, if all its answers in p stay the same."""
    half = rounded(network, "float16")
    if crowded and network.theta.size > LARGE and np.isfinite(half.theta).all():
        moved = predict(half, x)
        if (moved.argmax(axis=1) == p.argmax(axis=1)).all():
            return Packed("float16", float(np.abs(moved - p).max()), text(half.theta.astype("<f2")))
    return Packed("float32", 0.0, text(network.backend.to_host(network.theta).astype("<f4")))


def rounded(network: Network, precision: str) -> Network:
    """A copy whose parameters went through `precision`."""
    twin = network.copy(dtype="float32", backend="numpy")
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        twin.theta[...] = twin.theta.astype(precision)
    return twin


def text(array: np.ndarray) -> str:
    """The bytes of an array, compressed, as base64; script/unpack.js reads it."""
    return base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()
