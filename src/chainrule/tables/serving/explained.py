"""A row to explain: the rows it is compared with, and the output of the model that is explained."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array
from chainrule.pages.formatting import MISSING, clean, rows
from chainrule.tables.date_words import SEPARATOR
from chainrule.tables.schema import Column
from chainrule.tables.serving.cells import EPOCH
from chainrule.tables.serving.given import columns
from chainrule.tables.serving.model import TableModel
from chainrule.tables.serving.reference import Distribution

PLAIN = re.compile(r"(?:[^%]|%[dmYHMS])*")  # formats that Python writes as they are read


class Output(NamedTuple):
    """One output of a model.

    ``at`` is its place among the probabilities or among several numbers, or None for a single number; ``value`` is the
    class, or for several labels that value of the target whose probability it is; ``about`` names the output in words.
    """

    at: int | None
    value: Any
    about: str

    def of(self, y: Array, p: Array | None) -> Array:
        """Return the output for each row, from the results of :meth:`TableModel.outputs`."""
        return np.asarray(y if self.at is None else (y if p is None else p)[:, self.at], np.float64)


def one_row(given: Any) -> dict[str, Any]:
    """Return the values of one row by column, as given: a dictionary, or a data frame or list with one row."""
    found, count = columns(given)
    if count != 1:
        raise ValueError(f"row: expected one row, got {count:,}.")
    return {name: values[0] for name, values in _at(found, [0]).items()}


def some_rows(
    model: TableModel, row: Mapping[str, Any], given: Any, most: int, seed: int
) -> tuple[dict[str, list[Any]], str]:
    """Return the values of up to ``most`` rows by column, as given, with words for these rows.

    Those of ``given`` are drawn with the seed and kept in their order. Without them, as many rows are made up: each
    column by itself, from its distribution in training. Texts are missing there, or if training had none missing, that
    of the row.
    """
    most, seed = check_count("background", "rows", most), check_count("background", "seed", seed, 0)
    rng = np.random.default_rng(seed)
    if given is None:
        return _made_up(model, row, most, rng), f"{rows(most)}, each column drawn by itself from those of training"
    found, count = columns(given)
    if not count:
        raise ValueError("background: expected at least one row.")
    places = np.sort(rng.permutation(count)[:most]).tolist()
    return _at(found, places), f"{rows(len(places))} of the background"


def _made_up(model: TableModel, row: Mapping[str, Any], count: int, rng: np.random.Generator) -> dict[str, list[Any]]:
    if model.reference is None:
        raise ValueError("background: the model has no distributions of training: give some rows, or train it again.")
    made = {c.name: _drawn(c, model.reference.columns[c.name], count, rng) for c in model.schema.used}
    own = [c.name for c in model.schema.used if c.kind == "text" and not model.reference.columns[c.name].missing]
    return made | {name: [row.get(name)] * count for name in own}


def _drawn(column: Column, found: Distribution, count: int, rng: np.random.Generator) -> list[Any]:
    """Return values of a column in training: quantiles of numbers without the ends, or frequent values; no texts."""
    known: list[Any] = [*found.values]
    weights = np.array(found.counts[: len(known)], np.float64)
    if column.kind in ("number", "date"):
        known = [*found.quantiles[1:-1]]
        if column.kind == "date":
            known = [_written(EPOCH + dt.timedelta(seconds=seconds), column) for seconds in known]
        elif column.read_as == "whole":
            known = [int(number) for number in known]
        weights = np.ones(len(known))
    if column.kind == "text" or not weights.sum():
        return [None] * count
    places = rng.choice(len(known), count, p=weights / weights.sum())
    absent = rng.random(count) < found.missing
    return [None if no else known[i] for i, no in zip(places.tolist(), absent.tolist(), strict=True)]


def _written(at: dt.datetime, column: Column) -> Any:
    """Return a date as the column has it: a text in its format, or a value."""
    form = (column.date_format or "").partition(SEPARATOR)[0]
    if form and PLAIN.fullmatch(form):
        return at.strftime(form)
    return at.date() if at.time() == dt.time() else at


def _at(found: dict[str, Any], places: Sequence[int]) -> dict[str, list[Any]]:
    taken = {}
    for name, values in found.items():
        by_place = getattr(values, "iloc", values)  # of pandas
        some = [by_place[i] for i in places]
        taken[name] = [value.as_py() if hasattr(value, "as_py") else value for value in some]  # of Arrow
    return taken


def output(model: TableModel, label: Any, y: Array, p: Array | None) -> Output:
    """Return the output to explain: of a class, by default the positive of two, else the predicted one; or of a label.

    Of several numbers, by default the first. ``y`` and ``p`` are the results of :meth:`TableModel.outputs` for the
    row. By default, the first label is explained that is predicted, or the first of all.
    """
    schema = model.schema
    if p is None and y.ndim == 2:
        names = [column.name for column in schema.targets]
        if label is not None and str(label) not in names:
            raise ValueError(f"label: {label!r} is not a target. {did_you_mean(str(label), names)}")
        index = 0 if label is None else names.index(str(label))
        return Output(index, None, names[index])
    if p is None:
        if label is not None:
            raise ValueError(f"label: {schema.target!r} is a number, which has no classes: omit {label!r}.")
        return Output(None, None, schema.target)
    names = [str(name) for name in model.classes_.tolist()]
    if label is not None and str(label) not in names:
        what = "label" if schema.task == "multilabel" else f"class of {schema.target!r}"
        raise ValueError(f"label: {label!r} is not a {what}. {did_you_mean(str(label), names)}")
    if schema.task == "multilabel":
        index = names.index(str(label)) if label is not None else int(np.argmax(y[0]))
        value = schema.targets[index].categories[1]
        return Output(index, value, f"probability of {names[index]} = {value}")
    chosen = names[1] if label is None and len(names) == 2 else str(y[0] if label is None else label)
    index = names.index(chosen)
    return Output(index, schema.classes[index], f"probability of {schema.target} = {chosen}")


def of_columns(model: TableModel) -> Array:
    """Return the column of each prepared input, as its place among the used columns."""
    at = {column.name: i for i, column in enumerate(model.schema.used)}
    return np.array([at[name] for name in model.sources])


def shown(value: Any, longest: int) -> str:
    """Return a value as given, shortened.

    >>> shown(None, 9), shown(41, 9), shown("a long text", 9), shown(0.1 + 0.2, 9)
    ('(missing)', '41', 'a lo…text', '0.3')
    """
    if isinstance(value, float) and value == value:  # noqa: PLR0124  (NaN)
        return f"{value:.8g}"
    return MISSING if value is None or value != value else clean(value, longest)  # noqa: PLR0124  (NaN)
