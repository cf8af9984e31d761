"""Chapter 8. Rows are shuffled and divided into batches, each row once per epoch. A network trained with these batches
stays at an accuracy of one tenth. What is wrong with the batches?
"""


def batches(x, t, size, draw):
    """Yield (x, t) of each batch; the last may be smaller. draw.permutation(n) shuffles 0 .. n - 1."""
    x = x[draw.permutation(len(x))]
    t = t[draw.permutation(len(t))]
    for start in range(0, len(x), size):
        yield x[start : start + size], t[start : start + size]
