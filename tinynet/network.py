"""The order of the layers, the two vectors theta and grad, and the windows into them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from copy import deepcopy
from numbers import Integral, Real
from typing import Any

import numpy as np

from .arrays import Array, rng
from .arrays.backend import Backend
from .arrays.backend import backend as get_backend
from .layers import Dense, Dropout, Layer, ReLU


class Network:
    """Layers, one after the other: y = layer_k(... layer_1(x)).

    All parameters stand in one vector `theta`, all gradients in another, `grad`; `layer.W` and `layer.dW` are
    windows into them. `seed` decides first weights, shuffles and dropout masks; `dtype` is "float32" (to train) or
    "float64" (to check); `epoch` counts the epochs trained so far; `notes` is a dictionary that travels with the
    file, as JSON gives it back. Raises ValueError where the widths of neighbours differ or a layer belongs to a
    network already.
    """

    def __init__(self, *layers: Layer, seed: int = 0, dtype: str = "float32", backend: str | Backend = "numpy") -> None:
        _check_arguments(layers, seed, dtype)
        self.layers = layers
        self.seed = int(seed)
        self.dtype = np.dtype(dtype)
        self.backend = get_backend(backend)
        self.epoch = 0
        self.notes: dict[str, Any] = {}
        self.theta = self.backend.to_device(_first_theta(layers, seed).astype(self.dtype))
        self.grad = self.backend.to_device(np.zeros(self.theta.size, self.dtype))
        self._bind()

    def forward(self, x: Array, train: bool = False) -> Array:
        """y (N, M), from x (N, D) of the network's dtype; with `train`, layers keep what backward needs."""
        self._check_input(x)
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def backward(self, dy: Array, need_dx: bool = False) -> Array | None:
        """Writes grad, from dy = dL/dy (N, M). Returns dx (N, D) when asked, else spares the work for it."""
        stop = 0 if need_dx else self._first_with_parameters
        for layer in reversed(self.layers[stop + 1 :]):
            dy = layer.backward(dy)
        if need_dx:
            return self.layers[0].backward(dy)
        self.layers[stop].backward_parameters(dy)
        return None

    def check_windows(self) -> None:
        """ValueError if any layer's parameter or gradient is no longer a window into theta or grad."""
        for layer in self.layers:
            layer.check_windows()

    def summary(self) -> str:
        """A table: layer, output shape, parameters, their bytes and the multiply-adds of one row; totals."""
        table = [("layer", "output shape", "parameters", "bytes", "multiply-adds")]
        width = self.inputs
        for layer in self.layers:
            width = layer.outputs(width)
            table.append(self._summary_row(f"{layer}", f"(N, {width or '?'})", layer.size, layer.multiply_adds))
        multiply_adds = sum(layer.multiply_adds for layer in self.layers)
        table.append(self._summary_row("total", "", self.theta.size, multiply_adds))
        name, shape, size, size_in_bytes, adds = (max(map(len, column)) for column in zip(*table, strict=True))
        row = f"{{:<{name}}}  {{:>{shape}}}  {{:>{size}}}  {{:>{size_in_bytes}}}  {{:>{adds}}}"
        lines = [row.format(*cells) for cells in table]
        rule = "-" * len(lines[0])
        where = f"{self.dtype}, backend {self.backend.name}, seed {self.seed}, {self.epoch} epochs trained"
        notes = [self.backend.note] if self.backend.note else []
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], where, *notes])

    def copy(self, dtype: str | None = None, backend: str | Backend | None = None) -> Network:
        """An independent network with the same parameters, seed and epoch; of another dtype or backend if named."""
        twin = Network(
            *(layer.unbound() for layer in self.layers),
            seed=self.seed,
            dtype=dtype or self.dtype.name,
            backend=backend or self.backend,
        )
        twin.theta[...] = twin.backend.to_device(self.backend.to_host(self.theta).astype(twin.dtype))
        twin.epoch, twin.notes = self.epoch, deepcopy(self.notes)
        return twin

    @property
    def inputs(self) -> int | None:
        """Features that go in; None if no layer says."""
        return next((layer.D for layer in self.layers if layer.D), None)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __repr__(self) -> str:
        return f"<Network {', '.join(map(repr, self.layers))}: {self.theta.size:,} parameters>"

    def _bind(self) -> None:
        stops = list(itertools.accumulate(layer.size for layer in self.layers))
        for k, (layer, stop) in enumerate(zip(self.layers, stops, strict=True)):
            window = slice(stop - layer.size, stop)
            stream = rng.stream(self.seed, f"layer {k}")
            layer.bind(self.backend.ops, self.theta[window], self.grad[window], stream)
        self._first_with_parameters = next((k for k, stop in enumerate(stops) if stop), 0)

    def _summary_row(self, name: str, shape: str, size: int, multiply_adds: int) -> tuple[str, str, str, str, str]:
        return name, shape, f"{size:,}", f"{size * self.dtype.itemsize:,}", f"{multiply_adds:,}"

    def _check_input(self, x: Array) -> None:
        if not isinstance(x, self.backend.xp.ndarray) or x.dtype != self.dtype:
            got = f"{getattr(x, 'dtype', '')} {type(x).__name__}".strip()
            cure = f"x.astype({self.dtype.name!r}){' / 255' if got.startswith('uint8') else ''}"
            raise TypeError(
                f"this network takes a {self.dtype} array of backend {self.backend.name!r}, got {got}; "
                f"{cure} makes one (fit, evaluate and predict do it themselves)"
            )


def mlp(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    dropout: Sequence[float] = (),
    init: str = "glorot_uniform",
    seed: int = 0,
    dtype: str = "float32",
    backend: str | Backend = "numpy",
) -> Network:
    """The usual stack from a row of widths: Dense and ReLU for each of `hidden`, then Dense to `outputs` logits.

    `dropout[k]` is the rate in front of the k-th Dense; 0, or a row that ends before k, puts none there.
    """
    if isinstance(hidden, Integral) or isinstance(dropout, Real):
        raise TypeError(f"mlp takes hidden widths and dropout rates in lists; got {hidden!r} and {dropout!r}")
    widths = [inputs, *hidden, outputs]
    if len(dropout) >= len(widths):
        raise ValueError(f"mlp takes at most one dropout rate for each of its {len(widths) - 1} Dense, got {dropout}")
    layers: list[Layer] = []
    for D, M, rate in itertools.zip_longest(widths[:-1], widths[1:], dropout, fillvalue=0):
        layers += [Dropout(rate)] if rate else []
        layers += [Dense(D, M, init), ReLU()]
    return Network(*layers[:-1], seed=seed, dtype=dtype, backend=backend)


def _first_theta(layers: Sequence[Layer], seed: int) -> np.ndarray:
    parts = [np.zeros(0)]
    for k, layer in enumerate(layers):
        shapes, drawn = layer.shapes(), layer.initial(rng.generator(seed, f"layer {k}"))
        for name, values in drawn.items():
            if np.shape(values) != shapes.get(name):
                raise ValueError(f"{layer} draws {name} {np.shape(values)}, but its shapes are {shapes}")
        parts += [np.ravel(drawn.get(name, np.zeros(shape))) for name, shape in shapes.items()]
    return np.concatenate(parts)


def _check_arguments(layers: Sequence[Layer], seed: int, dtype: str) -> None:
    strangers = [layer for layer in layers if not isinstance(layer, Layer)]
    if strangers or not layers:
        got = f"{strangers[0]!r}" if strangers else "none"
        raise TypeError(f"Network takes layers one by one, as in Network(Dense(2, 3), ReLU()); got {got}")
    if len(set(map(id, layers))) < len(layers):
        raise ValueError("Network takes each layer once; the same one is there twice, and has one memory")
    for layer in layers:
        if layer.is_bound:
            raise ValueError(f"{layer} is part of a network already and has its windows there; make a new layer")
        if taken := [name for name in layer.shapes() if hasattr(Layer, name) or name == "ops"]:
            raise ValueError(f"{layer} has parameters {taken}, names that every layer uses for something else")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"Network takes a whole number of at least 0 as seed; got {seed!r}")
    if np.dtype(dtype).name not in ("float32", "float64"):
        raise ValueError(f"Network takes dtype 'float32' or 'float64'; got {dtype!r}")
    _check_widths(layers)


def _check_widths(layers: Sequence[Layer]) -> None:
    """Every layer refuses, in `outputs`, a width that it cannot take."""
    width = None
    for layer in layers:
        width = layer.outputs(width)
