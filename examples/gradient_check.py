"""Gradient checks of a function, a layer, a whole network, and a broken backward that fails.

docs/howto/gradient_check.md explains the lines of the reports.

python examples/gradient_check.py
"""

import argparse

import numpy as np

import tinynet as tn

argparse.ArgumentParser(description=__doc__).parse_args()
draw = np.random.default_rng(1)


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


heading("A function of your own: y = tanh(x)")


def tanh_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * (1 - np.tanh(x) ** 2)


print(tn.gradient_check_function(np.tanh, tanh_backward, draw.normal(size=(8, 5))))

heading("A layer of your own: y = s x, with a scale s for each feature")


class Scale(tn.Layer):
    """y = s x        s (1, D)"""

    def __init__(self, inputs: int) -> None:
        self.D = inputs

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"s": (1, self.D)}

    def initial(self, draw: np.random.Generator) -> dict[str, np.ndarray]:
        return {"s": np.ones((1, self.D))}

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        self.memory = x if train else None
        return self.s * x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.ds[...] = (dy * self.recall()).sum(axis=0)
        return dy * self.s


print(tn.gradient_check_layer(Scale(5), draw.normal(size=(8, 5))))

heading("A whole network, on eight handwritten digits")
digits = tn.data.mnist_split()
x, labels = digits.x_train[:8], digits.y_train[:8]
network = tn.mlp(784, [48, 24], 10, dropout=[0.1, 0.25], seed=1)
print(tn.gradient_check(network, x, labels))

heading("A broken backward: a loss without the 1/N of its mean")


class BrokenLoss(tn.SoftmaxCrossEntropy):
    """The forward is the mean over the batch, but the backward p - t is the gradient of the sum."""

    def backward(self) -> np.ndarray:
        p, t = self.recall()
        return p - t


print(tn.gradient_check(network, x, labels, loss=BrokenLoss()))
