"""Chapter 6. Momentum: the steps remember where they were going.

    v <- mu v + g,   theta <- theta - lr v

theta, grad and velocity are vectors. theta and velocity must be changed in place: the network holds the same arrays.
"""


def step(theta, grad, velocity, lr, momentum): ...
