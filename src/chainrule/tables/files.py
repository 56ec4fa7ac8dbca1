"""Predictions for a file larger than memory, written block by block to another file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from chainrule.files.writing import writing
from chainrule.tables._polars import pl
from chainrule.tables.predicting import Predictor
from chainrule.tables.result import SavedRun
from chainrule.tables.serving.model import TableModel
from chainrule.tables.streaming.opening import needs_streaming, open_rows
from chainrule.tables.streaming.progress import Meter, State

LARGE = 2**30  # bytes of memory from which a file is read block by block


def is_large(path: str | os.PathLike[str]) -> bool:
    """Return whether to predict a file block by block."""
    return bool(needs_streaming(path, LARGE))


def predict_file(
    run: SavedRun | TableModel,
    path: str | os.PathLike[str],
    out: Path,
    *,
    parquet: bool = False,
    interval: float | None = None,
    coerce: bool = False,
    keep: Sequence[str] = (),
    show: Callable[[State], Any] | None = None,
    **reads: Any,
) -> tuple[int, tuple[str, ...]]:
    """Write predictions for the rows of a Parquet, NumPy or CSV file, in memory that does not depend on its size.

    Parameters
    ----------
    run : SavedRun or TableModel
    path, out : path
        ``out`` is replaced once all rows are predicted.
    parquet : bool
        Whether to write Parquet instead of CSV.
    interval, coerce, keep : as for :func:`chainrule.tables.predict`
    show : function of State, optional
        Called with the progress.
    **reads
        How the file is read, as for :func:`chainrule.tables.read`.

    Returns
    -------
    rows : int
    notes : tuple of str

    Raises
    ------
    ValueError
        If the rows do not match the schema.
    """
    source = open_rows(path, run.schema, **reads)
    predictor = Predictor(run, interval=interval, coerce=coerce, keep=keep, whole=False)
    names = predictor.begin(source)
    meter = Meter(show, "predicting", source.height, source.path.stat().st_size)

    def predicted() -> Iterator[pl.DataFrame]:
        for frame in predictor.each(source.blocks(names)):
            yield frame
            meter.add(frame.height)

    with writing(out) as file:
        rows = (_write_parquet if parquet else _write_csv)(file, predicted(), out.parent)
        if not rows:
            raise ValueError("no rows to predict: expected at least one.")
    return rows, predictor.notes()


def _write_csv(file: BinaryIO, frames: Iterator[pl.DataFrame], _: Path) -> int:
    rows = 0
    for frame in frames:
        frame.write_csv(file, include_header=not rows)
        rows += frame.height
    return rows


def _write_parquet(file: BinaryIO, frames: Iterator[pl.DataFrame], beside: Path) -> int:
    """Write one file per frame, and join them, since polars cannot append to a file."""
    rows = 0
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        parts = []
        for i, frame in enumerate(frames):
            parts.append(Path(folder, f"{i}.parquet"))
            frame.write_parquet(parts[-1])
            rows += frame.height
        if parts:
            pl.scan_parquet(parts).sink_parquet(file, maintain_order=True)
    return rows
