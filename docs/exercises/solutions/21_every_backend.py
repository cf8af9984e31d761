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
        self.dbeta[...] = (dy * x * x * s * (1 - s)).sum(axis=0, keepdims=True)
        return dy * (s + x * self.beta * s * (1 - s))
