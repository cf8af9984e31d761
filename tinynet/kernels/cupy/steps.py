"""`training.train_steps` for networks as `mlp` makes them: a whole training step as one CUDA graph.

Some twenty small kernels make a step; launched one by one from Python they cost ten times what they compute. A graph
launches them together. Nothing in it comes from the host: kernels.cu says how the clock replaces arguments. Where
capture fails, the same kernels are launched one by one. Losses and right answers stay on the device, each row's in a
place of its own; one synchronisation an epoch, when `training` fetches their sums.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import cupy
import numpy as np

from ... import training
from ...arrays import Array
from ...losses import Loss
from ...network import Network
from ...optim import Adam, Optimizer
from .._mlp import dense_layers, dropouts, is_covered
from .device import launch
from .products import Products

STEPS_AT_ONCE = 500
"""Launches of the graph between two returns to Python, so that the progress bar moves and Ctrl-C is heard."""


def train_steps(
    network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
) -> Iterator[tuple[int, Array, Array]]:
    if not is_covered(network, optimizer, loss, x, t):
        yield from training.train_steps(network, optimizer, loss, x, t, order, batch_size)
        return
    epoch = _Epoch(network, optimizer, x, t, order, batch_size)
    full, rest = divmod(len(order), batch_size)
    for start in range(0, full, STEPS_AT_ONCE):
        yield epoch.run(start * batch_size, min(STEPS_AT_ONCE, full - start), batch_size)
    if rest:
        yield epoch.run(full * batch_size, 1, rest)


class _Epoch:
    """One epoch's order, clock and results on the device, and the network's step as kernels over them."""

    def __init__(
        self, network: Network, optimizer: Optimizer, x: Array, t: Array, order: np.ndarray, batch_size: int
    ) -> None:
        self.optimizer, self.x, self.t, self.batch_size = optimizer, x, t, batch_size
        self.dense, self.dropouts = dense_layers(network), dropouts(network)
        self.theta, self.grad = network.theta, network.grad
        self.stream, self.products = _stream_and_products(cupy.cuda.Device().id)
        steps = -(-len(order) // batch_size)
        counters = [layer.counter if layer else 0 for layer in self.dropouts]
        self.order = cupy.asarray(order)
        self.clock = cupy.asarray(np.array([-1, optimizer.t, *counters], np.int64))
        self.rates = cupy.asarray(np.array(optimizer.rates(steps)))
        self.streams = cupy.asarray(np.array([layer.stream if layer else 0 for layer in self.dropouts], np.uint64))
        self.keys = cupy.empty(2 * len(self.dropouts), np.uint32)
        self.factors = cupy.empty(3, np.float32)
        self.row_loss, self.row_right = cupy.empty(len(order), np.float32), cupy.empty(len(order), np.uint8)
        widths = [layer.D for layer in self.dense] + [self.dense[-1].M]
        self.h = [cupy.empty((batch_size, width), np.float32) for width in widths]
        self.dh = [cupy.empty((batch_size, width), np.float32) for width in widths[:-1]]
        self.launch_all: dict[int, Callable[[], None]] = {}

    def run(self, start: int, steps: int, N: int) -> tuple[int, Array, Array]:
        """So many steps of N rows each, from that place of the order on: rows, summed loss, right answers."""
        arrived = cupy.cuda.get_current_stream().record()
        self.stream.wait_event(arrived)
        with self.stream:
            for _ in range(steps):
                self._launcher(N)()
            stop = start + steps * N
            totals = self.row_loss[start:stop].sum(dtype=np.float64), self.row_right[start:stop].sum(dtype=np.int64)
            done = self.stream.record()
        cupy.cuda.get_current_stream().wait_event(done)
        self.optimizer.t += steps
        for layer in self.dropouts:
            if layer:
                layer.counter += steps
        return steps * N, *totals

    def _launcher(self, N: int) -> Callable[[], None]:
        """The first step of N rows is launched kernel by kernel, which loads them all; the second is captured."""
        if N not in self.launch_all:
            self.launch_all[N] = lambda: self._capture(N)
            return lambda: self._step(N)
        return self.launch_all[N]

    def _capture(self, N: int) -> None:
        try:
            self.stream.begin_capture()
            self._step(N)
            graph = self.stream.end_capture()
            self.launch_all[N] = lambda: graph.launch(self.stream)
        except Exception as error:
            with contextlib.suppress(Exception):
                self.stream.end_capture()
            warnings.warn(f"no CUDA graph, steps run kernel by kernel: {error}", RuntimeWarning, stacklevel=2)
            self.launch_all[N] = lambda: self._step(N)
        self.launch_all[N]()

    def _step(self, N: int) -> None:
        self._begin()
        self._forward(N)
        self._backward(N)
        self._update()

    def _begin(self) -> None:
        rule: Any = self.optimizer
        settings = (rule.beta1, rule.beta2, rule.eps) if isinstance(rule, Adam) else (-1.0, 0.0, 0.0)
        doubles = [np.float64(value) for value in (*settings, rule.weight_decay)]
        arrays = self.clock, self.streams, self.keys, self.rates, self.factors
        launch("begin_step", np.float32, 1, *arrays, np.int32(len(self.dropouts)), *doubles)

    def _forward(self, N: int) -> None:
        x, D = self.h[0][:N], np.int32(self.dense[0].D)
        gather = "gather_pixels_step" if self.x.dtype == np.uint8 else "gather_rows_step"
        batch = np.int32(self.batch_size)
        launch(gather, np.float32, x.size, self.x, self.order, self.clock, x, D, batch, *self._mask(0))
        for k, layer in enumerate(self.dense):
            z = self.h[k + 1][:N]
            self.products.forward(self.h[k][:N], layer.W, z)
            if layer is not self.dense[-1]:
                launch("bias_relu_dropout", np.float32, z.size, z, layer.b, np.int32(layer.M), *self._mask(k + 1))
        targets, results = (self.t, self.order, self.clock), (self.row_loss, self.row_right)
        last = self.dense[-1]
        launch("loss_step", np.float32, N, self.h[-1][:N], last.b, *targets, *results, np.int32(last.M), batch)

    def _backward(self, N: int) -> None:
        dz = self.h[-1][:N]
        for k in reversed(range(len(self.dense))):
            layer, x = self.dense[k], self.h[k][:N]
            self.products.backward_parameters(dz, x, layer.dW)
            launch("sum_rows", np.float32, layer.M, dz, layer.db, np.int32(N))
            if k:
                dx = self.dh[k][:N]
                self.products.backward(dz, layer.W, dx)
                launch("relu_dropout_backward", np.float32, dx.size, dx, x, self._mask(k)[-1])
                dz = dx

    def _update(self) -> None:
        rule: Any = self.optimizer
        vectors = self.theta, self.grad, *(getattr(rule, slot) for slot in rule.slots), self.factors
        if isinstance(rule, Adam):
            launch("adam_step", np.float32, self.theta.size, *vectors, np.float32(rule.beta1), np.float32(rule.beta2))
        else:
            launch(
                "sgd_step", np.float32, self.theta.size, *vectors, np.float32(rule.momentum), np.int32(rule.nesterov)
            )

    def _mask(self, k: int) -> tuple[Array, np.uint64, np.float32]:
        """The dropout in front of the k-th Dense: where its key is, its threshold (0: there is none) and its scale."""
        layer = self.dropouts[k]
        rate = layer.rate if layer else 0.0
        return self.keys[2 * k : 2 * k + 2], np.uint64(round(rate * 2**32)), np.float32(1 / (1 - rate))


@functools.cache
def _stream_and_products(device: int) -> tuple[Any, Products]:
    """A stream that may capture, and cuBLAS on it: made once for each device, for making cuBLAS takes long."""
    stream = cupy.cuda.Stream(non_blocking=True)
    return stream, Products(stream)
