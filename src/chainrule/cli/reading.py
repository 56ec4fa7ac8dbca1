"""Rows of numbers from files: NumPy's formats, and CSV."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from chainrule._internal.names import did_you_mean
from chainrule.datasets import DATASETS
from chainrule.tables.unpacking import load_numpy


def is_data_set(source: str) -> bool:
    """Return whether ``source`` is the name of a data set rather than a file."""
    return source.lower() in DATASETS


def read_rows(source: str, image_shape: tuple[int, int] | None) -> np.ndarray:
    """Return the rows of a file, or of standard input for "-"; images may also be (rows, height, width)."""
    if source == "-":
        return parse_csv(sys.stdin.read(), "standard input")
    path = Path(source)
    kind = path.suffix.lower()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        hint = "" if kind else f" Or is it a data set? {did_you_mean(source, DATASETS)}"
        raise FileNotFoundError(f"{source} {what}: give a .csv, .npy or .npz file.{hint}")
    if kind not in (".csv", ".npy", ".npz"):
        raise ValueError(f"{source}: expected a .csv, .npy or .npz file, or a data set, got {kind or 'no ending'}.")
    if kind == ".csv":
        try:
            X = parse_csv(path.read_text(encoding="utf-8-sig"), source)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected UTF-8 text, got other bytes: save the file as UTF-8.") from error
    else:
        arrays = [*load_numpy(path.read_bytes(), str(path)).values()]
        if not arrays:
            raise ValueError(f"{path} cannot be read as a NumPy file: it contains no array.")
        X = np.asarray(arrays[0])
    if image_shape is not None and X.shape[1:] == image_shape:
        X = X.reshape(len(X), -1)
    return X


def parse_csv(text: str, source: str) -> np.ndarray:
    r"""Return the numbers of CSV; a first line without any number is a header.

    >>> parse_csv("x,y\n1,2\n3,4\n", "points.csv")
    array([[1., 2.],
           [3., 4.]])
    """
    lines = text.removeprefix("\ufeff").splitlines()
    skip = next((i for i, line in enumerate(lines) if line.strip()), len(lines))  # empty lines at the top
    header = skip < len(lines) and not any(map(_is_number, next(csv.reader([lines[skip]]))))
    body = lines[skip + header :]
    if not any(line.strip() for line in body):
        raise ValueError(f"{source}: expected rows of numbers, got {'only a header' if header else 'nothing'}.")
    try:
        return np.loadtxt(body, delimiter=",", ndmin=2, comments=None, quotechar='"')
    except ValueError as error:
        raise ValueError(_first_error(body, source, skip + header + 1) or f"{source}: {error}") from error


def _first_error(lines: list[str], source: str, first: int) -> str | None:
    """Describe the first invalid line, with its number in the file."""
    columns = 0
    for number, line in enumerate(lines, first):
        fields = next(csv.reader([line]), [])
        columns = columns or len(fields)
        if fields and len(fields) != columns:
            return f"{source}, line {number}: expected {columns} columns as in the lines before, got {len(fields)}."
        for column, field in enumerate(fields, 1):
            if not _is_number(field):
                return (
                    f"{source}, line {number}, column {column}: expected a number, got {field!r}: "
                    "the file must contain only numbers, separated by commas."
                )
    return None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
