"""Layers: each keeps the arrays that its backward pass needs. Their mathematics is in `functions.py`.

A layer keeps arrays only in training. Its parameters and their gradients are views into the network's two vectors:
write into them (`self.dW[...] = `, `out=self.dW`), never rebind them.
"""

from .activation import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from .base import Layer
from .convolution import Conv2D
from .dense import Dense
from .dropout import Dropout
from .flatten import Flatten
from .normalization import BatchNorm, LayerNorm
from .pooling import AveragePool2D, GlobalAveragePool, MaxPool2D
from .residual import Residual

__all__ = [
    "Layer",
    "Dense",
    "ReLU",
    "LeakyReLU",
    "Tanh",
    "Sigmoid",
    "GELU",
    "Softmax",
    "Dropout",
    "Conv2D",
    "MaxPool2D",
    "AveragePool2D",
    "GlobalAveragePool",
    "BatchNorm",
    "LayerNorm",
    "Flatten",
    "Residual",
]
