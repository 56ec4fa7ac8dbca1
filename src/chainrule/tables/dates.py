"""Texts that are dates: in which format, and where that cannot be known for sure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from chainrule._extras import require

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %B %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%B %d %Y",
    "%b %d %Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d-%m-%y",
    "%m-%d-%y",
    "%d-%b-%y",
)
YEAR = r"(^|\D)\d{4}[-/. ]\w{1,9}[-/., ]+\d|\d[-/. ]\w{1,9}[-/., ]+\d{4}(\D|$)|\w{3,9} \d{1,2},? \d{4}"
SHORT_YEAR = r"^\d{1,2}[-/.]\w{1,9}[-/.]\d{2}$"
SEPARATOR = " or "  # between the formats of one column
MOST = 1000  # values that are looked at first
ENOUGH = 0.95  # of the values must be dates


class Dates(NamedTuple):
    """The formats of a column, the likeliest first; ``other``: one that fits every value as well; ``unread`` values."""

    formats: tuple[str, ...]
    other: str | None
    unread: int


def find(values: pl.Series, enough: float = ENOUGH) -> Dates | None:
    """Return how texts are dates, or None if they are not, or fewer than ``enough`` of them.

    >>> import polars as pl
    >>> find(pl.Series(["31.12.2024", "01.02.2025"])).formats
    ('%d.%m.%Y',)
    >>> find(pl.Series(["01/02/2025", "03/04/2025"])).other
    '%m/%d/%Y'
    """
    values = values.drop_nulls()
    first = values.head(MOST)
    share: Any = first.str.contains(YEAR).mean() if len(first) else 0.0
    short: Any = first.str.contains(SHORT_YEAR).mean() if len(first) else 0.0
    if max(share, short) < enough:
        return None
    years = [fmt for fmt in FORMATS if ("%Y" in fmt) == (share >= enough)]  # of the year 20 AD nobody has a table
    counts = {fmt: len(first) - parse(first, fmt).null_count() for fmt in years}
    able = sorted((fmt for fmt in counts if counts[fmt]), key=lambda fmt: -counts[fmt])
    if not able:
        return None
    whole = [fmt for fmt in able if counts[fmt] == len(first) and not parse(values, fmt).null_count()]
    if whole:
        return Dates((whole[0],), next((f for f in whole[1:] if _swapped(f, whole[0])), None), 0)
    chosen: list[str] = []
    read = parse(values, able[0])
    for fmt in able:
        more = read.fill_null(parse(values, fmt)) if chosen else read
        if not chosen or more.null_count() < read.null_count():
            chosen.append(fmt)
            read = more
    unread = read.null_count()
    return Dates(tuple(chosen), None, unread) if unread <= (1 - enough) * len(values) else None


def parse(values: pl.Series, formats: str) -> pl.Series:
    """Return texts as dates with their time of day; null where none of the formats fits."""
    return values.to_frame("x").select(expression("x", formats))["x"]


def expression(name: str, formats: str) -> pl.Expr:
    """Return the expression that reads a column of texts as dates."""
    polars = require("polars", "tables")
    text = polars.col(name).cast(polars.String)
    return polars.coalesce(
        [_naive(text.str.to_datetime(fmt, strict=False, time_unit="us"), fmt) for fmt in formats.split(SEPARATOR)]
    )


def code(name: str, formats: str) -> str:
    """Return the same expression as Python."""
    zone = ".dt.replace_time_zone(None)"
    parts = [
        f'pl.col({name!r}).cast(pl.String).str.to_datetime({fmt!r}, strict=False, time_unit="us")'
        + (zone if "%z" in fmt else "")
        for fmt in formats.split(SEPARATOR)
    ]
    return parts[0] if len(parts) == 1 else f"pl.coalesce({', '.join(parts)})"


def _naive(expression: pl.Expr, fmt: str) -> pl.Expr:
    return expression.dt.replace_time_zone(None) if "%z" in fmt else expression


def swapped(values: pl.Series, fmt: str) -> str | None:
    """Return the format in which day and month have changed places, if every value fits it as well.

    >>> import polars as pl
    >>> swapped(pl.Series(["01/02/2025"]), "%d/%m/%Y"), swapped(pl.Series(["31/12/2024"]), "%d/%m/%Y")
    ('%m/%d/%Y', None)
    """
    other = next((f for f in FORMATS if f != fmt and _swapped(f, fmt)), None)
    fits = other is not None and parse(values, other).null_count() == parse(values, fmt).null_count()
    return other if fits else None


def _swapped(one: str, other: str) -> bool:
    """Say whether the two differ in what is the day and what the month."""
    return one.replace("%d", "%").replace("%m", "%") == other.replace("%d", "%").replace("%m", "%")
