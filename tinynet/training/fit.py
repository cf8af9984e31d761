"""`fit`: epochs, validation and listeners."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..arrays import Array
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from .checkpoint import Checkpoint
from .evaluation import evaluate_prepared, prepare
from .history import History, Record
from .input_validation import check_fit, loss_for
from .listeners import Augmentation, Divergence, EarlyStopping, Training, as_listeners, listening, notify
from .loop import train_epoch
from .progress import ProgressBar

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
    callbacks: Iterable[Callable[[Record], Any]] = (),
    patience: int | None = None,
    class_weight: Mapping[int, float] | Sequence[float] | None = None,
    sample_weight: Any = None,
    augment: Callable[[Array, int, int], Array] | None = None,
    progress: tqdm[Any] | bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 500,
) -> History:
    """Train for a number of epochs, each over all rows of x in a new order; return a History.

    x           (N, ...) floats, or uint8 pixels, which are divided by 255 batch by batch
    t           labels (N,), or one-hot or soft rows (N, K); floats (N, M) for losses without classes
    loss        default: the loss of the last training, else SoftmaxCrossEntropy, or CrossEntropy if the network ends in
                Softmax; `network.loss` keeps it
    validation  (x, t) to evaluate after each epoch
    callbacks   each is called with the Record of every epoch; one that raises tn.StopTraining("why") ends the training
                after this epoch. A tn.Listener may do more
    patience    stop after this many epochs without a lower validation loss, and restore the best parameters
    class_weight, sample_weight
                factors of each row's loss: {class: weight}, 1 for a class that is left out, or a sequence of all; and
                (N,). Accuracy and validation are not weighted
    augment     augment(x, seed, epoch) returns the x of an epoch, as tn.data.augment does for pictures
    progress    True, False, your own tqdm bar, which fit closes, or None: a bar in a terminal or a notebook
    checkpoint  a file that holds the training, saved every `every` steps. The same script, started again, resumes from
                it, bit for bit, and returns at once if the training was finished. With more epochs it goes on

    Training resumes where the network is: two calls of 2 epochs equal one of 4, bit for bit. It stops with a warning
    once the loss is not finite. `network.history` is the History while it grows, also after Ctrl-C. Raises ValueError
    or TypeError for bad input before the first step, and ModelFileError if the checkpoint belongs to another training,
    or cannot be read or written.
    """
    check_fit(network, optimizer, epochs, batch_size, validation)
    stopping = EarlyStopping(patience, validation) if patience is not None else None
    saving = Checkpoint(checkpoint, every, stopping) if checkpoint is not None else None
    augmenting = Augmentation(augment) if augment is not None else None
    bar = ProgressBar(progress) if progress is not False else None
    chosen = [listener for listener in (stopping, saving, augmenting, bar) if listener]
    listeners = [Divergence(), *chosen, *as_listeners(callbacks)]
    loss = loss_for(network, loss)
    data = prepare(network, loss, x, t, class_weight, sample_weight)
    held_out = prepare(network, loss, *validation) if validation else None
    network.loss, network.history = loss, (history := History())
    training = Training(network, optimizer, *data, epochs, batch_size, history, held_out, listeners)
    with listening(listeners, training) as steps:
        while len(history) < epochs and not history.stopped:
            record = train_epoch(network, optimizer, *data, batch_size, steps)
            if held_out:
                val_loss, val_accuracy = evaluate_prepared(network, *held_out)
                record = replace(record, val_loss=val_loss, val_accuracy=val_accuracy)
            history.append(replace(record, seconds=training.seconds + record.seconds))
            history.stopped = notify(listeners, history[-1])
    return history
