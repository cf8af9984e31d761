"""Layers, a loss and an optimizer such as a user writes, and networks of them: for tests of state and of blocks.

They stand in a module of their own, so that pickles find them by name, in another process too.
"""

from __future__ import annotations

import numpy as np

import tinynet as tn


class BatchNorm(tn.Layer):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, by the batch in training, else by the running mean and var."""

    def __init__(self, features: int, momentum: float = 0.25) -> None:
        self.D, self.momentum = features, momentum

    def forward(self, x, train=False):
        if train:
            mean, var = x.mean(axis=0, keepdims=True), x.var(axis=0, keepdims=True)
            self.mean[...] += self.momentum * (mean - self.mean)
            self.var[...] += self.momentum * (var - self.var)
        else:
            mean, var = self.mean, self.var
        deviation = (var + 1e-5) ** 0.5
        x_hat = (x - mean) / deviation
        self.memory = (x_hat, deviation) if train else None
        return self.gamma * x_hat + self.beta

    def backward(self, dy):
        x_hat, deviation = self.recall()
        self.dgamma[...] = (dy * x_hat).sum(axis=0, keepdims=True)
        self.dbeta[...] = dy.sum(axis=0, keepdims=True)
        return self.gamma / deviation * (dy - (self.dbeta + x_hat * self.dgamma) / len(dy))

    def config(self):
        return {"features": self.D, "momentum": self.momentum}

    def shapes(self):
        return {"gamma": (1, self.D), "beta": (1, self.D)}

    def buffers(self):
        return {"mean": (1, self.D), "var": (1, self.D)}

    def initial(self, draw):
        return {"gamma": np.ones((1, self.D)), "var": np.ones((1, self.D))}


class Affine(tn.Layer):
    """y = x scale + shift        a number of each for every feature"""

    def __init__(self, features: int) -> None:
        self.D = features

    def forward(self, x, train=False):
        self.memory = x if train else None
        return x * self.scale + self.shift

    def backward(self, dy):
        self.dscale[...] = (dy * self.recall()).sum(axis=-2, keepdims=True)
        self.dshift[...] = dy.sum(axis=-2, keepdims=True)
        return dy * self.scale

    def shapes(self):
        return {"scale": (1, self.D), "shift": (1, self.D)}

    def initial(self, draw):
        return {"scale": draw.uniform(0.5, 2, (1, self.D))}


class Forked(tn.Layer):
    """A stem, a list of layers behind it and a dictionary of heads whose outputs are added: no bookkeeping at all."""

    def __init__(self, stem, rest, heads) -> None:
        self.stem, self.rest, self.heads, self.D = stem, rest, heads, stem.D

    def forward(self, x, train=False):
        for layer in (self.stem, *self.rest):
            x = layer.forward(x, train)
        return sum(head.forward(x, train) for head in self.heads.values())

    def backward(self, dy):
        dy = sum(head.backward(dy) for head in self.heads.values())
        for layer in (*reversed(self.rest), self.stem):
            dy = layer.backward(dy)
        return dy

    def config(self):
        return {"stem": self.stem, "rest": self.rest, "heads": self.heads}

    def output_shape(self, shape):
        for layer in (self.stem, *self.rest):
            shape = layer.output_shape(shape)
        return next(head.output_shape(shape) for head in self.heads.values())


class SignDescent(tn.Optimizer):
    """m <- mu m + g,  theta <- theta - lr sign(m)"""

    slots = ("m",)

    def __init__(self, network, lr=0.01, mu=0.5, weight_decay=0.0):
        super().__init__(network, lr, weight_decay=weight_decay)
        self.mu = mu

    def update(self, lr):
        self.m[...] = self.mu * self.m + self.grad
        self.theta -= lr * (self.m > 0) - lr * (self.m < 0)

    def config(self):
        return super().config() | {"mu": self.mu}


class Power(tn.Loss):
    """L = 1/N sum |y - t|^p"""

    classifies = False

    def __init__(self, *, p=4):
        self.p = p

    def forward(self, z, t):
        self.memory = z - self.like(z, t)
        return (abs(self.memory) ** self.p).sum() / len(z)

    def backward(self):
        r = self.recall()
        return self.p * r * abs(r) ** (self.p - 2) / len(r)

    def config(self):
        return {"p": self.p}


OWN = [BatchNorm, Forked]

OPTIMIZERS = {
    "SGD": lambda net: tn.SGD(net, lr=0.05),
    "SGD with momentum": lambda net: tn.SGD(net, lr=0.05, momentum=0.9, weight_decay=0.1),
    "SGD with Nesterov": lambda net: tn.SGD(net, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda net: tn.Adam(net, lr=0.01, clip_norm=0.5),
    "AdamW": lambda net: tn.AdamW(net, lr=0.01, weight_decay=0.3),
    "RMSProp": lambda net: tn.RMSProp(net, lr=0.01, weight_decay=0.1),
    "one's own": lambda net: SignDescent(net, weight_decay=0.1),
}


def network(**options) -> tn.Network:
    """Pictures (N, 1, 2, 2) to three logits, through all that is special: blocks in blocks, buffers, dropout."""
    inside = [tn.Tanh(), BatchNorm(8), tn.Dropout(0.25), tn.Residual(tn.Dense(8, 8), tn.Tanh(), tn.Dropout(0.5))]
    return tn.Network(
        tn.Flatten(),
        Forked(tn.Dense(4, 8), inside, {"left": tn.Dense(8, 6), "right": tn.Dense(8, 6)}),
        tn.Residual(tn.Dense(6, 5), tn.Sigmoid(), shortcut=tn.Dense(6, 5)),
        tn.Tanh(),
        BatchNorm(5),
        tn.Dense(5, 3),
        **options,
    )


PARTS = [
    "0 Flatten()",
    "1 Forked",
    "1 Forked / 0 Dense(4, 8)",
    "1 Forked / 1 Tanh()",
    "1 Forked / 2 BatchNorm(8, 0.25)",
    "1 Forked / 3 Dropout(0.25)",
    "1 Forked / 4 Residual",
    "1 Forked / 4 Residual / 0 Dense(8, 8)",
    "1 Forked / 4 Residual / 1 Tanh()",
    "1 Forked / 4 Residual / 2 Dropout(0.5)",
    "1 Forked / 5 Dense(8, 6)",
    "1 Forked / 6 Dense(8, 6)",
    "2 Residual",
    "2 Residual / 0 Dense(6, 5)",
    "2 Residual / 1 Sigmoid()",
    "2 Residual / 2 Dense(6, 5)",
    "3 Tanh()",
    "4 BatchNorm(5, 0.25)",
    "5 Dense(5, 3)",
]
"""The names of all layers of `network`."""


def pictures(N: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """x (N, 1, 2, 2) and labels, which `network` can learn."""
    draw = np.random.default_rng(3)
    labels = np.arange(N) % 3
    return (draw.normal(size=(N, 1, 2, 2)) + labels[:, None, None, None]).astype("float32"), labels


def trained(optimizer: str = "SGD with momentum", epochs: int = 2, **options) -> tuple[tn.Network, tn.Optimizer]:
    """A network that has seen some batches, and its optimizer."""
    net = network(**options)
    return net, train(OPTIMIZERS[optimizer](net), epochs)


def train(optimizer: tn.Optimizer, epochs: int = 1) -> tn.Optimizer:
    tn.fit(optimizer.network, optimizer, *pictures(), epochs=epochs, batch_size=8)
    return optimizer


def state(net: tn.Network) -> tuple:
    """All that a network is made of and has learned, as bytes and numbers."""
    vectors = [net.backend.to_host(vector).tobytes() for vector in (net.theta, net.buffers)]
    layers = [(name, layer.counter, layer.trainable) for _, name, layer in tn.layers.bound.walk(net.layers)]
    return *vectors, layers, net.seed, net.dtype.name, net.epoch, repr((net.notes, net, net.loss))
