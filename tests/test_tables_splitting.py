"""Which rows are for what: no row is lost or used twice, and what must not be on both sides is not."""

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from chainrule.tables.dates import to_dates
from chainrule.tables.splitting import MIN_CLASS_ROWS, SplitRule, code, has_rare, split

ROWS = 200
RNG = np.random.default_rng(0)
Y = RNG.choice(["a", "b", "c"], ROWS, p=[0.7, 0.2, 0.1])
FRAME = pl.DataFrame(
    {
        "group": RNG.integers(0, 25, ROWS),
        "time": RNG.permutation(ROWS) * 0.5,
        "day": [f"{1 + i % 28:02}.{1 + i // 28:02}.2020" for i in RNG.permutation(ROWS)],
    }
)


def python(plan, frame, y):
    """Return the parts of the rows by the lines of Python that are printed."""
    from sklearn.model_selection import GroupShuffleSplit, train_test_split  # noqa: PLC0415

    names = {
        "frame": frame, "y": y, "np": np, "pl": pl, "to_dates": to_dates, "train_test_split": train_test_split,
        "GroupShuffleSplit": GroupShuffleSplit,
    }  # fmt: skip
    exec("\n".join(code(plan, frame, rare=has_rare(plan, y))), names)
    return [names["train"], names["validation"], *([names["test"]] if plan.test else [])]


PLANS = [
    SplitRule(0.2, 0.125, 0, stratify=True),
    SplitRule(0.2, 0.125, 0),
    SplitRule(0.0, 0.125, 3, stratify=True),
    SplitRule(0.3, 0.5, 7, time="time"),
    SplitRule(0.3, 0.5, 7, time="day", date_format="%d.%m.%Y"),
    SplitRule(0.0, 0.5, 7, time="time"),
    SplitRule(0.2, 0.125, 1, group="group"),
    SplitRule(0.0, 0.125, 1, group="group"),
]


@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_every_row_is_in_one_part_and_the_python_gives_the_same(plan):
    *parts, how = split(plan, FRAME, Y)
    assert sorted(np.concatenate(parts)) == list(range(ROWS))
    assert how
    assert bool(len(parts[2])) == bool(plan.test)
    again = split(plan, FRAME, Y)
    for one, other, printed in zip(parts, again[:3], python(plan, FRAME, Y), strict=False):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, printed)


def test_another_seed_gives_other_rows():
    tests = [split(SplitRule(0.2, 0.1, seed), FRAME, Y)[2].tolist() for seed in (0, 1)]
    assert tests[0] != tests[1]


def test_stratified_parts_have_the_same_share_of_each_class():
    for rows in split(SplitRule(0.2, 0.125, 0, stratify=True), FRAME, Y)[:3]:
        for label in "abc":
            assert (Y[rows] == label).mean() == pytest.approx((label == Y).mean(), abs=1 / len(rows))


def test_the_last_rows_are_held_out():
    for plan in PLANS[3:5]:
        values = FRAME["time"] if plan.date_format is None else FRAME["day"].str.to_date(plan.date_format)
        train, validation, test, how = split(plan, FRAME, Y)
        assert values[train].max() <= values[validation].min()
        assert values[validation].max() <= values[test].min()
        assert how == f"the last rows by {plan.time!r}"


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([None, "p", "q", "r", "s", "t", "u"]), min_size=20, max_size=60),
    st.floats(0.1, 0.5),
    st.integers(0, 9),
)
def test_a_group_is_never_on_both_sides(groups, part, seed):
    frame = pl.DataFrame({"g": pl.Series(groups, dtype=pl.String)})
    if frame["g"].n_unique() < 3:
        return
    parts = split(SplitRule(part, 0.2, seed, group="g"), frame, np.zeros(len(groups)))[:3]
    sides = [set(frame["g"][rows].to_list()) for rows in parts]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


def test_classes_of_few_rows_are_trained_on():
    y = np.repeat(["a", "b", "c", "d"], [100, 60, MIN_CLASS_ROWS, MIN_CLASS_ROWS - 1])
    train, validation, test, _ = split(SplitRule(0.2, 0.2, 0, stratify=True), pl.DataFrame({"y": y}), y)
    assert (y[train] == "d").sum() == MIN_CLASS_ROWS - 1
    assert "d" not in y[validation]
    assert "d" not in y[test]
    assert "c" in y[train]


@pytest.mark.parametrize(
    ("plan", "y", "message"),
    [
        (SplitRule(0.2, 0.1, 0, stratify=True), np.repeat([0, 1], [50, 4]), "fewer than two classes have at least 5 rows"),
        (SplitRule(0.99, 0.1, 0, stratify=True), np.tile([0, 1], 27), "54 rows are too few for training, validation and test"),
        (SplitRule(0.2, 0.1, 0, time="t", stratify=True), np.repeat(["a", "b"], [50, 4]), ("the class 'b' has rows to test but none "
         "to train on .the last rows by 't'.: hold out other rows")),
        (SplitRule(0.2, 0.1, 0, group="g", stratify=True), np.repeat(["a", "b", "c"], 18), "the class 'b' has rows to validate but"),
        (SplitRule(0.2, 0.1, 0, group="two"), np.zeros(54), "--group: 'two' has 2 groups: expected three or more"),
        (SplitRule(0.2, 0.1, 0, time="holes"), np.zeros(54), "--time-column: 'holes': expected a time .*missing or invalid in 1 row"),
        (SplitRule(0.2, 0.1, 0, time="t", group="g"), np.zeros(54), "--time-column and --group are mutually exclusive"),
    ],
)  # fmt: skip
def test_what_cannot_be_split_is_refused(plan, y, message):
    frame = pl.DataFrame(
        {"t": np.arange(54), "g": np.repeat(["a", "b", "c"], 18), "two": [1, 2] * 27, "holes": [None, *range(53)]}
    )
    with pytest.raises(ValueError, match=message):
        split(plan, frame, y)
