"""The gradient check names each common mistake in words, it alone, and calls nothing wrong that is right."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
import planted
from chainrule.gradient_check import array_laws
from chainrule.layers import Dense, Tanh
from chainrule.penalties import L2

X = np.random.default_rng(3).normal(size=(12, 5))
LABELS = np.arange(12) % 3

NAMED = {
    "DyWithoutTranspose": ("x", "it is dy W instead of dy Wᵀ: write dy @ self.W.T"),
    "SoftmaxDiagonal": ("x", "only the diagonal of the Jacobian: for a softmax, dx = y * (dy - (dy * y).sum("),
    "BatchNormConstant": ("x", "the mean and the variance of the batch are treated as constants"),
    "BatchNormConstantVariance": ("x", "the variance of the batch is treated as a constant"),
    "LayerNormConstant": ("x", "the mean and the variance of the row are treated as constants"),
    "BiasSummedOverAll": ("b", "every entry is the sum over all of dy: sum over the rows only, dy.sum(axis=0)"),
    "LastRowOnly": ("W", "it holds only the last of several rows of the batch: add them up, with +="),
    "EmbeddingOverwrites": ("W", "it holds only the last of several rows of the batch: add them up, with += (or np.add.at)"),
    "LastRowLeftOut": ("x", "only the last row of the batch is wrong: does a loop end one row too early?"),
    "ConvolutionOffByOne": ("x", "it is the correct gradient shifted by -1 along axis 1: windows start one position off"),
    "ConvolutionFlipped": ("x", "the kernel W is flipped the wrong way: reverse it in backward (flip along axes 0 and 1)"),
    "KernelGradientFlipped": ("W", "it is the correct gradient with the kernel flipped: flip along axes 0 and 1"),
    "ConvolutionWrongAtBorders": ("x", "at the border are wrong, the first entry along axis 1, the last entry along axis 2"),
    "WindowsOverwrite": ("x", "it holds only the last of several contributions: add them up, with +="),
    "MaskDrawnAgain": ("x", "backward draws a new mask: it must reuse the mask drawn by forward"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_a_mistake_is_named_and_nothing_else_is(name):
    where, said = NAMED[name]
    report = cr.check_layer(getattr(planted, name)())
    assert [v.rule for v in report.violations] == ["gradient"], report
    (violation,) = report.violations
    assert violation.what.startswith(f"d{where} is off by ")
    assert said in violation.what
    assert "matches no known pattern" not in report.verdict


@pytest.mark.parametrize("layer", [planted._Affine(), planted._Convolution()], ids=repr)
def test_what_the_planted_mistakes_are_made_of_is_right(layer):
    assert cr.check_layer(layer), str(cr.check_layer(layer))


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["SoftmaxDiagonal", "LayerNormConstant", "DyWithoutTranspose", "LastRowOnly"])
def test_inside_a_network_the_suspect_comes_with_its_law(name):
    layer = getattr(planted, name)()
    report = cr.check_gradient(cr.Network(5, [Dense(4), layer, Dense(3)], "squared_error", seed=0), X, X[:, :3])
    (suspect,) = report.suspects
    assert suspect.startswith(f"layer 1, {layer!r}: the ")
    assert NAMED[name][1][:40] in suspect


@pytest.mark.few(1)
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_half_a_penalty_is_not_called_forgotten(factor):
    class Part(planted.HalfAnL2):
        def add_gradient(self, w, dw, scratch):
            dw += 0.1 * factor * w

    network = cr.Network(5, [Dense(4), Tanh(), Dense(3)], "softmax_cross_entropy", seed=0)
    hint = cr.check_gradient(network, X, LABELS, penalties=[Part()]).parameters[0].hint
    assert hint.startswith(f"a penalty's gradient is {factor:.4g} times what it should be: a factor of ½ or 2")
    beside = cr.check_gradient(network, X, LABELS, penalties=[planted.ForgottenL2(), L2(0.3)]).parameters[0].hint
    assert beside.startswith("a penalty's gradient is 0.75 times what it should be")  # 0.3 of the 0.4 that it is


@pytest.mark.parametrize("transform", [np.transpose, np.flip, lambda g: np.full_like(g, g.sum())])
def test_a_law_of_arrays_needs_the_whole_array_to_follow_it(transform):
    """One entry that differs, and no law is claimed."""
    g = np.random.default_rng(0).normal(size=(4, 4))
    wrong = transform(g).copy()
    assert array_laws.law("W", wrong, g)
    wrong[1, 2] += 0.5
    assert not array_laws.law("W", wrong, g)
    assert not array_laws.law("W", g + 1e-9, g)
