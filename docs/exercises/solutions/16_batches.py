def batches(x, t, size, draw):
    order = draw.permutation(len(x))
    for start in range(0, len(x), size):
        rows = order[start : start + size]
        yield x[rows], t[rows]
