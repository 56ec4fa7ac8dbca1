"""The rows that tuning sees: those that ``train``, with the same options, trains and validates on, and no others."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._extras import require
from chainrule._names import did_you_mean
from chainrule._typing import Array
from chainrule.tables import casting, splitting, targets
from chainrule.tables.kinds import infer
from chainrule.tables.reading import read
from chainrule.tables.result import Trained
from chainrule.tables.schema import Column
from chainrule.tables.splitting import Plan

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

TEST, VALIDATION, PATIENCE = 0.2, 0.1, 10


@dataclass(frozen=True)
class Data:
    """The rows to train on, as they were read and as the pipeline takes them, and what is known of them."""

    frame: pl.DataFrame
    inputs: pl.DataFrame
    y: Array
    columns: tuple[Column, ...]
    task: str
    target: str
    plan: Plan
    fixed: dict[str, Any]
    patience: int
    sha256: str


def load(
    source: Any,
    target: Any,
    seed: int,
    *,
    task: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    drop: Iterable[str] = (),
    dates: Iterable[str] = (),
    delimiter: str | None = None,
    header: bool | None = None,
    test: float = TEST,
    validation: float = VALIDATION,
    time_column: str | None = None,
    group: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    patience: int = PATIENCE,
) -> Data:
    """Read a table and leave out what is held out; the options are those of ``train``."""
    frame, sha256 = _frame(source, delimiter, header)
    names = targets.split_names(target, frame.columns)
    inputs = [name for name in frame.columns if name not in names]
    for name in (*drop, *(n for n in (time_column, group) if n is not None)):
        if name not in inputs:
            raise ValueError(f"there is no column {name!r} to learn from. {did_you_mean(name, inputs)}")
    frame = frame.drop_nulls(names)
    if not frame.height:
        raise ValueError(f"no row has a value of the target {', '.join(names)!r}: there is nothing to learn.")
    found = targets.find(frame, names, task)
    told = _told(inputs, categorical, numeric, dates)
    dropped = {*drop}
    columns = tuple(infer(frame[name], *told.get(name, ())) for name in inputs if name not in dropped)
    if not any(column.used for column in columns):
        raise ValueError("the table has no column to learn from besides the target.")
    stratify = found.task in ("binary", "multiclass")
    plan = Plan(test, validation, seed, time_column, group, stratify)
    train, valid, _, _ = splitting.split(plan, frame, found.y)
    rows = np.sort(np.concatenate([train, valid]))
    frame = frame[rows]
    prepared = casting.cast(frame, columns)
    fixed = dict(parameters or {})
    name = ", ".join(names)
    return Data(frame, prepared, found.y[rows], columns, found.task, name, plan, fixed, patience, sha256)


def fit(source: Any, target: Any, seed: int, options: Mapping[str, Any], arguments: Mapping[str, Any]) -> Trained:
    """Train on the table with such arguments of the estimator, as ``train`` does with ``parameters``."""
    from chainrule.tables.training import train  # noqa: PLC0415  (only at the end)

    given = {**(options.get("parameters") or {}), **arguments}
    trained: Trained = train(source, target=target, seed=seed, **{**options, "parameters": given})
    return trained


def _frame(source: Any, delimiter: str | None, header: bool | None) -> tuple[pl.DataFrame, str]:
    polars = require("polars", "tables")
    if not isinstance(source, polars.DataFrame) and hasattr(source, "columns"):
        source = polars.DataFrame(source)
    if isinstance(source, polars.DataFrame):
        file = io.BytesIO()
        source.write_ipc(file)
        return source, hashlib.sha256(file.getbuffer()).hexdigest()
    if source == "-":
        raise ValueError("tune reads the table more than once, and cannot do so from standard input: give a file.")
    table = read(source, delimiter=delimiter, header=header)
    return table.frame, table.sha256


def _told(
    names: list[str], categorical: Iterable[str], numeric: Iterable[str], dates: Iterable[str]
) -> dict[str, tuple[str, str | None]]:
    told: dict[str, tuple[str, str | None]] = dict.fromkeys(categorical, ("category", None))
    told |= dict.fromkeys(numeric, ("number", None))
    for entry in dates:
        name, _, form = (entry, "", "") if entry in names else entry.partition(":")
        told[name] = ("date", form or None)
    for name in told:
        if name not in names:
            raise ValueError(f"there is no column {name!r} to learn from. {did_you_mean(name, names)}")
    return told
