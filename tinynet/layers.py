"""Who remembers what: the layers. Their mathematics is in `functions.py`, under the names they call.

A layer keeps what its backward needs, and only in training. Its parameters and their gradients are windows into
the network's two vectors: write into them (`self.dW[...] = `, `out=self.dW`), never rebind them.
"""

from __future__ import annotations

import copy
import math
from numbers import Integral
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import rng
from .functions import Array


class Layer:
    """One map of a network. A layer of your own overrides `forward` and `backward`, and with parameters `shapes`.

    `self.ops` offers the functions of `functions.py` as the network's backend has them. `self.memory` is for what
    backward needs: `self.memory = x if train else None`, and `self.recall()` to have it back.
    """

    ops: SimpleNamespace
    D: int | None = None
    """Features that go in, for a layer that takes just one number of them."""

    memory: Any = None
    counter: int = 0
    """Training passes made so far: the counter of every random number that the layer draws."""

    def forward(self, x: Array, train: bool = False) -> Array:
        """y, from x (N, D)."""
        raise NotImplementedError(f"{self} defines no forward(self, x, train=False)")

    def backward(self, dy: Array) -> Array:
        """dx, from dy; the gradients of the parameters are written into their windows."""
        raise NotImplementedError(f"{self} defines no backward(self, dy)")

    def backward_parameters(self, dy: Array) -> None:
        """The gradients of the parameters alone: all that is asked of a network's first layer."""
        self.backward(dy)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, by name, as JSON can hold them: for `repr`, `save` and `load`."""
        return {}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes; "W" gets the windows `self.W` and `self.dW`."""
        return {}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        """First values of those parameters that do not start at zero."""
        return {}

    def outputs(self, inputs: int | None) -> int | None:
        """Features that come out when `inputs` go in (None: not known)."""
        return inputs

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition that one row costs in forward."""
        return 0

    def recall(self) -> Any:
        """What forward kept for backward; RuntimeError if the last forward was not in training."""
        if self.memory is None:
            raise RuntimeError(f"{self}.backward needs what forward(x, train=True) keeps; the last was no training")
        return self.memory

    def bind(self, ops: SimpleNamespace, theta: Array, grad: Array, stream: int) -> None:
        """Make the layer part of one network: its functions, its stretch of both vectors, its random stream."""
        self.ops, self.stream = ops, stream
        start = 0
        for name, shape in self.shapes().items():
            stop = start + math.prod(shape)
            setattr(self, name, theta[start:stop].reshape(shape))
            setattr(self, "d" + name, grad[start:stop].reshape(shape))
            start = stop
        self.windows = {name: getattr(self, name) for name in self.shapes()}

    def check_windows(self) -> None:
        """ValueError if a parameter is no longer the window into theta that it was."""
        for name, window in self.windows.items():
            if getattr(self, name) is not window:
                raise ValueError(f"{self}.{name} was replaced and is cut off from theta; write {name}[...] = instead")

    def unbound(self) -> Layer:
        """A copy that is part of no network yet."""
        twin = copy.copy(self)
        windows = [prefix + name for name in self.shapes() for prefix in ("", "d")]
        for name in ("ops", "stream", "windows", "memory", *windows):
            vars(twin).pop(name, None)
        return copy.deepcopy(twin)

    @property
    def is_bound(self) -> bool:
        """Whether the layer is part of a network."""
        return "ops" in vars(self)

    def __getattr__(self, name: str) -> Any:
        reason = "" if self.is_bound else "; it is part of no network yet: tn.Network(layer)"
        raise AttributeError(f"{type(self).__name__} has no {name!r}{reason}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(str(value) for value in self.config().values())})"


class Dense(Layer):
    """y = x W + b        x (N, D), W (D, M), b (1, M) -> y (N, M)

    `init` names the rule that draws W: glorot_uniform, glorot_normal, he_uniform, he_normal or zeros; b starts at 0.
    Raises ValueError for widths below 1 and an unknown `init`.
    """

    def __init__(self, inputs: int, outputs: int, init: str = "glorot_uniform") -> None:
        if not all(isinstance(width, Integral) and width > 0 for width in (inputs, outputs)):
            raise ValueError(f"Dense takes two whole numbers of at least 1; got {inputs!r} and {outputs!r}")
        if init not in rng.INITIALISERS:
            raise ValueError(f"Dense takes init = {', '.join(rng.INITIALISERS)}; got {init!r}")
        self.D: int = int(inputs)
        self.M, self.init = int(outputs), init

    def forward(self, x: Array, train: bool = False) -> Array:
        if x.ndim < 2 or x.shape[-1] != self.D:
            raise ValueError(f"{self} takes x (N, {self.D}), got {x.shape}")
        self.memory = x if train else None
        return self.ops.dense(x, self.W, self.b)

    def backward(self, dy: Array) -> Array:
        self.backward_parameters(dy)
        return self.ops.dense_backward(dy, self.W)

    def backward_parameters(self, dy: Array) -> None:
        self.ops.dense_backward_parameters(dy, self.recall(), self.dW, self.db)

    def config(self) -> dict[str, Any]:
        widths = {"inputs": self.D, "outputs": self.M}
        return widths if self.init == "glorot_uniform" else widths | {"init": self.init}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.D, self.M), "b": (1, self.M)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        return {"W": rng.INITIALISERS[self.init](draw, self.D, self.M)}

    def outputs(self, inputs: int | None) -> int | None:
        if inputs not in (None, self.D):
            raise ValueError(f"{self} takes x (N, {self.D}), but the layer before gives (N, {inputs})")
        return self.M

    @property
    def multiply_adds(self) -> int:
        return self.D * self.M


class ReLU(Layer):
    """y = max(x, 0)        Nair and Hinton 2010"""

    def forward(self, x: Array, train: bool = False) -> Array:
        y = self.ops.relu(x)
        self.memory = y if train else None
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.relu_backward(dy, self.recall())


class Softmax(Layer):
    """y_k = exp(x_k) / sum_j exp(x_j)        for probabilities as a layer, with CrossEntropy after it

    To train, leave it out and use SoftmaxCrossEntropy on the logits: y underflows where the logits do not.
    """

    def forward(self, x: Array, train: bool = False) -> Array:
        y = self.ops.softmax(x)
        self.memory = y if train else None
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.softmax_backward(dy, self.recall())


class Dropout(Layer):
    """In training, y = x mask, mask 0 with probability `rate`, else 1 / (1 - rate); otherwise y = x.

    The mask is a function of the network's seed, the layer's place and `counter`, the training passes made so far.
    Raises ValueError for a rate outside [0, 1). Srivastava et al. 2014.
    """

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout takes a rate of at least 0 and below 1; got {rate!r}")
        self.rate = float(rate)

    def forward(self, x: Array, train: bool = False) -> Array:
        self.memory = None
        if not train:
            return x
        y, self.memory = self.ops.dropout(x, self.rate, rng.stream_key(self.stream, self.counter))
        self.counter += 1
        return y

    def backward(self, dy: Array) -> Array:
        return self.ops.dropout_backward(dy, self.recall())

    def config(self) -> dict[str, Any]:
        return {"rate": self.rate}
