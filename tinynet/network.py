"""The order of the layers, the vectors theta, grad and buffers, and the windows into them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, overload

import numpy as np

from .arrays import Array, rng
from .arrays.backend import Backend
from .arrays.backend import backend as get_backend
from .inspect.recording import recorded
from .inspect.summary import summary
from .layers import Dense, Dropout, Layer, ReLU
from .layers.base import Shape, size_of, walk
from .layers.validation import check_layers
from .losses import Loss

VECTORS = ("theta", "grad", "buffers")


class Network:
    """Layers, one after the other: y = layer_k(... layer_1(x)).

    All parameters stand in one vector `theta`, all gradients in another, `grad`, all buffers in a third, `buffers`;
    `layer.W` and `layer.dW` are windows into them, however deep the layer sits. `seed` decides first weights,
    shuffles and dropout masks; `dtype` is "float32" (to train) or "float64" (to check); `epoch` counts the epochs
    trained so far; `loss` is the loss that `fit` used; `notes` is a dictionary that travels with the file, as JSON
    gives it back. A network in place of a layer stands for copies of its layers, with all that they have learned:
    Network(net[:3], Dense(48, 5)). Raises ValueError where the shapes of neighbours differ or a layer belongs to a
    network already.
    """

    def __init__(
        self, *layers: Layer | Network, seed: int = 0, dtype: str = "float32", backend: str | Backend = "numpy"
    ) -> None:
        self.layers = tuple(itertools.chain.from_iterable(_copied(layer) for layer in layers))
        check_layers(self.layers)
        _check_seed(seed)
        _check_dtype(dtype)
        self.seed = int(seed)
        self.dtype = np.dtype(dtype)
        self.backend = get_backend(backend)
        self.epoch = 0
        self.loss: Loss | None = None
        self.notes: dict[str, Any] = {}
        self._bind()

    def forward(self, x: Array, train: bool = False) -> Array:
        """y (N, ...), from x (N, ...) of the network's dtype; with `train`, layers keep what backward needs."""
        self._check_input(x)
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def backward(self, dy: Array, need_dx: bool = False) -> Array | None:
        """Writes grad, from dy = dL/dy. Returns dx when asked, else stops at the first layer that learns."""
        stop = 0 if need_dx else self._first_that_learns()
        for layer in reversed(self.layers[stop + 1 :]):
            dy = layer.backward(dy)
        if need_dx:
            return self.layers[0].backward(dy)
        self.layers[stop].backward_parameters(dy)
        return None

    def activations(self, x: Array) -> dict[str, Array]:
        """What every layer gives for x (N, ...), by name, as "1 ReLU()" or "2 Residual / 0 Dense(8, 8)"."""
        with recorded(self.layers, "forward") as found:
            self.forward(x)
        return found

    def outputs(self, shape: Shape) -> Shape:
        """Shape of a row that comes out when rows of `shape` go in; ValueError if a layer cannot take what it gets."""
        for layer in self.layers:
            shape = layer.outputs(shape)
        return shape

    def frozen(self) -> list[tuple[Array, Array]]:
        """The stretches of theta and of grad of the layers that are not trainable."""
        return [layer._stretch for _, layer in self._with_parameters if not layer.trainable]

    def check_windows(self) -> None:
        """ValueError if a vector, a layer, or any layer's parameter, gradient or buffer is no longer what it was."""
        for name, vector in self._vectors.items():
            if getattr(self, name) is not vector:
                raise ValueError(
                    f"network.{name} was replaced and is cut off from the layers; write {name}[...] = instead"
                )
        if [id(layer) for _, _, layer in walk(self.layers)] != [id(layer) for layer in self._everywhere]:
            raise ValueError(
                "layers of this network were replaced and have no place in its vectors; make a new Network"
            )
        for layer in self._everywhere:
            layer.check_windows()

    def summary(self, row: Shape = None) -> str:
        """A table: layer, output shape, parameters, their bytes and the multiply-adds of one row; totals.

        `row` is the shape of what goes in, where no layer says it: net.summary((1, 28, 28)) for pictures. Raises
        ValueError if a layer cannot take what it gets.
        """
        return summary(self, row)

    def copy(self, dtype: str | None = None, backend: str | Backend | None = None) -> Network:
        """An independent network with the same parameters, seed and epoch; of another dtype or backend if named."""
        _check_dtype(dtype or self.dtype)
        twin = object.__new__(type(self))
        place = self.backend if backend is None else get_backend(backend)
        twin.__setstate__(self.__getstate__() | {"dtype": np.dtype(dtype or self.dtype), "backend": place})
        return twin

    @property
    def trainable(self) -> bool:
        """Whether optimizers move any layer's parameters. Setting it sets it for all: net[:3].trainable = False."""
        return any(layer.trainable for layer in self)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self:
            layer.trainable = value

    @property
    def inputs(self) -> int | None:
        """Features that go in; None if no layer says."""
        return next((layer.D for layer in self.layers if layer.D), None)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Network: ...
    def __getitem__(self, index: int | slice) -> Layer | Network:
        """A layer, or for net[:3] a network of these same layers: what is learned there is learned here."""
        return self._part(index) if isinstance(index, slice) else self.layers[index]

    def __getstate__(self) -> dict[str, Any]:
        """For pickles and copies: the layers bring their parameters and buffers along, on the host."""
        self.check_windows()
        bound = (*VECTORS, "_vectors", "_everywhere", "_with_parameters")
        state = {name: value for name, value in vars(self).items() if name not in bound}
        layers = tuple(layer.copy() for layer in self.layers)
        return state | {"layers": layers, "loss": deepcopy(self.loss), "notes": deepcopy(self.notes)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._bind()

    def __repr__(self) -> str:
        return f"<Network {', '.join(map(repr, self.layers))}: {self.theta.size:,} parameters>"

    def _bind(self) -> None:
        """Makes the vectors from the layers' first values, and gives every layer its windows into them."""
        places, _, layers = zip(*walk(self.layers), strict=True)
        values = [
            layer.first_values(rng.generator(self.seed, f"layer {place}"))
            for place, layer in zip(places, layers, strict=True)
        ]
        shapes, buffers = [layer.shapes() for layer in layers], [layer.buffers() for layer in layers]
        self.theta, self.buffers = self._vector(values, shapes), self._vector(values, buffers)
        self.grad = self.backend.to_device(np.zeros(self.theta.size, self.dtype))
        cut = zip(_cut(self.theta, shapes), _cut(self.grad, shapes), _cut(self.buffers, buffers), strict=True)
        for place, layer, stretches in zip(places, layers, cut, strict=True):
            layer.bind(self.backend, *stretches, rng.stream(self.seed, f"layer {place}"))
        self._remember()

    def _vector(self, values: list[dict[str, np.ndarray]], shapes: list[dict[str, tuple[int, ...]]]) -> Array:
        parts = [np.ravel(given[name]) for given, named in zip(values, shapes, strict=True) for name in named]
        return self.backend.to_device(np.concatenate([np.zeros(0), *parts]).astype(self.dtype))

    def _part(self, index: slice) -> Network:
        start, stop, step = index.indices(len(self.layers))
        if step != 1 or stop <= start:
            raise ValueError(f"a part of a network is one or more neighbours, as net[:3]; got [{start}:{stop}:{step}]")
        part = object.__new__(type(self))
        vars(part).update(vars(self))
        part.layers, part.notes, part.loss = self.layers[start:stop], {}, self.loss if stop == len(self) else None
        for kind, vectors in (("shapes", ("theta", "grad")), ("buffers", ("buffers",))):
            before, inside = (_count(kind, layers) for layers in (self.layers[:start], part.layers))
            for name in vectors:
                setattr(part, name, getattr(self, name)[before : before + inside])
        part._remember()
        return part

    def _remember(self) -> None:
        """The vectors and all layers; and those with parameters, with the place of the outermost layer around each."""
        self._vectors = {name: getattr(self, name) for name in VECTORS}
        places, _, self._everywhere = zip(*walk(self.layers), strict=True)
        outermost = [int(place.partition(".")[0]) for place in places]
        self._with_parameters = [pair for pair in zip(outermost, self._everywhere, strict=True) if pair[1].shapes()]

    def _first_that_learns(self) -> int:
        return next((k for k, layer in self._with_parameters if layer.trainable), 0)

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

    `dropout[k]` is the rate in front of the k-th Dense; 0, or a row that ends before k, puts none there. Raises
    TypeError for a bare number in place of a list, ValueError for too many rates, and what the layers raise.
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


def _copied(layer: Layer | Network) -> Sequence[Layer]:
    return [inner.copy() for inner in layer.layers] if isinstance(layer, Network) else [layer]


def _cut(vector: Array, shapes: list[dict[str, tuple[int, ...]]]) -> list[Array]:
    """The vector's stretches, one for each layer."""
    sizes = [size_of(named) for named in shapes]
    return [vector[stop - size : stop] for size, stop in zip(sizes, itertools.accumulate(sizes), strict=True)]


def _count(kind: str, layers: Sequence[Layer]) -> int:
    return sum(size_of(getattr(layer, kind)()) for _, _, layer in walk(layers))


def _check_seed(seed: int) -> None:
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"Network takes a whole number of at least 0 as seed; got {seed!r}")


def _check_dtype(dtype: str | np.dtype) -> None:
    if np.dtype(dtype).name not in ("float32", "float64"):
        raise ValueError(f"Network takes dtype 'float32' or 'float64'; got {dtype!r}")
