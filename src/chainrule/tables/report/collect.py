"""The data of a report, collected from a trained table."""

from __future__ import annotations

import datetime as dt
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.metrics import direction
from chainrule.pages.formatting import MISSING, apart, clean, percent, short
from chainrule.tables import row_inputs, targets
from chainrule.tables._polars import pl
from chainrule.tables.report import groups, importance
from chainrule.tables.report.data import ColumnSummary, Importance, ReportData, Score, WrongRow
from chainrule.tables.report.limits import MIDNIGHT, limits
from chainrule.tables.report.uncertainty import as_numbers, row_losses
from chainrule.tables.result import HeldOut, Trained, scale_of
from chainrule.tables.schema import Column, Schema
from chainrule.tables.score_names import METRICS, plain

BINS, COMMONEST = 12, 6  # bars of the distribution of numbers and dates, and of other values
SUMMARIZED = 60  # columns
WRONG, BESIDE = 10, 6  # the worst predictions: rows, and columns
PACKAGES = ("chainrule", "numpy", "scikit-learn", "skrub", "polars")


def collect(trained: Trained, *, seconds: float = 10.0) -> ReportData:
    """Return the data of the report of a trained table.

    Parameters
    ----------
    trained : Trained
    seconds : float
        Time limit for the importance of columns; 0 omits it.
    """
    schema, held = trained.schema, trained.held_out
    y, predicted = (as_numbers(schema, v) for v in (held.y, held.predictions))
    p = None if held.probabilities is None else np.asarray(held.probabilities, dtype=float)
    start = time.perf_counter()
    found = None
    if seconds and held.inputs is not None and len(y) > 1:
        first = trained if held.pipeline is None else replace(trained, pipeline=held.pipeline)
        network = first.pipeline[-1]
        predict = network.predict if schema.task == "regression" else network.predict_proba
        inputs: dict[str, list[int]] = {column.name: [] for column in schema.used}
        for i, (name, _) in enumerate(row_inputs.names(first)):
            inputs[name].append(i)
        seed = int(trained.settings.get("seed") or 0)
        found = importance.measure(
            predict, held.inputs, y[: len(held.inputs)], schema.task, inputs, seed=seed, seconds=seconds
        )
    explained = time.perf_counter() - start
    names = tuple(c.name for c in schema.targets) if schema.task == "multilabel" else tuple(map(str, schema.classes))
    units = targets.units(schema)
    goals = tuple(f"{c.name} ({units[c.name]})" if c.name in units else c.name for c in schema.targets)
    split, metric = trained.split, trained.settings.get("parameters", {}).get("eval_metric", "")
    by = trained.settings.get("by") or () if len(y) else ()
    return ReportData(
        task=schema.task,
        target=", ".join(goals),
        target_names=goals,
        truth=y,
        predicted=predicted,
        probabilities=p,
        classes=names,
        source=trained.source,
        rows=schema.rows,
        columns=tuple(_summaries(schema.columns, held.frame)),
        targets=tuple(_summaries(schema.targets, held.frame)),
        parts=tuple(
            (name, rows)
            for name, rows in (("training", split.train), ("validation", split.validation), ("test", split.test))
            if rows or name != "validation"
        ),
        split=split.how,
        notes=tuple(trained.notes),
        warnings=tuple(trained.warnings),
        history=trained.history.to_dict(),
        stopped=trained.history.stopped,
        judged="validation" if split.validation else "out of fold",
        score=METRICS.get({"log_loss": "accuracy"}.get(metric, metric), ""),
        scores=tuple(_scores(trained)),
        verdict=trained.verdict,
        importance=found,
        groups=groups.scored(schema, held, {name: groups.groups(schema, held.frame, name) for name in by}),
        limits=limits(trained),
        wrong=tuple(worst_rows(schema, held, y, predicted, p, names, found)),
        wrong_in=held.source if held.rows is not None else "",
        command=trained.command,
        facts=tuple(_facts(trained, explained if found else None)),
    )


def _scores(trained: Trained) -> list[Score]:
    found = []
    for name, value in trained.scores.items():
        beside = {model: float(scores[name]) for model, scores in trained.baselines.items() if name in scores}
        low, high = trained.intervals.get(name, (math.nan, math.nan))
        found.append(Score(name, float(value), low, high, beside, direction(plain(name)) == "min"))
    return found


def _summaries(columns: Sequence[Column], frame: pl.DataFrame) -> list[ColumnSummary]:
    return [
        _summary(column, frame[column.name] if i < SUMMARIZED and column.name in frame.columns else None)
        for i, column in enumerate(columns)
    ]


def _summary(column: Column, values: Any) -> ColumnSummary:
    spread = ""
    shares: tuple[float, ...] = ()
    if column.kind in ("number", "date"):
        low, high = (end.removesuffix(MIDNIGHT) if isinstance(end, str) else end for end in (column.low, column.high))
        spread = f"{short(low)} to {short(high)}" if low is not None else ""
        shares = _histogram(values, column.kind)
    elif (
        values is not None
        and not values.dtype.is_nested()
        and column.kind in ("yes/no", "category", "many", "constant")
    ):
        spread, shares = _commonest(values)
    return ColumnSummary(column.name, column.kind, column.missing, column.distinct, spread, shares, column.dropped)


def _histogram(values: Any, kind: str) -> tuple[float, ...]:
    """Return the shares of rows in bins of equal width, outliers in the outer bins."""
    if values is None:
        return ()
    if not values.dtype.is_numeric():
        values = values.to_physical() if values.dtype.is_temporal() and kind == "date" else pl.Series([], dtype=pl.Int8)
    numbers = values.drop_nulls().cast(pl.Float64).to_numpy()
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return ()
    low, high = np.quantile(numbers, [0.01, 0.99]) if len(numbers) > 100 else (numbers.min(), numbers.max())
    if not low < high or not np.isfinite(high - low):
        return ()
    counts, _ = np.histogram(np.clip(numbers, low, high), np.linspace(low, high, BINS + 1))
    return tuple((counts / len(numbers)).tolist())


def _commonest(values: Any) -> tuple[str, tuple[float, ...]]:
    values = values.drop_nulls().cast(pl.String, strict=False).drop_nulls().alias("value")
    if not len(values):
        return "", ()
    counted = values.value_counts(sort=True).sort(["count", "value"], descending=[True, False])
    names, counts = counted["value"].to_list(), counted["count"].to_list()
    shares = [count / len(values) for count in counts]
    words = [f"{clean(name, 20)} {percent(share)}" for name, share in zip(names[:3], shares, strict=False)]
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(words) + more, tuple(shares[:COMMONEST]) if len(shares) > 1 else ()


def worst_rows(
    schema: Schema, held: HeldOut, y: Array, predicted: Array, p: Array | None, names: Sequence[str],
    found: Importance | None = None,
) -> list[WrongRow]:  # fmt: skip
    """Return the rows with the largest errors, with their values in the most important columns."""
    if schema.task == "regression" or p is None:
        error = (predicted - y).astype(float)
        size = np.abs(error) if y.ndim == 1 else np.sqrt(np.square(error / scale_of(y)).mean(axis=1))
    else:
        size = row_losses(schema.task, y, p)
    known = np.flatnonzero(np.isfinite(size) & ((predicted != y).any(axis=1) if y.ndim == 2 else predicted != y))
    worst = known[np.argsort(-size[known], kind="stable")[:WRONG]]
    beside = [c.name for c in schema.used]
    if found is not None:
        tried = [i.name for i in found.columns]
        beside = [*tried, *(name for name in beside if name not in tried)]
    beside = [name for name in beside if name in held.frame.columns][:BESIDE]
    names = apart(names, 24)
    wrong = []
    for i in worst.tolist():
        if schema.task == "regression" and y.ndim == 2:
            truth, said = ("; ".join(map(short, v[i].tolist())) for v in (y, predicted))
            how = short(size[i], 3)
        elif schema.task == "regression":
            truth, said, how = short(y[i]), short(predicted[i]), short(predicted[i] - y[i])
            how = f"+{how}" if predicted[i] > y[i] else how
        elif schema.task == "multilabel":
            truth, said = (_labels(v[i], names) for v in (y, predicted))
            how = short(size[i], 3)
        else:
            truth, said = names[y[i]], names[predicted[i]]
            how = "" if p is None else percent(p[i, y[i]])
        row = held.frame.row(i, named=True) if beside else {}
        number = i + 1 if held.rows is None else int(held.rows[i])
        wrong.append(WrongRow(number, truth, said, how, tuple((name, _value(row[name])) for name in beside)))
    return wrong


def _labels(flags: Array, names: Sequence[str]) -> str:
    return clean(", ".join(str(name) for name, flag in zip(names, flags, strict=True) if flag) or "none")


def _value(value: Any) -> str:
    if value is None:
        return MISSING
    return short(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else clean(value, 32)


def _facts(trained: Trained, explained: float | None) -> list[tuple[str, str]]:
    given = {name: value for name, value in trained.settings.items() if value not in (None, [], "")}
    seed, parameters, epochs = given.pop("seed", ""), given.pop("parameters", {}), len(trained.history)
    facts = {
        "data": trained.source,
        "data SHA-256": trained.sha256,
        "seed": str(seed),
        "network": ", ".join(f"{name}={_option(value)}" for name, value in parameters.items()),
        "settings": ", ".join(f"{name}={_option(value)}" for name, value in given.items()),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "engine": trained.history.engine,
        "machine": f"{platform.system()} {platform.machine()}",
        "created": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "training time": _seconds(trained.seconds) if trained.seconds else "",
        "column importance time": "" if explained is None else _seconds(explained),
        "epochs": f"{epochs:,}" if epochs else "",
    }
    return [(what, value) for what, value in facts.items() if value]


def _option(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else repr(value)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a run depends on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from its source
            found[name] = "unknown"
    return found


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
