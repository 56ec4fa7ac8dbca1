"""Held-out rows of an array in a file: the same training, bit for bit, without a copy of them."""

import tracemalloc

import numpy as np
import pytest

import chainrule as cr
from chainrule import MLPClassifier, MLPRegressor, network
from chainrule._internal import taken
from chainrule.layers import Dense, Dropout, Embedding, ReLU
from chainrule.training.checkpoints import Checkpoint, CheckpointError

ROWS, COLUMNS = 3000, 40
SMALL = {"epochs": 3, "batch_size": 50, "seed": 1, "validation": 0.4}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """So small that few rows have many parts and chunks."""
    monkeypatch.setattr(taken, "PART", 2**14)
    monkeypatch.setattr(network, "CHUNK_BYTES", 2**14)


@pytest.fixture(params=["numba", "reference"])
def kernels(request, monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", request.param)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    X = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype("float32")
    path = tmp_path_factory.mktemp("rows") / "X.npy"
    np.save(path, X)
    return X, np.load(path, mmap_mode="r"), (X[:, 0] > X[:, 1]).astype(int)


def trained(X, t, **options):
    net = cr.Network(COLUMNS, [Dense(6), ReLU(), Dropout(0.2), Dense(2)], "softmax_cross_entropy", seed=0)
    history = cr.train(net, X, t, **SMALL, **options)
    return net.theta, {name: history[name] for name in history.columns if name != "seconds"}


@pytest.mark.few(1)
@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("many", [0, network.MANY], ids=["by the engine", "by layers"])
def test_the_same_training(stored, many, monkeypatch):
    monkeypatch.setattr(network, "MANY", many)
    X, mapped, t = stored
    weight = np.random.default_rng(1).random(ROWS)
    for options in ({}, {"sample_weight": weight, "callbacks": [cr.EarlyStopping(patience=1)]}):
        (theta, history), (expected, columns) = trained(mapped, t, **options), trained(X, t, **options)
        assert np.array_equal(theta, expected)
        assert history == columns


@pytest.mark.usefixtures("kernels")
def test_checkpoints_of_an_array_in_memory_and_in_a_file_are_the_same(stored, tmp_path):
    X, mapped, t = stored
    trained(X, t, callbacks=[Checkpoint(tmp_path / "a")])
    trained(mapped, t, callbacks=[Checkpoint(tmp_path / "b")])
    for old in (tmp_path / "a").glob("*3.safetensors"):
        old.unlink()
    theta, _ = trained(mapped, t, callbacks=[Checkpoint(tmp_path / "a")], resume=tmp_path / "a")
    assert np.array_equal(theta, trained(X, t)[0])
    with pytest.raises(CheckpointError, match="data"):
        trained(mapped[::-1], t, callbacks=[Checkpoint(tmp_path / "b")], resume=tmp_path / "b")


@pytest.mark.slow
@pytest.mark.usefixtures("kernels")
def test_no_row_is_copied(tmp_path):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).random((10_000, 400), np.float32))
    mapped, t = np.load(tmp_path / "X.npy", mmap_mode="r"), np.arange(10_000) % 2
    net = cr.Network(400, [Dense(2)], "softmax_cross_entropy")
    for fit in (
        lambda: cr.train(net, mapped, t, **SMALL),
        lambda: MLPClassifier((8,), early_stopping=True, validation_fraction=0.4, max_iter=2, random_state=0).fit(
            mapped, t
        ),
    ):
        fit()  # imports and compiles
        tracemalloc.start()
        fit()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.3 * mapped.nbytes, f"{peak:,} of {mapped.nbytes:,} bytes"


@pytest.mark.few(1)
@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_early_stopping_of_estimators(stored, kind):
    X, mapped, t = stored
    for weight in (None, t + 1.0):
        fits = [
            kind(hidden_layer_sizes=(4,), early_stopping=True, max_iter=3, random_state=0).fit(
                rows, t, sample_weight=weight
            )
            for rows in (X, mapped)
        ]
        assert np.array_equal(fits[0].network_.theta, fits[1].network_.theta)
        assert fits[0].validation_scores_ == fits[1].validation_scores_
        assert fits[0].history_["score"] == fits[1].history_["score"]


@pytest.mark.usefixtures("kernels")
def test_early_stopping_goes_on_from_a_checkpoint(stored, tmp_path):
    _, mapped, t = stored
    options = {"hidden_layer_sizes": (4,), "early_stopping": True, "random_state": 0}
    MLPClassifier(**options, max_iter=2, callbacks=[Checkpoint(tmp_path)], resume=tmp_path).fit(mapped, t)
    resumed = MLPClassifier(**options, max_iter=4, callbacks=[Checkpoint(tmp_path)], resume=tmp_path).fit(mapped, t)
    assert np.array_equal(resumed.network_.theta, MLPClassifier(**options, max_iter=4).fit(mapped, t).network_.theta)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("value", "message"), [(np.nan, "got nan in row 7"), (9.0, "expected categories 0 ... 2")])
def test_bad_rows_are_refused_before_training(tmp_path, value, message):
    X = np.ones((ROWS, 2), "float32")
    X[7, 0] = value
    np.save(tmp_path / "X.npy", X)
    net = cr.Network(2, [Embedding(3, 2, columns=[0]), Dense(1)], "squared_error", seed=0)
    with pytest.raises(ValueError, match=message):
        cr.train(net, np.load(tmp_path / "X.npy", mmap_mode="r"), X[:, 1], **SMALL)
