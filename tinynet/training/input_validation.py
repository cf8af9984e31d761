"""The one border: what a user hands in is checked on the host, and then moved once to where the network lives."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import Array
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer


def rows_in(network: Network, x: Any) -> Array:
    """x (N, D) of the network's dtype, or uint8 pixels as they are, on the network's backend.

    Raises TypeError for numbers that are neither floats nor uint8, ValueError for another shape, no row, or a
    number that is not finite.
    """
    x = _on_host(network, x)
    if x.ndim != 2 or len(x) == 0:
        cure = "x[None] makes one row of it" if x.ndim == 1 else "x.reshape(len(x), -1) makes rows"
        raise ValueError(f"x must be (N, D) with at least one row, got {x.shape}; {cure}")
    if network.inputs not in (None, x.shape[1]):
        raise ValueError(f"the network takes x (N, {network.inputs}), got {x.shape}")
    if x.dtype == np.uint8:
        return network.backend.to_device(x)
    if x.dtype.kind != "f":
        raise TypeError(
            f"x must be floats, or uint8 pixels 0-255, which are divided by 255; got {x.dtype}: "
            "use x.astype('float32') for numbers to take as they are, x.astype('uint8') for pixels"
        )
    return _moved(network, "x", x)


def targets_in(network: Network, loss: Loss, t: Any, like: Array) -> Array:
    """Targets (N, K) of the network's dtype on its backend, one row for each row of `like`, whatever form t has.

    For a loss that classifies: labels (N,), whole numbers 0 .. K - 1, become one-hot rows, and rows (N, K) must be
    at least 0 and sum to one. For another, t must have the shape of the network's output.
    """
    t = _on_host(network, t)
    N, K = len(like), network.forward(first_row(network, like)).shape[-1]
    if loss.classifies and t.ndim == 1:
        return network.backend.to_device(_one_hot(t, N, K, network.dtype))
    if t.shape != (N, K):
        forms = f"({N},) of labels or ({N}, {K}) of rows" if loss.classifies else f"({N}, {K})"
        raise ValueError(f"{type(loss).__name__} takes targets {forms}, got {t.shape}")
    if t.dtype.kind not in "biuf":
        raise TypeError(f"t must be real numbers, got {t.dtype}; t.astype(float) makes them so, if they are")
    if loss.classifies:
        t = _distributions(t)
    return _moved(network, "t", t)


def first_row(network: Network, x: Array) -> Array:
    """The first row of what `rows_in` gives, as the network takes it: (1, D)."""
    return network.backend.ops.gather(x, network.backend.to_device(np.arange(1)), network.dtype)


def check_fit(
    network: Network,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    validation: tuple[Any, Any] | None,
    callbacks: Iterable[Any],
    patience: int | None,
) -> None:
    """Refuses what `fit` cannot work with, before any work is done."""
    if not all(isinstance(count, Integral) and count > 0 for count in (epochs, batch_size)):
        raise ValueError(f"fit takes epochs and batch_size of at least 1; got {epochs} and {batch_size}")
    if validation is not None and len(validation) != 2:
        raise ValueError(f"fit takes validation=(x, t), got {len(validation)} of them")
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit takes callbacks in a list, got {type(callbacks).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit takes an optimizer, as Adam(network) is; got {optimizer!r}")
    network.check_windows()
    if optimizer.network is not network:
        raise ValueError("fit takes an optimizer of the network that it trains; this one moves another's theta")
    if patience is not None and (patience < 1 or validation is None):
        raise ValueError(f"fit takes patience of at least 1, with validation=(x, t) to judge by; got {patience}")


def _on_host(network: Network, array: Any) -> np.ndarray:
    if isinstance(array, network.backend.xp.ndarray):
        return network.backend.to_host(array)
    return np.asarray(array)


def _moved(network: Network, name: str, array: np.ndarray) -> Array:
    with np.errstate(over="ignore"):
        array = array.astype(network.dtype, copy=False)
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(f"{name} must be finite, got {array[row, column]} in row {row}, column {column}")
    return network.backend.to_device(array)


def _one_hot(labels: np.ndarray, N: int, K: int, dtype: np.dtype) -> np.ndarray:
    if len(labels) != N:
        raise ValueError(f"x has {N} rows, but t has {len(labels)} labels")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be whole numbers, got {labels.dtype}; t.astype(int) makes them so")
    wrong = np.flatnonzero((labels < 0) | (labels >= K))
    if wrong.size:
        raise ValueError(f"labels must lie in 0 .. {K - 1}, got {labels[wrong[0]]} in row {wrong[0]}")
    return np.eye(K, dtype=dtype)[labels]


def _distributions(t: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero((t < 0).any(axis=1) | (abs(t.sum(axis=1) - 1) > 1e-3))
    if wrong.size:
        raise ValueError(
            f"rows of t must be at least 0 and sum to one, got {t[wrong[0]]} in row {wrong[0]}; "
            "MeanSquaredError takes any numbers"
        )
    return t / t.sum(axis=1, keepdims=True)
