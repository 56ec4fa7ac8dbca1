"""Meta-estimators of scikit-learn around ours through skl2onnx: what onnxruntime computes is what they predict."""

import importlib
import warnings

import numpy as np
import onnxruntime
import pytest
from sklearn import neural_network as theirs
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

import chainrule as cr

pytestmark = pytest.mark.slow


def skl2onnx():
    """Import what takes seconds to import when a test uses it, not when the tests are collected."""
    return importlib.import_module("skl2onnx")


def scaled(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


IRIS, CANCER, DIABETES = scaled(load_iris), scaled(load_breast_cancer), scaled(load_diabetes)
CLASSES = {"two": CANCER, "three": IRIS, "texts": (IRIS[0], np.array(["a", "b", "c"])[IRIS[1]])}
DTYPES = ["float32", "float64"]


def classifier(**parameters):
    return cr.MLPClassifier((8,), solver="lbfgs", max_iter=20, random_state=0, **parameters)


def regressor():
    return cr.MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=20, random_state=0)


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(X, y)


def run(model, x, **options):
    cr.onnx.register_skl2onnx()
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    made = skl2onnx().to_onnx(model, x[:1], options={id(last): options} if options else None)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(made.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


def check(model, x, within=1e-6, **options):
    label, p = run(model, x, zipmap=False, **options)
    np.testing.assert_array_equal(label, model.predict(x))
    assert p.dtype == x.dtype
    assert np.abs(p - model.predict_proba(x)).max() <= (within if x.dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("name", CLASSES)
def test_calibrated(name, method, ensemble, dtype):
    """A calibrator gets what it was fitted to: probabilities, not logits; and isotonic interpolates."""
    X, y = CLASSES[name]
    X = X.astype(dtype)
    check(fitted(CalibratedClassifierCV(classifier(), method=method, ensemble=ensemble, cv=2), X, y), X)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_what_a_calibrated_estimator_may_be(method):
    X, y = IRIS
    search = GridSearchCV(classifier(), {"alpha": [0.1, 1.0]}, cv=2)
    for model in (make_pipeline(StandardScaler(), classifier()), search):
        check(fitted(CalibratedClassifierCV(model, method=method, cv=2), X, y), X)
    frozen = FrozenEstimator(fitted(classifier(), X, y))
    check(CalibratedClassifierCV(frozen, method=method).fit(X, y), X)


def test_a_fold_that_lacks_a_class():
    X, y = IRIS
    folds = [(np.arange(0, 100), np.arange(30, 150)), (np.arange(20, 150), np.arange(0, 150, 3))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn and ours say that a class is missing, or more epochs wanted
        model = CalibratedClassifierCV(classifier(), cv=folds).fit(X, y)
    assert {len(part.estimator.classes_) for part in model.calibrated_classifiers_} == {2, 3}
    check(model, X)


def test_isotonic_where_all_calibrators_say_no_is_uniform():
    """scikit-learn divides evenly where every calibrated probability is 0."""
    X, y = IRIS
    model = fitted(CalibratedClassifierCV(classifier(), method="isotonic", ensemble=False, cv=2), X, y)
    for calibrator in model.calibrated_classifiers_[0].calibrators:
        calibrator.fit([0.0, 0.9, 1.0], [0.0, 0.0, 1.0])
    x = np.zeros((1, 4))
    model.calibrated_classifiers_[0].estimator.network_.theta[...] = 0
    np.testing.assert_allclose(model.predict_proba(x), 1 / 3)
    np.testing.assert_allclose(run(model, x, zipmap=False)[1], 1 / 3)


def test_calibration_around_others_is_left_to_skl2onnx():
    X, y = IRIS
    model = CalibratedClassifierCV(LogisticRegression(), cv=2).fit(X, y)
    check(model, X)
    their_mlp = theirs.MLPClassifier((8,), solver="lbfgs", max_iter=20, random_state=0)
    check(fitted(CalibratedClassifierCV(their_mlp, cv=2), X, y), X)


def test_calibration_that_has_no_converter_is_refused_in_a_sentence():
    X, y = IRIS
    model = fitted(CalibratedClassifierCV(classifier(), method="temperature", cv=2), X, y)
    with pytest.raises(ValueError, match="method='temperature': use 'sigmoid' or 'isotonic'"):
        run(model, X, zipmap=False)
    with pytest.raises(ValueError, match="nocl is not available"):
        run(fitted(CalibratedClassifierCV(classifier(), cv=2), X, y), X, nocl=True, zipmap=False)
    with pytest.raises(ValueError, match=r"pass options=\{'zipmap': False\}"):
        run(fitted(CalibratedClassifierCV(classifier(), cv=2), X, y), X)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CLASSES)
def test_ensembles_of_classifiers(name, dtype):
    X, y = CLASSES[name]
    X = X.astype(dtype)
    pair = [("mlp", classifier()), ("linear", LogisticRegression())]
    calibrated = CalibratedClassifierCV(classifier(), cv=2)
    for model in (
        VotingClassifier(pair, voting="soft", flatten_transform=False),
        StackingClassifier(pair, cv=2),
        StackingClassifier(pair, final_estimator=classifier(), cv=2, passthrough=True),
        BaggingClassifier(classifier(), n_estimators=3, random_state=0),
        BaggingClassifier(calibrated, n_estimators=2, max_features=0.5, random_state=0),
        OneVsRestClassifier(classifier()),
        OneVsRestClassifier(calibrated),
        make_pipeline(StandardScaler(), calibrated),
    ):
        check(fitted(model, X, y), X)
    hard = fitted(VotingClassifier(pair, voting="hard", flatten_transform=False), X, y)
    np.testing.assert_array_equal(run(hard, X, zipmap=False)[0], hard.predict(X))


@pytest.mark.parametrize("dtype", DTYPES)
def test_ensembles_of_regressors(dtype):
    X, y = DIABETES[0].astype(dtype), DIABETES[1] / 100
    pair = [("mlp", regressor()), ("linear", Ridge())]
    for model in (
        VotingRegressor(pair),
        StackingRegressor(pair, cv=2),
        BaggingRegressor(regressor(), n_estimators=2, random_state=0),
    ):
        np.testing.assert_allclose(run(fitted(model, X, y), X)[0].ravel(), model.predict(X), rtol=2e-6, atol=2e-6)


INVERSES = [
    {"transformer": StandardScaler()},
    {"transformer": StandardScaler(with_mean=False)},
    {"transformer": StandardScaler(with_std=False)},
    {"transformer": RobustScaler()},
    {"transformer": MaxAbsScaler()},
    {"transformer": MinMaxScaler((-1, 1))},
    {"transformer": FunctionTransformer(np.log1p, np.expm1)},
    {"func": np.log, "inverse_func": np.exp},
    {"func": np.exp, "inverse_func": np.log, "check_inverse": False},
    {"func": np.expm1, "inverse_func": np.log1p},
    {"func": np.sqrt, "inverse_func": np.square},
    {"func": np.square, "inverse_func": np.sqrt},
    {"func": np.negative, "inverse_func": np.negative},
    {},
]


@pytest.mark.parametrize("inverse", INVERSES, ids=str)
@pytest.mark.parametrize("outputs", [1, 2])
def test_transformed_targets(inverse, outputs):
    X, y = DIABETES
    y = 2 + y / 200 if outputs == 1 else np.c_[2 + y / 200, 4 - y / 400]
    model = fitted(TransformedTargetRegressor(regressor(), **inverse), X, y)
    expected = model.predict(X).reshape(len(X), -1)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(run(model, X)[0], expected, rtol=1e-11, atol=1e-12)
    x = X.astype("float32")
    np.testing.assert_allclose(run(model, x)[0], model.predict(x).reshape(len(X), -1), rtol=1e-6, atol=1e-6)


def test_an_inverse_that_has_no_converter_is_refused_in_a_sentence():
    X, y = DIABETES
    for inverse in ({"transformer": PowerTransformer()}, {"func": np.cbrt, "inverse_func": lambda t: t**3}):
        model = fitted(TransformedTargetRegressor(regressor(), **inverse), X, y)
        with pytest.raises(ValueError, match=r"(?s)no converter for the inverse of .*np\.expm1"):
            run(model, X)
