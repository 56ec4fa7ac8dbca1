"""Training on a real GPU, where CuPy and a card are installed; elsewhere ``tests/test_gpu.py`` has a stand-in."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import chainrule as cr
import variants
from chainrule._internal import backend
from chainrule.layers import Dense, Dropout
from chainrule.training.clipping import ClipNorm

cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
if not backend._gpus()[0]:
    pytest.skip("CuPy finds no GPU", allow_module_level=True)

X = np.random.default_rng(0).normal(size=(200, 20))
T = np.random.default_rng(1).integers(0, 4, 200)
CLOSE = {"float32": 1e-4, "float64": 1e-9}


def both(layers, dtype, **settings):
    here = cr.Network(20, layers, "softmax_cross_entropy", seed=0, dtype=dtype)
    there = copy.copy(here)
    cr.train(here, X, T, epochs=3, batch_size=32, seed=1, **settings)
    cr.train(there, X, T, epochs=3, batch_size=32, seed=1, device="cuda", **settings)
    np.testing.assert_allclose(there.theta, here.theta, atol=CLOSE[dtype])


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("case", variants.ACTIVATIONS, ids=lambda case: repr(case.layer))
def test_every_activation(case, dtype):
    both([Dense(16), case.layer, Dense(16), copy.copy(case.layer), Dense(4)], dtype)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("optimizer", [variants.brisk(cls) for cls in variants.forms(variants.OPTIMIZERS)], ids=repr)
def test_every_optimizer(optimizer, dtype):
    both([Dense(16), cr.layers.Tanh(), Dense(4)], dtype, optimizer=optimizer, clip=ClipNorm(1.0))


@pytest.mark.parametrize("case", variants.LAYERS, ids=lambda case: repr(case.layer))
def test_every_layer(case):
    shape = next(shape for shape in ((4,), (6, 5, 4), (6, 5, 2)) if variants.takes(case.layer, shape))
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (30, *shape)) if type(case.layer) is cr.layers.Embedding else rng.normal(size=(30, *shape))
    flat = [cr.layers.Flatten()] if len(variants.gives(case.layer, shape)) > 1 else []
    network = cr.Network(shape, [case.layer, *flat, Dense(2)], "squared_error", seed=0, dtype="float64")
    np.testing.assert_allclose(network.to("cuda").predict(x), network.predict(x), atol=1e-9)
    there = network.to("cuda")
    cr.train(there, x, rng.normal(size=(30, 2)), epochs=2, seed=0)
    assert np.isfinite(there.theta.get()).all()


@pytest.mark.parametrize("case", variants.LOSSES, ids=lambda case: f"{case.loss!r} {case.targets.__name__}")
def test_every_loss(case):
    network = cr.Network(20, [Dense(case.outputs)], case.loss, seed=0, dtype="float64")
    t = case.targets(np.random.default_rng(0), 200, case.outputs)
    loss, grad = network.loss_and_grad(X, t)
    there, grad_there = network.to("cuda").loss_and_grad(X, t)
    assert float(there) == pytest.approx(loss, rel=1e-9)
    np.testing.assert_allclose(grad_there.get(), grad, atol=1e-9)


def test_dropout_tf32_and_the_same_seed():
    def trained():
        network = cr.Network(20, [Dense(64), Dropout(0.3), Dense(4)], "softmax_cross_entropy", seed=0)
        cr.train(network, X, T, epochs=5, seed=2, device="cuda", precision="tf32")
        return network.theta

    np.testing.assert_array_equal(trained(), trained())
