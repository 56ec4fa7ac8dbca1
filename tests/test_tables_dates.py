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


COMPACT, OF_A_LOG = ("T%H%M%S", "%H%M%S", "%H%M"), ":%H:%M:%S"
WITH_DAY = [fmt for fmt in dates.DAYS if "%d" in fmt]


def formats(day):
    """Return a format of days with every time of day and time zone that may follow it."""
    times = [time for time in dates.TIMES if (time not in COMPACT or day == "%Y%m%d")]
    times = [time for time in times if time != OF_A_LOG or day == "%d/%b/%Y"] if "%H" not in day else [""]
    return [day + time + zone for time in times for zone in dates.ZONES if time or not zone]


@pytest.mark.parametrize("day", WITH_DAY)
def test_every_format_is_found_and_read(day):
    days = pl.Series([dt.datetime(2019, 12, 28, 23, 59, 58), dt.datetime(2001, 1, 31, 1, 2, 3)] * 5)
    for fmt in formats(day):
        texts = days.dt.strftime(fmt.replace("%z", "+0000"))
        found = dates.find(texts)
        assert found is not None, fmt
        assert not found.unread
        read = dates.parse(texts, found.formats[0])
        assert read.dt.date().to_list() == days.dt.date().to_list()
        if "%H" in fmt:
            assert read.dt.strftime("%H:%M").to_list() == days.dt.strftime("%H:%M").to_list()


@pytest.mark.parametrize("fmt", [fmt for fmt in dates.DAYS if "%d" not in fmt])
def test_months_are_dates(fmt):
    months = pl.Series([dt.datetime(2019, 12, 1), dt.datetime(2001, 1, 1)] * 5)
    texts = months.dt.strftime(fmt)
    assert dates.parse(texts, dates.find(texts).formats[0]).to_list() == months.to_list()


MOMENT = dt.datetime(2022, 1, 1, 8)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2022-01-01 08:00:00+00:00", MOMENT),
        ("2022-01-01 08:00:00 UTC", MOMENT),
        ("2022-01-01 08:00:00+00", MOMENT),
        ("2022-01-01 17:00:00+09", MOMENT),
        ("2022-01-01T03:30:00.000-0430", MOMENT),
        ("2022-01-01T08:00Z", MOMENT),
        ("20220101T080000Z", MOMENT),
        ("2022/01/01 08:00", MOMENT),
        ("2022-01-01T08:00", MOMENT),
        ("01-Jan-2022 08:00:00", MOMENT),
        ("01.01.22 08:00", MOMENT),
        ("Sat, 01 Jan 2022 08:00:00 GMT", MOMENT),
        ("Sat, 1 Jan 2022 17:00:00 +0900", MOMENT),
        ("Sat Jan  1 08:00:00 2022", MOMENT),
        ("Sat Jan 01 17:00:00 +0900 2022", MOMENT),
        ("01/Jan/2022:17:00:00 +0900", MOMENT),
        ("1/1/2022, 8:00:00 AM", MOMENT),
        ("Jan 01 2022 08:00AM", MOMENT),
        ("Jan  1 2022  8:00AM", MOMENT),
        ("2022-01-01 08:00:00,000", MOMENT),
        ("2022-01", dt.datetime(2022, 1, 1)),
        ("20220101", dt.datetime(2022, 1, 1)),
        ("20220101080000", MOMENT),
        ("Saturday, January 1, 2022", dt.datetime(2022, 1, 1)),
    ],
)
def test_what_databases_and_programs_write_is_read(text, moment):
    texts = pl.Series("d", [text] * 4)
    column = infer(pl.Series("d", [text, text.replace("2022", "2021") if "Sat" not in text else text] * 4))
    assert column.kind in ("date", "constant")
    assert dates.parse(texts, dates.find(texts).formats[0]).to_list() == [moment] * 4


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
        (["2025-01-01T00:00:00Z", "2025-01-01T00:00:00+02:00"] * 5, ("%Y-%m-%dT%H:%M:%S%z",), None),
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
        ["1.2.3", "4.5.6"], ["192.168.0.1", "10.0.0.2"], ["12:30", "13:45"], ["20201301", "99999999"], ["a-b-c", "d-e-f"],
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
        texts = pl.DataFrame(
            {"d": ["2020-01-31", "31/01/2020", "2020-01-31T01:00:00+0100", "2020-01-31T01:00:00Z", None]}
        )
        expression = eval(dates.code("d", formats), {"pl": pl})
        assert texts.select(expression)["d"].to_list() == dates.parse(texts["d"], formats).to_list()


def test_whole_numbers_are_dates_where_somebody_says_so():
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 4, 9), eager=True)
    table = pl.DataFrame({"day": days.dt.strftime("%Y%m%d").cast(pl.Int64), "late": days > dt.date(2020, 2, 15)})
    trained = tables.train(table, "late", dates=["day:%Y%m%d"], parameters={"max_iter": 3, "hidden_layer_sizes": (4,)})
    (column,) = trained.schema.used
    assert (column.kind, column.read_as, column.low) == ("date", "whole", "2020-01-01T00:00:00")
    texts = tables.predict(trained, table.with_columns(pl.col("day").cast(pl.String)))[0]
    assert tables.predict(trained, table)[0].equals(texts)
    with pytest.raises(ValueError, match=r"'day' is a date \(%Y%m%d\), but row 1 has 7 \(100 rows in all\)"):
        tables.predict(trained, table.with_columns(day=7))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.lists(st.dates(dt.date(1000, 1, 1), dt.date(9999, 12, 31)), min_size=1, max_size=20),
    st.sampled_from([fmt for fmt in WITH_DAY if "%Y" in fmt and "%M" not in fmt and fmt != "%Y%m%d"]),
)
def test_any_days_are_read_as_they_are_meant_or_said_to_be_unclear(days, fmt):
    texts = pl.Series("d", days).dt.strftime(fmt)
    found = dates.find(texts)
    read = dates.parse(texts, dates.SEPARATOR.join(found.formats)).dt.date().to_list()
    assert read == days or found.other is not None or len(found.formats) > 1
