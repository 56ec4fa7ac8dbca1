"""Columns to inputs of a network, by scikit-learn's and skrub's transformers: one recipe for each kind of column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule._internal.extras import require
from chainrule.tables.schema import Column

RARE = 0.002  # of the rows: rarer values of a category share one input, and so do those never seen
TEXT_FEATURES = 2**12
TEXT_INPUTS = 32


def preparation(columns: Iterable[Column], rows: int, seed: int) -> Any:
    """Return a ColumnTransformer for the columns, not fitted.

    A number is centred on its median, divided by its interquartile range and clipped smoothly to ±3; so is each part of
    a date. A hole is 0, the median, with an input of its own that says so. A category has an input for each value; of
    many values, the target's mean among the rows of the value, estimated on other rows than those that it is used for.

    Source: "robust scale and smooth clip" and one-hot encoding as in Holzmüller, Grinsztajn and Steinwart, "Better by
    default: strong pre-tuned MLPs and boosted trees on tabular data" (2024); Micci-Barreca, "A preprocessing scheme for
    high-cardinality categorical attributes" (2001).

    >>> columns = [Column("age", "number", missing=3), Column("sex", "yes/no", categories=("f", "m"))]
    >>> [name for name, _, _ in preparation(columns, rows=100, seed=0).transformers]
    ['number', 'hole', 'yes-no']
    """
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415  (extra; as all imports here)
    from sklearn.impute import MissingIndicator, SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    used = [column for column in columns if column.used]
    of = {kind: [c.name for c in used if c.kind == kind] for kind in ("number", "date", "yes/no", "category", "many")}
    squash = require("skrub", "tables").SquashingScaler
    rarest = max(2, round(RARE * rows))
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=rarest, sparse_output=False)

    def median() -> Any:
        return SimpleImputer(strategy="constant", fill_value=0.0)  # SquashingScaler puts the median there

    parts = [
        ("number", make_pipeline(squash(), median()), of["number"]),
        # the scaler first: the indicator refuses infinities
        ("hole", make_pipeline(squash(), MissingIndicator(features="all")),
         [c.name for c in used if c.kind == "number" and c.missing]),
        ("yes-no", SimpleImputer(strategy="mean"), of["yes/no"]),
        ("category", one_hot, of["category"]),
        ("many", make_pipeline(many_valued(seed), squash()), of["many"]),
        ("date", make_pipeline(dated(), squash(), median()), of["date"]),
        *((f"text-{i}", text(rows, seed), c.name) for i, c in enumerate((c for c in used if c.kind == "text"), 1)),
    ]  # fmt: skip
    return ColumnTransformer([part for part in parts if part[2]])


def many_valued(seed: int) -> Any:
    """Return what puts the target's mean among the rows of a value in its place."""
    from sklearn.model_selection import KFold  # noqa: PLC0415
    from sklearn.preprocessing import TargetEncoder  # noqa: PLC0415

    return TargetEncoder(cv=KFold(5, shuffle=True, random_state=seed))


def dated() -> Any:
    """Return what takes dates apart: years, a circle for what repeats, and the seconds since 1970."""
    skrub = require("skrub", "tables")
    encoder = skrub.DatetimeEncoder(add_weekday=True, add_total_seconds=True, periodic_encoding="circular")
    return skrub.ApplyToCols(encoder)


def text(rows: int, seed: int) -> Any:
    """Return what makes of a text its words, weighted, in as few numbers as so many rows can bear."""
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfTransformer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(
        hashed_words(),
        TfidfTransformer(sublinear_tf=True),
        TruncatedSVD(max(2, min(TEXT_INPUTS, rows // 8)), random_state=seed),
        StandardScaler(),
    )


def hashed_words() -> Any:
    """Return what counts hashed words: counts, since their logarithm is taken."""
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415

    return HashingVectorizer(n_features=TEXT_FEATURES, norm=None, alternate_sign=False)
