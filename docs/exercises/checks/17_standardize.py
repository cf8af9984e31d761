import numpy as np
from checking import Mistake, compare

HINTS = (
    "Validation rows represent unseen data. May they contribute to a mean that the network depends on?",
    "Mean and standard deviation come from x_train alone, and both sets are standardized by the same numbers.",
    "A column that never changes has std 0. np.where(std > 0, std, 1) divides it by 1 instead.",
)


def check(answer):
    draw = np.random.default_rng(17)
    x_train, x_val = draw.normal(3, 2, size=(8, 3)), draw.normal(5, 1, size=(4, 3))
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    both = np.concatenate([x_train, x_val])
    train, val = answer.standardise(x_train.copy(), x_val.copy())
    mistakes = {
        "it depends on the other validation rows: what nobody should have seen has leaked": apart(x_val, both),
        "standardized by itself; a new row must be moved by the numbers of the training set": apart(x_val, x_val),
        "it is left as it was; the network expects standardized rows": x_val,
        "one mean for all columns; each feature has its own": (x_val - x_train.mean()) / x_train.std(),
    }
    compare("x_val", val, (x_val - mean) / std, mistakes)
    compare("x_train", train, (x_train - mean) / std)

    x_train[:, 1] = x_val[:, 1] = 7
    with np.errstate(all="ignore"):
        train, val = answer.standardise(x_train.copy(), x_val.copy())
    if not np.isfinite(train).all() or not np.isfinite(val).all():
        raise Mistake("a column that never changes has a standard deviation of 0, and 0 / 0 is nan")
    compare("a column that never changes", train[:, 1], np.zeros(8))


def apart(x, by):
    return (x - by.mean(axis=0)) / by.std(axis=0)
