"""Functions and whole training steps compiled by Numba, for NumPy arrays, on threads where that is faster."""

try:
    import numba as _numba
except ImportError as _error:
    raise ImportError("Numba is not installed: install the extra `fast`") from _error

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
from .steps import compile_step, evaluate_steps, share_steps, train_steps
from .thread_count import most_threads as _most_threads


def to_device(x: _np.ndarray) -> _np.ndarray:
    """Return the array, C-contiguous: an array such as x[::2] is copied once, and not again in every epoch."""
    return _np.asarray(x, order="C")


def describe() -> str:
    """Return Numba's version and the number of threads."""
    return f"Numba {_numba.__version__}, compiled loops on the host, at most {_most_threads()} threads"
