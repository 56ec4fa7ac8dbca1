"""The functions that NumPy lacks, against SciPy, in both tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

from chainrule._internal import special as _special


@pytest.mark.parametrize(
    ("low", "high", "rtol"),
    [(-1.5, 1.5, 2e-15), (-6, 9, 2e-14), (-37.5, -6, 1e-12)],  # e^(−x²/2) magnifies the rounding of x² in the tail
)
def test_normal_cdf_in_float64_keeps_its_digits_in_the_tail(low, high, rtol):
    x = np.linspace(low, high, 20_001)
    np.testing.assert_allclose(_special.normal_cdf(x), scipy.stats.norm.cdf(x), rtol=rtol, atol=0)


@pytest.mark.parametrize(("low", "high", "rtol"), [(-1.5, 6, 1e-6), (-6, -1.5, 8e-6), (-13, -6, 2e-5)])
def test_normal_cdf_in_float32_keeps_its_digits_in_the_tail(low, high, rtol):
    x = np.linspace(low, high, 20_001, dtype=np.float32)
    p = _special.normal_cdf(x)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, scipy.special.ndtr(x.astype(float)), rtol=rtol, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_cdf_at_its_limits(dtype):
    x = np.array([-np.inf, -1e30, -1e4, -0.0, 0.0, 1e4, 1e30, np.inf], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        p = _special.normal_cdf(x)
    np.testing.assert_allclose(p, [0, 0, 0, 0.5, 0.5, 1, 1, 1], rtol=1e-7 if dtype == "float32" else 1e-15)
    assert ((p >= 0) & (p <= 1)).all()


def test_normal_cdf_fills_the_arrays_that_it_is_given():
    x = np.linspace(-5, 5, 12).reshape(3, 4)
    x.flags.writeable = False
    out, scratch, scratch2 = np.full((3, 3, 4), np.nan)
    assert _special.normal_cdf(x, out=out, scratch=scratch, scratch2=scratch2) is out
    np.testing.assert_array_equal(out, _special.normal_cdf(x))


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 3e-7), ("float64", 1e-15)])
def test_sigmoid_is_exact_in_the_left_tail(dtype, rtol):
    x = np.linspace(-80 if dtype == "float32" else -700, 40, 20_001, dtype=dtype)
    y = _special.sigmoid(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, scipy.special.expit(x.astype(float)), rtol=rtol, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_at_its_limits(dtype):
    x = np.array([-np.inf, -1e30, -1e4, -710, -89, -0.0, 0.0, 89, 710, 1e4, 1e30, np.inf], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = _special.sigmoid(x)
    np.testing.assert_allclose(y, [0] * 5 + [0.5] * 2 + [1] * 5, atol=1e-37)


def test_sigmoid_fills_the_array_that_it_is_given():
    x = np.linspace(-5, 5, 12)
    x.flags.writeable = False
    out = np.full(12, np.nan)
    assert _special.sigmoid(x, out=out) is out
    np.testing.assert_array_equal(out, _special.sigmoid(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_max_is_as_large_as_it_can_be(dtype):
    largest = _special.log_max(np.zeros(1, dtype))
    info = np.finfo(dtype)
    assert math.log(float(info.max)) - 2 < largest < math.log(float(info.max))
    assert math.exp(-largest) >= info.tiny, "the reciprocal is a normal number too"
