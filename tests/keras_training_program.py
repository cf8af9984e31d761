"""Trains Keras models, saves each one, trains it on, and writes what it predicts then. Run by test_keras_training.py.

Each step takes all rows, so that their order does not matter. Keras's NumPy backend cannot train; this one runs on JAX.
"""

import os
import sys

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

K, LOSSES, optimizers = keras.layers, keras.losses, keras.optimizers
EPOCHS = 20
draw = np.random.default_rng(0)
X = draw.normal(size=(8, 6)).astype(np.float32)
PICTURES = draw.normal(size=(8, 6, 6, 2)).astype(np.float32)
LABELS = draw.integers(0, 4, 8)
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]
TWO = (X[:, :1] > 0).astype(np.float32)


def rows(*last, hidden=()):
    return [K.Dense(8, "tanh"), *hidden, *last]


def softmax(*hidden):
    return rows(K.Dense(4, "softmax"), hidden=hidden)


def frozen():
    layers = softmax(K.BatchNormalization())
    layers[0].trainable = layers[1].trainable = False
    return layers


def pictures():
    blocks = [K.Conv2D(3, 3, padding="same"), K.BatchNormalization(), K.ReLU(), K.MaxPooling2D(2)]
    return [*blocks, K.Conv2D(4, 2), K.AveragePooling2D(2), K.Flatten(), K.Dense(4, "softmax")]


SPARSE = "sparse_categorical_crossentropy"
CASES = {
    "softmax": (softmax, SPARSE, LABELS, lambda: optimizers.SGD(0.2)),
    "loss as a function": (softmax, LOSSES.sparse_categorical_crossentropy, LABELS, lambda: optimizers.SGD(0.2)),
    "smoothed labels": (
        softmax,
        LOSSES.CategoricalCrossentropy(label_smoothing=0.3),
        ONE_HOT,
        lambda: optimizers.SGD(0.2),
    ),
    "logits": (
        lambda: rows(K.Dense(4)),
        LOSSES.SparseCategoricalCrossentropy(from_logits=True),
        LABELS,
        lambda: optimizers.SGD(0.2),
    ),
    "sigmoid": (lambda: rows(K.Dense(1, "sigmoid")), "binary_crossentropy", TWO, lambda: optimizers.SGD(0.2)),
    "one logit": (
        lambda: rows(K.Dense(1)),
        LOSSES.BinaryCrossentropy(from_logits=True),
        TWO,
        lambda: optimizers.SGD(0.2),
    ),
    "values": (lambda: rows(K.Dense(6, "sigmoid")), "mse", X, lambda: optimizers.SGD(0.2)),
    "list of one loss": (softmax, [SPARSE], LABELS, lambda: optimizers.SGD(0.2)),
    "momentum": (softmax, SPARSE, LABELS, lambda: optimizers.SGD(0.1, momentum=0.9)),
    "nesterov": (softmax, SPARSE, LABELS, lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1)),
    "adam": (softmax, SPARSE, LABELS, lambda: optimizers.Adam(0.01, epsilon=0.01)),
    "adamw": (softmax, SPARSE, LABELS, lambda: optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=0.1)),
    "rmsprop": (softmax, SPARSE, LABELS, lambda: optimizers.RMSprop(0.01, epsilon=0.01)),
    "batch norm": (lambda: softmax(K.BatchNormalization(momentum=0.5)), SPARSE, LABELS, lambda: optimizers.SGD(0.2)),
    "layer norm": (lambda: softmax(K.LayerNormalization()), SPARSE, LABELS, lambda: optimizers.SGD(0.2)),
    "activations": (
        lambda: softmax(K.Dense(5, "gelu"), K.LeakyReLU(negative_slope=0.0), K.Dense(5), K.LeakyReLU(), K.Dropout(0)),
        SPARSE,
        LABELS,
        lambda: optimizers.SGD(0.2),
    ),
    "frozen": (frozen, SPARSE, LABELS, lambda: optimizers.SGD(0.2)),
    "pictures": (pictures, SPARSE, LABELS, lambda: optimizers.SGD(0.05)),
}
"""Layers, loss, targets and optimizer."""


def inputs(name):
    return PICTURES if name == "pictures" else X


def write(folder):
    for name, (layers, loss, targets, optimizer) in CASES.items():
        keras.utils.set_random_seed(1)
        x = inputs(name)
        model = keras.Sequential([keras.Input(x.shape[1:]), *layers()])
        model.compile(optimizer(), loss)
        model.fit(x, targets, batch_size=8, epochs=3, verbose=0)
        model.save(f"{folder}/{name}.keras")
        model.save(f"{folder}/{name}.h5")
        model.fit(x, targets, batch_size=8, epochs=EPOCHS, verbose=0)
        np.save(f"{folder}/{name}.npy", model.predict(x, verbose=0))


if __name__ == "__main__":
    write(sys.argv[1])
