"""The compiled kernels against the reference: same parameters, same losses, same random streams."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
import variants
from chainrule import layers, losses, optimizers, penalties, schedules
from chainrule.layers import Dense, Dropout
from chainrule.training import clipping, engine
from chainrule.training.augmentation import Augmentation

numba = pytest.importorskip("numba")

from chainrule.training import compiled as compiled_steps  # noqa: E402
from chainrule.training.compiled import compiling, functions, machine  # noqa: E402
from chainrule.training.compiled.epoch import epoch  # noqa: E402

SHARPEST = {"float32": 2e-4, "float64": 1e-9}
ACTIVATIONS = [case.layer for case in variants.ACTIVATIONS]
LOSSES = variants.every_loss()
OPTIMIZERS = [
    *(replace(o, learning_rate=0.01) for o in (case.optimizer for case in variants.OPTIMIZERS)),
    optimizers.Adam(0.01, epsilon=1e-3, epsilon_hat=True),
]
PENALTIES = [
    penalties.L1(0.01),
    penalties.L2(0.02),
    penalties.L1(0.3, per_row=True),
    penalties.L2(0.4, per_row=True, biases=True),
    penalties.L2(0.1, layers=0),
    penalties.MaxNorm(0.7),
    penalties.MaxNorm(0.5, layers=0),
]
CLIPS = [None, clipping.ClipNorm(0.05), clipping.ClipNorm(100.0), clipping.ClipValue(0.01)]


def targets(loss, rows, outputs, rng):
    return variants.targets(loss, rng, rows, outputs)


def trained(name, monkeypatch, *, inputs, stack, loss, dtype, X, t, **settings):
    """Return the network and history of a training with one set of kernels."""
    monkeypatch.setenv("CHAINRULE_KERNELS", name)
    network = cr.Network(inputs, stack, loss, seed=1, dtype=dtype)
    return network, cr.train(network, X, t, seed=2, **settings)


def both(monkeypatch, **work):
    """Train with either set of kernels and compare; return the compiled one's network and history."""
    before, expected = trained("reference", monkeypatch, **work)
    after, history = trained("numba", monkeypatch, **work)
    scale = max(1.0, np.abs(before.theta).max())
    close = SHARPEST[work["dtype"]]
    np.testing.assert_allclose(after.theta, before.theta, rtol=0, atol=close * scale)
    for column in history.columns:
        if column != "seconds":
            np.testing.assert_allclose(history[column], expected[column], rtol=10 * close, atol=close, err_msg=column)
    return after, history


@pytest.fixture
def compiled_only(monkeypatch):
    """Let the compiled kernels fail instead of handing over to the reference."""

    def refuse(work, run):
        raise AssertionError("the compiled kernels did not take this network")

    monkeypatch.setattr(compiled_steps, "reference", SimpleNamespace(steps=refuse))


def small(rng, rows=23, inputs=5):
    return rng.normal(size=(rows, inputs))


@pytest.mark.few(14)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_every_activation(activation, dtype, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    stack = [Dense(7), activation, Dense(6, biases=None), activation, Dense(3)]
    both(
        monkeypatch, inputs=5, stack=stack, loss="squared_error", dtype=dtype, X=3 * small(rng),
        t=rng.normal(size=(23, 3)), optimizer=optimizers.Momentum(0.005), epochs=3, batch_size=6,
    )  # fmt: skip


@pytest.mark.few(14)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_every_loss(loss, weighted, dtype, monkeypatch, compiled_only):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        weight = rng.random(23) if weighted else None
        both(
            monkeypatch, inputs=5, stack=[Dense(7), layers.Tanh(), Dense(3)], loss=loss, dtype=dtype, X=small(rng),
            t=targets(loss, 23, 3, rng), sample_weight=weight, optimizer=optimizers.SGD(0.05), epochs=3, batch_size=6,
        )  # fmt: skip


@pytest.mark.few(40)
@pytest.mark.parametrize("clip", CLIPS, ids=repr)
@pytest.mark.parametrize("penalised", [False, True], ids=["", "penalised"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_optimizer(optimizer, penalised, clip, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    both(
        monkeypatch, inputs=5, stack=[Dense(7), layers.Tanh(), Dense(3)], loss="softmax_cross_entropy",
        dtype="float64", X=small(rng), t=rng.integers(0, 3, 23), optimizer=optimizer, epochs=4, batch_size=6,
        penalties=PENALTIES[:2] if penalised else [], clip=clip,
    )  # fmt: skip


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_every_penalty(penalty, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    _, history = both(
        monkeypatch, inputs=5, stack=[Dense(7), layers.Tanh(), Dense(3)], loss="squared_error", dtype="float64",
        X=small(rng), t=rng.normal(size=(23, 3)), optimizer="adam", epochs=4, batch_size=6, penalties=[penalty],
        sample_weight=rng.random(23),
    )  # fmt: skip
    assert ("penalty" in history) == isinstance(penalty, penalties.Penalty)


def test_a_batch_whose_weights_are_all_zero(monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    weight = np.repeat([1.0, 0.0, 2.0], [6, 12, 5])
    both(
        monkeypatch, inputs=5, stack=[Dense(3)], loss="squared_error", dtype="float64", X=small(rng),
        t=rng.normal(size=(23, 3)), optimizer="sgd", epochs=2, batch_size=6, penalties=PENALTIES[:4],
        sample_weight=weight, shuffle=False,
    )  # fmt: skip


KINDS = {
    "float32": lambda X: X.astype("float32"),
    "float64": lambda X: X,
    "uint8": lambda X: (10 * abs(X)).astype("uint8"),
    "int64": lambda X: (10 * X).astype("int64"),
    "bool": lambda X: X > 0,
    "float16": lambda X: X.astype("float16"),
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "big endian": lambda X: X.astype(">f8"),
    "lists": lambda X: X.tolist(),
}


@pytest.mark.parametrize("shuffle", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_rows(kind, shuffle, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    X = KINDS[kind](small(rng))
    if isinstance(X, np.ndarray):
        X.flags.writeable = False  # and none of them is written to
    t = rng.integers(0, 3, 23)
    t.flags.writeable = False
    both(
        monkeypatch, inputs=5, stack=[Dense(7), layers.Tanh(), Dense(3)], loss="softmax_cross_entropy",
        dtype="float32", X=X, t=t, optimizer="adam", epochs=3, batch_size=6, shuffle=shuffle, validation=0.2,
    )  # fmt: skip


@pytest.mark.parametrize("first", [layers.Tanh(), layers.Sigmoid(), Dropout(0.3), layers.Softmax(), layers.Identity()])
def test_rows_are_not_written_to(first, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    X = small(rng).astype("float32")
    before = X.copy()
    both(
        monkeypatch, inputs=5, stack=[first, layers.Tanh(), layers.ReLU(), Dense(3), Dropout(0.2), layers.Sigmoid()],
        loss="squared_error", dtype="float32", X=X, t=rng.random((23, 3)), optimizer="sgd", epochs=2, batch_size=6,
        shuffle=False,
    )  # fmt: skip
    np.testing.assert_array_equal(X, before)


@st.composite
def works(draw):
    """Draw a network and all that trains it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stack = []
    for _ in range(draw(st.integers(0, 3))):
        stack.append(draw(st.sampled_from([Dense(1), Dense(4), Dense(9, biases=None), Dense(17)])))
        stack.extend(draw(st.lists(st.sampled_from([*ACTIVATIONS, Dropout(0.3), Dropout(0.5)]), max_size=2)))
    loss = draw(st.sampled_from(LOSSES))
    inputs, outputs = draw(st.integers(1, 9)), draw(st.integers(2, 5))
    rows = draw(st.integers(1, 40))
    return {
        "inputs": inputs,
        "stack": [*stack, Dense(outputs)],
        "loss": loss,
        "dtype": "float64",
        "X": small(rng, rows, inputs).astype(draw(st.sampled_from(["float32", "float64"]))),
        "t": targets(loss, rows, outputs, rng),
        "sample_weight": rng.random(rows) if draw(st.booleans()) else None,
        # not Lion: the sign of a sum that cancels is that of its rounding
        "optimizer": draw(st.sampled_from([o for o in OPTIMIZERS if not isinstance(o, optimizers.Lion)])),
        "penalties": draw(st.lists(st.sampled_from([p for p in PENALTIES if p.layers is None]), max_size=3)),
        "clip": draw(st.sampled_from(CLIPS)),
        "schedule": draw(
            st.sampled_from(
                [schedules.Constant(), schedules.Cosine(), schedules.CosineLog(2), schedules.Exponential(0.5)]
            )
        ),
        "batch_size": draw(st.integers(1, rows)),
        "epochs": draw(st.integers(1, 3)),
        "shuffle": draw(st.booleans()),
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::chainrule.advice.AdviceWarning")  # a random network may well be a bad one
@given(work=works())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_random_networks(work):
    with pytest.MonkeyPatch.context() as monkeypatch:
        both(monkeypatch, **work)


# ------------------------------------------------------------ every layer


IMAGE = (6, 7, 2)


@pytest.mark.few(49)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", [case.layer for case in variants.LAYERS], ids=repr)
def test_every_layer_is_compiled(layer, dtype, monkeypatch, compiled_only):
    """In front, where x is the batch itself; in the middle; and twice, so that each gets a dx."""
    rng = np.random.default_rng(0)
    embedding = isinstance(layer, layers.Embedding)
    shape = (4,) if variants.takes(layer, (4,)) else IMAGE
    X = rng.integers(0, 3, (23, *shape)).astype("float64") if embedding else rng.normal(size=(23, *shape))
    small_step = {"optimizer": optimizers.Momentum(0.005), "epochs": 2, "batch_size": 6}
    between = [layers.Conv2D(2, 2)] if len(shape) == 3 else [Dense(4)]
    stacks = [[layer], *([] if embedding else [[*between, layer, *between, layer]])]
    for stack in stacks:
        if len(shape) == 3 and len(stack) > 1 and variants.gives(layer, (5, 6, 2)) is None:
            continue
        if len(stack) > 1 and variants.gives(layer, (5, 6, 2) if len(shape) == 3 else (4,)) != (
            (5, 6, 2) if len(shape) == 3 else (4,)
        ):
            stack = stack[:2]  # it changes the shape: what stands behind would not take it  # noqa: PLW2901
        both(
            monkeypatch, inputs=shape, stack=[*stack, layers.Flatten(), Dense(3)], loss="squared_error", dtype=dtype,
            X=X, t=rng.normal(size=(23, 3)), **small_step,
        )  # fmt: skip


def stack_of(inputs, chosen):
    """Return those of the chosen layers that take what is before them, and a Dense for the loss."""
    shape, stack = inputs, []
    for i in chosen:
        after = variants.gives(CHOICES[i], shape)
        if after is not None and 0 not in after:
            stack.append(CHOICES[i])
            shape = after
    return [*stack, *([layers.Flatten()] if len(shape) > 1 else []), Dense(3)]


CHOICES = [
    *(case.layer for case in variants.LAYERS if not isinstance(case.layer, layers.Embedding)),
    Dense(6), Dense(17), layers.Conv2D(5, 3, padding=1), layers.Conv2D(4, (2, 3), stride=2, padding=(1, 0)),
    layers.Residual([Dense(6), layers.Tanh(), Dense(6), layers.BatchNorm()]), layers.Residual([layers.Identity()]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::chainrule.advice.AdviceWarning")  # a random network may well be a bad one
@given(
    st.sampled_from([(3,), (5,), (6, 5, 2), (7, 8, 3)]), st.lists(st.integers(0, len(CHOICES) - 1), max_size=6),
    st.integers(2, 40), st.integers(2, 20), st.integers(1, 3), st.sampled_from(["float64", "float32"]),
    st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=120, deadline=None, derandomize=True)
def test_random_stacks_of_all_layers(inputs, chosen, rows, batch_size, accumulate, dtype, threads):
    rng = np.random.default_rng(rows)
    batch_size = min(batch_size, rows)
    accumulate = min(accumulate, -(-rows // batch_size))
    work = {
        "inputs": inputs, "stack": stack_of(inputs, chosen), "loss": "squared_error", "dtype": dtype,
        "X": rng.normal(size=(rows, *inputs)),
        "t": rng.normal(size=(rows, 3)), "optimizer": optimizers.Momentum(1e-3), "epochs": 2, "threads": threads,
        "batch_size": batch_size, "accumulate": accumulate, "sample_weight": rng.random(rows),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as monkeypatch:
        _, history = both(monkeypatch, **work)
    assert history.engine == "compiled"


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("layer", [case.layer for case in variants.LAYERS], ids=repr)
def test_many_rows_are_predicted_by_compiled_code(layer, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    shape = (4,) if variants.takes(layer, (4,)) else IMAGE
    stack = [layer, layers.Flatten(), Dense(3)]
    network = cr.Network(shape, stack, "squared_error", seed=0)
    network.statistics[:] = rng.random(network.statistics.size) + 0.5
    X = rng.integers(0, 3, (70, *shape)).astype(dtype)
    monkeypatch.setenv("CHAINRULE_KERNELS", "reference")
    expected = network.logits(X)
    monkeypatch.setenv("CHAINRULE_KERNELS", "numba")
    monkeypatch.setattr("chainrule.network.MANY", 0)
    seen = []
    many = engine.logits
    monkeypatch.setattr(engine, "logits", lambda *given: seen.append(many(*given)) or seen[-1])
    np.testing.assert_allclose(network.logits(X), expected, rtol=1e-5, atol=1e-5)
    assert seen[0] is not None


# ------------------------------------------------------------ the choice


def test_the_choice_of_kernels(monkeypatch):
    monkeypatch.delenv("CHAINRULE_KERNELS", raising=False)
    assert engine.choose() == ("numba", "")
    monkeypatch.setenv("CHAINRULE_KERNELS", "reference")
    assert engine.choose()[0] == "reference"
    monkeypatch.setenv("CHAINRULE_KERNELS", "cuda")
    with pytest.raises(ValueError, match="CHAINRULE_KERNELS: expected one of numba, reference, got 'cuda'"):
        engine.choose()


def test_without_numba(monkeypatch):
    monkeypatch.setattr(engine, "installed", lambda: False)
    monkeypatch.delenv("CHAINRULE_KERNELS", raising=False)
    assert engine.choose()[0] == "reference"
    monkeypatch.setenv("CHAINRULE_KERNELS", "numba")
    with pytest.raises(ImportError, match=r'pip install -e "\.\[fast\]"'):
        engine.choose()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_and_weights_that_are_parts_of_other_arrays(dtype, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    wide = rng.random((23, 6)).astype(dtype)
    both(
        monkeypatch, inputs=5, stack=[Dense(4), layers.Tanh(), Dense(2)], loss="squared_error", dtype=dtype,
        X=small(rng), t=wide[:, 1:5:2], sample_weight=wide[:, 5], optimizer="sgd", epochs=2, batch_size=6,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("first", [Dense(4), Dense(4, biases=None)], ids=repr)
def test_sparse_rows(first, dtype, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    X = scipy.sparse.random(23, 50, 0.2, "csr", random_state=0)
    X.data[3] = 0.0  # an entry that is there and 0; and a row without any
    X = scipy.sparse.vstack([X[:11], X[11:12] * 0, X[12:]]).tocsr()
    X.eliminate_zeros()
    both(
        monkeypatch, inputs=50, stack=[first, layers.Tanh(), Dense(3)], loss="squared_error",
        dtype=dtype, X=X, t=rng.normal(size=(23, 3)), optimizer="sgd", epochs=2, batch_size=6,
    )  # fmt: skip


class OwnLayer(layers.Layer):
    def forward(self, x, memo):
        memo.x = x
        return x * x

    def backward(self, dy, memo):
        return dy * 2 * memo.x


class OwnLoss(losses.Loss):
    def forward(self, y, t, memo):
        memo.error = y - t
        return np.log(np.cosh(memo.error)).sum(axis=1)

    def backward(self, t, memo):
        return np.tanh(memo.error)


class OwnOptimizer(optimizers.Optimizer):
    learning_rate = 0.1

    def step(self, theta, grad, state, rate):
        theta -= rate * np.sign(grad)


class OwnPenalty(penalties.Penalty):
    def value(self, w, scratch=None):
        return float(np.sum(w**4))

    def add_gradient(self, w, dw, scratch):
        dw += 4 * w**3


class OwnClip(clipping.Clip):
    def apply(self, grad):
        np.round(grad, 3, out=grad)


@pytest.mark.parametrize(
    "own",
    [
        {"stack": [Dense(4), OwnLayer(), Dense(3)]},
        {"loss": OwnLoss()},
        {"optimizer": OwnOptimizer()},
        {"penalties": [OwnPenalty()]},
        {"clip": OwnClip()},
    ],
    ids=lambda own: next(iter(own)),
)
def test_parts_of_ones_own_train_by_the_reference(own, monkeypatch):
    rng = np.random.default_rng(0)
    work = {
        "inputs": 5, "stack": [Dense(4), layers.Tanh(), Dense(3)], "loss": "squared_error", "dtype": "float32",
        "X": small(rng), "t": rng.normal(size=(23, 3)), "optimizer": "sgd", "epochs": 2, "batch_size": 6,
    } | own  # fmt: skip
    before, _ = trained("reference", monkeypatch, **work)
    after, _ = trained("numba", monkeypatch, **work)
    np.testing.assert_array_equal(after.theta, before.theta)


# ------------------------------------------------------------ embeddings

EMBEDDED = {
    "in two": [layers.Embedding([3], 2, columns=[0]), layers.Embedding([5], 4, columns=[1])],
    "in two, with a shared table": [layers.Identity(), layers.Embedding([5], 3, columns=[2]), layers.Identity(),
                                    layers.Embedding(3, 2, columns=[0, 1])],
    "in three": [layers.Embedding([5], 1, columns=[3]), layers.Embedding([3], 2, columns=[1]),
                 layers.Embedding([3], 3, columns=[0])],
}  # fmt: skip


def categories(rng, rows=37):
    """Return rows of categories that each table of EMBEDDED has."""
    return rng.integers(0, 3, (rows, 4)) + 0.0


@pytest.mark.few(2)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EMBEDDED)
def test_embeddings_behind_embeddings(name, dtype, threads, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    stack = [*EMBEDDED[name], layers.Tanh(), Dense(40), Dense(3)]
    network, _ = both(
        monkeypatch, inputs=4, stack=stack, loss="squared_error", dtype=dtype, X=categories(rng),
        t=rng.normal(size=(37, 3)), optimizer="adam", epochs=3, batch_size=16, threads=threads,
    )  # fmt: skip
    X = categories(rng, 300).astype(dtype)
    monkeypatch.setenv("CHAINRULE_KERNELS", "reference")
    expected = network.logits(X)
    monkeypatch.setenv("CHAINRULE_KERNELS", "numba")
    monkeypatch.setattr("chainrule.network.MANY", 0)
    np.testing.assert_allclose(network.logits(X), expected, rtol=1e-5, atol=1e-5)


class Shift(Augmentation):
    """Adds something to one column of a batch."""

    def __init__(self, column, by):
        self.column, self.by = column, by

    def apply(self, batch, rng, memo):
        batch.x[:, self.column] += self.by


@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_embeddings_of_augmented_rows(engine, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    work = {
        "inputs": 4, "stack": [layers.Embedding([3], 2, columns=[0]), Dense(3)], "loss": "squared_error",
        "dtype": "float32", "X": categories(rng), "t": rng.normal(size=(37, 3)), "batch_size": 16,
    }  # fmt: skip
    both(monkeypatch, **work, augment=[Shift(1, 0.5)], epochs=2)
    for by, got in ((0.5, r"\d\.5"), (3, r"\d")):
        with pytest.raises(
            ValueError, match=rf"expected categories 0 ... 2 in column 0, got {got} in row \d+ of the batch"
        ):
            trained(engine, monkeypatch, **work, augment=[Shift(0, by)], epochs=1)


ELSEWHERE = {
    "layer 1, Embedding(3, 2)": [layers.ReLU(), layers.Embedding(3, 2)],
    "layer 0 of the Residual at layer 0, Embedding(3, 1)": [layers.Residual([layers.Embedding(3, 1)])],
    "layer 0 of the Residual at layer 1 of the Residual at layer 0, Embedding(3, 1)": [
        layers.Residual([layers.Identity(), layers.Residual([layers.Embedding(3, 1)])])
    ],
    "layer 1, Embedding(3, 2, columns=(2,))": [
        layers.Embedding(3, 1, columns=[0, 1], weights="zeros"), layers.Embedding(3, 2, columns=[2])
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_embeddings_of_what_layers_give_are_trained_by_numpy_which_checks_each_batch(name, monkeypatch):
    """No check before training sees their categories, and machine code would read rows of W that are not there."""
    rng = np.random.default_rng(0)
    _, history = trained(
        "numba", monkeypatch, inputs=4, stack=[*ELSEWHERE[name], Dense(3)], loss="squared_error", dtype="float32",
        X=rng.integers(0, 3, (37, 4)), t=rng.normal(size=(37, 3)), epochs=1, batch_size=37,
    )  # fmt: skip
    assert history.engine == f"numpy: {name}, is compiled only at the front of a network, for columns of X"


@pytest.mark.parametrize("before", [layers.Flatten(), Dropout(0.0)], ids=repr)
@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_wrong_categories_behind_layers_that_change_nothing_are_an_error(before, engine, monkeypatch):
    with pytest.raises(ValueError, match=r"expected categories 0 ... 2 in column 1, got 7 in row \d of the batch"):
        trained(
            engine, monkeypatch, inputs=2, stack=[before, layers.Embedding(3, 2), Dense(3)], loss="squared_error",
            dtype="float32", X=[[0, 1], [2, 7]], t=np.zeros((2, 3)), epochs=1,
        )  # fmt: skip


# ------------------------------------------------------------ threads


class Pause(cr.Callback):
    """Long enough for the helpers to fall asleep."""

    def on_epoch(self, run):
        if run.epoch % 3 == 0:
            time.sleep(0.02)


def shared_work(rng, **settings):
    """Return work for several threads: a batch of it is cut into parts."""
    return {
        "inputs": 50, "stack": [Dense(60), layers.Tanh(), Dropout(0.2), Dense(5)], "loss": "softmax_cross_entropy",
        "dtype": "float32", "X": rng.normal(size=(700, 50)), "t": rng.integers(0, 5, 700), "optimizer": "adam",
        "epochs": 7, "batch_size": 100, "penalties": [penalties.L2(0.01), penalties.MaxNorm(0.8)],
        "clip": clipping.ClipNorm(0.3),
    } | settings  # fmt: skip


def test_the_result_does_not_depend_on_the_threads(monkeypatch, compiled_only):
    work = shared_work(np.random.default_rng(0))
    one, history = trained("numba", monkeypatch, **work, threads=1)
    assert len(history) == 7
    for threads in (2, 3, None):
        several, _ = trained("numba", monkeypatch, **work, threads=threads, callbacks=[Pause()])
        np.testing.assert_array_equal(several.theta, one.theta, err_msg=f"{threads} threads")
    both(monkeypatch, **work)


def test_several_teams_at_once(monkeypatch, compiled_only):
    work = shared_work(np.random.default_rng(0))
    alone, _ = trained("numba", monkeypatch, **work)
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(lambda _: trained("numba", monkeypatch, **work, threads=2)[0], range(6)))
    for network in at_once:
        np.testing.assert_array_equal(network.theta, alone.theta)


@pytest.mark.filterwarnings("ignore::chainrule.advice.AdviceWarning")
def test_a_team_that_diverges_ends(monkeypatch, compiled_only):
    work = shared_work(
        np.random.default_rng(0), stack=[Dense(60), layers.ReLU(), Dense(5)], optimizer=optimizers.SGD(1e30),
        clip=None, penalties=[],
    )  # fmt: skip
    before = threading.active_count()
    with pytest.raises(cr.DivergenceError, match="the loss is"):
        trained("numba", monkeypatch, **work, threads=2)
    assert threading.active_count() == before


def test_an_error_in_a_helper_is_raised(monkeypatch, compiled_only):
    work = compiling.function(epoch, np.dtype("float32"))

    def failing(job, shared, rank, *others):
        if rank:  # 0 is not a helper
            raise MemoryError("none left")
        return work(job, shared, rank, *others)

    monkeypatch.setattr(machine, "function", lambda operation, dtype: failing)
    with pytest.raises(MemoryError, match="none left"):
        trained("numba", monkeypatch, **shared_work(np.random.default_rng(0)), threads=2)


def test_an_error_between_two_epochs_ends_the_team(monkeypatch, compiled_only):
    class Fail(cr.Callback):
        def on_epoch(self, run):
            raise RuntimeError("enough")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="enough"):
        trained("numba", monkeypatch, **shared_work(np.random.default_rng(0)), threads=2, callbacks=[Fail()])
    assert threading.active_count() == before


INTERRUPTED = """
import os, signal, threading
import numpy as np
import chainrule as cr

rng = np.random.default_rng(0)
network = cr.Network(200, [cr.layers.Dense(200), cr.layers.Tanh(), cr.layers.Dense(10)], "softmax_cross_entropy", seed=0)
X, t = rng.random((100_000, 200), dtype="float32"), rng.integers(0, 10, 100_000)  # an epoch takes a second
cr.train(network, X[:1000], t[:1000], epochs=1, batch_size=100)

threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
history = cr.train(network, X, t, epochs=1000, batch_size=100, threads={threads})
print(history.stopped)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot press Ctrl-C for itself")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_answered_within_an_epoch(threads):
    environment = {**os.environ, "CHAINRULE_KERNELS": "numba"}
    code = INTERRUPTED.format(threads=threads)
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert re.match(r"interrupted in epoch \d+, after batch \d+ of 1000", result.stdout), result.stdout


# ------------------------------------------------------------ compiling

FIRST = """
import hashlib
import numpy as np
import chainrule as cr
network = cr.Network(3, [cr.layers.Dense(2)], "squared_error", seed=0)
cr.train(network, np.eye(3, dtype="float32"), np.ones((3, 2)), epochs=2, seed=0)
print(hashlib.sha256(network.theta.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_first_use_says_that_it_compiles_and_later_ones_do_not(tmp_path):
    environment = {**os.environ, "CHAINRULE_KERNELS": "numba", "NUMBA_CACHE_DIR": str(tmp_path)}
    first, later = (
        subprocess.run([sys.executable, "-c", FIRST], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert first.stderr.startswith("chainrule: compiling")
    assert later.stderr == ""
    assert first.stdout == later.stdout


# ------------------------------------------------------------ the functions


@pytest.mark.few(2)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["exp", "expm1", "tanh", "sigmoid", "normal_cdf"])
def test_functions_are_right_to_the_last_digits(name, dtype):
    function = getattr(functions, name).numba

    @numba.njit(error_model="numpy")
    def apply(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    small_and_large = np.concatenate([np.linspace(-9, 9, 4001) ** 3 / 10, np.linspace(-1e-3, 1e-3, 101)])
    x = np.clip(small_and_large, -60, 60).astype(dtype)
    y = np.empty_like(x)
    apply(x, y)
    exact = x.astype(np.longdouble)
    expected = {
        "exp": lambda: np.exp(exact),
        "expm1": lambda: np.expm1(exact),
        "tanh": lambda: np.tanh(exact),
        "sigmoid": lambda: 1 / (1 + np.exp(-exact)),
        "normal_cdf": lambda: scipy.special.ndtr(x.astype("float64")),
    }[name]()
    tiny = np.finfo(dtype).tiny
    units = {"exp": 2, "expm1": 3, "tanh": 4, "sigmoid": 3, "normal_cdf": 700}[name]  # the last: e^(−z²) at z = 40
    np.testing.assert_allclose(y, expected.astype("float64"), rtol=units * np.finfo(dtype).eps, atol=tiny)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_huge_values(activation, monkeypatch):
    """What the reference makes of values beyond all measure, the compiled code makes of them too."""
    X = np.array([[-1e4], [-200.0], [0.0], [200.0], [1e4]])
    work = {
        "inputs": 1, "stack": [activation, Dense(1)], "loss": "absolute_error",
        "dtype": "float32", "X": X, "t": np.zeros(5), "optimizer": optimizers.SGD(1e-6), "epochs": 1, "batch_size": 5,
    }  # fmt: skip
    both(monkeypatch, **work)
