"""Columns to inputs of a network, with transformers of scikit-learn and skrub for each type of column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule._internal.extras import require
from chainrule.tables.schema import Column

RARE = 0.002  # share of rows: rarer categories share one input, also with new ones
TEXT_FEATURES = 2**12
TEXT_INPUTS = 32


def preparation(columns: Iterable[Column], rows: int, seed: int, *, scaled: bool = True) -> Any:
    """Return an unfitted ColumnTransformer for the columns.

    A category has one input per value; a high-cardinality one has the target's mean for the value, estimated on other
    rows. Numbers, and the parts of dates, are centered on their median, divided by their interquartile range and
    clipped smoothly to ±3; a missing number is 0, the median, and has an additional input that indicates it. Without
    ``scaled``, this is left to the estimator: :class:`~chainrule.TabularClassifier` does the same.

    Source: "robust scale and smooth clip" and one-hot encoding as in Holzmüller, Grinsztajn and Steinwart, "Better by
    default: strong pre-tuned MLPs and boosted trees on tabular data" (2024); Micci-Barreca, "A preprocessing scheme for
    high-cardinality categorical attributes" (2001).

    >>> columns = [Column("age", "number", missing=3), Column("sex", "yes/no", categories=("f", "m"))]
    >>> [name for name, _, _ in preparation(columns, rows=100, seed=0).transformers]
    ['number', 'missing', 'yes-no']
    """
    from sklearn.impute import MissingIndicator, SimpleImputer  # noqa: PLC0415  (start-up time, as all imports here)
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    used = [column for column in columns if column.used]
    of = {kind: [c.name for c in used if c.kind == kind] for kind in ("number", "date", "yes/no", "category", "many")}
    rarest = max(2, round(RARE * rows))
    texts: list[tuple[str, Any, Any]] = [
        (f"text-{i}", text(rows, seed), c.name) for i, c in enumerate((c for c in used if c.kind == "text"), 1)
    ]
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=rarest, sparse_output=False)

    if not scaled:
        unscaled: list[tuple[str, Any, Any]] = [
            ("number", unchanged(), [*of["number"], *of["yes/no"]]),
            ("category", one_hot, of["category"]),
            ("many", many_valued(seed), of["many"]),
            ("date", dated() if of["date"] else None, of["date"]),
        ]
        return joined([*unscaled, *texts])
    squash = require("skrub", "tables").SquashingScaler
    parts = [
        ("number", make_pipeline(squash(), zero()), of["number"]),  # the median, after the scaler
        # the scaler first: the indicator refuses infinities
        ("missing", make_pipeline(squash(), MissingIndicator(features="all")),
         [c.name for c in used if c.kind == "number" and c.missing]),
        ("yes-no", SimpleImputer(strategy="mean"), of["yes/no"]),
        ("category", one_hot, of["category"]),
        ("many", make_pipeline(many_valued(seed), squash()), of["many"]),
        ("date", make_pipeline(dated(), squash(), zero()), of["date"]),
        *texts,
    ]  # fmt: skip
    return joined(parts)


def joined(parts: list[tuple[str, Any, Any]]) -> Any:
    """Return a ColumnTransformer of the parts that have columns."""
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415

    return ColumnTransformer([part for part in parts if part[2]])


def unchanged() -> Any:
    """Return a transformer that changes nothing: missing numbers and infinities stay."""
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    return FunctionTransformer(feature_names_out="one-to-one")


def zero() -> Any:
    """Return an imputer that replaces missing numbers by 0."""
    from sklearn.impute import SimpleImputer  # noqa: PLC0415

    return SimpleImputer(strategy="constant", fill_value=0.0)


def many_valued(seed: int) -> Any:
    """Return an encoder that replaces a value by the target's mean in its rows."""
    from sklearn.model_selection import KFold  # noqa: PLC0415
    from sklearn.preprocessing import TargetEncoder  # noqa: PLC0415

    return TargetEncoder(cv=KFold(5, shuffle=True, random_state=seed))


def dated() -> Any:
    """Return an encoder of dates: the year, points on circles for periodic parts, and the seconds since 1970.

    It is made only for tables with dates, because skrub takes a second to import.
    """
    skrub = require("skrub", "tables")
    encoder = skrub.DatetimeEncoder(add_weekday=True, add_total_seconds=True, periodic_encoding="circular")
    return skrub.ApplyToCols(encoder)


def text(rows: int, seed: int) -> Any:
    """Return an encoder of text: weighted words, reduced to a number of inputs that the rows can support."""
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
    """Return a counter of hashed words; the counts are positive, since their logarithm is taken."""
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415

    return HashingVectorizer(n_features=TEXT_FEATURES, norm=None, alternate_sign=False)
