"""A network, its loss, Adam, the training loop and a gradient check in plain NumPy: what the book builds by chapters.

python examples/from_scratch.py
"""

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
    """Return the mean loss of logits z and one-hot targets t, and its gradient dz."""
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
        self.layers, self.step_count, self.settings = network.layers, 0, (lr, beta1, beta2, eps)
        self.theta = [theta for layer in network.layers for theta in layer.theta]
        self.moments = [np.zeros((2, *theta.shape)) for theta in self.theta]

    def step(self):
        lr, beta1, beta2, eps = self.settings
        self.step_count += 1
        grad = [g for layer in self.layers for g in layer.grad]
        for theta, g, (m, v) in zip(self.theta, grad, self.moments, strict=True):
            m += (1 - beta1) * (g - m)
            v += (1 - beta2) * (g * g - v)
            theta -= m * (lr / (1 - beta1**self.step_count)) / (np.sqrt(v / (1 - beta2**self.step_count)) + eps)


def train(network, optimizer, x, t, epochs, seed, batch_size=32):  # chapter 8
    """Yield the mean loss of each epoch."""
    for epoch in range(epochs):
        total = 0.0
        order = np.random.default_rng([seed, *b"shuffle", epoch]).permutation(len(x))
        for start in range(0, len(x), batch_size):
            rows = order[start : start + batch_size]
            L, dz = softmax_cross_entropy(network.forward(x[rows]), t[rows])
            network.backward(dz)
            optimizer.step()
            total += L * len(rows)
        yield total / len(x)


def difference_quotients(network, x, t, theta, h=1e-5):  # chapter 9
    """Return dL/dtheta of one array of parameters, measured number by number: (L(theta + h) - L(theta - h)) / 2h."""
    grad = np.empty_like(theta)
    for index in np.ndindex(theta.shape):
        value, losses = theta[index], []
        for theta[index] in (value + h, value - h):  # assigns to theta, then measures the loss
            losses.append(softmax_cross_entropy(network.forward(x), t)[0])
        theta[index] = value
        grad[index] = (losses[0] - losses[1]) / (2 * h)
    return grad


if __name__ == "__main__":
    import tinynet as tn  # for its copy of MNIST; all else is above

    mnist = tn.data.mnist_split()
    x, t = mnist.x_train / 255, np.eye(10)[mnist.y_train]
    network = Network([784, 48, 24, 10], seed=1)

    L, dz = softmax_cross_entropy(network.forward(x[:8]), t[:8])
    network.backward(dz)
    W, dW = network.layers[-1].theta[0], network.layers[-1].grad[0]
    error = abs(difference_quotients(network, x[:8], t[:8], W) - dW).max()
    print(f"gradient check of the last W {W.shape}: largest error {error:.1e}")

    for epoch, loss in enumerate(train(network, Adam(network), x, t, epochs=8, seed=1), start=1):
        correct = network.forward(mnist.x_val / 255).argmax(axis=1) == mnist.y_val
        print(f"epoch {epoch}: loss {loss:.4f}, validation accuracy {correct.mean():.4f}")
