"""train_stream(): what ``train`` does, for a table that does not fit into memory."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from chainrule._internal.checks import check_real, check_split_seed
from chainrule._internal.typing import Array
from chainrule.tables import leaks, models, overrides, positive, remarks, targets
from chainrule.tables.calls import call
from chainrule.tables.casting import cast
from chainrule.tables.judging import Judgement, judge
from chainrule.tables.loading import unbalanced
from chainrule.tables.preparation import preparation
from chainrule.tables.result import Split, Trained
from chainrule.tables.schema import Schema
from chainrule.tables.streaming import estimator, inference
from chainrule.tables.streaming.csv_source import widened
from chainrule.tables.streaming.digest import Digest
from chainrule.tables.streaming.fitting import fit
from chainrule.tables.streaming.memory import give_back_memory
from chainrule.tables.streaming.opening import open_source
from chainrule.tables.streaming.preparing import Preparation
from chainrule.tables.streaming.progress import Meter, State
from chainrule.tables.streaming.sides import ByGroup, ByRow, ByTime, Start
from chainrule.tables.streaming.source import Block, Source
from chainrule.tables.streaming.survey import Survey, has_target, sample_size, survey
from chainrule.tables.streaming.testing import rows_to_test
from chainrule.tables.task import Task, encoded, target_values

TEST, VALIDATION = 0.2, 0.1
ENOUGH_ROWS = 4_000_000  # rows to learn from, in all epochs together
MOST_EPOCHS = 40
MANY = 200_000  # rows from which on steps are larger, and nothing is dropped: no row is seen often
COMPARED = 500  # rows on which the fast preparation is compared with the transformers

__all__ = ["train_stream"]


def train_stream(
    path: str | os.PathLike[str],
    target: str | Sequence[str],
    *,
    task: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    drop: Iterable[str] = (),
    dates: Iterable[str] = (),
    test: float | str | os.PathLike[str] = TEST,
    validation: float = VALIDATION,
    time_column: str | None = None,
    group: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    patience: int = 10,
    seed: int = 0,
    chunk: int | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    show: Callable[[State], Any] | None = None,
    started: Callable[[Schema, Split, Sequence[str]], Any] | None = None,
) -> Trained:
    """Train on a table that is larger than memory, in two passes and more: statistics, then every epoch.

    The result depends on the rows and the seed, not on how the file is read: ``chunk`` and the row groups change not
    one bit of it. What is drawn (the held-out rows, the sample on which the preparation is fitted) is drawn by a hash
    of the number of the row.

    Parameters
    ----------
    path : path
        Parquet or CSV, plain or packed.
    target : str or sequence of str
    task : str, optional
        As for :func:`chainrule.tables.train`; and so are ``categorical``, ``numeric``, ``drop``, ``dates``,
        ``delimiter``, ``header`` and ``decimal``.
    test : float or path
        The part of the rows that is held out, or a file with rows of its own. Of a part of the rows at random no more
        are held out than are measured: a quarter of the sample.
    validation : float
        The part of the rows that decides when to stop; held out likewise.
    time_column : str, optional
        The last rows by this column are held out: first those of the validation, then those of the test. The value from
        which on is found from the sample.
    group : str, optional
        Rows of one group are never on both sides: the hash of the group's value decides.
    parameters : mapping, optional
        Arguments of the estimator in place of the defaults.
    epochs : int, optional
        By default as many as give four million rows to learn from, between 1 and 40.
    patience : int
        Rounds (tenths of an epoch where the table is long) without a better validation loss until it ends.
    seed : int
    chunk : int, optional
        Rows that are read at once.
    show : function of State, optional
        Told where it is; :class:`~chainrule.tables.streaming.Printer` prints it.
    started : function of (schema, split, notes), optional
        Told what was decided, before the network is trained.

    Returns
    -------
    Trained
        Like that of a table in memory. Ctrl-C in an epoch ends training, and what was learned stays.

    Raises
    ------
    ValueError
        A bad line names its number.
    ChangedFileError
        When the file changes between two passes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import polars as pl
    >>> x = np.random.default_rng(0).normal(size=(2000, 2))
    >>> path = pathlib.Path(tempfile.mkdtemp(), "points.parquet")
    >>> pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "inside": (x ** 2).sum(axis=1) < 1.4}).write_parquet(path)
    >>> trained = train_stream(path, "inside", epochs=10)
    >>> trained.scores["accuracy"] > 0.95
    True
    """
    command = call(train_stream, dict(locals()), left_out=("show", "started"))
    began = time.perf_counter()
    check_split_seed("train_stream", seed)
    check_real("train_stream", "validation", validation, 0, 1, open_low=True, open_high=True)
    part, own = (0.0, test) if isinstance(test, str | os.PathLike) else (test, None)
    check_real("train_stream", "test", part, 0, 1, open_high=True)
    wanted = [target, *target.split(",")] if isinstance(target, str) else [*target]
    source = open_source(path, chunk, delimiter=delimiter, header=header, decimal=decimal, targets=wanted)
    goals = targets.split_names(target, source.columns)
    names = [name for name in source.columns if name not in goals]
    told = overrides.told(names, list(categorical), list(numeric), list(dates))
    dropped = overrides.known("drop", list(drop), names)
    start = _sides(source, time_column, group, told, seed, part, validation)
    read = [name for name in names if name not in dropped or name in (time_column, group)]
    notes = list(getattr(source, "notes", ()))
    found, sha256 = _surveyed(source, goals, read, start, notes, show)
    schema = inference.schema(source, found, goals, names, task, told, dropped)
    how = found.sides.how
    if own is not None:
        size = sample_size(len(goals) + len(read)) // 4
        found.test = rows_to_test(own, goals, schema, size, seed, delimiter=delimiter, header=header)
        how = f"those of {own}"
    _same_classes(schema, found)
    y = target_values(found.sample, schema)
    goal = _task(schema, y, notes)
    prepare = preparation(schema.columns, found.sample.height, seed)
    X = prepare.fit_transform(cast(found.sample, schema.columns), encoded(y)).astype(np.float32)
    fast = Preparation(schema.columns, prepare, found.sample.head(COMPARED))
    give_back_memory()
    arguments = _arguments(found.train, schema.task, seed, parameters or {})
    network = models.network(schema.task, arguments, 0)
    model = estimator.start(getattr(network, "regressor", network), fast.width, goal.labels(y), goal.outputs)
    epochs = epochs or max(1, min(MOST_EPOCHS, -(-ENOUGH_ROWS // found.train)))
    weights = goal.weights(arguments.get("class_weight"), found.columns[goals[0]].counts)
    plan = replace(estimator.plan(model, epochs, patience, seed), weights=weights)

    columns = list(dict.fromkeys([*goals, *(column.name for column in schema.used), *found.sides.columns]))
    x = np.empty((source.block_rows, fast.width), np.float32)

    def prepared(block: Block) -> tuple[Array, Array]:
        order, moved = _to_the_front(has_target(block.frame, goals) & found.sides.trains_on(block))
        rows = fast(block.frame, out=x, start=block.start)
        rows[moved] = rows[order[moved]]
        return rows[: len(order)], goal.t(block.frame.select(goals)[order])

    notes += _said(found, source, schema, epochs, fast)
    warned = (*unbalanced(schema.task, found.columns[goals[0]].counts), *leaks.find(found.sample, schema, y))
    split = Split(found.train, len(found.validation), len(found.test), how)
    (started or _nothing)(schema, split, (*notes, *warned))
    history = fit(
        model.network_, source, columns, prepared, found.train,
        (fast(found.validation), goal.t(found.validation)), plan,
        Meter(show, "training", epochs * source.rows, epochs * source.size),
    )  # fmt: skip
    estimator.finish(model, history, found.train * epochs)
    pipeline = Pipeline([("prepare", prepare), ("network", goal.wrapped(network, model))])
    judged = _judged(pipeline, schema, found, seed)
    return Trained(
        pipeline=pipeline,
        schema=schema,
        scores=judged.scores,
        baselines=judged.baselines,
        verdict=judged.verdict,
        held_out=judged.held_out,
        history=history,
        split=split,
        notes=tuple(notes),
        warnings=(*warned, *judged.warnings, *_unread(fast.unread.values())),
        source=str(path),
        sha256=sha256,
        command=command,
        settings={
            "target": goals, "task": schema.task, "stream": True, "categorical": [*categorical],
            "numeric": [*numeric], "drop": [*drop], "dates": [*dates], "epochs": epochs, "patience": patience,
            "test": test if own is None else str(own), "validation": validation, "time_column": time_column,
            "group": group, "seed": seed, "parameters": models.plain(arguments),
        },
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def _task(schema: Schema, y: Array, notes: list[str]) -> Task:
    """Return the task; predictions of a number that is never negative, but skewed, are bounded, which is noted."""
    if schema.task != "regression" or not positive.is_skewed(y):
        return Task(schema, y)
    notes.append("the target is skewed and never negative, and no prediction is")
    return Task(schema, y, positive.PositiveTarget())


def _judged(pipeline: Any, schema: Schema, found: Survey, seed: int) -> Judgement:
    """Measure the network, and simple models that are fitted on what is known of the rows that are not held out."""
    rows = found.sample.vstack(found.validation.select(found.sample.columns))
    return judge(pipeline, schema, found.test, rows, target_values(rows, schema), seed)


def _surveyed(
    source: Source,
    goals: list[str],
    read: list[str],
    start: Start,
    notes: list[str],
    show: Callable[[State], Any] | None,
) -> tuple[Survey, str]:
    """Return what the first pass found, and the digest of the file."""
    with Digest(source.path) as digest:

        def once() -> Survey:
            meter = Meter(show, "statistics", source.rows, source.size)
            return survey(source, goals, read, start, meter, digest)

        found = widened(source, notes, once)
        sha256 = digest.result()
    source.check()  # the digest is of the file that was read
    return found, sha256


def _sides(
    source: Source,
    time_column: str | None,
    group: str | None,
    told: Mapping[str, tuple[str, str | None]],
    seed: int,
    test: float,
    validation: float,
) -> Start:
    """Return what makes the rule by which rows are held out."""
    for option, name in (("time-column", time_column), ("group", group)):
        if name is not None:
            overrides.known(option, [name], list(source.columns))
    if time_column is not None and group is not None:
        raise ValueError("--group: rows are held out by --time-column or by --group: leave one of them out.")
    if group is not None:
        return lambda size: ByGroup(group, size, seed, test, validation)
    if time_column is not None:
        date_format = told.get(time_column, ("", None))[1]
        return lambda size: ByTime(time_column, date_format, size, seed, test, validation)
    return lambda size: ByRow(size, seed, test, validation)


def _same_classes(schema: Schema, found: Survey) -> None:
    """Refuse rows to validate or test whose class no row to train on has."""
    for rows, what in ((found.validation, "validate"), (found.test, "test")):
        y = target_values(rows, schema).tolist() if schema.is_classification else []
        if new := sorted({*y} - {*schema.classes}, key=str):
            raise ValueError(
                f"the class {new[0]!r} has rows to {what} but none to train on ({found.sides.how}): "
                "hold other rows out, or give more of them."
            )


def _to_the_front(used: Array) -> tuple[Array, Array]:
    """Return the numbers of the rows that are used, in an order in which most stay where they are, and which do not.

    >>> _to_the_front(np.array([True, False, True, True]))
    (array([0, 3, 2]), array([1]))
    """
    count = int(used.sum())
    order = np.arange(count)
    free = np.flatnonzero(~used[:count])
    order[free] = count + np.flatnonzero(used[count:])
    return order, free


def _arguments(rows: int, task: str, seed: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the estimator's arguments: where rows are many, larger steps, and no dropout, since none is seen often."""
    many = {"batch_size": 1024, "dropout": 0.0} if rows >= MANY else {}
    return models.parameters(rows, task, seed, {**many, **given})


def _unread(blocks: Iterable[Mapping[str, int]]) -> Iterator[str]:
    """Yield a sentence on each column with values that do not fit what the sample showed."""
    counts: Counter[str] = Counter()
    for block in blocks:
        counts.update(block)
    for name, count in counts.items():
        yield f"{name!r}: {count:,} value(s) cannot be read as those of the sample are: taken as missing."


def _nothing(*_: Any) -> None:
    """Stand in for who is not told."""


def _said(found: Survey, source: Source, schema: Schema, epochs: int, fast: Preparation) -> list[str]:
    """Return what was decided, for people."""
    said = [
        *schema.notes,
        f"streamed: {found.rows:,} rows, {epochs} epoch(s), {source.block_rows:,} rows a block",
        f"preparation and baselines are fitted on {found.sample.height:,} rows drawn from {found.train:,} to train on",
    ]
    if fast.slow:
        said.append(f"slow to prepare: {', '.join(fast.slow)}: leave these columns out with --drop if time matters")
    if not source.any_order:
        said.append("CSV can only be read in order: rows are mixed in a buffer, so shuffle a file that is sorted")
    said += [f"in the sample, {remark}" for remark in remarks.find(found.sample, schema)]
    return said
