"""A row to explain: the rows it is compared with, and the output of the model that is explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array
from chainrule.pages.formatting import MISSING, clean
from chainrule.tables.serving.given import columns
from chainrule.tables.serving.model import TableModel

__all__ = ["Output", "of_columns", "one_row", "output", "shown", "some_rows"]


class Output(NamedTuple):
    """One output of a model.

    ``at`` is its place among the probabilities, or None for a number; ``value`` is the class, or for several labels
    that value of the target whose probability it is; ``about`` names the output in words.
    """

    at: int | None
    value: Any
    about: str

    def of(self, y: Array, p: Array | None) -> Array:
        """Return the output for each row, from the results of :meth:`TableModel.outputs`."""
        return np.asarray(y if self.at is None or p is None else p[:, self.at], np.float64)


def one_row(rows: Any) -> dict[str, Any]:
    """Return the values of one row by column, as given: a dictionary, or a data frame or list with one row."""
    found, count = columns(rows)
    if count != 1:
        raise ValueError(f"row: expected one row, got {count:,}.")
    return {name: values[0] for name, values in _at(found, [0]).items()}


def some_rows(rows: Any, most: int, seed: int) -> dict[str, list[Any]]:
    """Return the values of up to ``most`` rows by column, as given: those drawn with the seed, in their order."""
    most, seed = check_count("background", "rows", most), check_count("background", "seed", seed, 0)
    found, count = columns(rows)
    if not count:
        raise ValueError("background: expected at least one row.")
    order = np.random.default_rng(seed).permutation(count)[:most]
    return _at(found, np.sort(order).tolist())


def _at(found: dict[str, Any], places: Sequence[int]) -> dict[str, list[Any]]:
    taken = {}
    for name, values in found.items():
        by_place = getattr(values, "iloc", values)  # of pandas
        some = [by_place[i] for i in places]
        taken[name] = [value.as_py() if hasattr(value, "as_py") else value for value in some]  # of Arrow
    return taken


def output(model: TableModel, label: Any, y: Array, p: Array | None) -> Output:
    """Return the output to explain: of a class, by default the positive of two, else the predicted one; or of a label.

    ``y`` and ``p`` are the results of :meth:`TableModel.outputs` for the row. By default, the first label is explained
    that is predicted, or the first of all.
    """
    schema = model.schema
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

    >>> shown(None, 9), shown(41, 9), shown("a long text", 9)
    ('(missing)', '41', 'a lo…text')
    """
    return MISSING if value is None or value != value else clean(value, longest)  # noqa: PLR0124  (NaN)
