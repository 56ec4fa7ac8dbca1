"""The commands on the folder of a run on a table that need its model file only: predict and drift.

They start without scikit-learn, whose import takes longer than the prediction of a hundred thousand rows.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chainrule import tables
from chainrule._internal.memory import return_freed_memory
from chainrule.cli import json_output
from chainrule.cli.output import say, write_data
from chainrule.pages.formatting import rows as counted
from chainrule.tables import Schema, files, output, parts, predicting, run_files
from chainrule.tables._polars import pl
from chainrule.tables.checking import check
from chainrule.tables.reading import read
from chainrule.tables.result import SavedRun
from chainrule.tables.serving import model as model_file
from chainrule.tables.serving.drift import Drift
from chainrule.tables.serving.model import TableModel
from chainrule.tables.sources.names import shown
from chainrule.tables.streaming import Printer

ENDS = ("low", "high")  # of intervals


def drifted(folder: Path, source: str, psi: float, **reads: Any) -> tuple[Drift, tuple[str, ...]]:
    """Return the comparison of the rows of a table with those of training, and notes."""
    model = model_file.load(folder / "model.safetensors")
    table = read(source, schema=model.schema, **reads)
    frame, notes = check(table.frame, model.schema, coerce=True)
    return model.drift(frame, psi), (*table.notes[1:], *notes)


def predict(
    folder: Path,
    source: str,
    out: Path | None,
    *,
    interval: float | None = None,
    coerce: bool = False,
    keep: Sequence[str] = (),
    data: Path | None = None,
    **reads: Any,
) -> None:
    """Write the predictions for the rows of a table; ``reads`` say how it is read."""
    if out is not None:
        output.kind(out)  # rejected before anything is read
    model = _loaded(folder, data)
    if source != "-" and files.is_large(source):
        with tempfile.TemporaryDirectory() as place:  # nothing is printed before all rows have been checked
            if out is None and json_output.is_asked():
                raise ValueError("--json: the file is large: give a file for the predictions with --out.")
            path = out or Path(place, "predictions.csv")
            kind = output.kind(path)
            if kind not in ("csv", "parquet"):
                raise ValueError(f"--out: {path}: large files are predicted in chunks, into .csv or .parquet.")
            rows, notes = files.predict_file(
                model,
                source,
                path,
                parquet=kind == "parquet",
                interval=interval,
                coerce=coerce,
                keep=keep,
                show=Printer(),
                **reads,
            )
            if out is None:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
    else:
        table = read(source, schema=model.schema, **reads)
        frame, notes = predicting.predict(model, table.frame, interval=interval, coerce=coerce, keep=keep)
        rows, notes = frame.height, (*table.notes[1:], *notes)
        if out is None and json_output.is_asked():
            json_output.record(predictions=_predicted(frame, model.schema, keep))
        elif out is None:
            write_data(frame.write_csv())
        else:
            output.write(frame, out)
    _tell(model.schema, folder, source, rows, out, notes)


def predict_parts(
    folder: Path, source: str, out: Path, *, overwrite: bool, data: Path | None = None, **given: Any
) -> None:
    """Write the predictions for the rows of files as parts in a folder; ``given`` are arguments of ``predict``."""
    return_freed_memory()
    model = _loaded(folder, data)
    rows, notes = parts.predict_files(
        model, folder / "model.safetensors", source, out, overwrite=overwrite, show=Printer(), **given
    )
    _tell(model.schema, folder, source, rows, out, notes)


def refuse_data(data: Path | None) -> None:
    """Refuse the option of data sets."""
    if data is not None:
        raise ValueError("--data applies only to data sets, not tables: omit it.")


def _loaded(folder: Path, data: Path | None) -> TableModel | SavedRun:
    refuse_data(data)
    return run_files.load_model(folder) or tables.load(folder)


def _tell(schema: Schema, folder: Path, source: str, rows: int, out: Path | None, notes: Sequence[str]) -> None:
    targets = [column.name for column in schema.targets]
    json_output.record(
        kind="table", source=shown(source), folder=folder, rows=rows, out=out, task=schema.task, target=targets,
        classes=[] if schema.task == "regression" else schema.classes or targets,
    )  # fmt: skip
    for note in notes:
        say(f"Note: {note}")
    if out is not None:
        say(f"Wrote {counted(rows)} to {out}")


def _predicted(frame: pl.DataFrame, schema: Schema, keep: Sequence[str]) -> list[dict[str, Any]]:
    """Return predictions for programs."""
    found = []
    several = len(schema.targets) > 1
    for row in frame.iter_rows(named=True):
        of: dict[str, Any] = {"kept": {name: row.pop(name) for name in keep}} if keep else {}
        p = [row.pop(name) for name in [*row] if name.startswith("p_")]
        parts = {part: [row[name] for name in row if name.startswith(f"{part}_")] for part in ("prediction", *ENDS)}
        of |= {part: values for part, values in parts.items() if values} if several else row
        found.append(of | ({"probabilities": p} if p else {}))
    return found
