def difference(a, b):
    error = (a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) ** 0.5
    return b.mean() - a.mean(), error
