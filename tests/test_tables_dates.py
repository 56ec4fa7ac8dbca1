"""Texts that are dates: the format is found where the values tell it, and what they do not tell is said."""

import datetime as dt

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from chainrule import tables
from chainrule.tables import dates, remarks
from chainrule.tables.checking import check
from chainrule.tables.kinds import infer
from chainrule.tables.loading import load
from chainrule.tables.schema import Schema

MIXED = ["2020-01-31", "31/01/2020", "Jan 31, 2020"] * 4


COMPACT, OF_A_LOG = ("T%H%M%S", "%H%M%S", "%H%M"), ":%H:%M:%S"
WITH_DAY = [fmt for fmt in dates.DAYS if "%d" in fmt]


def formats(day):
    """Return a format of days with every time of day and time zone that may follow it."""
    times = [time for time in dates.TIMES if (time not in COMPACT or day == "%Y%m%d")]
    times = [time for time in times if time != OF_A_LOG or day == "%d/%b/%Y"] if "%H" not in day else [""]
    return [day + time + zone for time in times for zone in dates.ZONES if time or not zone]


@pytest.mark.slow
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


@pytest.mark.parametrize("fmt", [fmt for fmt in dates.DAYS if "%m" in fmt and "%d" not in fmt])
def test_months_are_dates(fmt):
    months = pl.Series([dt.datetime(2019, 12, 1), dt.datetime(2001, 1, 1)] * 5)
    texts = months.dt.strftime(fmt)
    assert dates.parse(texts, dates.find(texts).formats[0]).to_list() == months.to_list()


MOMENT = dt.datetime(2022, 1, 1, 8)


@pytest.mark.few(12)
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
        ("01JAN2022:08:00:00", MOMENT),
        ("2022-01-01 09:00 CET", MOMENT),
        ("2022-01-01T10:00:00CEST", MOMENT),
        ("2022-01-01 08:00 GMT", MOMENT),
        ("01/Jan/2022 03:00 AM EST", MOMENT),
        ("2022-01-01 01:00:00.000 PDT", MOMENT),
        ("Sat Jan  1 09:00:00 CET 2022", MOMENT),
        ("Sat, 01 Jan 2022 00:00:00 PST", MOMENT),
        ("2022-Q1", dt.datetime(2022, 1, 1)),
        ("2022Q4", dt.datetime(2022, 10, 1)),
        ("q2 2022", dt.datetime(2022, 4, 1)),
        ("Q3/2022", dt.datetime(2022, 7, 1)),
        ("2022-W05", dt.datetime(2022, 1, 31)),
        ("2022-W05-3", dt.datetime(2022, 2, 2)),
        ("2022W52", dt.datetime(2022, 12, 26)),
        ("1. Januar 2022 08:00", MOMENT),
        ("samedi 1er janvier 2022", dt.datetime(2022, 1, 1)),
        ("1 de enero de 2022", dt.datetime(2022, 1, 1)),
        ("1st of May 2022", dt.datetime(2022, 5, 1)),
        ("Sept. 5, 2022", dt.datetime(2022, 9, 5)),
        ("2022-maj-03", dt.datetime(2022, 5, 3)),
    ],
)
def test_what_databases_and_programs_write_is_read(text, moment):
    texts = pl.Series("d", [text] * 4)
    column = infer(pl.Series("d", [text, text.replace("2022", "2021") if "Sat" not in text else text] * 4))
    assert column.kind in ("date", "constant")
    assert dates.parse(texts, dates.find(texts).formats[0]).to_list() == [moment] * 4


LANGUAGES = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "de short": "Jan Feb Mrz Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "fr short": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "es short": "ene feb mar abr may jun jul ago sept oct nov dic",
    "it short": "gen feb mar apr mag giu lug ago set ott nov dic",
    "nl short": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "pt short": "jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.",
    "pl short": "sty lut mar kwi maj cze lip sie wrz paź lis gru",
}


@pytest.mark.few(6)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", ["{} {} 2022", "{:02}-{}-2022", "{}. {} 2022", "{} {} 2022 08:30"])
def test_names_of_months_in_other_languages_are_read(language, form):
    names = LANGUAGES[language].split()
    for spell in (str.lower, str.title, str.upper):
        texts = pl.Series("d", [form.format(3 + i, spell(name)) for i, name in enumerate(names)])
        found = dates.find(texts)
        clock = dt.time(8, 30) if "08:30" in form else dt.time()
        days = [dt.datetime.combine(dt.date(2022, 1 + i, 3 + i), clock) for i in range(12)]
        assert dates.parse(texts, found.formats[0]).to_list() == days
    months = pl.Series([f"{name}-22" for name in names])
    assert dates.parse(months, dates.find(months).formats[0]).dt.month().to_list() == [*range(1, 13)]


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("3. Mai 2022", "%d. %B %Y"), ("03.Mai.2022", "%d.%b.%Y"), ("03Mai2022", "%d%b%Y"), ("Q2.2022", "Q%q.%Y"),
        ("3 de mayo de 2022", "%d de %B de %Y"), ("2022 KW 18", "%G KW %V"),
    ],
)  # fmt: skip
def test_formats_that_somebody_gives_have_names_in_other_languages_too(text, given):
    (read,) = dates.parse(pl.Series([text]), given)
    assert read in {dt.datetime(2022, 5, 3), dt.datetime(2022, 4, 1), dt.datetime(2022, 5, 2)}


def year(number):
    return [100 * number + month for month in range(1, 13)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x", year(2021) + year(2022)),
        ("x", [*map(str, year(2021) + year(2022)), None]),
        ("x", [float(month) for month in year(2021) + year(1999)]),
        ("reportMonth", year(2022)),
        ("Monat", [*map(str, year(2022))]),
        ("date", [202211, 202212, 202301, None] * 3),
        ("mês", year(2022)[:3] * 3),
    ],
)
def test_six_digits_are_months_where_name_or_values_say_so(name, values):
    values = pl.Series(name, values)
    column = infer(values)
    assert (column.kind, column.date_format) == ("date", "%Y%m")
    (said,) = remarks.find(values.to_frame(), Schema((column,), (), "regression"))
    assert "read as dates (%Y%m). If they are numbers, use --numeric" in said
    assert dates.parse(values.cast(pl.String).str.replace(".0", "", literal=True), "%Y%m")[0].day == 1


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (year(2022), "identifier"), (year(2022) * 3, "number"), ([*map(str, year(2022))], "identifier"),
        ([202211, 202212, 202301] * 4, "number"), ([180001, 190001, 180101, 180102, 180103, 180104, 180105], "number"),
    ],
)  # fmt: skip
def test_six_digits_that_may_be_months_are_left_and_spoken_of(values, kind):
    values = pl.Series("x", values)
    column = infer(values)
    assert (column.kind, column.date_format) == (kind, None)
    assert remarks.find(values.to_frame(), Schema((column,), (), "regression")) == (
        (
            f"'x': values such as {values[0]} may be months. They are not read as dates, since neither the name nor the "
            "values are conclusive; if they are months, use --date 'x:%Y%m'."
        ),
    )
    assert infer(values, "date").date_format == "%Y%m"


@pytest.mark.parametrize("option", ["numeric", "categorical"])
def test_who_says_what_six_digits_are_is_not_told_that_they_may_be_months(option):
    frame = pl.DataFrame({"x": year(2022) * 3, "y": [1.5 * i for i in range(36)]})
    assert any("may be months" in note for note in load(frame, "y").notes)
    assert not any("may be months" in note for note in load(frame, "y", **{option: ["x"]}).notes)


@pytest.mark.parametrize("values", [[199900, 200000, 250000, 319900], [202200, 202201, 202213], [1999, 202201, 2]])
def test_other_numbers_are_not_taken_for_months(values):
    column = infer(pl.Series("month", values * 3))
    assert column.kind == "number"
    assert remarks.find(pl.DataFrame({"month": values * 3}), Schema((column,), (), "regression")) == ()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("texts", "new", "odd"),
    [
        (["2021-Q1", "2021-Q2", "2021-Q3", "2021-Q4"], "2022-q3", "2022-07"),
        (["2021-W01", "2021-W20", "2021-W35", "2021-W52"], "2022-W10", "2022-Q1"),
        (["1. Mai 2021", "2. Juni 2021", "3. März 2021", "5. Okt. 2021"], "7 July 2021", "07.07.2021"),
        (["2021-05-01 08:00 CET", "2021-06-01 09:00 CEST", "2021-07-01 09:00 CEST"], "2021-07-01 03:00 EDT", "2021-07"),
    ],
)
def test_what_training_detected_reads_new_rows(texts, new, odd):
    table = pl.DataFrame({"when": texts * 20, "y": [i % 4 < 2 for i in range(20 * len(texts))]})
    trained = tables.train(table, "y", parameters={"max_iter": 2, "hidden_layer_sizes": (4,)})
    (column,) = trained.schema.used
    assert column.kind == "date"
    schema = Schema.from_json(trained.schema.to_json())
    checked, notes = check(pl.DataFrame({"when": [new]}), schema)
    assert notes == ()
    assert checked["when"].to_list() == [new]
    assert tables.predict(trained, pl.DataFrame({"when": [new]}))[0].height == 1
    with pytest.raises(ValueError, match=r"'when' is a date \(%.*\), but row 1 has"):
        check(pl.DataFrame({"when": [odd]}), schema)


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


@pytest.mark.few(8)
@pytest.mark.parametrize(
    "texts",
    [
        ["1.2.3", "4.5.6"], ["192.168.0.1", "10.0.0.2"], ["12:30", "13:45"], ["20201301", "99999999"], ["a-b-c", "d-e-f"],
        ["2020-13-45", "2020-99-99"], ["555-123-4567"], [""], [None], [], ["2020-01-31"] * 9 + ["never"], ["12/31"],
        ["1/2", "3/4"], ["version 2020"], ["10-20-3000-40"], ["2022-Q5"], ["2022-W54"], ["2022-W00"], ["Q1"], ["3 Foo 2022"], ["3. Maiglöckchen 2022"], ["2022-01-01 08:00 IST"],
        ["202213"], ["before 3 May 2022"], ["Mars"],
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
    for formats in ("%Y-%m-%d", "%Y-%m-%d or %d/%m/%Y", "%Y-%m-%dT%H:%M:%S%z", "%d %B %Y", "%Y-Q%q or %G-W%V"):
        texts = pl.DataFrame(
            {
                "d": [
                    "2020-01-31",
                    "31/01/2020",
                    "2020-01-31T01:00:00+0100",
                    "2020-01-31T01:00:00Z",
                    "31. Januar 2020",
                    "2020-Q1",
                    "2020-W05",
                    None,
                ]
            }
        )
        expression = eval(dates.code("d", formats), {"pl": pl, "to_dates": dates.to_dates})
        assert texts.select(expression)["d"].to_list() == dates.parse(texts["d"], formats).to_list()


def test_whole_numbers_are_dates_where_somebody_says_so():
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 4, 9), eager=True)
    table = pl.DataFrame({"day": days.dt.strftime("%Y%m%d").cast(pl.Int64), "late": days > dt.date(2020, 2, 15)})
    trained = tables.train(table, "late", dates=["day:%Y%m%d"], parameters={"max_iter": 3, "hidden_layer_sizes": (4,)})
    (column,) = trained.schema.used
    assert (column.kind, column.read_as, column.low) == ("date", "whole", "2020-01-01T00:00:00")
    texts = tables.predict(trained, table.with_columns(pl.col("day").cast(pl.String)))[0]
    assert tables.predict(trained, table)[0].equals(texts)
    with pytest.raises(ValueError, match=r"'day' is a date \(%Y%m%d\), but row 1 has 7 \(100 rows in total\)"):
        tables.predict(trained, table.with_columns(day=7))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.lists(st.dates(dt.date(1000, 1, 1), dt.date(9999, 12, 31)), min_size=1, max_size=20),
    st.sampled_from([fmt for fmt in WITH_DAY if "%Y" in fmt and "%M" not in fmt and fmt != "%Y%m%d"]),
)
@pytest.mark.slow
def test_any_days_are_read_as_they_are_meant_or_said_to_be_unclear(days, fmt):
    texts = pl.Series("d", days).dt.strftime(fmt)
    found = dates.find(texts)
    read = dates.parse(texts, dates.SEPARATOR.join(found.formats)).dt.date().to_list()
    assert read == days or found.other is not None or len(found.formats) > 1
