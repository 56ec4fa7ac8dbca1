"""The memory that training writes into: never read-only memory, never outside of an array."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.multioutput import MultiOutputClassifier

import chainrule as cr
from chainrule.layers import BatchNorm, Dense, Tanh
from chainrule.training.augmentation import Augmentation

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 50)).astype("float32")
LABELS = RNG.integers(0, 3, 60)
LARGE = 6000  # units: more than 1 MB of parameters, from which on joblib maps them into its workers


def network(units=20, *more):
    return cr.Network(50, [Dense(units), *more, Tanh(), Dense(3)], "softmax_cross_entropy", seed=0)


def train(subject, **settings):
    cr.train(subject, X, LABELS, epochs=2, seed=0, **settings)
    return subject.theta.copy()


# ------------------------------------------------------------ read-only


def read_only(subject):
    """Return what comes out of a pickle whose buffers are not in it, and cannot be written."""
    buffers = []
    data = pickle.dumps(subject, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer.raw()) for buffer in buffers])


def test_a_network_unpickled_read_only_is_a_copy_that_can_be_trained():
    there = read_only(network(20, BatchNorm()))
    assert all(array.flags.writeable for array in (there.theta, there.values, there.statistics, there.layers[0].W))
    np.testing.assert_array_equal(train(there), train(network(20, BatchNorm())))


def test_the_optimizers_state_unpickled_read_only_is_a_copy():
    subject, optimizer = network(), cr.optimizers.Adam()
    state = read_only(optimizer.start(subject.theta, subject.weights))
    assert all(getattr(state, name).flags.writeable for name in optimizer.slots)
    np.testing.assert_array_equal(train(subject, optimizer=optimizer, state=state), train(network()))


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_an_estimator_that_joblib_maps_into_memory_goes_on(tmp_path, mode):
    model = cr.MLPClassifier((LARGE,), max_iter=1, random_state=0).partial_fit(X, LABELS, classes=[0, 1, 2])
    joblib.dump(model, tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    mapped = joblib.load(tmp_path / "model", mmap_mode=mode)
    mapped.partial_fit(X, LABELS)
    np.testing.assert_array_equal(mapped.network_.theta, model.partial_fit(X, LABELS).network_.theta)
    if mode != "r+":  # which is asked for by name
        assert (tmp_path / "model").read_bytes() == before


@pytest.fixture
def workers():
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.mark.slow
def test_networks_train_in_worker_processes_that_map_them(workers):
    settings = {"epochs": 2, "seed": 0}
    alone = cr.train(network(LARGE), X, LABELS, **settings)
    there = joblib.Parallel(2)(joblib.delayed(cr.train)(network(LARGE), X, LABELS, **settings) for _ in range(2))
    assert [history["loss"] for history in there] == [alone["loss"]] * 2


@pytest.mark.slow
def test_partial_fit_goes_on_in_worker_processes_that_map_the_models(workers):
    y = np.column_stack([LABELS, LABELS[::-1]])
    models = MultiOutputClassifier(cr.MLPClassifier((LARGE,), random_state=0), n_jobs=2)
    models.partial_fit(X, y, classes=[np.arange(3)] * 2)
    models.partial_fit(X, y)
    alone = cr.MLPClassifier((LARGE,), random_state=0).partial_fit(X, LABELS, classes=[0, 1, 2])
    alone.partial_fit(X, LABELS)
    np.testing.assert_array_equal(models.estimators_[0].network_.theta, alone.network_.theta)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("theta", r"network\.theta is read-only.*copy\.copy\(network\).*network\.theta\.setflags\(write=True\)"),
        ("statistics", r"network\.statistics is read-only"),
        ("values", r"network\.values is read-only"),
    ],
)
def test_parameters_that_were_frozen_on_purpose_are_not_changed(name, match):
    subject = network(20, BatchNorm())
    getattr(subject, name).setflags(write=False)
    before = subject.values.copy()
    with pytest.raises(ValueError, match=match):
        train(subject)
    np.testing.assert_array_equal(subject.values, before)
    train(copy.copy(subject))
    np.testing.assert_array_equal(subject.values, before)


def test_one_frozen_array_is_not_changed_either():
    subject = network()
    subject.layers[2].b.setflags(write=False)
    with pytest.raises(ValueError, match=r"layer 2, Dense\(3\): b is read-only.*layer_rates=\{2: 0\}"):
        train(subject)


def test_parameters_frozen_by_a_callback_end_training():
    class Freeze(cr.Callback):
        def on_batch(self, run):
            run.network.theta.setflags(write=False)
            self.before = run.network.theta.copy()

    subject, freeze = network(), Freeze()
    with pytest.raises(ValueError, match="read-only"):
        train(subject, callbacks=[freeze])
    np.testing.assert_array_equal(subject.theta, freeze.before)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_rows_targets_and_weights_that_are_mapped_are_read_only_and_do(tmp_path, dtype):
    values = {"X": (10 * X).astype(dtype), "t": LABELS, "w": np.ones(60, "float32")}
    joblib.dump(values, tmp_path / "data")
    plain, mapped = network(), network()
    cr.train(plain, values["X"], values["t"], sample_weight=values["w"], epochs=1, shuffle=False)
    there = joblib.load(tmp_path / "data", mmap_mode="r")
    cr.train(mapped, there["X"], there["t"], sample_weight=there["w"], epochs=1, shuffle=False)
    np.testing.assert_array_equal(mapped.theta, plain.theta)


# ------------------------------------------------------------ outside


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: setattr(s, "m", np.zeros(7, "float32")), r"state\.m has shape \(7,\)"),
        (lambda s: setattr(s, "v", s.v.astype("float64")), r"state\.v has shape .* dtype float64"),
        (lambda s: setattr(s, "v", None), r"state\.v is missing"),
        (lambda s: setattr(s, "v", [0.0]), r"state\.v is a list"),
        (lambda s: setattr(s, "v", np.zeros((s.v.size, 2), "float32")[:, 0]), "not contiguous"),
        (lambda s: s.v.setflags(write=False), "read-only"),
    ],
)
def test_a_state_of_another_network_is_refused(change, match):
    subject, adam = network(), cr.optimizers.Adam()
    state, before = adam.start(subject.theta, subject.weights), subject.theta.copy()
    change(state)
    with pytest.raises(ValueError, match=r"state: expected the result of Adam\(...\)\.start.*" + match):
        train(subject, optimizer=adam, state=state)
    np.testing.assert_array_equal(subject.theta, before)


class Wrong:
    """Leaves numbers in the order that are no rows."""

    def __init__(self, value):
        self.value = value

    def shuffle(self, order):
        order[-1] = self.value


class WrongGenerator(np.random.Generator):
    def shuffle(self, order):
        order[0] = -1


@pytest.mark.parametrize("validation", [None, 0.2])
@pytest.mark.parametrize(
    "shuffle", [Wrong(10**9), Wrong(60), Wrong(-1), Wrong(-(2**63)), WrongGenerator(np.random.PCG64(0))]
)
def test_an_order_with_other_numbers_than_rows_is_refused(shuffle, validation):
    subject = network()
    before = subject.theta.copy()
    with pytest.raises(ValueError, match="shuffle: expected the numbers of rows, 0 to 59, in another order, got "):
        train(subject, shuffle=shuffle, validation=validation)
    np.testing.assert_array_equal(subject.theta, before)


def test_rows_may_come_twice():
    class Bootstrap:
        def shuffle(self, order):
            order[:] = RNG.integers(0, 60, 60)

    assert np.isfinite(train(network(), shuffle=Bootstrap())).all()


@pytest.mark.parametrize("label", [3, -1, 10**12, -(2**62)])
def test_labels_that_the_caller_changes_in_training_change_nothing(label):
    t = LABELS.astype(np.intp)

    class Change(cr.Callback):
        def on_epoch(self, run):
            t[7] = label

    subject = network()
    cr.train(subject, X, t, epochs=2, callbacks=[Change()], seed=0)
    np.testing.assert_array_equal(subject.theta, train(network()))


@pytest.mark.parametrize("label", [3, -1, 10**12, -(2**62)])
def test_labels_of_an_augmentation_are_checked(label):
    class Spoil(Augmentation):
        def apply(self, batch, rng, memo):
            batch.t[0] = label

    with pytest.raises(ValueError, match=rf"augment: expected labels from 0 to 2, got .*{label}.* after"):
        train(network(), augment=[Spoil()])
