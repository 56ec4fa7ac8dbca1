"""Columns that give the target away by having a value, or by a category; scores that are too good to be true."""

import numpy as np
import polars as pl
import pytest

from chainrule import tables
from chainrule.tables import loading
from chainrule.tables.leaks import find, too_good

ROWS = 600
RNG = np.random.default_rng(0)
YES = RNG.random(ROWS) < 0.3


def customers(**columns):
    return pl.DataFrame(
        {"x": np.random.default_rng(1).normal(size=ROWS), "churn": np.where(YES, "yes", "no"), **columns}
    )


def where(filled, values):
    return [value if flag else None for flag, value in zip(filled, values, strict=True)]


def warnings(frame, target="churn"):
    return [text for text in loading.load(frame, target).warnings if "known before the target" in text]


DAYS = [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(ROWS)]
SOME = YES & (np.arange(ROWS) % 3 > 0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (where(YES, DAYS), "has a value only where 'churn' is 'yes'"),
        (where(YES, pl.Series(DAYS).str.to_date()), "has a value only where 'churn' is 'yes'"),
        (where(SOME, ["price", "moved", "bad service"] * 200), "has a value only where 'churn' is 'yes'"),
        (where(SOME, ["gone"] * ROWS), "has a value only where 'churn' is 'yes'"),
        (where(~SOME, RNG.normal(size=ROWS)), "is missing only where 'churn' is 'yes'"),
        (where(YES ^ (np.arange(ROWS) % 50 == 0), RNG.normal(size=ROWS)), "has a value nearly always where 'churn' is 'yes'"),
        (where(~YES ^ (np.arange(ROWS) % 50 == 0), DAYS), "has a value nearly always where 'churn' is 'no'"),
    ],
)  # fmt: skip
def test_that_there_is_a_value_is_a_value(values, said):
    """The kind: what is known only after the target, such as a date or a reason of a cancellation."""
    [warning] = warnings(customers(after=values))
    assert f"the column 'after' {said}" in warning
    assert warning.endswith("use --drop 'after'.")


@pytest.mark.parametrize(
    "filled",
    [RNG.random(ROWS) < 0.5, np.where(YES, RNG.random(ROWS) < 0.7, RNG.random(ROWS) < 0.3), np.arange(ROWS) < 5],
)
def test_holes_that_say_little_are_nothing_to_warn_of(filled):
    assert warnings(customers(age=where(filled, RNG.normal(size=ROWS)), day=where(filled, DAYS))) == []


def test_holes_that_tell_one_class_of_several_a_label_and_a_number():
    three = customers().with_columns(kind=pl.Series(np.where(YES, "gone", np.where(np.arange(ROWS) % 2, "a", "b"))))
    after = where(YES, RNG.normal(size=ROWS))
    assert (
        "has a value only where 'kind' is 'gone'"
        in warnings(three.drop("churn").with_columns(after=pl.Series(after)), "kind")[0]
    )
    two = customers(other=np.where(RNG.random(ROWS) < 0.5, "on", "off"), after=after)
    assert "has a value only where 'churn' is 'yes'" in warnings(two, "other,churn")[0]
    paid = np.where(YES, 100 + RNG.exponential(50, ROWS), RNG.exponential(50, ROWS).clip(max=90))
    number = customers(after=after).drop("churn").with_columns(paid=pl.Series(paid))
    assert "'after' has a value only where 'paid' is above" in warnings(number, "paid")[0]


GRADES = RNG.integers(0, 35, ROWS)


def loans(spread, names=GRADES):
    rate = 5 + 0.5 * GRADES + RNG.normal(0, spread, ROWS)
    return pl.DataFrame(
        {"sub_grade": [f"{'ABCDEFG'[g // 5]}{g % 5 + 1}" for g in names], "rate": rate, "x": RNG.normal(size=ROWS)}
    )


def test_a_category_that_tells_a_number():
    """The kind: a grade that was made from the rate, with few values or with many."""
    assert "the column 'sub_grade' alone determines the target 'rate'" in warnings(loans(0.3), "rate")[0]
    few = loans(0.0).with_columns(
        rate=pl.Series(1.5 * (GRADES // 5)) + pl.col("x") * 0.01, sub_grade=pl.col("sub_grade").str.slice(0, 1)
    )
    assert "'sub_grade'" in warnings(few, "rate")[0]
    assert warnings(loans(3.0), "rate") == []
    assert warnings(loans(0.3, np.arange(ROWS) % 35), "rate") == []


def test_a_category_with_a_row_or_two_for_each_value_says_nothing():
    frame = pl.DataFrame(
        {"name": [f"n{i // 2}" for i in range(ROWS)], "y": RNG.normal(size=ROWS), "x": RNG.normal(size=ROWS)}
    )
    assert warnings(frame, "y") == []


def test_a_category_of_many_values_that_tells_the_class():
    codes = [f"{'yes' if flag else 'no'} {i % 40}" for i, flag in enumerate(YES)]
    assert "the column 'code' alone determines the target 'churn'" in warnings(customers(code=codes))[0]


def test_huge_numbers_do_not_overflow():
    frame = loans(0.3).with_columns(pl.col("rate") * 1e98)
    parts = loading.load(frame, "rate")
    with np.errstate(all="raise"):
        assert "'sub_grade'" in find(parts.frame, parts.schema, parts.y)[0]


@pytest.mark.parametrize(
    ("task", "scores", "rows", "warned"),
    [
        ("binary", {"network": {"accuracy": 1.0, "balanced accuracy": 1.0}}, 60, "accuracy of the network"),
        ("binary", {"network": {"accuracy": 0.9, "balanced accuracy": 0.9},
                    "boosted trees": {"accuracy": 1.0, "balanced accuracy": 1.0}}, 60, "accuracy of the boosted trees"),
        ("binary", {"network": {"accuracy": 1.0, "balanced accuracy": 1.0}}, 20, ""),
        ("binary", {"network": {"accuracy": 0.997, "balanced accuracy": 0.6}}, 900, ""),
        ("multilabel", {"network": {"accuracy": 0.999, "macro F1": 0.999}}, 900, "accuracy of the network"),
        ("regression", {"network": {"R²": 0.9999}, "linear model": {"R²": 0.9}}, 60, "R² of the network"),
        ("regression", {"network": {"R²": 0.9}, "linear model": {"R²": 1.0}}, 60, "the linear model predicts 'y' exactly"),
        ("regression", {"network": {"R²": 0.98}, "linear model": {"R²": 0.97}}, 60, ""),
        ("regression", {"network": {"R²": np.nan}}, 60, ""),
    ],
)  # fmt: skip
def test_a_score_that_is_too_good_to_be_true(task, scores, rows, warned):
    schema = tables.Schema((), (tables.Column("y", "number"),), task)
    found = too_good(schema, scores, rows)
    assert [warned in text for text in found] == ([True] if warned else [])


def test_the_sentence_reaches_the_result():
    frame = customers().with_columns(y=pl.col("x") * 3 + 1)
    trained = tables.train(frame.drop("churn"), "y", parameters={"max_iter": 2})
    assert any("the linear model predicts 'y' exactly" in text for text in trained.warnings)
