"""Checkpoints: a training that goes on from one ends, bit for bit, where it would have ended."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

import chainrule as cr
from chainrule import optimizers, schedules
from chainrule._internal.names import public_classes
from chainrule.layers import Dense, Dropout, ReLU
from chainrule.optimizers import Optimizer
from chainrule.training import checkpoints
from chainrule.training.callbacks import Callback, EarlyStopping
from chainrule.training.checkpoints import Checkpoint, CheckpointError, CheckpointWarning

FILES = Path(__file__).parent / "files"

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5)).astype("float32")
T = (X[:, 0] + 0.3 * X[:, 1] ** 2 > 0).astype(int)
WEIGHT = rng.uniform(0.5, 2, 60).astype("float32")


class Killed(Exception):  # noqa: N818  (it is what happened)
    pass


class KillAfter(Callback):
    """Ends the process, as far as a test can: nothing after this epoch is done."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_start(self, run):
        self.resumed = True

    def on_epoch(self, run):
        if run.epoch == self.epoch:
            run.network.theta[:] = 0  # what is in memory is lost
            raise Killed


def network(units=8, seed=1):
    layers = [Dense(units), ReLU(), Dropout(0.25), Dense(2)]
    return cr.Network(5, layers, "softmax_cross_entropy", seed=seed)


def fit(folder=None, *, killed=None, resume=True, every=1, keep=3, X=X, t=T, units=8, callbacks=(), **settings):
    """Train; with a folder, keep checkpoints there and go on from them; end after the epoch ``killed``."""
    net = network(units)
    settings = {"epochs": 6, "batch_size": 16, "seed": 3} | settings
    calls = [*callbacks]
    if folder is not None:
        calls.append(Checkpoint(folder, every=every, keep=keep))
    if killed is not None:
        calls.append(KillAfterCheckpoint(killed))
    history = cr.train(net, X, t, callbacks=calls, resume=folder if resume else None, **settings)
    return net.theta.copy(), history


def KillAfterCheckpoint(epoch):  # noqa: N802  (reads as the class that it makes)
    return KillAfter(epoch + 1)  # it is called before the checkpoint of its own epoch is written


def of_every_version():
    return {
        "callbacks": [EarlyStopping("loss")],
        "schedule": "cosine",
        "clip": cr.training.ClipNorm(1.0),
        "validation": 0.2,
    }


def measured(history):
    columns = history.to_dict()
    columns.pop("seconds")
    return columns


def assert_goes_on(folder, *, killed=3, make=dict):
    """Killed after any epoch and resumed, training ends where it ends without a break; ``make`` makes its settings."""
    theta, history = fit(**make())
    with pytest.raises(Killed):
        fit(folder, killed=killed, **make())
    assert checkpoints.newest(folder).description["epoch"] == killed
    again, resumed = fit(folder, **make())
    np.testing.assert_array_equal(again, theta)
    assert measured(resumed) == measured(history)
    assert resumed.stopped == history.stopped


class TestBitForBit:
    @pytest.mark.parametrize("name", public_classes(optimizers, Optimizer))
    def test_every_optimizer(self, name, tmp_path):
        assert_goes_on(tmp_path, make=lambda: {"optimizer": getattr(optimizers, name)()})

    @pytest.mark.parametrize(
        "schedule", ["constant", "cosine", "cosine_log", "one_cycle", schedules.WarmUp(2), schedules.Step(2)]
    )
    def test_schedules(self, schedule, tmp_path):
        assert_goes_on(tmp_path, make=lambda: {"schedule": schedule})

    @pytest.mark.parametrize("killed", range(1, 6))
    def test_after_any_epoch(self, killed, tmp_path):
        assert_goes_on(tmp_path, killed=killed, make=lambda: {"validation": 0.2})

    @pytest.mark.parametrize(
        "shuffle",
        [
            lambda: False,
            lambda: np.random.default_rng(7),
            lambda: np.random.Generator(np.random.MT19937(7)),
            lambda: np.random.Generator(np.random.Philox(7)),
            lambda: np.random.Generator(np.random.SFC64(7)),
            lambda: np.random.RandomState(7),
        ],
        ids=["none", "PCG64", "MT19937", "Philox", "SFC64", "RandomState"],
    )
    def test_orders(self, shuffle, tmp_path):
        assert_goes_on(tmp_path, make=lambda: {"shuffle": shuffle()})

    def test_everything_else(self, tmp_path):
        assert_goes_on(
            tmp_path,
            make=lambda: {
                "penalties": [cr.penalties.L1(1e-3), cr.penalties.MaxNorm(1.0)],
                "clip": cr.training.ClipNorm(0.5),
                "sample_weight": WEIGHT,
                "validation": (X[:20], T[:20]),
                "X": scipy.sparse.csr_matrix(X),
            },
        )

    def test_early_stopping_and_its_best_parameters(self, tmp_path):
        def make():
            stop = EarlyStopping(patience=3)
            return {"callbacks": [stop], "validation": 0.3, "epochs": 60, "optimizer": optimizers.Adam(0.05)}

        assert_goes_on(tmp_path, killed=5, make=make)
        theta, history = fit(tmp_path, **make())  # training that has ended stays so
        assert history.stopped.startswith("val_loss has not improved")
        np.testing.assert_array_equal(theta, fit(**make())[0])

    def test_without_a_seed(self, tmp_path):
        """The seed that was drawn comes from the file, and so does the validation set that followed from it."""
        with pytest.raises(Killed):
            fit(tmp_path, killed=2, seed=None, validation=0.2)
        seed = checkpoints.newest(tmp_path).seed
        again, _ = fit(tmp_path, seed=None, validation=0.2)
        np.testing.assert_array_equal(again, fit(seed=seed, validation=0.2)[0])

    def test_a_seed_sequence(self, tmp_path):
        def make():
            seed = np.random.SeedSequence(5)
            seed.spawn(2)
            return {"seed": seed, "validation": 0.2}

        assert_goes_on(tmp_path, make=make)

    def test_more_epochs(self, tmp_path):
        fit(tmp_path, epochs=2)
        theta, history = fit(tmp_path, epochs=5)
        np.testing.assert_array_equal(theta, fit(epochs=5)[0])
        assert history["epoch"] == [1, 2, 3, 4, 5]

    def test_a_stateful_callback_and_optimizer_of_ones_own(self, tmp_path):
        class Average(Callback):
            def on_start(self, run):
                self.sum, self.losses, self.best = np.zeros_like(run.network.theta), [], float("inf")

            def on_epoch(self, run):
                self.sum += run.network.theta
                self.losses.append(run.history["loss"][-1])

            def state(self):
                return {"sum": self.sum, "losses": self.losses, "best": self.best, "name": "a", "none": None}

            def restore(self, state):
                self.sum, self.losses, self.best = state["sum"], state["losses"], state["best"]
                assert state["name"] == "a"
                assert state["none"] is None

        class Counting(Optimizer):
            learning_rate = 0.1

            def step(self, theta, grad, state, rate):
                state.factor = (state.factor or 1.0) * 0.9
                theta -= rate * state.factor * grad

        whole, halves = Average(), Average()
        theta, _ = fit(optimizer=Counting(), callbacks=[whole])
        with pytest.raises(Killed):
            fit(tmp_path, killed=3, optimizer=Counting(), callbacks=[halves])
        again, _ = fit(tmp_path, optimizer=Counting(), callbacks=[halves := Average()])
        np.testing.assert_array_equal(again, theta)
        np.testing.assert_array_equal(halves.sum, whole.sum)
        assert halves.losses == whole.losses
        assert halves.best == float("inf")

    @pytest.mark.few(2)
    @pytest.mark.parametrize("model", [cr.MLPClassifier, cr.MLPRegressor])
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "n_iter_no_change": 2},
            {"solver": "sgd", "learning_rate": "invscaling", "dropout": 0.3},
            {"early_stopping": True, "n_iter_no_change": 3, "max_norm": 2.0},
        ],
        ids=["adam", "adaptive", "invscaling", "early stopping"],
    )
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_estimators(self, model, settings, tmp_path):
        def make(callbacks, **kwargs):
            return model(
                hidden_layer_sizes=(8,), max_iter=25, random_state=2, callbacks=callbacks, **settings, **kwargs
            )

        whole = make([]).fit(X, T)
        with pytest.raises(Killed):
            make([Checkpoint(tmp_path), KillAfterCheckpoint(3)], resume=tmp_path).fit(X, T)
        again = make([Checkpoint(tmp_path)], resume=str(tmp_path)).fit(X, T)
        assert vars(whole).keys() == vars(again).keys()
        for name in (
            "n_iter_",
            "t_",
            "loss_",
            "loss_curve_",
            "best_loss_",
            "validation_scores_",
            "best_validation_score_",
        ):
            assert getattr(again, name) == getattr(whole, name), name
        np.testing.assert_array_equal(again.network_.theta, whole.network_.theta)
        assert measured(again.history_) == measured(whole.history_)


class TestFiles:
    def test_the_last_ones_are_kept(self, tmp_path):
        fit(tmp_path, epochs=9, every=2, keep=2)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "checkpoint-000008.safetensors",
            "checkpoint-000009.safetensors",  # the last epoch, in any case
        ]

    def test_all_are_kept(self, tmp_path):
        fit(tmp_path, epochs=5, keep=None)
        assert len([*tmp_path.iterdir()]) == 5

    def test_after_so_much_time(self, tmp_path, monkeypatch):
        now = [0.0]
        monkeypatch.setattr("chainrule.training.checkpoints.time.monotonic", lambda: now[0])

        class Clock(Callback):
            def on_epoch(self, run):
                now[0] += 4.0

        fit(tmp_path, epochs=8, every=timedelta(seconds=10), keep=None, callbacks=[Clock()])
        assert [int(path.stem[-6:]) for path in sorted(tmp_path.iterdir())] == [3, 6, 8]

    def test_it_makes_its_folder(self, tmp_path):
        fit(tmp_path / "a" / "b", epochs=1)
        assert (tmp_path / "a" / "b" / "checkpoint-000001.safetensors").exists()

    def test_it_is_called_last(self, tmp_path):
        """Else it would keep what the others remembered an epoch ago."""
        net, stop = network(), EarlyStopping("loss", patience=9)
        cr.train(net, X, T, epochs=3, callbacks=[Checkpoint(tmp_path), stop], seed=0)
        [entry] = checkpoints.newest(tmp_path).description["callbacks"]
        assert entry["state"]["best_epoch"] == stop.best_epoch

    def test_what_a_killed_process_left_is_taken_away(self, tmp_path):
        (tmp_path / ".chainrule-0123456789abcdef.part").write_bytes(b"half")
        fit(tmp_path, epochs=1)
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000001.safetensors"]

    def test_where_there_is_none_training_begins(self, tmp_path):
        theta, history = fit(tmp_path / "new", resume=True)
        np.testing.assert_array_equal(theta, fit()[0])
        assert len(history) == 6

    def test_one_of_an_earlier_version_goes_on(self, tmp_path):
        """tests/files/make.py wrote it: the third epoch of this training."""
        for stored in sorted(FILES.glob("*/checkpoints")):
            shutil.copytree(stored, tmp_path / stored.parent.name)
            theta, history = fit(tmp_path / stored.parent.name, **of_every_version())
            assert history["epoch"] == [1, 2, 3, 4, 5, 6]
            np.testing.assert_allclose(theta, fit(**of_every_version())[0], rtol=1e-4, atol=1e-6)


def crafted(folder, change):
    """Change the last checkpoint in a folder, and give it the checksum of what it is now."""
    path = checkpoints._numbered(folder)[-1]
    saved = checkpoints.read(path)
    description, arrays = json.loads(json.dumps(saved.description)), dict(saved.arrays)
    change(description, arrays)
    sealed = {**description, "sha256": checkpoints.digest(description, arrays)}
    checkpoints.write_file(path, "checkpoint", sealed, arrays, overwrite=True)


def of_order(**inner):
    return lambda d, a: d["streams"]["order"]["state"].update(inner)


def of_callback(number, **state):
    return lambda d, a: d["callbacks"][number]["state"].update(state)


def twice(array):
    array = array.copy()
    array[0] = array[1]
    return array


MERSENNE = {"shuffle": np.random.RandomState(0)}
PHILOX = {"shuffle": np.random.Generator(np.random.Philox(0))}
CRAFTED = {
    "order far away": (
        lambda d, a: a.update(order=a["order"] + 10**9),
        "order is not a permutation of the training rows",
        {},
    ),
    "order below 0": (
        lambda d, a: a.update(order=a["order"] - 1),
        "order is not a permutation of the training rows",
        {},
    ),
    "a row twice": (
        lambda d, a: a.update(order=twice(a["order"])),
        "order is not a permutation of the training rows",
        {},
    ),
    "rows held out": (
        lambda d, a: a.update(order=np.arange(len(a["order"]))),
        "order is not a permutation of the training rows",
        {"validation": 0.2},
    ),
    "order of floats": (lambda d, a: a.update(order=a["order"] * 1.0), "order has the dtype float64", {}),
    "theta of float64": (lambda d, a: a.update(theta=a["theta"] * np.float64(1)), "theta has the dtype", {}),
    "theta not finite": (lambda d, a: a.update(theta=a["theta"] * np.float32("nan")), "theta is not finite", {}),
    "pos": (of_order(pos=10**6), "pos is 1000000, expected a whole number from 0 to 624", MERSENNE),
    "pos below 0": (of_order(pos=-5), "pos is -5", MERSENNE),
    "pos as a float": (of_order(pos=5.0), "pos is 5.0", MERSENNE),
    "a key of zeros": (of_order(key=[0] * 624), "all zeros", MERSENNE),
    "a key too wide": (of_order(key=[2**32] * 624), "key is 4294967296", MERSENNE),
    "a key too short": (of_order(key=[1]), "key: expected 624 numbers", MERSENNE),
    "PCG64's state": (of_order(state=2**128), "state is", {}),
    "PCG64's step": (of_order(inc=2), "inc is 2, expected an odd number", {}),
    "PCG64's step below 0": (of_order(inc=-1), "inc is -1", {}),
    "PCG64's halves": (lambda d, a: d["streams"]["order"].update(has_uint32=2), "has_uint32 is 2", {}),
    "PCG64's rest": (lambda d, a: d["streams"]["order"].update(uinteger=2**32), "uinteger is", {}),
    "another generator": (
        lambda d, a: d["streams"]["order"].update(bit_generator="MT19937"),
        "bit_generator is MT19937, expected PCG64",
        {},
    ),
    "Philox' buffer": (lambda d, a: d["streams"]["order"].update(buffer_pos=-(10**6)), "buffer_pos", PHILOX),
    "what dropout draws": (lambda d, a: d["streams"]["steps"]["state"].update(inc=4), "inc is 4", {}),
    "steps below 0": (lambda d, a: d["optimizer"].update(t=-1), "t is -1", {}),
    "steps without end": (lambda d, a: d["optimizer"].update(t=10**30), "t is 1000", {}),
    "a scratch of another size": (
        lambda d, a: d["optimizer"].update(scratch={"array": "optimizer.m"}),
        "the optimizer remembers",
        {},
    ),
    "an optimizer's vector that is none": (lambda d, a: d["optimizer"].update(m=3), "m is 3, expected an array", {}),
    "an epoch below 0": (lambda d, a: d.update(epoch=-1), "epoch cannot be read", {}),
    "an epoch too many": (lambda d, a: d.update(epoch=2), "the history does not have the epochs 1 to 2", {}),
    "an epoch that is infinite": (
        lambda d, a: a.update(history=a["history"] * np.inf),
        "the history does not have",
        {},
    ),
    "why it stopped": (lambda d, a: d.update(stopped=["x"]), "stopped cannot be read", {}),
    "the best is a text": (of_callback(1, best="0.1"), "best is 0.1, expected number", {}),
    "the best epoch": (of_callback(1, best_epoch=-3), "best_epoch is -3", {}),
    "the best parameters": (of_callback(1, theta={"array": "history"}), "theta has the (shape|dtype)", {}),
    "an average's count": (of_callback(0, count=0.5), "count is 0.5", {}),
    "an average's flag": (of_callback(0, measured=1), "measured is 1, expected flag", {}),
    "an average's steps": (of_callback(0, steps=-1), "steps is -1", {}),
}


class TestDamage:
    @pytest.mark.parametrize("cut", [0, 7, 100, -1])
    def test_the_one_before_it_is_used(self, cut, tmp_path):
        with pytest.raises(Killed):
            fit(tmp_path, killed=3)
        last = tmp_path / "checkpoint-000003.safetensors"
        last.write_bytes(last.read_bytes()[:cut])
        with pytest.warns(CheckpointWarning, match=r"checkpoint-000003\.safetensors.*The previous checkpoint is used"):
            theta, _ = fit(tmp_path)
        np.testing.assert_array_equal(theta, fit()[0])

    def test_every_changed_bit_is_noticed(self, tmp_path):
        fit(tmp_path, epochs=1)
        path = tmp_path / "checkpoint-000001.safetensors"
        whole = path.read_bytes()
        at = [*range(0, len(whole), 23)]
        for i in at:
            damaged = bytearray(whole)
            damaged[i] ^= 1 << (i % 8)
            path.write_bytes(damaged)
            try:
                same = checkpoints.read(path)
            except cr.files.networks.ModelFileError:
                continue
            path.write_bytes(whole)  # only texts that nothing depends on, such as the version, may change
            assert same.description == checkpoints.read(path).description
            assert all((same.arrays[name] == array).all() for name, array in checkpoints.read(path).arrays.items())

    def test_all_damaged(self, tmp_path):
        fit(tmp_path)
        for path in tmp_path.iterdir():
            path.write_bytes(b"")
        with (
            pytest.warns(CheckpointWarning, match="is empty"),
            pytest.raises(CheckpointError, match=r"none of the 3 checkpoint\(s\).*To start over, empty the folder"),
        ):
            fit(tmp_path)

    def test_a_model_is_no_checkpoint(self, tmp_path):
        cr.save(network(), tmp_path / "checkpoint-000001.safetensors")
        with pytest.warns(CheckpointWarning, match="it holds a network: chainrule"), pytest.raises(CheckpointError):
            fit(tmp_path)

    @pytest.mark.few(12)
    @pytest.mark.parametrize("name", CRAFTED)
    def test_values_that_no_training_writes_never_reach_numpy_or_compiled_code(self, name, tmp_path):
        """Crafted, with the right checksum: indices, states of generators and counters out of their bounds."""
        change, match, settings = CRAFTED[name]
        settings = {"callbacks": [EarlyStopping("loss"), cr.EMA(0.9)], **settings}
        fit(tmp_path, epochs=1, **settings)
        crafted(tmp_path, change)
        with pytest.raises(CheckpointError, match=match):
            fit(tmp_path, **settings)

    def test_crafted_checkpoints_of_an_estimator(self, tmp_path):
        """The attributes of a fit and scikit-learn's stream are checked as all others."""
        model = cr.MLPClassifier((4,), max_iter=1, random_state=0, callbacks=[Checkpoint(tmp_path)], batch_size=30)
        with pytest.warns(ConvergenceWarning):
            model.fit(X, T)
        [path] = tmp_path.glob("*.safetensors")
        content = path.read_bytes()
        changes = [
            lambda d, a: d["streams"]["order"]["state"].update(pos=10**6),
            lambda d, a: d["streams"]["order"].update(has_gauss=7),
            lambda d, a: d["callbacks"][0]["state"].update(t_=-1),
            lambda d, a: d["callbacks"][0]["state"].update(n_iter_=True),
            lambda d, a: d["callbacks"][0]["state"].update(loss_curve_="abc"),
            lambda d, a: d["callbacks"][0]["state"].update(best_theta={"array": "theta"}) or a.update(theta=X[:2]),
        ]
        for change in changes:
            path.write_bytes(content)
            crafted(tmp_path, change)
            with pytest.raises(CheckpointError, match="cannot resume"):
                model.set_params(resume=tmp_path, max_iter=2).fit(X, T)

    def test_a_seed_whose_pool_takes_hours(self, tmp_path):
        """NumPy's time grows with the square of pool_size; nothing of the seed is used before it is checked."""
        fit(tmp_path, epochs=1, seed=None)
        for seed in ({"pool_size": 10**6}, {"pool_size": "4"}, {"spawn_key": [-1]}, {"entropy": [[1]]}, {"x": 1}):
            crafted(tmp_path, lambda d, a, seed=seed: d["seed"].update(seed))
            with pytest.raises(CheckpointError, match=r"the seed cannot be read: .*Pass the seed"):
                fit(tmp_path, seed=None)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda d, a: a.pop("theta"), "theta"),
            (lambda d, a: a.update(theta=a["theta"][:-1]), r"theta has the shape \(65,\), \(66,\)"),
            (lambda d, a: d.update(seed={"entropy": "x"}), "cannot resume|the seed cannot be read"),
            (lambda d, a: d["streams"].update(order=None), "cannot resume"),
            (lambda d, a: d["streams"].update(order={"bit_generator": "os.system"}), "cannot resume"),
            (lambda d, a: d["optimizer"].update(t={"float": "x"}), "cannot resume"),
            (lambda d, a: d["optimizer"].update(t={"exec": "x"}), "cannot resume"),
            (lambda d, a: d.update(columns=[]), "cannot resume"),
            (lambda d, a: d.update(epoch="2"), "cannot resume|a different run"),
            (lambda d, a: d.update(same=None), "cannot resume|a different run"),
            (lambda d, a: d.update(callbacks=[3]), "cannot resume|a different run"),
        ],
    )
    def test_a_made_up_file_is_refused(self, change, match, tmp_path):
        """One with the right checksum but of other things; nothing is changed by it."""
        fit(tmp_path, epochs=1)
        crafted(tmp_path, change)
        net = network()
        before = net.theta.copy()
        with pytest.raises(CheckpointError, match=match):
            cr.train(net, X, T, epochs=6, batch_size=16, callbacks=[Checkpoint(tmp_path)], resume=tmp_path)
        np.testing.assert_array_equal(net.theta, before)


class TestAnotherTraining:
    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"units": 9}, r"network: .*Dense\(8\).* there, .*Dense\(9\).* here"),
            ({"optimizer": "sgd"}, r"optimizer: Adam\(\) there, SGD\(\) here"),
            ({"schedule": "cosine"}, "schedule"),
            ({"penalties": [cr.penalties.L2(0.1)]}, "penalties"),
            ({"clip": cr.training.ClipNorm(1)}, "clip"),
            ({"batch_size": 15}, "batch_size: 16 there, 15 here"),
            ({"seed": 4}, "seed"),
            ({"shuffle": False}, "shuffle: Generator there, NoneType here"),
            ({"X": X + 1}, "data"),
            ({"t": 1 - T}, "data"),
            ({"sample_weight": WEIGHT}, "data"),
            ({"validation": 0.5}, "data"),
            ({"callbacks": [EarlyStopping("loss")]}, "callbacks: none there, EarlyStopping here"),
            ({"epochs": 2}, "epoch 3, but epochs=2"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_is_refused_with_its_difference(self, change, match, tmp_path):
        with pytest.raises(Killed):
            fit(tmp_path, killed=3)
        with pytest.raises(CheckpointError, match=match):
            fit(tmp_path, **change)

    def test_progress_may_come_and_go(self, tmp_path, capsys):
        with pytest.raises(Killed):
            fit(tmp_path, killed=3, callbacks=[cr.Progress()])
        assert len(fit(tmp_path)[1]) == 6

    def test_a_new_one_does_not_overwrite(self, tmp_path):
        fit(tmp_path)
        with pytest.raises(FileExistsError, match="checkpoints of an earlier run: resume it with"):
            fit(tmp_path, resume=False)

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        path = tmp_path / "file"
        path.write_text("")
        with pytest.raises(NotADirectoryError, match=r"resume: .*file is a file; a folder"):
            fit(path)

    def test_a_shuffler_whose_state_is_unknown(self, tmp_path):
        class Mine:
            def shuffle(self, x):
                pass

        with pytest.raises(TypeError, match=r"the state of .*Mine.* is unknown: add a method state\(\)"):
            fit(tmp_path, shuffle=Mine())

    def test_a_callback_that_remembers_too_much(self, tmp_path):
        class Hoarder(Callback):
            def state(self):
                return {"run": self}

        with pytest.raises(TypeError, match=r"callbacks\.0\.run: a checkpoint can hold numbers"):
            fit(tmp_path, callbacks=[Hoarder()])

    @pytest.mark.parametrize("arguments", [{"every": 0}, {"every": "1"}, {"keep": 0}, {"every": timedelta(-1)}])
    def test_bad_arguments(self, arguments):
        with pytest.raises((ValueError, TypeError), match="Checkpoint"):
            Checkpoint("folder", **arguments)

    def test_estimators_that_cannot(self, tmp_path):
        with pytest.raises(ValueError, match="solver='lbfgs' cannot use resume"):
            cr.MLPClassifier(solver="lbfgs", resume=tmp_path).fit(X, T)
        with pytest.raises(ValueError, match="partial_fit does not support resume"):
            cr.MLPClassifier(resume=tmp_path).partial_fit(X, T, classes=[0, 1])
