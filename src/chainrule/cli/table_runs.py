"""The commands on the folder of a run on a table that need its pipeline: evaluate, explain, check and export."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.names import reworded
from chainrule._internal.typing import Array
from chainrule.cli import checks as gradient_checks
from chainrule.cli import json_output, report, table_scores, tables
from chainrule.cli.checks import Check
from chainrule.cli.output import printable, say, tell
from chainrule.cli.table_predictions import refuse_data
from chainrule.files.container import has_table
from chainrule.files.writing import write_atomically
from chainrule.pages.formatting import rows as counted
from chainrule.pages.text import columns
from chainrule.penalties import Penalty
from chainrule.tables import SavedRun, Schema, converting, load, models, row_inputs, scores
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.checking import check
from chainrule.tables.explaining import Asked, check_row, explain, explanation
from chainrule.tables.labeled import labeled
from chainrule.tables.reading import Table, read
from chainrule.tables.report.collect import worst_rows
from chainrule.tables.report.groups import groups
from chainrule.tables.report.uncertainty import as_numbers, intervals, row_losses
from chainrule.tables.result import HeldOut
from chainrule.tables.serving import model as model_file
from chainrule.tables.sources.names import shown
from chainrule.tracing import Trace

ROWS = 256  # made-up ones, to compare an exported file with
WORST = 5  # rows that are shown
WORDS = {
    r"^label: ": "--class: ",
    r"^wanted: ": "--wanted: ",
    r"^fixed: ": "--fixed: ",
    "as the label": "with --class",
}
"""Messages on an explanation, reworded: the options in place of the arguments."""


def evaluate(folder: Path, source: str | None, data: Path | None, by: str | None = None, **reads: Any) -> None:
    """Print the scores of the network on the rows of a file with the target, and its worst predictions."""
    saved = _loaded(folder, data)
    schema, model = saved.schema, saved.pipeline[-1]
    source = _given(folder, source, "evaluate", f"a file with the column {schema.target!r}")
    table = _read(saved, source, **reads)
    frame, numbers, y, left_out = _labeled(saved, source, table)
    X, notes = row_inputs.prepared(saved, frame, numbers)
    found = {} if by is None else groups(schema, frame, by)  # rejects an unknown column first
    if table.sha256 == saved.config.get("sha256"):
        notes = (
            "this is the training table, and most of its rows were trained on, so these scores are too optimistic.",
            *notes,
        )
    if left_out:
        notes = (f"dropped {left_out:,} of {left_out + len(y):,} rows, which have no {schema.target!r}.", *notes)
    for note in notes:
        say(f"Note: {note}")
    p = None if schema.task == "regression" else np.asarray(model.predict_proba(X), np.float64)
    held = HeldOut(frame, y, np.asarray(model.predict(X)), p, numbers)
    measured = scores.of_schema(schema, y, held.predictions, p)
    t, labels = (as_numbers(schema, values) for values in (y, held.predictions))
    if schema.is_classification:
        tell(f"{report.table(t, labels, [printable(str(name)) for name in schema.classes])}\n")
    there = saved.config.get("scores")  # from a file that anybody may have written
    before = {k: float(v) for k, v in there.items() if type(v) in (int, float)} if isinstance(there, dict) else {}
    rows = counted(len(y))
    around = intervals(schema, held, measured)
    json_output.record(
        kind="table", source=shown(source), folder=folder, rows=len(y), task=schema.task, classes=schema.classes,
        scores=json_output.scored(measured), intervals=json_output.scored(around),
        scores_in_training=json_output.scored(before),
    )  # fmt: skip
    if schema.is_classification:
        json_output.record(by_class=report.by_class(t, labels, [*map(str, schema.classes)]))
    tell(tables.beside(rows, "this file", measured, around, {"held out in training": before}))
    reliable = table_scores.covered(saved, held) if p is None else table_scores.calibrated(t, p)
    sentences = [s for s in (table_scores.against_training(saved.config, measured, around), reliable) if s]
    json_output.record(sentences=sentences)
    for sentence in sentences:
        tell(f"\n{textwrap.fill(sentence, tables.LINE)}")
    if by is not None:
        tell(f"\n{table_scores.by_group(schema, held, by, found)}")
    if lines := _worst(schema, held, t, labels):
        tell(f"\n{lines}")


def _worst(schema: Schema, held: HeldOut, t: Array, labels: Array) -> str:
    """Return the rows with the largest errors, by their numbers in the file."""
    names = [column.name for column in schema.targets] if schema.task == "multilabel" else [*map(str, schema.classes)]
    how = {"regression": "error", "multilabel": "log loss"}.get(schema.task, "p of the actual class")
    how = "standardized error" if schema.task == "regression" and t.ndim == 2 else how
    lines = [("worst predictions: row", "actual", "predicted", how)]
    found = worst_rows(schema, held, t, labels, held.probabilities, names)[:WORST]
    lines += [(f"{wrong.row:,}", wrong.truth, wrong.predicted, wrong.how_wrong) for wrong in found]
    return columns(lines, align="rrrr") if found else ""


def traced(
    folder: Path,
    source: str | None,
    row: int | None,
    how: Mapping[str, Any],
    data: Path | None,
    *,
    background: str | None = None,
    fixed: Sequence[str] = (),
    label: str | None = None,
    wanted: str | None = None,
    seed: int = 0,
    **reads: Any,
) -> Trace:
    """Return the explanation of one row of a file; see :class:`Asked`. ``how`` has arguments of ``trace``."""
    saved = _loaded(folder, data)
    source = _given(folder, source, "explain", "the file that has the row")
    frame = _read(saved, source, **reads).frame
    others = None if background is None else _read(saved, background).frame
    names = [name.strip() for text in fixed for name in text.split(",") if name.strip()]
    file = folder / "model.safetensors"
    model = model_file.load(file) if has_table(file, "a model saved by chainrule") else None
    if row is None:
        row = _worst_row(saved, frame, shown(source))
    check_row(frame, row, shown(source))
    json_output.record(row=row)
    row_inputs.prepared(saved, frame[row - 1 : row], np.array([row]))  # rejects values by the number of their row
    found = None
    if model is not None:
        with reworded(WORDS):
            found = explanation(model, frame, row, Asked(others, label, wanted, names, seed))
        parts = {"contributions": found.contributions, "counterfactuals": found.counterfactuals}
        json_output.record(**{name: asdict(part) for name, part in parts.items() if part is not None})
    return explain(saved, frame, row, shown(source), explained=found, **how)


def _worst_row(saved: SavedRun, frame: pl.DataFrame, source: str) -> int:
    """Return the number of the row with the largest error; of a file without the target, of its first row."""
    schema, model = saved.schema, saved.pipeline[-1]
    worst, why = 1, "the first one, as there are no actual values"
    if {column.name for column in schema.targets} <= set(frame.columns):
        known, numbers, y = labeled(frame, schema, source)
        if len(y):
            X, _ = row_inputs.prepared(saved, known, numbers)
            p = None if schema.task == "regression" else np.asarray(model.predict_proba(X), np.float64)
            t, predicted = (as_numbers(schema, values) for values in (y, model.predict(X)))
            loss = scores.per_row("regression", t, predicted) if p is None else row_losses(schema.task, t, p)
            worst, why = int(numbers[np.argmax(np.nan_to_num(loss))]), f"the worst of {len(y):,} predictions"
    say(f"Note: row {worst:,} is explained: {why}. To choose another, use --row.")
    return worst


def checks(folder: Path, source: str | None, rows: int, seed: int, terms: Sequence[Penalty]) -> list[Check]:
    """Check the gradients of a table's network at labeled rows of a file, or at made-up ones."""
    saved = load(folder)
    if source is None:
        X, _ = row_inputs.prepared(saved, row_inputs.made_up(saved, rows, seed))
        t, where = None, f"{rows:,} made-up rows in the range of training, and random targets"
    else:
        frame, numbers, y, _ = _labeled(saved, source, _read(saved, source))
        if len(y) < 2:
            raise ValueError(f"{shown(source)} has one labeled row: expected at least two.")
        X, _ = row_inputs.prepared(saved, frame[:rows], numbers)
        t = row_inputs.as_learned(saved, y[:rows])
        where = f"the first {len(X):,} labeled rows of {shown(source)}"
    networks, inputs = models.networks_at(saved.pipeline[-1], X)
    return gradient_checks.check_networks(str(folder), networks, len(X), seed, terms, at=(inputs, t, where))


def to_onnx(folder: Path, out: Path) -> None:
    """Write the whole pipeline of a run to an ONNX file, and compare it with the original on made-up rows."""
    saved = load(folder)
    frame = row_inputs.made_up(saved, ROWS)
    rows = cast(check(frame, saved.schema)[0], saved.schema.columns)
    p = None if saved.schema.task == "regression" else saved.pipeline.predict_proba(rows)
    held = HeldOut(frame, np.zeros(len(rows)), saved.pipeline.predict(rows), p)
    content, said, difference = converting.convert(saved.pipeline, saved.schema, held)
    if content is None:
        raise ValueError(said.removeprefix(converting.NONE))
    write_atomically(out, content)
    said = said.removeprefix("pipeline.onnx, ").replace("held-out", "made-up")
    json_output.record(
        kind="table", folder=folder, language="onnx", files=[out], inputs=len(saved.schema.used), bytes=len(content),
        outputs=len(saved.schema.classes) or len(saved.schema.targets), comparison=said, largest_difference=difference,
    )  # fmt: skip
    tell(f"{out}: {len(content):,} bytes. {said}")


def _loaded(folder: Path, data: Path | None) -> SavedRun:
    refuse_data(data)
    return load(folder)


def _given(folder: Path, source: str | None, command: str, what: str) -> str:
    """Return the given file; that of the folder is not used, as it may be anywhere, or from a stranger."""
    if source is None:
        raise ValueError(
            f"the run in {folder} does not include its rows: give {what}, as in chainrule {command} "
            f"{shlex.quote(str(folder))} FILE{' --row 1' if command == 'explain' else ''}."
        )
    return source


def _read(saved: SavedRun, source: str, **reads: Any) -> Table:
    """Return the rows of a file, with the targets that it has."""
    targets = [column.name for column in saved.schema.targets]
    return read(source, schema=saved.schema, targets=targets, **reads)


def _labeled(saved: SavedRun, source: str, table: Table) -> tuple[pl.DataFrame, Array, Array, int]:
    """Return the rows of a file that have a target, their numbers, y, and how many rows have none."""
    source = shown(source)
    known, numbers, y = labeled(table.frame, saved.schema, source)
    if not len(y):
        raise ValueError(f"{source} has no row with a value of {saved.schema.target}.")
    return known, numbers, y, table.frame.height - len(y)
