"""What every layer is: a place in a network, windows into its vectors, a memory between forward and backward."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..arrays import Array


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
        self.windows = {name: getattr(self, name) for name in self._window_names()}

    def check_windows(self) -> None:
        """ValueError if a parameter or its gradient is no longer the window that it was."""
        for name, window in self.windows.items():
            if getattr(self, name) is not window:
                raise ValueError(
                    f"{self}.{name} was replaced and is cut off from the network's vectors; write {name}[...] = instead"
                )

    def unbound(self) -> Layer:
        """A copy that is part of no network yet."""
        twin = copy.copy(self)
        for name in ("ops", "stream", "windows", "memory", *self._window_names()):
            vars(twin).pop(name, None)
        return copy.deepcopy(twin)

    @property
    def is_bound(self) -> bool:
        """Whether the layer is part of a network."""
        return "ops" in vars(self)

    def _window_names(self) -> list[str]:
        return [prefix + name for name in self.shapes() for prefix in ("", "d")]

    def __getattr__(self, name: str) -> Any:
        reason = "" if self.is_bound else "; it is part of no network yet: tn.Network(layer)"
        raise AttributeError(f"{type(self).__name__} has no {name!r}{reason}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(str(value) for value in self.config().values())})"
