import numpy as np
from checking import compare

from tinynet import functions

HINTS = (
    "Adam's step is about lr long, however large the gradient is. What happens to weight_decay theta in it?",
    "Decay theta itself in a separate line, and do not change the gradient.",
    "theta -= lr * weight_decay * theta, before functions.adam",
)
START, LR, DECAY = np.array([1.0, -2.0, 0.5]), 0.01, 0.5
GRADS = [np.array([3.0, 0.01, -1.0]), np.array([2.0, 0.02, 1.0])]


def check(answer):
    theta, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADS, start=1):
        answer.step(theta, g, m, v, t, LR, DECAY)
    mistakes = {
        "weights with a large gradient decay less than those with a small one": walk(inside=DECAY),
        "the decay is in the gradient, where Adam divides it by its root, and lr is there too": walk(inside=LR * DECAY),
        "lr is missing: theta <- theta - lr w theta": walk(before=DECAY),
        "decayed after Adam's step; the decay acts on the theta the step starts from": walk(after=LR * DECAY),
        "nothing decays": walk(),
        "the weights grow: theta <- theta - lr w theta": walk(before=-LR * DECAY),
    }
    compare("theta after two steps", theta, walk(before=LR * DECAY), mistakes, tolerance=1e-9)


def walk(before=0.0, inside=0.0, after=0.0):
    theta, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADS, start=1):
        theta -= before * theta
        functions.adam(theta, g + inside * theta, m, v, t, LR, 0.9, 0.999, 1e-8)
        theta -= after * theta
    return theta
