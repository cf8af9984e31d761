def std(D):
    return (2 / D) ** 0.5
