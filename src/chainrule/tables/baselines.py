"""Models without a network, on the same rows and the same inputs: what a network has to beat."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from chainrule._typing import Array


class Baseline(NamedTuple):
    """What a simple model says of the held-out rows."""

    name: str
    predictions: Array
    probabilities: Array | None


def fit(task: str, X: Array, y: Array, X_test: Array, seed: int, class_weight: Any = None) -> list[Baseline]:
    """Return the majority class or the mean, and a linear model.

    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> [b.name for b in fit("regression", X, X.ravel(), X, seed=0)]
    ['mean', 'linear model']
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression, Ridge  # noqa: PLC0415
    from sklearn.multioutput import MultiOutputClassifier  # noqa: PLC0415

    logistic = LogisticRegression(max_iter=300, class_weight=class_weight, random_state=seed)
    models: dict[str, Any] = {
        "regression": {"mean": DummyRegressor(), "linear model": Ridge()},
        "multilabel": {
            "majority class": MultiOutputClassifier(DummyClassifier(strategy="prior")),
            "linear model": MultiOutputClassifier(logistic),
        },
    }.get(task, {"majority class": DummyClassifier(strategy="prior"), "linear model": logistic})
    found = []
    for name, model in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it could be fitted longer
            model.fit(X, y)
        p: Any = None if task == "regression" else model.predict_proba(X_test)
        if task == "multilabel":
            p = np.column_stack([one[:, -1] if one.shape[1] > 1 else np.zeros(len(one)) for one in p])
        found.append(Baseline(name, model.predict(X_test), p))
    return found
