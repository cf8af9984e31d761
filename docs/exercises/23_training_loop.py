"""Chapter 12. The training loop of `examples/from_scratch.py`. Use `network.forward`, `network.backward`,
`optimizer.step()`, and `softmax_cross_entropy(z, t)`, which returns L and dz. What happens with each batch, and when?
"""


def train(network, optimizer, softmax_cross_entropy, x, t, epochs, draw, batch=32):
    """Yield the mean loss of all rows in each epoch, each with the loss of its own batch."""
    for _ in range(epochs):
        total = 0.0
        order = draw.permutation(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            ...
        yield total / len(x)
