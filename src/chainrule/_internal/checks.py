"""Input validation. Every error says what was expected, what came, the likely cause, and the remedy."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from chainrule._internal.backend import host, on_device
from chainrule._internal.typing import Array, is_sparse


def check_count(owner: str, name: str, value: Any, least: int = 1) -> int:
    """Return ``value`` as an int of at least ``least``.

    >>> check_count("Dense", "units", 0)
    Traceback (most recent call last):
    ...
    ValueError: Dense: units: expected a whole number of at least 1, got 0.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{owner}: {name}: expected a whole number, got {value!r}.") from None
    if count < least:
        raise ValueError(f"{owner}: {name}: expected a whole number of at least {least}, got {count}.")
    return count


def check_real(
    owner: str, name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_low: bool = False,
    open_high: bool = False,
) -> float:  # fmt: skip
    """Return ``value`` as a finite float between ``low`` and ``high``.

    >>> check_real("Dropout", "rate", 1.0, 0, 1, open_high=True)
    Traceback (most recent call last):
    ...
    ValueError: Dropout: rate: expected a number in [0, 1), got 1.0.
    """
    if isinstance(value, bool | str | bytes) or not isinstance(value, int | float | np.number | np.ndarray):
        raise TypeError(f"{owner}: {name}: expected a number, got {value!r}.")
    number = float(value)
    below = number <= low if open_low else number < low
    above = number >= high if open_high else number > high
    if math.isnan(number) or math.isinf(number) or below or above:
        left = "(" if open_low or low == -math.inf else "["
        right = ")" if open_high or high == math.inf else "]"
        raise ValueError(f"{owner}: {name}: expected a number in {left}{low:g}, {high:g}{right}, got {number}.")
    return number


def check_seed(owner: str, seed: Any) -> int | np.random.SeedSequence | None:
    """Return a seed: a whole number, a SeedSequence spawned from one, or None for a fresh one."""
    if seed is None or isinstance(seed, np.random.SeedSequence):
        return seed
    return check_count(owner, "seed", seed, least=0)


def check_split_seed(owner: str, seed: Any, name: str = "seed") -> int:
    """Return a seed that scikit-learn's splits accept as well.

    >>> check_split_seed("train", -1)
    Traceback (most recent call last):
    ...
    ValueError: train: seed: expected a whole number from 0 to 4294967295, got -1.
    """
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
        raise TypeError(f"{owner}: {name}: expected a whole number, got {seed!r}.")
    if not 0 <= seed < 2**32:
        raise ValueError(f"{owner}: {name}: expected a whole number from 0 to {2**32 - 1}, got {seed}.")
    return int(seed)


def check_unmasked(name: str, values: Any) -> None:
    """Refuse a masked array, whose masked values would be used like others."""
    mask = getattr(values, "mask", None)
    if isinstance(mask, np.ndarray) and mask.any():
        count = np.count_nonzero(mask)
        raise ValueError(f"{name}: expected no masked values, got {count:,}: fill them, or leave their rows out.")


def check_numbers(name: str, values: Any) -> Array:
    """Return ``values`` as an array of real numbers or booleans, without changing its dtype."""
    check_unmasked(name, values)
    try:
        array = values if on_device(values) else np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name}: expected a rectangular array of numbers, got rows of different lengths.") from error
    if array.dtype.kind not in "fiub":
        if hasattr(values, "toarray"):
            raise TypeError(f"{name}: expected an array, got a sparse matrix. Make it dense first: {name}.toarray().")
        first = repr(array.reshape(-1)[:1].tolist()[0])[:40] if array.size else "nothing"
        words = "np.unique(t, return_inverse=True)[1]" if name == "t" else "scikit-learn's OneHotEncoder"
        raise TypeError(
            f"{name}: expected numbers, got an array of dtype {array.dtype} (its first value is {first}). Encode text "
            f"with {words}; convert numeric data with np.asarray({name}, dtype=float)."
        )
    return array


def check_finite(name: str, array: Array, dtype: np.dtype[Any]) -> None:
    """Raise an error that locates the first NaN, infinity, or value that overflows ``dtype``."""
    if array.dtype.kind != "f" or not array.size:
        return
    largest = float(np.finfo(dtype).max)
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum is finite if all values are, unless they are huge: one pass, no extra memory.
        fits = array.dtype.itemsize <= dtype.itemsize or (array.max() <= largest and array.min() >= -largest)
        if fits and math.isfinite(array.sum()):
            return
    for row, values in enumerate(host(array)):
        bad = np.flatnonzero(~(np.abs(values) <= largest))
        if bad.size:
            value = np.ravel(values)[bad[0]]
            where = f"row {row}" + (f", column {bad[0]}" if array.ndim == 2 else "")
            if array.ndim > 2:  # images have no columns
                where += f" at {tuple(map(int, np.unravel_index(bad[0], values.shape)))}"
            if np.isfinite(value):
                raise ValueError(
                    f"{name}: the value {value} in {where} overflows {dtype}: "
                    "scale the data, or build the network with dtype='float64'."
                )
            raise ValueError(
                f"{name}: expected finite numbers, got {value} in {where}. "
                "Fill missing values (for example with the column's mean) or drop those rows first."
            )


def check_rows(X: Any, sample_shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "X") -> Any:
    """Return X as an array (rows, *sample_shape) of finite numbers; it is copied only if it is not an array."""
    array: Any = X.tocsr() if is_sparse(X) else check_numbers(name, X)
    if array.ndim != len(sample_shape) + 1 or array.shape[1:] != sample_shape or not array.shape[0]:
        raise ValueError(_wrong_rows(name, array.shape, sample_shape))
    if is_sparse(array):
        check_finite(f"{name}'s stored values", array.data, dtype)
    else:
        check_finite(name, array, dtype)
    return array


def _wrong_rows(name: str, shape: tuple[int, ...], sample_shape: tuple[int, ...]) -> str:
    wanted = f"(rows, {', '.join(map(str, sample_shape))})"
    if len(sample_shape) > 1 and shape != sample_shape and 0 not in shape:
        sizes = ", ".join(map(str, sample_shape))
        if len(shape) == 4 and (*shape[2:], shape[1]) == sample_shape:
            remedy = f"Channels come last: {name}.transpose(0, 2, 3, 1)."
        elif math.prod(shape[1:]) == math.prod(sample_shape):
            remedy = f"Reshape it: {name}.reshape(len({name}), {sizes})."
        else:
            remedy = "Are these the images the network was built for, with channels last?"
        return f"{name}: expected an array of shape {wanted}, got {len(shape)}-D, shape {shape}. {remedy}"
    if len(shape) != len(sample_shape) + 1:
        if shape == sample_shape:
            remedy = f"One sample? Give a batch of one: {name}[np.newaxis]."
        elif len(shape) == 1 and sample_shape == (1,):
            remedy = f"One column? Make it one: {name}.reshape(-1, 1)."
        else:
            remedy = f"Reshape it, for example with {name}.reshape(len({name}), -1)."
        return f"{name}: expected an array of shape {wanted}, got {len(shape)}-D, shape {shape}. {remedy}"
    if shape[1:] != sample_shape:
        had, has = (shape[1], sample_shape[0]) if len(sample_shape) == 1 else (shape[1:], sample_shape)
        return (
            f"{name}: expected {has} features, got {had} (expected shape {wanted}, got {shape}). "
            "Are these the columns the network was built for?"
        )
    return f"{name}: expected at least one row, got an array of shape {shape}. Is the selection empty?"


def check_lengths(X: Any, **others: Array | None) -> None:
    """Raise an error for arrays that do not have one entry per row of X."""
    for name, values in others.items():
        if values is not None and len(values) != X.shape[0]:
            raise ValueError(
                f"X and {name}: expected the same number of rows, got {X.shape[0]} and {len(values)}. "
                "Were both split the same way?"
            )


def check_weights(weights: Any, dtype: np.dtype[Any], name: str = "sample_weight") -> Array:
    """Return sample weights: one finite, non-negative number per row, not all zero."""
    array = check_numbers(name, weights)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one number per row, shape (rows,), got shape {array.shape}.")
    check_finite(name, array, dtype)
    if (array < 0).any() or not array.any():
        what = "a negative number" if (array < 0).any() else "zeros only"
        raise ValueError(f"{name}: expected non-negative numbers, not all zero, got {what}.")
    return array.astype(dtype)
