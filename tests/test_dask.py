"""Dask: blocks and searches that run on a local cluster of two worker processes, with our estimators inside."""

import os
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from chainrule import MLPClassifier, TabularClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (find_spec("dask") and find_spec("distributed")), reason="dask is not installed"),
]

BLOCK = 300
HOPELESS = 1e-7  # a learning rate with which nothing is learned
PAGE = Path(__file__).parents[1] / "docs" / "tune-cluster.md"


def distributed():
    """Import what takes seconds to import when a test uses it, not when the tests are collected."""
    return import_module("distributed")


def dask_array():
    """The same."""
    return import_module("dask.array")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        distributed().LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # its HTTP server has a port even so: any free one
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as cluster,
        distributed().Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, test_size=297, random_state=0)


def classifier(**parameters):
    return MLPClassifier((32,), **{"learning_rate_init": 0.01, "batch_size": 32, "random_state": 0, **parameters})


def blocks(X, y):
    return dask_array().from_array(X, chunks=(BLOCK, X.shape[1])), dask_array().from_array(y, chunks=BLOCK)


def worker_processes(client):
    return set(client.run(os.getpid).values())


def test_cluster_has_two_worker_processes(client):
    assert len(worker_processes(client) - {os.getpid()}) == 2


def test_incremental_learns_what_partial_fit_on_the_same_blocks_learns(client, digits):
    wrappers = pytest.importorskip("dask_ml.wrappers")
    X, X_test, y, y_test = digits
    classes = np.unique(y)
    incremental = wrappers.Incremental(classifier(), shuffle_blocks=False)
    incremental.fit(*blocks(X, y), classes=classes)

    serial = classifier()
    for start in range(0, len(X), BLOCK):
        serial.partial_fit(X[start : start + BLOCK], y[start : start + BLOCK], classes=classes)

    learned = incremental.estimator_
    assert isinstance(learned, MLPClassifier)
    assert learned.t_ == serial.t_ == len(X)
    for ours, expected in zip(learned.coefs_ + learned.intercepts_, serial.coefs_ + serial.intercepts_, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-7, atol=1e-9)
    predicted = incremental.predict(blocks(X_test, y_test)[0]).compute()
    np.testing.assert_array_equal(predicted, serial.predict(X_test))
    assert incremental.score(*blocks(X_test, y_test)) == pytest.approx(serial.score(X_test, y_test))
    assert serial.score(X_test, y_test) > 0.8


def recipe(mark, **names):
    """Run the block of the page that has a mark, and return its names."""
    (code,) = [block for block in re.findall(r"```py\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if mark in block]
    exec(compile(code, PAGE.name, "exec"), names)
    return names


def test_hyperband_of_the_page_finds_a_learning_rate_that_learns(client, digits, tmp_path):
    optuna = pytest.importorskip("optuna")
    found = recipe("HyperbandPruner", ADDRESS=client.scheduler.address, FOLDER=str(tmp_path), os=os)
    study = found["study"]()
    assert len(study.trials) == 16
    states = {trial.state for trial in study.trials}
    assert states == {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED}
    assert study.best_value > 0.9
    assert found["best"]["learning_rate_init"] > 1e-4


def test_partial_fit_on_the_blocks_of_the_page_is_partial_fit_on_their_rows(digits):
    X, _, y, _ = digits
    found = recipe("blocks_X", X=X, y=y, np=np, MLPClassifier=MLPClassifier)
    serial = classifier()
    for start in range(0, len(X), BLOCK):
        serial.partial_fit(X[start : start + BLOCK], y[start : start + BLOCK], classes=np.unique(y))
    for ours, expected in zip(found["model"].coefs_, serial.coefs_, strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_grid_search_on_a_back_end_of_joblib_is_the_serial_grid_search(backend, client, digits):
    X, X_test, y, y_test = digits
    grid = {"learning_rate_init": [HOPELESS, 1e-2], "alpha": [1e-4, 1e-2]}
    quick = classifier(tol=10.0, n_iter_no_change=6)  # no epoch improves that much: every fit stops after a few
    serial = GridSearchCV(quick, grid, cv=3).fit(X, y)
    scoring = {"score": lambda model, X, y: model.score(X, y), "process": lambda model, X, y: os.getpid()}
    spread = GridSearchCV(quick, grid, cv=3, scoring=scoring, refit="score")
    with joblib.parallel_config(backend=backend, n_jobs=2):
        spread.fit(X, y)

    processes = np.concatenate([spread.cv_results_[f"split{k}_test_process"] for k in range(3)])
    assert os.getpid() not in processes
    if backend == "dask":
        assert set(processes) <= worker_processes(client)
    scores, expected = spread.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert spread.best_params_ == serial.best_params_
    assert spread.score(X_test, y_test) == pytest.approx(serial.score(X_test, y_test))
    assert serial.score(X_test, y_test) > 0.85


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_an_ensemble_with_threads_of_its_own_learns_the_same_on_every_back_end(backend, client, digits):
    X, _, y, _ = digits
    X, y = X[:400, :20], y[:400] > 4
    ensemble = TabularClassifier(2, hidden_layer_sizes=(16,), max_iter=3, n_jobs=2, random_state=0)
    grid = {"label_smoothing": [0.0, 0.1]}
    serial = GridSearchCV(ensemble, grid, cv=2, refit=False).fit(X, y)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        spread = GridSearchCV(ensemble, grid, cv=2, refit=False).fit(X, y)
    scores, expected = spread.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, expected, atol=0.02)
    assert expected.max() > 0.6
