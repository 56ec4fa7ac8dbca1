"""scikit-learn's MLPClassifier."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.contestants import estimators
from benchmarks.task import Task


def _model(task: Task, random_state: Any) -> MLPClassifier:
    """Return the network, with classical instead of Nesterov momentum, like all others, and no penalty."""
    return MLPClassifier(
        tuple(task.sizes[1:-1]), activation=task.activation, alpha=0, batch_size=task.batch,
        solver="adam" if task.optimizer == "adam" else "sgd", learning_rate_init=task.rate, nesterovs_momentum=False,
        max_iter=task.epochs, n_iter_no_change=task.epochs + 1, random_state=random_state,
    )  # fmt: skip


def train(**work: Any) -> dict[str, Any]:
    """Train for some epochs."""
    task = Task(**work)
    X, t = task.data()
    model = _model(task, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about convergence
        begin = time.perf_counter()
        model.fit(X, t)
        seconds = time.perf_counter() - begin
    return task.trained(seconds, model.loss_)


def reach(**work: Any) -> dict[str, Any]:
    """Train with one ``partial_fit`` per epoch until the test accuracy is reached."""
    task = Task(**work)
    X, t = task.data()
    X_test, t_test = task.test()
    model = _model(task, np.random.RandomState(0))  # an instance, so that every epoch has its own order
    classes, seconds, accuracy, epoch = np.unique(t), 0.0, 0.0, 0
    while accuracy < task.target and epoch < task.epochs:
        epoch += 1
        begin = time.perf_counter()
        model.partial_fit(X, t, classes=classes)
        seconds += time.perf_counter() - begin
        accuracy = float((model.predict(X_test) == t_test).mean())
    return task.arrived(seconds, epoch, accuracy)


def fit(**work: Any) -> dict[str, Any]:
    """Fit with the defaults."""
    return estimators.fit(MLPClassifier, **work)


def search(**work: Any) -> dict[str, Any]:
    """Run a grid search."""
    return estimators.search(MLPClassifier, **work)


def predict(**work: Any) -> dict[str, Any]:
    """Predict probabilities."""
    return estimators.predict(MLPClassifier, **work)


def save(*, sizes: list[int], folder: str) -> dict[str, Any]:
    """Save a model for the startup benchmark."""
    path = Path(folder) / "model.joblib"
    joblib.dump(estimators.fitted(MLPClassifier, sizes), path)
    return {"path": str(path)}
