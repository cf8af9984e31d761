"""A network, its loss, Adam and the training loop, made of NumPy alone: what the book builds, chapter by chapter."""

from itertools import pairwise

import numpy as np


class Dense:  # chapter 2
    def __init__(self, D, M, draw):
        a = np.sqrt(6 / (D + M))
        self.theta = [draw.uniform(-a, a, (D, M)), np.zeros((1, M))]

    def forward(self, x):
        W, b = self.theta
        self.x = x
        return x @ W + b

    def backward(self, dy):
        W, _ = self.theta
        self.grad = [self.x.T @ dy, dy.sum(axis=0, keepdims=True)]
        return dy @ W.T


class ReLU:  # chapter 3
    theta, grad = (), ()

    def forward(self, x):
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, dy):
        return dy * (self.y > 0)


def softmax_cross_entropy(z, t):  # chapter 4
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)
    L = (np.log(total) - (t * z).sum(axis=1, keepdims=True)).mean()
    return L, (e / total - t) / len(z)


class Network:  # chapter 1: forward in order, backward in the opposite order
    def __init__(self, widths, seed):
        self.layers = []
        for D, M in pairwise(widths):
            draw = np.random.default_rng([seed, *f"layer {len(self.layers)}".encode(), 0])
            self.layers += [Dense(D, M, draw), ReLU()]
        self.layers.pop()

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)


class Adam:  # chapter 6
    def __init__(self, network, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        self.layers, self.t, self.settings = network.layers, 0, (lr, beta1, beta2, eps)
        self.theta = [theta for layer in network.layers for theta in layer.theta]
        self.moments = [np.zeros((2, *theta.shape)) for theta in self.theta]

    def step(self):
        lr, beta1, beta2, eps = self.settings
        self.t += 1
        grad = [g for layer in self.layers for g in layer.grad]
        for theta, g, (m, v) in zip(self.theta, grad, self.moments, strict=True):
            m += (1 - beta1) * (g - m)
            v += (1 - beta2) * (g * g - v)
            theta -= m * (lr / (1 - beta1**self.t)) / (np.sqrt(v / (1 - beta2**self.t)) + eps)


def train(network, optimizer, x, t, epochs, seed, batch=32):  # chapter 8
    """Yields the mean loss of each epoch."""
    for epoch in range(epochs):
        total = 0.0
        order = np.random.default_rng([seed, *b"shuffle", epoch]).permutation(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            L, dz = softmax_cross_entropy(network.forward(x[rows]), t[rows])
            network.backward(dz)
            optimizer.step()
            total += L * len(rows)
        yield total / len(x)


def difference_quotients(network, x, t, theta, h=1e-5):  # chapter 9
    """dL/dtheta of one array of parameters, measured one number after the other."""
    found = np.empty_like(theta)
    for place in np.ndindex(theta.shape):
        kept, losses = theta[place], []
        for theta[place] in (kept + h, kept - h):
            losses.append(softmax_cross_entropy(network.forward(x), t)[0])
        theta[place] = kept
        found[place] = (losses[0] - losses[1]) / (2 * h)
    return found
