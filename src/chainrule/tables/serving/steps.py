"""The preparation of columns as data: a fixed set of steps with their arrays, computed by NumPy.

Each step takes columns of a table, as :class:`~chainrule.tables.serving.cells.Reader` returns them, and gives inputs of
a network, (rows, inputs) as float64.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from chainrule._internal.typing import Array

PERIODS = {"month": 12.0, "day": 30.0, "hour": 24.0, "weekday": 7.0}  # in skrub's DatetimeEncoder
PARTS = ("year", "month", "day", "hour", "weekday", "total_seconds")
DAY = 86400.0
WORD = re.compile(r"(?u)\b\w\w+\b")  # as in scikit-learn's HashingVectorizer

Columns = Mapping[str, Array]


def inputs(steps: Sequence[Step], columns: Columns) -> Array:
    """Return the inputs of a network for the columns of a table: those of all steps, side by side."""
    return np.concatenate([step(columns) for step in steps], axis=1)


@dataclass(frozen=True, eq=False)
class Step(ABC):
    """A step of the preparation, for some columns. Its other fields are arrays, numbers or texts."""

    columns: tuple[str, ...]
    arrays: ClassVar[tuple[str, ...]] = ()
    """The fields that are arrays of float64."""

    @abstractmethod
    def __call__(self, columns: Columns) -> Array:
        """Return the inputs for the columns of a table, (rows, inputs)."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The column of each input: by default there is one input for each column."""
        return self.columns

    @property
    def width(self) -> int:
        """The number of inputs."""
        return len(self.sources)

    def given(self, columns: Columns) -> Array:
        """Return the columns of the step side by side, (rows, columns)."""
        return np.stack([columns[name] for name in self.columns], axis=1)


@final
@dataclass(frozen=True, eq=False)
class Numbers(Step):
    """Numbers as they are, with NaN for missing ones."""

    def __call__(self, columns: Columns) -> Array:
        return self.given(columns)


@final
@dataclass(frozen=True, eq=False)
class Missing(Step):
    """1 where a number is missing, else 0."""

    def __call__(self, columns: Columns) -> Array:
        return np.isnan(self.given(columns)).astype(np.float64)


@final
@dataclass(frozen=True, eq=False)
class Filled(Step):
    """Numbers with a value in place of missing ones."""

    values: Array
    arrays = ("values",)

    def __call__(self, columns: Columns) -> Array:
        x = self.given(columns)
        return np.where(np.isnan(x), self.values, x)


@final
@dataclass(frozen=True, eq=False)
class Squashed(Step):
    """Numbers that are scaled robustly and clipped smoothly, with 0, the median, for missing ones.

    .. code-block:: text

        z = (x − center) · factor
        y = z / √(1 + (z / most)²)           ±most for ±∞
    """

    center: Array
    factor: Array
    most: float
    arrays = ("center", "factor")

    def __call__(self, columns: Columns) -> Array:
        return squashed(self.given(columns), self.center, self.factor, self.most)


def squashed(x: Array, center: Array, factor: Array, most: float) -> Array:
    """Return numbers scaled and clipped, as :class:`Squashed` does."""
    with np.errstate(invalid="ignore", over="ignore"):
        z = (x - center) * factor
        y = np.where(np.isinf(x), np.sign(x) * most, z / np.sqrt(1 + np.square(z / most)))
    return np.where(np.isnan(y), 0.0, y)


@final
@dataclass(frozen=True, eq=False)
class Lookup(Step):
    """The row of a table for each value of a column, and the last row for any other value.

    So one-hot levels, rare ones included, and means of the target: whatever the encoder gives for the values it knows.
    """

    keys: tuple[str, ...]
    table: Array
    arrays = ("table",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_row", {key: i for i, key in enumerate(self.keys)})

    def __call__(self, columns: Columns) -> Array:
        row: dict[str, int] = self._row  # type: ignore[attr-defined]
        other, values = len(self.keys), columns[self.columns[0]].tolist()
        return self.table[[row.get(value, other) for value in values]]

    @property
    def sources(self) -> tuple[str, ...]:
        return self.columns * int(self.table.shape[1])


@final
@dataclass(frozen=True, eq=False)
class Dates(Step):
    """The parts of dates: some as numbers, the periodic ones as points on circles; all missing if the date is.

    ``parts`` are those of every column. With ``center`` and ``factor`` they are squashed, as in :class:`Squashed`.
    """

    parts: tuple[tuple[str, ...], ...]
    center: Array
    factor: Array
    most: float
    arrays = ("center", "factor")

    def __call__(self, columns: Columns) -> Array:
        found = np.concatenate(
            [dated(columns[name], parts) for name, parts in zip(self.columns, self.parts, strict=True)], axis=1
        )
        return squashed(found, self.center, self.factor, self.most) if len(self.center) else found

    @property
    def sources(self) -> tuple[str, ...]:
        widths = [sum(2 if part in PERIODS else 1 for part in parts) for parts in self.parts]
        return tuple(name for name, width in zip(self.columns, widths, strict=True) for _ in range(width))


def dated(seconds: Array, parts: Sequence[str]) -> Array:
    """Return the parts of dates, given in seconds since 1970: first the plain ones, then sines and cosines.

    >>> dated(np.array([86400.0 * 31]), ["year", "day", "weekday"]).round(2).tolist()        # Sunday, 1 February 1970
    [[1970.0, 0.21, 0.98, -0.0, 1.0]]
    """
    there = np.isfinite(seconds)
    days = np.floor(np.where(there, seconds, 0.0) / DAY).astype(np.int64)
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    of: dict[str, Array] = {
        "year": date.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month": month.astype(np.int64) % 12 + 1,
        "day": (date - month).astype(np.int64) + 1,
        "hour": np.floor((np.where(there, seconds, 0.0) - days * DAY) / 3600),
        "weekday": (days + 3) % 7 + 1,  # 1 January 1970 was a Thursday
        "total_seconds": seconds,
    }
    plain = [of[part].astype(np.float32) for part in parts if part not in PERIODS]  # as skrub's encoder gives them
    angles = [of[part] * (2 * np.pi / PERIODS[part]) for part in parts if part in PERIODS]
    circles = [f(angle) for angle in angles for f in (np.sin, np.cos)]
    found = np.stack([*plain, *circles], axis=1).astype(np.float64)
    found[~there] = np.nan
    return found


@final
@dataclass(frozen=True, eq=False)
class Words(Step):
    """Hashed and weighted words of a text, reduced to a few inputs.

    .. code-block:: text

        j = |hash(word)| mod buckets                         for each word of two or more letters, in lower case
        vⱼ = (1 + log countⱼ) · idfⱼ, divided by its norm
        y = (components v − mean) / scale

    The hash is MurmurHash3 of 32 bits, as in scikit-learn's ``HashingVectorizer``.
    """

    idf: Array
    components: Array
    mean: Array
    scale: Array
    arrays = ("idf", "components", "mean", "scale")

    def __call__(self, columns: Columns) -> Array:
        texts = columns[self.columns[0]].tolist()
        found = {text: self._reduced(text) for text in dict.fromkeys(texts)}
        return (np.stack([found[text] for text in texts]) - self.mean) / self.scale

    def _reduced(self, text: str) -> Array:
        counts = Counter(_bucket(word, len(self.idf)) for word in WORD.findall(text.lower()))
        if not counts:
            return np.zeros(len(self.components))
        j = np.fromiter(counts.keys(), np.int64, len(counts))
        v = (1 + np.log(np.fromiter(counts.values(), np.float64, len(counts)))) * self.idf[j]
        return np.asarray(self.components[:, j] @ (v / np.sqrt(v @ v)))

    @property
    def sources(self) -> tuple[str, ...]:
        return self.columns * len(self.components)


def _bucket(word: str, buckets: int) -> int:
    signed = murmur(word.encode())
    return abs(signed - 2**32 if signed >= 2**31 else signed) % buckets


def murmur(key: bytes) -> int:
    """Return MurmurHash3_x86_32 of a key with seed 0.

    Source: Appleby, "SMHasher" (2011), MurmurHash3.

    >>> murmur(b""), murmur(b"test"), murmur(b"Hello, world!")
    (0, 3127628307, 3224780355)
    """
    h, most = 0, 0xFFFFFFFF
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        h ^= _mixed(int.from_bytes(key[at : at + 4], "little"))
        h = (h << 13 | h >> 19) & most
        h = (h * 5 + 0xE6546B64) & most
    if len(key) > whole:
        h ^= _mixed(int.from_bytes(key[whole:], "little"))
    h ^= len(key)
    h = (h ^ h >> 16) * 0x85EBCA6B & most
    h = (h ^ h >> 13) * 0xC2B2AE35 & most
    return h ^ h >> 16


def _mixed(k: int) -> int:
    k = k * 0xCC9E2D51 & 0xFFFFFFFF
    k = (k << 15 | k >> 17) & 0xFFFFFFFF
    return k * 0x1B873593 & 0xFFFFFFFF


STEPS: dict[str, type[Step]] = {cls.__name__: cls for cls in (Numbers, Missing, Filled, Squashed, Lookup, Dates, Words)}
"""The steps that a file may name."""
