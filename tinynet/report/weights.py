"""Packs networks for the page: their layers as JSON, and their parameters as compressed text."""

from __future__ import annotations

import base64
import zlib
from typing import Any, NamedTuple

import numpy as np

from ..interop.layer_names import ROWS
from ..layers import BatchNorm, Layer, LayerNorm
from ..layers.bound import walk
from ..losses import BinaryCrossEntropy, CrossEntropy, Loss, SoftmaxCrossEntropy
from ..network import Network
from ..training.evaluation import predict
from ..training.input_validation import loss_for

ENDINGS: dict[type[Loss], list[dict[str, Any]]] = {
    SoftmaxCrossEntropy: [{"kind": "softmax", "name": "softmax: probabilities"}],
    BinaryCrossEntropy: [{"kind": "chances", "name": "sigmoid: probabilities"}],
    CrossEntropy: [],
}
"""The layer that script/network.js adds to turn the outputs of a network into probabilities, by loss."""

MOST, LARGE = 2_200_000, 100_000
"""Above MOST parameters in total, networks with more than LARGE use half precision: the page stays below 12 MB."""


class Packed(NamedTuple):
    """Parameters as text, their precision, and the largest change of a probability that this precision causes."""

    precision: str
    largest_change: float
    text: str


def layers(network: Network) -> list[dict[str, Any]] | None:
    """Return the layers for script/network.js; None if it does not know one of them or the loss."""
    ending = ENDINGS.get(type(loss_for(network)))
    if ending is None or any(type(layer) not in ROWS for _, _, layer in walk(network.layers)):
        return None
    return [*_described(network.layers), *ending]


def _described(part: Any) -> Any:
    if isinstance(part, Layer):
        inside = {name: _described(value) for name, value in part.config().items()}
        buffers = {name: part.backend.to_host(part.views[name]).tolist() for name in part.buffers()}
        eps = {"eps": part.eps} if isinstance(part, BatchNorm | LayerNorm) else {}
        return {"kind": ROWS[type(part)].function, "name": f"{part}"} | inside | buffers | eps
    return [_described(each) for each in part] if isinstance(part, list | tuple) else part


def probabilities(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the probabilities of all classes (N, K); K = 2 for a network with one output."""
    p = predict(network, x)
    return np.hstack([1 - p, p]) if p.shape[-1] == 1 else p


def pack(network: Network, x: np.ndarray, p: np.ndarray, crowded: bool) -> Packed:
    """Pack the parameters of a network. Half precision needs a crowded page, a large network and unchanged answers."""
    half = rounded(network, "float16")
    if crowded and network.theta.size > LARGE and np.isfinite(half.theta).all():
        moved = probabilities(half, x)
        if (moved.argmax(axis=1) == p.argmax(axis=1)).all():
            return Packed("float16", float(np.abs(moved - p).max()), text(half.theta.astype("<f2")))
    return Packed("float32", 0.0, text(network.backend.to_host(network.theta).astype("<f4")))


def rounded(network: Network, precision: str) -> Network:
    """Return a copy with its parameters rounded to `precision`."""
    copy = network.copy(dtype="float32", backend="numpy")
    with np.errstate(over="ignore"):  # numbers that are too large become infinite
        copy.theta[...] = copy.theta.astype(precision)
    return copy


def text(array: np.ndarray) -> str:
    """Return the compressed bytes of an array as base64, for script/unpack.js."""
    return base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()
