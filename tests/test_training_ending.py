"""What happens however training ends: the best parameters, on_end of every callback, a state that can go on."""

import pickle
import signal

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers import Dense, Layer, Tanh
from chainrule.optimizers import SGD, Adam, Optimizer
from chainrule.training.loop import DivergenceError

RNG = np.random.default_rng(5)
X = RNG.normal(size=(120, 3))
T = (X[:, 0] > 0).astype(int)
VALUES = [3.0, 1.0, 2.0, 2.0, 2.0]
BEST = 2


def network():
    return cr.Network(3, [Dense(6), Tanh(), Dense(2)], "softmax_cross_entropy", seed=0)


class Scene(cr.Callback):
    """Plays back validation losses of which the second is the best, and does something in epoch 4."""

    def __init__(self, act, on="epoch"):
        self.act, self.on = act, on
        self.thetas, self.ends = [], []

    def on_epoch(self, run):
        run.history["val_loss"][-1] = VALUES[run.epoch - 1]
        self.thetas.append(run.network.theta.copy())
        if run.epoch == 4 and self.on == "epoch":
            self.act(run)

    def on_batch(self, run):
        if run.epoch == 4 and run.batch == 2 and self.on == "batch":
            self.act(run)

    def on_end(self, run):
        self.ends.append(run.stopped)


def diverge(run):
    run.network.theta[-1] = np.inf


def fail(run):
    raise RuntimeError("mine")


def interrupt(run):
    signal.raise_signal(signal.SIGINT)


def interrupt_hard(run):
    raise KeyboardInterrupt


def leave(run):
    raise SystemExit(3)


@pytest.fixture(params=["numba", "reference"])
def kernels(request, monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", request.param)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    ("act", "on", "error", "why"),
    [
        (
            diverge,
            "epoch",
            DivergenceError,
            "diverged: the loss is nan in epoch 5, batch 1 of 3, at learning rate 0.001",
        ),
        (
            diverge,
            "batch",
            DivergenceError,
            "diverged: the loss is nan in epoch 4, batch 3 of 3, at learning rate 0.001",
        ),
        (fail, "epoch", RuntimeError, "RuntimeError in epoch 4, after batch 3 of 3"),
        (fail, "batch", RuntimeError, "RuntimeError in epoch 4, after batch 2 of 3"),
        (interrupt, "batch", None, "interrupted in epoch 4, after batch 2 of 3"),
        (interrupt_hard, "batch", KeyboardInterrupt, "KeyboardInterrupt in epoch 4, after batch 2 of 3"),
        (leave, "epoch", SystemExit, "SystemExit in epoch 4, after batch 3 of 3"),
        (lambda run: run.stop("enough"), "epoch", None, "enough"),
        (lambda run: None, "epoch", None, ""),
    ],
)
def test_the_best_parameters_come_back_and_every_on_end_is_called(act, on, error, why):
    net, scene, after = network(), Scene(act, on), Scene(lambda run: None)
    callbacks = [scene, cr.EarlyStopping(patience=9), after]
    options = {"epochs": 5, "batch_size": 32, "validation": 0.2, "seed": 0}
    if error is None:
        history = cr.train(net, X, T, callbacks=callbacks, **options)
        assert history.stopped == why
    else:
        with pytest.raises(error) as caught:
            cr.train(net, X, T, callbacks=callbacks, **options)
        if error is DivergenceError:
            assert caught.value.history.stopped == why
            assert str(caught.value).endswith("The network has the parameters from after epoch 2.")
    assert scene.ends == after.ends == [why]
    np.testing.assert_array_equal(net.theta, scene.thetas[BEST - 1])


def test_an_error_in_on_end_keeps_no_other_callback_from_its_own():
    class Last(cr.Callback):
        def on_end(self, run):
            raise OSError("disk")

    scene = Scene(fail)
    with pytest.raises(RuntimeError, match="mine") as caught:
        cr.train(network(), X, T, epochs=5, validation=0.2, callbacks=[Last(), scene], seed=0)
    assert scene.ends
    assert caught.value.__notes__ == ["on_end of Last() also failed: OSError: disk"]
    with pytest.raises(DivergenceError) as caught:
        cr.train(network(), X, T, epochs=5, validation=0.2, callbacks=[Scene(diverge), Last()], seed=0)
    assert caught.value.__notes__ == ["on_end of Last() also failed: OSError: disk"]
    scene = Scene(lambda run: None)
    with pytest.raises(OSError, match="disk"):
        cr.train(network(), X, T, epochs=5, validation=0.2, callbacks=[Last(), scene], seed=0)
    assert scene.ends == [""]


def test_what_was_started_ends_when_a_later_callback_refuses_to_start():
    class Refuse(cr.Callback):
        def on_start(self, run):
            raise ValueError("no")

    first, second = Scene(fail), Scene(fail)
    with pytest.raises(ValueError, match="no"):
        cr.train(network(), X, T, callbacks=[first, Refuse(), second])
    assert (first.ends, second.ends) == ([""], [])


@pytest.mark.parametrize("average", [cr.EMA(0.9), cr.SWA(2)])
def test_an_average_of_weights_survives_divergence_in_the_middle_of_an_epoch(average):
    """What EMA added from the epoch that diverged is forgotten with it."""
    net, twin = network(), network()
    with pytest.raises(DivergenceError, match=r"The network has the average weights up to epoch 3\.$"):
        cr.train(net, X, T, epochs=5, validation=0.2, callbacks=[Scene(diverge, "batch"), average], seed=0)
    assert np.isfinite(net.theta).all()
    again = type(average)(*average.arguments().values())
    cr.train(twin, X, T, epochs=3, validation=0.2, callbacks=[again], seed=0)
    assert again.count == average.count
    np.testing.assert_array_equal(net.theta, twin.theta)


def test_an_average_that_never_was_changes_nothing():
    """Divergence in the first epoch leaves the parameters that were drawn, not what EMA met on the way."""
    net = cr.Network(3, [Dense(1)], "squared_error", seed=0)
    before = net.theta.copy()
    with pytest.raises(DivergenceError, match=r"The network has the parameters from before training\.$"):
        cr.train(net, X, 1e15 * X[:, 0], optimizer=SGD(3.0), epochs=99, batch_size=4, callbacks=[cr.EMA(0.9)], seed=0)
    np.testing.assert_array_equal(net.theta, before)


class Counting(Optimizer):
    """One's own, which remembers things of all kinds."""

    learning_rate = 0.1

    def step(self, theta, grad, state, rate):
        state.seen = [*(state.seen or []), state.t]
        if state.t > 1:
            state.later = np.ones(2)
        theta -= rate * grad


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.01), Counting()], ids=repr)
@pytest.mark.filterwarnings("ignore::chainrule.advice.AdviceWarning")
def test_the_state_of_a_training_that_diverged_can_be_used_again(optimizer):
    net, twin = (cr.Network(3, [Dense(2)], "squared_error", seed=0) for _ in "12")
    t = X[:, :2]
    size = np.repeat([1.0, 1e12, 1.0, 1e25], 30)[:, np.newaxis]  # spoils what is remembered, and then diverges
    state, other = (optimizer.start(n.theta, n.weights) for n in (net, twin))
    options = {"optimizer": optimizer, "batch_size": 30, "shuffle": False}
    cr.train(net, X, t, epochs=1, state=state, **options)
    with pytest.raises(DivergenceError, match="The network has the parameters from before training"):
        cr.train(net, size * X, t, epochs=1, state=state, **options)
    cr.train(net, X, t, epochs=2, state=state, **options)
    cr.train(twin, X, t, epochs=1, state=other, **options)
    cr.train(twin, X, t, epochs=2, state=other, **options)
    np.testing.assert_array_equal(net.theta, twin.theta)
    assert state.t == other.t == 12
    assert state.seen == other.seen


@pytest.mark.filterwarnings("ignore::chainrule.advice.AdviceWarning")
def test_a_divergence_can_be_handed_from_one_process_to_another():
    with pytest.raises(DivergenceError) as caught:
        cr.train(cr.Network(3, [Dense(1)], "squared_error"), 1e25 * X, T, epochs=3, seed=0)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert len(copy.history) == 0


def test_an_error_in_training_says_how_to_check_a_custom_layer():
    class Narrow(Layer):
        def forward(self, x, memo):
            return x[:, :-1]

        def backward(self, dy, memo):
            return dy

    for layers, notes in [([Narrow()], 1), ([], 0)]:
        net = cr.Network(X.shape[1], [Dense(4), *layers, Dense(2)], cr.losses.SoftmaxCrossEntropy(), seed=0)
        act = Scene(fail) if not layers else Scene(lambda run: None)
        with pytest.raises((ValueError, RuntimeError)) as caught:
            cr.train(net, X, T, epochs=5, validation=0.2, callbacks=[act], seed=0)
        said = getattr(caught.value, "__notes__", [])
        assert len(said) == notes
        assert all("chainrule.check_layer(Narrow(), (4,))" in note for note in said)
