"""checkpoint= of the ensembles: a fit that was killed resumes, and gives the same model to the bit."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

import chainrule as cr
from chainrule.estimators import _ensemble_checkpoints as checkpoints
from chainrule.estimators._members import Members
from chainrule.files.container import opened, read_array, read_header, write_file
from chainrule.training.checkpoints import CheckpointError, CheckpointWarning, digest

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, 0] * X[:, 1]
LABELS = np.where(Y > 0, "up", "down")


def regressor(**options):
    small = {"n_estimators": 5, "hidden_layer_sizes": (4,), "max_iter": 6, "linear": False, "random_state": 0}
    return cr.TabularRegressor(**{**small, **options})


def same(one, other):
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    np.testing.assert_array_equal(one.oof_predictions_, other.oof_predictions_)
    assert one.history_.to_dict() == other.history_.to_dict()
    assert one.history_.engine == other.history_.engine
    assert (one.best_iter_, one.n_iter_) == (other.best_iter_, other.n_iter_)


class _KilledError(Exception):
    pass


@pytest.fixture
def killed_in(monkeypatch):
    """Return a function that ends fits after some epochs of members, and writes a checkpoint at every epoch."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    deliver = Members._deliver

    def arrange(calls):
        left = [calls]

        def counted(self, member, loss, logits):
            deliver(self, member, loss, logits)
            left[0] -= 1
            if left[0] == 0:
                raise _KilledError

        monkeypatch.setattr(Members, "_deliver", counted)
        return lambda: monkeypatch.setattr(Members, "_deliver", deliver)

    return arrange


@pytest.mark.few(2)
@pytest.mark.parametrize("calls", [5, 6, 13, 24, 29])
@pytest.mark.parametrize("options", [{"n_jobs": 1}, {"n_jobs": 2}, {"weight_decay": 0.0, "batch_size": 7}], ids=str)
def test_an_interrupted_fit_resumes_to_the_bit(tmp_path, killed_in, calls, options):
    whole = regressor(**options).fit(X, Y)
    alive_again = killed_in(calls)
    with pytest.raises(_KilledError):
        regressor(checkpoint=tmp_path, **options).fit(X, Y)
    alive_again()
    trained = []
    resumed = regressor(checkpoint=str(tmp_path), progress=trained.append, **options).fit(X, Y)
    same(resumed, whole)
    assert len(trained) == 30 - 5 * ((calls - 1) // 5)  # nothing is written in the middle of an epoch of all
    assert trained[-1].seconds_left == 0
    assert [path.name for path in tmp_path.iterdir()] == [checkpoints.NAME]


def test_a_fit_that_ended_is_not_trained_again(tmp_path):
    first = cr.TabularClassifier(5, hidden_layer_sizes=(4,), max_iter=4, checkpoint=tmp_path / "new" / "folder")
    first.fit(X, LABELS, np.arange(60) + 1.0, groups=np.arange(60) // 2)
    trained = []
    again = cr.TabularClassifier(
        5, hidden_layer_sizes=(4,), max_iter=4, progress=trained.append, checkpoint=first.checkpoint
    )
    again.fit(X, LABELS, np.arange(60) + 1.0, groups=np.arange(60) // 2)  # random_state=None is that of the checkpoint
    np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X))
    assert trained == []
    assert again.temperature_ == first.temperature_


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_a_fit_that_ended_before_its_last_epoch_resumes_and_is_not_trained_again(tmp_path, killed_in, n_jobs):
    noise = np.random.default_rng(1).normal(size=60)
    options = {"max_iter": 30, "hidden_layer_sizes": (32,), "n_jobs": n_jobs}
    whole = regressor(**options).fit(X, noise)
    assert whole.n_iter_ == 15
    alive_again = killed_in(74)
    with pytest.raises(_KilledError):
        regressor(checkpoint=tmp_path, **options).fit(X, noise)
    alive_again()
    same(regressor(checkpoint=tmp_path, **options).fit(X, noise), whole)
    trained = []
    same(regressor(checkpoint=tmp_path, progress=trained.append, **options).fit(X, noise), whole)
    assert trained == []


@pytest.mark.parametrize("calls", [239, 240, 241, 400])
def test_a_fit_with_more_cycles_than_planned_resumes(tmp_path, killed_in, calls):
    options = {"max_iter": "auto", "hidden_layer_sizes": (16,), "n_jobs": 1}
    whole = regressor(**options).fit(X, Y)
    assert whole.n_iter_ > 48
    alive_again = killed_in(calls)
    with pytest.raises(_KilledError):
        regressor(checkpoint=tmp_path, **options).fit(X, Y)
    alive_again()
    same(regressor(checkpoint=tmp_path, **options).fit(X, Y), whole)


def test_checkpoints_are_seconds_apart(tmp_path, monkeypatch):
    written, now = [], [0.0]
    monkeypatch.setattr(checkpoints, "write", lambda folder, made, *_, **__: written.append(made.members[0].epoch))
    train = Members._train

    def slow(made, member, interrupted):
        now[0] += 0.25
        return train(made, member, interrupted)

    monkeypatch.setattr(Members, "_train", slow)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    regressor(max_iter=20, checkpoint=tmp_path, n_jobs=1).fit(X, Y)  # 1.25 seconds for each epoch of all
    assert written == [1, 5, 9, 13, 17, 20]


def test_a_time_limit_is_part_of_the_checkpoint(tmp_path, killed_in, monkeypatch):
    """The epochs and the rows that were planned for the first fit are those of the second."""
    options = {"max_iter": 50, "max_minutes": 5.0, "n_jobs": 1}
    train, now = Members._train, [0.0]

    def slow(made, member, interrupted):
        now[0] += len(member.rows)
        return train(made, member, interrupted)

    monkeypatch.setattr(Members, "_train", slow)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    whole = regressor(**options).fit(X, Y)
    assert whole.n_iter_ == 4
    alive_again = killed_in(2 + 12)  # two trials
    with pytest.raises(_KilledError):
        regressor(checkpoint=tmp_path, **options).fit(X, Y)
    alive_again()
    same(regressor(checkpoint=tmp_path, **options).fit(X, Y), whole)


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("change", "data", "what"),
    [
        ({"random_state": 1}, {}, "random_state: 209652396 there, 1791095845 here"),
        ({"hidden_layer_sizes": (5,)}, {}, r"networks: 5 of \(51,\) .*Dense\(4.*Dense\(5"),
        ({"activation": "relu"}, {}, r"networks: .*Mish\(\).* there, .*ReLU\(\).* here"),
        ({"n_estimators": 10}, {}, "networks: 5 of .* there, 10 of .* here"),
        ({"max_iter": 9}, {}, "max_iter: 6 there, 9 here"),
        ({"batch_size": 9}, {}, "batch_size: 64 there, 9 here"),
        ({"learning_rate_init": 0.1}, {}, r"learning_rate_init, weight_decay: AdamW\(learning_rate=0.02.*=0.1"),
        ({"max_minutes": 9.0}, {}, "max_minutes: None there, 9.0 here"),
        ({}, {"y": 2 * Y + X[:, 0]}, "X, y, sample_weight, groups: "),
        ({}, {"X": X[:, ::-1]}, "X, y, sample_weight, groups: "),
        ({}, {"sample_weight": np.arange(60) + 1.0}, "X, y, sample_weight, groups: "),
        ({}, {"groups": np.arange(60) // 2}, "X, y, sample_weight, groups: "),
    ],
)
def test_other_data_and_parameters_are_refused(tmp_path, change, data, what):
    regressor(checkpoint=tmp_path, max_iter=6).fit(X, Y)
    with pytest.raises(
        CheckpointError, match=rf"is a checkpoint of a different fit: ({what}).*or delete the file to start over"
    ):
        regressor(checkpoint=tmp_path, **change).fit(**{"X": X, "y": Y, **data})


def test_what_has_no_influence_may_differ(tmp_path):
    whole = regressor(checkpoint=tmp_path).fit(X, Y)
    resumed = regressor(checkpoint=tmp_path, n_jobs=3, linear="auto", progress=lambda _: None).fit(X, Y)
    np.testing.assert_array_equal(resumed.members_[0].theta, whole.members_[0].theta)


# ---------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("run")
    regressor(checkpoint=found).fit(X, Y)
    return found


@pytest.fixture
def copied(folder, tmp_path):
    shutil.copy(folder / checkpoints.NAME, tmp_path)
    return tmp_path / checkpoints.NAME


def test_truncated_and_flipped_files_are_refused(copied):
    content = copied.read_bytes()
    rng = np.random.default_rng(0)
    for at in [0, 1, 9, 100, *rng.integers(0, len(content), 12).tolist()]:
        for damaged in (content[:at], content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]):
            copied.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=r"To start over, delete the file\."):
                checkpoints.find(copied.parent)


def rewritten(path, change):
    """Write the checkpoint anew, with a change of its description and arrays, and the checksum that belongs to them."""
    with opened(path, "a checkpoint") as file:
        header = read_header(file, "a checkpoint")
        d, arrays = header.description, {name: read_array(file, tensor) for name, tensor in header.tensors.items()}
    del d["sha256"]
    change(d, arrays)
    write_file(path, checkpoints.KIND, {**d, "sha256": digest(d, arrays)}, arrays, overwrite=True)


@pytest.mark.slow
def test_every_array_and_field_is_checked_even_with_the_right_checksum(copied):
    content = copied.read_bytes()
    names = sorted(load_file(copied))
    assert len(names) == 1 + 5 * (3 + 2 * len({name for name in names if name.startswith("0.values.")}))
    changes = [lambda d, a, n=name: a.pop(n) for name in names]
    changes += [lambda d, a, n=name: a.update({n: a[n][..., :-1]}) for name in names]
    changes += [lambda d, a, n=name: a.update({n: a[n].astype("f8" if a[n].dtype == "f4" else "f4")}) for name in names]
    changes += [lambda d, a, n=name: a.update({n: np.full_like(a[n], np.nan)}) for name in names]
    changes += [lambda d, a: a.update(more=a["scores"])]
    for field in ("same", "seed", "epoch", "epochs", "steps", "engine"):
        values = [None, -1, 1.5, True, [1], {}] + [5] * (field != "seed") + ["x"] * (field != "engine")
        changes += [lambda d, a, f=field, v=value: d.update({f: v}) for value in values]
        changes += [lambda d, a, f=field: d.pop(f)]
    changes += [
        lambda d, a: d.update(steps=[-1] * 5),
        lambda d, a: d.update(steps=[2**70] * 5),
        lambda d, a: d.update(steps=[True] * 5),
    ]
    for change in changes:
        copied.write_bytes(content)
        rewritten(copied, change)
        with pytest.raises(CheckpointError, match="delete the file"):
            regressor(checkpoint=copied.parent).fit(X, Y)


def test_a_checkpoint_of_another_kind_and_a_file_for_a_folder(tmp_path):
    network = cr.Network(3, [cr.layers.Dense(1)], "squared_error", seed=0)
    cr.save(network, tmp_path / checkpoints.NAME)
    with pytest.raises(CheckpointError, match=r"but it holds a network: chainrule\.load reads it.*delete the file"):
        regressor(checkpoint=tmp_path).fit(X, Y)
    with pytest.raises(NotADirectoryError, match="is a file; a folder was expected"):
        regressor(checkpoint=tmp_path / checkpoints.NAME).fit(X, Y)
    regressor(checkpoint=tmp_path / "other").fit(X, Y)
    with pytest.raises(ValueError, match="it holds a checkpoint of an ensemble: fit resumes from its folder"):
        cr.load(tmp_path / "other" / checkpoints.NAME)


def test_a_full_disk_does_not_end_training(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_file", full)
    with pytest.warns(CheckpointWarning, match=r"cannot be written \(No space left on device\): training continues"):
        model = regressor(checkpoint=tmp_path).fit(X, Y)
    same(model, regressor().fit(X, Y))


def test_a_folder_that_cannot_be_written_is_an_error_before_training(other_user):
    folder, become = other_user
    become()
    with pytest.raises(PermissionError):
        regressor(checkpoint=folder).fit(X, Y)


KILLED = """\
import sys, numpy as np, chainrule as cr
from chainrule.estimators import _ensemble_checkpoints as checkpoints

checkpoints.SECONDS = 0.0
X = np.random.default_rng(0).normal(size=(60, 3))
model = cr.TabularRegressor(5, hidden_layer_sizes=(4,), max_iter=int(sys.argv[2]), random_state=0, n_jobs=2, linear=False,
                            checkpoint=sys.argv[1] or None, progress=lambda progress: print(progress.epoch, flush=True))
model.fit(X, X[:, 0] * X[:, 1])
print(model.best_iter_, model.predict(X).tobytes().hex())
"""


@pytest.mark.slow
def test_kill_9_and_resume(tmp_path):
    def start(folder):
        command = [sys.executable, "-c", KILLED, str(folder), "60"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with start(tmp_path) as process:
        for line in process.stdout:
            if int(line) > 20:
                process.send_signal(signal.SIGKILL)
                break
    with start(tmp_path) as resumed, start("") as whole:
        ours, expected = (process.communicate(timeout=120)[0].splitlines() for process in (resumed, whole))
    assert int(ours[0]) >= 20  # it did not start anew
    assert ours[-1] == expected[-1]
    assert len(ours) < len(expected) == 301
