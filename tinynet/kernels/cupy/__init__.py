"""A GPU by CuPy: functions as fused kernels, and whole training steps as CUDA graphs. ImportError where none works."""

from .device import describe, probe, synchronize, to_device, to_host, use, xp
from .functions import (
    adam,
    count_correct,
    dense,
    dropout,
    gather,
    gelu,
    gelu_backward,
    relu,
    relu_backward,
    sgd,
    softmax_cross_entropy,
)
from .steps import train_steps

probe()

__all__ = [
    "xp",
    "to_device",
    "to_host",
    "synchronize",
    "use",
    "describe",
    "dense",
    "relu",
    "relu_backward",
    "gelu",
    "gelu_backward",
    "dropout",
    "softmax_cross_entropy",
    "count_correct",
    "sgd",
    "adam",
    "gather",
    "train_steps",
]
