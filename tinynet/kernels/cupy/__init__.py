"""A GPU through CuPy: functions as fused kernels, and whole training steps as CUDA graphs.

Raises ImportError if no GPU works.
"""

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
from .pictures import (
    average_pool2d,
    average_pool2d_backward,
    batch_norm,
    batch_norm_backward,
    batch_norm_backward_parameters,
    conv2d,
    conv2d_backward,
    conv2d_backward_parameters,
    max_pool2d,
    max_pool2d_backward,
    moments,
)
from .steps import train_steps

probe()
