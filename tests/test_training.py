"""train(): what is recorded, what stops it, what is the same for the same seed, and what is left untouched."""

import hashlib
import math
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers import Dense, Dropout, ReLU, Tanh
from chainrule.optimizers import SGD, Adam, Momentum
from chainrule.penalties import L2
from chainrule.training.callbacks import Callback, EarlyStopping
from chainrule.training.loop import DivergenceError

RNG = np.random.default_rng(11)
X = RNG.normal(size=(200, 4))
LABELS = (X[:, 0] + X[:, 1] > 0).astype(int)


def network(seed=0, **options):
    return cr.Network(4, [Dense(8), Tanh(), Dropout(0.2), Dense(2)], "softmax_cross_entropy", seed=seed, **options)


def test_history_has_the_promised_columns():
    history = cr.train(network(), X, LABELS, epochs=3, validation=0.2, penalties=[L2(1e-3)], seed=0)
    assert history.columns == ("epoch", "loss", "penalty", "val_loss", "val_accuracy", "learning_rate", "seconds")
    assert history["epoch"] == [1, 2, 3]
    assert len(history) == 3
    assert all(len(column) == 3 for column in history.to_dict().values())
    assert history["loss"][-1] < history["loss"][0]
    assert 0 <= history["val_accuracy"][-1] <= 1
    assert history["learning_rate"] == [0.001] * 3
    assert all(s > 0 for s in history["seconds"])
    with pytest.raises(KeyError, match="Did you mean 'val_loss'"):
        history["val_los"]


def test_history_becomes_a_csv_and_a_data_frame(tmp_path):
    history = cr.train(network(), X, LABELS, epochs=2, seed=0)
    history.to_csv(tmp_path / "history.csv")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,learning_rate,seconds"
    assert float(lines[2].split(",")[1]) == history["loss"][1]


def test_recorded_loss_is_the_mean_over_rows_with_short_batches_and_weights():
    """With a learning rate of zero the mean over the epoch is the loss of the whole set."""
    plain = cr.Network(4, [Dense(2)], "softmax_cross_entropy", seed=0, dtype="float64")
    history = cr.train(plain, X, LABELS, epochs=1, batch_size=64, optimizer=SGD(0.0))
    assert history["loss"][0] == pytest.approx(cr.evaluate(plain, X, LABELS)["loss"], rel=1e-12)
    weight = RNG.random(200)
    history = cr.train(plain, X, LABELS, epochs=1, batch_size=64, optimizer=SGD(0.0), sample_weight=weight)
    expected = cr.evaluate(plain, X, LABELS, sample_weight=weight)["loss"]
    assert history["loss"][0] == pytest.approx(expected, rel=1e-12)


def test_penalty_is_recorded_beside_the_loss():
    plain = cr.Network(4, [Dense(2)], "softmax_cross_entropy", seed=0, dtype="float64")
    history = cr.train(plain, X, LABELS, epochs=1, batch_size=200, optimizer=SGD(0.0), penalties=[L2(0.3)])
    assert history["penalty"][0] == pytest.approx(0.15 * (plain.layers[0].W ** 2).sum(), rel=1e-12)
    assert history["loss"][0] == pytest.approx(cr.evaluate(plain, X, LABELS)["loss"], rel=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "sigmoid_cross_entropy", "poisson", "huber"])
def test_every_kind_of_target_trains(loss):
    net = cr.Network(4, [Dense(8), Tanh(), Dense(1)], loss, seed=0)
    history = cr.train(net, X, LABELS, epochs=20, optimizer=Adam(0.01), validation=0.2, seed=0)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]


def digest(seed):
    net = network(seed)
    cr.train(net, X, LABELS, epochs=3, validation=0.1, batch_size=7, seed=seed)
    return hashlib.sha256(net.theta.tobytes()).hexdigest()


def test_same_seed_same_theta_in_one_process():
    assert digest(4) == digest(4)
    assert digest(4) != digest(5)


@pytest.mark.slow
def test_same_seed_same_theta_in_two_processes():
    script = (
        "import hashlib, numpy as np, chainrule as cr\n"
        "from chainrule.layers import *\n"
        "rng = np.random.default_rng(0)\n"
        "X, t = rng.random((500, 20), dtype='float32'), rng.integers(0, 3, 500)\n"
        "net = cr.Network(20, [Dropout(0.1), Dense(64), GELU(), Dropout(0.5), Dense(3)], 'softmax_cross_entropy', seed=1)\n"
        "cr.train(net, X, t, epochs=3, batch_size=32, validation=0.1, seed=1)\n"
        "print(hashlib.sha256(net.theta.tobytes()).hexdigest())\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == 64


def test_validation_and_callbacks_do_not_change_what_is_learned_from_the_same_rows():
    one, two = network(), network()
    cr.train(one, X, LABELS, epochs=3, seed=0)
    cr.train(two, X, LABELS, epochs=3, seed=0, validation=(X[:20], LABELS[:20]), callbacks=[Callback()])
    np.testing.assert_array_equal(one.theta, two.theta)


def test_inputs_are_left_alone():
    x, t, w = X.copy(), LABELS.copy(), np.ones(200)
    for array in (x, t, w):
        array.flags.writeable = False
    cr.train(network(), x, t, sample_weight=w, epochs=2, validation=0.1, shuffle=True, seed=0)
    cr.train(network(), x, t, sample_weight=w, epochs=2, shuffle=False, seed=0)
    np.testing.assert_array_equal(x, X)


def test_weights_of_two_are_rows_twice():
    weights = np.where(np.arange(200) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(200), weights.astype(int))
    plain = [
        cr.Network(4, [Dense(5), Tanh(), Dense(2)], "softmax_cross_entropy", seed=0, dtype="float64") for _ in "12"
    ]
    options = {"epochs": 10, "optimizer": SGD(0.5), "seed": 0}
    cr.train(plain[0], X, LABELS, batch_size=200, sample_weight=weights, **options)
    cr.train(plain[1], X[twice], LABELS[twice], batch_size=len(twice), **options)
    np.testing.assert_allclose(plain[0].theta, plain[1].theta, rtol=1e-10, atol=1e-12)


def test_weights_of_validation_rows_count_in_metrics_that_take_them():
    """Rows that are drawn for validation have the weights they came with, in val_loss and in metrics that take them."""
    weight = np.where(RNG.random(200) < 0.5, 0.0, RNG.random(200))
    seen = {}

    def rows(t, p):
        seen["t"] = t
        return len(p)

    def total(t, p, sample_weight=None):
        seen["weight"] = sample_weight
        return sample_weight.sum()

    metrics = {"accuracy": cr.metrics.accuracy, "rows": rows, "total": total}
    options = {"epochs": 2, "optimizer": SGD(0.0), "shuffle": False, "seed": 0, "sample_weight": weight}
    plain = cr.Network(4, [Dense(2)], "softmax_cross_entropy", seed=0, dtype="float64")
    history = cr.train(plain, X, LABELS, validation=0.2, metrics=metrics, **options)
    chosen = np.flatnonzero(np.isin(weight, seen["weight"]) & (weight > 0))
    held = cr.evaluate(plain, X[chosen], LABELS[chosen], sample_weight=weight[chosen])
    assert history["val_loss"][-1] == pytest.approx(held["loss"], rel=1e-12)
    assert history["val_accuracy"][-1] == pytest.approx(held["accuracy"], rel=1e-12)
    assert history["val_rows"][-1] == len(seen["t"]) == 40
    assert history["val_total"][-1] == pytest.approx(weight[chosen].sum(), rel=1e-12)
    by_hand = np.average((plain.predict(X[chosen]).argmax(axis=1) == LABELS[chosen]), weights=weight[chosen])
    assert held["accuracy"] == pytest.approx(by_hand, rel=1e-12)

    given = (X[chosen], LABELS[chosen], weight[chosen])
    # Not to the bit: with other rows beside it, BLAS may add up a row's products in another order.
    assert cr.train(plain, X, LABELS, validation=given, **options)["val_loss"] == pytest.approx(
        history["val_loss"], rel=1e-12
    )
    with pytest.raises(ValueError, match=r"validation=0\.01 drew only rows whose sample_weight is 0"):
        cr.train(plain, X, LABELS, validation=0.01, **options | {"sample_weight": np.arange(200) < 2})
    with pytest.raises(ValueError, match="X and sample_weight: expected the same number of rows, got 200 and 3"):
        cr.train(plain, X, LABELS, validation=(X, LABELS, [1, 2, 3]))
    with pytest.raises(ValueError, match="validation sample_weight: expected non-negative numbers"):
        cr.train(plain, X, LABELS, validation=(X, LABELS, -np.ones(200)))


def test_a_batch_whose_weights_are_all_zero_changes_nothing():
    weights = np.r_[np.zeros(100), np.ones(100)]
    net = cr.Network(4, [Dense(2)], "softmax_cross_entropy", seed=0)
    history = cr.train(
        net, X, LABELS, batch_size=100, sample_weight=weights, shuffle=False, epochs=2, optimizer=SGD(0.1)
    )
    assert np.isfinite(net.theta).all()
    assert math.isfinite(history["loss"][-1])


# ---------------------------------------------------------------- what ends it


class Script(Callback):
    """Plays back a list of validation losses."""

    def __init__(self, values):
        self.values = values

    def on_epoch(self, run):
        run.history["val_loss"][-1] = self.values[run.epoch - 1]


class Keep(Callback):
    def on_start(self, run):
        self.thetas = []

    def on_epoch(self, run):
        self.thetas.append(run.network.theta.copy())


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_waits_and_restores_the_best(restore):
    net, keep = network(), Keep()
    values = [1.0, 0.5, 0.6, 0.495, 0.55, 0.56, 0.4]  # 0.495 is no improvement by more than 0.01
    stop = cr.EarlyStopping(patience=4, min_delta=0.01, restore_best=restore)
    history = cr.train(
        net, X, LABELS, epochs=7, validation=0.1, callbacks=[Script(values), keep, stop], seed=0, optimizer=SGD(0.1)
    )
    assert len(history) == 6
    assert stop.best_epoch == 2
    assert stop.best == 0.5
    assert history.stopped == "val_loss has not improved for 4 epochs"
    np.testing.assert_array_equal(net.theta, keep.thetas[1 if restore else 5])


def test_early_stopping_watches_accuracy_upwards_and_restores_when_it_never_triggers():
    net, keep = network(), Keep()
    stop = cr.EarlyStopping("val_accuracy", patience=50)
    history = cr.train(
        net, X, LABELS, epochs=8, validation=0.3, callbacks=[keep, stop], seed=0, optimizer=Momentum(0.5)
    )
    best = int(np.argmax(history["val_accuracy"]))
    assert stop.best_epoch == best + 1
    np.testing.assert_array_equal(net.theta, keep.thetas[best])


def test_early_stopping_can_be_used_again():
    stop = cr.EarlyStopping(patience=2)
    for seed in range(2):
        cr.train(network(seed), X, LABELS, epochs=3, validation=0.1, callbacks=[stop], seed=seed)
    assert stop.best_epoch >= 1


@pytest.mark.filterwarnings("ignore::chainrule.advice.AdviceWarning")
def test_divergence_says_where_and_restores():
    net = cr.Network(4, [Dense(8), ReLU(), Dense(1)], "squared_error", seed=0)
    before = net.theta.copy()
    with pytest.raises(DivergenceError) as caught:
        cr.train(net, 1e4 * X, X[:, 0], optimizer=SGD(1e3), epochs=5, seed=0)
    message = str(caught.value)
    for part in ("training diverged", "epoch 1, batch", "of 7", "learning rate 1000", "ten times smaller", "ClipNorm"):
        assert part in message, message
    np.testing.assert_array_equal(net.theta, before)
    assert len(caught.value.history) == 0


def test_divergence_in_a_later_epoch_keeps_the_epochs_before():
    class Explode(Callback):
        def on_epoch(self, run):
            if run.epoch == 2:
                kept.append(run.network.theta.copy())
                run.network.theta[-1] = np.inf

    kept = []
    net = network()
    with pytest.raises(DivergenceError, match=r"epoch 3, batch 1 of 7") as caught:
        cr.train(net, X, LABELS, epochs=5, callbacks=[Explode()], seed=0)
    assert len(caught.value.history) == 2


def test_a_parameter_that_overflows_is_noticed_at_the_end_of_the_epoch():
    class Overflow(Callback):
        def on_batch(self, run):
            if run.batch == run.batches:
                run.network.theta[5] = np.nan

    net = network()
    with pytest.raises(DivergenceError, match="a parameter is not finite in epoch 1, batch 7 of 7"):
        cr.train(net, X, LABELS, epochs=5, callbacks=[Overflow()], seed=0)
    assert np.isfinite(net.theta).all()


INTERRUPT = """
import sys, numpy as np, chainrule as cr
from chainrule.layers import *
rng = np.random.default_rng(0)
X, t = rng.random((20000, 50), dtype="float32"), rng.integers(0, 3, 20000)
net = cr.Network(50, [Dense(64), ReLU(), Dense(3)], "softmax_cross_entropy", seed=0)
start = net.theta.copy()
class Ready(cr.Callback):
    def on_batch(self, run):
        if run.epoch == 2 and run.batch == 3:
            print("ready", flush=True)
history = cr.train(net, X, t, epochs=100000, seed=0, callbacks=[Ready()])
print(history.stopped)
print(len(history) >= 1, bool(np.isfinite(net.theta).all()), bool((net.theta != start).any()))
"""


def test_ctrl_c_ends_training_cleanly_with_what_was_learned():
    with subprocess.Popen([sys.executable, "-c", INTERRUPT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    stopped, state = output.splitlines()
    assert stopped.startswith("interrupted in epoch ")
    assert state == "True True True"


def test_a_handler_of_ones_own_is_left_in_place():
    class Press(Callback):
        def on_batch(self, run):
            if run.epoch == run.batch == 1:
                os.kill(os.getpid(), signal.SIGINT)

    seen = []
    old = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        history = cr.train(network(), X, LABELS, epochs=2, callbacks=[Press()], seed=0)
    finally:
        signal.signal(signal.SIGINT, old)
    assert seen == [1]
    assert len(history) == 2
    assert signal.getsignal(signal.SIGINT) is old


def test_training_works_in_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(cr.train(network(), X, LABELS, epochs=2, seed=0)))
    thread.start()
    thread.join()
    assert len(results[0]) == 2


def test_a_callback_that_raises_leaves_ctrl_c_as_it_was():
    class Fail(Callback):
        def on_epoch(self, run):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        cr.train(network(), X, LABELS, callbacks=[Fail()], seed=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_progress_prints_one_line_an_epoch(capsys):
    cr.train(network(), X, LABELS, epochs=4, validation=0.1, callbacks=[cr.Progress(every=2)], seed=0)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 2/4  loss 0.")
    assert "val_accuracy 0." in lines[0]


def test_full_batch_gradient_descent_is_monotone_on_a_convex_problem():
    net = cr.Network(4, [Dense(2)], "softmax_cross_entropy", seed=0, dtype="float64")
    history = cr.train(net, X, LABELS, epochs=50, batch_size=200, optimizer=SGD(0.5), shuffle=False)
    assert all(a > b for a, b in zip(history["loss"], history["loss"][1:], strict=False))


def test_evaluate_takes_metrics_of_ones_own():
    result = cr.evaluate(network(), X, LABELS, metrics={"rows": lambda t, p: len(p)})
    assert set(result) == {"loss", "rows"}
    assert result["rows"] == 200


class TestTheEnd:
    """``on_end`` and what ``restore_best`` promises happen however training ends."""

    class Ends(Callback):
        def __init__(self):
            self.ended = 0

        def on_end(self, run):
            self.ended += 1

    class At(Callback):
        def __init__(self, epoch, what):
            self.epoch, self.what = epoch, what

        def on_epoch(self, run):
            if run.epoch == self.epoch:
                self.what(run)

    @staticmethod
    def spoil(run):
        run.network.theta[:] = 1e30  # the next loss is not finite

    @staticmethod
    def fail(run):
        raise RuntimeError("a callback")

    @pytest.mark.parametrize(("what", "error"), [(spoil, DivergenceError), (fail, RuntimeError)])
    def test_callbacks_end_and_the_best_is_restored(self, what, error):
        net = cr.Network(4, [Dense(8), ReLU(), Dense(1)], "squared_error", seed=0)
        kept = {}

        def keep(run):
            kept[run.epoch] = run.network.theta.copy()

        stopping, ends = EarlyStopping("loss", patience=100), self.Ends()
        callbacks = [self.At(1, keep), self.At(2, keep), self.At(3, keep), stopping, self.At(4, what), ends]
        callbacks.append(self.At(4, keep))
        with pytest.raises(error) as caught:
            cr.train(net, X, X[:, 0], optimizer=SGD(0.01), epochs=9, callbacks=callbacks, seed=0)
        assert ends.ended == 1
        assert stopping.best_epoch in (3, 4)
        if stopping.best_epoch in kept and error is DivergenceError:
            assert f"has the parameters from after epoch {stopping.best_epoch}" in str(caught.value)
        if stopping.best_epoch == 3:
            np.testing.assert_array_equal(net.theta, kept[3])
        assert np.isfinite(net.theta).all()

    def test_a_callback_that_fails_at_the_end_does_not_keep_others_from_it(self):
        class Fails(Callback):
            def on_end(self, run):
                raise RuntimeError("at the end")

        net, ends = cr.Network(4, [Dense(1)], "squared_error", seed=0), self.Ends()
        with pytest.raises(RuntimeError, match="at the end"):
            cr.train(net, X, X[:, 0], epochs=1, callbacks=[Fails(), ends])
        assert ends.ended == 1

    @pytest.mark.parametrize("optimizer", [SGD(0.01), cr.optimizers.Momentum(0.01), Adam(0.01)])
    def test_the_optimizers_state_is_that_before_the_divergence(self, optimizer):
        """What it remembers of the epoch that failed would make the next training diverge at once."""
        net = cr.Network(4, [Dense(8), ReLU(), Dense(1)], "squared_error", seed=0)
        state = optimizer.start(net.theta, net.weights)
        cr.train(net, X, X[:, 0], optimizer=optimizer, state=state, epochs=1, seed=0)
        before = {name: np.copy(getattr(state, name)) for name in ("t", *optimizer.slots)}
        with pytest.raises(DivergenceError):
            cr.train(net, X, np.full(200, 1e38), optimizer=optimizer, state=state, epochs=3, seed=0)
        for name, value in before.items():
            np.testing.assert_array_equal(getattr(state, name), value)
        history = cr.train(net, X, X[:, 0], optimizer=optimizer, state=state, epochs=2, seed=0)
        assert np.isfinite(history["loss"]).all()


class TestDirections:
    """Whether smaller or larger is better, of metrics by name and of your own by ``mode``."""

    @pytest.mark.parametrize(
        ("name", "better"),
        [("val_mae", "min"), ("val_rmse", "min"), ("val_loss", "min"), ("penalty", "min"), ("val_brier", "min"),
         ("val_log_loss", "min"), ("val_accuracy", "max"), ("val_r2", "max"), ("val_roc_auc", "max"), ("val_f1", "max"),
         ("val_mean_squared_error", "min"), ("val_balanced_accuracy", "max"), ("val_mine", None), ("val_neg_mean_squared_error", "max"),
         ("val_accuracy_loss", None)],
    )  # fmt: skip
    def test_known_names(self, name, better):
        assert cr.metrics.direction(name) == better

    @staticmethod
    def mae(t, p):
        return float(np.abs(t - p).mean())

    @pytest.mark.parametrize("arguments", [{"monitor": "val_mae"}, {"monitor": "val_mine", "mode": "min"}])
    def test_the_best_epoch_is_that_of_the_least_error(self, arguments):
        net = cr.Network(4, [Dense(8), Tanh(), Dense(1)], "squared_error", seed=0)
        stopping = EarlyStopping(**arguments, patience=100)
        name = arguments["monitor"].removeprefix("val_")
        history = cr.train(
            net, X, X[:, 0], epochs=6, validation=0.2, metrics={name: self.mae}, callbacks=[stopping], seed=0
        )
        assert stopping.best_epoch == 1 + int(np.argmin(history[f"val_{name}"]))

    def test_an_unknown_name_without_a_mode_is_refused(self):
        net = cr.Network(4, [Dense(1)], "squared_error", seed=0)
        with pytest.raises(ValueError, match="give mode='min' or mode='max'"):
            cr.train(net, X, X[:, 0], validation=0.2, metrics={"mine": self.mae}, callbacks=[EarlyStopping("val_mine")])
        with pytest.raises(ValueError, match="expected 'auto', 'min' or 'max', got 'least'"):
            EarlyStopping(mode="least")


class TestValidationWeights:
    """Weights of rows that are held out count for val_loss."""

    def test_of_a_fraction(self):
        weight = np.random.default_rng(3).random(200)
        net = cr.Network(4, [Dense(1)], "squared_error", seed=0, dtype="float64")
        seen = {}

        def spy(t, p):
            seen["t"] = t.ravel()
            return 0.0

        t = np.arange(200.0) / 200
        history = cr.train(net, X, t, epochs=1, validation=0.25, sample_weight=weight, metrics={"spy": spy}, seed=0)
        rows = np.rint(seen["t"] * 200).astype(int)
        expected = cr.evaluate(net, X[rows], t[rows], sample_weight=weight[rows])["loss"]
        assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-12)

    def test_given_with_rows_of_their_own(self):
        weight = np.random.default_rng(3).random(50)
        net = cr.Network(4, [Dense(1)], "squared_error", seed=0, dtype="float64")
        history = cr.train(net, X, X[:, 0], epochs=1, validation=(X[:50], X[:50, 1], weight), seed=0)
        expected = cr.evaluate(net, X[:50], X[:50, 1], sample_weight=weight)["loss"]
        assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-12)
        with pytest.raises(ValueError, match="sample_weight"):
            cr.train(net, X, X[:, 0], epochs=1, validation=(X[:50], X[:50, 1], weight[:3]))
