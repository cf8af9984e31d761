"""Chapter 4. The loss is a mean over the batch,

    L = 1/N sum_n -log p[n, the true class of row n],   p = softmax(z)

A learning rate that works for batches of 32 rows diverges for batches of 512. What is wrong with this gradient?
"""


def softmax_cross_entropy_backward(p, t):
    """p and t (N, K), t with a 1 at the true class -> dz (N, K)"""
    return p - t
