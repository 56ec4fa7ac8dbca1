"""Texts that are dates: the format is found where the values tell it, and what they do not tell is said."""

import datetime as dt

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from chainrule import tables
from chainrule.tables import dates
from chainrule.tables.kinds import infer

MIXED = ["2020-01-31", "31/01/2020", "Jan 31, 2020"] * 4


@pytest.mark.parametrize("fmt", dates.FORMATS)
def test_every_format_is_found_and_read(fmt):
    days = pl.Series([dt.datetime(2019, 12, 28, 23, 59, 58), dt.datetime(2001, 1, 31, 1, 2, 3)] * 5)
    texts = days.dt.strftime(fmt.replace("%z", "+0000"))
    found = dates.find(texts)
    assert found is not None
    assert not found.unread
    read = dates.parse(texts, found.formats[0])
    assert read.dt.date().to_list() == days.dt.date().to_list()


@pytest.mark.parametrize(
    ("texts", "formats", "other"),
    [
        (["01/02/2025", "03/04/2025"], ("%d/%m/%Y",), "%m/%d/%Y"),
        (["13/02/2025", "03/04/2025"], ("%d/%m/%Y",), None),
        (["02/13/2025", "03/04/2025"], ("%m/%d/%Y",), None),
        (["01/02/2025 3:04 PM", "3/4/2025 12:00 AM"], ("%m/%d/%Y %I:%M %p",), "%d/%m/%Y %I:%M %p"),
        (["Jan 1 2025", "Feb 28 2024"], ("%B %d %Y",), None),
        (["1/2/25", "11/12/24"], ("%d/%m/%y",), "%m/%d/%y"),
        (["01.02.2025", "03.04.2025"], ("%d.%m.%Y",), None),
        (["13/02/2025", "02/13/2025"] * 5, ("%d/%m/%Y", "%m/%d/%Y"), None),
        (
            ["2025-01-01T00:00:00Z", "2025-01-01T00:00:00+02:00"] * 5,
            ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"),
            None,
        ),
    ],
)
def test_what_the_values_tell(texts, formats, other):
    found = dates.find(pl.Series(texts))
    assert (found.formats, found.other) == (formats, other)


def test_mixed_formats_are_all_read():
    found = dates.find(pl.Series(MIXED))
    assert len(found.formats) == 3
    read = dates.parse(pl.Series(MIXED), dates.SEPARATOR.join(found.formats))
    assert read.unique().to_list() == [dt.datetime(2020, 1, 31)]


@pytest.mark.parametrize(
    "texts",
    [
        ["1.2.3", "4.5.6"], ["192.168.0.1", "10.0.0.2"], ["12:30", "13:45"], ["20200101", "20210101"], ["a-b-c", "d-e-f"],
        ["2020-13-45", "2020-99-99"], ["555-123-4567"], [""], [None], [], ["2020-01-31"] * 9 + ["never"], ["12/31"],
        ["1/2", "3/4"], ["version 2020"], ["10-20-3000-40"],
    ],
)  # fmt: skip
def test_what_is_no_date(texts):
    assert dates.find(pl.Series(texts, dtype=pl.String)) is None


def test_a_few_words_among_dates_are_holes():
    texts = pl.Series("d", ["2020-01-31"] * 30 + ["unknown"])
    assert dates.find(texts) == dates.Dates(("%Y-%m-%d",), None, 1)
    column = infer(texts)
    assert (column.kind, column.low, column.high) == ("date", "2020-01-31T00:00:00", "2020-01-31T00:00:00")


def test_the_python_of_a_column_reads_the_same():
    for formats in ("%Y-%m-%d", "%Y-%m-%d or %d/%m/%Y", "%Y-%m-%dT%H:%M:%S%z"):
        texts = pl.DataFrame({"d": ["2020-01-31", "31/01/2020", "2020-01-31T01:00:00+0100", None]})
        expression = eval(dates.code("d", formats), {"pl": pl})
        assert texts.select(expression)["d"].to_list() == dates.parse(texts["d"], formats).to_list()


def test_whole_numbers_are_dates_where_somebody_says_so():
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 4, 9), eager=True)
    table = pl.DataFrame({"day": days.dt.strftime("%Y%m%d").cast(pl.Int64), "late": days > dt.date(2020, 2, 15)})
    trained = tables.train(table, "late", dates=["day:%Y%m%d"], parameters={"max_iter": 3, "hidden_layer_sizes": (4,)})
    (column,) = trained.schema.used
    assert (column.kind, column.read_as, column.low) == ("date", "whole", "2020-01-01T00:00:00")
    texts = trained.predict(table.with_columns(pl.col("day").cast(pl.String)))
    assert trained.predict(table).equals(texts)
    with pytest.raises(ValueError, match=r"'day' is a date \(%Y%m%d\), but row 1 has 7 \(100 rows in all\)"):
        trained.predict(table.with_columns(day=7))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.lists(st.dates(dt.date(1000, 1, 1), dt.date(9999, 12, 31)), min_size=1, max_size=20),
    st.sampled_from([fmt for fmt in dates.FORMATS if "%Y" in fmt and "%M" not in fmt]),
)
def test_any_days_are_read_as_they_are_meant_or_said_to_be_unclear(days, fmt):
    texts = pl.Series("d", days).dt.strftime(fmt)
    found = dates.find(texts)
    read = dates.parse(texts, dates.SEPARATOR.join(found.formats)).dt.date().to_list()
    assert read == days or found.other is not None or len(found.formats) > 1
