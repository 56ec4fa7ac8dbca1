"""TableEncoding: columns as inputs, against the formula written out, skrub's scaler and scikit-learn's splines."""

import itertools
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.preprocessing import SplineTransformer

from chainrule.encoding import TableEncoding, clipped, columns_of

RNG = np.random.default_rng(0)
SKEWED = np.exp(2 * RNG.normal(size=(80, 3)))
WORDS = RNG.choice(["ant", "bee", "cat"], 80).astype(object)


def literal(train, values):
    """Return u of a number, by the formula."""
    known = np.sort([x for x in train if math.isfinite(x)])
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    s = high - low if high > low else (known[-1] - known[0]) / 2
    found = []
    for x in values:
        z = 0.0 if math.isnan(x) or s == 0 else min(max((x - middle) / s, -100), 100)
        found.append(z / math.sqrt(1 + (z / 3) ** 2))
    return found


@pytest.mark.parametrize(
    "train",
    [
        SKEWED[:, 0],
        np.r_[np.zeros(70), np.arange(10.0)],  # the interquartile range is 0
        np.r_[SKEWED[:40, 1], np.full(5, np.nan), np.inf, -np.inf],
        np.full(9, 3.25),
        512 * np.arange(40) + 2**60,
        1e300 * SKEWED[:, 2],
    ],
    ids=["skewed", "mostly zero", "missing and infinite", "constant", "large integers", "huge"],
)
def test_a_number_is_the_formula(train):
    encoding = TableEncoding.fit(train[:, np.newaxis])
    new = np.array([train[0], np.nan, np.inf, -np.inf, 1e308, 0.0, np.median(train)])
    got = encoding(new[:, np.newaxis])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[:, 0], literal(train, new), rtol=1e-6, atol=1e-6)
    assert encoding.inputs == got.shape[1] == 1 + np.isnan(train).any()


def test_numbers_are_those_of_skrub():
    skrub = pytest.importorskip("skrub")
    theirs = skrub.SquashingScaler(max_absolute_value=3.0, quantile_range=(25.0, 75.0)).fit(SKEWED)
    ours = TableEncoding.fit(SKEWED)
    near = (np.abs(ours.scaled(3 * SKEWED)) < 100).all(axis=1)
    assert near.sum() == 79
    got, expected = ours(3 * SKEWED), theirs.transform(3 * SKEWED)
    np.testing.assert_allclose(got[near], expected[near], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got[~near], expected[~near], atol=3 - 3 / math.sqrt(1 + 9e-4))  # where z is cut


def test_a_missing_number_is_the_median_and_has_an_input_of_its_own():
    x = np.array([1.0, 2.0, 4.0, 7.0, np.nan, np.nan])[:, np.newaxis]
    inputs = TableEncoding.fit(x)(x)
    np.testing.assert_array_equal(inputs[4:, 0], 0)
    assert len(np.unique(inputs[:4, 1])) == len(np.unique(inputs[4:, 1])) == 1
    assert inputs[0, 1] < inputs[4, 1]
    none_missing = TableEncoding.fit(x[:4])
    np.testing.assert_array_equal(none_missing(x[3:5])[1], [0])


def test_a_category_has_an_input_for_each_level():
    encoding = TableEncoding.fit([WORDS])
    assert encoding.levels == (("ant", "bee", "cat"),)
    inputs = encoding([np.array(["ant", "bee", "cat", "dog", None], dtype=object)])
    one_hot = (WORDS[:, np.newaxis] == ["ant", "bee", "cat"]).astype(float)
    for k in range(3):
        np.testing.assert_allclose(inputs[:, k], literal(one_hot[:, k], np.eye(5)[k]), rtol=1e-6)


def test_two_levels_share_one_input_and_an_unseen_one_is_between():
    encoding = TableEncoding.fit([np.array(["no", "yes"] * 6, dtype=object)])
    got = encoding([np.array(["no", "yes", "perhaps", None], dtype=object)]).ravel()
    assert got[0] == -got[1]
    np.testing.assert_array_equal(got[2:], 0)


def test_a_missing_category_is_a_level_if_one_was_seen():
    column = np.array(["a", "b", None, "a", float("nan"), pd.NA, pd.NaT], dtype=object)
    encoding = TableEncoding.fit([column])
    assert encoding.levels == (("a", "b", None),)
    got = encoding([column])
    for row in got[[4, 5, 6]]:
        np.testing.assert_array_equal(row, got[2])


def test_rare_levels_of_many_are_like_unseen_ones():
    column = np.array([f"level {i}" for i in range(70) for _ in range(1 + (i < 66))], dtype=object)
    [levels] = TableEncoding.fit([column]).levels
    assert len(levels) == 64
    assert "level 69" not in levels
    mostly_once = np.array(["a", "a", *(f"once {i}" for i in range(100))], dtype=object)
    assert TableEncoding.fit([mostly_once]).levels == (("a",),)


@pytest.mark.parametrize("bins", [3, 8, 16])
def test_the_piecewise_linear_encoding_is_the_formula(bins):
    encoding = TableEncoding.fit(SKEWED, bins=bins)
    got = encoding(2 * SKEWED)[:, encoding.plain :]
    u_train, u = (clipped(encoding.scaled(rows)) for rows in (SKEWED, 2 * SKEWED))
    expected = []
    for row in u:
        ramps = []
        for i in range(3):
            q = np.unique(np.quantile(u_train[:, i], np.linspace(0, 1, bins + 1)))
            for low, high in itertools.pairwise(q):
                ramps.append(min(max((row[i] - low) / (high - low), 0), 1) - 0.5)
        expected.append(ramps)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_the_piecewise_linear_encoding_spans_the_splines_of_scikit_learn():
    encoding = TableEncoding.fit(SKEWED[:, :1], bins=8)
    u = clipped(encoding.scaled(SKEWED[:, :1]))
    hats = SplineTransformer(9, degree=1, knots="quantile").fit_transform(u)
    ramps = np.column_stack([np.ones(80), encoding.encode(encoding.scaled(SKEWED[:, :1]))[:, 1:].astype(float)])
    for basis, functions in ((ramps, hats), (hats, ramps)):
        solution = np.linalg.lstsq(basis, functions, rcond=None)[0]
        np.testing.assert_allclose(basis @ solution, functions, atol=1e-6)


@pytest.mark.slow
def test_numbers_of_two_values_and_too_many_numbers_are_not_encoded_piecewise():
    encoding = TableEncoding.fit(np.c_[RNG.integers(0, 2, 60), np.full(60, 7.0), RNG.normal(size=60)], bins=8)
    assert encoding.encoded.tolist() == [2]
    wide = TableEncoding.fit(RNG.normal(size=(5, 10_000)), bins=8)
    assert wide.inputs == 10_000


FRAME = {
    "number": [1.0, None, 3.0, 4.5],
    "whole": [1, 2, None, 4],
    "word": ["a", None, "b", "c"],
    "flag": [True] * 3 + [None],
}


def test_frames_and_arrays_give_the_same_columns():
    frames = [
        pd.DataFrame(FRAME),
        pd.DataFrame(FRAME).convert_dtypes(),
        pd.DataFrame(FRAME, dtype=object),
        pl.DataFrame(FRAME),
        pd.DataFrame(FRAME).astype({"word": "category"}),
    ]
    encodings = [TableEncoding.fit(frame) for frame in frames] + [TableEncoding.fit(frames[2].to_numpy())]
    expected = encodings[0](frames[0])
    for encoding, frame in zip(encodings, [*frames, frames[2].to_numpy()], strict=True):
        assert encoding.levels == (None, None, ("a", "b", "c", None), None)
        np.testing.assert_array_equal(encoding(frame), expected)
        np.testing.assert_array_equal(encodings[0](frame), expected)


def test_the_dtype_of_a_frame_says_what_is_a_category():
    frame = pd.DataFrame({"code": pd.Categorical([3, 1, 2]), "sparse": pd.arrays.SparseArray([0.0, 0.0, 1.0])})
    assert TableEncoding.fit(frame).levels == ((1, 2, 3), None)
    codes = np.array([2**60, 2**60 + 1, 2**60 + 2])
    assert TableEncoding.fit(pd.DataFrame({"code": codes}), categorical=[0]).levels == (tuple(codes.tolist()),)
    decimals = pl.DataFrame({"price": ["1.50", "2.25", None]}, schema_overrides={"price": pl.String}).cast(
        pl.Decimal(6, 2)
    )
    np.testing.assert_array_equal(columns_of(decimals)[0], [1.5, 2.25, np.nan])


DATES = pd.date_range("2020-01-01", periods=3)
BAD = {
    "dates of pandas": (pd.DataFrame({"day": DATES}), r"column 'day' has the type datetime64.*days since a date"),
    "dates of polars": (pl.DataFrame({"day": DATES.to_pydatetime().tolist()}), r"column 'day' has the type Datetime"),
    "dates of NumPy": (DATES.to_numpy()[:, np.newaxis], r"column 0 has the type datetime64"),
    "durations": (pd.DataFrame({"wait": DATES - DATES[0]}), r"column 'wait' has the type timedelta"),
    "intervals": (
        pd.DataFrame({"bin": pd.arrays.IntervalArray.from_breaks([0, 1, 2])}),
        r"'bin' has the type interval",
    ),
    "complex": (pd.DataFrame({"z": [1j, 2j]}), r"column 'z' has the type complex128"),
    "lists": (pl.DataFrame({"many": [[1], [2]]}), r"column 'many' has the type List"),
    "objects": (
        pd.DataFrame({"date": pd.Series([DATES[0].date()] * 2, dtype=object)}),
        r"datetime.date.*with str\(\.\.\.\)",
    ),
    "unhashable": (
        np.array([[{}], [[]]], dtype=object),
        r"expected categories that are text or numbers, got {}, a dict",
    ),
    "arrays": (pd.DataFrame({"a": [np.ones(2), np.ones(2)]}), r"text or numbers, got array\(\[1., 1.\]\), a ndarray"),
    "bytes": (np.array([[b"x"], [b"y"]]), r"got b'x', a bytes"),
    "one dimension": (np.arange(3.0), r"expected rows and columns, \(rows, columns\), got shape \(3,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_other_columns_are_refused_with_a_remedy(name):
    X, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        TableEncoding.fit(X)


def test_text_among_numbers_is_refused_even_if_it_looks_like_a_number():
    encoding = TableEncoding.fit(SKEWED)
    for bad in ("tall", "1.5"):
        rows = SKEWED[:2].astype(object)
        rows[1, 2] = bad
        with pytest.raises(ValueError, match=rf"column 2 had numbers in fit.*got '{bad}'.*float\(\.\.\.\)"):
            encoding(rows)
    with pytest.raises(ValueError, match="expected 3 columns, got 2"):
        encoding(SKEWED[:, :2])


def test_whole_numbers_beyond_every_float_are_infinite():
    encoding = TableEncoding.fit(np.array([[1], [2], [3], [10**400], [-(10**400)]], dtype=object))
    assert encoding.levels == (None,)
    np.testing.assert_array_equal(encoding(np.array([[10**400]], dtype=object)), encoding(np.array([[np.inf]])))


def test_a_category_may_be_infinite():
    encoding = TableEncoding.fit(np.array([[1.0], [np.inf], [2.0], [-np.inf]]), categorical=[0])
    assert encoding.levels == ((1.0, 2.0, None),)


def test_read_only_columns_and_no_rows():
    frozen = SKEWED.copy()
    frozen.setflags(write=False)
    encoding = TableEncoding.fit(frozen)
    np.testing.assert_array_equal(encoding(frozen), encoding(SKEWED))
    assert encoding(SKEWED[:0]).shape == (0, 3)
