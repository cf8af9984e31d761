"""Chapter 12. The last lines of the hundred: put the parts together. There are `network.forward`, `network.backward`,
`optimizer.step()`, and `softmax_cross_entropy(z, t)`, which gives L and dz. What happens with each batch, and when?
"""


def train(network, optimizer, softmax_cross_entropy, x, t, epochs, draw, batch=32):
    """Yields the mean loss over all rows of each epoch, each row with the loss it had when its turn came."""
    for _ in range(epochs):
        total = 0.0
        order = draw.permutation(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            ...
        yield total / len(x)
