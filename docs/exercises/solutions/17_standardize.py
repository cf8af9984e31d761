import numpy as np


def standardise(x_train, x_val):
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std > 0, std, 1)
    return (x_train - mean) / std, (x_val - mean) / std
