"""Networks packed for the page: their layers as plain facts, and their parameters as compressed text."""

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
"""What script/network.js does with a network's outputs to make probabilities of them, as one layer more."""

MOST, LARGE = 2_200_000, 100_000
"""Parameters of all networks together from which on the large ones are halved: the page stays below 12 MB."""


class Packed(NamedTuple):
    """Parameters as the page holds them: of which precision, and how far that moves a probability."""

    precision: str
    largest_change: float
    text: str


def layers(network: Network) -> list[dict[str, Any]] | None:
    """The layers as script/network.js takes them; None if one of them, or the loss, is unknown there."""
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
    """What `predict` gives, (N, K); where that is the chance of the second of two classes, both (N, 2)."""
    p = predict(network, x)
    return np.hstack([1 - p, p]) if p.shape[-1] == 1 else p


def pack(network: Network, x: np.ndarray, p: np.ndarray, crowded: bool) -> Packed:
    """Single precision; on a crowded page half of it for a large network, if all its answers in p stay the same."""
    half = rounded(network, "float16")
    if crowded and network.theta.size > LARGE and np.isfinite(half.theta).all():
        moved = probabilities(half, x)
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
