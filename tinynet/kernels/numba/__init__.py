"""Numba loops over the same NumPy arrays: functions one by one, and whole training steps, on threads where it pays."""

try:
    import numba as _numba
except ImportError as _error:
    raise ImportError("Numba is not installed; install the extra fast") from _error

import numpy as _np

from .convolution import conv2d, conv2d_backward, conv2d_backward_parameters
from .functions import (
    adam,
    clip_norm,
    count_correct,
    dense,
    dense_backward_parameters,
    dropout,
    gather,
    gelu,
    gelu_backward,
    rmsprop,
    sgd,
    softmax_cross_entropy,
)
from .pictures import (
    batch_norm,
    batch_norm_backward,
    batch_norm_backward_parameters,
    max_pool2d,
    max_pool2d_backward,
    moments,
    relu,
    relu_backward,
)
from .steps import evaluate_steps, share_steps, train_steps
from .threads import most_threads as _most_threads


def to_device(x: _np.ndarray) -> _np.ndarray:
    """The array, in order in memory: what is not, as x[::2], is copied once, and not by every epoch."""
    return _np.asarray(x, order="C")


def describe() -> str:
    """What compiles the loops."""
    return f"Numba {_numba.__version__}, loops on the host, {_most_threads()} threads at most"


__all__ = [
    "describe",
    "to_device",
    "dense",
    "dense_backward_parameters",
    "relu",
    "relu_backward",
    "gelu",
    "gelu_backward",
    "dropout",
    "conv2d",
    "conv2d_backward",
    "conv2d_backward_parameters",
    "max_pool2d",
    "max_pool2d_backward",
    "moments",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_backward_parameters",
    "softmax_cross_entropy",
    "count_correct",
    "sgd",
    "adam",
    "rmsprop",
    "clip_norm",
    "gather",
    "train_steps",
    "evaluate_steps",
    "share_steps",
]
