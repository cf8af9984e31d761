"""`loop.train_steps` for networks such as `mlp` makes: a whole training step as one CUDA graph.

A step is about twenty small kernels. To launch them one by one from Python takes ten times as long as their
computation; a graph launches them together. No argument comes from the host: kernels.cu explains how the clock replaces
them. If capture fails, the same kernels are launched one by one. Loss and correctness of each row stay on the device,
and an epoch synchronizes once, when `training` fetches their sums.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import cupy
import numpy as np

from ...arrays import Array
from ...losses import Loss
from ...network import Network
from ...optim import Optimizer
from ...training import loop
from .._mlp import dense_layers, dropouts, has_covered_optimizer, is_covered, smoothed
from .device import launch
from .products import Products

STEPS_AT_ONCE = 500
"""Launches of the graph between two returns to Python, so that the progress bar moves and Ctrl-C is noticed."""

SQUARES = 1024
"""Threads that share the sum of squares of a gradient that is to be clipped."""


def train_steps(
    network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
) -> Iterator[tuple[int, Array, Array]]:
    covered = is_covered(network, loss, x) and has_covered_optimizer(network, optimizer)
    step = _step_for(network, optimizer, loss, x, t, min(batch_size, len(x))) if covered else None
    if step is None:
        yield from loop.train_steps(network, optimizer, loss, x, t, order, batch_size)
        return
    with network.theta.device:
        yield from step.epoch(optimizer, order)


_steps: weakref.WeakKeyDictionary[Network, _Step] = weakref.WeakKeyDictionary()
"""The last step of each network, so that `fit` captures it once. It keeps its rows and targets on the device."""


def _step_for(network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, batch_size: int) -> _Step | None:
    """Return the step of the epoch before or a new one; None, with a warning, if cuBLAS cannot be used for capture."""
    step = _steps.get(network)
    if step and step.matches(optimizer, loss, x, t, batch_size):
        return step
    try:
        with network.theta.device:
            _steps[network] = _Step(network, optimizer, loss, x, t, batch_size)
    except (OSError, RuntimeError) as error:
        warnings.warn(f"steps run function by function, which is slower: {error}", RuntimeWarning, stacklevel=2)
        return None
    return _steps[network]


class _Step:
    """A network's training step: its kernels, the buffers that they use, and a CUDA graph for each batch size."""

    def __init__(self, network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, batch_size: int) -> None:
        self.optimizer, self.settings, self.batch_size = weakref.ref(optimizer), _settings(optimizer, loss), batch_size
        self.given = x, t
        self.slots = [getattr(optimizer, name) for name in optimizer.slots]
        self.x, self.t = cupy.ascontiguousarray(x), cupy.ascontiguousarray(smoothed(loss, t))
        self.dense, self.dropouts = dense_layers(network), dropouts(network)
        self.theta, self.grad = network.theta, network.grad
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.products = Products(self.stream)
        random_keys = [layer.random_key if layer else 0 for layer in self.dropouts]
        self.random_keys = cupy.asarray(np.array(random_keys, np.uint64))
        self.keys = cupy.empty(2 * len(self.dropouts), np.uint32)
        self.clock = cupy.empty(2 + len(self.dropouts), np.int64)
        self.order, self.rates = cupy.empty(len(x), np.int64), cupy.empty(-(-len(x) // batch_size), np.float64)
        self.factors, self.squares = cupy.empty(4, np.float32), cupy.empty(SQUARES, np.float64)
        self.row_loss, self.row_correct = cupy.empty(len(x), np.float32), cupy.empty(len(x), np.uint8)
        self.h = [cupy.empty((batch_size, layer.D), np.float32) for layer in self.dense]
        self.z = cupy.empty((batch_size, self.dense[-1].M), np.float32)
        self.dh = [cupy.empty_like(h) for h in self.h[1:]]
        self.launched: set[int] = set()
        self.graphs: dict[int, Any] = {}

    def matches(self, optimizer: Optimizer, loss: Loss, x: Array, t: Array, batch_size: int) -> bool:
        """Return True if this step was made for the same optimizer, data, batch size and settings."""
        same = self.optimizer() is optimizer and self.given[0] is x and self.given[1] is t
        return same and self.batch_size == batch_size and self.settings == _settings(optimizer, loss)

    def epoch(self, optimizer: Optimizer, order: np.ndarray) -> Iterator[tuple[int, Array, Array]]:
        """Take the steps for these rows in their order. Yields totals after every few hundred steps."""
        full, rest = divmod(len(order), self.batch_size)
        counters = [layer.counter if layer else 0 for layer in self.dropouts]
        self.clock[...] = cupy.asarray(np.array([-1, optimizer.step_count, *counters], np.int64))
        count = full + (rest > 0)
        self.rates[:count] = cupy.asarray(np.array(optimizer.rates(count)))
        self.order[: len(order)] = cupy.asarray(order)
        for start in range(0, full, STEPS_AT_ONCE):
            steps = min(STEPS_AT_ONCE, full - start)
            yield self._run(optimizer, start * self.batch_size, steps, self.batch_size)
        if rest:
            yield self._run(optimizer, full * self.batch_size, 1, rest)

    def _run(self, optimizer: Optimizer, start: int, steps: int, N: int) -> tuple[int, Array, Array]:
        """Take that many steps of N rows each, from `start` in the order. Return rows, summed loss and correct rows.

        Also after Ctrl-C, the caller's stream waits for the launched steps, and step count and counters include them.
        """
        outside, launched = cupy.cuda.get_current_stream(), 0
        self.stream.wait_event(outside.record())
        try:
            with self.stream:
                while launched < steps:
                    self._launch(N)
                    launched += 1
        finally:
            outside.wait_event(self.stream.record())
            optimizer.step_count += launched
            for layer in self.dropouts:
                if layer:
                    layer.counter += launched
        taken = slice(start, start + steps * N)
        return steps * N, self.row_loss[taken].sum(dtype=np.float64), self.row_correct[taken].sum(dtype=np.int64)

    def _launch(self, N: int) -> None:
        """Launch a step of N rows. The first runs kernel by kernel, which loads them; the second is captured."""
        if N in self.launched and N not in self.graphs:
            self.graphs[N] = self._captured(N)
        self.launched.add(N)
        if graph := self.graphs.get(N):
            graph.launch(self.stream)
        else:
            self._kernels(N)

    def _captured(self, N: int) -> Any:
        """Return the graph of a step of N rows; None, with a warning, if it cannot be captured."""
        try:
            self.stream.begin_capture()
            self._kernels(N)
            return self.stream.end_capture()
        except BaseException as error:
            with contextlib.suppress(Exception):
                self.stream.end_capture()
            if not isinstance(error, Exception):
                raise
            warnings.warn(f"steps run kernel by kernel, without a CUDA graph: {error}", RuntimeWarning, stacklevel=2)
            return None

    def _kernels(self, N: int) -> None:
        self._begin()
        self._forward(N)
        self._backward(N)
        self._update()

    def _begin(self) -> None:
        beta1, beta2, eps = (self.settings.get(name, -1.0) for name in ("beta1", "beta2", "eps"))
        doubles = [np.float64(value) for value in (beta1, beta2, eps, self.settings["weight_decay"])]
        arrays = self.clock, self.random_keys, self.keys, self.rates, self.factors
        launch("begin_step", np.float32, 1, *arrays, np.int32(len(self.dropouts)), *doubles)

    def _forward(self, N: int) -> None:
        x, D, batch = self.h[0][:N], np.int32(self.dense[0].D), np.int32(self.batch_size)
        gather = "gather_pixels_step" if self.x.dtype == np.uint8 else "gather_rows_step"
        launch(gather, np.float32, x.size, self.x, self.order, self.clock, x, D, batch, *self._mask(0))
        for k, layer in enumerate(self.dense[:-1]):
            z = self.h[k + 1][:N]
            self.products.forward(self.h[k][:N], layer.W, z)
            launch("bias_relu_dropout", np.float32, z.size, z, layer.b, np.int32(layer.M), *self._mask(k + 1))
        last, z = self.dense[-1], self.z[:N]
        self.products.forward(self.h[-1][:N], last.W, z)
        targets, results = (self.t, self.order, self.clock), (self.row_loss, self.row_correct)
        launch("loss_step", np.float32, N, z, last.b, *targets, *results, np.int32(last.M), batch)

    def _backward(self, N: int) -> None:
        dz = self.z[:N]
        for k in reversed(range(len(self.dense))):
            layer, x = self.dense[k], self.h[k][:N]
            self.products.backward_parameters(dz, x, layer.dW)
            launch("sum_rows", np.float32, layer.M, dz, layer.db, np.int32(N))
            if k:
                dx = self.dh[k - 1][:N]
                self.products.backward(dz, layer.W, dx)
                launch("relu_dropout_backward", np.float32, dx.size, dx, x, self._mask(k)[-1])
                dz = dx

    def _update(self) -> None:
        size, rule = self.theta.size, self.settings
        if largest := rule.get("clip_norm"):
            launch("sum_squares", np.float32, SQUARES, self.grad, self.squares, np.int64(size))
            launch("clip_factor", np.float32, 1, self.squares, self.factors, np.int32(SQUARES), np.float64(largest))
            launch("scale_gradient", np.float32, size, self.grad, self.factors)
        vectors = self.theta, self.grad, *self.slots, self.factors
        if "beta1" in rule:
            launch("adam_step", np.float32, size, *vectors, np.float64(rule["beta1"]), np.float64(rule["beta2"]))
        else:
            launch("sgd_step", np.float32, size, *vectors, np.float32(rule["momentum"]), np.int32(rule["nesterov"]))

    def _mask(self, k: int) -> tuple[Array, np.uint64, np.float32]:
        """Return the view of the key, the threshold (0: no dropout) and the scale of the dropout before Dense k."""
        layer = self.dropouts[k]
        rate = layer.rate if layer else 0.0
        return self.keys[2 * k : 2 * k + 2], np.uint64(round(rate * 2**32)), np.float32(1 / (1 - rate))


def _settings(optimizer: Optimizer, loss: Loss) -> dict[str, Any]:
    """Return the settings that a captured step contains: all except the learning rate."""
    return {name: value for name, value in (optimizer.config() | loss.config()).items() if name != "lr"}
