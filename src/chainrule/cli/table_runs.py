"""The folder of a table's run for ``evaluate``, ``explain``, ``check`` and ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.cli.output import printable, tell

if TYPE_CHECKING:
    import polars as pl

    from chainrule.network import Network
    from chainrule.tables import Saved
    from chainrule.tracing import Trace
else:
    Network = Saved = Trace = pl = Any

SCHEMA = "schema.json"
ROWS = 256  # that are made up within the range of training

__all__ = ["evaluate", "is_run", "networks", "to_onnx", "traced"]


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a table's run."""
    return (folder / SCHEMA).is_file()


def evaluate(folder: Path, source: str | None) -> None:
    """Print the scores of the network on the rows of a file with the target."""
    from chainrule.cli import report  # noqa: PLC0415  (not needed for --help)
    from chainrule.pages.formatting import fixed, short  # noqa: PLC0415
    from chainrule.tables import scores  # noqa: PLC0415
    from chainrule.tables.report.uncertainty import as_numbers, intervals  # noqa: PLC0415
    from chainrule.tables.result import HeldOut  # noqa: PLC0415

    saved = _load(folder)
    schema = saved.schema
    if source is None:
        raise ValueError(
            f"{folder} is the run of a table and keeps no rows: give a file that has the column {schema.target!r}, as "
            f"in chainrule evaluate {folder} new.csv."
        )
    frame, y, left_out = _labeled(saved, source)
    rows = _prepared(saved, frame)[0]
    predictions = saved.pipeline.predict(rows)
    p = None if schema.task == "regression" else saved.pipeline.predict_proba(rows)
    measured = scores.measure(schema.task, y, predictions, p, schema.classes)
    if schema.task in ("binary", "multiclass"):
        t, labels = (as_numbers(schema, values) for values in (y, predictions))
        tell(f"{report.table(t, labels, [printable(str(name)) for name in schema.classes])}\n")
    around = intervals(schema, HeldOut(frame, y, predictions, p), measured)
    for name, value in measured.items():
        unit = name in ("RMSE", "MAE")
        low, high = around[name]
        ends = [short(end) if unit else fixed(end, 3) for end in (low, high)]
        between = "" if np.isnan(low) else f"  95 % interval {' to '.join(ends)}"
        tell(f"{name:17} {short(value) if unit else fixed(value, 4)}{between}")
    tell(f"rows              {len(y):,}{f', and {left_out:,} without a target' if left_out else ''}")


def traced(folder: Path, source: str | None, row: int, optimizer: Any) -> Trace:
    """Print how the columns of one row become inputs, and return the network's worked example of it."""
    from chainrule.tables import models  # noqa: PLC0415
    from chainrule.tables.reading import read  # noqa: PLC0415
    from chainrule.tables.task import target_values  # noqa: PLC0415

    saved = _load(folder)
    schema = saved.schema
    if source is None:
        raise ValueError(f"{folder} is the run of a table and keeps no rows: give --file, a file with the row.")
    goals = [column.name for column in schema.targets]
    frame = read(source, schema=schema, targets=goals).frame
    if not 1 <= row <= frame.height:
        raise ValueError(f"--row: expected a number from 1 to {frame.height:,}, the rows of {source}, got {row}.")
    one = frame[row - 1 : row]
    rows, X = _prepared(saved, one)
    _tell_inputs(saved, one, X)
    network = models.inside(saved.pipeline[-1]).network_
    if set(goals) <= set(one.columns) and not any(one[name].null_count() for name in goals):
        from chainrule.tables.checking import with_targets  # noqa: PLC0415

        y = target_values(with_targets(one, schema, source), schema)
    else:
        y = np.asarray(saved.pipeline.predict(rows))
        tell(f"\n{source} has no {schema.target!r} in this row: the prediction stands for it, {printable(str(y[0]))}.")
    one_each = len(schema.classes) == network.output_shape[0]  # two classes share an output
    classes = [printable(str(name)) for name in schema.classes] if one_each else None
    return network.trace(X[0], _target(saved, y), optimizer=optimizer, classes=classes)


def networks(path: Path) -> list[tuple[Network, float, float]]:
    """Return the networks of a table's run, or of an estimator's file, with the range of their inputs."""
    from chainrule.files.container import opened, read_header  # noqa: PLC0415
    from chainrule.files.serving import load  # noqa: PLC0415
    from chainrule.tables import models  # noqa: PLC0415

    if path.is_dir():
        saved = _load(path)
        X = np.asarray(_prepared(saved, _made_up(saved))[1])
        return [(n, float(X.min()), float(X.max())) for n in models.inside(saved.pipeline[-1]).networks_]
    with opened(path, "a model file") as file:
        read_header(file, "a model file")
    model: Any = load(path)
    return [(network, -1.0, 1.0) for network in getattr(model, "networks", [model])]


def to_onnx(folder: Path, out: Path) -> None:
    """Write the whole pipeline of a table's run to an ONNX file, compared with ours on made-up rows."""
    from chainrule.files.writing import write_atomically  # noqa: PLC0415
    from chainrule.tables import converting  # noqa: PLC0415
    from chainrule.tables.result import HeldOut  # noqa: PLC0415

    saved = _load(folder)
    frame = _made_up(saved)
    rows = _prepared(saved, frame)[0]
    p = None if saved.schema.task == "regression" else saved.pipeline.predict_proba(rows)
    held = HeldOut(frame, np.zeros(len(rows)), saved.pipeline.predict(rows), p)
    content, said = converting.convert(saved.pipeline, saved.schema, held)
    if content is None:
        raise ValueError(said.removeprefix(converting.NONE))
    write_atomically(out, content)
    said = said.removeprefix("pipeline.onnx, ").replace("held-out", "made-up")
    tell(f"{out}: {len(content):,} bytes. {said}")


# ---------------------------------------------------------------- rows


def _load(folder: Path) -> Saved:
    from chainrule.tables import load  # noqa: PLC0415

    return load(folder)


def _labeled(saved: Saved, source: str) -> tuple[pl.DataFrame, Any, int]:
    """Return the rows of a file that have all targets, y, and how many have not."""
    from chainrule.tables.checking import with_targets  # noqa: PLC0415
    from chainrule.tables.reading import read  # noqa: PLC0415
    from chainrule.tables.task import target_values  # noqa: PLC0415

    goals = [column.name for column in saved.schema.targets]
    frame = read(source, schema=saved.schema, targets=goals).frame
    if missing := [name for name in goals if name not in frame.columns]:
        raise ValueError(f"{source} has no column {missing[0]!r}, which is what the network predicts.")
    frame = with_targets(frame, saved.schema, source)
    known = frame.drop_nulls(goals)
    if not known.height:
        raise ValueError(f"{source} has no row with a value of {', '.join(goals)}: there is nothing to compare.")
    y = target_values(known, saved.schema)
    if saved.schema.is_classification and (new := sorted({*y.tolist()} - {*saved.schema.classes}, key=str)):
        raise ValueError(f"{source} has the class {new[0]!r} of {saved.schema.target!r}, which training never saw.")
    return known, y, frame.height - known.height


def _prepared(saved: Saved, frame: pl.DataFrame) -> tuple[pl.DataFrame, Any]:
    """Return checked rows in the types of training, and the inputs that the network gets."""
    from chainrule.cli.output import say  # noqa: PLC0415
    from chainrule.tables.casting import cast  # noqa: PLC0415
    from chainrule.tables.checking import check  # noqa: PLC0415

    checked, notes = check(frame, saved.schema)
    for note in notes:
        say(f"Note: {note}")
    rows = cast(checked, saved.schema.columns)
    return rows, saved.pipeline[0].transform(rows)


def _made_up(saved: Saved) -> pl.DataFrame:
    """Return rows whose values lie in the range of training, or are among its categories."""
    import polars as pl  # noqa: PLC0415

    from chainrule.tables.checking import empty_row  # noqa: PLC0415

    rng = np.random.default_rng(0)
    columns = []
    for values, column in zip(empty_row(saved.schema), saved.schema.used, strict=True):
        if column.categories:
            made = pl.Series(rng.choice(np.array(column.categories, object), ROWS), dtype=pl.String)
            if column.read_as in ("whole", "number", "boolean"):
                made = (made.str.to_lowercase() == "true") if column.read_as == "boolean" else made.cast(pl.Float64)
            made = made.cast(values.dtype)
        elif isinstance(column.low, str) and isinstance(column.high, str):
            ends = [np.datetime64(end, "us").astype(np.int64) for end in (column.low, column.high)]
            made = pl.Series(rng.integers(ends[0], ends[1] + 1, ROWS)).cast(pl.Datetime("us"))
        elif column.low is not None and column.high is not None:
            made = pl.Series(rng.uniform(float(column.low), float(column.high), ROWS))
            made = made.round().cast(values.dtype) if column.read_as == "whole" else made
        else:  # words, and columns of many values: as if they were missing
            made = pl.Series([None] * ROWS, dtype=values.dtype)
        columns.append(made.alias(column.name))
    return pl.DataFrame(columns)


def _target(saved: Saved, y: Any) -> Any:
    """Return y of one row as the network's loss has it."""
    if saved.schema.task == "regression":
        return saved.pipeline[-1].transformer_.transform(np.asarray(y, float).reshape(-1, 1))[0]
    if saved.schema.task == "multilabel":
        return np.asarray(y)[0]
    which = list(map(str, saved.schema.classes)).index(str(y[0]))
    return [which] if len(saved.schema.classes) == 2 else which


def _tell_inputs(saved: Saved, one: pl.DataFrame, X: Any) -> None:
    """Print the columns of a row with their values, and the inputs that each becomes."""
    prepare = saved.pipeline[0]
    try:
        names = [str(name).partition("__")[2] or str(name) for name in prepare.get_feature_names_out()]
    except (AttributeError, ValueError):  # a part that does not name its outputs
        names = [f"input {i}" for i in range(X.shape[1])]
    tell("column                value")
    for column in saved.schema.used:
        value = one[column.name][0] if column.name in one.columns else None
        tell(f"{column.name[:20]:20}  {'(missing)' if value is None else value}")
    tell("\ninput of the network                      value")
    for name, value in zip(names, np.asarray(X)[0].tolist(), strict=True):
        tell(f"{name[:40]:40}  {value:.6g}")
    if saved.schema.task == "regression":
        tell(f"\nThe network predicts {saved.schema.target!r} scaled; the pipeline scales it back.")
