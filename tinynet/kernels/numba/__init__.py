"""Numba loops over the same NumPy arrays: functions one by one, and whole training steps, on threads where it pays."""

try:
    import numba as _numba
except ImportError as _error:
    raise ImportError("Numba is not installed; install the extra fast") from _error

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
    relu,
    relu_backward,
    rmsprop,
    sgd,
    softmax_cross_entropy,
)
from .steps import evaluate_steps, share_steps, train_steps
from .threads import most_threads as _most_threads


def describe() -> str:
    """What compiles the loops."""
    return f"Numba {_numba.__version__}, loops on the host, {_most_threads()} threads at most"


__all__ = [
    "describe",
    "dense",
    "dense_backward_parameters",
    "relu",
    "relu_backward",
    "gelu",
    "gelu_backward",
    "dropout",
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
