"""The distributions of a table's columns in training, and of the predictions, to compare new rows with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.files.values import ModelFileError, check_fields, check_texts, shown
from chainrule.tables.formats import HOLE
from chainrule.tables.schema import Column, Schema

LEVELS = 21  # quantiles: 0%, 5%, ..., 100%
MOST = 20  # values of a column that are counted one by one


class Distribution(NamedTuple):
    """The distribution of a column, as counts in bins.

    Parameters
    ----------
    quantiles : tuple of float
        Of numbers: the smallest, the 5%, 10%, ... quantiles and the largest, each a value of the column. Every second
        one separates two bins. Empty for texts.
    values : tuple of str
        Of texts: the most frequent values, a bin each. All others share one.
    counts : tuple of int
        The rows in each bin; the last number counts the missing values.

    Examples
    --------
    >>> ages = Distribution.of(np.array([20.0, 30.0, 40.0, np.nan]))
    >>> ages.edges.tolist(), ages.counts
    ([30.0, 40.0], (1, 1, 1, 1))
    >>> Distribution.of(np.array(["pro", "free", "pro"], dtype=object))
    Distribution(quantiles=(), values=('pro', 'free'), counts=(2, 1, 0, 0))
    """

    quantiles: tuple[float, ...]
    values: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, x: Array) -> Distribution:
        """Return the distribution of numbers, with NaN for missing, or of texts as objects."""
        quantiles: tuple[float, ...] = ()
        values: tuple[str, ...] = ()
        if x.dtype.kind == "f":
            finite = x[np.isfinite(x)]
            levels = np.linspace(0, 1, LEVELS)
            if len(finite):
                quantiles = tuple(np.quantile(finite, levels, method="nearest").tolist())
        else:
            often = sorted(Counter(x[x != HOLE].tolist()).items(), key=lambda item: (-item[1], item[0]))
            values = tuple(value for value, _ in often[:MOST])
        empty = cls(quantiles, values, ())
        return empty._replace(counts=tuple(empty.counted(x).tolist()))

    @property
    def edges(self) -> Array:
        """The numbers that separate the bins of numbers: the deciles above the smallest number, each once."""
        deciles = np.unique(self.quantiles[2:-1:2])
        return deciles[deciles > self.quantiles[0]] if self.quantiles else deciles

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(self.counts)

    @property
    def missing(self) -> float:
        """The share of missing values."""
        return self.counts[-1] / max(1, self.rows)

    def counted(self, x: Array) -> Array:
        """Return the number of rows in each bin, the missing ones last."""
        if x.dtype.kind == "f":
            known = x[~np.isnan(x)]
            edges = self.edges
            places, bins = np.searchsorted(edges, known, side="right"), len(edges) + 1
        else:
            known = x[x != HOLE]
            at = {value: i for i, value in enumerate(self.values)}
            bins = len(at) + 1
            places = np.fromiter((at.get(value, bins - 1) for value in known.tolist()), np.intp, len(known))
        return np.append(np.bincount(places, minlength=bins), len(x) - len(known))

    def to_json(self) -> dict[str, Any]:
        """Return the distribution as JSON."""
        return {name: list(value) for name, value in self._asdict().items()}

    @classmethod
    def from_json(cls, what: str, data: Any) -> Distribution:
        """Return a distribution from what :meth:`to_json` wrote, after a check."""
        d = check_fields(what, data, {*cls._fields})
        values = check_texts(what, d["values"])
        quantiles, counts = d["quantiles"], d["counts"]
        good = isinstance(quantiles, list) and len(quantiles) in (0, LEVELS) and isinstance(counts, list)
        good = good and all(type(q) is float and math.isfinite(q) for q in quantiles) and quantiles == sorted(quantiles)
        good = good and all(type(count) is int and 0 <= count < 2**53 for count in counts)
        good = good and len({*values}) == len(values) <= MOST and not (values and quantiles)
        found = cls(tuple(quantiles), tuple(values), tuple(counts)) if good else cls((), (), ())
        bins = len(found.edges) + 1 if quantiles else len(values) + 1
        if not good or len(counts) != bins + 1:
            raise ModelFileError(f"{what} cannot be read: got {shown(data)}. The file is corrupt.")
        return found


class Reference(NamedTuple):
    """The distributions of the inputs in the training rows, and of the predictions for the held-out rows.

    ``columns`` has those of the columns by name; for texts, of their numbers of words.
    """

    columns: Mapping[str, Distribution]
    predictions: Mapping[str, Distribution]

    def to_json(self) -> dict[str, Any]:
        """Return the distributions as JSON."""
        return {part: {name: d.to_json() for name, d in of.items()} for part, of in self._asdict().items()}

    @classmethod
    def from_json(cls, data: Any, schema: Schema) -> Reference:
        """Return the distributions from what :meth:`to_json` wrote, after a check."""
        d = check_fields("the reference", data, {*cls._fields})
        if not all(isinstance(part, dict) for part in d.values()):
            raise ModelFileError(f"the reference cannot be read: got {shown(d)}.")
        numeric = {column.name: column.kind in ("number", "date", "text") for column in schema.used}
        found = cls(*({n: Distribution.from_json(f"the reference {n!r}", v) for n, v in d[p].items()} for p in d))
        fits = found.columns.keys() == numeric.keys()
        if not fits or any(numeric[name] and of.values for name, of in found.columns.items()):
            raise ModelFileError("the reference does not fit the columns of the table. The file is corrupt.")
        return found


def of_columns(columns: Mapping[str, Array], schema: Schema) -> dict[str, Array]:
    """Return columns as read, as a distribution takes them.

    Numbers and dates, in seconds, are floats; "yes" and "no", and categories, are texts; texts become their numbers of
    words.
    """
    return {column.name: _values(column, columns[column.name]) for column in schema.used}


def _values(column: Column, x: Array) -> Array:
    if column.kind == "yes/no":
        words = np.array([*column.categories, HOLE], dtype=object)
        return words[np.where(np.isnan(x), 2, x).astype(int)]
    if column.kind == "text":
        return np.array([len(text.split()) or np.nan for text in x.tolist()], dtype=np.float64)
    return x


def of_predictions(schema: Schema, y: Array, p: Array | None) -> dict[str, Array]:
    """Return predictions as distributions take them: numbers, or the classes with the probability of the likeliest."""
    if schema.task == "regression" and len(schema.targets) > 1:
        return {f"prediction of {c.name}": np.asarray(y[:, i], np.float64) for i, c in enumerate(schema.targets)}
    if schema.task == "regression":
        return {"prediction": np.asarray(y, np.float64)}
    p = np.asarray(p, np.float64)
    if schema.task == "multilabel":
        answers = np.array(["no", "yes"], dtype=object)[np.asarray(y, int)]
        labels = {f"predicted {column.name}": answers[:, i] for i, column in enumerate(schema.targets)}
        return {**labels, "confidence": np.maximum(p, 1 - p).mean(axis=1)}
    return {"predicted class": np.array([*map(str, np.asarray(y).tolist())], dtype=object), "confidence": p.max(axis=1)}
