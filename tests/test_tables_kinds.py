"""What a column is: at the borders of each kind, and when somebody says otherwise."""

import datetime as dt
import decimal

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from chainrule.tables import kinds, remarks
from chainrule.tables.casting import cast
from chainrule.tables.kinds import FEW, infer
from chainrule.tables.overrides import told
from chainrule.tables.schema import Column, Schema

INF = float("inf")
NAN = float("nan")
words = [f"w{i}" for i in range(200)]


def column(values, *arguments, dtype=None):
    return infer(pl.Series("c", values, dtype=dtype, strict=False), *arguments)


@pytest.mark.parametrize(
    ("values", "kind", "read_as"),
    [
        ([3, 1, 2] * 4, "number", "whole"),
        ([0.5, 1.5, 2.5], "number", "number"),
        ([1.0, 2.0, 3.0, None], "number", "whole"),
        ([1.0, 2.0, NAN, 4.0], "number", "whole"),
        ([INF, 1.0, -INF, NAN], "number", "number"),
        ([decimal.Decimal("1.5"), decimal.Decimal("2.5"), decimal.Decimal(3)], "number", "number"),
        ([dt.timedelta(1), dt.timedelta(2), dt.timedelta(3)], "number", "whole"),
        ([dt.time(1), dt.time(2), dt.time(3)], "number", "whole"),
        ([2**60, 2**61, 5], "number", "whole"),
        (list(range(9)), "number", "whole"),
        (list(range(10)), "identifier", "whole"),
        ([9, 3, 4, 1, 2, 0, 8, 7, 6, 5], "identifier", "whole"),
        ([*range(9), 10], "number", "whole"),
        ([*range(10), None], "number", "whole"),
        ([0, 1] * 3, "yes/no", "whole"),
        ([0.5, 1.5] * 3, "yes/no", "number"),
        (["yes", "no", None], "yes/no", "text"),
        ([True, False, None], "yes/no", "boolean"),
        (["no", "maybe", "yes"], "category", "text"),
        ([1, None], "category", "whole"),
        (["x", None], "category", "text"),
        (words[:9], "category", "text"),
        (words[:10], "identifier", "text"),
        ([*words[:10], None], "identifier", "text"),
        (words[:FEW] * 2, "category", "text"),
        (words[: FEW + 1] * 2, "many", "text"),
        ([f"one two three {word}" for word in words], "text", "text"),
        ([f"one two {word}" for word in words], "identifier", "text"),
        ([f"one two three {word}" for word in words[:FEW]] * 2, "category", "text"),
        ([f"one two three {word}" for word in words[:40]] * 5, "many", "text"),
        ([None] * 5, "constant", "null"),
        ([NAN] * 5, "constant", "null"),
        ([7] * 5, "constant", "whole"),
        (["x"] * 5, "constant", "text"),
        ([True] * 5, "constant", "boolean"),
        (["2020-01-31", "2021-02-28"], "date", "text"),
        ([dt.date(2020, 1, 1), dt.date(2021, 1, 1)], "date", "date"),
        ([dt.datetime(2020, 1, 1, 5), None, dt.datetime(2021, 1, 1)], "date", "time"),
        ([20200101, 20210101, 20220101], "date", "whole"),
        ([20200101, 20210101, 20221301], "number", "whole"),
        (["12:30", "13:45", "17:00"], "number", "text"),
        (["192.168.0.1", "10.0.0.2", "127.0.0.1"], "category", "text"),
        (["1.2.3", "4.5.6", "4.5.7"], "category", "text"),
        (["555-1234-567", "555-9876-543", "555-1111-222"], "category", "text"),
        ([[1], [2]], "text", "null"),
        ([{"a": 1}, {"a": 2}], "text", "null"),
        ([b"\xff", b"\xfe"], "text", "null"),
        ([b"a", b"b", b"c"], "category", "text"),
    ],
)
def test_borders_of_the_kinds(values, kind, read_as):
    found = column(values)
    assert (found.kind, found.read_as) == (kind, read_as)
    assert found.used == (kind not in ("identifier", "constant") and read_as != "null")


def test_numbers_may_have_a_few_words_among_them():
    numbers = [str(i / 2) for i in range(95)]
    found = column([*numbers, "unknown", "-", None])
    assert (found.kind, found.missing, found.holes, found.low, found.high) == ("number", 3, ("-", "unknown"), 0, 47)
    assert column(numbers).kind == "number"
    assert column([*numbers, *["unknown"] * 9]).holes == ("unknown",)  # one and the same word may be in one of ten rows
    assert column([*numbers, *["unknown"] * 12]).kind == "many"
    assert column([*numbers, *["x", "y"] * 4]).kind == "many"  # of several, more than one in twenty
    assert column([*map(str, range(1000)), *words[:9]]).kind == "identifier"  # names, some of which are digits
    assert column([*map(str, range(30)), "x"] * 9).kind == "many"  # so few values are as well off as categories
    for codes in ([f"{i:04d}" for i in range(99)] * 2, [str(3 * i) for i in range(99)]):
        assert column(codes).kind in ("many", "identifier")


def test_what_somebody_calls_a_number_or_a_date_may_have_words():
    numbers = column(["1", "2", "n.d.", "4", "n.d.", "6"], "number")
    assert (numbers.kind, numbers.missing, numbers.holes) == ("number", 2, ("n.d.",))
    days = column(["2020-01-31", "2020-02-28", "2020-02-30", "soon", "2020-03-31"], "date")
    assert (days.kind, days.missing, days.holes) == ("date", 2, ("2020-02-30", "soon"))
    whole = column([20200131, 20200228, 99999999], "date", "%Y%m%d")
    assert (whole.missing, whole.holes) == (1, ("99999999",))


def test_a_column_that_words_keep_from_being_numbers_or_dates_is_remarked_on():
    numbers = [str(i / 2) for i in range(40)]
    days = [f"2020-01-{1 + i % 31:02d}" for i in range(40)]
    frame = pl.DataFrame({
        "n": [*numbers, "-", *["x"] * 9],
        "d": [*days, *["soon"] * 10],
        "w": ["-", *numbers, *numbers[:9]],
        "t": numbers + numbers[:10],
        "names": words[:50],
    })  # fmt: skip
    schema = Schema(tuple(infer(values) for values in frame), (Column("y", "number"),), "regression")
    assert remarks.find(frame, schema) == (
        "'n': read as text because of 10 values, such as '-', not read as a number. If these are missing values, use --numeric 'n'.",
        "'d': read as text because of 10 values, such as 'soon', not read as a date. If these are missing values, use --date 'd'.",
        "'w': 1 non-numeric value, such as '-', treated as missing.",
        "'t': numbers stored as text, read as numbers.",
    )


def test_what_is_yes():
    for no, yes in (("no", "yes"), ("n", "Y"), ("FALSE", "True"), ("0", "1"), ("nein", "ja"), ("a", "b")):
        assert column([yes, no] * 3).categories == (no, yes)
    assert column([5, 3]).categories == ("3", "5")


def test_bounds_leave_infinities_out():
    found = column([INF, 1.5, -INF, 2.5, NAN])
    assert (found.low, found.high, found.missing) == (1.5, 2.5, 1)
    only = column([INF, -INF, NAN])
    assert (only.kind, only.low) == ("yes/no", None)


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ([1, 2, 3] * 3, "category", ("category", ("1", "2", "3"))),
        ([1, 0] * 3, "category", ("category", ("0", "1"))),
        (list(range(50)), "category", ("many", ())),
        (list(range(50)), "number", ("number", ())),
        (["1", "2", None, "3"], "number", ("number", ())),
        ([True, False], "number", ("number", ())),
        ([dt.date(2020, 1, 1), dt.date(2021, 1, 1)], "category", ("category", ("2020-01-01", "2021-01-01"))),
        (words, "category", ("many", ())),
        ([4] * 5, "number", ("constant", ("4",))),
    ],
)
def test_what_is_said_is_done(values, kind, found):
    made = column(values, kind)
    assert (made.kind, made.categories) == found


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        (["1", "x"], ("number",), "'c' cannot be numeric: most values are not numbers, such as 'x'"),
        ([dt.date(2020, 1, 1), dt.date(2021, 1, 1)], ("number",), "'c' cannot be numeric: its values are dates"),
        ([1.5, 2.5], ("date",), "'c' cannot be a date: its values are numbers, such as 1.5"),
        ([7, 8], ("date",), "specify their format: --date 'c:%Y%m%d'"),
        ([True, False], ("date", "%Y"), "'c' cannot be a date: its values are numbers"),
        (["a", "b"], ("date",), "'a' matches no known format. Specify one: --date 'c:%d/%m/%Y'"),
        (["a", "b"], ("date", "%Y-%m-%d %H"), "'%Y-%m-%d %H' is not a valid date format: Invalid"),
        (["a", "b"], ("date", "%d/%m/%Y"), "--date: no value of 'c' matches the format '%d/%m/%Y'"),
        (["a", "b"], ("date", "%Q%"), "--date: no value of 'c' matches the format '%Q%'"),
    ],
)
def test_what_cannot_be_is_refused(values, arguments, message):
    with pytest.raises(ValueError, match="c") as error:
        column(values, *arguments)
    assert message in str(error.value)


def test_overrides_are_by_name_and_must_agree():
    names = ["a", "b", "c:d", "e"]
    assert told(names, ["a"], ["b"], ["c:d", "e:%Y"]) == {
        "a": ("category", None), "b": ("number", None), "c:d": ("date", None), "e": ("date", "%Y"),
    }  # fmt: skip
    assert told(names, [], [], [], ["a"]) == {}
    assert told(names, ["a", "a"], [], []) == {"a": ("category", None)}
    for options, message in {
        (("a",), ("a",), ()): "--categorical and --numeric both name 'a': give one of them.",
        ((), ("e",), ("e:%Y",)): "--numeric and --date both name 'e': give one of them.",
        (("x",), (), ()): r"--categorical: no input column 'x'. Known: a, b, c:d, e.",
        ((), (), ("bb:%Y",)): r"--date: no input column 'bb'.",
    }.items():
        with pytest.raises(ValueError, match=message):
            told(names, *options)
    with pytest.raises(ValueError, match=r"--numeric and --drop both name 'b': give one"):
        told(names, [], ["b"], [], ["b"])


def test_a_wide_table_names_a_few_of_its_columns_only():
    with pytest.raises(ValueError, match=r"Did you mean 'c17'\? Known: c0, .*c19 and 9,980 more\.$"):
        told([f"c{i}" for i in range(10_000)], ["C17"], [], [])


def test_infinities_and_dates_are_remarked_on():
    frame = pl.DataFrame(
        {
            "i": [INF, 1.5, 2.5, None],
            "d": ["01/02/2020", None, "03/04/2020", "x"],
            "m": ["2020-01-31", "31/01/2020"] * 2,
        }
    )
    columns = (infer(frame["i"]), infer(frame["d"], "date", "%d/%m/%Y"), infer(frame["m"]))
    assert remarks.find(frame, Schema(columns, (Column("y", "number"),), "regression")) == (
        "'i': 1 infinite value, ranked beyond all finite values.",
        "'d': read as %d/%m/%Y, but every value also matches %m/%d/%Y. To use that format: --date 'd:%m/%d/%Y'.",
        "'d': 1 invalid date, such as 'x', treated as missing.",
        "'m': mixed date formats; the first match is used: %Y-%m-%d or %d/%m/%Y.",
    )


CELL = st.one_of(st.none(), st.integers(-(2**62), 2**62), st.floats(), st.text(max_size=9), st.booleans(), st.dates())


@pytest.mark.slow
@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(CELL, min_size=1, max_size=20))
def test_any_values_have_a_kind(values):
    found = column(values)
    assert found.kind in ("number", "yes/no", "category", "many", "text", "date", "identifier", "constant")
    assert found.used == (not found.dropped)
    assert found.missing <= len(values)
    assert kinds.normal(pl.Series("c", values, strict=False)).null_count() == found.missing


@pytest.mark.parametrize("day", [dt.date(2020, 1, 31), dt.datetime(2020, 1, 31, 5)])
def test_a_format_for_what_is_a_date_already_makes_no_holes_of_it(day):
    values = pl.Series("c", [day, dt.date(2021, 2, 1) if type(day) is dt.date else dt.datetime(2021, 2, 1)])
    column = infer(values, "date", "%d/%m/%Y")
    assert column.date_format is None
    assert cast(values.to_frame(), [column])["c"].null_count() == 0
