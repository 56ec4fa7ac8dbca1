"""Columns to inputs of a network, by scikit-learn's and skrub's transformers: one recipe for each kind of column."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chainrule._internal.extras import require
from chainrule.tables.schema import Column

RARE = 0.002  # of the rows: rarer values of a category share one input, and so do those never seen
TEXT_FEATURES = 2**12
TEXT_INPUTS = 32
HOLES_CODE = "SimpleImputer(strategy='constant', fill_value=0.0)"
DATE_CODE = (
    "ApplyToCols(DatetimeEncoder(add_weekday=True, add_total_seconds=True, periodic_encoding='circular'))",
    "SquashingScaler()",
    HOLES_CODE,
)


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
    compose = require("sklearn.compose", "tables")
    parts = [(name, make(), names) for name, make, _, names in _parts(columns, rows, seed)]
    return compose.ColumnTransformer(parts)


def code(columns: Iterable[Column], rows: int, seed: int) -> list[tuple[str, tuple[str, ...], Any]]:
    """Return the parts of the same ColumnTransformer: their names, their steps as Python, and the columns."""
    return [(name, steps, names) for name, _, steps, names in _parts(columns, rows, seed)]


def _parts(
    columns: Iterable[Column], rows: int, seed: int
) -> list[tuple[str, Callable[[], Any], tuple[str, ...], Any]]:
    used = [column for column in columns if column.used]
    of = {kind: [c.name for c in used if c.kind == kind] for kind in ("number", "date", "yes/no", "category", "many")}
    holes = [c.name for c in used if c.kind == "number" and c.missing]
    rarest = max(2, round(RARE * rows))
    parts: list[tuple[str, Callable[[], Any], tuple[str, ...], Any]] = [
        ("number", _number, ("SquashingScaler()", HOLES_CODE), of["number"]),
        ("hole", _hole, ("SquashingScaler()", "MissingIndicator(features='all')"), holes),
        ("yes-no", _yes_no, ("SimpleImputer(strategy='mean')",), of["yes/no"]),
        ("category", lambda: _category(rarest),
         (f"OneHotEncoder(handle_unknown='infrequent_if_exist', min_frequency={rarest}, sparse_output=False)",),
         of["category"]),
        ("many", lambda: _many(seed),
         (f"TargetEncoder(cv=KFold(5, shuffle=True, random_state={seed}))", "SquashingScaler()"), of["many"]),
        ("date", _date, DATE_CODE, of["date"]),
    ]  # fmt: skip
    size = _text_inputs(rows)
    text_code = (
        f"HashingVectorizer(n_features={TEXT_FEATURES}, norm=None, alternate_sign=False)",
        "TfidfTransformer(sublinear_tf=True)",
        f"TruncatedSVD({size}, random_state={seed})",
        "StandardScaler()",
    )
    texts = [c.name for c in used if c.kind == "text"]
    parts += [(f"text-{i}", lambda: text(rows, seed), text_code, name) for i, name in enumerate(texts, 1)]
    return [part for part in parts if part[3]]


def _squash(*more: Any) -> Any:
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    return make_pipeline(require("skrub", "tables").SquashingScaler(), *more)


def _median() -> Any:
    from sklearn.impute import SimpleImputer  # noqa: PLC0415

    return SimpleImputer(strategy="constant", fill_value=0.0)  # SquashingScaler puts the median there


def _number() -> Any:
    return _squash(_median())


def _hole() -> Any:
    from sklearn.impute import MissingIndicator  # noqa: PLC0415

    return _squash(MissingIndicator(features="all"))  # the scaler first: the indicator refuses infinities


def _yes_no() -> Any:
    from sklearn.impute import SimpleImputer  # noqa: PLC0415

    return SimpleImputer(strategy="mean")


def _category(rarest: int) -> Any:
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    return OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=rarest, sparse_output=False)


def many_valued(seed: int) -> Any:
    """Return what puts the target's mean among the rows of a value in its place."""
    from sklearn.model_selection import KFold  # noqa: PLC0415
    from sklearn.preprocessing import TargetEncoder  # noqa: PLC0415

    return TargetEncoder(cv=KFold(5, shuffle=True, random_state=seed))


def _many(seed: int) -> Any:
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    return make_pipeline(many_valued(seed), require("skrub", "tables").SquashingScaler())


def dated() -> Any:
    """Return what takes dates apart: years, a circle for what repeats, and the seconds since 1970."""
    skrub = require("skrub", "tables")
    encoder = skrub.DatetimeEncoder(add_weekday=True, add_total_seconds=True, periodic_encoding="circular")
    return skrub.ApplyToCols(encoder)


def _date() -> Any:
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    return make_pipeline(dated(), require("skrub", "tables").SquashingScaler(), _median())


def text(rows: int, seed: int) -> Any:
    """Return what makes of a text its words, weighted, in as few numbers as so many rows can bear."""
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfTransformer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(
        hashed_words(),
        TfidfTransformer(sublinear_tf=True),
        TruncatedSVD(_text_inputs(rows), random_state=seed),
        StandardScaler(),
    )


def _text_inputs(rows: int) -> int:
    return max(2, min(TEXT_INPUTS, rows // 8))


def hashed_words() -> Any:
    """Return what counts hashed words: counts, since their logarithm is taken."""
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415

    return HashingVectorizer(n_features=TEXT_FEATURES, norm=None, alternate_sign=False)
