"""What a network has to beat: models at their best, on all rows that are not held out, and a verdict that is true."""

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from chainrule import tables
from chainrule.tables import baselines
from chainrule.tables.scores import verdict

pytestmark = pytest.mark.slow

QUICK = {"max_iter": 3, "hidden_layer_sizes": (8,)}
RNG = np.random.default_rng(0)
ROWS = 300


def table(rows=ROWS, **columns):
    return pl.DataFrame({"a": RNG.exponential(50, rows) ** 1.5, "b": RNG.exponential(80, rows) ** 1.3, **columns})


def test_a_sum_of_skewed_columns_is_what_least_squares_finds():
    """The kind: a linear model that is handicapped by the network's preparation, and a verdict that is false."""
    trained = tables.train(table().with_columns(total=pl.col("a") + pl.col("b")), "total", parameters=QUICK)
    assert trained.baselines["linear model"]["RMSE"] < 1e-10
    assert trained.verdict.startswith("The network does not beat the linear model: RMSE ")
    assert "× 10⁻¹" in trained.verdict


def test_a_linear_model_sees_every_value_of_a_column_of_many():
    street = RNG.integers(0, 60, ROWS)
    frame = table(street=[f"street {i}" for i in street]).with_columns(y=pl.Series(RNG.normal(size=60)[street]) * 9)
    scores = tables.train(frame, "y", parameters=QUICK).baselines
    assert scores["linear model"]["R²"] > 0.99


def test_the_baselines_see_the_validation_rows_and_none_of_the_test(monkeypatch):
    seen = []
    fit = baselines.fit
    monkeypatch.setattr(baselines, "fit", lambda *given: seen.append(given) or fit(*given))
    trained = tables.train(table(y=RNG.normal(size=ROWS)), "y", parameters=QUICK)
    [(_, frame, y, test, *_)] = seen
    assert len(frame) == len(y) == trained.split.train + trained.split.validation
    assert not set(frame["a"]) & set(test["a"])


def every_kind(rows=ROWS):
    x = RNG.normal(size=rows)
    return pl.DataFrame({
        "number": [None if i % 9 == 0 else v for i, v in enumerate(x)],
        "wild": np.where(np.arange(rows) % 50 == 7, np.inf, x),
        "yes": [None if i % 11 == 0 else "ny"[int(v > 0)] for i, v in enumerate(x)],
        "kind": [None if i % 13 == 0 else "abc"[i % 3] for i in range(rows)],
        "many": [f"m{i % 40}" for i in range(rows)],
        "day": [None if i % 17 == 0 else f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(rows)],
        "words": [f"a few {'good' if v > 0 else 'bad'} words w{i} w{i + 1}" for i, v in enumerate(x)],
        "one": np.where(x + RNG.normal(0, 0.3, rows) > 0, "y", "n"),
        "two": np.where(np.arange(rows) % 2, "y", "n"),
        "three": np.array(["lo", "mid", "hi"])[np.digitize(x + RNG.normal(0, 0.3, rows), [-0.5, 0.5])],
        "amount": x * 3 + RNG.normal(size=rows),
    })  # fmt: skip


@pytest.mark.parametrize(("target", "most"), [("one", 0.97), ("three", 0.97), ("amount", 0.99), ("one,two", 0.97)])
def test_every_kind_of_column_and_task(target, most):
    targets = ["one", "two", "three", "amount"]
    frame = every_kind().drop([name for name in targets if name not in target.split(",")])
    drop = ["many"] if "," in target else []
    trained = tables.train(frame, target, drop=drop, parameters=QUICK)
    simple, linear, trees = trained.baselines.values()
    name = "R²" if target == "amount" else "accuracy"
    assert simple[name] < linear[name] <= most
    assert simple[name] < trees[name] <= most
    assert "the linear model" in trained.verdict
    assert "the boosted trees" in trained.verdict


def test_trees_find_what_no_line_does():
    x = RNG.normal(size=(500, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "same": x[:, 0] * x[:, 1] > 0})
    scores = tables.train(frame, "same", parameters=QUICK).baselines
    assert scores["boosted trees"]["accuracy"] > 0.9 > 0.7 > scores["linear model"]["accuracy"]


def test_large_tables_are_fitted_to_some_of_their_rows_and_it_is_said(monkeypatch):
    """The kind: a baseline that takes longer than the network."""
    monkeypatch.setattr(baselines, "CELLS", 400)
    monkeypatch.setattr(baselines, "MIN_ROWS", 50)
    trained = tables.train(table(y=RNG.normal(size=ROWS)), "y", parameters=QUICK)
    assert trained.verdict.endswith(
        "To save time, the baselines were fitted to some of the 240 rows: the linear model to 200, the boosted trees to 200."
    )


def test_of_wide_tables_the_trees_take_few_columns_and_rounds(monkeypatch):
    fitted, fit = [], HistGradientBoostingClassifier.fit
    monkeypatch.setattr(
        HistGradientBoostingClassifier,
        "fit",
        lambda self, X, y, **more: fitted.append((self, X.shape)) or fit(self, X, y, **more),
    )
    frame = pl.DataFrame(RNG.normal(size=(200, 1500))).with_columns(y=pl.Series(["a", "b"] * 100))
    loaded = tables.train(frame.select("y", *frame.columns[:4]), "y", parameters=QUICK)
    schema = tables.Schema(
        tuple(tables.Column(name, "number") for name in frame.columns[:-1]), loaded.schema.targets, "binary", ("a", "b")
    )
    found = baselines.fit(schema, frame, frame["y"].to_numpy(), frame, seed=0)
    trees, shape = fitted[-1]
    assert shape == (200, baselines.WIDE)
    assert trees.max_iter * baselines.WIDE <= baselines.TREE_WORK
    assert [b.name for b in found] == ["majority class", "linear model", "boosted trees"]


def test_one_seed_one_verdict():
    frame = table(y=np.where(RNG.random(ROWS) < 0.5, "a", "b"))
    first, again = (tables.train(frame, "y", parameters=QUICK) for _ in range(2))
    assert first.verdict == again.verdict
    assert first.baselines == again.baselines


class TestVerdict:
    def test_one_number_has_one_spelling(self):
        """The kind: an accuracy of 1 - 0.22625 beside one of 0.77375, rounded to .7737 and .7738."""
        y = np.zeros(800, int)
        said = np.r_[np.ones(181, int), np.zeros(619, int)]
        assert "accuracy 0.7738 vs. 0.7738" in verdict("binary", y, said, {"linear model": said})
        assert f"{(said == y).mean():.4f}" == "0.7738"

    @pytest.mark.parametrize("rows", [2, 3, 4])
    def test_few_rows_that_all_say_the_same_are_not_certain(self, rows):
        y = np.arange(rows) % 2
        said = verdict("binary", y, y, {"linear model": 1 - y})
        assert said.startswith("The network scores better than the linear model, but the difference could be chance")
        assert "± 0.0000" not in said

    def test_many_rows_are(self):
        y = np.arange(100) % 2
        assert verdict("binary", y, y, {"linear model": 1 - y}).startswith("The network beats the linear model")

    def test_one_row_has_no_uncertainty_to_speak_of(self):
        for task in ("binary", "regression"):
            said = verdict(task, np.array([1]), np.array([1]), {"linear model": np.array([0])})
            assert "±" not in said
            assert "but the difference could be chance" in said

    @pytest.mark.parametrize("size", [1.0, 1e99])
    def test_errors_of_any_size(self, size):
        y = np.arange(20.0) * size
        with np.errstate(all="raise"):
            assert "beats" in verdict("regression", y, y + 1e-9 * size, {"linear model": y + size * RNG.random(20)})
            assert "± nan" not in verdict("regression", y, y + size, {"linear model": y})

    def test_the_interval_of_a_difference_holds_the_truth(self):
        rng = np.random.default_rng(3)
        wrong = 0
        for _ in range(400):
            y = np.zeros(30, int)
            first, second = (rng.random((2, 30)) < 0.3).astype(int)
            wrong += "The network beats" in verdict("binary", y, first, {"linear model": second})
        assert wrong / 400 < 0.04
