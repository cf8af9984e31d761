"""Checks of what a user passes to `fit`, `evaluate` and `predict`. Each is a pure function.

Arrays are checked on the host and then moved once to the network's backend.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import Array
from ..layers import Softmax
from ..losses import CrossEntropy, Loss, SoftmaxCrossEntropy
from ..network import Network
from ..optim import Optimizer


def rows_in(network: Network, x: Any) -> Array:
    """Return x (N, ...) in the network's dtype, or uint8 pixels unchanged, on the network's backend.

    Raises TypeError for numbers that are neither floats nor uint8, ValueError for a shape that the network cannot
    take, for no rows, and for numbers that are not finite. Warns if floats look like pixels from 0 to 255.
    """
    x = _on_host(network, x)
    if x.ndim < 2 or len(x) == 0:
        raise _no_rows(x)
    try:
        network.output_shape(x.shape[1:])
    except ValueError as error:
        raise ValueError(f"the network cannot take x {x.shape}: {error}") from None
    if x.dtype == np.uint8:
        return network.backend.to_device(x)
    if x.dtype.kind != "f":
        raise _no_floats(x)
    if x.min() >= 0 and 254 < x.max() <= 255:
        warn("x are floats that reach 255; did you mean x / 255?", UserWarning)
    return _moved(network, "x", x)


def targets_in(network: Network, loss: Loss, t: Any, N: int, K: int) -> Array:
    """Return targets (N, K) in the network's dtype on its backend, for N rows of x and K outputs.

    For a loss with classes, labels (N,), whole numbers 0 .. K - 1, become one-hot rows, and rows (N, K) must be at
    least 0 and sum to one. With one output, labels are 0 or 1, and rows (N, 1) lie between. For other losses, t must
    have the shape of the network's output.
    """
    t = _on_host(network, t)
    loss.check_outputs(network[-1], K)
    if loss.classifies and t.ndim == 1:
        return network.backend.to_device(_one_hot(t, N, K, network.dtype))
    if t.shape != (N, K):
        raise _wrong_shape(loss, t, N, K)
    if t.dtype.kind not in "biuf":
        raise TypeError(f"t must be real numbers, got {t.dtype}; t.astype(float) makes them so, if they are")
    if loss.classifies and K == 1:
        _check_rows(t[:, 0], (t >= 0) & (t <= 1), f"{type(loss).__name__} takes t between 0 and 1")
    elif loss.classifies:
        t = _distributions(t)
    return _moved(network, "t", t)


def weights_in(network: Network, loss: Loss, t: Array, class_weight: Any, sample_weight: Any) -> Array:
    """Return the weight of each row, (N, 1) on the network's backend."""
    t = network.backend.to_host(t)
    weights = np.ones(len(t)) if sample_weight is None else _on_host(network, sample_weight).astype(float)
    if weights.shape != (len(t),):
        raise ValueError(f"sample_weight must be ({len(t)},), one number for each row of x, got {weights.shape}")
    if class_weight is not None:
        weights = weights * _class_weights(loss, t, class_weight)
    if not 0 <= weights.min() <= weights.max() <= np.finfo(network.dtype).max or not weights.any():
        raise ValueError(f"weights must be finite, at least 0 and not all 0, got {weights.min()} to {weights.max()}")
    return network.backend.to_device(weights[:, None].astype(network.dtype))


def loss_for(network: Network, loss: Loss | None = None) -> Loss:
    """Return the loss, or the one that the network was trained with, or the usual one for its last layer.

    Raises TypeError if `loss` is not a Loss, and ValueError if it does not fit the network's last layer.
    """
    if not isinstance(loss, Loss | None):
        raise TypeError(f"loss must be a Loss, as SoftmaxCrossEntropy() is; got {loss!r}")
    last = network[-1]
    loss = loss or network.loss or (CrossEntropy() if isinstance(last, Softmax) else SoftmaxCrossEntropy())
    loss.check_outputs(last)
    return loss


def check_fit(network: Network, optimizer: Optimizer, epochs: int, batch_size: int, validation: Any) -> None:
    """Raise ValueError or TypeError for arguments that `fit` cannot use."""
    if not (is_count(epochs) and is_count(batch_size)):
        raise ValueError(f"fit takes epochs and batch_size of at least 1; got {epochs} and {batch_size}")
    if validation is not None and not (isinstance(validation, tuple | list) and len(validation) == 2):
        raise ValueError(f"fit takes validation=(x, t), two arrays; got {validation!r:.60}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit takes an optimizer such as Adam(network); got {optimizer!r}")
    network.check_views()
    if network.theta.size and sum(theta.size for theta, _ in network.frozen()) == network.theta.size:
        raise ValueError("fit has nothing to train: every layer is frozen; layer.trainable = True frees one")
    if optimizer.network is not network:
        raise ValueError("fit takes an optimizer of the network that it trains; this one belongs to another network")


def is_count(value: Any) -> bool:
    """Return whether this is a whole number of at least 1."""
    return isinstance(value, Integral) and int(value) > 0


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning that points at the user's line: the first one outside of this package."""
    package, level, frame = __name__.partition(".")[0], 1, inspect.currentframe()
    while frame and frame.f_globals["__name__"].partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _on_host(network: Network, array: Any) -> np.ndarray:
    if isinstance(array, network.backend.xp.ndarray):
        return network.backend.to_host(array)
    return np.asarray(array)


def _moved(network: Network, name: str, array: np.ndarray) -> Array:
    with np.errstate(over="ignore"):
        array = array.astype(network.dtype, copy=False)
    if not np.isfinite(array).all():
        raise _not_finite(name, array)
    return network.backend.to_device(array)


def _one_hot(labels: np.ndarray, N: int, K: int, dtype: np.dtype) -> np.ndarray:
    if len(labels) != N:
        raise ValueError(f"x has {N} rows, but t has {len(labels)} labels")
    if labels.dtype.kind not in "iu":
        raise _no_integers(labels, K)
    top = max(K - 1, 1)
    _check_rows(labels, (labels >= 0) & (labels <= top), f"labels must lie in 0 .. {top}")
    return np.eye(K, dtype=dtype)[labels] if K > 1 else labels.astype(dtype)[:, None]


def _distributions(t: np.ndarray) -> np.ndarray:
    total = t.sum(axis=1, keepdims=True)
    fits = (t >= 0).all(axis=1) & (abs(total[:, 0] - 1) <= 1e-3)
    _check_rows(t, fits, "MeanSquaredError takes any numbers, but here rows of t must be at least 0 and sum to one")
    return t / total


def _check_rows(t: np.ndarray, fits: np.ndarray, rule: str) -> None:
    if not fits.all():
        row = fits.argmin()
        raise ValueError(f"{rule}, got {t[row]} in row {row}")


def _no_rows(x: np.ndarray) -> ValueError:
    cure = "x[None] makes one row of it" if x.ndim == 1 else "each row is (D,), or a picture (C, H, W)"
    return ValueError(f"x must be (N, ...) with at least one row, got {x.shape}; {cure}")


def _no_floats(x: np.ndarray) -> TypeError:
    return TypeError(
        f"x must be floats, or uint8 pixels 0-255, which are divided by 255; got {x.dtype}: "
        "use x.astype('float32') for numbers to take as they are, x.astype('uint8') for pixels"
    )


def _not_finite(name: str, array: np.ndarray) -> ValueError:
    row, *index = np.argwhere(~np.isfinite(array))[0].tolist()
    where = f"column {index[0]}" if len(index) == 1 else f"at {tuple(index)}"
    return ValueError(f"{name} must be finite, got {array[row, *index]} in row {row}, {where}")


def _wrong_shape(loss: Loss, t: np.ndarray, N: int, K: int) -> ValueError:
    forms = f"({N},) of labels or ({N}, {K}) of rows" if loss.classifies else f"({N}, {K})"
    cure = "; t[:, None] makes it one column" if t.shape == (N,) and K == 1 else ""
    return ValueError(f"{type(loss).__name__} takes targets {forms}, got {t.shape}{cure}")


def _no_integers(labels: np.ndarray, K: int) -> TypeError:
    cure = "; t[:, None] takes them as probabilities" if K == 1 and labels.dtype.kind == "f" else ""
    return TypeError(f"labels must be whole numbers, got {labels.dtype}; t.astype(int) makes them so{cure}")


def _class_weights(loss: Loss, t: np.ndarray, given: Any) -> np.ndarray:
    """Return the weight of each row's class; for a row that is divided between classes, the weighted mean."""
    if not loss.classifies:
        raise ValueError(f"class_weight takes a loss that knows classes, got {loss}: use sample_weight")
    rows = t if t.shape[1] > 1 else np.hstack([1 - t, t])
    K = rows.shape[1]
    named = dict(given) if isinstance(given, Mapping) else dict(enumerate(np.ravel(given)))
    if not set(named) <= set(range(K)) or not (isinstance(given, Mapping) or len(named) == K):
        raise ValueError(f"class_weight takes weights of the classes 0 .. {K - 1}, got {given!r}")
    return rows @ np.array([named.get(k, 1.0) for k in range(K)], dtype=float)
