"""Chapter 10. Swish, with one slope beta per feature:

    y = x s,   s = sigmoid(beta x),   ds/dx = beta s (1 - s),   ds/dbeta = x s (1 - s)

Write a layer that passes its gradient check and runs on every backend: in float32, on compiled kernels, and on a GPU,
whose arrays do not mix with NumPy's. `self.ops.sigmoid` is the sigmoid of the network's backend.
"""

import numpy as np

import tinynet as tn


class Swish(tn.Layer):
    def __init__(self, features):
        super().__init__()
        self.features = features

    def shapes(self):
        return {"beta": (1, self.features)}

    def initial(self, draw):
        return {"beta": np.ones((1, self.features))}

    def config(self):
        return {"features": self.features}

    def forward(self, x, train=False):
        s = self.ops.sigmoid(self.beta * x)
        self.memory = (x, s) if train else None
        return x * s

    def backward(self, dy):
        x, s = self.recall()
        self.dbeta[...] = ...
        return ...
