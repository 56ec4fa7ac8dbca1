"""Data-parallel training: the ranks, here threads, take the steps of the whole batch; what differs is an error on each."""

import threading
from datetime import timedelta

import numpy as np
import pytest

import chainrule as cr
from chainrule import optimizers
from chainrule._internal.names import public_classes
from chainrule.layers import BatchNorm, Dense, Dropout, ReLU, Tanh
from chainrule.optimizers import Optimizer
from chainrule.parallel import ParallelError
from chainrule.penalties import L1, L2, MaxNorm
from chainrule.training import Callback, CheckpointError, ClipNorm, ClipValue, lifecycle
from chainrule.training.ranks import Ranks
from ranks import Threads

OPTIMIZERS = public_classes(optimizers, Optimizer)  # by name
rng = np.random.default_rng(0)
ROWS, BATCH = 240, 24
X = rng.normal(size=(ROWS, 6)).astype("float32")
T = (X[:, 0] + X[:, 1] ** 2 > 1).astype(int) + (X[:, 2] > 0)
WEIGHT = rng.uniform(0.2, 3, ROWS).astype("float32")
HELD = slice(0, 50)


def network(dtype="float32", layers=None, seed=0):
    layers = layers or [Dense(8), Tanh(), Dense(3)]
    return cr.Network(6, layers, "softmax_cross_entropy", seed=seed, dtype=dtype)


def dealt(rank, size, rows=ROWS, batch=BATCH):
    """Return the rows of a rank: its share of each batch, the last of which may be short."""
    return np.concatenate(
        [np.array_split(part, size)[rank] for part in np.split(np.arange(rows), range(batch, rows, batch))]
    )


def serial(dtype="float32", weight=None, rows=ROWS, **options):
    net = network(dtype, options.pop("layers", None))
    options = {"epochs": 3, "batch_size": BATCH, "shuffle": False, "seed": 0} | options
    weight = None if weight is None else weight[:rows]
    return net, cr.train(net, X[:rows], T[:rows], sample_weight=weight, validation=(X[HELD], T[HELD]), **options)


def parallel(size, dtype="float32", weight=None, rows=ROWS, **options):
    layers = options.pop("layers", None)
    options = {"epochs": 3, "batch_size": BATCH // size, "shuffle": False, "seed": 0} | options

    def train(reduce):
        net = network(dtype, layers)
        mine = dealt(reduce.rank, size, rows)
        held = np.array_split(np.arange(50), size)[reduce.rank]
        own = {
            name: value(reduce.rank) if name in ("callbacks", "seed") and callable(value) else value
            for name, value in options.items()
        }
        history = cr.train(
            net, X[mine], T[mine], sample_weight=None if weight is None else weight[mine],
            validation=(X[held], T[held]), reduce=reduce, **own,
        )  # fmt: skip
        return net, history

    return Threads(size).run(train)


@pytest.fixture(params=["numba", "reference"])
def engine(request, monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", request.param)
    return "compiled" if request.param == "numba" else "numpy"


def assert_same(results, expected, dtype="float32"):
    net, history = expected
    close = {"float32": 1e-6, "float64": 1e-12}[dtype]
    for other, recorded in results:
        assert np.abs(other.theta - net.theta).max() <= close
        for name in history.columns:
            if name != "seconds":
                np.testing.assert_allclose(recorded[name], history[name], rtol=10 * close, atol=close, err_msg=name)
        assert np.array_equal(other.values, results[0][0].values)


@pytest.mark.few(5)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_and_three_ranks_learn_what_one_process_learns(optimizer, dtype, engine):
    expected = serial(dtype, optimizer=OPTIMIZERS[optimizer]())
    assert expected[1].engine.startswith(engine)
    for size in (2, 3):
        assert_same(parallel(size, dtype, optimizer=OPTIMIZERS[optimizer]()), expected, dtype)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    "options",
    [
        {"weight": WEIGHT},
        {"penalties": [L1(1e-3), L2(1e-2, per_row=True), MaxNorm(0.9)]},
        {"clip": ClipNorm(0.05)},
        {"clip": ClipValue(0.01)},
        {"accumulate": 3},
        {"accumulate": 4, "weight": WEIGHT, "penalties": [L2(1e-2, per_row=True)], "clip": ClipNorm(0.1)},
        {"rows": 235},
        {"layer_rates": {0: 0.1}, "schedule": "cosine"},
        {"layers": [Dense(64), ReLU(), Dense(3)]},
    ],
    ids=str,
)  # fmt: skip
def test_weights_penalties_clips_and_short_batches_are_those_of_the_whole_batch(options, engine):
    options = {"optimizer": optimizers.Momentum(0.1), **options}
    expected = serial("float64", **options)
    for size in (2, 3):
        assert_same(parallel(size, "float64", **options), expected, "float64")


def test_one_rank_is_a_process_alone(engine):
    [(net, history)] = parallel(1)
    expected, plain = serial()
    assert net.theta.tobytes() == expected.theta.tobytes()
    assert history["loss"] == plain["loss"]


def test_metrics_are_those_of_all_validation_rows():
    metrics = {
        "median": lambda t, p: float(np.median(p[:, 0] * t)),
        "accuracy": lambda t, p: float((p.argmax(1) == t).mean()),
    }
    _, history = serial("float64", metrics=metrics)
    for _, recorded in parallel(3, "float64", metrics=metrics):
        assert np.allclose(recorded["val_median"], history["val_median"], rtol=1e-12)
        assert recorded["val_accuracy"] == history["val_accuracy"]


def test_running_statistics_are_averaged_and_dropout_differs(engine):
    layers = [Dense(8), BatchNorm(), ReLU(), Dropout(0.5), Dense(3)]
    masks = {}

    class Look(Callback):
        def on_batch(self, run):
            masks.setdefault(run.rank, run.network.statistics.copy())

    results = parallel(2, layers=layers, shuffle=True, callbacks=[Look()])
    (one, _), (two, _) = results
    assert np.array_equal(one.values, two.values)
    assert not np.array_equal(masks[0], masks[1])  # before the end of the epoch, each has its own rows'
    streams = [Ranks(Threads(2).run(lambda reduce: reduce)[rank]).own(np.random.SeedSequence(3)) for rank in range(2)]
    assert streams[0].generate_state(2).tolist() != streams[1].generate_state(2).tolist()


def test_averaged_weights_have_the_statistics_of_all_rows():
    layers = [Dense(8), BatchNorm(), ReLU(), Dense(3)]
    (one, _), (two, _) = parallel(2, layers=layers, callbacks=lambda rank: [cr.SWA(start=2)])
    assert np.array_equal(one.values, two.values)


def test_only_rank_0_shows_progress(capsys):
    parallel(2, callbacks=lambda rank: [cr.Progress()])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["1/3", "2/3", "3/3"]


class Acts(Callback):
    """Does something on one rank after epoch 2."""

    def __init__(self, act, rank):
        self.act, self.rank = act, rank

    def on_epoch(self, run):
        if run.rank == self.rank and run.epoch == 2:
            self.act(run)


def test_one_rank_stops_all():
    results = parallel(3, callbacks=lambda rank: [Acts(lambda run: run.stop("enough"), 2)])
    assert [(history.stopped, len(history)) for _, history in results] == [("enough", 2)] * 3


def test_early_stopping_on_other_rows_ends_all_in_the_same_epoch():
    calls = lambda rank: [cr.EarlyStopping(patience=2, min_delta=0.02)]  # noqa: E731
    (one, first), (two, second) = parallel(2, epochs=60, callbacks=calls)
    assert len(first) == len(second) < 60
    assert np.array_equal(one.theta, two.theta)


def fails(act, **options):
    return parallel(2, callbacks=lambda rank: [Acts(act, 1)], **options)


def test_an_error_on_one_rank_is_an_error_on_all():
    def act(run):
        raise RuntimeError("no more paper")

    other, own = fails(act)
    assert isinstance(own, RuntimeError)
    assert isinstance(other, ParallelError)
    assert str(other) == "rank 1 failed with RuntimeError: no more paper"


def test_parameters_that_drift_apart_are_noticed():
    def act(run):
        run.network.theta[0] += 1e-3

    for error in fails(act):
        assert isinstance(error, ParallelError)
        assert "the parameters of the ranks differ after epoch 2" in str(error)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_loss_that_is_not_finite_on_one_rank_is_divergence_on_all(engine):
    bad = X.copy()
    bad[100:] = 1e38

    def train(reduce):
        net = network(layers=[Dense(8), ReLU(), Dense(3)])
        before = net.theta.copy()
        with pytest.raises(cr.DivergenceError, match="epoch 1, batch 1 of 10") as raised:
            cr.train(net, bad[:100] if reduce.rank == 0 else bad[100:200], T[:100], batch_size=10, reduce=reduce)
        assert np.array_equal(net.theta, before)
        return str(raised.value)

    one, two = Threads(2).run(train)
    assert one == two


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"the ranks differ: seed: 0 on rank 0, 1 on rank 1\. Pass the same seed"),
        ({"rows": 30}, r"the ranks differ: batches: 5 on rank 0, 3 on rank 1\. Give every rank the same number of rows"),
        ({"network": 5}, r"the ranks differ: parameters: \w+ on rank 0, \w+ on rank 1\. Create the network with the same seed"),
        ({"layers": [Dense(9), Tanh(), Dense(3)]}, r"the ranks differ: network: .*Dense\(8\).* on rank 0, .*Dense\(9\)"),
        ({"optimizer": "sgd"}, r"the ranks differ: optimizer: Adam\(\) on rank 0, SGD\(\) on rank 1"),
        ({"epochs": 4}, r"the ranks differ: epochs: 3 on rank 0, 4 on rank 1"),
        ({"validation": None}, r"the ranks differ: columns: epoch, loss, val_loss"),
        ({"dtype": "float64"}, r"the ranks differ: network: .*float32 on rank 0"),
    ],
    ids=str,
)  # fmt: skip
def test_what_differs_between_ranks_is_named_on_each(change, message):
    def train(reduce):
        own = change if reduce.rank else {}
        net = network(own.get("dtype", "float32"), own.get("layers"), own.get("network", 0))
        mine = slice(0, own.get("rows", 50))
        with pytest.raises(ParallelError, match=message) as raised:
            cr.train(
                net, X[mine], T[mine], optimizer=own.get("optimizer", "adam"), epochs=own.get("epochs", 3), batch_size=10,
                validation=own.get("validation", 0.1), seed=own.get("seed", 0), reduce=reduce,
            )  # fmt: skip
        return str(raised.value)

    one, two = Threads(2).run(train)
    assert one == two


def test_another_version_on_a_rank_is_named(monkeypatch):
    real = lifecycle.facts
    monkeypatch.setattr(
        "chainrule.training.loop.facts",
        lambda *given: real(*given) | ({"chainrule": "9.9"} if threading.current_thread() in newer else {}),
    )
    newer = []

    def train(reduce):
        newer.extend([threading.current_thread()] * (reduce.rank == 1))
        cr.train(network(), X, T, reduce=reduce, seed=0)

    for error in Threads(2).run(train):
        assert isinstance(error, ParallelError)
        assert f"chainrule: {cr.__version__} on rank 0, 9.9 on rank 1. Install the same version" in str(error)


def test_invalid_rows_on_one_rank_are_an_error_on_all():
    def train(reduce):
        cr.train(network(), X[:, : 6 - reduce.rank], T, reduce=reduce)

    other, own = Threads(2).run(train)
    assert isinstance(own, ValueError)
    assert isinstance(other, ParallelError)
    assert str(other).startswith("rank 1 failed with ValueError: X: expected 6 features, got 5")


def test_a_sum_that_fails_is_raised(engine):
    class Broken:
        rank, size = 0, 2

        def __call__(self, vector):
            if vector.dtype == np.float32:
                raise ConnectionError("the cable is out")
            vector *= 2 if len(vector) == 2 and vector[1] == 0 else 1

    with pytest.raises(ConnectionError, match="the cable is out"):
        cr.train(network(), X, T, reduce=Agreeing(Broken()), seed=0)


class Agreeing:
    """Makes a rank believe that the other one says what it says itself."""

    rank, size = 0, 2

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, vector):
        if vector.dtype == np.float32:
            self.inner(vector)
        elif vector.shape == (2,):
            vector[1] = vector[0]
        else:
            vector[len(vector) // 2 :] = vector[: len(vector) // 2]


@pytest.mark.parametrize("reduce", [lambda vector: None, 3, "mpi"], ids=["a plain function", "a number", "a name"])
def test_what_is_not_a_reduce_is_refused(reduce):
    with pytest.raises(TypeError, match=r"reduce: expected a function with the attributes rank and size, such as"):
        Ranks(reduce)


# ------------------------------------------------------------ checkpoints


def kept(folder, epochs, size=2, *, killed=None, keep=3, every=1, layers=None):
    def act(run):
        raise KeyError("killed")

    calls = lambda rank: [  # noqa: E731
        *([Acts(act, killed)] if killed is not None else []), cr.Checkpoint(folder, keep=keep, every=every),
    ]  # fmt: skip
    layers = layers or [Dense(8), BatchNorm(), ReLU(), Dropout(0.2), Dense(3)]
    return parallel(size, epochs=epochs, shuffle=True, layers=layers, callbacks=calls, resume=folder)


@pytest.mark.few(1)
def test_a_resumed_run_ends_bit_for_bit_where_the_uninterrupted_one_does(tmp_path, engine):
    expected = kept(tmp_path / "whole", 5)
    assert all(isinstance(error, KeyError | ParallelError) for error in kept(tmp_path / "killed", 5, killed=1))
    for (one, history), (other, recorded) in zip(kept(tmp_path / "killed", 5), expected, strict=True):
        assert one.values.tobytes() == other.values.tobytes()
        assert history["loss"] == recorded["loss"]


def test_the_newest_epoch_that_every_rank_has_is_resumed(tmp_path):
    expected = kept(tmp_path / "whole", 5)
    kept(tmp_path / "part", 4)
    (tmp_path / "part/rank-1-of-2/checkpoint-000004.safetensors").unlink()
    broken = tmp_path / "part/rank-0-of-2/checkpoint-000003.safetensors"
    broken.write_bytes(broken.read_bytes()[:-10])
    with pytest.warns(cr.training.CheckpointWarning, match="The previous checkpoint is used"):
        results = kept(tmp_path / "part", 5)  # from epoch 2
    assert [net.theta.tobytes() for net, _ in results] == [net.theta.tobytes() for net, _ in expected]


def test_checkpoints_of_another_number_of_ranks_are_refused(tmp_path):
    kept(tmp_path, 2)
    for size in (1, 3):
        for error in kept(tmp_path, 3, size):
            assert isinstance(error, CheckpointError | ParallelError)
            assert f"has checkpoints of 2 process(es), and {size} are training: start as many" in str(error)


def test_ranks_without_a_common_epoch_are_refused(tmp_path):
    kept(tmp_path, 4, keep=1)
    path = tmp_path / "rank-1-of-2/checkpoint-000004.safetensors"
    path.rename(path.with_name("checkpoint-000003.safetensors"))
    for error in kept(tmp_path, 5):
        assert isinstance(error, CheckpointError)
        assert "none of the 1 checkpoint(s) in" in str(error)
        assert "of an epoch that every rank has saved" in str(error)


def test_checkpoints_by_time_are_refused_with_ranks(tmp_path):
    for error in kept(tmp_path, 2, every=timedelta(seconds=1)):
        assert isinstance(error, ValueError)
        assert "expected a number of epochs, the same on every rank" in str(error)


def test_a_folder_of_one_rank_that_cannot_be_written_is_an_error_on_all(tmp_path):
    (tmp_path / "rank-1-of-2").write_text("in the way")
    other, own = kept(tmp_path, 2)
    assert isinstance(own, OSError)
    assert isinstance(other, ParallelError)
