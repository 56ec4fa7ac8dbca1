"""The rows that tuning sees: those that ``train``, with the same options, trains and validates on, and no others."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import casting, loading
from chainrule.tables.models import PATIENCE
from chainrule.tables.result import Trained
from chainrule.tables.schema import Column
from chainrule.tables.splitting import Plan
from chainrule.tables.training import train

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any


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


def load(source: Any, target: Any, seed: int, **options: Any) -> Data:
    """Read a table and leave out what is held out; the options are those of ``train``."""
    parameters, patience = options.pop("parameters", None), options.pop("patience", PATIENCE)
    found = loading.load(source, target, seed=seed, **options)
    rows = np.sort(np.concatenate([found.train, found.validation]))
    frame, schema = found.frame[rows], found.schema
    inputs = casting.cast(frame, schema.columns)
    fixed = dict(parameters or {})
    return Data(
        frame,
        inputs,
        found.y[rows],
        schema.columns,
        schema.task,
        schema.target,
        found.plan,
        fixed,
        patience,
        found.sha256,
    )


def fit(source: Any, target: Any, seed: int, options: Mapping[str, Any], arguments: Mapping[str, Any]) -> Trained:
    """Train on the table with such arguments of the estimator, as ``train`` does with ``parameters``.

    Raises
    ------
    KeyboardInterrupt
        Where ``train`` would end early and keep what it has: what is half trained is not the best that was found.
    """
    given = {**(options.get("parameters") or {}), **arguments}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training interrupted by user")  # which is said below
        trained = train(source, target=target, seed=seed, **{**options, "parameters": given})
    if trained.history.stopped.startswith("interrupted"):
        raise KeyboardInterrupt
    return trained
