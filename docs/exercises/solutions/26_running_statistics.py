import numpy as np


def batch_norm(x, kept, train, momentum=0.1, eps=1e-5):
    n = len(x)
    if train:
        mean, variance = x.mean(axis=0), x.var(axis=0)
        kept["mean"] = (1 - momentum) * kept["mean"] + momentum * mean
        kept["variance"] = (1 - momentum) * kept["variance"] + momentum * variance * n / max(n - 1, 1)
    else:
        mean, variance = kept["mean"], kept["variance"]
    return (x - mean) / np.sqrt(variance + eps)
