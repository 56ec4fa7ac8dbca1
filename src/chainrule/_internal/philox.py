"""A random generator for GPUs: numbers depend only on the seed, the number of the call and their index.

Philox4x32-10: ten rounds of multiplications on a counter of four 32-bit words, with the seed as its key. It keeps no
state in GPU memory, so a checkpoint holds two words and a count, and any number of threads can draw.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from chainrule._internal.backend import CPU, kernel, unfilled

SOURCE = """
struct Words { unsigned int a, b, c, d; };

__device__ inline unsigned int high(unsigned int x, unsigned int y) {
    return (unsigned int)(((unsigned long long)x * y) >> 32);
}

__device__ inline Words philox(unsigned long long index, unsigned int call, unsigned int k0, unsigned int k1) {
    Words w = {(unsigned int)index, (unsigned int)(index >> 32), call, 0u};
    for (int round = 0; round < 10; ++round) {
        unsigned int h0 = high(0xD2511F53u, w.a), l0 = 0xD2511F53u * w.a;
        unsigned int h1 = high(0xCD9E8D57u, w.c), l1 = 0xCD9E8D57u * w.c;
        w.a = h1 ^ w.b ^ k0;
        w.b = l1;
        w.c = h0 ^ w.d ^ k1;
        w.d = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return w;
}

__device__ inline float uniform(Words w, float) { return (w.a >> 8) * 5.9604644775390625e-8f; }

__device__ inline double uniform(Words w, double) {
    return ((w.a >> 5) * 67108864.0 + (w.b >> 6)) * 1.1102230246251565e-16;
}
"""
"""Words(index, call, key), and a number on [0, 1) from them: of 24 bits in float32, of 53 in float64."""

INPUTS = "uint32 call, uint32 k0, uint32 k1"


@final
class Philox:
    """The methods of a numpy.random.Generator that layers call, for arrays on a GPU."""

    def __init__(self, seed: int | np.random.SeedSequence | None) -> None:
        sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        self._key = [int(word) for word in sequence.generate_state(2)]
        self._calls = 0

    def arguments(self) -> tuple[int, int, int]:
        """Return the arguments of a kernel that draws numbers: the number of the call and the key."""
        self._calls += 1
        return self._calls & 0xFFFFFFFF, self._key[0], self._key[1]

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Fill ``out`` with uniform numbers on [0, 1)."""
        return self._fill("u = uniform(philox(i, call, k0, k1), T(0));", "uniform", size, dtype, out)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Fill ``out`` with standard normal numbers: √(−2 log u) cos 2πv (Box and Muller, 1958)."""
        body = """
            Words w = philox(i, call, k0, k1);
            T v = T(w.c >> 8) * T(5.9604644775390625e-8);
            u = sqrt(T(-2) * log(T(1) - uniform(w, T(0)))) * cos(T(6.283185307179586) * v);
        """
        return self._fill(body, "normal", size, dtype, out)

    def _fill(self, body: str, name: str, size: Any, dtype: Any, out: Any) -> Any:
        out = unfilled(size, dtype) if out is None else out
        kernel(INPUTS, "T u", body, f"chainrule_{name}", SOURCE)(*self.arguments(), out)
        return out

    def state(self) -> dict[str, Any]:
        """Return the state in JSON types."""
        return {"key": self._key, "calls": self._calls}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state; raise an error if it is not one of this generator."""
        key, calls = state["key"], state["calls"]
        if not (len(key) == 2 and all(0 <= int(word) < 2**32 for word in key) and int(calls) >= 0):
            raise ValueError(f"expected the state of a random generator for GPUs, got {state!r}")
        self._key, self._calls = [int(word) for word in key], int(calls)


def generator(seed: int | np.random.SeedSequence | None, device: str) -> Any:
    """Return a random generator that fills arrays on a device.

    >>> generator(0, "cpu").random()
    0.6369616873214543
    """
    return np.random.default_rng(seed) if device == CPU else Philox(seed)
