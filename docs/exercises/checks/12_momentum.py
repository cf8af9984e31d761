import numpy as np
from checking import Mistake, compare

HINTS = (
    "Follow the order of the two formulas. The next step needs the velocity again, so change it in place.",
    "velocity = ... makes a new array, which the network does not hold. velocity *= momentum changes it in place.",
    "velocity *= momentum; velocity += grad; theta -= lr * velocity",
)
START, LR, MU = np.array([1.0, -2.0]), 0.1, 0.9


def check(answer):
    theta, velocity, grads = START.copy(), np.zeros(2), []
    right, v = START.copy(), np.zeros(2)
    for k in range(3):
        grads.append(np.array([1.0, -0.5 * k]))
        answer.step(theta, grads[-1], velocity, LR, MU)
        v = MU * v + grads[-1]
        right -= LR * v
        if np.array_equal(theta, START):
            raise Mistake("theta has not moved; theta -= ... changes it in place, theta = ... only renames")
        if k and not velocity.any():
            raise Mistake("the velocity is still zero: it was not changed in place")
    plain, inside, uphill = START - LR * sum(grads), walk(grads, LR, LR), walk(grads, 1, -LR)
    mistakes = {
        "this is plain gradient descent: theta moves by the gradient, not by the velocity": plain,
        "lr is taken twice, in the velocity and in the step": inside,
        "increased the loss: theta <- theta - lr v": uphill,
        "the gradient enters with 1 - mu: that is Adam's m, ten times shorter steps": walk(grads, 1 - MU, LR),
    }
    compare("theta after three steps", theta, right, mistakes)
    compare("the velocity after three steps", velocity, v)


def walk(grads, into, lr):
    """Return theta if the gradient enters the velocity with this factor."""
    theta, v = START.copy(), np.zeros(2)
    for g in grads:
        v = MU * v + into * g
        theta = theta - lr * v
    return theta
