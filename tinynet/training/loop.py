"""Minibatches and `fit`: the loop, short enough to copy out."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array, rng
from ..inspect.diagnosis import first_not_finite
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from .checkpoint import Checkpoint
from .early_stopping import EarlyStopping
from .evaluation import Totals, batches, evaluate_prepared, prepare
from .history import History, Record
from .input_validation import augmented, callbacks_in, check_fit, loss_for, warn
from .progress import Progress

if TYPE_CHECKING:
    from tqdm import tqdm


def fit(
    network: Network,
    optimizer: Optimizer,
    x: Any,
    t: Any,
    *,
    epochs: int,
    batch_size: int = 32,
    loss: Loss | None = None,
    validation: tuple[Any, Any] | None = None,
    callbacks: Iterable[Callable[[Record], None]] = (),
    patience: int | None = None,
    class_weight: Mapping[int, float] | Sequence[float] | None = None,
    sample_weight: Any = None,
    augment: Callable[[Array, int, int], Array] | None = None,
    progress: tqdm[Any] | bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 500,
) -> History:
    """Trains for a number of epochs, each over all rows of x in a new order; returns a History.

    x           (N, ...) floats, or uint8 pixels, which are divided by 255 batch by batch
    t           labels (N,), or one-hot or soft rows (N, K); for losses without classes floats (N, M)
    loss        if none is given, that of the last training, else SoftmaxCrossEntropy, or CrossEntropy where the
                network ends in Softmax; network.loss remembers it
    validation  (x, t) to evaluate after each epoch
    callbacks   each is called with the Record of every epoch
    patience    stop after so many epochs without a lower validation loss, and put the best theta back
    class_weight, sample_weight  what the loss of each row is multiplied by: {class: weight}, 1 where a class is left
                out, or a row of all; and (N,). Accuracy and validation are not weighted
    augment     augment(x, seed, epoch) gives the x of an epoch, as tn.data.augment does for pictures
    progress    True, False, a tqdm bar of your own, which fit closes, or None: a bar in a terminal or a notebook

    checkpoint  a file in which this training is kept every so many steps, and from which it goes on, bit for bit, when
                the same script is started again: wherever it was killed, and at once if it was done

    Training goes on where the network stands: two calls of 2 epochs are one of 4, bit for bit. It ends, with a
    warning, once the loss is not finite. Raises ValueError or TypeError for bad input, before the first step, and
    ModelFileError for a checkpoint that is another training's, or cannot be read or written.
    """
    check_fit(network, optimizer, epochs, batch_size, validation, patience, augment, every)
    callbacks = callbacks_in(callbacks)
    loss = loss_for(network, loss)
    data = prepare(network, loss, x, t, class_weight, sample_weight)
    held_out = prepare(network, loss, *validation) if validation else None
    network.loss = loss
    history, stopping = History(), EarlyStopping(network, patience)
    saved = Checkpoint(checkpoint, every, optimizer, history, stopping)
    saved.go_on(*data, epochs=epochs, batch_size=batch_size)
    rows = (epochs - len(history)) * len(data[1])
    with saved, (network.backend.progress or Progress)(progress, rows) as bar, stopping:
        while len(history) < epochs and not history.stopped:
            record = _train_epoch(network, optimizer, *data, batch_size, augment, bar, saved)
            if held_out:
                val_loss, val_accuracy = evaluate_prepared(network, *held_out)
                record = replace(record, val_loss=val_loss, val_accuracy=val_accuracy)
            history.append(record)
            bar.show(record)
            history.stopped = _not_finite(network, record, *data, batch_size) or stopping.reason(record)
            for callback in callbacks:
                callback(record)
    return history


def _train_epoch(
    network: Network,
    optimizer: Optimizer,
    loss: Loss,
    x: Array,
    t: Array,
    batch_size: int,
    augment: Callable[[Array, int, int], Array] | None,
    bar: Progress,
    saved: Checkpoint,
) -> Record:
    lr, totals = optimizer.rate, Totals(network, loss)
    order = rng.generator(network.seed, "shuffle", network.epoch).permutation(len(x))
    start = time.perf_counter()
    x = augmented(augment, x, network.seed, network.epoch) if augment else x
    network.epoch += 1
    steps = saved.steps(network.backend.train_steps or train_steps)(network, optimizer, loss, x, t, order, batch_size)
    for rows, summed_loss, correct in steps:
        totals.add(rows, summed_loss, correct)
        if bar.is_due(rows):
            bar.show(Record(network.epoch, *totals.means()))
    loss_and_accuracy = totals.means()  # a device computes until here
    seconds = saved.seconds + time.perf_counter() - start
    network.check_windows()
    optimizer.check_vectors()
    return Record(network.epoch, *loss_and_accuracy, seconds=seconds, rows=totals.rows, lr=lr)


def train_steps(
    network: Network, optimizer: Optimizer, loss: Loss, x: Array, t: Array, order: np.ndarray, batch_size: int
) -> Iterator[tuple[int, Array, Array]]:
    """All there is to training: one step for every `batch_size` rows of x[order] and t[order].

    Yields how many rows were taken, their summed loss and their right answers. A backend may hold a faster version.
    """
    for x_batch, t_batch in batches(network, order, batch_size, x, t):
        z = network.forward(x_batch, train=True)
        batch_loss = loss.forward(z, t_batch)
        network.backward(loss.backward())
        optimizer.step()
        yield len(z), batch_loss * len(z), loss.count_correct(z, t_batch)


def _not_finite(network: Network, record: Record, loss: Loss, x: Array, t: Array, batch_size: int) -> str:
    if math.isfinite(record.loss):
        return ""
    origin = first_not_finite(network, loss, *next(batches(network, np.arange(len(x)), batch_size, x, t)))
    where = f"; first not finite: {origin}" if origin else ""
    reason = f"the loss of epoch {record.epoch} is {record.loss}; a lower lr may help{where}"
    warn(f"fit stops: {reason}", RuntimeWarning)
    return reason
