"""Train a network with an explicit training loop, without `fit`.

python examples/training_loop.py
"""

import argparse

import numpy as np

import tinynet as tn

argparse.ArgumentParser(description=__doc__).parse_args()

EPOCHS = 5
BATCH = 32
LEARNING_RATE = 0.001

digits = tn.data.mnist_split()
x = digits.x_train.astype(np.float32) / 255  # (32000, 784), 0 paper to 1 ink
t = np.eye(10, dtype=np.float32)[digits.y_train]  # (32000, 10), one-hot rows

network = tn.mlp(784, [48, 24], 10, seed=1)
loss = tn.SoftmaxCrossEntropy()
optimizer = tn.Adam(network, lr=LEARNING_RATE)
shuffle = np.random.default_rng(1)
print(network.summary())

for epoch in range(1, EPOCHS + 1):
    total = 0.0
    order = shuffle.permutation(len(x))
    for start in range(0, len(x), BATCH):
        rows = order[start : start + BATCH]

        z = network.forward(x[rows], train=True)  # (32, 10) logits
        total += loss.forward(z, t[rows]) * len(rows)
        network.backward(loss.backward())  # fills network.grad
        optimizer.step()  # moves network.theta

    validation = tn.evaluate(network, digits.x_val, digits.y_val)
    print(f"epoch {epoch}: loss {total / len(x):.4f}, validation accuracy {validation.accuracy:.4f}")
