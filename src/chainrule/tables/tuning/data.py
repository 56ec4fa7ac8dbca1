"""The rows that tuning sees: those that ``train`` trains and validates on, by its own options, and none that it holds out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True)
class Data:
    """The rows to train on: as they were read, as the pipeline takes them, and what is known of them."""

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
    shown: dict[str, Any]


def load(source: Any, target: Any, seed: int, options: dict[str, Any]) -> Data:
    table = read(source)
    names = targets.split_names(target, table.frame.columns)
    frame = table.frame.drop_nulls(names)
    found = targets.find(frame, names, options.get("task"))
    columns = tuple(infer(frame[name]) for name in frame.columns if name not in names)
    plan = Plan(0.2, 0.1, seed, stratify=found.task in ("binary", "multiclass"))
    train, validation, _, _ = splitting.split(plan, frame, found.y)
    rows = np.sort(np.concatenate([train, validation]))
    frame = frame[rows]
    return Data(
        frame,
        casting.cast(frame, columns),
        found.y[rows],
        columns,
        found.task,
        ", ".join(names),
        plan,
        dict(options.get("parameters") or {}),
        8,
        table.sha256,
        {},
    )


def fit(source: Any, target: Any, seed: int, options: dict[str, Any], arguments: dict[str, Any]) -> Trained:
    from chainrule.tables.training import train

    given = {**(options.get("parameters") or {}), **arguments}
    return train(source, target=target, seed=seed, **{**options, "parameters": given})
