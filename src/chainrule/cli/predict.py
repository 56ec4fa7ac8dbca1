"""``chainrule predict``: labels and probabilities for new rows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from chainrule._internal.names import reworded
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.folder import is_table_run
from chainrule.cli.kinds import predictions_of
from chainrule.cli.options import TABLE, Data, Folder, MaxUnpacked, Overwrite, ReadOptions, option, takes_options
from chainrule.tables.sources.names import is_several


@in_one_sentence
@takes_options
def predict(
    folder: Folder,
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Rows to predict: a .csv (header optional), .npy or .npz file (its first array is used), - for CSV on "
            "standard input, or a data set name for its held-out rows. For a run on a table: a table, as for train. "
            "For a run on images: a folder of images, or one image.",
        ),
    ],
    out: Annotated[
        Path | None,
        option(
            None,
            "Write predictions to this file instead of standard output (-), or as parts to this folder.",
            metavar="FILE",
        ),
    ] = None,
    overwrite: Overwrite = False,
    data: Data = None,
    interval: Annotated[float | None, option(TABLE, "Regression: 0.9 adds 90% prediction intervals.")] = None,
    coerce: Annotated[
        bool, option(TABLE, "Treat values that do not match their column's type as missing.", "--coerce")
    ] = False,
    keep: Annotated[
        list[str] | None,
        option(TABLE, "Column to repeat before the predictions, such as an id; repeatable.", metavar="COLUMN"),
    ] = None,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
    options: ReadOptions = ReadOptions(),  # noqa: B008  (frozen)
) -> None:
    """Predict each row of INPUT, and write its label and class probabilities as CSV.

    If the network was trained on a table, INPUT is also a table.

    --out may then end in .csv, .csv.gz, .tsv, .parquet, .arrow, .jsonl, .json or .xlsx.

    If --out is a folder, INPUT may be many large files, which are predicted in parts; the same command resumes.
    """
    out = None if out == Path("-") else out
    into_parts = out is not None and is_table_run(folder) and is_folder(out, source)
    if not into_parts:
        check_out(out, overwrite=overwrite)
    asked = {
        "interval": interval, "coerce": coerce or None, "keep": keep or None, "data": data,
    }  # fmt: skip
    given = {name: value for name, value in asked.items() if value is not None} | options.reading()
    with reworded({r"(^|: )(?=(interval|keep): )": r"\1--"}):
        if into_parts:
            predictions_of(folder).predict_parts(folder, source, out, overwrite=overwrite, **given)
        else:
            predictions_of(folder).predict(folder, source, out, **given)


def is_folder(out: Path, source: str) -> bool:
    """Return whether to write parts to a folder: one that exists, or a name without an ending for several files."""
    return out.is_dir() or (not (out.suffix or out.exists()) and is_several(source))


def check_out(out: Path | None, *, overwrite: bool) -> None:
    """Reject an output file that cannot be written, before any work is done."""
    if out is None:
        if getattr(sys.stdout, "name", "") == os.devnull:
            raise OSError("standard output is closed: give a file with --out.")
        return
    if out.is_dir():
        raise IsADirectoryError(f"--out: {out} is a folder: give the name of a file, such as {out / 'labels.csv'}.")
    if out.exists() and not overwrite:
        raise FileExistsError(f"--out: {out} already exists: choose another name, or use --overwrite.")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"--out: the folder {out.parent} does not exist. Create it, or choose another.")
