"""Networks as scikit-learn estimators, for pipelines, grid searches and cross-validation."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from ..arrays.backend import Backend
from ..losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from ..network import mlp
from ..optim import Adam
from ..training.evaluation import predict
from ..training.fit import fit
from ..training.history import History, Record

MOST_ROWS = 200
"""Largest batch with batch_size="auto"."""


class _Estimator(BaseEstimator):
    """The parameters and the training that both estimators share."""

    _loss_class: type[Loss]

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (100,),
        *,
        dropout: Sequence[float] = (),
        learning_rate_init: float = 0.001,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
        backend: str | Backend = "auto",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.backend = backend

    def _start(self, X: np.ndarray, outputs: int) -> None:
        """Make a new network and optimizer, in the dtype of X."""
        seed = int(check_random_state(self.random_state).randint(2**31))
        hidden = np.atleast_1d(self.hidden_layer_sizes).tolist()
        self.network_ = mlp(
            X.shape[1], hidden, outputs, dropout=self.dropout, seed=seed, dtype=X.dtype.name, backend=self.backend
        )
        self.optimizer_ = Adam(self.network_, lr=self.learning_rate_init)
        self.history_ = History()

    def _train_until_converged(self, X: np.ndarray, t: np.ndarray, sample_weight: Any) -> Self:
        before = len(self.history_)
        if self.early_stopping:
            parts = [X, t] if sample_weight is None else [X, t, sample_weight]
            X, x_val, t, t_val, *weights = train_test_split(
                *parts,
                test_size=self.validation_fraction,
                random_state=self.network_.seed,
                stratify=t if is_classifier(self) else None,
            )
            sample_weight = weights[0] if weights else None
            self._train(X, t, sample_weight, validation=(x_val, t_val), patience=self.n_iter_no_change)
        else:
            self._train(X, t, sample_weight, callbacks=[_NoChange(self.tol, self.n_iter_no_change)])
        if len(self.history_) - before == self.max_iter:
            warnings.warn(
                f"max_iter={self.max_iter} epochs are done, but the loss is still decreasing",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _train(
        self, X: np.ndarray, t: np.ndarray, sample_weight: Any, callbacks: Sequence[Any] = (), **options: Any
    ) -> Self:
        """Train. Weights are divided by their mean, so that they do not change the effective learning rate."""
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
            weights = weights / (weights.mean() or 1)
        settings = {"epochs": self.max_iter, "progress": bool(self.verbose)} | options
        batch_size: Any = min(MOST_ROWS, len(X)) if self.batch_size == "auto" else self.batch_size
        with contextlib.suppress(_Converged):
            fit(
                self.network_,
                self.optimizer_,
                X,
                t,
                batch_size=batch_size,
                loss=self._loss_class(),
                sample_weight=weights,
                callbacks=[self.history_.append, *callbacks],
                **settings,
            )
        self.n_iter_, self.loss_ = len(self.history_), self.history_[-1].loss
        self.loss_curve_ = [record.loss for record in self.history_]
        return self

    def _continues(self) -> bool:
        return bool(self.warm_start) and hasattr(self, "network_")

    def _rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=self.network_.dtype, reset=False)


class Classifier(ClassifierMixin, _Estimator):
    """A classifier of Dense and ReLU layers, trained by Adam. Labels may have any type; `classes_` holds them.

    The parameters are those of MLPClassifier. Training stops when the loss has not decreased by `tol` for more than
    `n_iter_no_change` epochs. With `early_stopping`, it stops when the loss on `validation_fraction` of the rows has
    not decreased for that many epochs, and the best parameters are kept. `warm_start` continues from the last `fit`.
    `dropout` and `backend` are those of `mlp`. `fit` sets `network_`, `optimizer_`, `history_`, `n_iter_`, `loss_` and
    `loss_curve_`. The dtype is that of X: float32 is several times as fast as float64. Raises ValueError for invalid X
    or y. Needs the extra `sklearn`.
    """

    _loss_class = SoftmaxCrossEntropy

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (N, D) and labels y (N,). Raises ValueError if there are fewer than two classes."""
        continues = self._continues()
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=not continues)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if not continues:
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"{type(self).__name__}: expected two or more classes, got one class: {self.classes_[0]}"
                )
            self._start(X, len(self.classes_))
        return self._train_until_converged(X, self._labels(y), sample_weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one epoch on these rows. The first call needs `classes`, all labels that any call will have."""
        first = _check_partial_fit_first_call(self, classes) or not hasattr(self, "network_")
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=first)
        if first:
            self._start(X, len(self.classes_))
        return self._train(X, self._labels(column_or_1d(y, warn=True)), sample_weight, epochs=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each of `classes_`, (N, K)."""
        X = self._rows(X)
        return predict(self.network_, X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, (N,)."""
        p = self.predict_proba(X)
        return self.classes_[p.argmax(axis=1)]

    def _labels(self, y: np.ndarray) -> np.ndarray:
        """Return the index of each label in `classes_`."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"{type(self).__name__}: expected labels from {self.classes_}, got {unknown}")
        return np.searchsorted(self.classes_, y)


class Regressor(RegressorMixin, _Estimator):
    """A regressor of Dense and ReLU layers, trained by Adam on the mean squared error. It predicts one or more values.

    The parameters and the attributes that `fit` sets are those of `Classifier`. Raises ValueError for invalid X or y.
    """

    _loss_class = MeanSquaredError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (N, D) and values y, (N,) or (N, M)."""
        X, t = self._prepared(X, y, first=not self._continues())
        return self._train_until_converged(X, t, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch on these rows."""
        X, t = self._prepared(X, y, first=not hasattr(self, "network_"))
        return self._train(X, t, sample_weight, epochs=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the values, (N, M), or (N,) if M = 1."""
        X = self._rows(X)
        y = predict(self.network_, X)
        return y[:, 0] if y.shape[1] == 1 else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _prepared(self, X: Any, y: Any, first: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the checked X (N, D) and y (N, M). With `first`, make a new network and optimizer for them."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True, reset=first)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        t = y[:, None] if y.ndim == 1 else y
        if first:
            self._start(X, t.shape[1])
        return X, t


class _Converged(Exception):
    """Raised by a callback to stop training."""


class _NoChange:
    """Stop training when the loss has not decreased by `tol` for more than `epochs` epochs, as MLPClassifier does."""

    def __init__(self, tol: float, epochs: int) -> None:
        self.tol, self.epochs, self.best, self.waited = tol, epochs, math.inf, 0

    def __call__(self, record: Record) -> None:
        self.waited = self.waited + 1 if record.loss > self.best - self.tol else 0
        self.best = min(self.best, record.loss)
        if self.waited > self.epochs:
            raise _Converged
