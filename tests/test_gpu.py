"""Networks on a GPU. CuPy's strict stand-in computes with NumPy here; ``tests/test_gpu_real.py`` needs a card."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse

import chainrule as cr
import fake_cupy
import variants
from chainrule import layers, penalties, workspace
from chainrule._internal import backend
from chainrule._internal.names import public_classes
from chainrule._internal.philox import INPUTS, SOURCE, Philox
from chainrule.advice import LearningRateWarning
from chainrule.layers import BatchNorm, Dense, Dropout, Flatten, ReLU, Tanh
from chainrule.losses import SoftmaxCrossEntropy, SquaredError
from chainrule.optimizers import SGD, Adam, AdamW, Momentum
from chainrule.training import clipping
from chainrule.training.arguments import placed
from chainrule.training.clipping import Clip, ClipNorm, ClipValue
from chainrule.training.compiled import cuda
from chainrule.training.ranks import Ranks
from chainrule.training.snapshots import CheckpointError
from fake_cupy import MACHINE, SEEN, DeviceArray

CLOSE = {"float32": 2e-5, "float64": 1e-12}
IMAGE = (6, 5, 4)
PENALTIES = [penalties.L1(0.01), penalties.L2(0.02), penalties.L1(0.3, per_row=True), penalties.L2(0.1, biases=True)]
ROWS = np.random.default_rng(0).normal(size=(23, 5))
LABELS = np.random.default_rng(1).integers(0, 3, 23)


@pytest.fixture(autouse=True)
def gpu():
    with fake_cupy.installed():
        yield


@pytest.fixture(autouse=True)
def reference(monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", "reference")


def small(dtype="float32", *, loss="softmax_cross_entropy", outputs=3, stack=None):
    return cr.Network(5, stack or [Dense(7), Tanh(), Dense(outputs)], loss, seed=1, dtype=dtype)


def both(network, X, t, **settings):
    """Train on the CPU and on the GPU; compare parameters and histories; return the one from the GPU."""
    before, after = copy.copy(network), network.to("cuda")
    expected = cr.train(before, X, t, **{"seed": 2, "epochs": 3, "batch_size": 6} | settings)
    history = cr.train(after, X, t, **{"seed": 2, "epochs": 3, "batch_size": 6} | settings)
    close = CLOSE[str(network.dtype)]
    np.testing.assert_allclose(after.values.get(), before.values, rtol=0, atol=close * max(1, abs(before.values).max()))
    for column in set(history.columns) - {"seconds"}:
        np.testing.assert_allclose(history[column], expected[column], rtol=10 * close, atol=close, err_msg=column)
    assert history.engine.startswith("cuda: Fake GPU")
    return after, history


# The textbook's own array code, to the bit ----------------------------------------------------------------------------


class Drawn:
    """A generator of NumPy that also fills arrays of a GPU."""

    def __init__(self):
        self.rng = np.random.default_rng(3)

    def random(self, shape, dtype, out):
        return self._put(self.rng.random(shape, dtype=dtype), out)

    def standard_normal(self, shape, dtype, out):
        return self._put(self.rng.standard_normal(shape, dtype=dtype), out)

    def _put(self, numbers, out):
        getattr(out, "inside", out)[...] = numbers
        return out


def draw_alike(memos):
    for memo in memos:
        memo.rng = Drawn()
        draw_alike(memo.inner or [])


def inputs_for(layer, rows, dtype):
    shape = next(shape for shape in ((4,), IMAGE, (6, 5, 2)) if variants.takes(layer, shape))
    rng = np.random.default_rng(4)
    x = rng.integers(0, 2, (rows, *shape)) if isinstance(layer, layers.Embedding) else rng.normal(size=(rows, *shape))
    return shape, x.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("layer", [case.layer for case in variants.LAYERS], ids=repr)
@pytest.mark.few(16)
def test_every_layer_trains_on_a_gpu_as_on_the_cpu(layer, dtype):
    shape, x = inputs_for(layer, 9, dtype)
    stack = [layer, *([Flatten()] if len(variants.gives(layer, shape)) > 1 else []), Dense(2)]
    if not isinstance(layer, layers.Embedding) and len(shape) == 1:
        stack = [Dense(shape[0]), *stack]  # so that dx is computed
    network = cr.Network(shape, stack, SquaredError(), seed=1, dtype=dtype)
    t = np.random.default_rng(5).normal(size=(9, 2)).astype(dtype)
    values = []
    for there in (network, network.to("cuda")):
        space = there.workspace(9, seed=0)
        draw_alike(space.memos)
        state = Adam(0.01).start(there.theta, there.weights)
        for n in (9, 5, 9):
            loss, grad = there.loss_and_grad(there.near(x[:n]), there.near(t[:n]), space)
            there.update_statistics(space)
            Adam(0.01).update(there.theta, grad, state)
        values.append((backend.host(there.values), float(loss), cr.evaluate(there, x, t)["loss"]))
    assert isinstance(grad, DeviceArray)
    assert isinstance(loss, DeviceArray)
    np.testing.assert_array_equal(values[1][0], values[0][0])
    assert values[1][1:] == values[0][1:]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("case", variants.LOSSES, ids=lambda case: f"{case.loss!r} {case.targets.__name__}")
def test_every_loss_is_the_same_to_the_bit(case, weighted):
    rng = np.random.default_rng(0)
    network = small("float64", loss=case.loss, outputs=case.outputs)
    t = case.targets(rng, 23, case.outputs)
    weight = rng.random(23) if weighted else None
    expected, grad = network.loss_and_grad(ROWS, t, sample_weight=weight)
    loss, there = network.to("cuda").loss_and_grad(ROWS, t, sample_weight=weight)
    assert float(loss) == expected
    np.testing.assert_array_equal(there.get(), grad)
    np.testing.assert_array_equal(network.to("cuda").predict(ROWS), network.predict(ROWS))


@pytest.mark.parametrize("optimizer", [case.optimizer for case in variants.OPTIMIZERS], ids=repr)
def test_every_optimizer_is_the_same_to_the_bit(optimizer):
    rng = np.random.default_rng(0)
    theta, gradients = rng.normal(size=10).astype("float32"), rng.normal(size=(3, 10)).astype("float32")
    there = backend.to(theta, "cuda:0")
    states = optimizer.start(theta, [theta[:6]]), optimizer.start(there, [there[:6]])
    for g in gradients:
        optimizer.update(theta, g, states[0])
        optimizer.update(there, backend.to(g, "cuda:0"), states[1])
    np.testing.assert_array_equal(there.get(), theta)


@pytest.mark.parametrize("term", [*PENALTIES, penalties.MaxNorm(0.5)], ids=repr)
def test_every_penalty_is_the_same_to_the_bit(term):
    networks = small("float32"), small("float32").to("cuda")
    results = []
    for network in networks:
        grad = np.ones_like(network.theta)
        bound = penalties.BoundPenalties([term], network.layout, 3, network.theta, grad)
        value = float(bound.value(6.0))
        bound.add_gradient(6.0)
        bound.project()
        results.append((value, *map(backend.host, (grad, network.theta))))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-6)  # the sum is multiplied in float32 there
    np.testing.assert_array_equal(results[1][1:], results[0][1:])


@pytest.mark.parametrize("clip", [ClipNorm(0.05), ClipNorm(100.0), ClipValue(0.01)], ids=repr)
def test_every_clip_is_the_same_to_the_bit(clip):
    grad = np.random.default_rng(0).normal(size=30).astype("float32")
    there = backend.to(grad, "cuda:0")
    clip.apply(grad)
    clip.apply(there)
    np.testing.assert_array_equal(there.get(), grad)
    assert set(public_classes(clipping, Clip)) == {"ClipNorm", "ClipValue"}


class Tensor:
    """As PyTorch's: the class has the interface of GPU arrays, also for those in main memory."""

    def __init__(self, x):
        self.x, self.shape = x, x.shape

    @property
    def __cuda_array_interface__(self):
        raise AttributeError

    def __array__(self, dtype=None, copy=None):
        return self.x

    def __len__(self):
        return len(self.x)


def test_tensors_of_another_library_in_main_memory():
    network, other = small(), small()
    history = cr.train(network, Tensor(ROWS), Tensor(LABELS), validation=0.2, epochs=2, batch_size=6, seed=0)
    assert history["loss"] == cr.train(other, ROWS, LABELS, validation=0.2, epochs=2, batch_size=6, seed=0)["loss"]
    np.testing.assert_array_equal(network.predict(Tensor(ROWS)), other.predict(ROWS))


def test_nothing_converts_by_itself():
    network = small().to("cuda")
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(network.theta)
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        network.theta += np.ones(network.theta.size, "float32")
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        network.forward(ROWS.astype("float32"))


# The kernels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("activation", [case.layer for case in variants.ACTIVATIONS], ids=repr)
@pytest.mark.few(6)
def test_every_activation(activation, dtype):
    stack = [Dense(7), activation, Dense(6, biases=None), copy.copy(activation), Dense(3)]
    network = cr.Network(5, stack, "squared_error", seed=1, dtype=dtype)
    both(network, 3 * ROWS, np.random.default_rng(0).normal(size=(23, 3)), optimizer=Momentum(0.005))
    if type(activation) not in {layers.Identity, layers.Softmax, layers.PReLU}:
        name = f"chainrule_{type(activation).__name__}"
        assert all(SEEN[f"{name}_{what}"] for what in ("bias", "y", "dx"))


@pytest.mark.few(6)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("loss", variants.every_loss(), ids=repr)
def test_every_loss(loss, weighted):
    rng = np.random.default_rng(0)
    weight = rng.random(23) if weighted else None
    for case in (case for case in variants.LOSSES if case.loss == loss or repr(case.loss) == repr(loss)):
        network = small("float64", loss=loss, outputs=case.outputs)
        both(
            network,
            ROWS,
            case.targets(rng, 23, case.outputs),
            sample_weight=weight,
            validation=0.2,
            optimizer=SGD(0.05),
        )


SLOW = [pytest.param(clip, marks=pytest.mark.slow) for clip in (None, ClipNorm(100.0), ClipValue(0.01))]


@pytest.mark.few(3)
@pytest.mark.parametrize("clip", [ClipNorm(0.05), *SLOW], ids=repr)
@pytest.mark.parametrize("optimizer", [variants.brisk(cls) for cls in variants.forms(variants.OPTIMIZERS)], ids=repr)
def test_every_optimizer(optimizer, clip):
    settings = {"penalties": [PENALTIES[1], PENALTIES[2]], "clip": clip, "layer_rates": {2: 0.5}, "accumulate": 2}
    both(small("float64"), ROWS, LABELS, optimizer=optimizer, **settings)
    assert SEEN[f"chainrule_{type(optimizer).__name__}"]


def test_weights_decay_and_biases_do_not():
    stack = [Dense(7, biases="normal"), Tanh(), Dense(3)]
    for optimizer in (AdamW(0.01, weight_decay=0.3), AdamW(0.01, weight_decay=0.3, biases=True)):
        both(small("float64", stack=stack), ROWS, LABELS, optimizer=optimizer)


def test_one_kernel_takes_the_step_of_all_parameters():
    both(small(), ROWS, LABELS, epochs=1)
    assert SEEN["chainrule_Adam"] == 4  # 23 rows in batches of 6


@pytest.mark.parametrize("term", [*PENALTIES, penalties.MaxNorm(0.3)], ids=repr)
def test_every_penalty(term):
    both(small("float64"), ROWS, LABELS, penalties=[term], epochs=2)


def test_many_classes_take_array_operations():
    t = np.random.default_rng(0).integers(0, 300, 23)
    both(small("float64", outputs=300), ROWS, t)
    assert not SEEN["chainrule_softmax_cross_entropy"]


def test_the_gpu_is_read_once_a_block_and_not_for_each_batch(monkeypatch):
    monkeypatch.setattr("chainrule.training.loop.BLOCK_SECONDS", 60.0)  # a busy machine makes no more blocks
    waits = []
    for batch_size in (12, 2):
        SEEN.clear()
        cr.train(small().to("cuda"), ROWS, LABELS, epochs=1, batch_size=batch_size, seed=0, clip=ClipNorm(0.1))
        waits.append(SEEN["waits"] - SEEN["blocks"])
    assert waits[1] <= waits[0] + 3, "each block reads the losses once; a batch must not wait for the GPU"


def test_networks_of_images_and_of_blocks():
    conv = [layers.Conv2D(3, 3, padding="same"), BatchNorm(), ReLU(), layers.MaxPool2D(2), Flatten(), Dense(3)]
    images = np.random.default_rng(0).normal(size=(23, 6, 6, 2))
    network = cr.Network((6, 6, 2), conv, "softmax_cross_entropy", seed=1, dtype="float64")
    both(network, images, LABELS, validation=(images[:7], LABELS[:7]))
    block = layers.Residual([Dense(5), Tanh(), Dense(5)])
    both(small("float64", stack=[block, layers.LayerNorm(), Dense(3)]), ROWS, LABELS)


# Random numbers --------------------------------------------------------------------------------------------------------


def philox(counter, key):
    """The same in NumPy, from the paper: four words of each counter."""
    words = [np.asarray(word, np.uint64) for word in counter]
    k0, k1 = key
    for _ in range(10):
        p0, p1 = words[0] * np.uint64(0xD2511F53), words[2] * np.uint64(0xCD9E8D57)
        low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
        words = [(p1 >> high) ^ words[1] ^ np.uint64(k0), p1 & low, (p0 >> high) ^ words[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return words


def test_philox_gives_the_published_numbers():
    # The first and the last of the vectors that the authors publish with their implementation, Random123.
    assert [int(w) for w in philox((0, 0, 0, 0), (0, 0))] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    pi = philox((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0))
    assert [int(w) for w in pi] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@pytest.mark.parametrize("word", "abcd")
def test_the_kernel_gives_the_same_numbers(word):
    out = backend.to(np.zeros(5, "uint32"), "cuda:0")
    body = f"u = philox(i, call, k0, k1).{word};"
    backend.kernel(INPUTS, "T u", body, f"test_philox_{word}", SOURCE)(7, 0xA4093822, 0x299F31D0, out)
    expected = philox((np.arange(5), 0, 7, 0), (0xA4093822, 0x299F31D0))["abcd".index(word)]
    np.testing.assert_array_equal(out.get(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_and_normal_numbers(dtype):
    rng = Philox(0)
    u, z = rng.random(200_000, dtype).get(), rng.standard_normal(200_000, dtype).get()
    assert u.dtype == z.dtype == dtype
    assert 0 <= u.min() < u.max() < 1
    assert u.mean() == pytest.approx(0.5, abs=0.003)
    assert u.var() == pytest.approx(1 / 12, abs=0.001)
    assert np.isfinite(z).all()
    assert (z.mean(), z.std()) == (pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))
    assert np.corrcoef(u[:-1], u[1:])[0, 1] == pytest.approx(0, abs=0.01)
    assert not np.array_equal(rng.random(9, dtype).get(), rng.random(9, dtype).get())
    np.testing.assert_array_equal(Philox(5).random(9, dtype).get(), Philox(5).random(9, dtype).get())


class OnTheCPU(Philox):
    """The generator of a GPU for arrays of NumPy."""

    def random(self, size=None, dtype=np.float64, out=None):
        call, *key = self.arguments()
        a, b, *_ = philox((np.arange(np.prod(size)), 0, call, 0), key)
        wide = ((a >> np.uint64(5)) * 67108864.0 + (b >> np.uint64(6))) / 2.0**53
        u = (a >> np.uint64(8)) / 2.0**24 if dtype == np.float32 else wide
        out = np.empty(size, dtype) if out is None else out
        out[...] = u.reshape(size)
        return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_is_drawn_by_the_seed(dtype, monkeypatch):
    monkeypatch.setattr(workspace, "generator", lambda seed, device: (OnTheCPU if device == "cpu" else Philox)(seed))
    stack = [Dropout(0.1), Dense(9), ReLU(), Dropout(0.4), Dense(3)]
    both(small(dtype, stack=stack), ROWS, LABELS)
    assert SEEN["chainrule_dropout"]


def test_the_same_seed_gives_the_same_network():
    def trained(seed):
        network = small(stack=[Dense(9), Dropout(0.5), layers.GaussianNoise(0.1), Dense(3)]).to("cuda")
        cr.train(network, ROWS, LABELS, epochs=2, seed=seed)
        return network.theta.get()

    np.testing.assert_array_equal(trained(1), trained(1))
    assert not np.array_equal(trained(1), trained(2))


# Devices ---------------------------------------------------------------------------------------------------------------


def test_a_network_moves_there_and_back():
    network = small()
    there = network.to("cuda")
    assert (network.device, there.device, there.to("cuda:1").device) == ("cpu", "cuda:0", "cuda:1")
    assert isinstance(there.layers[0].W, DeviceArray)
    back = there.to("cuda:1").to("cpu")
    assert back.device == "cpu"
    np.testing.assert_array_equal(back.theta, network.theta)
    assert network.to("cpu").theta is not network.theta


def test_predictions_are_where_the_rows_are():
    network = small().to("cuda")
    here = network.predict(ROWS)
    there = network.predict(backend.to(ROWS.astype("float32"), "cuda:0"))
    assert isinstance(here, np.ndarray)
    assert isinstance(there, DeviceArray)
    np.testing.assert_array_equal(there.get(), here)
    np.testing.assert_allclose(here, small().predict(ROWS), rtol=1e-6)
    assert cr.evaluate(network, ROWS, LABELS)["loss"] == pytest.approx(cr.evaluate(small(), ROWS, LABELS)["loss"])


def test_many_rows_are_predicted_in_chunks(monkeypatch):
    monkeypatch.setattr("chainrule.network.CHUNK_BYTES", 64)
    network = small("float64")
    np.testing.assert_allclose(
        network.to("cuda").predict(np.tile(ROWS, (9, 1))), np.tile(network.predict(ROWS), (9, 1))
    )


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_training_of_a_network_in_main_memory(device):
    network, expected = small("float64"), small("float64")
    there = []

    class Look(cr.Callback):
        def on_epoch(self, run):
            there.append(run.network.device)

    history = cr.train(network, ROWS, LABELS, epochs=3, seed=2, device=device, callbacks=[Look()])
    cr.train(expected, ROWS, LABELS, epochs=3, seed=2)
    assert network.device == "cpu"
    assert set(there) == {"cuda:0" if device == "cuda" else device}
    assert history.engine == "cuda: Fake GPU, float64"
    np.testing.assert_allclose(network.theta, expected.theta, atol=1e-12)


def test_rows_and_targets_may_be_on_the_gpu():
    network, expected = small("float64"), small("float64")
    X, t = backend.to(ROWS, "cuda:0"), backend.to(LABELS, "cuda:0")
    cr.train(network, X, t, epochs=3, seed=2, device="cuda", validation=(X, t))
    cr.train(expected, ROWS, LABELS, epochs=3, seed=2)
    np.testing.assert_allclose(network.theta, expected.theta, atol=1e-12)


def test_rows_that_do_not_fit_come_batch_by_batch():
    fits, expected = small("float64"), small("float64")
    MACHINE.free = ROWS.nbytes - 1  # X as a whole would raise an error
    cr.train(fits, ROWS, LABELS, epochs=3, seed=2, device="cuda", batch_size=2)
    cr.train(expected, ROWS, LABELS, epochs=3, seed=2, batch_size=2)
    np.testing.assert_allclose(fits.theta, expected.theta, atol=1e-12)


def test_augmentation_takes_rows_in_main_memory():
    mixup = cr.training.augmentation.Mixup(0.2)
    with pytest.raises(TypeError, match=r"augment: expected X in main memory, got an array on a GPU: give X\.get\(\)"):
        cr.train(small(), backend.to(ROWS, "cuda:0"), LABELS, device="cuda", augment=[mixup])


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "changes",
    [
        {"augment": [cr.training.augmentation.Mixup(0.2)]},
        {"callbacks": [cr.EMA(0.9)]},
        {"callbacks": [cr.SWA(start=2)]},
        {"callbacks": [cr.EarlyStopping(patience=1, monitor="val_loss")], "validation": 0.3, "epochs": 6},
        {"shuffle": False},
        {"schedule": "one_cycle"},
        {"sample_weight": np.linspace(0, 1, 23), "validation": 0.2},
    ],
    ids=["augment", "EMA", "SWA", "early stopping", "in order", "schedule", "weights"],
)
def test_what_training_offers_works_there_too(changes):
    stack = [Dense(7), BatchNorm(), ReLU(), Dense(3)]
    both(small("float64", stack=stack), ROWS, LABELS, **changes)


def test_tf32_is_asked_of_cublas_and_given_back(monkeypatch):
    used = []
    dot = fake_cupy.FUNCTIONS["dot"]
    monkeypatch.setattr(
        fake_cupy, "_check_call", lambda name, *_: used.append(MACHINE.compute_type) if name == "dot" else dot
    )
    history = cr.train(small(), ROWS, LABELS, epochs=1, device="cuda", precision="tf32")
    assert set(used) == {3}
    assert MACHINE.compute_type == 0
    assert history.engine == "cuda: Fake GPU, tf32"


def test_saving_copying_and_pickling(tmp_path):
    network = small().to("cuda")
    cr.save(network, tmp_path / "there.safetensors")
    np.testing.assert_array_equal(cr.load(tmp_path / "there.safetensors").theta, network.theta.get())
    for other in (copy.copy(network), copy.deepcopy(network)):
        assert other.device == "cuda:0"
        assert other.theta is not network.theta
    assert pickle.loads(pickle.dumps(network.to("cpu"))).device == "cpu"


def test_what_reads_a_whole_network_reads_a_copy(tmp_path):
    network = small(stack=[Dense(4), BatchNorm(), ReLU(), Dense(3)])
    there = network.to("cuda")
    assert cr.check_gradient(there, ROWS, LABELS).ok
    assert str(cr.trace(there, ROWS[0], 1)) == str(cr.trace(network, ROWS[0], 1))
    np.testing.assert_array_equal(cr.fold(there).theta, cr.fold(network).theta)
    for name, save in (("x.onnx", cr.onnx.save), ("x.js", cr.export.save)):
        save(network, tmp_path / name)
        expected = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        save(there, tmp_path / name)
        assert (tmp_path / name).read_bytes() == expected
    there.theta = np.zeros(network.theta.size)
    assert not there.theta.get().any()


def test_a_network_without_parameters():
    network = cr.Network(5, [ReLU(), Tanh()], SquaredError())
    assert len(cr.train(network, ROWS, ROWS, epochs=2, device="cuda")) == 2


def test_a_checkpoint_resumes_to_the_bit(tmp_path):
    stack = [Dense(9), BatchNorm(), ReLU(), Dropout(0.3), Dense(3)]

    def trained(epochs, folder, **more):
        network = small(stack=stack)
        callbacks = [cr.EMA(0.9), cr.Checkpoint(folder)]
        cr.train(network, ROWS, LABELS, epochs=epochs, seed=0, device="cuda", callbacks=callbacks, **more)
        return network.values

    whole = trained(4, tmp_path / "whole")
    trained(2, tmp_path / "parts")
    np.testing.assert_array_equal(trained(4, tmp_path / "parts", resume=tmp_path / "parts"), whole)
    with pytest.raises(CheckpointError, match="cannot resume"):
        cr.train(small(stack=stack), ROWS, LABELS, epochs=5, seed=0, resume=tmp_path / "whole",
                 callbacks=[cr.EMA(0.9), cr.Checkpoint(tmp_path / "whole")])  # fmt: skip


def test_divergence_is_found_and_undone():
    network = small("float32", loss="squared_error")
    before = network.theta.copy()
    with pytest.warns(LearningRateWarning), pytest.raises(cr.DivergenceError, match=r"batch [2-4] of 4"):
        cr.train(network, ROWS, ROWS[:, :3], optimizer=SGD(1e30), epochs=3, batch_size=6, device="cuda")
    np.testing.assert_array_equal(network.theta, before)


# Bad input -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "device: expected 'cpu', 'cuda', or 'cuda:1' for the second GPU, got 'gpu'"),
        ({"device": "cpu:0"}, "device: expected 'cpu'"),
        ({"device": "cuda:"}, "device: expected 'cpu'"),
        ({"device": "cuda:2"}, "this machine has 'cuda:0', 'cuda:1', got 'cuda:2'"),
        ({"precision": "tf32"}, "precision='tf32' is for float32 networks on a GPU, got float32 on 'cpu'"),
        ({"precision": "half"}, "precision: expected 'float32' or 'tf32', got 'half'"),
    ],
    ids=str,
)
def test_devices_that_are_not_there(arguments, message):
    with pytest.raises(ValueError, match=message):
        cr.train(small(), ROWS, LABELS, **arguments)


def test_no_gpu_and_no_cupy(monkeypatch):
    def no_driver():
        raise RuntimeError("cudaErrorInsufficientDriver")

    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "getDeviceCount", no_driver)
    with pytest.raises(ValueError, match=r"CuPy finds no GPU on this machine \(cudaErrorInsufficientDriver\)"):
        small().to("cuda")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match=r"pip install .*cuda"):
        small().to("cuda")


def test_too_little_memory_is_a_sentence():
    network = small()
    before = network.theta.copy()
    MACHINE.free = 100
    with pytest.raises(MemoryError, match=r"cuda:0 has too little free memory .*give a smaller batch_size"):
        cr.train(network, ROWS, LABELS, device="cuda")
    np.testing.assert_array_equal(network.theta, before)
    assert network.device == "cpu"


def test_float64_has_no_tf32():
    with pytest.raises(ValueError, match="got float64 on 'cuda:0'"):
        cr.train(small("float64"), ROWS, LABELS, device="cuda", precision="tf32")


def test_sparse_rows_stay_on_the_cpu():
    rows = scipy.sparse.csr_matrix(ROWS)
    for call in (lambda: cr.train(small(), rows, LABELS, device="cuda"), lambda: small().to("cuda").predict(rows)):
        with pytest.raises(TypeError, match=r"X: got sparse rows, but the network is on cuda:0: give X\.toarray\(\)"):
            call()


def test_a_state_belongs_to_its_device():
    state = Adam().start(small().theta)
    with pytest.raises(ValueError, match=r"state\.m is on cpu, not on cuda:0"):
        cr.train(small().to("cuda"), ROWS, LABELS, optimizer=Adam(), state=state)


def test_a_state_goes_along_and_comes_back():
    networks = small("float64"), small("float64")
    states = [Adam().start(network.theta, network.weights) for network in networks]
    for _ in range(2):
        for network, state, device in zip(networks, states, ("cpu", "cuda"), strict=True):
            cr.train(network, ROWS, LABELS, epochs=1, seed=0, device=device, optimizer=Adam(), state=state)
    assert states[0].t == states[1].t == 2
    np.testing.assert_allclose(states[1].m, states[0].m, atol=1e-12)
    np.testing.assert_allclose(networks[1].theta, networks[0].theta, atol=1e-12)


# Estimators ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"dropout": 0.2}], ids=str)
def test_estimators_train_there_and_predict_here(settings):
    X, y = np.tile(ROWS, (3, 1)), np.tile(LABELS, 3)
    models = [cr.MLPClassifier(8, max_iter=4, random_state=0, device=device, **settings) for device in (None, "cuda")]
    for model in models:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
    assert models[1].network_.device == "cpu"
    assert models[1].history_.engine.startswith("cuda")
    if "dropout" not in settings:  # whose masks differ
        np.testing.assert_allclose(models[1].predict_proba(X), models[0].predict_proba(X), atol=1e-10)


def test_partial_fit_goes_on_with_the_state():
    models = [cr.MLPRegressor(hidden_layer_sizes=8, random_state=0, device=device) for device in (None, "cuda")]
    for model in models:
        for _ in range(3):
            model.partial_fit(ROWS, ROWS[:, 0])
    np.testing.assert_allclose(models[1].predict(ROWS), models[0].predict(ROWS), atol=1e-10)


def test_estimators_refuse_what_is_not_there():
    for settings in ({"device": "gpu"}, {"device": "cuda:7"}, {"precision": "half"}, {"precision": "tf32"}):
        with pytest.raises(ValueError, match=r"device|precision"):
            cr.MLPClassifier(**settings).fit(ROWS, LABELS)
    with pytest.raises(ValueError, match="solver='lbfgs' cannot use device"):
        cr.MLPClassifier(solver="lbfgs", device="cuda").fit(ROWS, LABELS)


def test_ranks_train_on_cpus():
    class Two:
        rank, size = 0, 2

        def __call__(self, vector):
            return None

    with pytest.raises(ValueError, match="ranks train on CPUs"):
        placed(small(), "cuda", "float32", Ranks(Two()))


def test_bad_rows_are_located():
    X = ROWS.copy()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="expected finite numbers, got nan in row 3, column 1"):
        cr.train(small(), backend.to(X, "cuda:0"), LABELS, device="cuda")


def test_only_shipped_classes_have_kernels():
    class Mine(SoftmaxCrossEntropy.__mro__[1]):
        def forward(self, y, t, memo):
            memo.error = y - t
            return (memo.error**2).sum(axis=1)

        def backward(self, t, memo):
            return 2 * memo.error

    both(small("float64", loss=Mine(), outputs=2), ROWS, ROWS[:, :2])
    assert cuda.activation(Dense(3)) is None
    assert cuda.step(Momentum(0.1)) is not None
