"""``chainrule predict``: labels and probabilities for new rows."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from chainrule.cli.errors import in_one_sentence
from chainrule.cli.limits import MaxUnpacked
from chainrule.cli.output import say, write_data


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
    from chainrule.cli import config as config_module  # noqa: PLC0415  (not needed for --help)
    from chainrule.cli import tables  # noqa: PLC0415
    from chainrule.cli.reading import is_data_set, read_rows  # noqa: PLC0415
    from chainrule.files.writing import write_atomically  # noqa: PLC0415

    check_out(out, overwrite=overwrite)
    if (folder / tables.SCHEMA).is_file():
        tables.predict(folder, source, out, interval=interval, coerce=coerce, delimiter=delimiter, decimal=decimal)
        return
    if out is not None and out.suffix.lower() not in ("", ".csv", ".txt"):
        raise ValueError(f"--out: {out}: the predictions of a data set's network are CSV: give a name in .csv.")
    config, network = config_module.read(folder)
    if is_data_set(source):
        from chainrule.cli.evaluate import held_out  # noqa: PLC0415

        X = held_out(config, source, data).X
    else:
        X = read_rows(source, config.image_shape)
    p = network.predict(X)
    _note_range(X, config.input_range)
    text = to_csv(p, config.classes)
    if out is None:
        write_data(text)
    else:
        write_atomically(out, text.encode())


def to_csv(p: np.ndarray, classes: Sequence[str]) -> str:
    r"""Return predictions as CSV.

    >>> to_csv(np.array([[0.25, 0.75]]), ["cat", "dog"])
    'label,p_cat,p_dog\ndog,0.25,0.75\n'
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["label", *(f"p_{name}" for name in classes)])
    for label, row in zip(p.argmax(axis=1), p.tolist(), strict=True):
        writer.writerow([classes[label], *(f"{value:.6g}" for value in row)])
    return file.getvalue()


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


def _note_range(X: Any, trained: tuple[float, float]) -> None:
    """Say when inputs are far from those of the training: scaling that was forgotten is the most common mistake."""
    low, high = trained
    width, least, most = (high - low) or 1.0, float(X.min()), float(X.max())
    if least < low - width or most > high + width:
        say(
            f"Note: the inputs go from {least:g} to {most:g}, but training saw {low:g} to {high:g}. "
            "Were they scaled in the same way?"
        )
