"""Write a table to a file, in the format given by its name."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from chainrule._internal.extras import require
from chainrule.files.writing import writing

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Any


def _gzip(frame: pl.DataFrame, file: BinaryIO) -> None:
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        packed.write(frame.write_csv().encode())


def _excel(frame: pl.DataFrame, file: BinaryIO) -> None:
    content = io.BytesIO()  # where a full disk would leave an open archive
    options = {"strings_to_formulas": False, "strings_to_urls": False}
    workbook = require("xlsxwriter", "tables").Workbook(content, options)
    frame.write_excel(workbook)  # a class called =1+1 stays a string
    workbook.close()
    file.write(content.getbuffer())


WRITERS: dict[str, Callable[[Any, Any], Any]] = {
    "csv": lambda frame, file: frame.write_csv(file),
    "tsv": lambda frame, file: frame.write_csv(file, separator="\t"),
    "csv.gz": _gzip,
    "parquet": lambda frame, file: frame.write_parquet(file),
    "arrow": lambda frame, file: frame.write_ipc(file),
    "jsonl": lambda frame, file: frame.write_ndjson(file),
    "json": lambda frame, file: frame.write_json(file),
    "xlsx": _excel,
}
SAME = {"": "csv", ".txt": "csv", ".pq": "parquet", ".feather": "arrow", ".ipc": "arrow", ".ndjson": "jsonl"}
"""Other endings of the same formats."""


def kind(path: Path) -> str:
    """Return the format of a file by its name, or raise an error that lists the known endings.

    >>> kind(Path("p.csv")), kind(Path("p.csv.gz")), kind(Path("p.feather"))
    ('csv', 'csv.gz', 'arrow')
    """
    ending = path.suffix.lower()
    if ending == ".gz":
        ending = "".join(path.suffixes[-2:]).lower()
    chosen = SAME.get(ending, ending.removeprefix("."))
    if chosen not in WRITERS:
        raise ValueError(f"--out: {path}: expected the ending .{', .'.join(WRITERS)}, got {path.suffix}.")
    if chosen == "xlsx" and find_spec("xlsxwriter") is None:
        raise ImportError(f"--out: {path}: Excel files require 'xlsxwriter'. Install it with: pip install xlsxwriter")
    return chosen


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame to ``path`` atomically."""
    with writing(path) as file:
        WRITERS[kind(path)](frame, file)
