"""Stopping when the validation loss no longer falls."""

from __future__ import annotations

import math

from ..arrays import Array
from ..network import Network
from .history import Record


class EarlyStopping:
    """Keeps theta and buffers of the epoch with the lowest validation loss; with patience None it does nothing."""

    def __init__(self, network: Network, patience: int | None) -> None:
        self.network, self.patience = network, patience
        self.epoch, self.loss = network.epoch, math.inf
        self.best: tuple[Array, Array] | None = None

    def reason(self, record: Record) -> str:
        """Why training should stop after this record; empty to go on."""
        if self.patience is None or record.val_loss is None:
            return ""
        if record.val_loss < self.loss:
            self.epoch, self.loss = record.epoch, record.val_loss
            self.best = self.network.theta.copy(), self.network.buffers.copy()
        if record.epoch - self.epoch < self.patience:
            return ""
        back = ", whose weights are back" if self.best else ""
        return f"no lower validation loss since epoch {self.epoch}{back}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        """However training ended, Ctrl-C too: the best weights are back."""
        if self.best:
            self.network.theta[...], self.network.buffers[...] = self.best
