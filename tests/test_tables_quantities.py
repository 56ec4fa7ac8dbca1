"""Texts that are amounts, times of day or durations are numbers, in one unit, and what they are taken for is said."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from chainrule import ModelFileError, tables
from chainrule.tables import quantities, remarks
from chainrule.tables.formats import Notation
from chainrule.tables.kinds import infer
from chainrule.tables.schema import Column, Schema

QUICK = {"max_iter": 3, "hidden_layer_sizes": (4,)}
ROWS = 60
NUMBERS = np.random.default_rng(0).normal(10, 2, ROWS).round(2).tolist()
MIXED = "read as text. Convert them to one unit, or put the unit into a separate column."
TARGET = ["heavy" if number > 10 else "light" for number in NUMBERS]


def said(*columns):
    frame = pl.DataFrame([pl.Series(name, values) for name, values in columns])
    schema = Schema(tuple(infer(values) for values in frame), (Column("y", "number"),), "regression")
    return remarks.find(frame, schema)


@pytest.mark.few(8)
@pytest.mark.parametrize(
    ("texts", "unit", "numbers"),
    [
        (["12.5 kg", "7 kg", "-3kg"], "kg", [12.5, 7, -3]),
        (["12.5 kg", "800 g", "7 kg"], "kg", [12.5, 0.8, 7]),
        (["120 km/h", "80 km/h", "95.5 km/h"], "km/h", [120, 80, 95.5]),
        (["1,200 sq ft", "900 sq ft", "850 sq ft"], "sqft", [1200, 900, 850]),
        (["EUR 12.50", "EUR 3", "EUR 1,234.50"], "EUR", [12.5, 3, 1234.5]),
        (["12,50 EUR", "1.234,00 EUR", "7 EUR"], "EUR", [12.5, 1234, 7]),
        (["CHF 1'234.50", "CHF 12", "CHF -7"], "CHF", [1234.5, 12, -7]),
        (["US$ 12", "US$ 1,000", "US$ 7"], "US$", [12, 1000, 7]),
        (["(EUR 5)", "EUR 7", "EUR (1,200.50)"], "EUR", [-5, 7, -1200.5]),
        (["(5 EUR)", "7 EUR", "(1.20) EUR"], "EUR", [-5, 7, -1.2]),
        (["(CHF 1'200.50)", "CHF 7", "(chf 2)"], "CHF", [-1200.5, 7, -2]),
        (["(€ 1.2M)", "€900K", "€ 3"], "€", [-1.2e6, 9e5, 3]),
        (["$1.2M", "$900K", "$3"], "$", [1.2e6, 9e5, 3]),
        (["1.2K", "950", "3M"], "K", [1200, 950, 3e6]),
        (["16GB", "1TB", "512 MB"], "GB", [16, 1000, 0.512]),
        (["3 years", "6 months", "2 years"], "years", [3, 0.5, 2]),
        (["3 rooms", "4 rooms", "1 room"], "rooms", [3, 4, 1]),
        (["12 kg", "13", "14 kg"], "kg", [12, 13, 14]),
        (["14:35", "9:05", "23:59"], "h:m", [52500, 32700, 86340]),
        (["1:02:45", "0:59:01", "27:00:00.5"], "h:m", [3765, 3541, 97200.5]),
        (["0 days 00:12:45", "1 days 02:00:00", "-1 days +23:00:00"], "h:m", [765, 93600, -3600]),
        (["1 day, 1:02:45", "0:12:45", "2 days, 0:00:00"], "h:m", [90165, 765, 172800]),
        (["59:10", "1:02:45", "58:01"], "m:s", [3550, 3765, 3481]),
        (["2:35 PM", "11:05 AM", "12:00 am"], "%I:%M %p", [52500, 39900, 0]),
        (["2:35:10 PM", "11:05:00 AM", "12:00:00 am"], "%I:%M:%S %p", [52510, 39900, 0]),
        (["PT12M45S", "PT1H", "P1DT2H"], "1h 30m", [765, 3600, 93600]),
        (["1h 30m", "45m", "2 hours"], "1h 30m", [5400, 2700, 7200]),
        (["3h", "12m", "1h"], "h", [3, 0.2, 1]),
    ],
)
def test_amounts_times_and_durations_are_numbers(texts, unit, numbers):
    column = infer(pl.Series("c", texts))
    assert (column.kind, column.read_as, column.notation.unit) == ("number", "text", unit)
    read = quantities.read(pl.Series(texts), column.notation)
    np.testing.assert_allclose(read.to_numpy(), numbers, rtol=1e-12)
    assert (column.low, column.high) == (pytest.approx(min(numbers)), pytest.approx(max(numbers)))


@pytest.mark.few(5)
@pytest.mark.parametrize(
    "texts",
    [
        ["EUR 5", "USD 6", "EUR 7"], ["12", "14a", "3b", "7"], ["007X", "012X", "100X"], ["1st", "2nd", "3rd"],
        ["ABC 123", "ABC 124", "XYZ 125"], ["LH 123", "BA 456", "LH 7"], ["1.2.3", "4.5.6", "4.5.7"],
        ["192.168.0.1", "10.0.0.2", "127.0.0.1"], ["5XL", "3XL", "XL"], ["red", "blue", "green"], ["2:1", "0:3", "1:1"],
        ["Room 3", "Room 4", "Room 5"], ["10-20 kg", "20-30 kg", "30-40 kg"], ["aa:bb", "cc:dd", "ee:ff"],
        ["12:75", "13:99", "14:61"], ["+41 79 123 45 67", "+41 79 123 45 68", "+41 31 123 45 67"],
    ],
)  # fmt: skip
def test_what_is_no_amount(texts):
    assert infer(pl.Series("c", texts)).kind == "category"


def test_what_columns_are_taken_for_is_said():
    kg = [f"{n} kg" for n in NUMBERS]
    assert said(
        ("w", kg),
        ("g", [*kg[:-2], "800 g", "7"]),
        ("p", ["EUR 5", "USD 6", "EUR 7"] * 20),
        ("t", ["14:35", "9:05", "23:59"] * 20),
        ("lap", ["8:30", "1:02:45", "7:10"] * 20),
        ("o", [*kg[:-1], "heavy"]),
        ("k", ["1.2K", "950", "3M"] * 20),
    ) == (
        "'w': values such as '10.25 kg', read as an amount in kg.",
        "'g': values such as '10.25 kg', read as an amount in kg.",
        "'g': several units; g converted to kg.",
        "'g': 1 value without a unit, treated as kg.",
        f"'p': amounts in EUR, USD, which cannot be converted, {MIXED}",
        "'t': values such as '14:35', read as a time or duration (hours:minutes), in seconds.",
        "'lap': values such as '8:30', read as a time or duration (hours:minutes), in seconds.",
        "'lap': values with one colon and with two. If the former are minutes and seconds, use --date 'lap:%M:%S'.",
        "'o': values such as '10.25 kg', read as an amount in kg.",
        "'o': 1 value of another form, such as 'heavy', treated as missing.",
        "'k': values such as '1.2K', read as a number that may end in K.",
    )


def test_what_looks_like_a_date_or_an_amount_but_fits_no_format_is_spoken_of():
    odd = ["2022-H1", "8am", "10h30", "2022-01-01 08:00 IST", "Jan 22", "3. Heumonat 2022", "2022-W99"]
    for text in odd:
        (found,) = said(("c", [text] * 8 + ["red", "blue"]))
        assert found.startswith(f"'c': values such as {text!r} look like dates or times but match no known format"), (
            text
        )
    for text in ("red", "192.168.0.1", "A-7", "version 2020", "12 Main St", "x" * 1000):
        assert said(("c", [text] * 8 + ["red", "blue"])) == ()


def test_amounts_whose_decimal_mark_is_unclear_are_spoken_of():
    notes = said(("w", ["1,234 kg", "2,500 kg", "12 kg"]))
    assert len(notes) > 1
    assert "1,234" in notes[-1]


def test_a_format_without_a_day_says_what_two_numbers_with_a_colon_are():
    laps = pl.Series("lap", ["8:30", "1:02:45", "7:10"])
    column = infer(laps, "date", "%M:%S")
    assert (column.kind, column.notation.unit, column.low) == ("number", "m:s", 430)


def test_what_somebody_calls_a_number_may_have_units_and_words():
    column = infer(pl.Series("c", ["1 kg", "n.d.", "500 g", "2 kg", "n.d.", "4 kg"]), "number")
    assert (column.kind, column.notation.unit, column.holes, column.low) == ("number", "kg", ("n.d.",), 0.5)


@pytest.fixture(scope="module")
def trained():
    frame = pl.DataFrame({
        "w": [f"{n} kg" for n in NUMBERS], "at": [f"{int(n)}:30" for n in NUMBERS],
        "paid": [f"EUR {100 * n:,.2f}" for n in NUMBERS], "y": TARGET,
    })  # fmt: skip
    return frame, tables.train(frame, "y", parameters=QUICK)


def test_new_rows_are_converted_to_the_unit_of_training(trained):
    frame, network = trained
    expected, notes = tables.predict(network, frame)
    assert notes == ()
    grams = frame.with_columns(
        w=pl.Series([f"{n * 1000:.0f} g" for n in NUMBERS]), at=pl.Series([f"{int(n)}:30:00" for n in NUMBERS]),
        paid=pl.Series([f"{100 * n:.2f} €" for n in NUMBERS]),
    )  # fmt: skip
    found, notes = tables.predict(network, grams)
    np.testing.assert_allclose(found["p_heavy"], expected["p_heavy"], rtol=1e-5)
    bare, notes = tables.predict(network, frame.with_columns(w=pl.Series(NUMBERS)))
    np.testing.assert_allclose(bare["p_heavy"], expected["p_heavy"], rtol=1e-5)
    assert notes == ("'w': 60 numbers have no unit; treated as kg.",)


def test_new_rows_of_another_unit_are_refused(trained):
    frame, network = trained
    for name, value, what in (
        ("w", "3 EUR", "an amount in kg"), ("paid", "USD 3", "an amount in EUR"),
        ("at", "noon", r"a time or duration \(hours:minutes\)"),
    ):  # fmt: skip
        rows = frame.head(2).with_columns(**{name: pl.lit(value)})
        with pytest.raises(ValueError, match=rf"'{name}' is {what}, but row 1 has '{value}' \(2 rows in total\)"):
            tables.predict(network, rows)
        assert tables.predict(network, rows, coerce=True)[1][0].startswith(f"'{name}': 2 values are not {what[:9]}")


def test_the_unit_is_in_the_schema_and_old_schemas_have_none(trained):
    _, network = trained
    text = network.schema.to_json()
    assert Schema.from_json(text) == network.schema
    for line in ('    "unit": "kg",\n', '    "zone": "",\n'):
        assert line.rstrip(",\n") in text
    with pytest.raises(ModelFileError, match="notation: zone is Nowhere"):
        Schema.from_json(text.replace('"zone": ""', '"zone": "Nowhere"', 1))


def test_durations_of_data_frames_keep_their_fractions():
    column = infer(pl.Series("c", [dt.timedelta(seconds=0.25 * i) for i in (1, 2, 3, 5)]))
    assert (column.kind, column.low, column.high) == ("number", 0.25, 1.25)


@pytest.mark.parametrize("unit", ["kg", "EUR", "K", "h:m", "m:s", "1h 30m", "%I:%M %p", "rooms"])
def test_any_text_is_a_number_or_null(unit):
    texts = pl.Series(
        ["", " ", "kg", "-", ":", "1:2:3:4", "9" * 400, "1e999 kg", "\u0661 kg", "P", "1" + "0" * 30 + " kg", None]
    )
    read = quantities.read(texts, Notation(unit=unit))
    assert read.dtype == pl.Float64
    assert read[-1] is None
    assert read[0] is None
