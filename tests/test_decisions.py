"""What an ensemble for tables is chosen by: metrics, thresholds of classes, the range and the logarithm of numbers."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.ensemble import Unit
from chainrule.estimators._decisions import best_thresholds, score
from chainrule.tables import models

RNG = np.random.default_rng(0)
SMALL = {"n_estimators": 5, "hidden_layer_sizes": (8,), "max_iter": 8, "linear": False, "random_state": 0}
LONGER = {**SMALL, "hidden_layer_sizes": (32, 32), "max_iter": 48}
SCORES = {
    "balanced_accuracy": balanced_accuracy_score,
    "f1": lambda t, y, **weight: f1_score(t, y, average="binary" if t.max() == 1 else "macro", **weight),
}


def probabilities(k, rows=300):
    """Return labels, the first ones frequent, and probabilities that know something of them."""
    t = np.minimum(RNG.geometric(0.6, rows) - 1, k - 1)
    z = RNG.normal(size=(rows, k)) + 1.5 * np.eye(k)[t] + np.linspace(1, -1, k)
    p = np.exp(z)
    return t, p / p.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------- thresholds


@pytest.mark.few(1)
@pytest.mark.parametrize("metric", SCORES)
@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_have_the_best_threshold_there_is(metric, weighted):
    t, p = probabilities(2)
    weight = RNG.uniform(0.5, 2, len(t)) if weighted else None
    every = [SCORES[metric](t, p[:, 1] > cut, sample_weight=weight) for cut in np.sort(p[:, 1])[:-1]]
    thresholds = best_thresholds(metric, t, p, weight)
    assert thresholds.sum() == pytest.approx(1)
    reached = SCORES[metric](t, p[:, 1] > thresholds[1], sample_weight=weight)
    assert reached == pytest.approx(max(every))
    assert score(metric, t, p, weight) == pytest.approx(reached)


@pytest.mark.parametrize("metric", SCORES)
def test_many_classes_have_thresholds_that_no_single_one_betters(metric):
    t, p = probabilities(4, 500)
    thresholds = best_thresholds(metric, t, p)
    reached = SCORES[metric](t, (p / thresholds).argmax(axis=1))
    assert reached == pytest.approx(score(metric, t, p))
    assert reached > SCORES[metric](t, p.argmax(axis=1)) + 0.01
    for factor in (0.5, 0.8, 1.25, 2.0):
        others = thresholds.copy()
        others[-1] *= factor  # the class that was last to be chosen in a round is the first, so this one may move a bit
        assert SCORES[metric](t, (p / others).argmax(axis=1)) < reached + 0.01


@pytest.mark.parametrize("metric", SCORES)
def test_each_of_several_labels_has_a_threshold(metric):
    t, p = probabilities(3)
    several, q = np.eye(3)[t].astype(np.float32), p
    thresholds = best_thresholds(metric, several, q)
    each = [SCORES[metric](several[:, j], q[:, j] > thresholds[j]) for j in range(3)]
    assert score(metric, several, q) == pytest.approx(np.mean(each))


def test_the_area_under_the_curve_is_scikit_learns():
    t, p = probabilities(2)
    assert score("roc_auc", t, p) == pytest.approx(roc_auc_score(t, p[:, 1]))
    t, p = probabilities(4)
    assert score("roc_auc", t, p) == pytest.approx(roc_auc_score(t, p, multi_class="ovr"))
    assert score("roc_auc", np.zeros(5, int), np.full((5, 2), 0.5)) == 0.5  # without a second class


@pytest.mark.parametrize("metric", SCORES)
@pytest.mark.parametrize("t", [[0, 1], [0], [0, 0, 0], [1, 0, 1]])
def test_few_or_equal_rows_leave_usable_thresholds(metric, t):
    t = np.array(t)
    thresholds = best_thresholds(metric, t, np.full((len(t), 2), 0.5))
    assert (thresholds > 0).all()
    assert np.isfinite(thresholds).all()
    assert np.isfinite(score(metric, t, np.full((len(t), 2), 0.5)))


# ---------------------------------------------------------------- the classifier


def rare(rows=800, seed=0):
    """Return rows of which one in eight or so has the label yes, never with a probability above one half."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x, np.where(rng.random(rows) < 0.45 / (1 + np.exp(4 - 4 * x[:, 0])), "yes", "no")


@pytest.mark.slow
@pytest.mark.parametrize("metric", SCORES)
def test_a_rare_class_is_predicted_when_the_metric_asks_for_it(metric, tmp_path):
    (x, y), (new, truth) = rare(), rare(seed=1)
    plain, chosen = (cr.TabularClassifier(**SMALL, eval_metric=name).fit(x, y) for name in ("accuracy", metric))
    assert plain.ensemble_.thresholds is None
    assert 0 < chosen.ensemble_.thresholds[1] < 0.4
    t = (truth == "yes").astype(int)
    before, after = (SCORES[metric](t, (model.predict(new) == "yes").astype(int)) for model in (plain, chosen))
    assert after > before + 0.1

    cr.save(chosen, tmp_path / "model.safetensors")
    for loaded in (cr.load(tmp_path / "model.safetensors"), cr.TabularClassifier.load(tmp_path / "model.safetensors")):
        np.testing.assert_array_equal(loaded.predict(new), chosen.predict(new))
    runtime = pytest.importorskip("onnxruntime")
    cr.onnx.save(chosen, tmp_path / "model.onnx")
    label, _ = runtime.InferenceSession(tmp_path / "model.onnx").run(None, {"X": new})
    np.testing.assert_array_equal(label, chosen.predict(new))


@pytest.mark.slow
def test_labels_and_many_classes_have_thresholds_in_files_and_onnx(tmp_path):
    x = RNG.normal(size=(300, 4))
    labels = (x[:, :2] + RNG.normal(size=(300, 2)) > 1.2).astype(int)
    words = np.array(["ant", "bee", "cat"])[(x[:, :3] + [1.5, 0, -1] + RNG.normal(size=(300, 3))).argmax(axis=1)]
    runtime = pytest.importorskip("onnxruntime")
    for y in (labels, words):
        model = cr.TabularClassifier(**SMALL, eval_metric="f1").fit(x, y)
        assert len(model.ensemble_.thresholds) == len(model.classes_)
        plain = model.predict_proba(x)
        before = (plain > 0.5).astype(int) if y is labels else model.classes_[plain.argmax(axis=1)]
        assert (model.predict(x) != before).any()
        cr.save(model, tmp_path / "model.safetensors", overwrite=True)
        np.testing.assert_array_equal(cr.load(tmp_path / "model.safetensors").predict(x), model.predict(x))
        cr.onnx.save(model, tmp_path / "model.onnx", overwrite=True)
        label, _ = runtime.InferenceSession(tmp_path / "model.onnx").run(None, {"X": x})
        np.testing.assert_array_equal(label, model.predict(x))


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1"])
def test_the_history_has_the_metric_and_the_epoch_is_chosen_by_it(metric):
    x, y = rare(300)
    model = cr.TabularClassifier(**{**SMALL, "max_iter": 20}, eval_metric=metric).fit(x, y)
    history = model.history_
    wanted = np.array(history["val_loss"])
    if metric != "log_loss":
        wanted = 1 - np.array(history["val_score"]) + 0.01 * wanted
    smooth = [wanted[max(0, e - 1) : e + 2].mean() for e in range(20)]
    assert model.best_iter_ == 1 + int(np.argmin(smooth))


def test_extreme_thresholds_come_back_from_a_file(tmp_path):
    """1 − 1e-20 is 1, and classes that are far apart have thresholds like that."""
    x, y = rare(200)
    model = cr.TabularClassifier(**SMALL, threshold=1e-20).fit(x, y)
    cr.save(model, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(cr.load(tmp_path / "model.safetensors").predict(x), model.predict(x))
    assert (model.predict(x) == "yes").all()
    thresholds = best_thresholds("f1", np.arange(60) % 3, np.eye(3)[np.arange(60) % 3])
    assert ((thresholds > 0) & (thresholds <= 1)).all()


def test_a_damaged_threshold_is_refused(tmp_path):
    x, y = rare(200)
    model = cr.TabularClassifier(**SMALL, eval_metric="f1").fit(x, y)
    model.ensemble_.thresholds = np.array([0.5, 2.0])
    cr.save(model, tmp_path / "model.safetensors")
    with pytest.raises(cr.ModelFileError, match="thresholds are not between 0 and 1"):
        cr.load(tmp_path / "model.safetensors")


# ---------------------------------------------------------------- numbers


@pytest.mark.slow
def test_predictions_may_leave_the_range_of_training_a_little():
    x = np.linspace(0, 1, 200)[:, np.newaxis]
    model = cr.TabularRegressor(**SMALL).fit(x, 100 + 10 * x[:, 0])
    np.testing.assert_allclose([model.ensemble_.unit.low, model.ensemble_.unit.high], [[99], [111]])
    capped = cr.TabularRegressor(**SMALL).fit(x, np.minimum(10 * x[:, 0], 5))
    np.testing.assert_allclose([capped.ensemble_.unit.low, capped.ensemble_.unit.high], [[0], [5]])
    negative = cr.TabularRegressor(**SMALL).fit(x, -10 * x[:, 0])
    np.testing.assert_allclose([negative.ensemble_.unit.low, negative.ensemble_.unit.high], [[-11], [0]])


def prices(rows=800, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x, np.exp(4 + 2 * x[:, 0] + 0.3 * rng.normal(size=rows))


@pytest.mark.slow
def test_the_logarithm_is_learned_where_it_is_better(tmp_path):
    (x, y), (new, truth) = prices(), prices(seed=1)
    plain, log = (cr.TabularRegressor(**LONGER, log_target=way).fit(x, y) for way in (False, "auto"))
    assert plain.ensemble_.unit.shift is None
    assert log.ensemble_.unit.shift.tolist() == [0.0]
    before, after = (np.square(model.predict(new) - truth).mean() for model in (plain, log))
    assert after < before
    assert log.predict(np.full((1, 3), -1e6)) >= 0
    assert log.oof_predictions_.mean() == pytest.approx(y.mean(), rel=1e-6)  # without the bias of a logarithm

    cr.save(log, tmp_path / "model.safetensors")
    for loaded in (cr.load(tmp_path / "model.safetensors"), cr.TabularRegressor.load(tmp_path / "model.safetensors")):
        np.testing.assert_array_equal(loaded.predict(new), log.predict(new))
    runtime = pytest.importorskip("onnxruntime")
    cr.onnx.save(log, tmp_path / "model.onnx")
    [found] = runtime.InferenceSession(tmp_path / "model.onnx").run(None, {"X": new})
    np.testing.assert_allclose(found.ravel(), log.predict(new), rtol=1e-5)


@pytest.mark.slow
def test_counts_with_zeros_are_learned_as_they_are_if_that_is_better():
    x = RNG.normal(size=(400, 2))
    y = np.where(RNG.random(400) < 0.5, 0.0, RNG.exponential(100, 400) * (1 + 5 * (x[:, 0] > 0)))
    assert cr.TabularRegressor(**LONGER).fit(x, y).ensemble_.unit.shift is None
    forced = cr.TabularRegressor(**SMALL, log_target=True).fit(x, y)
    assert forced.ensemble_.unit.shift.tolist() == [1.0]
    assert forced.predict(x).min() >= 0


@pytest.mark.parametrize("y", [np.c_[np.ones(40), np.arange(40)], np.arange(40) - 5.0])
def test_a_logarithm_of_other_targets_is_refused(y):
    with pytest.raises(ValueError, match="log_target: expected one output that is never negative, got"):
        cr.TabularRegressor(**SMALL, log_target=True).fit(RNG.normal(size=(40, 2)), y)


@pytest.mark.parametrize("shift", [None, 0.0, 1.0])
def test_a_unit_and_back(shift):
    y = RNG.exponential(5, size=(50, 1)) + (0 if shift else 0.1)
    shift = None if shift is None else np.array([shift])
    unit = Unit(np.array([1.2]), np.array([0.7]), np.array([0.0]), y.max(axis=0), shift)
    np.testing.assert_allclose(unit(unit.standardized(y)), y)
    assert np.isfinite(unit(np.array([[1e9], [-1e9]]))).all()


@pytest.mark.slow
def test_absolute_errors_may_choose():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 2))
    y = x[:, 0] + rng.standard_cauchy(200)
    squared, absolute = (
        cr.TabularRegressor(**{**SMALL, "max_iter": 30}, eval_metric=name).fit(x, y)
        for name in ("squared_error", "absolute_error")
    )
    both = min(squared.n_iter_, absolute.n_iter_)  # one of them gets worse earlier
    assert squared.history_["val_loss"][:both] == absolute.history_["val_loss"][:both]
    assert squared.best_iter_ != absolute.best_iter_
    t, out, weight = np.array([[0.0], [1.0]]), np.array([[2.0], [1.5]]), np.array([1.0, 3.0])
    assert absolute._measure(t, out, weight) == (3.5 / 4, 4.75 / 4, 1 - 4.75 / 4)
    assert squared._measure(t, out, weight) == (4.75 / 4, 4.75 / 4, 1 - 4.75 / 4)


# ---------------------------------------------------------------- tables


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(models, "ensemble", small_tables.small_ensembles)


def table(rows=400):
    x, y = rare(rows)
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "buys": y})


def test_a_table_with_a_metric(tmp_path, small):
    frame = table()
    frame.write_csv(tmp_path / "t.csv")
    short = {"class_weight": None}
    trained = tables.train(tmp_path / "t.csv", "buys", metric="f1", parameters=short)
    assert "'yes' is predicted where its probability is above 0." in trained.notes[-1]
    assert trained.notes[-1].endswith("the best F1 score on the rows that each network was not trained on.")
    assert trained.settings["metric"] == "f1"
    tables.save(trained, tmp_path / "run")
    report = (tmp_path / "run" / "report.md").read_text()
    assert "### F1 score" in report
    assert "### Accuracy\n" not in report
    saved = tables.load(tmp_path / "run")
    found = tables.predict(saved, frame.drop("buys"))[0]
    cut = trained.pipeline[-1].ensemble_.thresholds[1]
    assert ((found["prediction"] == "yes") == (found["p_yes"] > cut)).all()
    assert (found["prediction"] == "yes").sum() > (found["p_yes"] > 0.5).sum()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["metric"] == "f1"
    assert 'eval_metric="f1"' in tables.script(tmp_path / "t.csv", "buys", metric="f1")


@pytest.mark.slow
@pytest.mark.parametrize(("given", "above"), [(0.2, 0.2), ("cost:9:1", 0.1), ("0.3", 0.3)])
def test_a_threshold_that_is_asked_for(given, above, small):
    trained = tables.train(table(), "buys", threshold=given)
    assert trained.notes[-1] == f"'yes' is predicted where its probability is above {above:.3g}: as asked."
    predictions, p = trained.held_out.predictions, trained.held_out.probabilities
    np.testing.assert_array_equal(predictions == "yes", p[:, 1] / above > p[:, 0] / (1 - above))
    assert trained.settings["threshold"] == given


@pytest.mark.slow
def test_an_automatic_threshold_is_that_of_the_best_f1(small):
    one, other = tables.train(table(), "buys", threshold="auto"), tables.train(table(), "buys", metric="f1")
    np.testing.assert_array_equal(one.held_out.predictions, other.held_out.predictions)
    assert one.notes[-1] == other.notes[-1]


def test_labels_and_thresholds():
    x, y = rare(300)
    labels = np.c_[y == "yes", x[:, 1] > 0].astype(int)
    model = cr.TabularClassifier(**SMALL, threshold=0.2).fit(x, labels)
    np.testing.assert_array_equal(model.predict(x), model.predict_proba(x) > 0.2)
    with pytest.raises(ValueError, match="threshold: expected two classes, y has 3"):
        cr.TabularClassifier(**SMALL, threshold=0.2).fit(x, np.arange(300) % 3)
    with pytest.raises(ValueError, match="threshold: eval_metric='f1' chooses thresholds: omit one"):
        cr.TabularClassifier(**SMALL, threshold=0.2, eval_metric="f1").fit(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, r"threshold: expected a number between 0 and 1, .*, got 1\.5"),
        ({"threshold": "cost:0:0"}, "got 'cost:0:0'"),
        ({"threshold": "half"}, "got 'half'"),
        ({"threshold": 0.2, "fast": True}, "threshold: applies to an ensemble, but fast asks"),
        ({"metric": "rmse"}, "metric: the target is a class: expected one of accuracy, .*, got 'rmse'"),
        ({"metric": "acuracy"}, "unknown metric 'acuracy'. Did you mean 'accuracy'"),
        ({"metric": "f1", "fast": True}, "metric: applies to an ensemble, but fast asks for a single network"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tables.train(table(), "buys", **options)


def test_callbacks_are_refused_for_an_ensemble():
    with pytest.raises(ValueError, match="callbacks: apply to a single network, but an ensemble is trained: give fast"):
        tables.train(table(), "buys", callbacks=[cr.Progress()])
