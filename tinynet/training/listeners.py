"""Listeners: what `fit` calls before, during and after a training.

The order is fixed, in every hook: Divergence, EarlyStopping, Checkpoint, Augmentation, ProgressBar, then the callbacks
in the order in which they were given. So a checkpoint that is written at the end holds the restored best parameters.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..arrays.checksum import checksum
from ..inspect.diagnosis import first_not_finite
from ..losses import Loss
from ..network import Network
from ..optim import Optimizer
from .history import History, Record
from .input_validation import warn
from .loop import Steps, batches, train_steps


class StopTraining(Exception):
    """Raise it in a callback to stop training after this epoch. Its text becomes `history.stopped`."""


@dataclass
class Training:
    """What a listener sees of a training. `x` and `t` are on the network's backend."""

    network: Network
    optimizer: Optimizer
    loss: Loss
    x: Array
    t: Any
    epochs: int
    batch_size: int
    history: History
    validation: tuple[Loss, Array, Any] | None = None
    listeners: Sequence[Listener] = ()
    seconds: float = 0.0
    """Seconds that the current epoch took before the program was restarted from a checkpoint."""


class Listener:
    """Base class of listeners. Each hook does nothing by default; a callback of your own may override any of them."""

    def identity(self, training: Training) -> dict[str, str]:
        """Return what of this listener decides the result of a training. A checkpoint of another one is refused."""
        return {}

    def begin(self, training: Training) -> None:
        """Prepare for a training that is about to start."""

    def steps(self, steps: Steps) -> Steps:
        """Return the steps of an epoch: the given ones, or a generator function that wraps them."""
        return steps

    def __call__(self, record: Record) -> None:
        """Look at the Record of an epoch. Raise StopTraining to stop after this epoch."""

    def end(self, error: BaseException | None) -> None:
        """Finish. `error` is the exception that ended the training, such as KeyboardInterrupt, or None."""


class Callback(Listener):
    """A callable that is called with the Record of every epoch."""

    def __init__(self, call: Callable[[Record], Any]) -> None:
        self.call = call

    def __call__(self, record: Record) -> None:
        self.call(record)


def as_listeners(callbacks: Any) -> list[Listener]:
    """Return the callbacks as listeners. Raises TypeError unless each can be called."""
    found: list[Any] = list(callbacks) if isinstance(callbacks, Iterable) else [None]
    if not all(map(callable, found)):
        raise TypeError(f"fit takes callbacks in a list, each to be called with a Record; got {callbacks!r}")
    return [call if isinstance(call, Listener) else Callback(call) for call in found]


class Divergence(Listener):
    """Stops training once the loss is not finite, and says where the first NaN or inf arises."""

    def begin(self, training: Training) -> None:
        self.training = training

    def __call__(self, record: Record) -> None:
        if reason := self._reason(record):
            warn(f"fit stops: {reason}", RuntimeWarning)
            raise StopTraining(reason)

    def _reason(self, record: Record) -> str:
        """Return what is not finite: the loss, or a vector, which may stop moving while the loss stays finite."""
        advice = "a lower lr, or smaller x and t, may help"
        if not math.isfinite(record.loss):
            network, loss, x, t = self.training.network, self.training.loss, self.training.x, self.training.t
            first = next(batches(network, np.arange(len(x)), self.training.batch_size, x, t))
            origin = first_not_finite(network, loss, *first)
            where = f"; first not finite: {origin}" if origin else ""
            return f"the loss of epoch {record.epoch} is {record.loss}; {advice}{where}"
        optimizer, backend = self.training.optimizer, self.training.network.backend
        names = ["theta", *optimizer.slots]
        finite = backend.to_host(
            backend.xp.stack([backend.xp.isfinite(getattr(optimizer, name)).all() for name in names])
        )
        if finite.all():
            return ""
        return f"{type(optimizer).__name__}.{names[finite.argmin()]} is not finite after epoch {record.epoch}; {advice}"


class EarlyStopping(Listener):
    """Stops training after `patience` epochs without a lower validation loss, and restores the best parameters."""

    def __init__(self, patience: int, validation: Any) -> None:
        if patience < 1 or validation is None:
            raise ValueError(f"fit takes patience of at least 1, together with validation=(x, t); got {patience}")
        self.patience, self.loss = patience, math.inf
        self.best: tuple[Array, Array] | None = None
        self.last: tuple[Array, Array] | None = None
        """The parameters and buffers before the best ones were restored, for a checkpoint that may go on from them."""

    def identity(self, training: Training) -> dict[str, str]:
        return {"patience": str(self.patience)}

    def begin(self, training: Training) -> None:
        self.network, self.epoch = training.network, training.network.epoch

    def __call__(self, record: Record) -> None:
        if record.val_loss is None:
            return
        if record.val_loss < self.loss:
            self.epoch, self.loss = record.epoch, record.val_loss
            self.best = self.network.theta.copy(), self.network.buffers.copy()
        if record.epoch - self.epoch >= self.patience:
            restored = ", whose weights are back" if self.best else ""
            raise StopTraining(f"no lower validation loss since epoch {self.epoch}{restored}")

    def end(self, error: BaseException | None) -> None:
        """Restore the best parameters and buffers, also after Ctrl-C."""
        if self.best:
            self.last = self.network.theta.copy(), self.network.buffers.copy()
            self.network.theta[...], self.network.buffers[...] = self.best


class Augmentation(Listener):
    """Trains each epoch on augment(x, seed, epoch) instead of x."""

    def __init__(self, augment: Callable[[Array, int, int], Array]) -> None:
        if not callable(augment):
            raise TypeError(
                f"fit takes a function augment(x, seed, epoch) such as tn.data.augment; got {augment!r:.60}"
            )
        self.augment = augment

    def identity(self, training: Training) -> dict[str, str]:
        network, first = training.network, training.x[:16]
        epochs = (self.augment(first, network.seed, network.epoch + k) for k in range(2))
        return {"augment": ", ".join(checksum(x, network.backend.to_host) for x in epochs)}

    def steps(self, steps: Steps) -> Steps:
        def augmented(network: Network, optimizer: Optimizer, loss: Loss, x: Array, *rest: Any) -> Iterator[Any]:
            y = self.augment(x, network.seed, network.epoch)
            if not isinstance(y, type(x)) or (y.shape, y.dtype) != (x.shape, x.dtype):
                found = f"{type(y).__name__} {getattr(y, 'dtype', '')} {getattr(y, 'shape', '')}"
                raise ValueError(
                    f"augment must give what it takes, {type(x).__name__} {x.dtype} {x.shape}; got {found}"
                )
            return steps(network, optimizer, loss, y, *rest)

        return augmented


@contextlib.contextmanager
def listening(listeners: Sequence[Listener], training: Training) -> Iterator[Steps]:
    """Begin all listeners, yield the backend's steps as wrapped by them, and end all, however the training ends."""
    error: BaseException | None = None
    try:
        steps = training.network.backend.train_steps or train_steps
        for listener in listeners:
            listener.begin(training)
            steps = listener.steps(steps)
        network, optimizer, loss = training.network, training.optimizer, training.loss
        network.backend.compile_step(network, optimizer, loss, training.x, training.t, training.batch_size)
        yield steps
    except BaseException as raised:
        error = raised
        raise
    finally:
        with contextlib.ExitStack() as stack:  # calls them in reverse order, and all, even if one raises an error
            for listener in reversed(listeners):
                stack.callback(listener.end, error)


def notify(listeners: Sequence[Listener], record: Record) -> str:
    """Call all listeners with the record, and return why training should stop: the first reason given, or ""."""
    reasons = []
    for listener in listeners:
        try:
            listener(record)
        except StopTraining as stop:
            reasons.append(str(stop) or "a callback raised StopTraining")
    return reasons[0] if reasons else ""
