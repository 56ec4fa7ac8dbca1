"""Averages of the weights: their formulas, PyTorch's, what is measured with them, and training that goes on."""

import importlib

import numpy as np
import pytest

import chainrule as cr
from chainrule._internal.names import public_classes
from chainrule.layers import BatchNorm, Dense, Dropout, ReLU
from chainrule.training import averaging, engine
from chainrule.training.averaging import EMA, SWA, WeightAverage, measure_statistics
from chainrule.training.callbacks import Callback

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5))
T = (X[:, 0] + 0.3 * X[:, 1] ** 2 > 0).astype(int)


def network(dtype="float64", *, normal=False):
    layers = [Dense(8), *([BatchNorm()] if normal else []), ReLU(), Dropout(0.2), Dense(2)]
    return cr.Network(5, layers, "softmax_cross_entropy", seed=1, dtype=dtype)


class Keep(Callback):
    """All θ on the way: after every step, and after every epoch as the callbacks see them."""

    def on_start(self, run):
        self.steps, self.ends, self.seen = [], [], []

    def on_batch(self, run):
        self.steps.append(run.network.theta.copy())
        if run.batch == run.batches:
            self.ends.append(run.network.theta.copy())

    def on_epoch(self, run):
        self.seen.append(run.network.theta.copy())


def fit(*callbacks, net=None, **settings):
    net = net or network()
    settings = {"epochs": 6, "batch_size": 16, "seed": 3, "optimizer": cr.optimizers.Adam(0.01)} | settings
    history = cr.train(net, X, T, callbacks=callbacks, **settings)
    return net.theta.copy(), history


AVERAGES = [EMA(0.9), EMA(0.5, every=3), EMA(0.99, validate=False), SWA(), SWA(start=2, every=2), SWA(start=0.0)]
every_average = pytest.mark.parametrize(
    "make", [lambda a=a: type(a)(**a.arguments()) for a in AVERAGES], ids=map(repr, AVERAGES)
)


def test_every_public_average_has_its_cases_here():
    assert set(public_classes(averaging, WeightAverage)) == {type(a).__name__ for a in AVERAGES}


def expected(average, keep):
    """The weighted mean of the θ on the way, by the formula as it stands in textbooks."""
    if isinstance(average, EMA):
        thetas = keep.steps[average.every - 1 :: average.every]
        weights = [average.decay ** (average.every * age) for age in range(len(thetas))][::-1]
    else:
        first = average.start if isinstance(average.start, int) else int(average.start * 6) + 1
        thetas = keep.ends[first - 1 :: average.every]
        weights = [1.0] * len(thetas)
    return np.average(thetas, axis=0, weights=weights)


@every_average
def test_the_average_stays_in_the_network_and_training_does_not_see_it(make):
    average, keep, plain = make(), Keep(), Keep()
    theta, _ = fit(keep, average)
    trained, _ = fit(plain)
    np.testing.assert_array_equal(keep.steps, plain.steps, err_msg="the same steps as without an average")
    np.testing.assert_allclose(theta, expected(average, keep), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(theta, average.average)
    assert np.abs(theta - trained).max() > 1e-4


def test_the_average_is_in_the_dtype_of_the_network():
    average = EMA(0.9)
    theta, _ = fit(average, net=network("float32"))
    assert theta.dtype == average.average.dtype == np.float32


@every_average
@pytest.mark.parametrize("validation", [0.3, (X[:20], T[:20])], ids=["fraction", "rows"])
def test_validation_and_the_other_callbacks_see_the_average_where_asked(make, validation):
    average, keep = make(), Keep()
    theta, history = fit(keep, average, validation=validation)
    seen = keep.seen[-1]
    assert np.array_equal(seen, theta) == average.validate
    assert np.array_equal(seen, keep.steps[-1]) != average.validate
    if validation != 0.3:
        measured = network()
        measured.theta = theta if average.validate else keep.steps[-1]
        assert history["val_loss"][-1] == cr.evaluate(measured, *validation)["loss"]


def test_before_the_first_epoch_that_is_averaged_all_is_as_trained():
    keep, plain = Keep(), Keep()
    _, history = fit(keep, SWA(start=4), validation=0.3)
    _, other = fit(plain, validation=0.3)
    assert history["val_loss"][:3] == other["val_loss"][:3]
    np.testing.assert_array_equal(keep.seen[:4], plain.seen[:4])  # of one θ the mean is θ
    assert history["val_loss"][4:] != other["val_loss"][4:]
    assert history["loss"] == other["loss"]


@pytest.mark.parametrize("order", [1, -1])
def test_early_stopping_keeps_the_best_average(order):
    keep, stop = Keep(), cr.EarlyStopping(patience=2)
    theta, history = fit(
        *[keep, stop, EMA(0.8)][::order], validation=0.3, epochs=200, optimizer=cr.optimizers.Adam(0.1)
    )
    best = int(np.argmin(history["val_loss"]))
    assert history.stopped
    assert best < len(history) - 1
    np.testing.assert_array_equal(theta, keep.seen[best])


@pytest.mark.slow
@every_average
@pytest.mark.parametrize("normal", [False, True], ids=["", "normalised"])
@pytest.mark.parametrize("killed", [1, 2, 4, 5])
def test_training_that_goes_on_ends_bit_for_bit_where_it_would_have_ended(make, killed, normal, tmp_path):
    class Killed(Exception):  # noqa: N818
        pass

    class Kill(Callback):
        def on_epoch(self, run):
            if run.epoch == killed + 1:
                raise Killed

    def callbacks():
        return [make(), cr.EarlyStopping(patience=50), cr.Checkpoint(tmp_path, keep=None)]

    nets = [network(normal=normal) for _ in range(3)]
    _, history = fit(*callbacks()[:2], net=nets[0], validation=0.3)
    with pytest.raises(Killed):
        fit(Kill(), *callbacks(), net=nets[1], validation=0.3, resume=tmp_path)
    _, resumed = fit(*callbacks(), net=nets[2], validation=0.3, resume=tmp_path)
    np.testing.assert_array_equal(nets[2].values, nets[0].values)
    assert resumed["val_loss"] == history["val_loss"]
    assert resumed["loss"] == history["loss"]


@pytest.mark.parametrize("kernels", ["numba", "reference"])
def test_an_average_by_epochs_leaves_the_compiled_epoch_whole(kernels, monkeypatch):
    """Both are the same to the bit with any kernels, but only an average by steps asks for the steps one by one."""
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("CHAINRULE_KERNELS", kernels)
    module = importlib.import_module(f"chainrule.training.{engine.MODULES[kernels]}")
    calls = []

    def steps(work, run, make=module.steps):
        made = make(work, run)
        do = made.do
        made.do = lambda first, last: (calls.append(last - first), do(first, last))[1]
        made.block = 4
        return made

    monkeypatch.setattr(module, "steps", steps)
    fit(SWA(start=1), epochs=1)
    assert calls == [4]
    calls.clear()
    fit(EMA(), epochs=1)
    assert calls == [1, 1, 1, 1]


class TestStatistics:
    """Batch normalisation: SWA measures its statistics once more, EMA averages them."""

    def test_those_of_a_plain_mean_are_measured_with_it(self):
        net, average = network(normal=True), SWA(start=2)
        _, history = fit(average, net=net, validation=(X[:20], T[:20]))
        np.testing.assert_array_equal(net.values, average.average)
        assert history["val_loss"][-1] == cr.evaluate(net, X[:20], T[:20])["loss"]
        hidden = X @ net.layers[0].W + net.layers[0].b
        np.testing.assert_allclose(net.layers[1].running_mean, hidden.mean(axis=0), rtol=1e-9, atol=1e-12)

    def test_training_does_not_see_that_they_are_measured(self):
        keep, plain = Keep(), Keep()
        fit(keep, SWA(start=2), net=network(normal=True), validation=0.3)
        fit(plain, net=network(normal=True), validation=0.3)
        np.testing.assert_array_equal(keep.steps, plain.steps)

    def test_without_validation_they_are_measured_at_the_end(self):
        measured, net = network(normal=True), network(normal=True)
        fit(SWA(start=2), net=measured, validation=(X[:20], T[:20]))
        fit(SWA(start=2, validate=False), net=net, validation=(X[:20], T[:20]))
        np.testing.assert_allclose(net.values, measured.values, rtol=1e-9, atol=1e-12)

    def test_those_of_an_exponential_average_are_averaged(self):
        class All(Callback):
            def on_start(self, run):
                self.values = []

            def on_batch(self, run):
                self.values.append(run.network.values.copy())

        net, everything = network(normal=True), All()
        fit(everything, EMA(0.9), net=net)
        weights = 0.9 ** np.arange(len(everything.values))[::-1]
        np.testing.assert_allclose(
            net.values, np.average(everything.values, axis=0, weights=weights), rtol=1e-11, atol=1e-14
        )
        assert net.statistics.any()

    def test_a_pass_over_the_rows_gives_what_pytorch_gives(self):
        torch = pytest.importorskip("torch")
        net = cr.Network(5, [BatchNorm(), Dense(2)], "squared_error", seed=0, dtype="float64")
        model = torch.nn.Sequential(torch.nn.BatchNorm1d(5, dtype=torch.float64))
        torch.optim.swa_utils.update_bn(torch.utils.data.DataLoader(torch.tensor(X), batch_size=20), model)
        theta = net.theta.copy()
        measure_statistics(net, X, rows=np.arange(60), batch_size=20)
        np.testing.assert_allclose(net.layers[0].running_mean, model[0].running_mean.numpy(), rtol=1e-12)
        np.testing.assert_allclose(net.layers[0].running_var, model[0].running_var.numpy(), rtol=1e-12)
        np.testing.assert_array_equal(net.theta, theta)

    def test_rows_in_the_order_of_their_classes_are_mixed(self):
        net = cr.Network(1, [BatchNorm()], "squared_error", dtype="float64")
        ordered = np.repeat([0.0, 10.0], 200)[:, np.newaxis]
        measure_statistics(net, ordered, batch_size=50)
        assert net.layers[0].running_var[0] == pytest.approx(25, rel=0.05), "0 if every batch were of one class"

    def test_batches_of_one_row_are_refused(self):
        with pytest.raises(ValueError, match=r"layer 1, BatchNorm\(\): expected batches of at least 2 rows"):
            measure_statistics(network(normal=True), X, batch_size=1)

    def test_a_network_without_statistics_is_left_alone(self):
        net = network()
        before = net.theta.copy()
        measure_statistics(net, X)
        np.testing.assert_array_equal(net.theta, before)


def test_two_averages_are_refused():
    with pytest.raises(ValueError, match="only one weight-averaging callback is allowed, got several"):
        fit(EMA(), SWA())


def test_an_average_of_ones_own_says_its_share():
    class Last(WeightAverage):
        """The mean of each epoch's end and all before it, half and half."""

        def share(self):
            return 0.5

        def finish(self, run):
            self.add(run.network.values)

    keep = Keep()
    theta, _ = fit(keep, Last(), epochs=3)
    first, second, third = keep.ends
    np.testing.assert_allclose(theta, first / 4 + second / 4 + third / 2, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EMA(2), r"EMA: decay: expected a number in \(0, 1\), got 2"),
        (lambda: EMA(1.0), r"EMA: decay: expected a number in \(0, 1\), got 1.0"),
        (lambda: EMA(0.9, every=0), "EMA: every: expected a whole number of at least 1, got 0"),
        (lambda: SWA(start=0), "SWA: start: expected a whole number of at least 1, got 0"),
        (lambda: SWA(start=-0.5), r"SWA: start: expected a number in \[0, 1\), got -0.5"),
        (lambda: SWA(every=0), "SWA: every: expected a whole number of at least 1, got 0"),
        (lambda: fit(SWA(start=7)), "SWA: start: expected at most the 6 epochs of training, got 7"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class TestAsInPyTorch:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    def averaged(self, torch, thetas, **how):
        """PyTorch's average of these parameters, one after the other."""
        model = torch.nn.Linear(thetas[0].size, 1, bias=False, dtype=torch.float64)
        average = torch.optim.swa_utils.AveragedModel(model, **how)
        for theta in thetas:
            with torch.no_grad():
                model.weight[:] = torch.tensor(theta)
            average.update_parameters(model)
        return average.module.weight.detach().numpy().ravel()

    def test_stochastic_weight_averaging(self, torch):
        keep = Keep()
        theta, _ = fit(keep, SWA(start=3))
        np.testing.assert_allclose(theta, self.averaged(torch, keep.ends[2:]), rtol=1e-12)

    def test_exponential_moving_average_but_for_the_correction_of_its_start(self, torch):
        """PyTorch's is d^t θ₁ + (1 − d^t) θ̄: θ after the first step has a weight of its own for ever."""
        keep, d = Keep(), 0.9
        theta, _ = fit(keep, EMA(d))
        theirs = self.averaged(torch, keep.steps, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(d))
        forgotten = d ** len(keep.steps)
        np.testing.assert_allclose(forgotten * keep.steps[0] + (1 - forgotten) * theta, theirs, rtol=1e-12)

    def test_exponential_moving_average_with_the_correction(self, torch):
        keep, d = Keep(), 0.9
        theta, _ = fit(keep, EMA(d))

        def corrected(average, theta, averaged):
            return average + (1 - d) / (1 - d ** (int(averaged) + 1)) * (theta - average)

        np.testing.assert_allclose(theta, self.averaged(torch, keep.steps, avg_fn=corrected), rtol=1e-12)


def test_an_estimator_ends_with_the_average_and_is_saved(tmp_path):
    warning = pytest.importorskip("sklearn.exceptions").ConvergenceWarning

    average = SWA(start=3)
    model = cr.MLPClassifier((8,), max_iter=5, random_state=0, callbacks=[average])
    with pytest.warns(warning):
        model.fit(X, T)
    np.testing.assert_array_equal(model.network_.theta, average.average)
    cr.save(model, tmp_path / "model.safetensors")
    assert repr(cr.load(tmp_path / "model.safetensors").predict(X)) == repr(model.predict(X))
