"""Checks of new rows against the schema of training: missing and unknown columns, types, and unseen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule._internal.typing import Array
from chainrule.tables import date_words, dates, notation, quantities
from chainrule.tables._polars import pl
from chainrule.tables.formats import MISSING
from chainrule.tables.kinds import normal
from chainrule.tables.number_patterns import informed
from chainrule.tables.row_notes import RowNotes, nested, of_other_zone, refusal, what, zone_of
from chainrule.tables.schema import Column, Schema


def check(frame: pl.DataFrame, schema: Schema, *, coerce: bool = False) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return rows with the columns and types of a schema, and notes.

    Parameters
    ----------
    frame : polars.DataFrame (rows, columns)
    schema : Schema
    coerce : bool
        Treat values of another type as missing, instead of refusing them.

    Returns
    -------
    frame : polars.DataFrame (rows, used columns)
        As :func:`chainrule.tables.casting.cast` takes it.
    notes : tuple of str
        On unused columns, missing optional columns, and values not seen in training.

    Raises
    ------
    ValueError
        If there are no rows, a required column is missing, or a column has values of another type.

    Examples
    --------
    >>> import polars as pl
    >>> target = Column("died", "yes/no", "text", categories=("no", "yes"))
    >>> schema = Schema((Column("age", "number", "whole"),), (target,), "binary", ("no", "yes"))
    >>> check(pl.DataFrame({"age": [41], "name": ["Ada"]}), schema)[1]
    ("The column 'name' is not in the schema: ignored.",)
    >>> check(pl.DataFrame({"age": ["41", "old"]}), schema)
    Traceback (most recent call last):
    ...
    ValueError: 'age' is a number, but row 2 has 'old' (1 row in total): correct it, or pass --coerce.
    """
    checker = Checker(schema, coerce=coerce)
    return checker(frame), checker.notes()


class Checker:
    """Checks rows block by block; its notes cover all blocks.

    Parameters
    ----------
    schema, coerce : as for :func:`check`
    seen : mapping of names to strings
        Values seen in training, for high-cardinality columns.
    whole : bool
        Whether the first block has all rows.
    numbers : array (rows,), optional
        Numbers of the rows in the file, for errors; 1, 2, 3, ... by default.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        coerce: bool = False,
        seen: Mapping[str, Sequence[str]] | None = None,
        whole: bool = True,
        numbers: Array | None = None,
    ) -> None:
        self._schema, self._coerce, self._so_far = schema, coerce, "in total" if whole else "so far"
        few = {c.name: c.categories for c in schema.used if c.kind in ("yes/no", "category")}
        self._seen = {name: pl.Series(list(texts), dtype=pl.String) for name, texts in (few | dict(seen or {})).items()}
        self._formats: dict[str, str] = {}
        self._found, self._looked = RowNotes(schema), False
        self._rows, self._numbers = 0, numbers

    def look(self, names: Sequence[str]) -> None:
        """Refuse a table without a required column, by its column names."""
        self._looked = True
        try:
            self._found.look(names)
        except ValueError as error:
            alone = f" The only column is {names[0]!r}: is the --delimiter another one?" if len(names) == 1 else ""
            raise ValueError(str(error) + alone) from None

    def begin(self, names: Sequence[str], start: int = 0, head: pl.DataFrame | None = None) -> None:
        """Check the rows of another file next, from ``start`` on, whose first rows tell the format of its dates."""
        self._formats = {}
        if head is not None:
            first = Checker(self._schema, coerce=True)
            first(head)
            self._formats = first._formats
        self.look(names)
        self._rows = start

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows with the columns and types of the schema."""
        if not self._looked:
            self.look(frame.columns)
        if not frame.height:
            raise ValueError("no rows to predict: expected at least one.")
        columns: list[Any] = []
        for column in self._schema.used:
            if column.name not in frame.columns:
                columns.append(pl.Series(column.name, [None] * frame.height, dtype=_type(column)))
            else:
                columns.append(self._fit(normal(frame[column.name]), column))
        self._rows += frame.height
        return pl.DataFrame(columns)

    def notes(self) -> tuple[str, ...]:
        """Return the notes on all rows so far."""
        return self._found.notes()

    def _fit(self, values: pl.Series, column: Column) -> pl.Series:
        """Return a column in the type of the schema."""
        if values.dtype.is_nested() or values.dtype == pl.Object:
            raise nested(column)
        values = self._without_empty(values, column)
        if column.kind == "number":
            read = _number(values, column, self._schema.format.decimal)
            self._found.bare[column.name] += quantities.bare(values, column.notation.unit)
        elif column.kind == "date":
            read = self._date(values, column)
        else:
            read = _category(values, column)
        wrong = read.is_null() & values.is_not_null()
        if column.holes and values.dtype in (pl.String, pl.Int64):
            known = wrong & values.cast(pl.String).is_in(column.holes)
            self._found.coerced[column.name] += int(known.sum())
            wrong &= ~known
        count = int(wrong.sum())
        if count and not self._coerce:
            row = int(wrong.arg_true()[0])
            number = self._rows + row + 1 if self._numbers is None else self._numbers[row]
            said = refusal(column, number, values[row], count, self._so_far)
            raise ValueError(f"{said}: correct it, or pass --coerce.{_otherwise(values[row], column)}")
        self._found.coerced[column.name] += count
        if not column.missing:
            self._found.holes[column.name] += values.null_count()
        if column.name in self._seen:
            self._count_unseen(read, column.name)
        return read

    def _without_empty(self, values: pl.Series, column: Column) -> pl.Series:
        """Return values in which empty texts are missing, unless training had them."""
        seen = self._seen.get(column.name)
        known = column.kind in ("text", "many") if seen is None else "" in seen
        if values.dtype != pl.String or (known and column.read_as == "text"):
            return values
        return values.set(values == "", None)

    def _count_unseen(self, values: pl.Series, name: str) -> None:
        counts = values.drop_nulls().cast(pl.String).alias(name).value_counts(name="count of rows")
        new = counts.filter(~counts[:, 0].is_in(self._seen[name].implode()))
        for value, count in new.iter_rows():
            self._found.unseen(name, value, count)

    def _date(self, values: pl.Series, column: Column) -> pl.Series:
        zone = zone_of(column)
        if values.dtype == pl.Date:
            return values
        if values.dtype == pl.Datetime:
            return self._in_zone(values, column, zone)
        if column.read_as == "whole" and values.dtype == pl.Int64:
            values = values.cast(pl.String)
        if values.dtype == pl.String:
            if column.date_format is not None:
                return values.set(dates.parse(values, column.date_format).is_null(), None)
            if column.name not in self._formats and (found := dates.find(values)) is not None:
                if found.other is not None and not self._coerce:
                    raise ValueError(_two_ways(column.name, values.drop_nulls()[0], found))
                if found.other is None:  # also for later blocks
                    self._formats[column.name] = date_words.SEPARATOR.join(found.formats)
            if (formats := self._formats.get(column.name)) is not None:
                read = dates.parse(values, formats).alias(column.name)
                return self._in_zone(read.dt.replace_time_zone(date_words.zone(formats) or None), column, zone)
        return pl.Series(column.name, [None] * len(values), dtype=_type(column))

    def _in_zone(self, values: pl.Series, column: Column, zone: str) -> pl.Series:
        """Return dates as local times in the time zone of training."""
        own = values.dtype.time_zone  # type: ignore[attr-defined]
        if own and not zone and self._coerce:
            return values.clear(len(values)).cast(pl.Datetime("us"))
        if own and not zone:
            raise of_other_zone(column, own)
        self._found.naive[column.name] += 0 if own or not zone else len(values) - values.null_count()
        clock = dates.clock(pl.col(values.name), values.dtype, zone)
        return values.to_frame().select(clock).to_series()


def _two_ways(name: str, value: str, found: dates.Dates) -> str:
    read = [dates.parse(_series(value), fmt)[0].date().isoformat() for fmt in (found.formats[0], str(found.other))]
    return f"{name!r} has ambiguous dates: {value!r} may be {read[0]} or {read[1]}. Write them as {read[0]}."


def _series(value: str) -> pl.Series:
    return pl.Series([value])


def empty_row(schema: Schema) -> pl.DataFrame:
    """Return a row of missing values in the types of the schema."""
    return pl.DataFrame([pl.Series(column.name, [None], dtype=_type(column)) for column in schema.used])


def _type(column: Column) -> Any:
    types = {"number": pl.Float64, "whole": pl.Int64, "boolean": pl.Boolean, "date": pl.Date, "time": pl.Datetime("us")}
    return types.get(column.read_as, pl.String)


def _otherwise(value: Any, column: Column) -> str:
    """Return a hint on a number in another notation than in training, or ""."""
    how = notation.find(pl.Series([value])) if column.kind == "number" and isinstance(value, str) else None
    if how is None or how.mark != column.notation.mark:
        return ""
    return f" If this file has another decimal mark than training, use --decimal '{how.decimal or ','}'."


def with_targets(frame: pl.DataFrame, schema: Schema, name: str, numbers: Array | None = None) -> pl.DataFrame:
    """Return rows with the targets in the types of the schema.

    Words for missing values become missing; any other value that does not fit is a ValueError. ``numbers`` are the
    numbers of the rows in the file, for errors; 1, 2, 3, ... by default.
    """
    left_out = [c for c in schema.columns if not c.used and c.name in frame.columns and c.read_as != "text"]
    made = [_category(frame[c.name], c) for c in left_out if frame[c.name].dtype == pl.String]  # for people to read
    for column in (column for column in schema.targets if column.name in frame.columns):
        values = normal(frame[column.name])
        if values.dtype.is_nested() or values.dtype == pl.Object:
            raise ValueError(f"{name}: the target {column.name!r} has lists or structs: expected {what(column)}.")
        if schema.task == "regression":
            read = _number(values, column, schema.format.decimal)
        else:
            read = values.cast(pl.String) if column.read_as == "text" else _category(values, column)
        wrong = read.is_null() & values.is_not_null()
        if values.dtype == pl.String:
            wrong &= ~values.str.to_lowercase().is_in(MISSING)
        if schema.task == "multilabel":  # any other word would be read as a no
            wrong |= ~read.cast(pl.String).is_in(column.categories)
        if wrong.any():
            row = int(wrong.arg_true()[0])
            said = " or ".join(map(repr, column.categories)) if schema.task == "multilabel" else what(column)
            number = row + 1 if numbers is None else numbers[row]
            raise ValueError(f"{name}: the target {column.name!r} is {said}, but row {number} has {values[row]!r}.")
        made.append(read)
    return frame.with_columns(made)


def _number(values: pl.Series, column: Column, decimal: str) -> pl.Series:
    if values.dtype.is_temporal():
        return pl.Series(column.name, [None] * len(values), dtype=pl.Float64)
    if values.dtype != pl.String:
        return values.cast(pl.Float64, strict=False)
    texts = values.str.strip_chars().replace("", None)
    return quantities.read(texts, informed(column.notation, decimal))


def _category(values: pl.Series, column: Column) -> pl.Series:
    """Return values in the type of training: 1, 1.0 and "1" are one category."""
    if column.read_as not in ("whole", "number"):
        if values.dtype.is_temporal() or column.read_as != "boolean":
            return values.cast(pl.String)
        spelled = {"true": True, "false": False, "1": True, "0": False}
        texts = values.cast(pl.String).str.to_lowercase()
        return texts.replace_strict(spelled, default=None, return_dtype=pl.Boolean)
    if values.dtype.is_temporal():
        return pl.Series(column.name, [None] * len(values), dtype=_type(column))
    return _integers(values) if column.read_as == "whole" else values.cast(pl.Float64, strict=False)


def _integers(values: pl.Series) -> pl.Series:
    """Return numbers, also in texts, as integers; null for others."""
    if values.dtype == pl.Int64:
        return values
    numbers = values.cast(pl.Float64, strict=False)
    whole = numbers.set(numbers != numbers.round(), None).cast(pl.Int64, strict=False)
    if values.dtype == pl.String:  # float64 lacks integers beyond 2^53
        return values.str.replace(r"^\+([0-9])", "$1").cast(pl.Int64, strict=False).fill_null(whole)
    return whole
