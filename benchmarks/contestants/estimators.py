"""Workloads that scikit-learn's MLPClassifier and chainrule's run with the same code."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import data


def fit(
    classifier: type, *, name: str, rows: int | None = None, precision: str = "float64", **settings: Any
) -> dict[str, Any]:
    """Fit to data of this precision with the defaults, except for these settings."""
    X, y = data.known(name, rows)
    X = X.astype(precision, copy=False)
    model = classifier(random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 200 epochs, the default, may not be enough
        begin = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - begin
    return data.result(seconds, loss=model.loss_, epochs_taken=model.n_iter_, accuracy=model.score(X, y))


def search(
    classifier: type, *, jobs: int, folds: int, rows: int | None, epochs: int, grid: dict[str, list[Any]]
) -> dict[str, Any]:
    """Run a grid search with cross-validation."""
    from sklearn.model_selection import GridSearchCV

    X, y = data.known("digits", rows)
    found = GridSearchCV(classifier(random_state=0, max_iter=epochs), grid, n_jobs=jobs, cv=folds, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.perf_counter()
        found.fit(X, y)
        seconds = time.perf_counter() - begin
    return data.result(seconds, best_accuracy=found.best_score_)


def fitted(classifier: type, sizes: list[int]) -> Any:
    """Return a fitted float32 estimator with the parameters that all contestants use."""
    X = data.random_rows(sizes[0], sizes[-1], 200)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = classifier(tuple(sizes[1:-1]), max_iter=1, random_state=0).fit(X, np.arange(200) % sizes[-1])
    for W, b, (W0, b0) in zip(model.coefs_, model.intercepts_, data.start(sizes)[0], strict=True):
        W[...], b[...] = W0, b0
    return model


def predict(classifier: type, *, sizes: list[int], rows: int, calls: int) -> dict[str, Any]:
    """Predict probabilities."""
    return time_calls(fitted(classifier, sizes).predict_proba, sizes, rows, calls)


def time_calls(function: Callable[[Any], Any], sizes: list[int], rows: int, calls: int) -> dict[str, Any]:
    """Time repeated calls of a prediction function, after a few warm-up calls."""
    seconds, p = repeated(function, sizes, rows, calls)
    return data.result(seconds, calls=calls, mean_largest=np.asarray(p).max(axis=1).mean())


def repeated(function: Callable[[Any], Any], sizes: list[int], rows: int, calls: int) -> tuple[float, Any]:
    """Return the seconds of these calls, and what the function returns."""
    X = data.random_rows(sizes[0], sizes[-1], 10_000)[0][:rows]
    for _ in range(max(1, calls // 10)):
        returned = function(X)
    begin = time.perf_counter()
    for _ in range(calls):
        function(X)
    return time.perf_counter() - begin, returned
