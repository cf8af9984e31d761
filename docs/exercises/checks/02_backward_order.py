import numpy as np
from checking import Mistake, compare, slope

HINTS = (
    "Which layer can compute its gradient first, the first or the last?",
    "The backward of a layer returns the dy of the layer before it.",
    "Iterate over reversed(layers).",
)


class Bend:
    """y = tanh(x A)"""

    def __init__(self, A):
        self.A = A

    def forward(self, x):
        self.y = np.tanh(x @ self.A)
        return self.y

    def backward(self, dy):
        return (dy * (1 - self.y**2)) @ self.A.T


def through(layers, dy):
    for layer in layers:
        dy = layer.backward(dy)
    return dy


def check(answer):
    draw = np.random.default_rng(2)
    layers = [Bend(draw.normal(size=(3, 3))) for _ in range(3)]
    x, dy = draw.normal(size=(2, 3)), draw.normal(size=(2, 3))
    right = slope(lambda x: (dy * answer.forward(list(layers), x)).sum(), x)
    given = list(layers)
    answer.forward(given, x)
    yours = answer.backward(given, dy)
    mistakes = {
        "a single layer would pass, three do not: what arrives at each of them is not its own dy": through(layers, dy),
        "every layer gets the same dy: what one returns is the dy of the layer in front of it": layers[0].backward(dy),
        "the order is wrong, and every layer gets the same dy": layers[-1].backward(dy),
        "this is the dy that came in, not the dx that goes out": dy,
        "the first layer is left out": through(layers[:0:-1], dy),
        "the last layer is left out": through(layers[-2::-1], dy),
    }
    compare("dx", yours, right, mistakes)
    if given != layers:
        raise Mistake("dx is right, but the list of layers is changed: use reversed(layers), which does not change it")
