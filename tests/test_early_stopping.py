"""EarlyStopping: which way a column should go, and that nobody guesses where its name does not say."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.metrics import direction

RNG = np.random.default_rng(3)
X = RNG.normal(size=(80, 3))
T = X @ [1.0, -1.0, 0.5]


class Script(cr.Callback):
    """Plays back values of one column, and keeps the parameters of every epoch."""

    def __init__(self, column, values):
        self.column, self.values = column, values
        self.thetas = []

    def on_epoch(self, run):
        run.history[self.column][-1] = self.values[run.epoch - 1]
        self.thetas.append(run.network.theta.copy())


def run(name, values, **options):
    network = cr.Network(3, [cr.layers.Dense(1)], "squared_error", seed=0)
    script, stop = Script(f"val_{name}", values), cr.EarlyStopping(f"val_{name}", patience=99, **options)
    cr.train(
        network, X, T, epochs=len(values), validation=0.2, metrics={name: lambda t, p: 0.0}, callbacks=[script, stop],
        seed=0,
    )  # fmt: skip
    np.testing.assert_array_equal(network.theta, script.thetas[stop.best_epoch - 1])
    return stop.best_epoch


@pytest.mark.parametrize("name", ["mae", "mean_absolute_error", "rmse", "MAPE", "neg_log_likelihood", "log_loss"])
def test_metrics_that_should_fall_are_minimized(name):
    assert run(name, [3.0, 1.0, 2.0, 4.0]) == 2


@pytest.mark.parametrize("name", ["f1", "r2", "roc_auc", "macro_f1", "neg_mean_squared_error", "top_5_accuracy"])
def test_metrics_that_should_rise_are_maximized(name):
    assert run(name, [3.0, 1.0, 4.0, 2.0]) == 3


def test_mode_has_the_last_word_and_unknown_names_need_it():
    values = [3.0, 1.0, 4.0, 2.0]
    assert run("fun", values, mode="min") == 2
    assert run("fun", values, mode="max") == 3
    assert run("mae", values, mode="max") == 3
    for name in ("fun", "one_minus_accuracy", "anomaly_score", "loss_ratio"):
        with pytest.raises(ValueError, match=rf"the name 'val_{name}' does not tell .*: give mode='min' or"):
            run(name, values)
    with pytest.raises(ValueError, match="mode: expected 'auto', 'min' or 'max', got 'down'"):
        cr.EarlyStopping(mode="down")
    assert repr(cr.EarlyStopping("val_fun", mode="min")) == "EarlyStopping(monitor='val_fun', mode='min')"


def test_every_metric_and_column_of_our_own_has_a_direction():
    """One table for all who look for a best value: early stopping, and the reports of tables."""
    tables = {"RMSE": "min", "MAE": "min", "log loss": "min", "accuracy": "max", "ROC AUC": "max"}
    for name in cr.losses.__all__:
        loss = getattr(cr.losses, name)
        if isinstance(loss, type):
            for metric in loss.metrics:
                assert direction(f"val_{metric}") == "max"
    assert {name: direction(name) for name in tables} == tables
    assert [direction(name) for name in ("loss", "val_loss", "penalty", "seconds", "learning_rate")] == [
        "min", "min", "min", None, None,
    ]  # fmt: skip


def test_values_that_are_not_numbers_are_never_the_best():
    assert run("mae", [np.nan, 2.0, np.nan, 3.0]) == 2
