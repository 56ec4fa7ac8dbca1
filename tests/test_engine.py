"""Which engine trains, and what the history says of it."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers import Dense, Layer, Tanh
from chainrule.training import engine

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
T = np.arange(16) % 2


class Mine(Layer):
    """A custom layer: y = 2 x."""

    def forward(self, x, memo):
        return 2 * x

    def backward(self, dy, memo):
        return 2 * dy


def trained(*layers, **settings):
    network = cr.Network(3, [Dense(4), *layers, Dense(2)], "softmax_cross_entropy", seed=0)
    return cr.train(network, X, T, epochs=1, batch_size=8, seed=0, **settings).engine


@pytest.mark.skipif(not engine.installed(), reason="the compiled engine needs Numba")
def test_the_history_says_why_the_compiled_engine_did_not_run(monkeypatch):
    monkeypatch.delenv("CHAINRULE_KERNELS", raising=False)
    assert trained(Tanh()) == trained(Tanh(), accumulate=2) == "compiled"
    assert trained(Mine()) == "numpy: layer 1, Mine(), has no compiled form"


def test_the_history_says_who_chose_numpy(monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", "reference")
    assert trained(Tanh()) == "numpy: CHAINRULE_KERNELS is reference"
    monkeypatch.delenv("CHAINRULE_KERNELS")
    monkeypatch.setattr(engine, "installed", lambda: False)
    assert trained(Tanh()).startswith("numpy: Numba is not installed")
