"""Chapter 6. Decoupled weight decay takes theta <- theta - lr w theta, and then Adam takes its step. Here the decay is
put into the gradient instead, as is usual with plain gradient descent, and Adam divides it away again: weights with
large gradients hardly decay at all. Repair it.
"""

from tinynet import functions


def step(theta, grad, m, v, t, lr, weight_decay):
    """theta, m and v are changed in place; t = 1 in the first step."""
    grad = grad + weight_decay * theta
    functions.adam(theta, grad, m, v, t, lr, 0.9, 0.999, 1e-8)
