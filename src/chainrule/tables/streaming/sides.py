"""Which rows of a stream are trained on, and which are held out: decided row by row, in memory that does not grow."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.tables import dates
from chainrule.tables.streaming.sampling import BottomK, mixed, row_hashes
from chainrule.tables.streaming.source import Block

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

TRAIN, VALIDATION, TEST = 0, 1, 2

__all__ = ["ByGroup", "ByRow", "ByTime", "Parts", "Sides"]


class Parts(NamedTuple):
    """Rows drawn at random of each side, and how many rows are trained on, where that was counted."""

    sample: pl.DataFrame
    validation: pl.DataFrame
    test: pl.DataFrame
    train: int | None


class Sides(ABC):
    """A rule that puts every row on one side.

    Parameters
    ----------
    size : int
        Rows that are kept to prepare the others; of the held-out ones at most a quarter as many each are kept.
    seed : int
    test, validation : float
        Parts of the rows.
    """

    columns: tuple[str, ...] = ()
    """What it looks at."""

    def __init__(self, size: int, seed: int, test: float, validation: float) -> None:
        self.size, self.seed, self.test, self.validation = size, seed, test, validation

    @property
    @abstractmethod
    def how(self) -> str:
        """How the held-out rows are chosen, in words."""

    @abstractmethod
    def offer(self, block: Block, allowed: Array) -> Array:
        """Look at a block in the first pass; return which of the allowed rows are, as far as is known, trained on."""

    @abstractmethod
    def settle(self, usable: int) -> Parts:
        """Decide, after the first pass over so many usable rows."""

    @abstractmethod
    def trains_on(self, block: Block) -> Array:
        """Say which rows of a block are neither of the test nor of the validation, once it is decided."""

    def is_beside(self, row: Block) -> bool:
        """Say whether one row is trained on and not in the sample."""
        outside = row_hashes(row.start, 1, self.seed)[0] > self._last
        return bool(outside) and bool(self.trains_on(row)[0])

    _last = np.uint64(0)  # the largest hash of the sample


@final
class ByRow(Sides):
    """Rows at random: the smallest hashes are held out, the next ones are the sample."""

    def __init__(self, size: int, seed: int, test: float, validation: float) -> None:
        super().__init__(size, seed, test, validation)
        self._drawn = BottomK(size, seed)
        self._first = np.uint64(0)

    @property
    def how(self) -> str:
        return "rows drawn by a hash of their number"

    def offer(self, block: Block, allowed: Array) -> Array:
        self._drawn.offer(block, allowed)
        return allowed

    def settle(self, usable: int) -> Parts:
        rows, hashes = self._drawn.rows(), self._drawn.hashes()
        k_test = min(round(self.test * usable), len(rows) // 4)
        k_validation = min(max(1, round(self.validation * usable)), len(rows) // 4)
        held = k_test + k_validation
        if usable - held < 2:
            raise ValueError(f"{usable} row(s) with a target are too few to train, to validate and to test.")
        self._first, self._last = hashes[held - 1] if held else np.uint64(0), hashes[-1]
        return Parts(rows[held:], rows[k_test:held], rows[:k_test], usable - held)

    def trains_on(self, block: Block) -> Array:
        return row_hashes(block.start, block.frame.height, self.seed) > self._first


@final
class ByGroup(Sides):
    """Whole groups: the hash of a group's value decides, so that no list of groups is kept.

    Examples
    --------
    >>> import polars as pl
    >>> sides = ByGroup("shop", 100, 0, test=0.2, validation=0.1)
    >>> shops = pl.DataFrame({"shop": [f"shop {i % 50}" for i in range(1000)]})
    >>> trained = sides.offer(Block(0, shops), np.ones(1000, bool))
    >>> held_out = set(shops["shop"].to_numpy()[~trained])
    >>> len(held_out), held_out & set(shops["shop"].to_numpy()[trained])
    (13, set())
    """

    def __init__(self, name: str, size: int, seed: int, test: float, validation: float) -> None:
        super().__init__(size, seed, test, validation)
        self.name, self.columns = name, (name,)
        self._drawn = [BottomK(size, seed), BottomK(max(1, size // 4), seed), BottomK(max(1, size // 4), seed)]
        self._counts = [0, 0, 0]

    @property
    def how(self) -> str:
        return f"whole groups of {self.name!r} by a hash of their value"

    def offer(self, block: Block, allowed: Array) -> Array:
        side = self._side(block)
        for i, drawn in enumerate(self._drawn):
            here = allowed & (side == i)
            self._counts[i] += int(here.sum())
            drawn.offer(block, here)
        return allowed & (side == TRAIN)

    def settle(self, usable: int) -> Parts:
        wanted = {"train": TRAIN, "validate": VALIDATION} | ({"test": TEST} if self.test else {})
        for what, side in wanted.items():
            if not self._counts[side]:
                raise ValueError(
                    f"--group: no group of {self.name!r} fell to the part to {what}, since there are few groups: try "
                    "another --seed, or another --test."
                )
        self._last = self._drawn[TRAIN].hashes()[-1]
        sample, validation, test = (drawn.rows() for drawn in self._drawn)
        return Parts(sample, validation, test, self._counts[TRAIN])

    def trains_on(self, block: Block) -> Array:
        return self._side(block) == TRAIN

    def _side(self, block: Block) -> Array:
        """Return the side of each row: u = hash / 2⁶⁴ below ``test``, below ``test + validation``, or above."""
        polars = require("polars", "tables")
        texts = block.frame[self.name].cast(polars.String).fill_null("(missing)").to_frame("group")
        groups = texts.unique(maintain_order=True)
        checks = np.array([zlib.crc32(text.encode()) for text in groups["group"]], np.uint64)
        u = mixed(checks, self.seed, 0x6409).astype(np.float64) / 2.0**64
        side = np.where(u < self.test, TEST, np.where(u < self.test + self.validation, VALIDATION, TRAIN))
        return texts.join(groups.with_columns(side=side), on="group", how="left", maintain_order="left")[
            "side"
        ].to_numpy()


@final
class ByTime(Sides):
    """The last rows by a column: from a value on that is found from the sample, to its rank error.

    Of a table that fits into the sample the value is exact.
    """

    def __init__(
        self, name: str, date_format: str | None, size: int, seed: int, test: float, validation: float
    ) -> None:
        super().__init__(size, seed, test, validation)
        self.name, self.columns, self._format = name, (name,), date_format
        self._drawn = BottomK(size, seed)
        self._missing = 0
        self._from: Any = None
        self._shown = ""

    @property
    def how(self) -> str:
        return f"the last rows by {self.name!r}: {self._shown}"

    def offer(self, block: Block, allowed: Array) -> Array:
        values = block.frame[self.name]
        hole = values.is_null() | values.is_nan() if values.dtype.is_float() else values.is_null()
        self._missing += int((hole.to_numpy() & allowed).sum())
        self._drawn.offer(block, allowed)
        return allowed

    def settle(self, usable: int) -> Parts:
        if self._missing:
            raise ValueError(f"--time-column: {self.name!r} has {self._missing:,} rows without a value.")
        rows = self._drawn.rows()
        self._find_format(rows[self.name])
        keys = self._keys(rows[self.name])
        order = np.argsort(keys, kind="stable")
        last = len(rows) - round(self.test * len(rows))
        middle = last - max(1, round(self.validation * len(rows)))
        if middle < 2:
            raise ValueError(f"{usable} row(s) with a target are too few to train, to validate and to test.")
        ordered = keys[order]
        self._from = ordered[middle]
        test_from = ordered[last] if last < len(rows) else None
        train = keys < self._from
        test = np.zeros(len(rows), bool) if test_from is None else keys >= test_from
        between = ~train & ~test
        if train.sum() < 2 or not between.any():
            raise ValueError(
                f"--time-column: {self.name!r} has too few different values at its end to hold out the last rows: "
                "leave it out, or give another column."
            )
        first = rows[self.name][int(order[middle if test_from is None else last])]
        self._shown, self._last = f"{first} and later", self._drawn.hashes()[-1]
        return Parts(rows.filter(train), rows.filter(between), rows.filter(test), None)

    def trains_on(self, block: Block) -> Array:
        return self._keys(block.frame[self.name], block.start) < self._from

    def _find_format(self, values: pl.Series) -> None:
        polars = require("polars", "tables")
        if values.dtype != polars.String or self._format is not None:
            return
        found = dates.find(values)
        if found is None or found.other is not None:
            why = "could be read in two ways" if found else "is text that is no date"
            raise ValueError(
                f"--time-column: {self.name!r} {why}: say how with --date {self.name}:FORMAT, such as %d/%m/%Y."
            )
        self._format = dates.SEPARATOR.join(found.formats)

    def _keys(self, values: pl.Series, start: int | None = None) -> Array:
        """Return numbers that are ordered as the values are."""
        polars = require("polars", "tables")
        kind = values.dtype
        if kind == polars.String:
            read = dates.parse(values, str(self._format))
            if read.null_count():
                row = int(read.is_null().arg_max() or 0)
                where = "" if start is None else f"row {start + row + 1} has "
                raise ValueError(f"--time-column: {self.name!r}: {where}{values[row]!r}, no date as {self._format}.")
            values = read
        elif not (kind.is_numeric() or kind in (polars.Date, polars.Datetime)):
            raise ValueError(f"--time-column: {self.name!r} is neither a number nor a date.")
        if values.dtype.is_temporal():
            return values.cast(polars.Datetime("us")).to_physical().to_numpy()
        return values.to_numpy()


Start = Callable[[int], Sides]
"""Makes a rule for samples of so many rows."""
