"""Chapter 14. This batch normalization trains well. In prediction, a single row always gives zeros, and each prediction
changes the next one. What does it do in prediction that belongs to training?
"""

import numpy as np


def batch_norm(x, kept, train, momentum=0.1, eps=1e-5):
    """x (N, D) -> y (N, D); kept["mean"] and kept["variance"], both (D,), are running means over batches."""
    n = len(x)
    mean, variance = x.mean(axis=0), x.var(axis=0)
    kept["mean"] = (1 - momentum) * kept["mean"] + momentum * mean
    kept["variance"] = (1 - momentum) * kept["variance"] + momentum * variance * n / max(n - 1, 1)
    return (x - mean) / np.sqrt(variance + eps)
