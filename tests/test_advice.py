"""What a beginner is likely to get wrong is answered by what to type; healthy networks are left in peace."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest

import chainrule as cr
import shape_checking
from chainrule import advice
from chainrule.layers import BatchNorm, Dense, Dropout, Flatten, ReLU, Sigmoid, Softmax, Tanh
from chainrule.optimizers import SGD, Adam, AdamW, Momentum, RMSProp

X = np.random.default_rng(0).normal(size=(60, 3))
LABELS = (X[:, 0] > 0).astype(int)


def said(call):
    """Return what a call warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [warning for warning in caught if issubclass(warning.category, advice.AdviceWarning)]


def small(*layers, loss="softmax_cross_entropy"):
    return cr.Network(3, [*layers], loss, seed=0)


class TestLinkTwice:
    """A softmax or a sigmoid under a loss that has its own."""

    @pytest.mark.parametrize("last", [Softmax(), Sigmoid()])
    @pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
    def test_is_said_when_the_network_is_made(self, last, loss):
        (warning,) = said(lambda: small(Dense(2), last, loss=loss))
        assert f"Remove {last!r}" in str(warning.message)
        assert warning.filename in {__file__, shape_checking.NO_FILE}

    def test_not_of_a_squared_error_nor_inside(self):
        assert not said(lambda: small(Dense(2), Sigmoid(), loss="squared_error"))
        assert not said(lambda: small(Sigmoid(), Dense(2)))


class TestEqualWeights:
    """All units of a layer alike: they stay so."""

    @pytest.mark.parametrize("start", ["zeros", cr.initializers.Constant(0.5)])
    def test_is_said_with_the_layer(self, start):
        network = small(Dense(4, weights=start), Tanh(), Dense(2, weights=start))
        (warning,) = said(lambda: cr.train(network, X, LABELS, epochs=1))
        assert warning.category is advice.EqualWeightsWarning
        assert str(warning.message).startswith("layer 0, Dense(4")

    @pytest.mark.parametrize(
        "layers",
        [
            [Dense(2, weights="zeros")],  # a linear model
            [Dense(4), Tanh(), Dense(2, weights="zeros")],
            [Dense(4, weights="zeros"), Sigmoid(), Dense(2)],
            [Dense(1, weights="zeros"), Tanh(), Dense(2, weights="zeros")],
            [Dense(4, weights="zeros"), Sigmoid(), Dropout(0.5), Dense(2, weights="zeros")],
        ],
    )
    def test_not_where_units_become_different(self, layers):
        assert not said(lambda: cr.train(small(*layers), X, LABELS, epochs=1))


class TestUnscaled:
    """Inputs in the thousands."""

    def test_is_said_with_the_column(self):
        (warning,) = said(lambda: cr.train(small(Dense(2)), X * [1, 1, 5000], LABELS, epochs=1, optimizer=SGD(1e-6)))
        assert warning.category is advice.UnscaledInputWarning
        assert str(warning.message).startswith("column 2 of X has mean")
        assert "(X - X.mean(axis=0)) / X.std(axis=0)" in str(warning.message)

    def test_not_before_a_normalization_nor_of_bytes(self):
        assert not said(lambda: cr.train(small(BatchNorm(), Dense(2)), X * 5000, LABELS, epochs=1))
        pixels = np.random.default_rng(0).integers(0, 256, (60, 3)).astype(np.uint8)
        assert not said(lambda: cr.train(small(Dense(2)), pixels, LABELS, epochs=1))

    def test_images_and_sparse_rows_are_no_trouble(self):
        sparse = pytest.importorskip("scipy.sparse")
        assert not said(lambda: cr.train(small(Dense(2)), sparse.csr_matrix(X), LABELS, epochs=1))
        images = cr.Network((2, 2, 1), [Flatten(), Dense(2)], "softmax_cross_entropy", seed=0)
        assert not said(lambda: cr.train(images, np.ones((4, 2, 2, 1)), [0, 1, 0, 1], epochs=1))

    def test_huge_values_overflow_in_silence(self):
        (warning,) = said(lambda: advice.warn_unscaled(np.full((3, 2), 1e300), "Scale them."))
        assert "column 0" in str(warning.message)


class TestLearningRate:
    """Rates that cannot work, before training; a loss that only rose, after it."""

    @pytest.mark.parametrize("optimizer", [Adam(5), AdamW(1.0), RMSProp(2), SGD(1e4), Momentum(1e-12), Adam(1e-12)])
    def test_what_cannot_work_is_said_before(self, optimizer):
        network = small(Dense(3), Tanh(), Dense(2))
        found = said(lambda: cr.train(network, X, LABELS, epochs=4, optimizer=optimizer))
        assert len(found) == 1  # and not once more after training
        assert found[0].category is advice.LearningRateWarning
        assert f"Try {type(optimizer).__name__}(0." in str(found[0].message)

    def test_a_loss_that_rose_is_said_after(self):
        network = cr.Network(3, [Dense(1)], "squared_error", seed=0, dtype="float64")
        (warning,) = said(lambda: cr.train(network, X, X[:, 0], epochs=4, batch_size=60, optimizer=SGD(2.5)))
        assert "the loss has risen from" in str(warning.message)
        assert "Try SGD(0.25)" in str(warning.message)

    @pytest.mark.parametrize("optimizer", [SGD(1e-7), SGD(1e-5), Momentum(1e-6), Adam(1e-8)])
    def test_a_loss_that_does_not_move_is_said_after(self, optimizer):
        (warning,) = said(lambda: cr.train(small(Dense(4), Tanh(), Dense(2)), X, LABELS, epochs=4, optimizer=optimizer))
        assert "has not moved in 4 epochs" in str(warning.message)
        assert f"is too small for these data. Try {type(optimizer).__name__}(0." in str(warning.message)

    def test_a_loss_that_leaps_is_said_although_it_came_down_again(self):
        class Leap(cr.Callback):
            def on_epoch(self, run):
                run.history["loss"][-1] = [2.0, 5000.0, 0.8][run.epoch - 1]

        network = small(Dense(4), Tanh(), Dense(2))
        (warning,) = said(lambda: cr.train(network, X, LABELS, epochs=3, callbacks=[Leap()], optimizer=SGD(0.5)))
        assert "rose from 2 to 5000 on the way" in str(warning.message)
        assert "Try SGD(0.05)" in str(warning.message)


class TestConstantOutput:
    """A network that says the same to every row, and so has learned nothing from them."""

    def test_is_said_of_units_that_died(self):
        network = small(Dense(4, weights="zeros"), ReLU(), Dense(2))
        (warning,) = said(lambda: cr.train(network, X, LABELS, epochs=3))
        assert warning.category is advice.ConstantOutputWarning
        assert "predicts the same for every row" in str(warning.message)

    def test_not_where_nothing_else_can_be_said(self):
        network = small(Dense(4), ReLU(), Dense(2))
        assert not said(lambda: cr.train(network, X * 0 + 1, LABELS, epochs=3))  # all rows alike
        assert not said(lambda: cr.train(network, X, LABELS * 0, epochs=3))  # all targets alike
        assert not said(lambda: cr.train(network, X[:1], LABELS[:1], epochs=3))
        frozen = small(Dense(4, weights="zeros"), ReLU(), Dense(2))
        assert not said(lambda: cr.train(frozen, X, LABELS, epochs=3, optimizer=SGD(0.0)))


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(1.0), Momentum(0.1), Adam(), Adam(0.1), AdamW(), RMSProp(0.01)])
@pytest.mark.parametrize(
    "layers", [[Dense(2)], [Dense(8), ReLU(), Dense(2)], [Dropout(0.1), Dense(8), Tanh(), Dense(2)]]
)
def test_healthy_networks_are_left_in_peace(optimizer, layers):
    network = small(*layers)
    assert not said(lambda: cr.train(network, X, LABELS, epochs=5, optimizer=optimizer, seed=0))
    assert not said(lambda: cr.train(network, X, LABELS, epochs=5, optimizer=optimizer, seed=0))


def test_an_estimator_names_its_own_columns_once():
    """One voice: the estimator knows the names of columns and parameters."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X * [1, 1, 5000], columns=["a", "b", "income"])
    (warning,) = said(lambda: cr.MLPClassifier((4,), max_iter=2, tol=10, random_state=0).fit(frame, LABELS))
    assert "column 'income' of X" in str(warning.message)
    assert "StandardScaler" in str(warning.message)


def test_silence_is_of_one_thread_only():
    with advice.left_to_the_caller():
        thread_found = []

        def work():
            thread_found.append(advice._silent.get())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert advice._silent.get()
    assert thread_found == [False]
    assert not advice._silent.get()


class TestOtherLibrariesWords:
    """What Keras, PyTorch and scikit-learn call by another name."""

    @pytest.mark.parametrize(
        ("call", "remedy"),
        [
            (lambda: Dense(30, activation="relu"), r"Dense: .*'activation'.*\[Dense\(30\), ReLU\(\)\]"),
            (lambda: Dense(30, input_shape=(3,)), "inputs= to Network"),
            (lambda: Dense(30, use_bias=False), "biases=None"),
            (lambda: Dense(30, unit=3), "Did you mean 'units'"),
            (lambda: Adam(lr=0.1), "learning_rate="),
            (lambda: cr.optimizers.SGD(0.1, momentum=0.9), r"Momentum\(0\.1, 0\.9\)"),
            (lambda: Adam(weight_decay=0.1), "Use AdamW"),
            (lambda: cr.layers.Dropout(p=0.5), "rate="),
            (lambda: ReLU(slope=3), "ReLU: expected no arguments, got 'slope'"),
            (lambda: ReLU(3), "ReLU: expected no arguments, got 3"),
        ],
    )
    def test_arguments(self, call, remedy):
        with pytest.raises(TypeError, match=remedy):
            call()

    @pytest.mark.parametrize("make", [lambda: Dense(30, "relu"), lambda: cr.layers.Conv2D(8, 3, weights="relu")])
    def test_an_activation_in_the_place_of_weights(self, make):
        with pytest.raises(
            ValueError,
            match=r"weights: 'relu' is a layer: put it into the network's list.*\[Dense\(30\), ReLU\(\), ...\]",
        ):
            make()

    @pytest.mark.parametrize(
        ("name", "remedy"),
        [
            ("fit", r"cr\.train\(network, X, t, epochs=10\)"),
            ("compile", "no compile step is needed"),
            ("evaluate", r"cr\.evaluate\(network, X, t\)"),
            ("predict_proba", r"network\.predict\(X\)"),
            ("summary", r"print\(network\)"),
            ("parameters", r"network\.theta"),
        ],
    )
    def test_methods(self, name, remedy):
        with pytest.raises(AttributeError, match=f"a Network has no '{name}'. Type .*{remedy}"):
            getattr(small(Dense(2)), name)

    def test_other_names_are_plain_attribute_errors(self):
        assert not hasattr(small(Dense(2)), "nothing_of_the_kind")

    def test_copies_and_pickles_still_work(self):
        network = small(Dense(2, weights="zeros"), Tanh())
        for other in (copy.copy(network), copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            assert np.array_equal(other.theta, network.theta)
        for thing in (Dense(3), Dropout(0.1), ReLU(), Adam()):
            assert repr(copy.deepcopy(thing)) == repr(pickle.loads(pickle.dumps(thing))) == repr(thing)

    def test_a_layer_with_a_constructor_of_its_own_takes_what_it_likes(self):
        class Mine(cr.Layer):
            def __init__(self, activation):
                self.activation = activation

            def forward(self, x, memo):
                return x

            def backward(self, dy, memo):
                return dy

        assert Mine(activation="mine").activation == "mine"
