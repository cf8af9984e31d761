def train(network, optimizer, softmax_cross_entropy, x, t, epochs, draw, batch=32):
    for _ in range(epochs):
        total = 0.0
        order = draw.permutation(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            L, dz = softmax_cross_entropy(network.forward(x[rows]), t[rows])
            network.backward(dz)
            optimizer.step()
            total += L * len(rows)
        yield total / len(x)
