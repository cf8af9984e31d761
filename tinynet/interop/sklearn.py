"""Networks as scikit-learn's estimators: in pipelines, grid searches and cross-validations."""

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
"""Of a batch, where batch_size is "auto"."""


class _Estimator(BaseEstimator):
    """What both share: parameters, and training."""

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
        """A new network with its optimizer, in the dtype of X."""
        seed = int(check_random_state(self.random_state).randint(2**31))
        hidden = np.atleast_1d(self.hidden_layer_sizes).tolist()
        self.network_ = mlp(
            X.shape[1], hidden, outputs, dropout=self.dropout, seed=seed, dtype=X.dtype.name, backend=self.backend
        )
        self.optimizer_ = Adam(self.network_, lr=self.learning_rate_init)
        self.history_ = History()

    def _train_to_the_end(self, X: np.ndarray, t: np.ndarray, sample_weight: Any) -> Self:
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
                f"max_iter={self.max_iter} epochs are done, and the loss was still becoming lower",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _train(
        self, X: np.ndarray, t: np.ndarray, sample_weight: Any, callbacks: Sequence[Any] = (), **options: Any
    ) -> Self:
        """Weights are divided by their mean: a row of weight 2 is two rows, and the learning rate stays what it is."""
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

    def _goes_on(self) -> bool:
        return bool(self.warm_start) and hasattr(self, "network_")

    def _rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=self.network_.dtype, reset=False)


class Classifier(ClassifierMixin, _Estimator):
    """Dense and ReLU, trained by Adam to tell classes apart. Labels may be of any kind; `classes_` has them.

    Parameters mean what they mean to MLPClassifier: training ends when the loss has not become lower by `tol` for more
    than `n_iter_no_change` epochs, or, with `early_stopping`, that of `validation_fraction` of the rows has not for so
    many, and then the best parameters stay; `warm_start` goes on where the last `fit` ended. `dropout` and `backend`
    are those of `mlp`. After `fit` there are `network_`, `optimizer_`, `history_`, `n_iter_`, `loss_` and
    `loss_curve_`. It computes in the dtype of X: float32 is several times as fast as float64. ValueError for what X or
    y cannot be. Extra `sklearn`.
    """

    _loss_class = SoftmaxCrossEntropy

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains on rows X (N, D) and labels y (N,). ValueError for fewer than two classes."""
        goes_on = self._goes_on()
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=not goes_on)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if not goes_on:
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                raise ValueError(f"{type(self).__name__} takes two classes or more, got one class: {self.classes_[0]}")
            self._start(X, len(self.classes_))
        return self._train_to_the_end(X, self._labels(y), sample_weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch over these rows; `classes`, all that will ever come, must be given the first time."""
        first = _check_partial_fit_first_call(self, classes)
        first = first or not hasattr(self, "network_")
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=first)
        if first:
            self._start(X, len(self.classes_))
        return self._train(X, self._labels(column_or_1d(y, warn=True)), sample_weight, epochs=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each of `classes_`, (N, K)."""
        X = self._rows(X)
        return predict(self.network_, X)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, (N,)."""
        p = self.predict_proba(X)
        return self.classes_[p.argmax(axis=1)]

    def _labels(self, y: np.ndarray) -> np.ndarray:
        """The places of the labels in `classes_`."""
        strangers = np.setdiff1d(y, self.classes_)
        if len(strangers):
            raise ValueError(f"{type(self).__name__} knows the classes {self.classes_}, got {strangers}")
        return np.searchsorted(self.classes_, y)


class Regressor(RegressorMixin, _Estimator):
    """Dense and ReLU, trained by Adam to give one number a row, or several; y = W x + b at the end, mean squared error.

    Parameters and what there is after `fit` are those of `Classifier`. ValueError for what X or y cannot be.
    """

    _loss_class = MeanSquaredError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains on rows X (N, D) and values y, (N,) or (N, M)."""
        goes_on = self._goes_on()
        X, t = self._checked(X, y, reset=not goes_on)
        if not goes_on:
            self._start(X, t.shape[1])
        return self._train_to_the_end(X, t, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch over these rows."""
        first = not hasattr(self, "network_")
        X, t = self._checked(X, y, reset=first)
        if first:
            self._start(X, t.shape[1])
        return self._train(X, t, sample_weight, epochs=1)

    def predict(self, X: Any) -> np.ndarray:
        """The values, (N,) for one a row, else (N, M)."""
        X = self._rows(X)
        y = predict(self.network_, X)
        return y[:, 0] if y.shape[1] == 1 else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y[:, None] if y.ndim == 1 else y


class _Converged(Exception):
    """Ends a training from inside a callback."""


class _NoChange:
    """Ends a training whose loss has not become lower by `tol` for more than so many epochs: MLPClassifier's rule."""

    def __init__(self, tol: float, epochs: int) -> None:
        self.tol, self.epochs, self.best, self.waited = tol, epochs, math.inf, 0

    def __call__(self, record: Record) -> None:
        self.waited = self.waited + 1 if record.loss > self.best - self.tol else 0
        self.best = min(self.best, record.loss)
        if self.waited > self.epochs:
            raise _Converged
