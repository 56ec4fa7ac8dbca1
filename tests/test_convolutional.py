"""Networks of images through all that a network goes through: training, breaks, files, copies, threads, forks."""

from __future__ import annotations

import copy
import json
import pickle
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from bounded import calls
from chainrule.files.networks import ModelFileError
from chainrule.layers import (
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout2D,
    Embedding,
    Flatten,
    GlobalAveragePool2D,
    MaxPool2D,
    ReLU,
    Reshape,
    Residual,
    Scale,
    windows,
)
from chainrule.training.arguments import thread_counts
from chainrule.training.callbacks import Callback, EarlyStopping
from chainrule.training.checkpoints import Checkpoint

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 8, 8, 2)).astype("float32")
T = (X[..., 0].mean(axis=(1, 2)) > 0).astype(int)


def stack():
    block = [BatchNorm(), ReLU(), Conv2D(4, 3, padding="same", biases=None), Dropout2D(0.2), Scale(0.1)]
    return [
        *(Conv2D(4, 3, padding="same", groups=2), BatchNorm(), ReLU(), MaxPool2D(2), Dropout2D(0.1)),
        *(Residual(block), AveragePool2D(2, padding="same"), Flatten(), Dense(2)),
    ]


def network(seed=0, **options):
    return cr.Network((8, 8, 2), stack(), "softmax_cross_entropy", seed=seed, **options)


def trained(**options):
    net = network()
    cr.train(net, X, T, **{"epochs": 3, "batch_size": 20, "seed": 1, **options})
    return net


# Training ------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::chainrule.advice.LearningRateWarning")
def test_statistics_follow_the_batches_and_prediction_uses_them():
    net = cr.Network((2, 2, 1), [BatchNorm(0.5), Flatten(), Dense(1)], "squared_error", seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(3, 2, size=(20, 2, 2, 1))
    cr.train(net, x, np.zeros(20), epochs=40, seed=0, optimizer=cr.optimizers.SGD(1e-9))
    layer = net.layers[0]
    np.testing.assert_allclose(layer.running_mean, x.mean(axis=(0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(layer.running_var, x.var(axis=(0, 1, 2), ddof=1), rtol=1e-9)
    before = net.values.copy()
    net.predict(x)
    cr.check_gradient(net, x[:5], np.zeros(5))
    net.loss_and_grad(x, np.zeros(20))
    np.testing.assert_array_equal(net.values, before)  # only training moves them


def test_it_learns():
    history = cr.train(network(), X, T, epochs=20, batch_size=15, seed=0, optimizer=cr.optimizers.Adam(0.01))
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_divergence_puts_statistics_back():
    class Explode(Callback):
        def on_epoch(self, run):
            kept.append(run.network.values.copy())
            if run.epoch == 2:
                run.network.theta[-1] = np.inf

    kept, net = [], network()
    with pytest.raises(cr.DivergenceError):
        cr.train(net, X, T, epochs=5, batch_size=20, seed=1, callbacks=[Explode()])
    np.testing.assert_array_equal(net.statistics, kept[1][net.theta.size :])


def test_early_stopping_restores_the_statistics_of_the_best_epoch():
    class Keep(Callback):
        def on_epoch(self, run):
            kept.append(run.network.values.copy())

    kept, net, stop = [], network(), EarlyStopping("val_loss", patience=2)
    cr.train(net, X, T[::-1].copy(), epochs=40, batch_size=20, seed=1, validation=0.3, callbacks=[Keep(), stop])
    assert stop.best_epoch < len(kept)
    np.testing.assert_array_equal(net.values, kept[stop.best_epoch - 1])


class Killed(Exception):  # noqa: N818  (no error)
    pass


class KillAt(Callback):
    def on_epoch(self, run):
        if run.epoch == 4:
            raise Killed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_training_that_was_broken_off_goes_on_bit_for_bit(tmp_path, dtype):
    def fit(*callbacks, **options):
        net = network(dtype=dtype)
        stop = EarlyStopping("loss", patience=50)
        callbacks = [stop, *callbacks]
        cr.train(net, X, T, epochs=6, batch_size=20, seed=3, callbacks=callbacks, **options)
        return net.values.copy()

    whole = fit()
    with pytest.raises(Killed):
        fit(Checkpoint(tmp_path), KillAt())
    np.testing.assert_array_equal(fit(Checkpoint(tmp_path), resume=tmp_path), whole)


# Copies and files ----------------------------------------------------------------------------------------------------


def test_copies_have_their_own_statistics_and_inner_layers():
    net = trained()
    for duplicate in (copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))):
        other = duplicate(net)
        np.testing.assert_array_equal(other.values, net.values)
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
        other.values[:] = 0.5
        assert (other.layers[1].running_mean == 0.5).all()
        assert (other.layers[5].inner[2].W == 0.5).all()
        assert not (net.layers[5].inner[2].W == 0.5).any()
        assert not (net.layers[1].running_mean == 0.5).any()
    wide = net.astype("float64")
    assert wide.layers[5].inner[0].running_var.dtype == np.float64
    np.testing.assert_allclose(wide.predict(X), net.predict(X), rtol=1e-4)
    assert len(pickle.dumps(net)) < net.values.nbytes + 10_000


def test_statistics_are_saved_loaded_and_served(tmp_path):
    net, path = trained(), tmp_path / "images.safetensors"
    assert net.statistics.size == 4 * 4
    cr.save(net, path)
    for loaded in (cr.load(path), cr.load(path)):
        np.testing.assert_array_equal(loaded.values, net.values)
        np.testing.assert_array_equal(loaded.predict(X), net.predict(X))
        assert repr(loaded) == repr(net)
    net.layers[1].running_var[0] = np.nan
    with pytest.raises(ValueError, match=r"save: layers.1.running_var is not finite"):
        cr.save(net, tmp_path / "other.safetensors")


def description_of(path):
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["chainrule"]), content[8 + length :]


def write(path, header, description, data):
    header["__metadata__"]["chainrule"] = json.dumps(description)
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)


ODD = [0, -1, 1, 2, 3, 2**31, 2**40, 2**62, 10**30, 0.5, 1e300, True, None, "", "same", "valid", [], [1], [2, 2],
       [1, 2, 3, 4], [2**40, 2**40], {}, {"type": "Conv2D"}, {"type": "Residual", "layers": []}]  # fmt: skip


def places(value, path=()):
    """Every place in nested lists and dictionaries."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


@pytest.mark.slow
def test_a_changed_description_loads_or_is_refused_at_once(tmp_path):
    """In a process of its own, where no signature is checked: that would be most of the work."""
    code = f"import test_convolutional; print(test_convolutional.load_changed({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 10


def load_changed(folder):
    """Load a thousand files whose description was changed; return how many of them were whole."""
    net = cr.Network(
        130,
        [Embedding([3, 4], 2, columns=[1, 0]), Dense(128), Reshape((8, -1, 2)), *stack()[:-2],
         Residual([Residual([BatchNorm()])]), GlobalAveragePool2D(), Dense(2)],
        "softmax_cross_entropy", seed=0,
    )  # fmt: skip
    path = Path(folder, "model.safetensors")
    cr.save(net, path)
    header, description, data = description_of(path)
    rng, everywhere = np.random.default_rng(0), list(places(description["network"]))
    loaded = 0
    for _ in range(1000):
        changed = copy.deepcopy(description)
        for _ in range(rng.integers(1, 3)):
            *way, last = everywhere[rng.integers(len(everywhere))]
            part = changed["network"]
            try:
                for key in way:
                    part = part[key]
                if rng.random() < 0.1:
                    del part[last]
                else:
                    part[last] = copy.deepcopy(ODD[rng.integers(len(ODD))])
            except (KeyError, IndexError, TypeError):  # the first change took it away
                continue
        write(path, header, changed, data)
        try:
            with calls(100_000):
                cr.load(path)
            loaded += 1
        except ModelFileError as error:
            assert "\n" not in str(error)  # noqa: PT017
    return loaded


def test_layers_nested_without_end_are_refused_at_once(tmp_path):
    path = tmp_path / "model.safetensors"
    cr.save(cr.Network(2, [Dense(2)], "squared_error", seed=0), path)
    header, description, data = description_of(path)
    nested = {"type": "BatchNorm"}
    for _ in range(200):
        nested = {"type": "Residual", "layers": [nested]}
    description["network"]["layers"].append(nested)
    write(path, header, description, data)
    with pytest.raises(ModelFileError, match="nested more than 16 deep"):
        cr.load(path)
    description["network"]["layers"][1] = {"type": "Residual", "layers": [{"type": "Tanh"}] * 2001}
    write(path, header, description, data)
    with pytest.raises(ModelFileError, match="expected at most 2000, got 2001"):
        cr.load(path)


# Threads, memory, forks ----------------------------------------------------------------------------------------------


def large():
    layers = [Conv2D(8, 5), BatchNorm(), ReLU(), MaxPool2D(2), Residual([BatchNorm(), Conv2D(8, padding="same")])]
    layers += [AveragePool2D(2), Dropout2D(0.1), Flatten(), Dense(10)]
    return cr.Network((28, 28, 1), layers, "softmax_cross_entropy", seed=0)


@pytest.mark.slow
def test_results_do_not_depend_on_the_threads(monkeypatch):
    rng = np.random.default_rng(0)
    x, t = rng.random((300, 28, 28, 1), dtype="float32"), rng.integers(0, 10, 300)

    def run(threads):
        net = large()
        cr.train(net, x, t, epochs=2, batch_size=64, seed=0, threads=threads)
        return net.values, net.predict(x)

    values, y = run(1)
    for threads in (2, 3, None):
        np.testing.assert_array_equal(run(threads)[0], values, err_msg=f"{threads} threads")
    for threads in "1", "3":
        monkeypatch.setenv("CHAINRULE_NUM_THREADS", threads)
        again, y_again = run(None)
        np.testing.assert_array_equal(again, values, err_msg=f"CHAINRULE_NUM_THREADS={threads}")
        np.testing.assert_array_equal(y_again, y, err_msg=f"CHAINRULE_NUM_THREADS={threads}")


SCRIPT = """
import os, sys, tracemalloc
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
X, t = rng.random((900, 28, 28, 1), dtype="float32"), rng.integers(0, 10, 900)
block = [BatchNorm(), ReLU(), Conv2D(16, padding="same", groups=2), Dropout2D(0.1), LayerNorm(), RMSNorm(), Scale(0.1)]
network = cr.Network((28, 28, 1), [Conv2D(16, 5, biases=None), BatchNorm(), ReLU(), MaxPool2D(2), Residual(block),
    AveragePool2D(2, 2, "same"), Conv2D(16, 3, 2, 1), LayerNorm(), GlobalAveragePool2D(), RMSNorm(), Dense(10)],
    "softmax_cross_entropy", seed=0)
if sys.argv[1] == "memory":
    tracemalloc.start()
    cr.train(network, X, t, epochs=3, batch_size=300, seed=0, callbacks=[Peak()], optimizer="adam", threads=1)
    print(Peak.worst)
else:
    cr.train(network, X, t, epochs=1, batch_size=100, seed=0, threads=2)
    os.environ["CHAINRULE_NUM_THREADS"] = "2"
    expected = network.predict(X)
    child = os.fork()
    if not child:
        os._exit(int(not np.array_equal(network.predict(X), expected)))
    print(os.waitpid(child, 0)[1])
"""


def output_of(what):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, what]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)


@pytest.mark.slow
def test_a_step_in_steady_state_allocates_no_array_of_a_batch():
    peak = output_of("memory")
    assert 0 < peak < 128 * 1024, f"{peak / 1024:.0f} KiB a step"  # the smallest activation of a batch: 169 KiB


@pytest.mark.parametrize("groups", [1, 4])
def test_the_windows_of_a_batch_are_never_all_in_memory(groups):
    layer = cr.Network((32, 32, 8), [Conv2D(4, 5, groups=groups), Flatten()], "squared_error", seed=0).layers[0]
    x = np.ones((64, 32, 32, 8), "float32")
    whole = 28 * 28 * 25 * x[..., 0, 0, :].nbytes  # 40 MB; x has 2 MB, and y 0.8
    tracemalloc.start()
    try:
        memo = cr.Memo()
        layer.backward(layer.forward(x, memo), memo)
        assert tracemalloc.get_traced_memory()[1] < whole / 4
        del memo.x, memo.dW, memo.db
        assert tracemalloc.get_traced_memory()[0] < 100_000, "a prediction keeps the windows"
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("images", [1, 2, 3])
def test_the_gradients_do_not_depend_on_how_many_images_are_copied_at_a_time(images, groups, monkeypatch):
    conv = Conv2D(4, (3, 2), stride=(1, 2), padding=1, dilation=2, groups=groups)
    layer = cr.Network((8, 8, 2), [conv, Flatten()], "squared_error", seed=0, dtype="float64").layers[0]
    memo, dy = cr.Memo(training=True), RNG.normal(size=(5, *layer.output_shape))
    few = 2 if images == 3 else 5  # memory for more images is needed in the next batch

    def gradients(rows):
        x = X[:rows].astype("float64")
        return layer.forward(x, memo), layer.backward(dy[:rows], memo), memo.dW.copy()

    gradients(few)
    expected = gradients(5)
    monkeypatch.setattr(windows, "BLOCK", images * layer._windows.reads(2))
    memo = cr.Memo(training=True)
    gradients(few)
    for value, value_expected in zip(gradients(5), expected, strict=True):
        np.testing.assert_allclose(value, value_expected, rtol=1e-12, atol=1e-14)


def test_a_convolution_uses_one_blas_thread():
    """Otherwise its sums, in BLAS, would depend on the number of threads."""
    first, inside = Conv2D(8, padding="same"), Residual([Residual([Conv2D(2, padding="same")])])
    for layers, blas in ([first], 1), ([inside], 1), ([], 3):
        network = cr.Network((8, 8, 2), [*layers, Flatten(), Dense(10)], "softmax_cross_entropy", seed=0)
        assert thread_counts(network, 32, 3)[:2] == (3, blas)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_process_predicts():
    assert output_of("fork") == 0
