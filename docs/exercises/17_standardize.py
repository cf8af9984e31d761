"""Chapter 8. Features are standardized: mean 0, standard deviation 1. With this code the validation accuracy is higher
than on new data. Which data does it use that it must not use? And what happens to a pixel that is always 0?
"""

import numpy as np


def standardise(x_train, x_val):
    """Return both sets, standardized by column. A column that is constant in training becomes 0."""
    everything = np.concatenate([x_train, x_val])
    mean, std = everything.mean(axis=0), everything.std(axis=0)
    return (x_train - mean) / std, (x_val - mean) / std
