from tinynet import functions


def step(theta, grad, m, v, t, lr, weight_decay):
    theta -= lr * weight_decay * theta
    functions.adam(theta, grad, m, v, t, lr, 0.9, 0.999, 1e-8)
