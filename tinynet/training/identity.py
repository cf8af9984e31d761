"""The identity of a training: all that decides its result, as texts that can be compared."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import partial
from numbers import Real
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from ..arrays.checksum import checksum
from ..layers import Layer
from ..layers.bound import RESERVED, paths
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer

LEFT_OUT = ("memory", "ops", "network", "lr", "theta", "grad", "_trainable")
"""Attributes that decide nothing, or that the identity covers in another way."""


def identity_of(network: Network, optimizer: Optimizer | None, loss: Loss) -> dict[str, str]:
    """Return what a training starts from: layers, parameters, settings and slots, each as a text.

    A schedule is not part of it, because the rates of the steps taken decide; see `add_rates`.
    """
    to_host = network.backend.to_host
    layers = [f"{path} {described(layer)}" for path, layer in paths(network.layers)]
    found = {
        "layers": ", ".join(layers),
        "seed": str(network.seed),
        "dtype": network.dtype.name,
        "loss": described(loss),
        "epoch": str(network.epoch),
        "parameters": checksum(network.theta, to_host),
        "buffers": checksum(network.buffers, to_host),
    }
    if optimizer:
        slots = {name: getattr(optimizer, name) for name in optimizer.slots}
        found["optimizer"] = described(optimizer)
        found["slots"] = ", ".join(f"{name} {checksum(slot, to_host)}" for name, slot in slots.items())
        found["learning rate"] = "a schedule" if callable(optimizer.lr) else described(optimizer.lr)
    return found


def described(value: Any) -> str:
    """Return a text that is equal for equal settings of objects of the same class.

    Numbers are compared by value, arrays by checksum, functions by their code and what it captures, layers, losses and
    optimizers by class and attributes, and other objects by class and repr, without addresses.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, str | bytes | bool | type):
        return repr(value)
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, np.ndarray):
        return checksum(np.atleast_1d(value)) if value.dtype != object else described(value.tolist())
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {described(part)}' for key, part in sorted(value.items(), key=str))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(described, value))}]"
    if isinstance(value, set | frozenset):
        return f"[{', '.join(sorted(map(described, value)))}]"
    if isinstance(value, partial):
        return described([value.func, value.args, value.keywords])
    if isinstance(value, FunctionType):
        return _code(value)
    settings = described(_settings(value)) if isinstance(value, Layer | Loss | Optimizer) else repr(value)
    return f"{type(value).__qualname__}{re.sub(' at 0x[0-9a-fA-F]+', '', settings)}"


def add_rates(found: int, rates: Iterable[float]) -> int:
    """Return the CRC-32 of learning rates, continued from those before."""
    return zlib.crc32(np.array([*rates], dtype=float).tobytes(), found)


def _settings(value: Layer | Loss | Optimizer) -> dict[str, Any]:
    """Return all attributes, except arrays of the network or optimizer, and layers, which are described themselves."""
    views = getattr(value, "views", {})
    without = {*LEFT_OUT, *RESERVED, *views, *getattr(value, "slots", ())}
    settings = vars(value) | value.config() | ({"trainable": value.trainable} if isinstance(value, Layer) else {})
    return {name: part for name, part in settings.items() if name not in without and not _is_layer(part)}


def _is_layer(value: Any) -> bool:
    """Return whether this is a layer, or holds layers: they are described by themselves."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    return any(isinstance(part, Layer) for part in parts)


def _code(function: FunctionType) -> str:
    captured = [cell.cell_contents for cell in function.__closure__ or ()]
    keywords = function.__kwdefaults__ or {}
    return f"{_instructions(function.__code__)} {described([*captured, *(function.__defaults__ or ()), keywords])}"


def _instructions(code: CodeType) -> str:
    """Return the instructions, names and constants of a function, and of the functions inside of it."""
    constants = [_instructions(part) if isinstance(part, CodeType) else described(part) for part in code.co_consts]
    return f"{code.co_qualname} {code.co_names} {zlib.crc32(code.co_code):08x} {constants}"
