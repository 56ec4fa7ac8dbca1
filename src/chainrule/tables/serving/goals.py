"""The wanted prediction of a counterfactual, and predictions in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.names import did_you_mean
from chainrule._internal.typing import Array
from chainrule.pages.formatting import short
from chainrule.tables.serving.explained import Output, output
from chainrule.tables.serving.model import TableModel


class Goal(NamedTuple):
    """A wanted prediction in words, whether results of :meth:`TableModel.outputs` are it, and how near they are."""

    about: str
    reached: Callable[[Array, Array | None], Array]
    nearness: Callable[[Array, Array | None], Array]


def goal(model: TableModel, wanted: Any, label: Any, y: Array, p: Array | None) -> Goal:
    """Return the wanted prediction, given the results for the row."""
    schema = model.schema
    if p is None:
        return _of_number(output(model, label, y, p), wanted, y)
    if schema.task == "multilabel":
        if wanted is not None:
            raise ValueError("wanted: there are several labels: give the one to change as the label.")
        index = output(model, label, y, p).at or 0
        now, column = int(y[0, index]), schema.targets[index]
        return Goal(
            f"{column.name} = {column.categories[1 - now]}",
            lambda y, _: y[:, index] != now,
            lambda _, p: (1 - 2 * now) * _known(p)[:, index],
        )
    names = [str(name) for name in schema.classes]
    if wanted is None and len(names) == 2:
        wanted = names[1 - names.index(str(y[0]))]
    if wanted is not None and str(wanted) not in names:
        raise ValueError(f"wanted: {wanted!r} is not a class of {schema.target!r}. {did_you_mean(str(wanted), names)}")
    chosen = names.index(str(y[0] if wanted is None else wanted))
    sign, value = (1, schema.classes[chosen]) if wanted is not None else (-1, y[0])
    return Goal(
        f"{schema.target} {'=' if sign > 0 else '≠'} {value}",
        lambda y, _: (y == value) if sign > 0 else (y != value),
        lambda _, p: sign * (_known(p)[:, chosen] - np.delete(_known(p), chosen, axis=1).max(axis=1)),
    )


def _of_number(of: Output, wanted: Any, given: Array) -> Goal:
    target, now = of.about, float(of.of(given, None)[0])
    if wanted is None:
        raise ValueError(f'wanted: {target!r} is a number: give the wanted one, as in 100, "above 100" or "below 100".')
    side, _, number = str(wanted).replace(":", " ").strip().rpartition(" ")
    try:
        end = float(number)
    except ValueError:
        end = np.nan
    if side not in ("", "above", "below") or not np.isfinite(end):
        raise ValueError(f'wanted: expected a number, "above 100" or "below 100", got {wanted!r}.')
    more = side == "above" or (not side and now < end)
    words = {"above": "above", "below": "below"}.get(side, "at least" if more else "at most")
    compare = {"above": np.greater, "below": np.less}.get(side, np.greater_equal if more else np.less_equal)
    return Goal(
        f"{target} {words} {short(end)}",
        lambda y, _: compare(of.of(y, None), end),
        lambda y, _: of.of(y, None) if more else -of.of(y, None),
    )


def _known(p: Array | None) -> Array:
    return np.asarray(p)


def predicted(model: TableModel, label: Any, now: Array, y: Array, p: Array | None) -> tuple[Any, float | None]:
    """Return the prediction for one row, and its probability."""
    if p is None:
        return float(output(model, label, now, p).of(y, p)[0]), None
    if model.schema.task == "multilabel":
        index = output(model, label, now, p).at or 0
        return model.schema.targets[index].categories[int(y[0, index])], float(
            p[0, index] if y[0, index] else 1 - p[0, index]
        )
    index = [str(name) for name in model.schema.classes].index(str(y[0]))
    return model.schema.classes[index], float(p[0, index])


def said(model: TableModel, label: Any, y: Array, p: Array | None) -> str:
    """Return the prediction for one row in words."""
    value, _ = predicted(model, label, y, y, p)
    target = model.schema.target
    if not model.schema.is_classification:
        target = model.schema.targets[output(model, label, y, p).at or 0].name
    return f"{target} = {short(value) if p is None else value}"
