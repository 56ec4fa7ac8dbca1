"""Completion in the shell: data sets, run folders, tables, and the columns of a table."""

from __future__ import annotations

import contextlib
import csv
import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from chainrule.cli.folder import CONFIG, SCHEMA
from chainrule.datasets import DATASETS
from chainrule.tables.formats import is_table

COLUMNS = ("target", "categorical", "numeric", "drop", "date", "time_column", "group", "keep", "weight", "by", "fixed")
PLACES = ("folder", "dataset", "source", "file", "target")  # arguments
LARGEST = 2**20  # bytes of a header or a schema that are read
PLAIN = re.compile(r"[\w./@%+-]+")  # texts that no shell takes apart


def complete(command: Callable[..., Any]) -> None:
    """Give the arguments and options of a command their completion, by their names."""
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        for found in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(found, typer.models.ArgumentInfo) and name in PLACES:
                found.autocompletion = runs if name == "folder" else places
            elif isinstance(found, typer.models.OptionInfo) and name in COLUMNS:
                found.autocompletion = columns


def runs(incomplete: str) -> list[str]:
    """Return the folders of runs that begin so, and folders that may have some."""
    return [path for path in _paths(incomplete) if path.endswith("/") or (Path(path) / CONFIG).is_file()]


def places(incomplete: str) -> list[str]:
    """Return data sets, tables, models and folders that begin so."""
    names = [name for name in DATASETS if name.startswith(incomplete)]
    return [*names, *_paths(incomplete)]


def columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the columns of the table on the command line that begin so."""
    known = [ctx.params[name] for name in PLACES if name != "target" and ctx.params.get(name)]
    return named([*known, *ctx.args], incomplete)  # the arguments before an option without its value


def named(places: Sequence[Any], incomplete: str) -> list[str]:
    """Return the columns of tables, and of the tables of runs, that begin so; after a comma, those of the next name."""
    before, comma, last = incomplete.rpartition(",")
    found = dict.fromkeys(name for place in places for name in _header(Path(place)))
    taken = before.split(",")
    return [before + comma + name for name in found if name.startswith(last) and name not in taken]


def _paths(incomplete: str) -> Iterator[str]:
    """Yield folders (those that are not runs with a slash), tables and model files."""
    folder, name = incomplete.rpartition("/")[::2]
    there = Path(f"{folder}/" if "/" in incomplete else ".")
    with contextlib.suppress(OSError):
        for path in sorted(there.iterdir()):
            text = f"{folder}/{path.name}" if "/" in incomplete else path.name
            if not path.name.startswith(name) or (path.name.startswith(".") and not name) or not PLAIN.fullmatch(text):
                continue
            if path.is_dir():
                yield text if (path / CONFIG).is_file() else f"{text}/"
            elif is_table(path.name) or path.suffix in (".safetensors", ".py"):
                yield text


def _header(path: Path) -> list[str]:
    """Return the names in the first line of a text file, or in the schema of a run."""
    names: list[Any] = []
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, csv.Error):
        if path.is_dir():
            schema = json.loads((path / SCHEMA).read_bytes()[:LARGEST])
            names = [column["name"] for column in schema["columns"]]
        elif path.suffix.lower() in (".csv", ".tsv", ".txt", ".tab"):
            with path.open(encoding="utf-8-sig") as file:
                line = file.readline(LARGEST)
            delimiter = max(",;\t|", key=line.count)
            names = next(csv.reader([line], delimiter=delimiter))
    return [name for name in names if isinstance(name, str) and PLAIN.fullmatch(name)]
