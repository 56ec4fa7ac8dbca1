"""The first pass: what every column is like, and a sample of the rows; what is held out is decided here, too."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.tables.loading import FEWEST
from chainrule.tables.streaming.digest import Digest
from chainrule.tables.streaming.progress import Meter
from chainrule.tables.streaming.sides import Sides, Start
from chainrule.tables.streaming.source import Block, Source
from chainrule.tables.streaming.statistics import ColumnStatistics

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

SAMPLE_BYTES = 12 * 2**20  # of rows that are kept, at 8 bytes a value
LARGEST_SAMPLE, SMALLEST_SAMPLE = 100_000, 2_000
RARE = 128  # values of a column of which at least one row is kept

__all__ = ["Survey", "has_target", "sample_size", "survey"]


@dataclass
class Survey:
    """What the first pass found.

    Attributes
    ----------
    columns : dict of ColumnStatistics
    rows, usable : int
        Of the file; and those whose target has a value.
    train : int
        Rows to train on, in the whole file.
    sample, validation, test : polars.DataFrame
        Rows drawn at random. The sample is of the rows to train on, and has at least one row of each rare value.
    sides : Sides
        Which rows are trained on.
    """

    columns: dict[str, ColumnStatistics]
    rows: int
    usable: int
    train: int
    sample: pl.DataFrame
    validation: pl.DataFrame
    test: pl.DataFrame
    sides: Sides


def sample_size(columns: int) -> int:
    """Return how many rows of so many columns are kept."""
    return max(SMALLEST_SAMPLE, min(LARGEST_SAMPLE, SAMPLE_BYTES // (8 * columns)))


def survey(
    source: Source, targets: Sequence[str], names: Sequence[str], start: Start, meter: Meter, digest: Digest
) -> Survey:
    """Read all rows once; where rows are held out by time, those of a few columns twice.

    Parameters
    ----------
    source : Source
    targets, names : names of columns
        What is to be predicted, and what is read besides.
    start : function of int
        Makes the :class:`~chainrule.tables.streaming.sides.Sides` for samples of so many rows.
    meter : Meter
    digest : Digest
        Hashes the file as far as it has been read.
    """
    read = list(dict.fromkeys([*targets, *names]))
    columns = {name: ColumnStatistics(name) for name in read}
    sides = start(sample_size(len(read)))
    rare = _Rare()
    usable = 0
    with ThreadPoolExecutor(2) as pool:  # polars lets go of the interpreter while it counts
        for block in source.blocks(columns=read):
            allowed = has_target(block.frame, targets)
            usable += int(allowed.sum())
            trained = sides.offer(block, allowed)
            found = pool.map(ColumnStatistics.add, columns.values(), (block.frame[name] for name in read))
            for name, new in zip(read, found, strict=True):
                rare.keep(block, name, new, columns[name], trained)
            rare.gather(block)
            meter.add(block.frame.height)
            digest.up_to((block.start + block.frame.height) / source.rows)
            del block
    if not usable:
        raise ValueError(
            f"{source.path} has no row with a target"
            + (": it has no rows." if not source.rows else ": all are missing.")
        )
    if usable < FEWEST:
        raise ValueError(f"{source.path} has {usable} row(s) with a target: expected {FEWEST} or more.")
    parts = sides.settle(usable)
    train = _count(source, targets, sides) if parts.train is None else parts.train
    return Survey(
        columns, source.rows, usable, train, rare.beside(parts.sample, sides), parts.validation, parts.test, sides
    )


def _count(source: Source, targets: Sequence[str], sides: Sides) -> int:
    """Count the rows to train on."""
    blocks = source.blocks(columns=list(dict.fromkeys([*targets, *sides.columns])))
    return sum(int((has_target(block.frame, targets) & sides.trains_on(block)).sum()) for block in blocks)


def has_target(frame: pl.DataFrame, targets: Sequence[str]) -> Array:
    """Say which rows have a value in every target."""
    polars = require("polars", "tables")
    if not any(frame[name].null_count() or frame.schema[name].is_float() for name in targets):
        return np.ones(frame.height, dtype=bool)
    there = [
        polars.col(name).is_not_null() & (polars.col(name).is_not_nan() if frame.schema[name].is_float() else True)
        for name in targets
    ]
    return frame.select(polars.all_horizontal(there))[:, 0].to_numpy()


class _Rare:
    """The first row of every value that is new, and of the first hole, of each column."""

    def __init__(self) -> None:
        self._new: set[int] = set()
        self._kept: list[tuple[int, list[int], pl.DataFrame]] = []
        self._holes: set[str] = set()

    def keep(self, block: Block, name: str, new: list[Any], column: ColumnStatistics, allowed: Array) -> None:
        polars = require("polars", "tables")
        values = block.frame[name]
        if name not in self._holes and column.missing:
            hole = (values.is_null() | values.is_nan() if values.dtype.is_float() else values.is_null()).to_numpy()
            index = np.flatnonzero(hole & allowed)[:1]
            self._new.update(index.tolist())
            if len(index):
                self._holes.add(name)
        if not new or column.counts is None or len(column.counts) - len(new) > RARE:
            return
        found = polars.DataFrame({"value": values, "row": polars.int_range(len(values), eager=True)})
        found = found.filter(polars.Series(allowed) & values.is_in(new)).group_by("value").agg(polars.col("row").min())
        self._new.update(np.sort(found["row"].to_numpy())[:RARE].tolist())

    def gather(self, block: Block) -> None:
        """Copy the rows of this block that are to be kept: all at once, since a wide table has most of them."""
        if self._new:
            rows = sorted(self._new)
            self._kept.append((block.start, rows, block.frame[rows]))
            self._new = set()

    def beside(self, sample: pl.DataFrame, sides: Sides) -> pl.DataFrame:
        """Return the sample and those of these rows that are trained on and were not drawn."""
        polars = require("polars", "tables")
        chosen = [
            frame[[i for i, row in enumerate(rows) if sides.is_beside(Block(start + row, frame[[i]]))]]
            for start, rows, frame in self._kept
        ]
        return polars.concat([sample, *chosen]) if chosen else sample
