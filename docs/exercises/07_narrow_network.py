"""Chapter 3. This network fails in about one run of four: after an epoch it reads less than half of the digits.
Twenty seeds are trained. Make it fail in at most one of them, with the same dense layers, from 784 numbers to
12, 10, 8, 6, 4, 4 and then 10. What stands between them is up to you.
"""

from itertools import pairwise

import tinynet as tn

WIDTHS = [784, 12, 10, 8, 6, 4, 4, 10]


def network(seed):
    layers = []
    for D, M in pairwise(WIDTHS):
        layers += [tn.Dense(D, M), tn.ReLU()]
    return tn.Network(*layers[:-1], seed=seed)
