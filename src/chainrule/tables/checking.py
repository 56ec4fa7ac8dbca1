"""New rows against the columns that training saw: what is missing, new, or of another type is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule._extras import require
from chainrule._names import did_you_mean
from chainrule.tables import dates
from chainrule.tables.kinds import normal
from chainrule.tables.schema import Column, Schema

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

__all__ = ["check"]

MOST = 5  # names in a sentence


def check(frame: pl.DataFrame, schema: Schema, *, coerce: bool = False) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return rows with the columns of a schema in their types, and notes on what was passed or left out.

    Parameters
    ----------
    frame : polars.DataFrame (rows, columns)
    schema : Schema
    coerce : bool
        Take values of another type as missing, instead of refusing them.

    Returns
    -------
    frame : polars.DataFrame (rows, used columns)
        As :func:`chainrule.tables.casting.cast` takes it.
    notes : tuple of str
        Columns that are not used, columns that are optional and missing, values that training did not see.

    Raises
    ------
    ValueError
        When there are no rows, a column is missing that is not optional, or has values of another type.

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
    ValueError: 'age' is a number, but row 2 has 'old' (1 row in all): correct it, or pass --coerce.
    """
    pl = require("polars", "tables")
    known = {column.name for column in (*schema.columns, *schema.targets)}
    extra = [name for name in frame.columns if name not in known]
    missing = [c.name for c in schema.used if c.name not in frame.columns]
    optional = {c.name for c in schema.used if c.optional}
    if needed := [name for name in missing if name not in optional]:
        raise ValueError(_missing(needed, extra))
    if not frame.height:
        raise ValueError("there are no rows: expected at least one to predict.")
    notes = []
    if extra:
        notes.append(f"{_columns(extra)} not in the schema: ignored.")
    if missing:
        notes.append(f"{_columns(missing)} missing, which the schema allows: taken as missing values.")
    columns: list[Any] = []
    for column in schema.used:
        if column.name in missing:
            columns.append(pl.Series(column.name, [None] * frame.height, dtype=_type(column)))
        else:
            values, said = _fit(normal(frame[column.name]), column, coerce)
            columns.append(values)
            notes += said
    return pl.DataFrame(columns), tuple(notes)


def _missing(needed: list[str], extra: list[str]) -> str:
    hint = did_you_mean(needed[0], extra) if extra else ""
    hint = hint.partition(" Known:")[0] if hint.startswith("Did you mean") else ""
    return f"{_columns(needed)} missing, which the network was trained with. {hint}".rstrip()


def _columns(names: list[str]) -> str:
    listed = ", ".join(map(repr, names[:MOST])) + (f" and {len(names) - MOST:,} more" if len(names) > MOST else "")
    return f"The column {listed} is" if len(names) == 1 else f"The columns {listed} are"


def _type(column: Column) -> Any:
    pl = require("polars", "tables")
    types = {"number": pl.Float64, "whole": pl.Int64, "boolean": pl.Boolean, "date": pl.Date, "time": pl.Datetime("us")}
    return types.get(column.read_as, pl.String)


def _fit(values: pl.Series, column: Column, coerce: bool) -> tuple[pl.Series, list[str]]:
    """Return one column in its type, and what is to be said of its values."""
    pl = require("polars", "tables")
    if values.dtype.is_nested() or values.dtype == pl.Object:
        raise ValueError(f"{column.name!r} has lists or structures, where {_what(column)} was expected.")
    if column.kind == "number":
        read = _number(values, column)
    elif column.kind == "date":
        read = _date(values, column)
    else:
        read = _category(values, column)
    wrong = read.is_null() & values.is_not_null()
    count = int(wrong.sum())
    if count and not coerce:
        row = int(wrong.arg_true()[0])
        rows = "1 row" if count == 1 else f"{count:,} rows"
        raise ValueError(
            f"{column.name!r} is {_what(column)}, but row {row + 1} has {values[row]!r} ({rows} in all): correct it, "
            "or pass --coerce."
        )
    notes = [f"{column.name!r}: {count:,} values are no {_what(column)[2:]}: taken as missing."] if count else []
    return read, notes + _unseen(read, column)


def _what(column: Column) -> str:
    if column.kind == "date":
        return "a date" + (f" ({column.date_format})" if column.date_format else "")
    return "a number" if column.kind == "number" or column.read_as in ("whole", "number") else "a text"


def _number(values: pl.Series, column: Column) -> pl.Series:
    pl = require("polars", "tables")
    if values.dtype.is_temporal():
        return pl.Series(column.name, [None] * len(values), dtype=pl.Float64)
    texts = values.str.strip_chars() if values.dtype == pl.String else values
    texts = texts.replace("", None) if values.dtype == pl.String else texts
    return texts.cast(pl.Float64, strict=False)


def _date(values: pl.Series, column: Column) -> pl.Series:
    pl = require("polars", "tables")
    if values.dtype in (pl.Date, pl.Datetime("us")):
        if column.date_format is None:
            return values
        return values.dt.strftime(column.date_format.partition(dates.SEPARATOR)[0].replace("%z", "+0000"))
    if column.read_as == "whole" and values.dtype == pl.Int64:
        values = values.cast(pl.String)
    if values.dtype == pl.String:
        if column.date_format is not None:
            return values.set(dates.parse(values, column.date_format).is_null(), None)
        found = dates.find(values)
        if found is not None:
            return dates.parse(values, dates.SEPARATOR.join(found.formats)).alias(column.name)
    return pl.Series(column.name, [None] * len(values), dtype=_type(column))


def _category(values: pl.Series, column: Column) -> pl.Series:
    """Return values in the type that they had in training: 1, 1.0 and "1" are one category."""
    pl = require("polars", "tables")
    if column.read_as not in ("whole", "number"):
        if values.dtype.is_temporal() or column.read_as != "boolean":
            return values.cast(pl.String)
        spelled = {"true": True, "false": False, "1": True, "0": False}
        texts = values.cast(pl.String).str.to_lowercase()
        return texts.replace_strict(spelled, default=None, return_dtype=pl.Boolean)
    if values.dtype.is_temporal():
        return pl.Series(column.name, [None] * len(values), dtype=_type(column))
    numbers = values.cast(pl.Float64, strict=False)
    if column.read_as == "number":
        return numbers
    return numbers.set(numbers != numbers.round(), None).cast(pl.Int64, strict=False)


def _unseen(values: pl.Series, column: Column) -> list[str]:
    """Say how many values are none of the categories that training saw."""
    pl = require("polars", "tables")
    if column.kind not in ("yes/no", "category"):
        return []
    counts = values.drop_nulls().cast(pl.String).value_counts(sort=True)
    new = counts.filter(~counts[column.name].is_in(list(column.categories)))
    if not new.height:
        return []
    listed = ", ".join(repr(value) for value in new[column.name].head(MOST))
    more = f" and {new.height - MOST:,} more" if new.height > MOST else ""
    rows = int(new["count"].sum())
    return [
        f"{column.name!r}: {rows:,} rows have a value that training did not see ({listed}{more}): taken as unknown."
    ]
