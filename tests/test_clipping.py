"""Gradient clipping by hand, in extremes, and against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule._internal.names import public_classes
from chainrule.training import clipping
from chainrule.training.clipping import Clip, ClipNorm, ClipValue

CASES = [  # (clip, gradient, clipped)
    (ClipValue(1.0), [3.0, -0.5, -4.0, 1.0, 0.0], [1.0, -0.5, -1.0, 1.0, 0.0]),
    (ClipValue(5.0), [3.0, -0.5, -4.0], [3.0, -0.5, -4.0]),
    (ClipNorm(1.0), [3.0, -4.0], [0.6, -0.8]),
    (ClipNorm(5.0), [3.0, -4.0], [3.0, -4.0]),
    (ClipNorm(6.0), [3.0, -4.0], [3.0, -4.0]),
    (ClipNorm(0.5), [0.0, 0.0], [0.0, 0.0]),
]
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def test_every_public_clip_has_a_case_here():
    missing = set(public_classes(clipping, Clip)) - {type(case[0]).__name__ for case in CASES}
    assert not missing, f"add {sorted(missing)} to CASES in this file: a clip without by-hand values is untested"


@every_dtype
@pytest.mark.parametrize(("clip", "grad", "expected"), CASES, ids=[f"{c[0]!r}-{c[1]}" for c in CASES])
def test_by_hand_values_in_place(clip, grad, expected, dtype):
    g = np.array(grad, dtype)
    assert clip.apply(g) is None
    np.testing.assert_allclose(g, expected, rtol=2e-7 if dtype == "float32" else 1e-15)
    assert g.dtype == dtype


@pytest.mark.parametrize(("clip", "grad", "expected"), CASES, ids=[f"{c[0]!r}-{c[1]}" for c in CASES])
def test_pytorch_clips_alike(clip, grad, expected):
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(len(grad), dtype=torch.float64)
    tensor.grad = torch.tensor(grad, dtype=torch.float64)
    if isinstance(clip, ClipValue):
        torch.nn.utils.clip_grad_value_(tensor, clip.limit)
    else:
        torch.nn.utils.clip_grad_norm_(tensor, clip.limit)  # adds 1e-6 to the norm
    np.testing.assert_allclose(tensor.grad.numpy(), expected, rtol=2e-6)


def test_the_direction_stays_when_the_norm_is_clipped():
    g = np.random.default_rng(0).normal(size=1000)
    before = g.copy()
    ClipNorm(0.1).apply(g)
    assert np.linalg.norm(g) == pytest.approx(0.1, rel=1e-12)
    np.testing.assert_allclose(g / before, g[0] / before[0], rtol=1e-12)


@pytest.mark.parametrize("size", [1e15, 1e19, 1e25, 1e38])
def test_an_exploding_gradient_keeps_its_direction_though_its_square_overflows(size):
    g = np.array([3.0, -4.0], "float32") * np.float32(size / 5)
    with np.errstate(all="raise", under="ignore"):
        ClipNorm(1.0).apply(g)
    np.testing.assert_allclose(g, [0.6, -0.8], rtol=1e-6)
    g = np.array([3.0, -4.0], "float32")
    ClipNorm(1e30).apply(g)
    np.testing.assert_array_equal(g, np.array([3.0, -4.0], "float32"))


@pytest.mark.parametrize("clip", [ClipNorm(1.0), ClipValue(1.0)], ids=repr)
def test_nan_is_not_hidden(clip):
    g = np.array([1.0, math.nan])
    clip.apply(g)
    assert np.isnan(g).any(), "so that training can say that it diverged"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClipValue(0.0), r"ClipValue: limit: expected a number in \(0, inf\), got 0.0"),
        (lambda: ClipNorm(-1.0), r"ClipNorm: limit: expected a number in \(0, inf\), got -1.0"),
        (lambda: ClipNorm(math.inf), r"ClipNorm: limit: expected a number in \(0, inf\), got inf"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
