"""The contestants: for each framework, how it builds one of the networks and trains it for an epoch.

Every function takes Settings, x (N, 784) uint8 and labels (N,), prepares the data as users of the framework would, and
returns a function that trains for one epoch in a new order and returns the mean loss. All use float32, the batch size
and dropout of the settings, and Adam with Keras's defaults. Frameworks are imported inside the functions, because they
may not be installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

Epoch = Callable[[], float]


@dataclass(frozen=True)
class Settings:
    """Widths of the hidden layers, rows in a batch, and the dropout rate before each Dense."""

    hidden: tuple[int, ...]
    batch: int
    dropout: tuple[float, ...] = ()

    @property
    def widths(self) -> list[int]:
        return [784, *self.hidden, 10]

    @property
    def rates(self) -> list[float]:
        return [*self.dropout, *[0.0] * (len(self.hidden) + 1 - len(self.dropout))]

    @property
    def threads(self) -> int | None:
        """BLAS threads: one for small networks, which do not gain from more; otherwise the library's choice."""
        return 1 if max(self.hidden) < 100 else None


def tinynet(settings: Settings, x: np.ndarray, labels: np.ndarray, backend: str) -> Epoch:
    from threadpoolctl import threadpool_limits

    import tinynet as tn

    threadpool_limits(settings.threads)
    network = tn.mlp(784, settings.hidden, 10, dropout=settings.dropout, backend=backend)
    return tinynet_epoch(network, x, labels, settings.batch)


def tinynet_epoch(network: Any, x: np.ndarray, labels: np.ndarray, batch: int) -> Epoch:
    import tinynet as tn

    optimizer = tn.Adam(network, eps=1e-7)
    return lambda: tn.fit(network, optimizer, x, labels, epochs=1, batch_size=batch, progress=False)[0].loss


def matrix_products(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """The floor: only the np.matmul calls of every step, into preallocated arrays."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(settings.threads)
    steps, draw = -(-len(x) // settings.batch), np.random.default_rng(0)
    pairs = list(zip(settings.widths, settings.widths[1:], strict=False))
    rows = [draw.random((settings.batch, width), np.float32) for width in settings.widths]
    weights = [draw.random(pair, np.float32) for pair in pairs]
    y = [np.empty_like(row) for row in rows]
    dW = [np.empty_like(W) for W in weights]

    def epoch() -> float:
        for _ in range(steps):
            for k, W in enumerate(weights):
                np.matmul(rows[k], W, out=y[k + 1])
            for k in reversed(range(len(weights))):
                np.matmul(rows[k].T, rows[k + 1], out=dW[k])
                if k:
                    np.matmul(rows[k + 1], weights[k].T, out=y[k])
        return float("nan")

    return epoch


def pytorch_one_thread(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """PyTorch with one thread for small networks, because more threads slow them down."""
    import torch

    if settings.threads:
        torch.set_num_threads(settings.threads)
    return pytorch_eager(settings, x, labels)


def pytorch_eager(settings: Settings, x: np.ndarray, labels: np.ndarray, device: str = "cpu") -> Epoch:
    import torch

    model, optimizer = pytorch_model(settings, device)
    images = torch.tensor(x / np.float32(255), device=device)
    targets = torch.tensor(labels.astype(np.int64), device=device)
    return pytorch_epoch(model, optimizer, images, targets, settings.batch)


def pytorch_epoch(model: Any, optimizer: Any, images: Any, targets: Any, batch: int) -> Epoch:
    """The usual training loop of PyTorch, on the device of the images."""
    import torch
    from torch import nn

    device = images.device

    def epoch() -> float:
        total = torch.zeros((), device=device)
        for rows in torch.randperm(len(images), device=device).split(batch):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        return float(total) / len(images)

    return epoch


def pytorch_model(settings: Settings, device: str, **options: Any) -> Any:
    """Return the network and its fused Adam with these options."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[Any] = []
    for D, M, rate in zip(settings.widths, settings.widths[1:], settings.rates, strict=False):
        linear = nn.Linear(D, M)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [nn.Dropout(rate)] if rate else []
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).to(device)
    return model, pytorch_adam(model, **options)


def pytorch_adam(model: Any, **options: Any) -> Any:
    import torch

    return torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-7, fused=True, **options)


def jax_epoch(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """The whole epoch in one compiled lax.scan."""
    import jax

    start, step, images, targets = _jax_step(settings, x, labels)

    @jax.jit
    def run(state: Any, order: Any) -> Any:
        return jax.lax.scan(lambda state, rows: step(state, images[rows], targets[rows]), state, order)

    return _jax_epoch(settings, start, lambda state, order: run(state, order), len(x))


def jax_step(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    return jax_steps(settings, *_jax_step(settings, x, labels))


def jax_steps(settings: Settings, start: Any, step: Callable[..., Any], images: Any, targets: Any) -> Epoch:
    """A compiled step, called once for each batch."""
    import jax

    one = jax.jit(lambda state, rows: step(state, images[rows], targets[rows]), donate_argnums=0)

    def run(state: Any, order: Any) -> Any:
        losses = []
        for rows in order:
            state, loss = one(state, rows)
            losses.append(loss)
        return state, np.array(losses)

    return _jax_epoch(settings, start, run, len(images))


def _jax_epoch(settings: Settings, state: Any, run: Callable[[Any, Any], Any], N: int) -> Epoch:
    draw = np.random.default_rng(0)

    def epoch() -> float:
        nonlocal state
        order = draw.permutation(N)[: N // settings.batch * settings.batch].astype(np.int32)
        state, losses = run(state, order.reshape(-1, settings.batch))
        return float(np.mean(losses))

    return epoch


def _jax_step(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Any:
    import jax
    import jax.numpy as jnp

    images, targets = jnp.asarray(x / np.float32(255)), jnp.asarray(labels.astype(np.int32))
    draw = np.random.default_rng(0)
    parameters = []
    for D, M in zip(settings.widths, settings.widths[1:], strict=False):
        a = np.sqrt(6 / (D + M))
        parameters.append((jnp.asarray(draw.uniform(-a, a, (D, M)), jnp.float32), jnp.zeros(M)))

    def mean_loss(parameters: Any, key: Any, x: Any, t: Any) -> Any:
        for k, ((W, b), rate) in enumerate(zip(parameters, settings.rates, strict=True)):
            if k:
                x = jax.nn.relu(x)
            if rate:
                key, own = jax.random.split(key)
                x = jnp.where(jax.random.bernoulli(own, 1 - rate, x.shape), x / (1 - rate), 0)
            x = x @ W + b
        return -jnp.take_along_axis(jax.nn.log_softmax(x), t[:, None], axis=1).mean()

    def step(state: Any, x: Any, t: Any) -> Any:
        parameters, m, v, count, key = state
        key, own = jax.random.split(key)
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, own, x, t)
        count = count + 1
        parameters, m, v = jax_adam(parameters, gradients, m, v, count)
        return (parameters, m, v, count, key), loss

    zeros = jax.tree.map(jnp.zeros_like, parameters)
    start = (parameters, zeros, jax.tree.map(jnp.zeros_like, parameters), jnp.float32(0), jax.random.key(0, impl="rbg"))
    return start, step, images, targets


def jax_adam(parameters: Any, gradients: Any, m: Any, v: Any, step: Any) -> tuple[Any, Any, Any]:
    """Return the trees of parameters and moments after this step."""
    import jax
    import jax.numpy as jnp

    def adam(p: Any, g: Any, m: Any, v: Any) -> Any:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        return p - 0.001 * (m / (1 - 0.9**step)) / (jnp.sqrt(v / (1 - 0.999**step)) + 1e-7), m, v

    moved = jax.tree.map(adam, parameters, gradients, m, v)
    return jax.tree.transpose(jax.tree.structure(parameters), jax.tree.structure((0, 0, 0)), moved)


def keras_fit(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((784,))])
    for k, (M, rate) in enumerate(zip(settings.widths[1:], settings.rates, strict=True)):
        if rate:
            model.add(keras.layers.Dropout(rate))
        model.add(keras.layers.Dense(M, activation="softmax" if k == len(settings.hidden) else "relu"))
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    images = x / np.float32(255)
    return lambda: model.fit(images, labels, batch_size=settings.batch, verbose=0).history["loss"][0]


def scikit_learn(settings: Settings, x: np.ndarray, labels: np.ndarray) -> Epoch:
    """MLPClassifier, which has no dropout, and so does less work."""
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    threadpool_limits(settings.threads)
    warnings.filterwarnings("ignore")
    model = MLPClassifier(settings.hidden, alpha=0, batch_size=settings.batch, epsilon=1e-7, random_state=0)
    images = x / np.float32(255)

    def epoch() -> float:
        model.partial_fit(images, labels, classes=np.arange(10))
        return float(model.loss_)

    return epoch


PEERS: dict[str, Callable[[Settings, np.ndarray, np.ndarray], Epoch]] = {
    "tinynet numba": partial(tinynet, backend="numba"),
    "tinynet numpy-fast": partial(tinynet, backend="numpy-fast"),
    "tinynet numpy": partial(tinynet, backend="numpy"),
    "matrix products": matrix_products,
    "JAX epoch": jax_epoch,
    "JAX step": jax_step,
    "PyTorch": pytorch_eager,
    "PyTorch, 1 thread": pytorch_one_thread,
    "Keras": keras_fit,
    "scikit-learn": scikit_learn,
}
