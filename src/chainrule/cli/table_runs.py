"""The commands on the folder of a table's run: evaluate, predict, explain, check and export."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.cli import checks as gradient_checks
from chainrule.cli import report, tables
from chainrule.cli.check_result import Check
from chainrule.cli.output import printable, say, tell, write_data
from chainrule.files.writing import write_atomically
from chainrule.optimizers import Optimizer
from chainrule.pages.text import columns
from chainrule.penalties import Penalty
from chainrule.tables import SavedRun, Schema, converting, files, load, models, output, predicting, row_inputs, scores
from chainrule.tables.casting import cast
from chainrule.tables.checking import check
from chainrule.tables.explaining import explain
from chainrule.tables.labeled import labeled
from chainrule.tables.reading import read
from chainrule.tables.report.collect import worst_rows
from chainrule.tables.report.uncertainty import as_numbers, intervals
from chainrule.tables.result import HeldOut
from chainrule.tables.streaming import Printer
from chainrule.tracing import Trace

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any

ROWS = 256  # made-up ones, to compare an exported file with
WORST = 5  # rows that are shown

__all__ = ["checks", "evaluate", "predict", "to_onnx", "traced"]


def evaluate(folder: Path, source: str | None, data: Path | None) -> None:
    """Print the scores of the network on the rows of a file with the target, and the rows it predicts worst."""
    _refuse_data(data)
    saved = load(folder)
    schema, model = saved.schema, saved.pipeline[-1]
    frame, numbers, y, left_out = _labeled(
        saved, _given(folder, source, "evaluate", f"a file that has the column {schema.target!r}")
    )
    X, notes = row_inputs.prepared(saved, frame, numbers)
    if left_out:
        notes = (f"{left_out:,} of {left_out + len(y):,} rows have no {schema.target!r}: left out.", *notes)
    for note in notes:
        say(f"Note: {note}")
    p = None if schema.task == "regression" else np.asarray(model.predict_proba(X), np.float64)
    held = HeldOut(frame, y, np.asarray(model.predict(X)), p, numbers)
    measured = scores.measure(schema.task, y, held.predictions, p, schema.classes)
    t, labels = (as_numbers(schema, values) for values in (y, held.predictions))
    if schema.is_classification:
        tell(f"{report.table(t, labels, [printable(str(name)) for name in schema.classes])}\n")
    trained = {"held out in training": _numbers(saved.config.get("scores"))}
    rows = "1 row" if len(y) == 1 else f"{len(y):,} rows"
    tell(tables.beside(rows, "this file", measured, intervals(schema, held, measured), trained))
    if lines := _worst(schema, held, t, labels):
        tell(f"\n{lines}")


def _worst(schema: Schema, held: HeldOut, t: Array, labels: Array) -> str:
    """Return the rows with the largest errors, by their numbers in the file."""
    names = [column.name for column in schema.targets] if schema.task == "multilabel" else [*map(str, schema.classes)]
    how = {"regression": "error", "multilabel": "log loss"}.get(schema.task, "p of the actual class")
    lines = [("worst predictions: row", "actual", "predicted", how)]
    found = worst_rows(schema, held, t, labels, held.probabilities, names)[:WORST]
    lines += [(f"{wrong.row:,}", wrong.truth, wrong.predicted, wrong.how_wrong) for wrong in found]
    return columns(lines, align="rrrr") if len(lines) > 1 else ""


def _numbers(found: Any) -> dict[str, float]:
    """Return the scores in a file that are numbers: anybody may have written it."""
    return {k: float(v) for k, v in found.items() if type(v) in (int, float)} if isinstance(found, dict) else {}


def traced(folder: Path, source: str | None, row: int, optimizer: Optimizer, data: Path | None) -> Trace:
    """Return the worked example of one row of a file, its preparation included."""
    _refuse_data(data)
    saved = load(folder)
    source = _given(folder, source, "explain", "the file that has the row")
    return explain(saved, _read(saved, source), row, source, optimizer)


def checks(folder: Path, source: str | None, rows: int, seed: int, terms: Sequence[Penalty]) -> list[Check]:
    """Check the gradients of a table's network at labeled rows of a file, or at made-up ones."""
    saved = load(folder)
    if source is None:
        X, _ = row_inputs.prepared(saved, row_inputs.made_up(saved, rows, seed))
        t, where = None, f"{rows:,} made-up rows in the range of training, and random targets"
    else:
        frame, numbers, y, _ = _labeled(saved, source)
        if len(y) < 2:
            raise ValueError(f"{source} has one labeled row: expected two or more to check at.")
        X, _ = row_inputs.prepared(saved, frame[:rows], numbers)
        t = row_inputs.as_learned(saved, y[:rows])
        where = f"the first {len(X):,} labeled rows of {source}"
    networks = models.inside(saved.pipeline[-1]).networks_
    names = [str(folder)] if len(networks) == 1 else [f"{folder}, network {i}" for i in range(len(networks))]
    return [
        gradient_checks.check_network(name, network, len(X), seed, terms, at=(X, t, where))
        for name, network in zip(names, networks, strict=True)
    ]


def to_onnx(folder: Path, out: Path) -> None:
    """Write the whole pipeline of a table's run to an ONNX file, compared with ours on made-up rows."""
    saved = load(folder)
    frame = row_inputs.made_up(saved, ROWS)
    rows = cast(check(frame, saved.schema)[0], saved.schema.columns)
    p = None if saved.schema.task == "regression" else saved.pipeline.predict_proba(rows)
    held = HeldOut(frame, np.zeros(len(rows)), saved.pipeline.predict(rows), p)
    content, said = converting.convert(saved.pipeline, saved.schema, held)
    if content is None:
        raise ValueError(said.removeprefix(converting.NONE))
    write_atomically(out, content)
    said = said.removeprefix("pipeline.onnx, ").replace("held-out", "made-up")
    tell(f"{out}: {len(content):,} bytes. {said}")


def predict(
    folder: Path,
    source: str,
    out: Path | None,
    *,
    interval: float | None = None,
    coerce: bool = False,
    data: Path | None = None,
    **reads: Any,
) -> None:
    """Write the predictions of the rows of a table; ``reads`` are its delimiter and its decimal mark."""
    _refuse_data(data)
    if out is not None:
        output.kind(out)  # refused before anything is read
    saved = load(folder)
    if source != "-" and files.is_large(source):
        with tempfile.TemporaryDirectory() as place:  # nothing is printed before all rows have been checked
            path = out or Path(place, "predictions.csv")
            if output.kind(path) not in ("csv", "parquet"):
                raise ValueError(f"--out: {path}: {source} is predicted block by block, into .csv or .parquet.")
            rows, notes = files.predict_file(
                saved, source, path, parquet=output.kind(path) == "parquet", interval=interval, coerce=coerce,
                show=Printer(), **reads,
            )  # fmt: skip
            if out is None:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
    else:
        table = read(source, schema=saved.schema, **reads)
        frame, notes = predicting.predict(saved, table.frame, interval=interval, coerce=coerce)
        rows, notes = frame.height, (*table.notes[1:], *notes)
        if out is None:
            write_data(frame.write_csv())
        else:
            output.write(frame, out)
    for note in notes:
        say(f"Note: {note}")
    if out is not None:
        say(f"{out}: {rows:,} rows")


# ---------------------------------------------------------------- rows


def _refuse_data(data: Path | None) -> None:
    if data is not None:
        raise ValueError("--data: is for data sets, not for tables: leave it out.")


def _given(folder: Path, source: str | None, command: str, what: str) -> str:
    """Return the file that was given; the folder only names its own, which may be anywhere, or a stranger's."""
    if source is None:
        raise ValueError(
            f"{folder} is the run of a table and keeps no rows: give {what}, as in chainrule {command} "
            f"{shlex.quote(str(folder))} FILE{' --row 1' if command == 'explain' else ''}."
        )
    return source


def _read(saved: SavedRun, source: str) -> pl.DataFrame:
    """Return the rows of a file, with their targets where it has them."""
    return read(source, schema=saved.schema, targets=[column.name for column in saved.schema.targets]).frame


def _labeled(saved: SavedRun, source: str) -> tuple[pl.DataFrame, Array, Array, int]:
    """Return the rows of a file that have a target, their numbers, y, and how many rows have none."""
    frame = _read(saved, source)
    known, numbers, y = labeled(frame, saved.schema, source)
    if not len(y):
        raise ValueError(f"{source} has no row with a value of {saved.schema.target}: there is nothing to compare.")
    return known, numbers, y, frame.height - len(y)
