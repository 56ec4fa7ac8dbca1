"""Blocks to inputs at the speed of the disk: what the fitted ColumnTransformer does, done with fewer copies.

Numbers are scaled column by column into the place where the network reads them. A transformer of categories is a
function of few values: it is asked once for each of them, and from then on every row is a look-up. What is left
(dates, texts) goes through the transformer itself. Which of these a part may use is found out by comparing both on
rows of the sample, so that this can be faster than the transformer but not different.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.tables.casting import cast
from chainrule.tables.schema import Column

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

UNKNOWN = "\x00 a value that no table has"
TOLERANCE = 1e-6  # relative: what float32 keeps
TURNED = 256  # rows
MOST_VALUES = 200_000  # numbers in a look-up table

Fill = Callable[[Any, Array], None]

__all__ = ["Preparation"]


class Preparation:
    """A fitted ColumnTransformer, for blocks.

    Parameters
    ----------
    columns : sequence of Column
    fitted : sklearn.compose.ColumnTransformer
    sample : polars.DataFrame
        Some rows on which the fast way is compared with the transformer's.

    Attributes
    ----------
    width : int
        How many inputs the network has.
    slow : tuple of str
        The parts that go through the transformer itself.
    unread : dict
        How many values of which column could not be read, by the first row of a block.

    Examples
    --------
    >>> import polars as pl
    >>> from chainrule.tables.preparation import preparation
    >>> columns = [Column("age", "number", missing=1)]
    >>> frame = pl.DataFrame({"age": [1.0, 2.0, 3.0, None]})
    >>> fitted = preparation(columns, 4, 0).fit(cast(frame, columns))
    >>> np.allclose(Preparation(columns, fitted, frame)(frame), fitted.transform(cast(frame, columns)))
    True
    """

    def __init__(self, columns: Sequence[Column], fitted: Any, sample: pl.DataFrame) -> None:
        self._columns = columns
        ready = cast(sample, columns)
        expected = np.asarray(fitted.transform(ready), np.float32)
        self.width = expected.shape[1]
        self._parts: list[tuple[slice, Fill]] = []
        slow = []
        for name, transformer, names in fitted.transformers_:
            where = fitted.output_indices_.get(name)
            if where is None or transformer == "drop" or where.start == where.stop:
                continue
            names = [names] if isinstance(names, str) else list(names)  # noqa: PLW2901
            fill = _fast(name, transformer, names, ready, expected[:, where])
            if fill is None:
                slow.append(name)
                fill = _through(transformer, fitted, name, names)
            self._parts.append((where, fill))
        self.slow = tuple(slow)
        self.unread: dict[int, dict[str, int]] = {}

    def __call__(self, frame: pl.DataFrame, out: Array | None = None, start: int | None = None) -> Array:
        """Return the inputs (rows, width), float32, of rows as they are in the file: in ``out`` if that is given.

        Values that cannot be read are counted where ``start``, the number of the first row, is given.
        """
        ready = cast(frame, self._columns)
        if start is not None:
            read = [c.name for c in self._columns if c.used and c.kind in ("number", "date")]
            more = {name: ready[name].null_count() - frame[name].null_count() for name in read}
            self.unread[start] = {name: count for name, count in more.items() if count > 0}
        out = np.empty((frame.height, self.width), np.float32) if out is None else out[: frame.height]
        for where, fill in self._parts:
            fill(ready, out[:, where])
        return out


def _fast(name: str, transformer: Any, names: list[str], ready: pl.DataFrame, expected: Array) -> Fill | None:
    """Return a fast way to the same numbers, or None where none of those that are known leads to them."""
    makers = {"number": _scaled, "hole": _holes, "yes-no": _filled, "category": _looked_up, "many": _looked_up}
    maker = makers.get(name)
    try:
        fill = None if maker is None else maker(transformer, names)
    except (AttributeError, IndexError, TypeError, ValueError):  # another transformer than the one this was written for
        fill = None
    if fill is None:
        return None
    found = np.zeros(expected.shape, np.float32)
    fill(ready, found)
    return fill if np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE) else None


def _through(transformer: Any, fitted: Any, name: str, names: list[str]) -> Fill:
    """Return what asks the transformer itself."""
    given = {n: c for n, _, c in fitted.transformers}[name]

    def fill(ready: pl.DataFrame, out: Array) -> None:
        rows = ready[given].to_list() if isinstance(given, str) else ready.select(names)
        made = transformer.transform(rows)
        out[...] = made.toarray() if hasattr(made, "toarray") else np.asarray(made)

    return fill


def _scaled(pipeline: Any, names: list[str]) -> Fill:
    """(x − median) / scale, clipped smoothly to ±B: z / √(1 + (z/B)²); a hole is 0."""
    scaler, imputer = (step for _, step in pipeline.steps)
    center, scale = np.zeros(len(names)), np.zeros(len(names))
    if scaler.robust_scaler_ is not None:
        center[scaler.robust_cols_] = scaler.robust_scaler_.center_
        scale[scaler.robust_cols_] = 1 / scaler.robust_scaler_.scale_
    if scaler.minmax_scaler_ is not None:
        center[scaler.minmax_cols_] = scaler.minmax_scaler_.median_
        scale[scaler.minmax_cols_] = scaler.minmax_scaler_.scale_
    bound, filled = scaler.max_absolute_value, imputer.statistics_

    def fill(ready: pl.DataFrame, out: Array) -> None:
        z, root = np.empty(ready.height), np.empty(ready.height)
        columns = np.empty((len(names), ready.height), np.float32)
        for j, name in enumerate(names):
            np.subtract(_numbers(ready, name), center[j], out=z)
            with np.errstate(invalid="ignore", over="ignore"):
                infinite = np.isinf(z) if not np.isfinite(z.sum()) else None
                signs = None if infinite is None else np.sign(z[infinite])
                z *= scale[j]
                np.multiply(z, 1 / bound, out=root)
                root *= root
                root += 1.0
                np.sqrt(root, out=root)
                z /= root
            if infinite is not None:
                z[infinite] = bound * signs
                z[np.isnan(z)] = filled[j]
            columns[j] = z
        _turn(columns, out)

    return fill


def _holes(_: Any, names: list[str]) -> Fill:
    def fill(ready: pl.DataFrame, out: Array) -> None:
        for j, name in enumerate(names):
            np.isnan(_numbers(ready, name), out=out[:, j], casting="unsafe")

    return fill


def _filled(imputer: Any, names: list[str]) -> Fill:
    statistics = imputer.statistics_

    def fill(ready: pl.DataFrame, out: Array) -> None:
        for j, name in enumerate(names):
            x = _numbers(ready, name)
            out[:, j] = np.where(np.isnan(x), statistics[j], x)

    return fill


def _looked_up(transformer: Any, names: list[str]) -> Fill | None:
    """Ask the transformer for each value of each column, beside unknown ones in all others; then look them up.

    The outputs of a column are those that change with its value.
    """
    polars = require("polars", "tables")
    encoder = transformer if hasattr(transformer, "categories_") else transformer[0]
    categories = [[str(value) for value in found] for found in encoder.categories_]
    unknown = polars.DataFrame({name: [UNKNOWN] for name in names})
    base = np.asarray(transformer.transform(unknown), np.float32)[0]
    tables = []
    for name, values in zip(names, categories, strict=True):
        if len(values) * len(base) > 50 * MOST_VALUES:
            return None
        asked = polars.DataFrame({n: [*values, UNKNOWN] if n == name else [UNKNOWN] * (len(values) + 1) for n in names})
        table = np.asarray(transformer.transform(asked), np.float32)
        changing = np.flatnonzero((table != base).any(axis=0))
        if len(values) * len(changing) > MOST_VALUES:
            return None
        tables.append((name, polars.Enum(values), len(values), changing, np.ascontiguousarray(table[:, changing])))

    def fill(ready: pl.DataFrame, out: Array) -> None:
        out[...] = base
        codes = ready.select(
            polars.col(name).cast(kind, strict=False).to_physical().cast(polars.UInt32).fill_null(count)
            for name, kind, count, _, _ in tables
        )
        for name, _, _, changing, table in tables:
            rows = table.take(codes[name].to_numpy(), axis=0)
            for k, j in enumerate(changing):
                out[:, j] = rows[:, k]

    return fill


def _turn(columns: Array, out: Array) -> None:
    """Copy columns to rows, so many at a time that both stay in the cache."""
    for at in range(0, len(out), TURNED):
        out[at : at + TURNED] = columns[:, at : at + TURNED].T


def _numbers(frame: pl.DataFrame, name: str) -> Array:
    """Return a column of numbers, NaN where it has holes."""
    return frame[name].to_numpy()
