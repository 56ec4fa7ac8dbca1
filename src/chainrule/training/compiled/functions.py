"""e^x and its relatives, arranged so that the compiler turns a loop over them into vector instructions.

    x = n ln 2 + r,  |r| <= ln 2 / 2           e^x = 2ⁿ (1 + p(r)),  p(r) = e^r − 1 = r + r² q(r)

q is a polynomial: Chebyshev interpolation of (e^r − 1 − r) / r² with 60 digits, of degree 5 for float32 and 9 for
float64 (error of e^r: 2e-10 and 2e-17). n is found without a conversion: adding 1.5 · 2^(digits − 1) leaves it in the
lowest bits of the sum. ln 2 is a sum of two values, the first with so few digits that n times it is exact.

Source of the reduction: Cody and Waite, "Software manual for the elementary functions" (1980), chapter 6.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule._internal.special import _ERFC_FLOAT32, _ERFC_FLOAT64
from chainrule.training.compiled.compiling import compiled, inlined

F = np.float32
Q32 = tuple(
    F(c)
    for c in (
        0.00019890980869750327,
        0.0013933641031986701,
        0.008333310934448869,
        0.04166646500604005,
        0.16666666681614256,
        0.5000000013457727,
    )
)
Q64 = (
    2.5100375832561234e-08,
    2.7620075879983367e-07,
    2.7557268480310024e-06,
    2.4801521322368692e-05,
    0.00019841269863040545,
    0.0013888888917196719,
    0.008333333333330065,
    0.041666666666624164,
    0.16666666666666669,
    0.5000000000000001,
)
ERFC32 = tuple(F(c) for c in reversed(_ERFC_FLOAT32))
ERFC64 = tuple(reversed(_ERFC_FLOAT64))


power_and_rest, erfc_coefficients = inlined("power_and_rest", "erfc_coefficients")


def power_and_rest_32(x: Any) -> Any:
    """Return 2ⁿ and p = e^r − 1 of a float32; x is kept where 2ⁿ is a normal number."""
    x = min(max(x, F(-87)), F(88))
    shifted = x * F(1.4426950408889634) + F(12582912)
    n = shifted - F(12582912)
    r = (x - n * F(0.693115234375)) - n * F(3.1946184945309415e-05)
    q = Q32[0]
    for c in Q32[1:]:
        q = q * r + c
    power = np.int32((np.float32(shifted).view(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)
    return power, r + r * r * q


def power_and_rest_64(x: Any) -> Any:
    """Return the same of a float64."""
    x = min(max(x, -708.0), 709.0)
    shifted = x * 1.4426950408889634 + 6755399441055744.0
    n = shifted - 6755399441055744.0
    r = (x - n * 0.6931471796706319) - n * 8.893134238886677e-10
    q = Q64[0]
    for c in Q64[1:]:
        q = q * r + c
    power = np.int64((np.float64(shifted).view(np.int64) + np.int64(1023)) << np.int64(52)).view(np.float64)
    return power, r + r * r * q


@compiled
def exp(x: Any) -> Any:
    """Return e^x; the largest finite power where it would overflow."""
    power, rest = power_and_rest(x)
    return power + power * rest


@compiled
def expm1(x: Any) -> Any:
    """Return e^x − 1 = 2ⁿ p + (2ⁿ − 1), which keeps its digits near 0, where n is 0."""
    power, rest = power_and_rest(x)
    return power * rest + (power - type(x)(1))


@compiled
def tanh(x: Any) -> Any:
    """Return tanh x = e / (e + 2) with e = e^2x − 1, taken from |x|."""
    e = expm1(abs(x + x))
    return math.copysign(e / (e + type(x)(2)), x)


@compiled
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e⁻ˣ)."""
    one = type(x)(1)
    return one / (one + exp(-x))


@compiled
def normal_cdf(x: Any) -> Any:
    """Return Φ(x) = ½ erfc(−x / √2), as chainrule._internal.special.normal_cdf."""
    T = type(x)
    z = min(abs(x), T(50)) * T(math.sqrt(0.5))
    s = T(4) / (z + T(2)) - T(1)
    exponent = T(0)
    for c in erfc_coefficients(x):
        exponent = exponent * s + c
    beyond = T(0.25) * (s + T(1)) * exp(exponent - z * z)
    return T(1) - beyond if x >= 0 else beyond
