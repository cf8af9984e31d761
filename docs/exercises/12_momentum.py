"""Chapter 6. Momentum: each step continues in the direction of the steps before.

    v <- mu v + g,   theta <- theta - lr v

theta, grad and velocity are vectors. Change theta and velocity in place, because the network holds the same arrays.
"""


def step(theta, grad, velocity, lr, momentum): ...
