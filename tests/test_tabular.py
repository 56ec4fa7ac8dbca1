"""TabularClassifier and TabularRegressor: the recipe, scikit-learn's contract, and input as people have it."""

import itertools
import json
import math
import pickle
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from decimal import Decimal
from multiprocessing import get_context

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.datasets import load_iris, make_friedman1
from sklearn.metrics import log_loss as their_log_loss
from sklearn.model_selection import cross_val_score

import chainrule as cr
from chainrule.estimators import _folds, _members, _recipe, _tabular
from chainrule.estimators._folds import folds, log_loss, log_losses, temperature
from chainrule.estimators._linear import best_share, fit_linear
from chainrule.estimators._members import Members
from chainrule.training import engine, loop
from test_estimators_contract import checks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
LABELS = np.array(["ant", "bee", "cat"])[X[:, :3].argmax(axis=1)]
Y = X[:, 0] * X[:, 1] + X[:, 2]
FRAME = pd.DataFrame(X, columns=["p", "q", "r", "s"]).assign(
    word=RNG.choice(["u", "v", "w"], 90), two=RNG.choice(["x", "y"], 90)
)
FRAME.loc[[3, 50], "p"] = np.nan
FRAME.loc[[4, 20], "word"] = None


SMALL = {"n_estimators": 5, "hidden_layer_sizes": (8,), "max_iter": 4, "linear": False, "random_state": 0}


def classifier(**options):
    return cr.TabularClassifier(**{**SMALL, **options})


def regressor(**options):
    return cr.TabularRegressor(**{**SMALL, **options})


def outputs(model, rows):
    return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)


KINDS = {
    "classes": (classifier, LABELS),
    "labels": (classifier, (X[:, :2] > 0).astype(int)),
    "number": (regressor, Y),
    "numbers": (regressor, np.c_[Y, X[:, 3]]),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


# ---------------------------------------------------------------- one seed, one model


@pytest.mark.slow
@every_kind
def test_the_same_bits_with_any_number_of_threads(kind):
    make, y = KINDS[kind]
    one, *others = [make(n_jobs=n).fit(FRAME, y) for n in (1, 2, 3, None)]
    for other in others:
        np.testing.assert_array_equal(outputs(other, FRAME), outputs(one, FRAME))
        np.testing.assert_array_equal(other.oof_predictions_, one.oof_predictions_)
        assert other.history_.to_dict() == one.history_.to_dict()


@pytest.mark.slow
@every_kind
def test_the_same_bits_for_frames_and_arrays(kind):
    make, y = KINDS[kind]
    one = make().fit(FRAME, y)
    objects = FRAME.astype(object).where(FRAME.notna(), None)
    others = [
        pl.from_pandas(FRAME),
        objects,
        objects.to_numpy(),
        objects.to_numpy().tolist(),
        FRAME.astype({"word": "category"}),
    ]
    for rows in others:
        np.testing.assert_array_equal(outputs(make().fit(rows, y), rows), outputs(one, FRAME))
    numbers = make().fit(X, y)
    for rows in (X.tolist(), np.asfortranarray(X), pl.DataFrame(X), np.ma.masked_array(X, np.zeros_like(X))):
        np.testing.assert_array_equal(outputs(make().fit(rows, y), rows), outputs(numbers, X))


@pytest.mark.slow
def test_another_seed_is_another_model():
    one, other = (classifier(random_state=seed).fit(X, LABELS) for seed in (0, 1))
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))
    unseeded = [classifier(random_state=None).fit(X, LABELS).predict_proba(X) for _ in range(2)]
    assert not np.array_equal(*unseeded)


@pytest.mark.few(1)
@every_kind
def test_a_row_of_weight_zero_is_as_if_it_were_not_there(kind):
    make, y = KINDS[kind]
    kept = np.arange(90) % 4 != 0
    weight = np.where(kept, 2.0, 0.0)
    weighted, removed = make().fit(FRAME, y, weight), make().fit(FRAME[kept], y[kept])
    np.testing.assert_array_equal(outputs(weighted, FRAME), outputs(removed, FRAME))
    np.testing.assert_array_equal(weighted.oof_predictions_[kept], removed.oof_predictions_)
    assert np.isnan(weighted.oof_predictions_[~kept]).all()
    spread = np.where(kept, RNG.uniform(1, 3, 90), 0)
    np.testing.assert_array_equal(
        outputs(make().fit(FRAME, y, spread), FRAME), outputs(make().fit(FRAME[kept], y[kept], spread[kept]), FRAME)
    )


@pytest.mark.slow
def test_weights_count_and_class_weights_are_weights():
    weight = np.where(LABELS == "ant", 20.0, 1.0)
    plain, heavy = classifier().fit(X, LABELS), classifier().fit(X, LABELS, weight)
    assert heavy.predict_proba(X)[:, 0].mean() > plain.predict_proba(X)[:, 0].mean() + 0.05
    by_class = classifier(class_weight={"ant": 20.0}).fit(X, LABELS)
    np.testing.assert_array_equal(by_class.predict_proba(X), heavy.predict_proba(X))
    counts = {label: 30 / (label == LABELS).sum() for label in np.unique(LABELS)}
    np.testing.assert_allclose(
        classifier(class_weight="balanced").fit(X, LABELS).predict_proba(X),
        classifier(class_weight=counts).fit(X, LABELS).predict_proba(X),
        atol=1e-5,
    )
    both = classifier(class_weight={"ant": 10.0}).fit(X, LABELS, np.where(LABELS == "ant", 2.0, 1.0))
    np.testing.assert_array_equal(both.predict_proba(X), heavy.predict_proba(X))
    without = classifier(class_weight={"ant": 0.0}).fit(X, LABELS)
    assert without.classes_.tolist() == ["bee", "cat"]


# ---------------------------------------------------------------- the recipe


@pytest.fixture
def recorded(monkeypatch):
    """Record the out-of-fold outputs of every epoch, and the members."""
    found = {"out": [], "made": None}
    measure, run = Members._deliver, Members.run

    def deliver(self, member, loss, logits):
        found["out"].append((self.members.index(member), member.epoch + 1, logits.copy()))
        measure(self, member, loss, logits)

    def keep(self, *arguments):
        found["made"] = self
        run(self, *arguments)

    monkeypatch.setattr(Members, "_deliver", deliver)
    monkeypatch.setattr(Members, "run", keep)
    return found


def test_the_common_epoch_is_the_best_smoothed_score_of_all_rows(recorded):
    model = classifier(max_iter=12, n_jobs=2).fit(X, LABELS)
    made, t = recorded["made"], np.searchsorted(model.classes_, LABELS)
    scores, whole = [], {}
    for epoch in range(1, 13):
        out = np.zeros((90, 3))
        for i, e, logits in recorded["out"]:
            if e == epoch:
                out[made.members[i].held_out] = logits
        whole[epoch] = out
        p = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
        scores.append(np.mean(out.argmax(axis=1) != t) + 0.01 * their_log_loss(t, p))
    smoothed = [np.mean(scores[max(0, e - 1) : e + 2]) for e in range(12)]
    assert model.best_iter_ == 1 + int(np.argmin(smoothed))
    assert model.n_iter_ == 12
    p = np.exp(whole[model.best_iter_] / model.temperature_)
    np.testing.assert_allclose(model.oof_predictions_, p / p.sum(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(
        model.history_["val_loss"][-1] * 0.01 + 1 - model.history_["val_score"][-1], scores[-1], rtol=1e-5
    )


@pytest.mark.parametrize(
    "scores", [[3.0], [3.0, 1.0], [1.0, 5.0, 5.0, 2.0, 2.1, 2.0, 9.0], [1.0, 1.0, 1.0], [5.0, 4.0, 3.0, 2.0]]
)
def test_what_is_kept_while_training_has_the_best_epoch_at_the_end(scores):
    """An epoch that is best in the end was never forgotten before."""
    kept, rows = set(), []
    for epoch, score in enumerate(scores, 1):
        rows.append((score, score, score))
        best = Members.best_of(rows)
        kept = {e for e in kept | {epoch} if e >= epoch - 1 or e == best}
        ended = Members.best_of(rows, ended=True)
        assert ended in kept
        assert ended == 1 + int(np.argmin([np.mean(scores[:epoch][max(0, e - 1) : e + 2]) for e in range(epoch)]))


def least(t, logits, weight):
    """Return the least log-loss over all temperatures, by SciPy; targets are 1 / (rows + 2) from certainty."""
    ends = np.log(0.05), np.log(20)
    found = minimize_scalar(
        lambda log: log_loss(t, logits / np.exp(log), weight, 1 / (len(t) + 2)),
        bounds=ends,
        method="bounded",
        options={"xatol": 1e-10},
    )
    return found.fun


NOISE = np.random.default_rng(3).normal(size=90)


@pytest.mark.parametrize(("kind", "y", "before", "end"), [(regressor, NOISE, 2, 6), (classifier, Y > 4 * NOISE, 2, 6)])
def test_networks_that_learn_noise_end_after_a_cycle_with_the_model_of_all_epochs(monkeypatch, kind, y, before, end):
    options = {"hidden_layer_sizes": (32,), "max_iter": 30}
    ended, in_threads, told = kind(**options, n_jobs=1), kind(**options, n_jobs=5), []
    ended.set_params(progress=told.append)
    for model in (ended, in_threads):
        model.fit(X, y)
        assert model.n_iter_ == end + 1  # which counts in the mean
        worse = f"out-of-fold predictions after epoch {end} are worse than after epoch {before}"
        assert model.history_.stopped == worse
    assert [progress.over for progress in told] == [False] * (5 * end + 4) + [True]
    assert f"100%  epoch {end + 1} of 30, network 5 of 5  in " in str(told[-1])
    monkeypatch.setattr(_members, "WORSE", np.inf)
    complete = kind(**options).fit(X, y)
    assert (complete.n_iter_, complete.history_.stopped) == (30, "")
    for model in (ended, in_threads):
        np.testing.assert_array_equal(outputs(model, X), outputs(complete, X))
        np.testing.assert_array_equal(model.oof_predictions_, complete.oof_predictions_)


def test_networks_that_still_learn_a_lot_get_more_cycles(monkeypatch):
    options = {"max_iter": "auto", "hidden_layer_sizes": (16,)}
    told = []
    longer = regressor(**options, n_jobs=1, progress=told.append).fit(X, Y)
    in_threads = regressor(**options, n_jobs=3).fit(X, Y)
    planned = regressor(**options | {"max_iter": 48}).fit(X, Y)
    assert (planned.n_iter_, longer.n_iter_, in_threads.n_iter_) == (48, 201, 201)
    np.testing.assert_array_equal(longer.predict(X), in_threads.predict(X))
    assert (longer.history_["loss"][:48], longer.history_.stopped) == (planned.history_["loss"], "")
    np.testing.assert_allclose(longer.history_["val_score"][:48], planned.history_["val_score"])
    assert 1 - max(longer.history_["val_score"]) < 0.75 * (1 - max(planned.history_["val_score"]))
    assert [progress.over for progress in told] == [False] * (201 * 5 - 1) + [True]
    assert {progress.epochs for progress in told} == {48, 99, 201}
    monkeypatch.setattr(_members, "CYCLES", 4)
    assert regressor(**options).fit(X, Y).n_iter_ == 48
    monkeypatch.setattr(_members, "CYCLES", 6)
    monkeypatch.setattr(_recipe, "EXTENDED", 89)
    assert regressor(**options).fit(X, Y).n_iter_ == 48


def test_nothing_is_learned_longer_without_an_error_that_is_left(recorded):
    classifier(max_iter=30).fit(X, LABELS)
    made = recorded["made"]
    made.may_extend = True

    def scored(before, now):
        made.scores = [(1 - score, 1.0, score) for score in [before] * 20 + [now] * 10]
        return made._is_promising()

    assert scored(0.8, 0.9)
    assert not scored(0.8, 0.84)
    assert not scored(0.9, 0.9995)
    assert not scored(0.9, 1.0)
    made.deadline = time.monotonic() + 1.1 * (time.monotonic() - made.began)
    assert not scored(0.8, 0.9)
    made.deadline += 3600
    assert scored(0.8, 0.9)


def test_a_cycle_that_is_hardly_worse_does_not_end_training(recorded):
    classifier(max_iter=30).fit(X, LABELS)
    made = recorded["made"]
    usual = {2: 2.0, 6: 1.0, 14: 1.0}  # at the ends of the cycles
    for end, score, ends in ((14, 1.009, False), (14, 1.02, True), (6, 1.99, False), (6, 2.03, True), (14, 0.5, False)):
        two, six, fourteen = (usual | {end: score}).values()
        scores = [(two if epoch < 4 else six if epoch < 9 else fourteen, 0.0, 0.0) for epoch in range(1, end + 2)]
        made.scores = scores
        assert bool(made.worse()) == ends, (end, score)
        made.scores = scores[:-1]  # one more epoch is needed
        assert not made.worse()
    made.scores, made.may_end = scores, False
    assert not made.worse()


def test_the_temperature_is_the_minimum():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        logits = rng.normal(size=(50, 3)) * rng.uniform(0.3, 6)
        t, w = rng.integers(0, 3, 50), rng.uniform(0.5, 2, 50)
        best = least(t, logits, w)
        assert log_loss(t, logits / temperature(t, logits, w), w, 1 / 52) <= best + 1e-12
        p = np.exp(logits)
        assert log_loss(t, logits, w) == pytest.approx(
            their_log_loss(t, p / p.sum(axis=1, keepdims=True), sample_weight=w)
        )
    several = (rng.random((50, 3)) < 0.5).astype("float32")
    best = least(several, logits, None)
    assert log_loss(several, logits / temperature(several, logits), None, 1 / 52) <= best + 1e-9


def test_without_a_mistake_a_class_is_not_certain():
    """Among n rows, the probability of a mistake is about 1 / (n + 2)."""
    t = np.tile([0, 1], 50)
    logits = np.where(t[:, np.newaxis] == [0, 1], 3.0, -3.0)
    scaled = logits[0] / temperature(t, logits)
    assert 1 / (1 + np.exp(scaled[0] - scaled[1])) == pytest.approx(1 / (2 * 102), rel=1e-3)


def test_smoothed_targets_are_spread_over_all_classes():
    rng = np.random.default_rng(0)
    logits, t = rng.normal(size=(20, 3)), rng.integers(0, 3, 20)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    soft = 0.9 * np.eye(3)[t] + 0.1 / 3
    np.testing.assert_allclose(log_losses(t, logits, 0.1), -(soft * log_p).sum(axis=1))
    labels = rng.integers(0, 2, (20, 3)).astype(float)
    p, soft = 1 / (1 + np.exp(-logits)), 0.9 * labels + 0.05
    expected = -(soft * np.log(p) + (1 - soft) * np.log(1 - p)).mean(axis=1)
    np.testing.assert_allclose(log_losses(labels, logits, 0.1), expected)


def test_the_temperature_of_many_rows_is_that_of_a_part(monkeypatch):
    rng = np.random.default_rng(0)
    logits, t, w = rng.normal(size=(1_000, 2)), rng.integers(0, 2, 1_000), rng.uniform(1, 2, 1_000)
    monkeypatch.setattr(_folds, "ENOUGH", 300)
    assert temperature(t, logits, w) == temperature(t[::4], logits[::4], w[::4])


@pytest.mark.slow
def test_the_temperature_calibrates():
    iris = load_iris()
    rows = np.random.default_rng(0).permutation(150)
    model = classifier(hidden_layer_sizes=(32,), max_iter=30).fit(iris.data[rows[:75]], iris.target[rows[:75]])
    p = model.predict_proba(iris.data[rows[75:]])
    as_without = p.astype(float) ** model.temperature_
    p = p / p.sum(axis=1, keepdims=True)
    as_without /= as_without.sum(axis=1, keepdims=True)
    assert model.temperature_ < 1  # label smoothing makes the networks too unsure
    assert their_log_loss(iris.target[rows[75:]], p) < 0.9 * their_log_loss(iris.target[rows[75:]], as_without)


def test_folds_are_stratified():
    y = np.repeat([0, 1, 2], [50, 20, 3])
    found = folds(y, None, np.random.default_rng(0))
    for label, count in ((0, 10), (1, 4)):
        assert np.bincount(found[y == label], minlength=5) == pytest.approx(count, abs=1)
    assert len(set(found[y == 2])) == 3
    numbers = np.random.default_rng(1).normal(size=100)
    fold = folds(numbers, None, np.random.default_rng(0))
    assert np.bincount(fold).tolist() == [20] * 5
    for neighbors in np.argsort(numbers).reshape(20, 5):
        assert set(fold[neighbors]) == {0, 1, 2, 3, 4}


def test_groups_are_kept_together(recorded):
    groups = np.repeat(np.arange(18), 5)[RNG.permutation(90)]
    regressor(n_estimators=10, max_iter=1).fit(X, Y, groups=groups.astype(str))
    for member in recorded["made"].members:
        assert set(groups[member.held_out]).isdisjoint(groups[member.rows])
        assert len(member.held_out) + len(member.rows) == 90
        assert 15 <= len(member.held_out) <= 20


def test_out_of_fold_predictions_never_come_from_a_member_trained_on_the_row(recorded):
    """Not even through what the epoch leaves behind: rows of noise are predicted no better than by their mean."""
    y = np.random.default_rng(3).normal(size=90)
    model = regressor(n_estimators=10, hidden_layer_sizes=(32,), max_iter=20).fit(X, y)
    for i, member in enumerate(recorded["made"].members):
        assert set(member.rows).isdisjoint(member.held_out)
        np.testing.assert_array_equal(np.sort(np.r_[member.rows, member.held_out]), np.arange(90))
        inputs = model.ensemble_.encoding(X[member.held_out])
        out = engine.logits(member.network, inputs, threads=1)  # also of few rows, unlike predict
        out = member.network.predict(inputs) if out is None else out
        np.testing.assert_array_equal(out, member.logits[model.best_iter_])
        np.testing.assert_allclose(out, member.network.predict(inputs), rtol=1e-5, atol=1e-5)
        assert len(recorded["made"].members[i].losses) == model.n_iter_
    mean = np.mean([member.network.predict(model.ensemble_.encoding(X)) for member in recorded["made"].members], axis=0)
    by_row = np.zeros((90, 1))
    for member in recorded["made"].members:
        by_row[member.held_out] += member.logits[model.best_iter_] / 2
    unit = model.ensemble_.unit
    np.testing.assert_allclose(
        model.oof_predictions_, np.clip(unit.center + unit.scale * by_row, unit.low, unit.high), rtol=1e-5, atol=1e-6
    )
    assert np.mean((model.oof_predictions_.ravel() - y) ** 2) > np.mean((mean.ravel() * y.std() + y.mean() - y) ** 2)


@pytest.mark.parametrize("linear", [False, True])
def test_blocks_of_rows_are_predicted_as_all_at_once(monkeypatch, linear):
    model = regressor(n_estimators=2, hidden_layer_sizes=(8,), max_iter=2, linear=linear).fit(X, X[:, 0] * X[:, 1])
    expected = model.predict(X)
    monkeypatch.setattr("chainrule.ensemble.ROWS", 40)
    monkeypatch.setattr("chainrule.ensemble.CACHED", 7)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_linear_share_is_the_best_convex_mixture():
    linear_data = X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * RNG.normal(size=90)
    model = regressor(max_iter=3, linear="auto").fit(X, linear_data)
    assert model.linear_share_ > 0.5
    assert "linear_share_" not in vars(regressor(max_iter=1).fit(X, linear_data))
    xor = regressor(hidden_layer_sizes=(32,), max_iter=30, learning_rate_init=0.05, linear=True).fit(
        X, np.sign(X[:, 0] * X[:, 1])
    )
    assert xor.linear_share_ < 0.5
    assert best_share(lambda share: (share - 0.34) ** 2) == pytest.approx(0.35)
    for one in (model, xor):
        z = one.ensemble_.encoding.scaled(X)
        mean = np.mean([network.predict(one.ensemble_.encoding(X)) for network in one.members_], axis=0, dtype=float)
        if one.linear_share_:
            W, b, share = one.ensemble_.linear
            mean = (1 - share) * mean + share * (z @ W + b)
        unit = one.ensemble_.unit
        expected = np.clip(unit.center + unit.scale * mean, unit.low, unit.high).ravel()
        np.testing.assert_allclose(one.predict(X), expected, rtol=1e-6, atol=1e-9)


def test_the_linear_model_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression, RidgeCV  # noqa: PLC0415

    z, t = X / X.std(axis=0), np.unique(LABELS, return_inverse=True)[1]
    fold = np.arange(90) % 5
    W, b, out = fit_linear(X, t, fold, None)
    candidates = [LogisticRegression(C=C, max_iter=200).fit(z, t) for C in (0.03, 1.0)]
    assert any(np.allclose(X @ W + b, one.decision_function(z), atol=1e-4) for one in candidates)
    assert out.shape == (90, 3)
    W, b, out = fit_linear(X, Y[:, np.newaxis], fold, None)
    np.testing.assert_allclose((X @ W + b).ravel(), RidgeCV(tuple(10.0 ** np.arange(-4, 5))).fit(z, Y).predict(z))
    held = fold == 2
    theirs = RidgeCV(tuple(10.0 ** np.arange(-4, 5))).fit(z[~held], Y[~held]).predict(z[held])
    np.testing.assert_allclose(out[held].ravel(), theirs)


@pytest.mark.slow
def test_intervals_cover_new_rows():
    data, y = make_friedman1(2_000, noise=1.0, random_state=0)
    data, y, new, truth = data[:600], y[:600], data[600:], y[600:]
    model = regressor(n_estimators=10, hidden_layer_sizes=(32,), max_iter=12, linear="auto").fit(data, y)
    low, high = model.predict_interval(new, 0.9)
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.9, abs=0.03)
    several = regressor().fit(X, np.c_[Y, Y])
    assert several.predict_interval(X, 0.5)[0].shape == (90, 2)
    with pytest.raises(ValueError, match=r"90 rows are too few for 0\.999: give at most 0\.989"):
        several.predict_interval(X, 0.999)
    with pytest.raises(ValueError, match=r"expected a share between 0 and 1, such as 0\.9, got 90"):
        several.predict_interval(X, 90)


def test_networks_have_the_parametrization_that_is_documented(recorded):
    model = regressor(n_estimators="auto", hidden_layer_sizes=(6, 5), max_iter=1).fit(X, Y)
    made, d = recorded["made"], model.ensemble_.encoding.inputs
    assert [type(layer).__name__ for layer in model.members_[0].layers] == [
        "Scale",
        "Dense",
        "Mish",
        "Dense",
        "Mish",
        "Dense",
    ]
    assert made.layer_rates == {0: 6.0, 1: 1 / math.sqrt(4 + (d - 4) / 4), 3: 1 / math.sqrt(6), 5: 1 / math.sqrt(5)}
    assert repr(made.optimizer) == "AdamW(learning_rate=0.02, beta_2=0.95, weight_decay=0.02)"
    assert d == 4 + 4 * 16
    assert len(model.members_) == 10
    fit = classifier(max_iter=1, hidden_layer_sizes=3).fit(X, LABELS)
    assert [type(layer).__name__ for layer in fit.members_[0].layers] == ["Scale", "Dense", "SELU", "Dense"]
    assert fit.members_[0].loss.label_smoothing == 0.1


@pytest.mark.slow
def test_epochs_follow_the_number_of_rows(recorded, monkeypatch):
    monkeypatch.setattr(_recipe, "EXTENDED", 0)
    for rows, passes in ((90, 4), (2_000, 1)):  # 8 steps of 64 rows in each of 64 epochs
        model = cr.TabularClassifier(1, hidden_layer_sizes=(2,), linear=False, random_state=0)
        model.fit(np.resize(X, (rows, 4)), np.resize(LABELS, rows))
        assert model.n_iter_ == 64
        assert recorded["made"].passes == passes
        assert recorded["made"].members[0].state.t == 64 * math.ceil(passes * rows * 4 / 5 / 64)
        assert len(model.members_) == 1
    assert cr.TabularRegressor(1, hidden_layer_sizes=(2,), random_state=0).fit(X, Y).n_iter_ == 48


# ---------------------------------------------------------------- time, progress, interruption


class Clock:
    """A clock on which every epoch of a member takes as long as it has rows."""

    def __init__(self, monkeypatch, per_row):
        self.now, self.per_row = 0.0, per_row
        train = Members._train

        def slow(made, member, interrupted):
            self.now += self.per_row * len(member.rows)
            return train(made, member, interrupted)

        monkeypatch.setattr(Members, "_train", slow)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.mark.slow
def test_a_time_limit_reduces_the_epochs_and_then_the_rows(monkeypatch, recorded):
    clock = Clock(monkeypatch, 1.0)  # an epoch of five members: 5 · 72 s, in one thread
    options = {"n_jobs": 1, "max_iter": 50}
    model = regressor(max_minutes=100, **options).fit(X, Y)
    trials = 72 + 72  # a compiling one and a timed one
    assert model.n_iter_ == int(0.85 * (6_000 - trials) / 360) == 13
    assert clock.now < 6_000
    clock.now = 0.0
    model = regressor(max_minutes=10, **options).fit(X, Y)
    affordable = 0.85 * (600 - trials) / 360
    assert model.n_iter_ == 4
    assert [len(member.rows) for member in recorded["made"].members] == [int(72 * affordable / 4)] * 5
    assert clock.now < 600
    clock.now = 0.0
    assert regressor(max_minutes=1e6, **options).fit(X, Y).n_iter_ == 50
    for minutes, more in ((100, False), (1e6, True)):  # fewer epochs than planned are never extended
        clock.now = 0.0
        regressor(max_minutes=minutes, **options | {"max_iter": "auto"}).fit(X, Y)
        assert recorded["made"].may_extend == more


def test_training_ends_when_the_time_is_up(monkeypatch):
    clock = Clock(monkeypatch, 1.0)
    fit_to_time = _recipe.fit_to_time

    def slower_from_now_on(*arguments):
        fit_to_time(*arguments)
        clock.per_row = 10.0

    monkeypatch.setattr(_tabular, "fit_to_time", slower_from_now_on)
    with pytest.warns(UserWarning, match=r"Training ended when the time was up: the best epoch so far is kept\."):
        model = regressor(n_jobs=1, max_iter=50, max_minutes=100).fit(X, Y)
    assert model.n_iter_ == 1
    assert model.history_.stopped == "ended when the time was up"
    assert clock.now < 6_000 + 5 * 720
    assert np.isfinite(model.predict(X)).all()


def test_progress_says_which_member_and_how_long(capsys):
    said = []
    regressor(n_estimators=5, max_iter=2, n_jobs=1, progress=said.append).fit(X, Y)
    assert [(one.member, one.epoch) for one in said] == [(m, e) for e in (1, 2) for m in (1, 2, 3, 4, 5)]
    assert {(one.members, one.epochs) for one in said} == {(5, 2)}
    assert said[-1].seconds_left == 0
    regressor(n_estimators=5, max_iter=2, progress=True).fit(X, Y)
    shown = capsys.readouterr().err
    assert shown.startswith("\rtraining    10%  epoch 1 of 2, network ")
    assert re.search(r"\rtraining   100%  epoch 2 of 2, network \d of 5  in \d+ s *$", shown.rstrip("\n")), shown


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_progress_function_ends_all_threads(threads):
    calls = []

    def fail(progress):
        calls.append(progress)
        if len(calls) == 3:
            raise LookupError("of a user")

    with pytest.raises(LookupError, match="of a user"):
        regressor(max_iter=100_000, n_jobs=threads, progress=fail).fit(X, Y)
    assert len(calls) <= 4


INTERRUPTED = """\
import os, signal, sys, warnings
import numpy as np, chainrule as cr

X = np.random.default_rng(0).normal(size=(60, 3))
calls = []

def press(progress):
    calls.append(progress)
    if len(calls) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGINT)

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    model = cr.TabularRegressor(5, hidden_layer_sizes=(4,), max_iter=5000, random_state=0, progress=press, n_jobs=int(sys.argv[2]))
    try:
        model.fit(X, X[:, 0])
    except KeyboardInterrupt:
        print("interrupted")
        raise SystemExit(0)
print(model.n_iter_ < 200, np.isfinite(model.predict(X)).all(), *[str(one.message) for one in said])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("calls", "threads", "expected"),
    [(40, 1, "True True Training interrupted in epoch"), (40, 2, "True True Training inter"), (1, 1, "interrupted")],
)
def test_ctrl_c_keeps_the_best_epoch(calls, threads, expected):
    command = [sys.executable, "-c", INTERRUPTED, str(calls), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.startswith(expected), done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_an_epoch_after_a_batch(monkeypatch, recorded):
    asked = itertools.count()
    monkeypatch.setattr(loop, "BLOCK_SECONDS", 0.0)  # it is asked after every batch
    monkeypatch.setattr(_tabular, "deferred_interrupt", lambda: nullcontext(lambda: next(asked) > 100))
    with pytest.warns(UserWarning, match=r"Training interrupted in epoch \d+: the best epoch so far is kept"):
        model = classifier(batch_size=4, n_jobs=1).fit(X, LABELS)
    batches = math.ceil(len(X) * 4 / 5 / 4)
    assert [member.state.t % batches for member in recorded["made"].members].count(0) == 4
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_divergence_keeps_the_best_epoch_or_says_what_to_do():
    with pytest.warns(UserWarning, match=r"Training diverged in epoch \d: the best epoch so far is kept"):
        model = regressor(learning_rate_init=1e4).fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(
        cr.DivergenceError, match=r"training diverged in epoch 1\. Give a smaller learning_rate_init than 1e\+38"
    ):
        regressor(learning_rate_init=1e38, batch_size=2).fit(X, Y)
    with pytest.raises(cr.DivergenceError, match=r"^training diverged\. Give a smaller learning_rate_init than 1e\+06"):
        classifier(learning_rate_init=1e6).fit(X, LABELS)


# ---------------------------------------------------------------- the contract


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TabularClassifier", "TabularRegressor"])
def test_check_estimator(kind):
    parameters = {"n_estimators": 5, "hidden_layer_sizes": [8], "max_iter": 12, "n_jobs": 1}
    found = checks("ours", kind, json.dumps(parameters))
    assert len(found) > 50
    # The folds are drawn by row: a row that is there twice may be in two folds, a row of weight 2 is in one.
    expected = {"check_sample_weight_equivalence_on_dense_data"}
    assert {name for name, status, _ in found if status == "failed"} == expected
    skipped = {name for name, status, _ in found if status == "skipped"}
    assert skipped <= {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}


@pytest.mark.slow
@every_kind
def test_a_fitted_model_is_cloned_pickled_and_shared(kind):
    make, y = KINDS[kind]
    model = make().fit(FRAME, y)
    expected = outputs(model, FRAME)
    np.testing.assert_array_equal(outputs(pickle.loads(pickle.dumps(model)), FRAME), expected)
    np.testing.assert_array_equal(outputs(clone(model).fit(FRAME, y), FRAME), expected)
    np.testing.assert_array_equal(outputs(model.fit(FRAME, y), FRAME), expected)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: outputs(model, FRAME), range(8)):
            np.testing.assert_array_equal(got, expected)
        for got in pool.map(lambda _: outputs(make().fit(FRAME, y), FRAME), range(2)):
            np.testing.assert_array_equal(got, expected)
    frozen = X.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(outputs(make().fit(frozen, y), frozen), outputs(make().fit(X, y), X))


@pytest.mark.slow
def test_a_spawned_process_predicts_and_fits_the_same():
    model = regressor().fit(X, Y)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        np.testing.assert_array_equal(pool.submit(model.predict, X).result(), model.predict(X))
        np.testing.assert_array_equal(pool.submit(model.fit, X, Y).result().predict(X), model.predict(X))


@pytest.mark.slow
def test_the_reference_kernels_give_nearly_the_same(monkeypatch):
    compiled = regressor().fit(X, Y)
    monkeypatch.setenv("CHAINRULE_KERNELS", "reference")
    one, two = (regressor(n_jobs=n).fit(X, Y) for n in (1, 2))
    assert one.history_.engine.startswith("numpy")
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    np.testing.assert_allclose(one.predict(X), compiled.predict(X), atol=1e-3)


def test_several_labels_and_sparse_labels():
    y = (X[:, :3] > 0).astype(int)
    model = classifier(max_iter=20, learning_rate_init=0.1).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert (model.predict(X) == y).mean() > 0.9
    assert model.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(
        classifier().fit(X, sp.csr_matrix(y)).predict_proba(X), classifier().fit(X, y).predict_proba(X)
    )


@pytest.mark.slow
def test_it_learns_and_scikit_learn_scores_it():
    iris = load_iris()
    scores = cross_val_score(classifier(max_iter=24, learning_rate_init=0.1), iris.data, iris.target, cv=3)
    assert scores.mean() > 0.93
    data, y = make_friedman1(300, random_state=0)
    assert cross_val_score(regressor(max_iter=12, hidden_layer_sizes=(32,)), data, y, cv=3).mean() > 0.8


def test_log_probabilities():
    model = classifier().fit(X, LABELS)
    np.testing.assert_array_equal(model.predict_log_proba(X), np.log(model.predict_proba(X)))
    np.testing.assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, atol=1e-6)


# ---------------------------------------------------------------- bad input

WIDE = RNG.normal(size=(12, 10_000))
GOOD = {
    "a category in one row": (FRAME.assign(word=["q"] + ["r"] * 89), Y),
    "a constant column": (np.c_[X, np.ones(90)], Y),
    "an empty column": (np.c_[X, np.full(90, np.nan)], Y),
    "an empty column of objects": (FRAME.assign(word=None), Y),
    "nothing but missing values": (np.full((90, 2), np.nan), Y),
    "10,000 columns": (WIDE, WIDE[:, 0]),
    "infinities": (np.where(X > 1, np.inf, np.where(X < -1, -np.inf, X)), Y),
    "huge numbers": (1e300 * X, Y),
    "subnormal numbers": (1e-310 * X, Y),
    "whole numbers beyond 2^53": (np.c_[(X[:, 0] * 2**58).astype(np.int64), np.arange(90)], Y),
    "numbers of 400 digits": (np.array([[10**400, i] for i in range(90)], dtype=object), Y),
    "a constant target": (X, np.full(90, 0.1)),
    "a target that is nearly constant": (X, 1e9 + 1e-6 * Y),
    "a large target": (X, 1e150 * Y),
    "a subnormal target": (X, 1e-310 * Y),
    "two rows": (X[:2], Y[:2]),
    "masked values": (np.ma.masked_array(X, X > 1), Y),
    "half precision": (X.astype("float16"), Y),
    "flags": (X > 0, Y),
    "another byte order": (X.astype(">f8"), Y.astype(">f8")),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", GOOD)
def test_unusual_columns_and_targets_are_learned_from(name):
    rows, y = GOOD[name]
    model = regressor(n_estimators=5, max_iter=3).fit(rows, y)
    predicted = model.predict(rows)
    assert np.isfinite(predicted).all()
    assert predicted.min() >= y.min()
    assert predicted.max() <= y.max()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_class_of_fewer_rows_than_folds(count):
    y = np.r_[["rare"] * count, LABELS[count:]]
    model = classifier().fit(X, y)
    assert model.classes_.tolist() == ["ant", "bee", "cat", "rare"]
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.oof_predictions_).all()


def test_masked_values_are_missing():
    masked = np.ma.masked_array(X, X > 1)
    np.testing.assert_array_equal(
        regressor().fit(masked, Y).predict(masked),
        regressor().fit(masked.filled(np.nan), Y).predict(masked.filled(np.nan)),
    )


def test_numbers_as_text_are_categories_with_a_warning():
    """NumPy makes text of a whole array if one of its values is."""
    mixed = np.column_stack([X[:, 0], LABELS])
    with pytest.warns(UserWarning, match=r"column 0 has numbers as text.*Convert it with astype\(float\), or list"):
        regressor(max_iter=1).fit(mixed, Y)
    regressor(max_iter=1, categorical_features=[0]).fit(mixed, Y)
    regressor(max_iter=1).fit(np.where(X > 0, "94110", "10001"), Y)


def test_decimals_are_numbers():
    decimals = np.vectorize(Decimal, otypes=[object])(X)
    model = regressor(max_iter=1).fit(decimals, Y)
    np.testing.assert_array_equal(model.predict(decimals), regressor(max_iter=1).fit(X, Y).predict(X))


BAD = {
    "one row": (regressor, X[:1], Y[:1], {}, r"minimum of 2 is required"),
    "one row of a frame": (regressor, FRAME[:1], Y[:1], {}, r"1 sample\(s\).*minimum of 2"),
    "no columns": (regressor, FRAME[[]], Y, {}, r"0 feature\(s\)"),
    "one class": (classifier, X, ["a"] * 90, {}, r"y has one class, 'a': expected at least two classes"),
    "one class with a weight": (classifier, X, LABELS, {"sample_weight": LABELS == "bee"}, r"y has one class, 'bee'"),
    "missing in y": (regressor, X, np.where(Y > 1, np.nan, Y), {}, r"Input y contains NaN"),
    "missing labels": (
        classifier,
        X,
        np.where(Y > 1, None, LABELS),
        {},
        r"y: expected numbers or strings, .*none missing.*Drop rows",
    ),
    "mixed labels": (classifier, X, np.where(Y > 1, 7, LABELS.astype(object)), {}, r"y\.astype\(str\)"),
    "labels of two types": (cr.MLPClassifier, X, np.where(Y > 1, 7, LABELS.astype(object)), {}, r"got int and str \("),
    "labels as objects": (
        classifier,
        X,
        (Y > 1).astype(int).astype(object),
        {},
        r"\(Unknown label type\)\. Give y\.astype\(int",
    ),
    "dates to predict": (regressor, X, np.arange(90).astype("M8[D]"), {}, r"y: expected numbers, got datetime64\[D\]"),
    "words to predict": (regressor, X, LABELS, {}, r"y: expected numbers, got <U\d.*y\.astype\(float\)"),
    "numbers as classes": (classifier, X, Y, {}, r"Unknown label type: continuous"),
    "a target beyond its variance": (
        regressor,
        X,
        1e300 * Y,
        {},
        r"y: values up to .* are too large .*: give y / 1e200",
    ),
    "rows that differ": (regressor, X, Y[:5], {}, r"inconsistent numbers of samples"),
    "weights of zero": (regressor, X, Y, {"sample_weight": np.zeros(90)}, r"at least one non-zero"),
    "one weight": (regressor, X, Y, {"sample_weight": np.arange(90) == 3}, r"at least 2 rows with a positive weight"),
    "negative weights": (regressor, X, Y, {"sample_weight": -np.ones(90)}, r"Negative values"),
    "huge weights": (
        regressor,
        X,
        Y,
        {"sample_weight": np.full(90, 1e300)},
        r"expected numbers up to 1e\+200, got 1e\+300",
    ),
    "one group": (
        regressor,
        X,
        Y,
        {"groups": np.zeros(90)},
        r"groups: all rows are in one group: expected at least two",
    ),
    "missing groups": (regressor, X, Y, {"groups": [None, "a"] * 45}, r"groups: .*none missing.*astype\(str\)"),
    "a matrix of groups": (regressor, X, Y, {"groups": np.ones((90, 2))}, r"groups: .*\(90,\), got shape \(90, 2\)"),
    "equal names": (
        regressor,
        pd.DataFrame(X, columns=list("aabc")),
        Y,
        {},
        r"column name 'a' occurs more than once\. Give",
    ),
    "dates": (regressor, FRAME.assign(day=pd.Timestamp("2020-01-01")), Y, {}, r"column 'day' .*days since a date"),
    "one dimension": (regressor, Y, Y, {}, r"Expected 2D array, got 1D"),
    "three dimensions": (regressor, X[..., None], Y, {}, r"Found array with dim 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_a_remedy(name):
    make, rows, y, more, message = BAD[name]
    with pytest.raises((ValueError, TypeError), match=message):
        make().fit(rows, y, **more)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categorical_features": ["depth"]}, r"X has no column 'depth': its columns are \['p', 'q'"),
        ({"categorical_features": [9]}, r"X has no column 9"),
        ({"categorical_features": [True, False]}, r"expected a mask of 6 columns, got 2"),
        ({"activation": "rleu"}, r"unknown activation 'rleu'. Did you mean"),
        ({"hidden_layer_sizes": (0,)}, r"expected a whole number of at least 1, got 0"),
        ({"n_jobs": 0}, r"n_jobs: expected a number of threads, -1 or None"),
        ({"max_minutes": 0}, r"max_minutes"),
        ({"class_weight": {"ant": -1.0}}, r"class_weight: expected finite numbers of at least 0"),
        ({"class_weight": {"dog": 1.0}}, r"are not in class_weight"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        classifier(**options).fit(FRAME, LABELS)


def test_sparse_rows_are_refused():
    with pytest.raises(TypeError, match=r"sparse X is not supported: give X\.toarray\(\)"):
        regressor().fit(sp.csr_matrix(X), Y)


def test_columns_are_compared_by_name():
    model = regressor(n_estimators=5).fit(FRAME, Y)
    assert model.feature_names_in_.tolist() == list(FRAME.columns)
    for other, message in (
        (FRAME[FRAME.columns[::-1]], "must be in the same order"),
        (FRAME.drop(columns="two"), "now missing:\n- two"),
        (FRAME.rename(columns={"two": "three"}), "unseen at fit time:\n- three"),
        (FRAME.assign(p="tall"), r"column 0 had numbers in fit: expected numbers, got 'tall'"),
        (FRAME.assign(word=[[1]] * 90), r"expected categories that are text or numbers, got \[1\], a list"),
        (FRAME[:0], r"0 sample\(s\)"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(other)
    unseen = model.predict(FRAME.assign(word="never", p=None))
    assert np.isfinite(unseen).all()


@pytest.mark.slow
def test_categories_by_name_index_and_mask():
    codes = FRAME.assign(q=np.arange(90) % 3)
    expected = regressor().fit(codes.assign(q=pd.Categorical(codes["q"])), Y).predict(codes)
    for given in (["q"], [1], [False, True, False, False, False, False], np.array([1])):
        model = regressor(categorical_features=given).fit(codes, Y)
        assert model.ensemble_.encoding.levels[1] == (0, 1, 2)
        np.testing.assert_array_equal(model.predict(codes), expected)


def test_cores_for_threads(monkeypatch):
    monkeypatch.setattr(_tabular, "choose_threads", lambda _: type("Threads", (), {"allowed": 4})())
    found = [regressor(n_jobs=n)._threads() for n in (None, -1, -2, -9, 3)]
    assert found == [4, 4, 3, 1, 3]
