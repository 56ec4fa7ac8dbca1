"""Columns as the pipeline takes them: the expressions of polars, and the Python that is printed, do the same."""

import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from chainrule.tables.casting import HOLE, cast, code
from chainrule.tables.dates import to_dates
from chainrule.tables.kinds import infer

FRAME = pl.DataFrame(
    {
        "number": [1, None, 3, 4],
        "text as number": ["1.5", None, "x", "3e2"],
        "flag": ["no", "yes", None, "yes"],
        "truth": [True, None, False, True],
        "whole flag": [2.0, 7.0, float("nan"), None],
        "port": ["S", None, "Q", ""],
        "level": [1.0, 2.0, 3.0, float("nan")],
        "half": [0.5, 1.5, 2.5, None],
        "day": [dt.date(2020, 1, 1), None, dt.date(2021, 2, 3), dt.date(2021, 2, 3)],
        "said": ["31/01/2020", "x", None, "01/02/2020"],
        "stamp": [20200131, None, 20200201, 20200301],
    }
)
TOLD = {
    "text as number": ("number",), "level": ("category",), "half": ("category",), "said": ("date", "%d/%m/%Y"),
    "stamp": ("date", "%Y%m%d"),
}  # fmt: skip
COLUMNS = tuple(infer(FRAME[name], *TOLD.get(name, ())) for name in FRAME.columns)
JANUARY, NEXT = dt.datetime(2020, 1, 31), dt.datetime(2020, 2, 1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("number", [1.0, None, 3.0, 4.0]),
        ("text as number", [1.5, None, None, 300.0]),
        ("flag", [0.0, 1.0, None, 1.0]),
        ("truth", [1.0, None, 0.0, 1.0]),
        ("whole flag", [0.0, 1.0, None, None]),
        ("port", ["S", HOLE, "Q", ""]),
        ("level", ["1", "2", "3", HOLE]),
        ("half", ["0.5", "1.5", "2.5", HOLE]),
        ("day", [dt.datetime(2020, 1, 1), None, dt.datetime(2021, 2, 3), dt.datetime(2021, 2, 3)]),
        ("said", [JANUARY, None, None, NEXT]),
        ("stamp", [JANUARY, None, NEXT, dt.datetime(2020, 3, 1)]),
    ],
)
def test_values_are_numbers_texts_without_holes_or_dates(name, values):
    assert cast(FRAME, COLUMNS)[name].to_list() == values


@pytest.mark.parametrize("types", [FRAME.schema, {}])
def test_the_python_does_the_same(types):
    lines = [text.replace("NAMES", repr(names)) for text, names in code(COLUMNS, types)]
    expressions = eval(f"[{', '.join(lines)}]", {"pl": pl, "to_dates": to_dates})
    assert_frame_equal(FRAME.with_columns(expressions).select(FRAME.columns), cast(FRAME, COLUMNS))


def test_columns_that_are_left_out_are_not_in_it():
    columns = [infer(pl.Series("row", range(20))), infer(pl.Series("x", [1.5, 2.5, 3.5]))]
    assert cast(pl.DataFrame({"x": [1.5], "row": [3]}), columns).columns == ["x"]
