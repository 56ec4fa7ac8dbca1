"""Threads, processes, full disks, clocks that jump, and numbers as large as float32 has them."""

import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, optimizers
from chainrule._internal.names import public_classes
from chainrule.layers import Dense, Dropout, ReLU
from chainrule.training.checkpoints import Checkpoint, CheckpointWarning

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 6)).astype("float32")
T = (X[:, 0] > 0).astype(int)
KERNELS = pytest.mark.parametrize("kernels", ["numba", "reference"])


def trained(seed):
    network = cr.Network(6, [Dense(12), ReLU(), Dropout(0.2), Dense(2)], "softmax_cross_entropy", seed=seed)
    cr.train(network, X, T, epochs=5, batch_size=20, seed=seed)
    return network.theta


def send_trained(pipe, seed):
    pipe.send(trained(seed))


@KERNELS
def test_trainings_in_threads_do_not_disturb_each_other(kernels, monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", kernels)
    alone = [trained(seed) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        together = [*pool.map(trained, range(16))]
    for seed, (a, b) in enumerate(zip(alone, together, strict=True)):
        np.testing.assert_array_equal(a, b, err_msg=f"seed {seed}")


@KERNELS
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_trains_as_its_parent(kernels, monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", kernels)
    expected = trained(3)  # what the parent has loaded and started is there in the child, its threads are not
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=send_trained, args=(there, 3))
    child.start()
    assert here.poll(60), "the child does not answer"
    np.testing.assert_array_equal(here.recv(), expected)
    child.join(60)
    assert child.exitcode == 0


@KERNELS
def test_prediction_while_the_network_is_trained(kernels, monkeypatch):
    """Any of the parameters on the way may be used, but nothing breaks and nothing is written."""
    monkeypatch.setenv("CHAINRULE_KERNELS", kernels)
    network = cr.Network(6, [Dense(12), ReLU(), Dense(2)], "softmax_cross_entropy", seed=0)
    with ThreadPoolExecutor(4) as pool:
        training = pool.submit(cr.train, network, X, T, epochs=200, batch_size=20, seed=0)
        while not training.done():
            for p in pool.map(network.predict, [X, X[:1], X[:50]]):
                np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    again = cr.Network(6, [Dense(12), ReLU(), Dense(2)], "softmax_cross_entropy", seed=0)
    cr.train(again, X, T, epochs=200, batch_size=20, seed=0)
    np.testing.assert_array_equal(network.theta, again.theta)


FULL = """
import resource, warnings, sys
import numpy as np
import chainrule as cr

network = cr.Network(50, [cr.layers.Dense(100), cr.layers.Dense(2)], "softmax_cross_entropy", seed=0)
X, t = np.random.default_rng(0).normal(size=(40, 50)), np.arange(40) % 2
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # what a full disk does: a write ends in the middle
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    history = cr.train(network, X, t, epochs=3, seed=0, callbacks=[cr.Checkpoint(sys.argv[1])])
print(len(history), *(warning.message for warning in caught), sep="|")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_full_disk_does_not_end_training(tmp_path):
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    epochs, *messages = done.stdout.strip().split("|")
    assert epochs == "3"
    assert len(messages) == 3
    assert all("cannot be written (File too large): training continues without it" in message for message in messages)
    assert [*tmp_path.iterdir()] == []  # and nothing half-written is left


def test_a_checkpoint_that_cannot_be_replaced_is_warned_of(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("chainrule.files.container.os.fsync", fails)
    network = cr.Network(6, [Dense(2)], "softmax_cross_entropy", seed=0)
    with pytest.warns(CheckpointWarning, match="No space left on device"):
        history = cr.train(network, X, T, epochs=2, seed=0, callbacks=[Checkpoint(tmp_path)])
    assert len(history) == 2


def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    network = cr.Network(6, [Dense(2)], "softmax_cross_entropy", seed=0)
    before = network.theta.copy()
    with pytest.raises(OSError, match="file"):
        cr.train(network, X, T, epochs=2, seed=0, callbacks=[Checkpoint(tmp_path / "file" / "run")])
    np.testing.assert_array_equal(network.theta, before)


def test_a_clock_that_is_set_changes_nothing(tmp_path, monkeypatch):
    """Neither what is learned nor when a checkpoint is due follows the clock on the wall."""
    expected = trained(1)
    jumps = iter(range(10**9, -(10**9), -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(jumps)))
    monkeypatch.setattr(time, "time_ns", lambda: next(jumps))
    network = cr.Network(6, [Dense(12), ReLU(), Dropout(0.2), Dense(2)], "softmax_cross_entropy", seed=1)
    keep = Checkpoint(tmp_path, every=timedelta(hours=1))
    history = cr.train(network, X, T, epochs=5, batch_size=20, seed=1, callbacks=[keep])
    np.testing.assert_array_equal(network.theta, expected)
    assert min(history["seconds"]) >= 0
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000005.safetensors"]


@KERNELS
@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1e4, 1e19, 3e38])
@pytest.mark.parametrize("name", public_classes(losses, losses.Loss))
@pytest.mark.filterwarnings("ignore::chainrule.advice.AdviceWarning")
def test_extreme_values_end_in_numbers_or_in_words(name, scale, kernels, monkeypatch):
    """Training ends with finite parameters, or in an error that says what is wrong: never in silence."""
    monkeypatch.setenv("CHAINRULE_KERNELS", kernels)
    network = cr.Network(6, [Dense(8), ReLU(), Dense(2)], getattr(losses, name)(), seed=0)
    t = T if name == "SoftmaxCrossEntropy" else np.stack([T, 1 - T], axis=1)
    for optimizer in (optimizers.SGD(1.0), optimizers.Adam(1.0)):
        said, losses_seen = "", [0.0]
        try:
            losses_seen = cr.train(
                network, X * np.float32(scale / 4), t, epochs=2, batch_size=20, optimizer=optimizer, seed=0
            )["loss"]
        except (cr.DivergenceError, ValueError) as error:
            said = str(error)
        assert "diverged" in said if said else np.isfinite(losses_seen).all()
        assert np.isfinite(network.theta).all()
        with np.errstate(over="ignore", invalid="ignore"):
            assert network.predict(X[:3]).shape == (3, 2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="moves a process to one core")
def test_two_threads_on_one_core_come_to_an_end():
    code = (
        "import os; os.sched_setaffinity(0, {next(iter(os.sched_getaffinity(0)))})\n"
        "import numpy as np, chainrule as cr\n"
        "X = np.random.default_rng(0).normal(size=(256, 300)).astype('float32')\n"
        "network = cr.Network(300, [cr.layers.Dense(64), cr.layers.Dense(2)], 'softmax_cross_entropy', seed=0)\n"
        "print(len(cr.train(network, X, np.arange(256) % 2, epochs=3, batch_size=128, threads=2, seed=0)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout == "3\n"
