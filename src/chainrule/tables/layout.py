"""The layout of CSV: its delimiter, the lines before the header, and the rows between the header and the data."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from chainrule.pages.formatting import rows as counted
from chainrule.tables.formats import MISSING, NOTHING, Format
from chainrule.tables.units import is_known

DELIMITERS = (",", ";", "\t", "|")
SAMPLE = 200  # rows examined
CSV_FIELD = 2**24  # characters
HEADERS = 2  # rows under the header that may not be data
UNITS = {"m/s", "km/h", "mph", "°C", "°F", "C", "V", "A", "Pa", "hPa", "bar", "N", "J"}  # besides those in units.py
_BRACKETS = re.compile(r"[(\[{].*[)\]}]", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_SEPARATOR = re.compile(r'"?sep=(.)"?[,;|\t]*\r?\n', re.IGNORECASE)


class Layout(NamedTuple):
    """A text from its header on, and its layout."""

    text: str
    delimiter: str
    rows: list[list[str]]  # the first rows, with the header if there is one
    header: bool
    below: int  # rows between the header and the data
    short: bool  # whether the header lacks one name
    skipped: int  # lines before the header
    notes: tuple[str, ...]


def find(
    text: str,
    name: str,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    expected: Iterable[str] | None = None,
    known: Format | None = None,
) -> Layout:
    r"""Return the layout of a text; ``known`` is the format of the file used in training.

    >>> found = find("Sales 2024;;\n;;\na;b;c\nm;kg;s\n1;2;3\n4;5;6\n7;8;9\n", "t.csv")
    >>> found.rows[:2], found.skipped, found.below
    ([['a', 'b', 'c'], ['1', '2', '3']], 2, 1)
    """
    notes = []
    skipped = 0
    if told := _SEPARATOR.match(text):
        delimiter = delimiter or told[1]
        text, skipped = text[told.end() :], 1
        notes.append(f'delimiter set by the line "sep={told[1]}"')
    expected = None if expected is None else set(expected)
    chosen = delimiter or _as_known(text, known, expected) or _delimiter(text)
    rows = _sample(text, chosen)
    if header is not False and (above := titles(rows)):
        lines, text = after(text, chosen, above)
        notes.append(
            f"skipped {counted(above, 'line')} before the header: {', '.join(repr(row[0]) for row in rows[:above])}"
        )
        skipped, rows = skipped + lines, rows[above:]
    if header is None and known is not None and not known.header:
        header = bool(expected and expected & set(rows[0]))
    if header is None:
        header = has_header(rows, expected)
    below, short = 0, header and _names_rows(rows, text, chosen, name)
    if short:
        rows[0] = ["", *rows[0]]
        notes.append("the header lacks one name: the first column is read as row names, as written by R")
    if header and (below := _rows_below(rows)):
        shown = ", ".join(repr(field[:20]) for field in rows[1][:3])
        notes.append(
            f"skipped {counted(below)} under the header (words over columns of numbers, such as units): {shown}, ..."
        )
        del rows[1 : 1 + below]
    return Layout(text, chosen, rows, header, below, short, skipped, tuple(notes))


def _sample(text: str, delimiter: str) -> list[list[str]]:
    """Return the first non-empty rows."""
    csv.field_size_limit(CSV_FIELD)
    rows = []
    try:
        for row in csv.reader(io.StringIO(text[: 2**22], newline=""), delimiter=delimiter, skipinitialspace=True):
            if any(field.strip() for field in row):
                rows.append([field.strip() for field in row])
            if len(rows) == SAMPLE:
                return rows
    except csv.Error:
        pass
    if len(text) > 2**22 and len(rows) > 1:
        rows.pop()  # incomplete
    return rows or [[""]]


def _as_known(text: str, known: Format | None, expected: set[str] | None) -> str | None:
    """Return the delimiter of the training file, if it fits this text."""
    if known is None or not known.delimiter:
        return None
    first = _sample(text[: text.find("\n") + 1] or text, known.delimiter)[0]
    return known.delimiter if (expected and expected & set(first)) or (not known.header and len(first) > 1) else None


def _delimiter(text: str) -> str:
    """Return the delimiter that gives most rows the same number of fields; ties go to the one with more fields."""

    def rank(delimiter: str) -> tuple[float, int]:
        counts = Counter(len(row) for row in _sample(text, delimiter))
        fields, rows = max(counts.items(), key=lambda item: (item[0] > 1, item[1]))
        return (rows / counts.total() if fields > 1 else 0.0, fields)

    return max((d for d in DELIMITERS if d in text), key=rank, default=DELIMITERS[0])


def titles(rows: list[list[str]]) -> int:
    """Return the number of title rows before the header: one text each, padded with delimiters."""
    width = len(rows[0])
    for count, row in enumerate(rows[:-1]):
        if len(row) != width or width < 2:
            return 0
        if row[0] and not any(row[1:]) and not _is_number(row[0]):
            continue
        names = all(row) and not any(map(_is_number, row))
        return count if names else 0
    return 0


def after(text: str, delimiter: str, rows: int) -> tuple[int, str]:
    """Return the number of lines that the first ``rows`` non-empty rows take, and the text after them."""
    file = io.StringIO(text, newline="")
    reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
    for row in reader:
        rows -= any(field.strip() for field in row)
        if not rows:
            break
    lines = text.splitlines(keepends=True)
    end = reader.line_num
    while end < len(lines) and not lines[end].strip(f"{delimiter}\r\n "):
        end += 1
    return end, "".join(lines[end:])


def has_header(rows: list[list[str]], expected: set[str] | None) -> bool:
    """Return whether the first row is a header: no numbers in it, and numbers or other values below it."""
    first, rest = rows[0], rows[1:]
    if expected and expected & set(first):
        return True
    if any(map(_is_number, first)) or not any(first):
        return False
    if not rest:
        return True
    columns = list(zip(*(row for row in rest if len(row) == len(first)), strict=True))
    numeric = any(_numeric(column) for column in columns)
    return numeric or not any(name in set(column) for name, column in zip(first, columns, strict=False))


def _names_rows(rows: list[list[str]], text: str, delimiter: str, source: str) -> bool:
    """Return whether the header lacks one name, as written by R; refuse rows with one delimiter too many."""
    names, *rest = rows
    one_more = len(names) > 1 and len(rest) > 1 and all(len(row) == len(names) + 1 and row[0] for row in rest)
    if not one_more or not any(row[-1] for row in rest):  # otherwise each line ends with a delimiter
        return False
    first = [row[0] for row in rest]
    numbers = [int(field) for field in first if re.fullmatch(r"\d{1,18}", field)]
    own = len(set(first)) == len(first) and numbers in ([], sorted(numbers))
    if not own or _one_is_spaced(text, delimiter):
        raise ValueError(
            f"{source}, line 2: expected {len(names)} fields as in the first line, got {len(names) + 1}: put texts "
            'that contain the delimiter in quotes ("..."), or name the first column in the header.'
        )
    return True


def _one_is_spaced(text: str, delimiter: str) -> bool:
    """Return whether a space follows some delimiters of every row, but not others, as in Paris, France."""
    rows = list(islice(csv.reader(io.StringIO(text[: 2**16], newline=""), delimiter=delimiter), 1, 20))
    spaced = [all(field.startswith(" ") for field in column) for column in zip(*rows, strict=False)][1:]
    return any(spaced) and not all(spaced)


def _rows_below(rows: list[list[str]]) -> int:
    """Return the number of rows under the header with words, such as units, where all later rows have numbers."""
    for below in range(1, HEADERS + 1):
        extra, body = rows[1 : 1 + below], [row for row in rows[1 + below :] if len(row) == len(rows[0])]
        if len(body) < HEADERS or any(len(row) != len(rows[0]) for row in extra):
            return 0
        numeric = [i for i, column in enumerate(zip(*body, strict=True)) if _numeric(column)]
        if numeric and all(_are_words([row[i] for i in numeric]) for row in extra):
            return below
    return 0


def _are_words(fields: list[str]) -> bool:
    """Return whether fields form a second header: several words and no numbers, or a unit."""
    words = [field for field in fields if field.lower() not in MISSING]
    if any(map(_is_number, words)) or any(field in NOTHING[1:] for field in fields):
        return False
    unit = any(word in UNITS or is_known(word) or _BRACKETS.fullmatch(word) for word in words)
    return unit or (len(words) > 1 and 2 * len(words) >= len(fields) and len(set(words)) > 1)


def _is_number(field: str) -> bool:
    return _NUMBER.fullmatch(field) is not None or _COMMA.fullmatch(field) is not None


def _numeric(column: Sequence[str]) -> bool:
    values = [field for field in column if field not in NOTHING]
    return bool(values) and all(map(_is_number, values))
