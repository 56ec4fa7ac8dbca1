"""The compiled kernels against the reference: same parameters, same losses, same random streams."""

from __future__ import annotations

import os
import subprocess
import sys

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import clipping, kernels, layers, losses, optimizers, penalties, schedules
from chainrule._names import public_classes
from chainrule.kernels import steps as steps_module
from chainrule.layers import Dense, Dropout

pytest.importorskip("numba")

SHARPEST = {"float32": 2e-4, "float64": 1e-9}
ACTIVATIONS = [
    cls(**arguments)
    for name, cls in public_classes(layers, layers.Layer).items()
    if name not in {"Dense", "Dropout"}
    for arguments in [{}, *({"GELU": [{"approximate": "tanh"}], "ELU": [{"alpha": 0.5}]}.get(name, []))]
]
LOSSES = [
    *(cls() for cls in public_classes(losses, losses.Loss).values()),
    losses.Huber(0.3),
    losses.Quantile(0.8),
    losses.SoftmaxCrossEntropy(0.1),
]
OPTIMIZERS = [
    *(cls(0.01) for cls in public_classes(optimizers, optimizers.Optimizer).values()),
    optimizers.Adam(0.01, epsilon=1e-3, epsilon_hat=True),
    optimizers.AdamW(0.01, weight_decay=0.1, biases=True),
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
    if isinstance(loss, losses.SoftmaxCrossEntropy):
        if rng.random() < 0.5:
            return rng.integers(0, outputs, rows)
        p = rng.random((rows, outputs))
        return p / p.sum(axis=1, keepdims=True)
    if isinstance(loss, losses.SigmoidCrossEntropy):
        return rng.random((rows, outputs)).round(1)
    if isinstance(loss, losses.Poisson):
        return rng.integers(0, 3, (rows, outputs)).astype(float)
    return rng.normal(size=(rows, outputs))


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
    from chainrule.kernels import numba

    def refuse(work, run):
        raise AssertionError("the compiled kernels did not take this network")

    monkeypatch.setattr(numba, "reference", SimpleNamespace(steps=refuse))


def small(rng, rows=23, inputs=5):
    return rng.normal(size=(rows, inputs))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_every_activation(activation, dtype, monkeypatch, compiled_only):
    rng = np.random.default_rng(0)
    stack = [Dense(7), activation, Dense(6, biases=None), activation, Dense(3)]
    both(
        monkeypatch, inputs=5, stack=stack, loss="squared_error", dtype=dtype, X=3 * small(rng),
        t=rng.normal(size=(23, 3)), optimizer=optimizers.Momentum(0.005), epochs=3, batch_size=6,
    )  # fmt: skip


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
    assert (X == before).all()


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
        "optimizer": draw(st.sampled_from(OPTIMIZERS)),
        "penalties": draw(st.lists(st.sampled_from([p for p in PENALTIES if p.layers is None]), max_size=3)),
        "clip": draw(st.sampled_from(CLIPS)),
        "schedule": draw(st.sampled_from([schedules.Constant(), schedules.Cosine(), schedules.Exponential(0.5)])),
        "batch_size": draw(st.integers(1, rows)),
        "epochs": draw(st.integers(1, 3)),
        "shuffle": draw(st.booleans()),
    }


@given(work=works())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_random_networks(work):
    with pytest.MonkeyPatch.context() as monkeypatch:
        both(monkeypatch, **work)
