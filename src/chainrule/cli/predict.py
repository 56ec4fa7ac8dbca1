"""``chainrule predict``: labels and probabilities for new rows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.errors import in_one_sentence
from chainrule.cli.kinds import commands_of
from chainrule.cli.limits import MaxUnpacked


@in_one_sentence
def predict(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What chainrule train wrote, such as runs/digits.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A file of numbers (.csv with or without a header, .npy, or .npz, whose first array is used), "
            "- for CSV on standard input, or the name of a data set for its held-out rows.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, not to standard output.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the files of mnist are.")] = None,
    interval: Annotated[
        float | None, typer.Option(help="Of a table's numbers: 0.9 adds bounds that hold 90 % of the truth.")
    ] = None,
    coerce: Annotated[
        bool, typer.Option("--coerce", help="Of a table: what is not of its column's type is taken as missing.")
    ] = False,
    delimiter: Annotated[str | None, typer.Option(help="Of a table in CSV; that of training by default.")] = None,
    decimal: Annotated[
        str | None, typer.Option(metavar="MARK", help="Decimal mark, '.' or ','; that of training by default.")
    ] = None,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
) -> None:
    """Predict the rows of INPUT: one line each, with its label and the probability of every class, as CSV.

    For a network of a table INPUT is a table, too, and --out is written as its name says: .csv, .csv.gz, .tsv,
    .parquet, .arrow, .jsonl, .json or .xlsx.
    """
    check_out(out, overwrite=overwrite)
    asked = {"interval": interval, "coerce": coerce or None, "delimiter": delimiter, "decimal": decimal, "data": data}
    given = {name: value for name, value in asked.items() if value is not None}
    commands_of(folder).predict(folder, source, out, **given)


def check_out(out: Path | None, *, overwrite: bool) -> None:
    """Refuse, before anything is done, a file that cannot be written."""
    if out is None:
        if getattr(sys.stdout, "name", "") == os.devnull:
            raise OSError("standard output is closed: give a file with --out.")
        return
    if out.is_dir():
        raise IsADirectoryError(f"--out: {out} is a folder: give the name of a file, such as {out / 'labels.csv'}.")
    if out.exists() and not overwrite:
        raise FileExistsError(f"--out: {out} is there already: choose another name, or replace it with --overwrite.")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"--out: there is no folder {out.parent}: make it first, or choose another one.")
