import numpy as np


def adam(theta, grad, m, v, step, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad**2 - v)
    m_corrected = m / (1 - beta1**step)
    v_corrected = v / (1 - beta2**step)
    theta -= lr * m_corrected / (np.sqrt(v_corrected) + eps)
