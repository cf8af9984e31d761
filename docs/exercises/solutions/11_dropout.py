def dropout_mask(shape, rate, draw):
    return (draw.random(shape) >= rate) / (1 - rate)


def dropout_backward(dy, mask):
    return dy * mask
