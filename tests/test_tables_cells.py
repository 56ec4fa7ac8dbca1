"""New rows are read without polars as with it: every value to the bit, every refusal in the same words."""

import datetime as dt
import random
import subprocess
import sys
import threading
from decimal import Decimal
from itertools import product
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings

from chainrule.files.values import ModelFileError
from chainrule.tables import date_words, dates
from chainrule.tables.checking import Checker
from chainrule.tables.formats import GROUPS, Format, Notation
from chainrule.tables.schema import Column, Schema
from chainrule.tables.serving.cells import Reader, _text
from chainrule.tables.units import CLOCKS, MAGNITUDES, SCALES, factors
from same_cells import TARGET, both, differences, schema_of

NAN, INF = float("nan"), float("inf")
ODD = " 0123456789-+/:.,()TZWQxé½²µ°%$€£AaPpMmEe'\u2212\u2013\u00a0\u2009\u0662\n\x1c"


def damaged(text, rng):
    """Return a text with a character more, less or other, or in capitals, or with spaces."""
    at = rng.randrange(len(text) + 1)
    return rng.choice([
        text + rng.choice(ODD), rng.choice(ODD) + text, text[:at] + text[at + 1 :], text.lower(), text.upper(),
        text[:at] + rng.choice(ODD) + text[at:], text[:at] + rng.choice(ODD) + text[at + 1 :], f" {text} ",
        text.replace("0", ""), text.replace(" ", "  "), "",
    ])  # fmt: skip


def worse(texts, rng, times=4):
    return [
        *texts,
        *(damaged(text, rng) for text in texts for _ in range(times)),
        *["x", "NA", "12", "1.5", "1,5", "nan", "inf"],
    ]


# numbers


@pytest.mark.few(5)
@pytest.mark.parametrize("mark", ["", "$", "€", "%", "£", "₹"])
@pytest.mark.parametrize("group", ["", *GROUPS])
def test_numbers_of_every_notation(mark, group):
    rng = random.Random(f"{mark}{group}")
    for point, negative in product([p for p in ("", ".", ",") if p != group or not p], ("", "accounting")):
        how = Notation(point, group, mark, negative)
        texts = worse([written(10 ** rng.uniform(-2, 7) * rng.choice([1, -1]), how, rng) for _ in range(12)], rng)
        column = Column("x", "number", "text", notation=how, holes=("x", "NA"))
        assert not differences(column, texts, format=Format(decimal=rng.choice(["", ".", ","])))


def written(number, how, rng):
    """Return a number in a notation."""
    digits = f"{abs(number):,.{rng.randrange(3)}f}".replace(",", "G").replace(".", how.decimal or ".")
    digits = digits.replace("G", rng.choice(GROUPS[how.group]) if how.group else "")
    space = rng.choice(["", " "])
    marked = rng.choice([f"{how.mark}{space}{digits}", f"{digits}{space}{how.mark}"]) if how.mark else digits
    if number >= 0:
        return marked
    return rng.choice([f"-{marked}", f"({marked})", f"{marked}-", f"\u2212{marked}", f"{how.mark}-{digits}"])


@pytest.mark.slow
@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    st.floats(allow_nan=False).flatmap(lambda x: st.sampled_from([repr(x), f"{x:e}", f"{x:.3f}", f"{x:+g}"])),
    st.sampled_from([Notation(), Notation("."), Notation(","), Notation(".", ","), Notation(",", ".", "€")]),
    st.randoms(use_true_random=False),
)
def test_any_number_in_any_notation(text, how, rng):
    text = text.replace(".", how.decimal or ".")
    assert not differences(Column("x", "number", "text", notation=how), [text, how.mark + text, damaged(text, rng)])


@pytest.mark.few(2)
@pytest.mark.parametrize("scale", [*map(tuple, SCALES), tuple(MAGNITUDES), ("EUR", "$", "£", "US$", "CHF", "widgets")])
def test_amounts_of_every_unit(scale):
    rng = random.Random(scale[0])
    for unit, (point, group) in zip(scale, [("", ""), (".", ","), (",", ".")] * len(scale), strict=False):
        plain = Notation(point, group)
        texts = []
        for other in rng.choices([*factors(unit), "kg", "foo"], k=6):
            n = written(10 ** rng.uniform(-2, 6), plain, rng)
            texts += [f"{n} {other}", f"{other}{n}", f"-{n}{other}", f"({other} {n})", f"({n}) {other}", f"{n}{other}."]
        column = Column("x", "number", "text", notation=Notation(point, group, unit=unit))
        assert not differences(column, worse(texts, rng, 2))


@pytest.mark.few(1)
@pytest.mark.parametrize("unit", CLOCKS)
def test_times_of_day_and_durations(unit):
    rng = random.Random(unit)
    texts = ["1 day", "P", "٢h", "-", "h", "1.2.3 h", "PT1H30M", "-2d", "3 weeks, 2 days 4.5 sec", "1 day,", "12:00 AM"]
    for _ in range(60):
        h, m, s = rng.randrange(30), rng.randrange(70), rng.randrange(62)
        texts += [f"{h}:{m:02}", f"{h:02}:{m:02}:{s:02}.25", f"{h % 13}:{m:02} pm", f"{h % 13}:{m:02}:{s:02}AM"]
        texts += [f"-{h} days, {h}:{m:02}:{s:02}", f"{h}h {m}m", f"{h} hours, {m} mins {s}s", f"{m} days   {h}:10"]
    assert not differences(Column("x", "number", "text", notation=Notation(unit=unit)), worse(texts, rng, 2))


# dates

MOMENTS = [
    dt.datetime(1969, 12, 28, 23, 59, 58, 120000),
    dt.datetime(2001, 1, 31, 1, 2, 3),
    dt.datetime(2068, 5, 9, 12),
]
OFFSETS = ["+0000", "Z", "+09:00", " CET", "-0430", "+09", " EST", "+0560", "-2500", "z"]


def texts_of(fmt, rng, moments=MOMENTS):
    """Return dates in a format."""
    made = []
    for moment in moments:
        given = fmt.replace("%q", str((moment.month + 2) // 3)).replace("%z", "@").replace("%Z", "x-y")
        text = pl.Series([moment]).dt.strftime(given)[0]
        made += [text.replace("@", offset) for offset in (rng.sample(OFFSETS, 5) if "@" in text else [""])]
    return made


def unlike(fmt, texts):
    """Return the dates that are read in another way than by polars, which takes 2x and -2 for a year of two digits."""
    column = Column("x", "date", "text", date_format=fmt, notation=Notation(zone=date_words.zone(fmt)))
    return [found for found in differences(column, texts) if "%y" not in fmt or found[2] is not None]


@pytest.mark.few(3)
@pytest.mark.parametrize("day", dates.DAYS)
def test_dates_of_every_format_that_training_finds(day):
    rng = random.Random(day)
    times = [t for t in dates.TIMES if not t[:1].isalpha() and t[:1] != "%" and "%d" in day and "%H" not in day]
    for fmt in ["", *times[1:], *(["%H%M%S", "T%H%M%S"] if day == "%Y%m%d" else [])]:
        for zone in ("", "%z") if fmt else ("",):
            assert not unlike(day + fmt + zone, worse(texts_of(day + fmt + zone, rng), rng, 5))


@pytest.mark.few(12)
@pytest.mark.parametrize(
    "fmt",
    [
        "%Y-%m-%d %I:%M %p", "%e %b %Y", "%d. %B %Y", "%d de %B de %Y", "%G KW %V", "%Y-%j %H:%M", "%Y %U %w",
        "%Y %W %u", "%Y %U %a", "%Y %W %A", "%C%y-%m-%d", "%F %T", "%x %X", "%c", "%v", "%D %R", "%r %F", "%g-%V-%u",
        "%Y-%m-%d %H:%M:%S%.3f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H%M%S%6f", "%Y-%m-%d %H:%M:%S.%9f",
        "%A %d %B %Y", "%a %d %b %Y %H:%M", "%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%d%n%H:%M",
        "%Y%t%m%t%d", "%d.%m.%Y um %H:%M", "%-d/%-m/%Y", "%_d/%_m/%Y %k:%M", "%l:%M %p %d/%m/%Y", "%Y-%q-%m-%d",
        "%b", "%Y", "%B", "%d %H:%M %Y", "%H:%M", "Q%q.%Y", "%Y%%%m", "%d/%m/%Y or %Y-%m-%d or %B %d, %Y",
        "%Y-%m-%dT%H:%M:%SZ", "%d.%b.%Y", "%h %d %Y",
    ],
)  # fmt: skip
def test_dates_of_formats_that_somebody_gives(fmt):
    rng = random.Random(fmt)
    texts = [text for one in fmt.split(date_words.SEPARATOR) for text in texts_of(one.replace("%:z", "+01:30"), rng)]
    assert not unlike(fmt, worse(texts, rng, 8))


@pytest.mark.parametrize(
    ("fmt", "texts"),
    [
        ("%d %B %Y", [f"{day}{name} 2022" for name in date_words.SPELLED for day in ("3 ", "3. ", "1er ", "2 de ")]),
        ("%b-%y", [f"{name}-22" for name in date_words.SPELLED]),
        ("%A, %B %d, %Y", ["Sunday, May 8, 2022", "Monday, May 8, 2022", "sunday, MAY 8, 2022", "Sun, May 8, 2022"]),
        ("%d %B %Y", ["mardi 3 mai 2022", "sábado, 3 de mayo de 2022", "3rd of May 2022", "Mittwoch 3. Mai 2022"]),
        ("%Y-%m-%d %H:%M:%S", ["2016-12-31 23:59:60", "2016-12-31 23:59:61", "0000-01-01 00:00:00", "-0004-02-29 0:0:0"]),
        ("%Y-%m-%d %H:%M%z", [f"2022-01-01 08:00 {name}" for name in (*date_words.ZONE_NAMES, "IST", "utc")]),
        ("%G-W%V-%u", ["2020-W53-7", "2021-W53-1", "2021-W00-1", "2021-W01-8"]),
        ("%Y %j", ["2020 366", "2021 366", "2021 0", "2021 1"]),
    ],
)  # fmt: skip
def test_dates_in_words_and_at_the_edges(fmt, texts):
    assert not unlike(fmt, texts)


def test_a_format_that_only_polars_reads_is_refused_with_its_code():
    with pytest.raises(ValueError, match="the date format '%s' cannot be read without polars, because of %s"):
        Reader(schema_of(Column("x", "date", "text", date_format="%s")))


WHENS = [
    "2024-03",
    "2024-03-31",
    "2024-03-31 01:30",
    "2024-03-31T02:30:00Z",
    "2024-10-27 03:30:00.5+02:00",
    "1890-01-01T00:00Z",
]


@pytest.mark.few(9)
@pytest.mark.parametrize("zone", ["", "UTC", "Europe/Berlin", "Asia/Tokyo", "America/St_Johns", "Australia/Lord_Howe"])
@pytest.mark.parametrize("when", WHENS)
def test_iso_dates_where_training_had_dates(zone, when):
    theirs, ours = both(Column("x", "date", "time", notation=Notation(zone=zone)), [when] * 3)
    assert theirs == ours


@pytest.mark.parametrize("zone", ["", "Europe/Berlin"])
@pytest.mark.parametrize("own", [dt.UTC, ZoneInfo("America/New_York")])
def test_moments_are_shown_on_the_clock_of_training(zone, own):
    moments = [
        dt.datetime(2024, 1, 1, tzinfo=own) + dt.timedelta(hours=hours, microseconds=7) for hours in range(0, 9000, 37)
    ]
    column = Column("x", "date", "time", notation=Notation(zone=zone))
    theirs, ours = both(column, moments)
    assert theirs == ours
    for frame in (pl.DataFrame({"x": moments}), pd.DataFrame({"x": moments}), pa.table({"x": moments})):
        if zone:
            np.testing.assert_array_equal(Reader(schema_of(column))(frame)["x"], theirs[0])
        else:
            with pytest.raises(
                ValueError, match=r"'x' has times with the time zone .*, but those of training had none"
            ):
                Reader(schema_of(column))(frame)


# values of other types

KINDS = [
    ("category", "text", ("a", "b", "1")), ("category", "whole", ("1", "2")), ("category", "number", ("0.5", "1.0")),
    ("category", "boolean", ("false", "true")), ("yes/no", "text", ("no", "yes")), ("yes/no", "whole", ("0", "1")),
    ("yes/no", "number", ("0.5", "1.5")), ("yes/no", "boolean", ("false", "true")), ("many", "text", ()),
    ("many", "whole", ()), ("text", "text", ()), ("number", "number", ()), ("number", "whole", ()),
    ("category", "date", ("2024-01-31",)), ("category", "time", ("2024-01-31 00:00:00.000000",)),
    ("date", "date", ()), ("date", "whole", ()), ("date", "text", ()),
]  # fmt: skip
TEXTS = [
    "a",
    "b",
    "zz",
    "",
    None,
    " a",
    "1",
    "1.0",
    "true",
    "TRUE",
    "False",
    "0",
    "x",
    "-1",
    "NaN",
    "inf",
    "1e3",
    " 2",
    "yes",
]
VALUES = {
    "texts": TEXTS, "integers": [1, 2, None, 0, -1, 20240131], "whole floats": [1.0, 2.0, NAN, None, -1.0, 20240131.0],
    "floats": [1.5, 0.5, NAN, None, 1.0, 1e200, -1e200, INF, -INF, 1e16, 1e-5, 2.0**53], "booleans": [True, False, None],
    "large": [2**53 + 1, 2**62, -(2**63), 2**63 - 1], "larger": [2**63, 2**64 - 1, 1], "dates": [dt.date(2024, 1, 31), None],
    "decimals": [Decimal("1.5"), Decimal("2"), None], "times": [dt.datetime(2024, 1, 31, 8, 9, 10, 11), None],
    "durations": [dt.timedelta(seconds=90), None], "short": [dt.timedelta(microseconds=90000005), dt.timedelta(1)],
    "clock": [dt.time(8, 9, 10), dt.time(8, 9, 10, 5)], "nothing": [None, None],
    "float32": np.array([0.1, 1.5], dtype=np.float32), "uint8": np.array([1, 2], dtype=np.uint8),
    "days": np.array(["2024-01-31", "NaT"], dtype="M8[D]"), "ns": np.array([10**15 + 7, -3], dtype="M8[ns]"),
    "ticks": np.array([10**12, 7 * 10**9], dtype="m8[ns]"), "uint64": np.array([2**64 - 1], dtype=np.uint64),
}  # fmt: skip


@pytest.mark.few(60)
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize(("kind", "read_as", "categories"), KINDS)
def test_columns_of_every_kind_take_values_of_every_type(kind, read_as, categories, values):
    formats = {"whole": "%Y%m%d", "text": "%Y-%m-%d"} if kind == "date" else {}
    for missing, holes in ((0, ()), (3, ("x", "-1"))):
        column = Column(
            "x", kind, read_as, missing, categories=categories, holes=holes, date_format=formats.get(read_as)
        )
        if values == "texts":
            assert not differences(column, VALUES[values])
        theirs, ours = both(column, VALUES[values])
        assert repr(theirs) == repr(ours)


def test_numbers_are_written_as_polars_writes_them():
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [rng.integers(0, 2**63, 5000).view(np.float64), rng.random(5000) * 10.0 ** rng.integers(-9, 20, 5000)]
    )
    assert [*map(_text, values.tolist())] == pl.Series(values).cast(pl.String).to_list()


def test_each_value_of_a_mixed_column_is_read_by_itself():
    number, plan, day = (
        Column("n", "number", "text", notation=Notation(unit="kg")),
        Column("p", "category", "whole", categories=("1", "2")),
        Column("d", "date", "text", date_format="%Y-%m-%d"),
    )
    reader = Reader(schema_of(number, plan, day))
    rows = [
        {"n": 41, "p": 1, "d": dt.date(2024, 1, 2)}, {"n": "41 kg", "p": "1", "d": "2024-01-02"}, {},
        {"n": np.float32(0.5), "p": 1.0, "d": np.datetime64("2024-01-02")}, {"n": "500 g", "p": np.int8(1), "d": pd.NaT},
        {"n": Decimal("0.5"), "p": True, "d": pd.Timestamp("2024-01-02 12:00")}, {"n": True, "p": NAN, "d": NAN},
        {"n": pd.NA, "p": np.str_("2"), "d": np.datetime64("NaT")},
    ]  # fmt: skip
    found = reader(rows)
    day = 1704153600.0
    np.testing.assert_array_equal(found["n"], [41, 41, NAN, 0.5, 0.5, 0.5, 1, NAN])
    np.testing.assert_array_equal(found["d"], [day, day, NAN, day, NAN, day + 43200, NAN, NAN])
    assert found["p"].tolist() == ["1", "1", "(missing)", "1", "1", "1", "(missing)", "2"]
    assert "'n': 4 numbers have no unit; treated as kg." in reader.notes


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_tables_of_every_kind_have_the_same_columns(make):
    table = {
        "n": [1.5, None, 2.0], "w": [1, 2, 3], "c": ["a", None, "b"], "t": ["x", "y", None], "b": [True, False, None],
        "d": [dt.date(2024, 1, 2), None, dt.date(2024, 1, 3)], "s": [dt.datetime(2024, 1, 2, 3), None, None],
    }  # fmt: skip
    columns = (
        Column("n", "number"), Column("w", "many", "whole"), Column("c", "category", "text", categories=("a", "b")),
        Column("t", "text", "text"), Column("b", "yes/no", "boolean", categories=("false", "true")),
        Column("d", "date", "date"), Column("s", "date", "time"),
    )  # fmt: skip
    found = Reader(schema_of(*columns))(make(table))
    expected = Reader(schema_of(*columns))(
        [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    )
    assert [*found] == [column.name for column in columns]
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert expected["w"].tolist() == ["1", "2", "3"]
    assert expected["t"].tolist() == ["x", "y", ""]
    one = Reader(schema_of(*columns))({name: values[0] for name, values in table.items()})
    assert all(values[0] == expected[name][0] for name, values in one.items())


def test_a_missing_value_of_an_arrow_dictionary_is_missing():
    table = pa.table({"c": pa.array(["a", None, "a"]).dictionary_encode()})
    found = Reader(schema_of(Column("c", "category", "text", categories=("a",))))(table)
    assert found["c"].tolist() == ["a", "(missing)", "a"]


def test_a_single_value_stands_for_all_rows():
    found = Reader(schema_of(Column("a", "number"), Column("b", "number")))({"a": 1, "b": np.array([2.0, 3.0])})
    assert [values.tolist() for values in found.values()] == [[1, 1], [2, 3]]


# notes and errors


def test_notes_are_those_of_the_checker():
    columns = (
        Column("n", "number", "text", 1, holes=("none",)), Column("c", "category", "text", categories=("a", "b")),
        Column("m", "many", "text"), Column("o", "number", optional=True), Column("w", "number", notation=Notation(unit="kg")),
        Column("s", "date", "time", notation=Notation(zone="UTC")), Column("y/n", "yes/no", "text", categories=("n", "y")),
    )  # fmt: skip
    rows = {
        "n": ["1", "none", "none"], "c": ["z", None, "z"], "m": ["k", "l", "m"], "w": ["1", "2 kg", "3"], "extra": 3 * [0],
        "s": 3 * [dt.datetime(2024, 1, 1)], "y/n": ["n", "other", "y"], "more": 3 * [0], "y": 3 * [1.0],
    }  # fmt: skip
    schema, seen = schema_of(*columns), {"m": ["k"]}
    checker, reader = Checker(schema, seen=seen), Reader(schema, seen)
    assert reader.notes == ()
    checker(pl.DataFrame(rows))
    reader(rows)
    assert reader.notes == checker.notes()
    assert len(reader.notes) == 9
    reader(
        {name: values[0] for name, values in rows.items() if name not in ("extra", "more", "c")} | {"c": "a", "o": 1}
    )
    assert (
        reader.notes
        == (
            "'s': 1 time has no time zone; treated as UTC, as in training.",
            "'w': 1 number has no unit; treated as kg.",
        )[::-1]
    )


def test_notes_are_those_of_the_thread():
    reader = Reader(schema_of(Column("c", "category", "text", categories=("a",))))
    reader({"c": "z"})
    thread = threading.Thread(target=reader, args=({"c": "a"},))
    thread.start()
    thread.join()
    assert reader.notes == ("'c': 1 row has a value not seen in training ('z'); treated as unknown.",)


AGE, WHEN, PLAN = (
    Column("age", "number"),
    Column("when", "date", "date"),
    Column("plan", "category", "whole", categories=("1",)),
)


@pytest.mark.parametrize(
    ("columns", "rows", "sentence"),
    [
        ((AGE,), {"agee": 1}, "The column 'age' is missing but required by the network. Did you mean 'agee'?"),
        ((AGE, WHEN), {}, "The columns 'age', 'when' are missing but required by the network."),
        ((AGE,), [], "no rows to predict: expected at least one."),
        ((AGE,), {"age": []}, "no rows to predict: expected at least one."),
        ((AGE,), {"age": [1, "old", "x"]}, "'age' is a number, but row 2 has 'old' (2 rows in total): correct it."),
        ((AGE,), [{"age": 1}, {"age": " "}], "'age' is a number, but row 2 has ' ' (1 row in total): correct it."),
        ((AGE,), [{"age": [1, 2]}], "'age' has lists or structs: expected a number."),
        ((AGE,), {"age": {"years": 3}}, "'age' has lists or structs: expected a number."),
        ((AGE,), {"age": np.ones((2, 2))}, "'age' has lists or structs: expected a number."),
        ((AGE,), {"age": 3 * [dt.date(2024, 1, 1)]},
         "'age' is a number, but row 1 has datetime.date(2024, 1, 1) (3 rows in total): correct it."),
        ((WHEN,), {"when": "03/04/2023"},
         "'when' is a date, but row 1 has '03/04/2023' (1 row in total): write it as 2024-12-31."),
        ((WHEN,), {"when": 20240101}, "'when' is a date, but row 1 has 20240101 (1 row in total): write it as 2024-12-31."),
        ((PLAN,), {"plan": [1.0, 1.5]}, "'plan' is an integer, but row 2 has 1.5 (1 row in total): correct it."),
        ((AGE, WHEN), {"age": [1, 2], "when": ["2024-01-01"]},
         "'age' has 2 values, but 'when' has 1: expected as many in each column."),
    ],
)  # fmt: skip
def test_refusals_are_sentences(columns, rows, sentence):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole sentence is compared)
        Reader(schema_of(*columns))(rows)
    assert str(error.value) == sentence


@pytest.mark.parametrize("rows", [3, None, "rows.csv", [1, 2], np.ones((2, 2)), [{"age": 1}, 2]])
def test_what_has_no_names_is_refused(rows):
    with pytest.raises(
        TypeError, match="expected a dictionary of one row or of columns, a list of dictionaries, or a data"
    ):
        Reader(schema_of(AGE))(rows)


def test_a_data_frame_with_a_name_twice_is_refused():
    with pytest.raises(ValueError, match=r"duplicate column names \('age'\)"):
        Reader(schema_of(AGE))(pd.DataFrame([[1, 2]], columns=["age", "age"]))


@pytest.mark.parametrize(
    "text", ["1" * 10**6 + "x", "P" + " " * 10**5 + "x", "(1" + "\t" * 190 + "x", "1 " * 99 + "x", "1h" * 99]
)
def test_texts_made_to_take_long_are_refused_at_once(text):
    columns = [Column("x", "number", "text", notation=Notation(unit=unit)) for unit in ("", "EUR", "1h 30m", "h:m")]
    columns += [Column("x", "date", "text", date_format="%d %B %Y %H:%M%z"), Column("x", "date", "date")]
    for column in columns:
        with pytest.raises(ValueError, match=r"but row 1 has") as error:
            Reader(schema_of(column))({"x": text})
        assert len(str(error.value)) < 400


def test_integers_beyond_all_floats_are_infinite():
    found = Reader(schema_of(AGE))({"age": [10**400, -(10**400), 10**99, 0.5]})
    assert found["age"].tolist() == [INF, -INF, 1e99, 0.5]


PROGRAM = """
import sys
from chainrule.tables.formats import Notation
from chainrule.tables.schema import Column, Schema
from chainrule.tables.serving.cells import Reader

columns = (Column("age", "number"), Column("when", "date", "time", notation=Notation(zone="Asia/Tokyo")))
written = Schema(columns, (Column("y", "number"),), "regression").to_json()
print(Reader(Schema.from_json(written))({"age": "41", "when": "1970-01-01T00:00Z"}))
print(sorted({"polars", "sklearn", "pandas", "scipy", "numba", "skops"} & sys.modules.keys()))
"""


def test_numpy_is_enough():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["{'age': array([41.]), 'when': array([32400.])}", "[]"]


@pytest.mark.parametrize("zone", ["localtime", "posix/Europe/Berlin", "right/UTC", "Europe", "Nowhere/City", "../UTC"])
def test_a_schema_names_time_zones_alone(zone):
    written = schema_of(Column("x", "date", "time", notation=Notation(zone=zone))).to_json()
    with pytest.raises(ModelFileError, match=r"the schema is corrupt: columns.0.: notation: zone is"):
        Schema.from_json(written)


def test_targets_are_no_part_of_the_columns():
    assert [*Reader(schema_of(AGE))({"age": 1, TARGET.name: 5})] == ["age"]


def test_an_empty_text_is_a_missing_value_unless_training_had_it():
    for column, expected in (
        (Column("x", "number"), [2.0, NAN]),
        (Column("x", "date", "date"), [0.0, NAN]),
        (Column("x", "category", "text", categories=("2", "a")), ["2", "(missing)"]),
        (Column("x", "category", "text", categories=("", "2")), ["2", ""]),
        (Column("x", "category", "whole", categories=("2", "3")), ["2", "(missing)"]),
        (Column("x", "yes/no", "boolean", categories=("false", "true")), [1.0, NAN]),
        (Column("x", "text", "text"), ["2", ""]),
    ):
        first = "1970-01-01" if column.kind == "date" else "true" if column.read_as == "boolean" else "2"
        for values, notes in both(column, [first, ""]):
            assert repr(values) == repr(expected)
            assert ("has a missing value" in str(notes)) == (expected[1] != "")


def test_whole_numbers_beyond_those_of_float64_are_different_categories():
    long = 2**60 + 1
    column = Column("x", "category", "whole", categories=(str(long), str(long + 1)))
    for values in ([long, long + 1], [str(long), f"+{long + 1}"]):
        assert [made for made, _ in both(column, values)] == [[str(long), str(long + 1)]] * 2
