"""Chapter 6. Decoupled weight decay computes theta <- theta - lr w theta, and then takes the step of Adam. Here the
decay is added to the gradient instead, as is usual with gradient descent. Adam then divides it by the size of the
gradient, so weights with large gradients hardly decay. Repair it.
"""

from tinynet import functions


def step(theta, grad, m, v, t, lr, weight_decay):
    """Take one step; the first has t = 1. Change theta, m and v in place."""
    grad = grad + weight_decay * theta
    functions.adam(theta, grad, m, v, t, lr, 0.9, 0.999, 1e-8)
