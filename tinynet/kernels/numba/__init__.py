"""Serial Numba loops over the same NumPy arrays: functions one by one, and whole training steps of small networks."""

from .functions import (
    adam,
    count_correct,
    dense,
    dense_backward_parameters,
    dropout,
    gather,
    relu,
    relu_backward,
    sgd,
    softmax_cross_entropy,
)
from .steps import train_steps

__all__ = [
    "dense",
    "dense_backward_parameters",
    "relu",
    "relu_backward",
    "dropout",
    "softmax_cross_entropy",
    "count_correct",
    "sgd",
    "adam",
    "gather",
    "train_steps",
]
