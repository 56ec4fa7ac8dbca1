"""``chainrule sample``: a made-up table of customers, to try the commands on tables."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from chainrule._internal.checks import check_count
from chainrule.cli import json_output
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.options import Overwrite, option
from chainrule.cli.output import tell, write_data
from chainrule.datasets.customers import customers
from chainrule.files.writing import write_atomically

MOST = 1_000_000  # rows


@in_one_sentence
def sample(
    file: Annotated[Path, typer.Argument(metavar="FILE", help='A CSV file to write, or "-" for standard output.')],
    rows: Annotated[int, option(None, "Number of customers.")] = 2000,
    seed: Annotated[int, option(None, "Seed: the same seed gives the same customers.")] = 0,
    new: Annotated[bool, option(None, "Leave out the column churned, as for new customers.", "--new")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a made-up table of customers, a quarter of whom churned, to try the other commands.

    It has numbers, dates, categories, text and missing values.
    """
    check_count("sample", "--rows", rows, 1)
    check_count("sample", "--seed", seed, 0)
    if rows > MOST:
        raise ValueError(f"--rows: expected at most {MOST:,}, got {rows:,}.")
    if str(file) != "-" and file.suffix.lower() != ".csv":
        raise ValueError(f"{file}: a CSV file is written: give a name such as customers.csv.")
    if file.exists() and not overwrite:
        raise FileExistsError(f"{file} already exists: choose another name, or replace it with --overwrite.")
    if str(file) == "-" and json_output.is_asked():
        raise ValueError("--json: standard output has the JSON object: give a file instead of -.")
    content = customers(rows, seed, labeled=not new)
    if str(file) == "-":
        write_data(content)
        return
    write_atomically(file, content.encode())
    tell(f"{file}: {rows:,} customers, seed {seed}")
    json_output.record(file=file, rows=rows, seed=seed, columns=content.partition("\n")[0].split(","))
    if not new:
        tell(f"next     chainrule train {shlex.quote(str(file))} --target churned")
