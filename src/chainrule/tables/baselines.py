"""Baselines: models without a network, fitted to all rows that are not held out.

Each model gets the columns in the form that suits it best: the linear model gets standardized numbers and one input per
category, the gradient-boosted trees get raw numbers and ordinal categories.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.preparation import dated, joined, many_valued, text, zero
from chainrule.tables.schema import Column, Schema
from chainrule.tables.splitting import drawn
from chainrule.tables.task import encoded

LINEAR, TREES = "linear model", "boosted trees"

MAX_ROWS = 200_000  # to fit a model to
CELLS = 20_000_000  # rows times inputs times outputs of each model
INPUTS = 2000  # the most frequent values of all high-cardinality columns together, with one input each
WIDE = 200  # inputs of the trees: of more, the best ones by a univariate test
TREE_WORK = 100_000  # inputs times outputs times rounds of boosting
ROUNDS, MIN_ROUNDS = 100, 10
LOGISTIC_WORK = 10**9  # rows times inputs times outputs times rounds of the logistic regression
SQUARES = 4 * 10**9  # rows times squared inputs; above, the penalty is chosen on fewer rows
PENALTIES = 10.0 ** np.arange(-6, 7)
CATEGORIES = 250  # that the trees distinguish; rarer ones share a number
MIN_ROWS = 2000  # to fit a model to, however wide


class Baseline(NamedTuple):
    """The predictions of a baseline for the held-out rows, and the number of rows that it was fitted to."""

    name: str
    predictions: Array
    probabilities: Array | None
    rows: int = 0


def fit(
    schema: Schema, frame: pl.DataFrame, y: Array, test: pl.DataFrame, seed: int, weight: Array | None = None
) -> list[Baseline]:
    """Fit the majority class or the mean, a linear model and gradient-boosted trees.

    The linear model is ordinary least squares, or ridge regression if its leave-one-out errors are smaller; for
    classes, it is logistic regression. Source of the leave-one-out errors: Golub, Heath and Wahba, "Generalized
    cross-validation as a method for choosing a good ridge parameter" (1979).

    Parameters
    ----------
    schema : Schema
    frame, y : polars.DataFrame (rows, columns), array (rows,) or (rows, targets)
        All rows that are not held out, as read, and their targets.
    test : polars.DataFrame
        The held-out rows.
    seed : int
    weight : array (rows,), optional
        The weights of the rows in training.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"a": np.arange(40.0) ** 2, "b": np.arange(40.0)})
    >>> schema = Schema((Column("a", "number"), Column("b", "number")), (Column("total", "number"),), "regression")
    >>> mean, linear, trees = fit(schema, frame, (frame["a"] + frame["b"]).to_numpy(), frame, seed=0)
    >>> linear.name, bool(abs(linear.predictions - frame["a"] - frame["b"]).max() < 1e-9)
    ('linear model', True)
    """
    outputs = max(len(schema.targets), len(schema.classes) if schema.task == "multiclass" else 1)
    rows, rows_test = _numbered(schema, cast(frame, schema.columns), cast(test, schema.columns))
    found = []
    for name, make in ((_simple(schema.task), None), (LINEAR, _linear), (TREES, _trees)):
        prepare, model, width = make(schema, rows, outputs, seed) if make else (None, _constant(schema.task), 1)
        kept = drawn(rows.height, most_rows(width * outputs), seed)
        some, y_some, w = (
            (rows, y, weight) if kept is None else (rows[kept], y[kept], None if weight is None else weight[kept])
        )
        X, X_test = np.zeros((len(y_some), 1)), np.zeros((rows_test.height, 1))
        with warnings.catch_warnings(), threadpool_limits(1, user_api="openmp"):  # two would wait for a busy core
            warnings.simplefilter("ignore")  # of too few iterations, and of constant columns
            if prepare is not None:
                X = np.asarray(prepare.fit_transform(some, encoded(y_some)), dtype=np.float64)
                X_test = np.asarray(prepare.transform(rows_test), dtype=np.float64)
            model.fit(X, y_some, sample_weight=w)
            p: Any = None if schema.task == "regression" else model.predict_proba(X_test)
            if schema.task == "multilabel":
                p = np.column_stack([one[:, -1] if one.shape[1] > 1 else np.zeros(len(one)) for one in p])
            single = schema.task in ("binary", "multiclass")
            predictions = model.classes_[p.argmax(axis=1)] if single else model.predict(X_test)
            found.append(Baseline(name, predictions, p, len(y_some)))
    return found


def _numbered(schema: Schema, rows: pl.DataFrame, test: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both frames with numbers, in the same order, for categories: encoders are several times as fast."""
    for name in (column.name for column in schema.used if column.kind in ("category", "many")):
        values = pl.concat([rows[name], test[name]])
        numbers = values.cast(pl.Enum(values.unique().sort())).to_physical()
        rows, test = rows.with_columns(numbers.head(rows.height)), test.with_columns(numbers.tail(test.height))
    return rows, test


def most_rows(width: int) -> int:
    """Return the largest number of rows to fit a model with ``width`` inputs to."""
    return min(MAX_ROWS, max(MIN_ROWS, CELLS // max(width, 1)))


def _simple(task: str) -> str:
    return "mean" if task == "regression" else "majority class"


def _constant(task: str) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor  # noqa: PLC0415

    return DummyRegressor() if task == "regression" else _of_labels(task, DummyClassifier(strategy="prior"))


def _of_labels(task: str, classifier: Any) -> Any:
    """Return the classifier, or one for each of several labels."""
    from sklearn.multioutput import MultiOutputClassifier  # noqa: PLC0415

    return MultiOutputClassifier(classifier) if task == "multilabel" else classifier


def _linear(schema: Schema, rows: pl.DataFrame, outputs: int, seed: int) -> tuple[Any, Any, int]:
    """Return the preparation for the linear model, the model, and its approximate number of inputs."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    of, missing = _columns(schema.used, rows)
    most = max(2, INPUTS // max(1, len(of["many"])))
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=most, sparse_output=False)
    scaled = (StandardScaler(), zero())
    parts = [
        ("number", make_pipeline(_finite(), *scaled), [*of["number"], *of["yes/no"]]),
        ("missing", _indicator(), missing),
        ("category", one_hot, [*of["category"], *of["many"]]),
        ("date", make_pipeline(dated(), *scaled) if of["date"] else None, of["date"]),
        *((f"text-{i}", text(rows.height, seed), name) for i, name in enumerate(of["text"])),
    ]
    width = len(of["number"]) + len(of["yes/no"]) + len(missing) + 12 * len(of["date"]) + 32 * len(of["text"])
    width += sum(min(most, rows[name].n_unique()) for name in (*of["category"], *of["many"]))
    if schema.task == "regression":
        return joined(parts), _LeastSquares(seed), width
    rounds = max(20, min(300, LOGISTIC_WORK // (max(1, width * outputs) * min(rows.height, MAX_ROWS))))
    model = LogisticRegression(max_iter=rounds, random_state=seed)
    return joined(parts), _of_labels(schema.task, model), width


class _LeastSquares:
    """Ordinary least squares, or ridge regression with the penalty of the smallest leave-one-out error."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> None:
        from sklearn.linear_model import LinearRegression, Ridge, RidgeCV  # noqa: PLC0415

        self._center, spread = y.mean(axis=0), y.std(axis=0)
        self._scale = np.where(spread > 0, spread, 1.0)
        y, (n, p) = (y - self._center) / self._scale, X.shape
        kept = drawn(n, max(MIN_ROWS, SQUARES // p**2), self.seed)
        w = sample_weight
        some = (X, y, w) if kept is None else (X[kept], y[kept], None if w is None else w[kept])
        penalty = RidgeCV(PENALTIES).fit(*some).alpha_
        plain = penalty == PENALTIES[0] and n > p and n * p**2 <= 4 * SQUARES  # the smallest is best: use none
        self.model = (LinearRegression() if plain else Ridge(penalty)).fit(X, y, w)

    def predict(self, X: Array) -> Array:
        prediction: Array = self.model.predict(X) * self._scale + self._center
        return prediction


def _trees(schema: Schema, rows: pl.DataFrame, outputs: int, seed: int) -> tuple[Any, Any, int]:
    """Return the preparation for the gradient-boosted trees, the model, and its number of inputs."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor  # noqa: PLC0415
    from sklearn.feature_selection import SelectKBest, f_classif, f_regression  # noqa: PLC0415
    from sklearn.multioutput import MultiOutputRegressor  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OrdinalEncoder  # noqa: PLC0415

    of, _ = _columns(schema.used, rows)
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}
    parts = [
        ("category", OrdinalEncoder(max_categories=CATEGORIES, **unknown), of["category"]),
        ("number", _finite(), [*of["number"], *of["yes/no"]]),
        ("many", many_valued(seed), of["many"]),
        ("date", dated() if of["date"] else None, of["date"]),
        *((f"text-{i}", text(rows.height, seed), name) for i, name in enumerate(of["text"])),
    ]
    prepare = joined(parts)
    kinds = list(range(len(of["category"])))
    width = len(schema.used) - len(of["text"]) - len(of["date"]) + 7 * len(of["date"]) + 32 * len(of["text"])
    if width > WIDE:
        test = f_regression if schema.task == "regression" else f_classif
        best = SelectKBest(test, k=WIDE)
        prepare, kinds, width = make_pipeline(prepare, zero(), best), [], WIDE
    rounds = max(MIN_ROUNDS, min(ROUNDS, TREE_WORK // max(1, width * outputs)))
    options = {"max_iter": rounds, "categorical_features": kinds or None, "random_state": seed}
    if schema.task == "regression":
        trees = HistGradientBoostingRegressor(**options)
        return prepare, MultiOutputRegressor(trees) if outputs > 1 else trees, width
    return prepare, _of_labels(schema.task, HistGradientBoostingClassifier(**options)), width


def _columns(used: Sequence[Column], rows: pl.DataFrame) -> tuple[dict[str, list[str]], list[str]]:
    """Return the names of the columns of each kind, and those of numbers with missing values."""
    kinds = ("number", "date", "yes/no", "category", "many", "text")
    of = {kind: [c.name for c in used if c.kind == kind] for kind in kinds}
    numbers = [*of["number"], *of["yes/no"]]
    known = np.isfinite(rows.select(numbers).to_numpy()).all(axis=0) if numbers else ()
    return of, [name for name, whole in zip(numbers, known, strict=True) if not whole]


def _finite() -> Any:
    """Return a transformer that makes infinities missing, since their squares would overflow."""
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    return FunctionTransformer(_without_infinities)


def _without_infinities(rows: Any) -> Array:
    """Return numbers, with NaN for missing values and infinities."""
    X = np.asarray(rows, dtype=np.float64)
    return np.where(np.isfinite(X), X, np.nan)


def _indicator() -> Any:
    from sklearn.impute import MissingIndicator  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    return make_pipeline(_finite(), MissingIndicator(features="all"))
