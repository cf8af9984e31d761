"""Chapter 4. softmax: y_k = exp(z_k) / sum_j exp(z_j), for each row of z. The formula is right, but the code gives nan
for values that networks do produce. Repair it without changing its value for any z.
"""

import numpy as np


def softmax(z):
    """z (N, K) -> y (N, K), rows that sum to one"""
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)
