"""Where threads cannot be started (a browser, a container that counts them): everything works in one thread."""

import threading

import numpy as np
import pytest
from sklearn.datasets import load_digits

import chainrule as cr
from chainrule.layers import Conv2D, Dense, Flatten, ReLU, Tanh


@pytest.fixture(params=[0, 1])
def limit(request, monkeypatch):
    """Return what lets so many threads be started from now on and no more, as the kernel's limit does."""

    def apply():
        start, left = threading.Thread.start, [request.param]

        def refuse(thread):
            if not left[0]:
                raise RuntimeError("can't start new thread")
            left[0] -= 1
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)

    return apply


@pytest.fixture
def few_threads(limit):
    limit()


def digits():
    X, t = load_digits(return_X_y=True)
    return X.astype("float32") / 16, t


def trained(network, epochs=2, **settings):
    X, t = digits()
    cr.train(network, X, t, epochs=epochs, batch_size=200, seed=0, **settings)
    return network


def dense():
    return cr.Network(64, [Dense(200), Tanh(), Dense(10)], "softmax_cross_entropy", seed=0)


def images():
    return cr.Network(
        (8, 8, 1), [Conv2D(40, 3, padding="same"), ReLU(), Flatten(), Dense(10)], "softmax_cross_entropy", seed=0
    )


def images_trained(**settings):
    X, t = digits()
    network = images()
    cr.train(network, X.reshape(-1, 8, 8, 1), t, epochs=1, batch_size=600, seed=0, **settings)
    return network


def test_compiled_training_gives_the_same_parameters(limit):
    expected = trained(dense(), threads=3).theta
    limit()
    before = threading.active_count()
    np.testing.assert_array_equal(trained(dense(), threads=3).theta, expected)
    assert threading.active_count() == before


def test_networks_of_images_give_the_same_parameters(limit):
    expected = images_trained(threads=3).theta
    limit()
    np.testing.assert_array_equal(images_trained(threads=3).theta, expected)


def test_the_contract_of_a_layer_is_checked_as_far_as_it_can_be(few_threads):
    report = cr.check_layer(Tanh())
    assert report.ok, str(report)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_fit_and_predict(few_threads):
    X, t = digits()
    model = cr.MLPClassifier((100,), max_iter=10, random_state=0).fit(X, t)
    assert model.score(X, t) > 0.8
