import numpy as np
from checking import Mistake

import tinynet as tn

HINTS = (
    "tn.diagnose examined one of the failed runs. What does it say about its ReLUs?",
    "A ReLU that gives 0 for every row gets no gradient and does not recover. All four units of a layer can die.",
    "tn.LeakyReLU(0.1) has a slope below zero too: every unit always gets a gradient.",
)
WIDTHS = [784, 12, 10, 8, 6, 4, 4, 10]
SEEDS = range(1, 21)


def check(answer):
    first, second = answer.network(1), answer.network(2)
    for network in (first, second):
        dense = [layer for layer in network if isinstance(layer, tn.Dense)]
        widths = [dense[0].D, *(layer.M for layer in dense)]
        if widths != WIDTHS:
            raise Mistake(f"other widths: {widths}; wider layers do help, but keep {WIDTHS} and find another way")
    if np.array_equal(first.theta, second.theta):
        raise Mistake("every seed gives the same initial weights; pass seed=seed to tn.Network")

    digits = tn.data.mnist_split()
    failed = {}
    for seed in SEEDS:
        network = answer.network(seed).copy(backend="auto")
        tn.fit(network, tn.Adam(network, lr=0.003), digits.x_train, digits.y_train, epochs=1, progress=False)
        if tn.evaluate(network, digits.x_val, digits.y_val).accuracy < 0.5:
            failed[seed] = network
    if len(failed) > 1:
        seen = tn.diagnose(failed[min(failed)], digits.x_train[:256], digits.y_train[:256]).warnings
        raise Mistake(
            f"{len(failed)} of {len(SEEDS)} runs failed, seeds {[*failed]}{reason(first)}\n"
            f"    tn.diagnose of seed {min(failed)}: {'; '.join(seen[:1]) or 'nothing to warn of'}"
        )


def reason(network):
    """Return why this activation function fails."""
    if any(isinstance(layer, tn.Dense) and "he" in layer.init for layer in network):
        return ":\n    larger first weights are no cure: it is the draw that kills, and not the size"
    if any(isinstance(layer, tn.Sigmoid) for layer in network):
        return ":\n    a sigmoid's slope is 1/4 at most, and six of them leave a four-thousandth of the gradient"
    if all(isinstance(layer, tn.Dense) for layer in network):
        return ":\n    nothing bends: seven dense layers in a row are one dense layer, squeezed through four numbers"
    return ""
