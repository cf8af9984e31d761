def step(theta, grad, velocity, lr, momentum):
    velocity *= momentum
    velocity += grad
    theta -= lr * velocity
