"""Chapter 3. This network fails in about one run of four: after an epoch its accuracy is below one half.
Twenty seeds are trained. Make it fail for at most one of them. Keep the dense layers: 784 inputs, then
12, 10, 8, 6, 4, 4 and 10 outputs. You may change the layers between them.
"""

from itertools import pairwise

import tinynet as tn

WIDTHS = [784, 12, 10, 8, 6, 4, 4, 10]


def network(seed):
    layers = []
    for D, M in pairwise(WIDTHS):
        layers += [tn.Dense(D, M), tn.ReLU()]
    return tn.Network(*layers[:-1], seed=seed)
