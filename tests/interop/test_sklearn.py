"""The scikit-learn estimators: scikit-learn's own checks, and common uses."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import tinynet as tn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def words():
    """Return rows and labels that are strings."""
    x, y = make_classification(
        300, 6, n_informative=5, n_redundant=0, n_classes=3, n_clusters_per_class=1, class_sep=2.0, random_state=1
    )
    return x, np.array(["ant", "bee", "cat"])[y]


@pytest.mark.parametrize("estimator", [tn.Classifier, tn.Regressor])
def test_scikit_learns_own_checks_pass(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator(), on_fail=None, on_skip=None)
    assert len(results) > 50
    others = {result["check_name"]: result["exception"] for result in results if result["status"] != "passed"}
    assert others.keys() <= {"check_array_api_input"}, others  # which runs where SCIPY_ARRAY_API is set


def test_labels_may_be_words(words):
    x, y = words
    model = tn.Classifier([20], random_state=1).fit(x, y)
    assert model.classes_.tolist() == ["ant", "bee", "cat"]
    assert model.score(x, y) > 0.9
    p = model.predict_proba(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (model.classes_[p.argmax(axis=1)] == model.predict(x)).all()
    assert repr(model.network_).startswith("<Network Dense(6, 20), ReLU(), Dense(20, 3): ")
    assert model.n_iter_ == len(model.loss_curve_) == len(model.history_) == model.network_.epoch
    assert model.loss_ == model.loss_curve_[-1] < model.loss_curve_[0]


def test_it_computes_in_the_dtype_of_x(words):
    x, y = words
    model = tn.Classifier(max_iter=2).fit(x.astype(np.float32), y)
    assert (model.network_.dtype, model.predict_proba(x).dtype) == (np.float32, np.float32)
    assert tn.Classifier(max_iter=2).fit(x, y).network_.dtype == np.float64


def test_one_seed_is_one_result(words):
    x, y = words
    theta = [tn.Classifier(max_iter=3, random_state=seed).fit(x, y).network_.theta for seed in (1, 1, 2)]
    assert (theta[0] == theta[1]).all()
    assert (theta[0] != theta[2]).any()


def test_training_ends_when_the_loss_stays(words):
    x, y = words
    model = tn.Classifier(tol=1.0, n_iter_no_change=3, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.fit(x, y)
    assert model.n_iter_ == 5  # the first epoch is lower than none before, and four are waited for
    with pytest.warns(ConvergenceWarning, match="max_iter=2 epochs are done, but the loss is still decreasing"):
        tn.Classifier(max_iter=2).fit(x, y)


def test_early_stopping_holds_rows_out(words):
    x, y = words
    model = tn.Classifier(
        early_stopping=True, validation_fraction=0.2, n_iter_no_change=2, learning_rate_init=0.05, random_state=1
    )
    model.fit(x, y)
    assert model.n_iter_ < 200
    assert {record.rows for record in model.history_} == {240}
    waited = [record.val_loss for record in model.history_][-3:]
    assert min(waited) == waited[0]


def test_a_warm_start_goes_on_and_a_cold_one_does_not(words):
    x, y = words
    warm = tn.Classifier(max_iter=2, warm_start=True, random_state=1).fit(x, y).fit(x, y)
    straight = tn.Classifier(max_iter=4, random_state=1).fit(x, y)
    assert (warm.network_.theta == straight.network_.theta).all()
    cold = tn.Classifier(max_iter=2, random_state=1).fit(x, y).fit(x, y)
    assert (warm.n_iter_, cold.n_iter_) == (4, 2)
    with pytest.raises(ValueError, match=r"Classifier: expected labels from \['ant' 'bee' 'cat'\], got \['dog'\]"):
        warm.fit(x, np.where(y == "ant", "dog", y))


def test_partial_fit_is_an_epoch_a_call(words):
    x, y = words
    model = tn.Classifier(random_state=1)
    for part in np.split(np.arange(300), 3):
        model.partial_fit(x[part], y[part], classes=["ant", "bee", "cat"])
    assert (model.n_iter_, model.optimizer_.step_count) == (3, 3)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        tn.Classifier().partial_fit(x, y)


@pytest.mark.parametrize("estimator", [tn.Classifier, tn.Regressor])
def test_a_row_of_weight_two_is_two_rows(estimator, draw):
    x = draw.normal(size=(20, 3))
    y = (x[:, 0] > 0).astype(int)
    weights = draw.integers(0, 4, 20)
    options = {"random_state": 1, "max_iter": 30}
    weighted = estimator(**options).fit(x, y, sample_weight=weights)
    repeated = estimator(**options).fit(x.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(weighted.network_.theta, repeated.network_.theta, rtol=0, atol=1e-9)


def test_it_stands_in_pipelines_and_searches(words):
    x, y = words
    pipeline = make_pipeline(StandardScaler(), tn.Classifier(max_iter=20, random_state=1))
    search = GridSearchCV(pipeline, {"classifier__hidden_layer_sizes": [(4,), (30,)]}, cv=3).fit(x, y)
    assert search.best_params_ == {"classifier__hidden_layer_sizes": (30,)}
    assert "Classifier" in search.best_estimator_._repr_html_()


def test_what_is_fitted_travels_and_a_clone_is_not(words, tmp_path):
    x, y = words
    model = tn.Classifier(dropout=[0.1], max_iter=3).fit(x, y)
    joblib.dump(model, tmp_path / "model.joblib")
    for twin in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        assert (twin.predict_proba(x) == model.predict_proba(x)).all()
    with pytest.raises(NotFittedError):
        clone(model).predict(x)
    assert clone(model).get_params() == model.get_params()


def test_columns_keep_their_names(words):
    x, y = words
    frame = pd.DataFrame(x, columns=list("abcdef"))
    model = tn.Classifier(max_iter=2).fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcdef")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("bacdef")])


def test_several_values_a_row(draw):
    x = draw.normal(size=(200, 3))
    model = tn.Regressor(random_state=1, learning_rate_init=0.01).fit(x, x[:, :2] * 2)
    assert model.predict(x).shape == (200, 2)
    assert model.score(x, x[:, :2] * 2) > 0.95
    assert tn.Regressor(max_iter=2).fit(x, x[:, 0]).predict(x).shape == (200,)
    assert tn.Regressor().partial_fit(x, x[:, 0]).n_iter_ == 1


def test_one_class_is_refused(words):
    with pytest.raises(ValueError, match="Classifier: expected two or more classes, got one class: 7"):
        tn.Classifier().fit(words[0], np.full(300, 7))
