"""The network: shapes, views of theta, copies, threads, and steps that allocate nothing."""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers
from chainrule._internal.names import public_classes
from chainrule.layers import Dense, Dropout, Layer, ReLU, Tanh
from chainrule.parameters import locate
from variants import layers_of

RNG = np.random.default_rng(3)


def small(seed=0, **options):
    return cr.Network(6, [Dense(5), Tanh(), Dense(3)], "softmax_cross_entropy", seed=seed, **options)


def test_parameters_are_views_of_theta():
    network = small()
    assert network.theta.size == 6 * 5 + 5 + 5 * 3 + 3
    network.layers[0].W[2, 3] = 42
    assert network.theta[2 * 5 + 3] == 42
    network.theta[:] = 0
    assert not network.layers[2].W.any()
    assert [e.key for e in network.layout.entries] == ["layers.0.W", "layers.0.b", "layers.2.W", "layers.2.b"]
    theta = network.theta
    network.theta = np.arange(53)
    network.theta -= 1
    assert network.theta is theta
    assert network.layers[0].W[0, 2] == 1
    with pytest.raises(ValueError, match="expected 53 parameters"):
        network.theta = np.zeros(52)


def test_the_caller_keeps_the_specifications():
    specification = Dense(4)
    one, two = (cr.Network(2, [specification, specification], "squared_error", seed=s) for s in (0, 1))
    assert not hasattr(specification, "W")
    assert one.layers[0].W.shape == (2, 4)
    assert one.layers[1].W.shape == (4, 4)
    assert not np.shares_memory(one.theta, two.theta)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies_are_independent_and_bound_to_their_own_theta(duplicate):
    network = small()
    other = duplicate(network)
    np.testing.assert_array_equal(other.theta, network.theta)
    other.layers[0].W[:] = 7
    assert other.theta[0] == 7
    assert network.theta[0] != 7
    assert other.layers[0] is not network.layers[0]
    x = RNG.normal(size=(4, 6))
    assert not np.array_equal(other.predict(x), network.predict(x))


def test_pickle_holds_theta_once():
    network = cr.Network(100, [Dense(1000)], "squared_error", seed=0)
    assert len(pickle.dumps(network)) < network.theta.nbytes + 5000


def test_astype():
    network = small()
    wide = network.astype("float64")
    assert wide.theta.dtype == wide.layers[0].W.dtype == np.float64
    assert network.theta.dtype == np.float32
    np.testing.assert_array_equal(wide.theta, network.theta)


def test_same_seed_same_network_and_another_seed_another():
    np.testing.assert_array_equal(small(5).theta, small(5).theta)
    assert not np.array_equal(small(5).theta, small(6).theta)
    assert not np.array_equal(small(None).theta, small(None).theta)


def test_predict_gives_probabilities_in_chunks_as_at_once(monkeypatch):
    network = small()
    X = RNG.normal(size=(1001, 6))
    whole = network.predict(X)
    assert whole.shape == (1001, 3)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-6)
    monkeypatch.setattr("chainrule.network.CHUNK_BYTES", 6 * 4 * 100)
    assert network.chunk == 100
    np.testing.assert_allclose(network.predict(X), whole, rtol=1e-5)
    one = np.vstack([network.predict(X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(one, whole[:5], rtol=1e-5)


@pytest.mark.parametrize("X", [np.arange(12).reshape(2, 6), np.ones((2, 6), bool), np.ones((2, 6), ">f8"), [[1] * 6]])
def test_whole_numbers_booleans_lists_and_foreign_byte_order_are_numbers(X):
    assert small().predict(X).dtype == np.float32


def test_a_network_of_identities_does_not_hand_out_its_input():
    network = cr.Network(2, [layers.Identity(), Dropout(0.5)], "squared_error")
    X = np.ones((3, 2), "float32")
    network.predict(X)[:] = 5
    assert X.max() == 1
    loss, grad = network.loss_and_grad(X, np.zeros((3, 2)))
    assert (loss, grad.size) == (1.0, 0)


def test_loss_and_grad_with_fewer_rows_than_planned():
    network = small(dtype="float64")
    workspace = network.workspace(10)
    X, t = RNG.normal(size=(10, 6)), np.arange(10) % 3
    for rows in (10, 3, 7, 10):
        loss, grad = network.loss_and_grad(X[:rows], t[:rows], workspace)
        expected, expected_grad = network.loss_and_grad(X[:rows], t[:rows])
        assert loss == pytest.approx(expected, rel=1e-14)
        np.testing.assert_allclose(grad, expected_grad, rtol=1e-12)
    with pytest.raises(ValueError, match="planned for batches of at most 10 rows, got 11"):
        workspace.resize(11)


def test_the_first_dx_is_never_computed():
    network = cr.Network(6, [Dropout(0.1), Dense(5), Tanh(), Dense(3)], "squared_error", seed=0)
    workspace = network.workspace(4, seed=0)
    network.loss_and_grad(np.ones((4, 6), "float32"), np.ones((4, 3), "float32"), workspace)
    assert workspace.memos[0].dx is None
    assert workspace.memos[1].dx is None
    assert workspace.memos[3].dx.shape == (4, 5)


def stack_of_everything():
    shipped = public_classes(layers, Layer)
    activations = [cls() for _, cls in sorted(public_classes(layers, layers.Activation).items())]
    rows = [layers.Embedding([5], 2, columns=[0]), Dropout(0.1), layers.LayerNorm()]
    rows += [layer for a in activations for layer in (Dense(8), a)]
    block = [layers.BatchNorm(), layers.Conv2D(4, 3, padding="same"), layers.Dropout2D(0.1), layers.Scale(0.1)]
    images = [Dense(50), layers.Reshape((5, 5, 2)), layers.Conv2D(4, 2, biases=None), layers.BatchNorm(), ReLU()]
    images += [
        layers.Residual(block),
        layers.RMSNorm(),
        layers.GaussianNoise(0.1),
        layers.MaxPool2D(3, stride=2, padding="same"),
    ]
    images += [layers.AveragePool2D(2, stride=1), layers.GlobalAveragePool2D(), layers.Flatten(), Dense(3)]
    there = {type(layer) for layer in (*rows, *images, *block)}
    more = [layers_of(cls)[0] for cls in shipped.values() if cls not in there]  # which keep the shape of rows
    stack = [*rows, *more, *images]
    assert {type(layer).__name__ for layer in (*stack, *block)} == set(shipped), "a layer is missing here"
    return stack


def rows_for_everything(rows):
    x = RNG.normal(size=(rows, 6)).astype("float32")
    x[:, 0] = RNG.integers(0, 5, rows)  # a category
    return x


def test_passes_write_to_the_memo_only():
    """Freeze every parameter, run both passes, compare every layer's __dict__."""
    network = cr.Network(6, stack_of_everything(), "softmax_cross_entropy", seed=0)
    network.values.flags.writeable = network.theta.flags.writeable = network.statistics.flags.writeable = False
    for entry, _ in network.arrays():
        getattr(*locate(network.layers[entry.layer], entry.name)).flags.writeable = False
    every = [part for layer in network.layers for part in (layer, *layer.inner)]
    before = [dict(vars(layer)) for layer in every]
    x, t = rows_for_everything(9), np.arange(9) % 3
    x.flags.writeable = t.flags.writeable = False
    network.loss_and_grad(x, t, network.workspace(9, seed=0))
    network.predict(x)
    for layer, old in zip(every, before, strict=True):
        assert vars(layer).keys() == old.keys(), f"{layer!r} gained or lost an attribute"
        assert all(vars(layer)[k] is old[k] for k in old), f"{layer!r} changed an attribute"


@pytest.mark.parametrize("times", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_eight_threads_on_one_network_give_the_serial_results(times):
    network = cr.Network(6, stack_of_everything(), "softmax_cross_entropy", seed=0)
    batches = [(rows_for_everything(33), RNG.integers(0, 3, 33)) for _ in range(8)]

    def work(i):
        x, t = batches[i]
        workspace = network.workspace(33, seed=i)
        return [(network.loss_and_grad(x, t, workspace)[1].copy(), network.predict(x)) for _ in range(times)]

    serial = [work(i) for i in range(8)]
    parallel = [None] * 8
    start = threading.Barrier(8)

    def run(i):
        start.wait()
        parallel[i] = work(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(8):
        for (grad, p), (serial_grad, serial_p) in zip(parallel[i], serial[i], strict=True):
            np.testing.assert_array_equal(grad, serial_grad, err_msg=f"thread {i}")
            np.testing.assert_array_equal(p, serial_p, err_msg=f"thread {i}")


ALLOCATION = """
import tracemalloc
import numpy as np
import chainrule as cr
from chainrule.training import Callback
from chainrule.layers import *

class Peak(Callback):
    worst = 0
    def on_batch(self, run):
        if run.epoch > 1 and run.batch > 1:
            Peak.worst = max(Peak.worst, tracemalloc.get_traced_memory()[1] - self.before)
        tracemalloc.reset_peak()
        self.before = tracemalloc.get_traced_memory()[0]

rng = np.random.default_rng(0)
X, t = rng.random((1000, 784), dtype="float32"), rng.integers(0, 10, 1000)
network = cr.Network(784, [Dropout(0.1), Dense(128), {activation}(), Dropout(0.5), Dense(64), {activation}(), Dense(10)],
                     "softmax_cross_entropy", seed=0)
tracemalloc.start()
cr.train(network, X, t, epochs=3, batch_size=128, seed=0, callbacks=[Peak()], optimizer="{optimizer}",
         penalties=[cr.penalties.L2(1e-4), cr.penalties.L1(1e-6), cr.penalties.MaxNorm(4.0)])
print(Peak.worst)
"""


@pytest.mark.few(1)
@pytest.mark.parametrize(("activation", "optimizer"), [("ReLU", "adam"), ("GELU", "momentum"), ("ELU", "rmsprop")])
def test_a_step_in_steady_state_allocates_less_than_64_kib(activation, optimizer):
    script = ALLOCATION.format(activation=activation, optimizer=optimizer)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    peak = int(result.stdout)
    assert 0 < peak < 64 * 1024, f"{peak / 1024:.0f} KiB a step"


def test_repr_shows_shapes_and_parameters():
    text = repr(small())
    assert "Network: 6 inputs, SoftmaxCrossEntropy(), float32, 53 parameters" in text
    assert "W (6, 5)  b (5,)" in text


class OwnSquare(Layer):
    def forward(self, x, memo):
        memo.x = x
        return x * x

    def backward(self, dy, memo):
        return dy * 2 * memo.x


class OwnScale(Layer):
    """A layer of a user's own, written in the plainest way: no buffers, no out=."""

    def parameters(self):
        fans = cr.initializers.Fans(1, 1)
        return {"s": cr.layers.Parameter(self.input_shape, cr.initializers.Constant(1.0), fans)}

    def forward(self, x, memo):
        memo.x = x
        return x * self.s

    def backward(self, dy, memo):
        memo.ds = (dy * memo.x).sum(axis=0)
        return dy * self.s


class OwnLoss(cr.Loss):
    def forward(self, y, t, memo):
        memo.error = y - t
        return np.log(np.cosh(memo.error)).sum(axis=1)

    def backward(self, t, memo):
        return np.tanh(memo.error)


def test_layers_and_losses_of_ones_own_train_and_pass_the_gradient_check():
    network = cr.Network(4, [OwnScale(), Dense(6), OwnSquare(), ReLU(), OwnScale(), Dense(1)], OwnLoss(), seed=0)
    X = RNG.normal(size=(64, 4))
    t = (X**2).sum(axis=1)
    assert cr.check_gradient(network, X[:8], t[:8])
    history = cr.train(network, X, t, epochs=100, batch_size=16, optimizer=cr.optimizers.Adam(0.02), seed=0)
    assert history["loss"][-1] < 0.1 * history["loss"][0]


def test_the_gradient_is_the_mean_over_the_batch():
    network = small(dtype="float64")
    X, t = RNG.normal(size=(7, 6)), np.arange(7) % 3
    loss, grad = network.loss_and_grad(X, t)
    each = [network.loss_and_grad(X[i : i + 1], t[i : i + 1]) for i in range(7)]
    assert loss == pytest.approx(np.mean([value for value, _ in each]), rel=1e-13)
    np.testing.assert_allclose(grad, np.mean([g for _, g in each], axis=0), rtol=1e-11, atol=1e-15)
    weight = RNG.random(7)
    loss, grad = network.loss_and_grad(X, t, sample_weight=weight)
    np.testing.assert_allclose(grad, np.average([g for _, g in each], axis=0, weights=weight), rtol=1e-11, atol=1e-15)
