def direction(y, draw):
    return draw.normal(size=y.shape)
