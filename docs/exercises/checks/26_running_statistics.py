import numpy as np
from checking import Mistake, compare

HINTS = (
    "In prediction there is no training batch. Which mean can be subtracted from a single row?",
    "The running ones in `kept`. And prediction must not change them.",
    "The first three statements belong under `if train:`; otherwise mean and variance are kept['mean'] and "
    "kept['variance'].",
)


def check(answer):
    draw = np.random.default_rng(26)
    x = draw.normal(3, 2, size=(8, 3))
    mean, variance = draw.normal(2, 1, size=3), draw.uniform(2, 6, size=3)

    def run(x, train, **options):
        kept = {"mean": mean.copy(), "variance": variance.copy()}
        return answer.batch_norm(x.copy(), kept, train, **options), kept

    y, kept = run(x, True, momentum=0.25)
    in_training(x, mean, variance, y, kept)

    one, kept = run(x[:1], False)
    right = normal(x[:1], mean, variance)
    compare("one row in use", one, right, in_use(x[:1], mean, variance, x[0], 0.0))
    together, after = run(x, False)
    mistakes = in_use(x, mean, variance, x.mean(axis=0), x.var(axis=0))
    compare("many rows in use", together, normal(x, mean, variance), mistakes)
    for asked in (kept, after):
        if not np.array_equal(asked["mean"], mean) or not np.array_equal(asked["variance"], variance):
            raise Mistake("in prediction the kept numbers change, so the output for a row depends on earlier rows")


def in_training(x, mean, variance, y, kept):
    n, batch = len(x), (x.mean(axis=0), x.var(axis=0))
    mistakes = {
        "in training the kept numbers are used; it is the batch's own mean and variance that count there": normal(
            x, mean, variance
        ),
        "the kept numbers, with this batch in them, are used; in training it is the batch's own that count": normal(
            x, kept["mean"], kept["variance"]
        ),
        "the variance is divided by n - 1; that is for the kept one, and x^ has its own variance, divided by n": normal(
            x, batch[0], batch[1] * n / (n - 1)
        ),
    }
    compare("y in training", y, normal(x, *batch), mistakes)
    for name, old, new in [("mean", mean, batch[0]), ("variance", variance, batch[1] * n / (n - 1))]:
        mistakes = {
            "it does not change in training; then in use it is what it was before the first batch": old,
            "it is the last batch's alone; the batches before are forgotten": new,
            "momentum is the share of the new batch, and here it is the share of the old number": 0.25 * old
            + 0.75 * new,
            "the old number is not made smaller, so it grows with every batch": old + 0.25 * new,
        }
        if name == "variance":
            mistakes["n / (n - 1) is missing: around its own mean a batch spreads too little"] = (
                0.75 * old + 0.25 * batch[1]
            )
        compare(f"kept['{name}'] after a batch", kept[name], 0.75 * old + 0.25 * new, mistakes)


def in_use(x, mean, variance, own_mean, own_variance):
    """Return the mistake that gives rows this mean and variance."""
    alone = "it is zero, whatever comes in: a row's own mean is taken away, and that is the row"
    batch = "rows that come together are normalized by each other; the answer to one must not depend on its neighbors"
    return {
        alone if len(x) == 1 else batch: normal(x, own_mean, own_variance),
        "it is left as it is; in use, too, the kept mean is taken away, and the spread divided by": x,
        "only the kept mean is taken away; the spread is not divided by": x - mean,
        "divided by the variance; it is its root that measures the spread": (x - mean) / (variance + 1e-5),
        "the kept mean, but the variance of what has just come in": normal(x, mean, own_variance),
    }


def normal(x, mean, variance):
    return (x - mean) / np.sqrt(variance + 1e-5)
