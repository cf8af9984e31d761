"""Three clouds of points in the plane: the data of the tests of training."""

import numpy as np

import tinynet as tn

X, T = np.zeros((4, 2)), np.zeros(4, int)


def clouds(draw, rows=100):
    """Three clouds of points in the plane, and which cloud each point belongs to."""
    labels = np.arange(rows) % 3
    angles = 2 * np.pi / 3 * labels
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) + draw.normal(0, 0.3, (rows, 2)), labels


def network(**options):
    return tn.mlp(2, [8], 3, **options)


def trained(x, t, epochs=2, *, loss=None, batch_size=32, validation=None, **options):
    net = network(**options)
    tn.fit(net, tn.Adam(net), x, t, epochs=epochs, loss=loss, batch_size=batch_size, validation=validation)
    return net


def same_bits(a, b):
    return a.theta.tobytes() == b.theta.tobytes()


def untouched(z):
    return z


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


MEANINGS = {
    "softmax": (tn.SoftmaxCrossEntropy(), 3, softmax),
    "smoothed": (tn.SoftmaxCrossEntropy(label_smoothing=0.1), 3, softmax),
    "binary": (tn.BinaryCrossEntropy(), 1, lambda z: 1 / (1 + np.exp(-z))),
    "probabilities": (tn.CrossEntropy(), 3, untouched),
    "squares": (tn.MeanSquaredError(), 3, untouched),
    "one square": (tn.MeanSquaredError(), 1, untouched),
    "huber": (tn.Huber(), 3, untouched),
}


def fitted(draw, loss, outputs, rows=30, dtype="float64"):
    """A network trained a little with that loss, rows and fitting targets."""
    x = draw.normal(size=(rows, 2))
    head = [tn.Softmax()] if isinstance(loss, tn.CrossEntropy) else []
    net = tn.Network(tn.Dense(2, 8), tn.GELU(), tn.Dense(8, outputs), *head, dtype=dtype)
    t = draw.integers(0, max(outputs, 2), rows) if loss.classifies else draw.normal(size=(rows, outputs))
    tn.fit(net, tn.SGD(net, lr=0.5), x, t, epochs=1, loss=loss)
    return net, x, t
