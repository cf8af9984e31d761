"""Chapter 4. The loss is a mean over the batch,

    L = 1/N sum_n -log p[n, the right class of row n],   p = softmax(z)

A learning rate that was fine with 32 rows a batch explodes with 512. What is wrong with this gradient?
"""


def softmax_cross_entropy_backward(p, t):
    """p and t (N, K), t with a 1 at the right class -> dz (N, K)"""
    return p - t
