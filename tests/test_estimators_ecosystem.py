"""scikit-learn's tools around an estimator, run with ours."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, make_regression
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
X_REGRESSION, Y_REGRESSION = make_regression(90, 4, noise=1.0, random_state=0)
Y_REGRESSION = Y_REGRESSION / Y_REGRESSION.std()


@pytest.fixture(autouse=True)
def _few_epochs():
    """That so few epochs do not converge is no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def classifier(**parameters):
    return MLPClassifier((8,), **{"max_iter": 30, "learning_rate_init": 0.03, "random_state": 0, **parameters})


def regressor(**parameters):
    return MLPRegressor("huber", (8,), max_iter=30, learning_rate_init=0.03, random_state=0, **parameters)


def test_grid_search_in_a_pipeline():
    model = make_pipeline(StandardScaler(), classifier())
    grid = {
        "mlpclassifier__dropout": [0.0, [0.2]],
        "mlpclassifier__activation": ["gelu", ["tanh"]],
        "mlpclassifier__class_weight": [None, "balanced"],
    }
    search = GridSearchCV(model, grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.85
    assert len(search.cv_results_["params"]) == 8
    assert search.predict(X).shape == Y.shape


def test_grid_search_of_a_regressor():
    search = GridSearchCV(regressor(), {"loss": ["squared_error", "quantile"], "l1": [0.0, 0.1]}, cv=2)
    assert search.fit(X_REGRESSION, Y_REGRESSION).best_score_ > 0.5


@pytest.mark.slow
def test_cross_val_score_in_two_processes(monkeypatch):
    # The workers are processes of their own: they ignore the warnings that this one ignores.
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    model = make_pipeline(StandardScaler(), classifier(dropout=0.1, solver="adamw"))
    alone = cross_val_score(model, X, Y, cv=4)
    np.testing.assert_array_equal(cross_val_score(model, X, Y, cv=4, n_jobs=2), alone)
    assert alone.mean() > 0.8


def test_calibration():
    model = CalibratedClassifierCV(classifier(label_smoothing=0.1), cv=2).fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.score(X, Y) > 0.8


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_voting(voting):
    members = [("mlp", classifier(activation="mish")), ("line", LogisticRegression())]
    assert VotingClassifier(members, voting=voting).fit(X, Y).score(X, Y) > 0.85


def test_permutation_importance():
    noisy = np.c_[X, np.random.default_rng(0).random((len(X), 1))]
    result = permutation_importance(classifier().fit(noisy, Y), noisy, Y, n_repeats=3, random_state=0)
    assert result.importances_mean.shape == (5,)
    assert result.importances_mean[[2, 3]].max() > result.importances_mean[4]


@pytest.mark.parametrize("exploit_incremental_learning", [False, True])
def test_learning_curve(exploit_incremental_learning):
    sizes, train, held_out = learning_curve(
        classifier(), X, Y, cv=2, train_sizes=[0.4, 1.0], shuffle=True, random_state=0,
        exploit_incremental_learning=exploit_incremental_learning,
    )  # fmt: skip
    assert sizes.tolist() == [30, 75]
    assert train.shape == held_out.shape == (2, 2)
    assert np.isfinite(train).all()


@pytest.mark.slow
def test_halving_grid_search():
    grid = {"dropout": [0.0, 0.1, 0.2], "learning_rate_init": [0.001, 0.03]}
    search = HalvingGridSearchCV(
        classifier(), grid, resource="max_iter", max_resources=60, min_resources=20, cv=2, random_state=0
    ).fit(X, Y)
    assert search.n_iterations_ > 1
    assert search.best_score_ > 0.5


def frame(library, values, names):
    module = pytest.importorskip(library)
    return module.DataFrame({name: values[:, i] for i, name in enumerate(names)})


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library):
    names = ["a", "b", "c", "d"]
    table = frame(library, X, names)
    model = classifier().fit(table, Y, X_val=table[:20], y_val=Y[:20])
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(model.coefs_[0], classifier().fit(X, Y).coefs_[0])
    np.testing.assert_array_equal(model.predict(table), classifier().fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame(library, X, ["a", "b", "d", "c"]))
    with pytest.raises(ValueError, match="feature names"):
        model.fit(table, Y, X_val=frame(library, X, ["a", "b", "d", "c"]), y_val=Y)
