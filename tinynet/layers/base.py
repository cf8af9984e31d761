"""The contract of a layer: forward, backward, parameters, buffers, config, output shape.

How a network binds, copies, pickles, freezes and counts layers is in `bound.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions
from ..arrays import Array
from .bound import BoundLayer, Shape, Shapes


class Layer(BoundLayer):
    """One step of a network: y = f(x). Your own layer overrides `forward`, `backward` and, for parameters, `shapes`.

    `self.ops` offers the functions of `functions.py`; a network on another backend replaces them by kernels. A layer
    may hold other layers as attributes, in lists or in dictionaries; the network finds them.
    """

    ops = functions
    memory: Any = None
    """What forward kept for backward: `self.memory = x if train else None`."""

    D: int | None = None
    """Input features, for a layer that takes rows of exactly that length."""

    def forward(self, x: Array, train: bool = False) -> Array:
        """Return y for x (N, ...). With `train`, keep in `self.memory` what backward needs."""
        raise NotImplementedError(f"{self} defines no forward(self, x, train=False)")

    def backward(self, dy: Array) -> Array:
        """Return dx for dy, and write the gradients of the parameters: `self.dW[...] = ` or `out=self.dW`."""
        raise NotImplementedError(f"{self} defines no backward(self, dy)")

    def backward_parameters(self, dy: Array) -> None:
        """Write the gradients of the parameters only: for the first layer of a network, whose dx nothing needs."""
        self.backward(dy)

    def shapes(self) -> Shapes:
        """Return the names and shapes of the parameters. "W" makes the network set the views `self.W`, `self.dW`."""
        return {}

    def buffers(self) -> Shapes:
        """Return names and shapes of arrays that are kept but not trained, such as a running mean."""
        return {}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the first values of the parameters and buffers that do not start at zero."""
        return {}

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, as JSON values or layers, for `repr`, `save` and `load`."""
        return {}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of y for a row x of this shape. Raises ValueError if x cannot have this shape."""
        if self.D and shape not in (None, (self.D,)):
            raise self.misfit(shape)
        return shape

    def recall(self) -> Any:
        """Return `self.memory`, for backward. Raises RuntimeError if the last forward was not a training pass."""
        if self.memory is None:
            raise RuntimeError(f"{self}.backward needs what forward(x, train=True) keeps; call that first")
        return self.memory
