"""Dask: blocks and searches that run on a local cluster of two worker processes, with our estimators inside."""

import os
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from chainrule import MLPClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (find_spec("dask") and find_spec("distributed")), reason="dask is not installed"),
]

BLOCK = 300
HOPELESS = 1e-7  # a learning rate with which nothing is learned
DASK_VERSION = tuple(map(int, version("dask").split(".")[:2])) if find_spec("dask") else ()


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


@pytest.mark.xfail(
    DASK_VERSION >= (2025, 3),
    raises=RuntimeError,  # "Attempting to use an asynchronous Client in a synchronous context of `dask.compute`"
    reason="dask-ml 2025.1.0 calls dask.persist inside a coroutine, which dask refuses since 2025.3",
)
def test_hyperband_finds_a_learning_rate_that_learns(client, digits):
    model_selection = pytest.importorskip("dask_ml.model_selection")
    X, X_test, y, y_test = digits
    search = model_selection.HyperbandSearchCV(
        classifier(),
        {"learning_rate_init": [HOPELESS, 1e-3, 1e-2], "alpha": [1e-5, 1e-4, 1e-3, 1e-2]},
        max_iter=9,
        random_state=0,
    )
    search.fit(*blocks(X, y), classes=np.unique(y))

    best = search.best_estimator_
    assert isinstance(best, MLPClassifier)
    assert search.best_params_["learning_rate_init"] != HOPELESS
    tried = search.cv_results_["param_learning_rate_init"]
    assert search.cv_results_["test_score"][tried == HOPELESS].max() < 0.5
    assert max(search.cv_results_["partial_fit_calls"]) > 1
    assert best.score(X_test, y_test) > 0.85
    assert search.score(*blocks(X_test, y_test)) == pytest.approx(best.score(X_test, y_test))


def test_grid_search_on_joblibs_dask_back_end_is_the_serial_grid_search(client, digits):
    X, X_test, y, y_test = digits
    grid = {"learning_rate_init": [HOPELESS, 1e-2], "alpha": [1e-4, 1e-2]}
    quick = classifier(tol=10.0, n_iter_no_change=6)  # no epoch improves that much: every fit stops after a few
    serial = GridSearchCV(quick, grid, cv=3).fit(X, y)
    scoring = {"score": lambda model, X, y: model.score(X, y), "process": lambda model, X, y: os.getpid()}
    spread = GridSearchCV(quick, grid, cv=3, scoring=scoring, refit="score")
    with joblib.parallel_config(backend="dask"):
        spread.fit(X, y)

    processes = np.concatenate([spread.cv_results_[f"split{k}_test_process"] for k in range(3)])
    assert set(processes) <= worker_processes(client)
    scores, expected = spread.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert spread.best_params_ == serial.best_params_
    assert spread.score(X_test, y_test) == pytest.approx(serial.score(X_test, y_test))
    assert serial.score(X_test, y_test) > 0.85
