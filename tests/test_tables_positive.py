"""Skewed targets that are never negative: a bound, and a logarithm where the validation rows say so."""

import io

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule import tables
from chainrule.estimators.tabular_regressor import is_skewed
from chainrule.tables import PositiveTarget
from chainrule.tables.positive import choose
from chainrule.tables.report import build
from chainrule.tables.skops_files import dumps
from chainrule.tables.trusted import load

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3))
QUICK = {"max_iter": 6, "hidden_layer_sizes": (16,)}
PRICES = np.exp(8 + 1.5 * X[:, 0] + 0.3 * RNG.normal(size=400))
WAITS = np.where(RNG.random(400) < 0.5, 0.0, RNG.exponential(100, 400) * (1 + 5 * (X[:, 0] > 0)))


def table(y):
    return pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y})


@pytest.mark.few(1)
@pytest.mark.parametrize(("y", "log"), [(PRICES, True), (WAITS, False)])
def test_no_prediction_is_negative_and_the_better_way_is_chosen(y, log, tmp_path):
    """The kind: a price that is predicted below zero."""
    table(y).write_csv(tmp_path / "t.csv")
    trained = tables.train(tmp_path / "t.csv", "y", parameters=QUICK)
    assert trained.pipeline[-1].transformer_.log is log
    assert trained.held_out.predictions.min() >= 0
    way = "the network learns its logarithm" if log else "the network learns it unchanged"
    assert f"the target is skewed and never negative, so predictions are bounded at 0; {way} (" in trained.notes[-1]
    assert trained.notes[-1] in build(trained).markdown.replace("\n", " ")

    [onnx] = tables.save(trained, tmp_path / "run")
    assert "onnxruntime agrees" in onnx or "There is no pipeline.onnx" in onnx
    wild = pl.DataFrame({"a": [-1e6, 1e6, 0.0], "b": [1e6, -1e6, 0.0], "c": [1e6, 0.0, -1e6]})
    found = tables.predict(tables.load(tmp_path / "run"), wild, interval=0.8)[0]
    np.testing.assert_array_equal(found["prediction"], tables.predict(trained, wild)[0]["prediction"])
    assert found["prediction"].min() >= 0
    assert found["low"].min() >= 0
    assert found["prediction"].max() <= 10 * y.max() * (1 + 1e-9) or not log


@pytest.mark.slow
def test_the_script_makes_the_same_choice(tmp_path, capsys):
    table(PRICES).write_csv(tmp_path / "t.csv")
    script = tables.script(tmp_path / "t.csv", "y", parameters=QUICK)
    assert "transformer=PositiveTarget(log=True)," in script
    with pytest.warns(match="hasn't converged"):
        exec(compile(script, "script", "exec"), {})
    printed = float(capsys.readouterr().out.split()[1])
    assert printed == tables.train(tmp_path / "t.csv", "y", parameters=QUICK).scores["RMSE"]


@pytest.mark.parametrize("y", [X[:, 0], 50 + X[:, 0], np.r_[PRICES[1:], -0.1], np.ones(400), np.arange(400.0)])
def test_other_targets_are_standardized(y):
    assert not is_skewed(y)
    scaler, notes = choose(X, y, X, y, {})
    assert type(scaler) is StandardScaler
    assert notes == ()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("y", [PRICES, WAITS, np.zeros(5), np.array([1e-9, 1e99]), np.array([5.0])])
def test_there_and_back(y, log):
    y = y.reshape(-1, 1)
    scaler = PositiveTarget(log=log).fit(y)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(y)), y, rtol=1e-9, atol=1e-9 * y.max())
    with np.errstate(over="raise", invalid="raise"):
        far = scaler.inverse_transform(np.array([[-1e9], [1e9]]))
    assert (far >= 0).all()
    assert np.isfinite(far).all()


@pytest.mark.parametrize("y", [np.array([[-1.0], [2.0]]), np.zeros((0, 1)), np.array([[np.nan]])])
def test_a_negative_target_is_refused(y):
    with pytest.raises(ValueError, match="expected non-negative targets"):
        PositiveTarget().fit(y)


def test_it_is_a_transformer_of_scikit_learn():
    model = TransformedTargetRegressor(
        cr.MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", alpha=1.0, max_iter=5000, random_state=0),
        transformer=PositiveTarget(log=True),
    )
    predicted = clone(model).fit(X, PRICES).predict(X)
    assert np.corrcoef(np.log(predicted), np.log(PRICES))[0, 1] > 0.9
    assert repr(PositiveTarget(log=True)) == "PositiveTarget(log=True)"


def test_a_file_with_something_else_for_its_numbers_is_refused(tmp_path):
    trained = tables.train(table(WAITS), "y", parameters=QUICK)
    scaler = trained.pipeline[-1].transformer_
    assert load(io.BytesIO(dumps(scaler))).inverse_transform(np.array([[0.5]])) == scaler.inverse_transform(
        np.array([[0.5]])
    )
    scaler.most_ = [1.0]
    tables.save(trained, tmp_path / "run")
    with pytest.raises(ValueError, match="the pipeline is not one that chainrule writes"):
        tables.load(tmp_path / "run")


def test_streamed_tables_are_bounded_too(tmp_path):
    table(WAITS).write_parquet(tmp_path / "t.parquet")
    trained = tables.train(tmp_path / "t.parquet", "y", parameters=QUICK, stream=True)
    assert trained.held_out.predictions.min() >= 0
    assert any(
        n.startswith("the target is skewed and never negative, so predictions are bounded at 0") for n in trained.notes
    )


def test_trials_that_are_interrupted_end_the_command(monkeypatch):
    def fit(self, *_, **__):
        self.history_ = cr.History(("epoch",))
        self.history_.stopped = "interrupted after 1 epoch"

    monkeypatch.setattr(cr.MLPRegressor, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        tables.train(table(PRICES), "y", parameters=QUICK)
