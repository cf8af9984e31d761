from itertools import pairwise

import tinynet as tn

WIDTHS = [784, 12, 10, 8, 6, 4, 4, 10]


def network(seed):
    layers = []
    for D, M in pairwise(WIDTHS):
        layers += [tn.Dense(D, M), tn.LeakyReLU(0.1)]
    return tn.Network(*layers[:-1], seed=seed)
