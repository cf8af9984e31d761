"""Chapter 8. Rows are shuffled and dealt out in batches, every row once in an epoch. A network trained with these never
reads more than a tenth of the digits. What do the batches look like?
"""


def batches(x, t, size, draw):
    """Yields (x, t) of each batch; the last one may be smaller. draw.permutation(n) shuffles 0 .. n - 1."""
    x = x[draw.permutation(len(x))]
    t = t[draw.permutation(len(t))]
    for start in range(0, len(x), size):
        yield x[start : start + size], t[start : start + size]
