"""States from untrusted files: each value is validated before NumPy or compiled code uses it.

A checksum does not help here: whoever changes a file can recompute it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.files.values import shown

POOL = 4  # words in the pool of numpy.random.SeedSequence: its time grows with their square
WORDS = 100_000  # in a seed
LIMITS = {
    ("PCG64", "state"): 2**128,
    ("PCG64", "inc"): 2**128,
    ("PCG64DXSM", "state"): 2**128,
    ("PCG64DXSM", "inc"): 2**128,
    ("MT19937", "key"): 2**32,
    ("MT19937", "pos"): 625,
    ("Philox", "buffer_pos"): 5,
    ("", "has_uint32"): 2,
    ("", "uinteger"): 2**32,
    ("", "has_gauss"): 2,
}
"""Exclusive upper bounds of the numbers in a bit generator's state; by default 64 bits."""


def check_seed(seed: Any) -> np.random.SeedSequence:
    """Return the seed of a description, or raise a ``ValueError``.

    >>> check_seed({"entropy": 3, "spawn_key": [], "pool_size": 10**6, "n_children_spawned": 0})
    Traceback (most recent call last):
    ...
    ValueError: pool_size is 1000000, expected 4
    """
    if not isinstance(seed, dict) or seed.keys() != {"entropy", "spawn_key", "pool_size", "n_children_spawned"}:
        raise ValueError(f"expected entropy, spawn_key, pool_size and n_children_spawned, got {shown(seed)}")
    entropy, key = seed["entropy"], seed["spawn_key"]
    words = entropy if isinstance(entropy, list) else [entropy]
    if not isinstance(key, list) or len(words) + len(key) > WORDS:
        raise ValueError(f"expected at most {WORDS:,} numbers, got {shown(seed)}")
    for word in (*words, *key):
        _number("entropy", word, 2 ** (32 * WORDS))
    if _number("pool_size", seed["pool_size"], 2**32) != POOL:
        raise ValueError(f"pool_size is {seed['pool_size']}, expected {POOL}")
    _number("n_children_spawned", seed["n_children_spawned"], 2**32)
    return np.random.SeedSequence(**{**seed, "spawn_key": tuple(key)})


def check_stream(state: Any, now: Mapping[str, Any]) -> Any:
    """Return a bit generator's state in NumPy's form; ``now`` is its current state, which has the same form.

    >>> now = np.random.default_rng(0).bit_generator.state
    >>> check_stream(now | {"uinteger": 2**40}, now)
    Traceback (most recent call last):
    ...
    ValueError: uinteger is 1099511627776, expected a whole number from 0 to 4294967295
    """
    checked = _like("the stream", state, now, str(now["bit_generator"]))
    inner = checked["state"]
    if "inc" in inner and inner["inc"] % 2 == 0:
        raise ValueError(f"inc is {inner['inc']}, expected an odd number")
    if "pos" in inner and not (inner["key"][0] >> 31 or inner["key"][1:].any()):
        raise ValueError("key is all zeros: the generator would return the same number forever")
    return checked


def _like(name: str, value: Any, now: Any, generator: str) -> Any:
    """Return a part of a state, with lists converted to arrays, if it has the same form as now."""
    if isinstance(now, Mapping):
        if not isinstance(value, dict) or value.keys() != now.keys():
            raise ValueError(f"{name}: expected {', '.join(now)}, got {shown(value)}")
        return {key: _like(key, value[key], part, generator) for key, part in now.items()}
    if isinstance(now, str):
        if value != now:
            raise ValueError(f"{name} is {shown(value)}, expected {now}")
        return value
    if isinstance(now, float):
        return check_state({name: value}, {name: "number"})[0]
    limit = LIMITS.get((generator, name), LIMITS.get(("", name), 2**64))
    if not isinstance(now, np.ndarray):
        return _number(name, value, limit)
    if not isinstance(value, list) or len(value) != now.size:
        raise ValueError(f"{name}: expected {now.size} numbers, got {shown(value)}")
    return np.array([_number(name, number, limit) for number in value], np.uint64)


def _number(name: str, value: Any, limit: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < limit:
        most = f"to {limit - 1}" if limit <= 2**128 else "that is not too large"
        raise ValueError(f"{name} is {shown(value)}, expected a whole number from 0 {most}")
    return value


Form = tuple[tuple[int, ...], Any]


def form(array: Array) -> Form:
    """Return the shape and dtype of an array, as :func:`check_state` expects them."""
    return array.shape, array.dtype


def check_state(state: Mapping[str, Any], kinds: Mapping[str, Any]) -> list[Any]:
    """Validate the values of a state against ``kinds``, and return them in that order.

    Parameters
    ----------
    state : mapping
        From a file.
    kinds : mapping
        By name: "count" (a non-negative 64-bit integer), "number", "flag", "numbers" (a list), each with "?" if None is
        allowed; or the :func:`form` of an array, which may be None.

    >>> check_state({"best": 0.5, "epoch": -1}, {"best": "number", "epoch": "count"})
    Traceback (most recent call last):
    ...
    ValueError: epoch is -1, expected a whole number from 0 to 9223372036854775807
    """
    if state.keys() != kinds.keys():
        raise ValueError(f"expected {', '.join(kinds)}, got {shown(', '.join(map(str, state)))}")
    return [_of_kind(name, state[name], kind) for name, kind in kinds.items()]


def check_array(name: str, value: Any, wanted: Form) -> Array:
    """Return the array if it has exactly this shape and dtype."""
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name} is {shown(value)}, expected an array")  # noqa: TRY004
    for what, found, expected in zip(("shape", "dtype"), form(value), wanted, strict=True):
        if found != expected:
            raise ValueError(f"{name} has the {what} {found}, {expected} was expected")
    return value


def _of_kind(name: str, value: Any, kind: str | Form) -> Any:
    if isinstance(kind, tuple):
        return None if value is None else check_array(name, value, kind)
    if value is None and kind.endswith("?"):
        return None
    what = kind.removesuffix("?")
    if what == "count":
        return _number(name, value, 2**63)
    types: dict[str, type | tuple[type, ...]] = {"number": (int, float), "flag": bool, "numbers": list}
    fits = isinstance(value, types[what]) and isinstance(value, bool) == (what == "flag")
    if fits and what == "numbers":
        fits = all(isinstance(entry, int | float) and not isinstance(entry, bool) for entry in value)
    if not fits or (isinstance(value, int) and abs(value) >= 2**63):
        raise ValueError(f"{name} is {shown(value)}, expected {'a list of numbers' if what == 'numbers' else what}")
    return value
