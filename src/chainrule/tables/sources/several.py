"""Several files with the same columns as one table: a folder, or a pattern such as ``sales/*.parquet``."""

from __future__ import annotations

import csv
import glob
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.tables import delimited, layout
from chainrule.tables._polars import pl
from chainrule.tables.formats import is_table
from chainrule.tables.frames import plain
from chainrule.tables.sources import remote
from chainrule.tables.sources.names import is_pattern, is_remote_pattern, is_several

SHOWN = 5  # names in a sentence


class Part(NamedTuple):
    """The content of a file, unpacked and checked; ``kind`` is its format."""

    content: bytes
    kind: str
    name: str
    notes: list[str]
    sha256: str
    plain: bool = False  # whether polars alone can read the file


def files(source: str) -> list[str]:
    """Return the files of a source, sorted by name: those of a folder or a pattern, or the source itself.

    In a folder, names that start with a dot or an underscore are left out, as are those that are not of tables.

    Raises
    ------
    FileNotFoundError
        If there is no table.
    """
    if not is_several(source):
        return [source]
    if is_remote_pattern(source):
        return remote.files(source)
    if is_pattern(source):
        found = sorted(name for name in glob.glob(source, recursive=True) if Path(name).is_file())  # noqa: PTH207  (with a folder)
        if not found:
            raise FileNotFoundError(f"no file fits the pattern {source}.")
        return found
    inside = sorted(Path(source).iterdir())
    found = [str(path) for path in inside if path.is_file() and path.name[0] not in "._" and is_table(path.name)]
    if not found:
        below = next((path for path in inside if path.is_dir()), None)
        hint = f" To read its subfolders, give a pattern such as '{source.rstrip('/')}/*/*.csv'." if below else ""
        raise FileNotFoundError(f"the folder {source} has no table, such as a .csv or .parquet file.{hint}")
    return found


def joined(
    source: str,
    parts: Sequence[Part],
    parse: Callable[[Part, delimited.Options], delimited.Parsed],
    given: delimited.Options,
) -> delimited.Parsed:
    """Return the table in several files; ``parse`` returns that in one.

    Texts are joined before they are read, so that all files count when the notation of a column is detected.
    """
    kinds = {part.kind: part.name for part in reversed(parts)}
    if len(kinds) > 1:
        (one, a), (other, b), *_ = kinds.items()
        raise ValueError(
            f"{source} mixes formats: {a} is {one}, {b} is {other}. Give a pattern for one of them, such as '*.csv'."
        )
    note = f"{len(parts):,} files: {_listed([Path(part.name).name for part in parts])}"
    if parts[0].kind == "text":
        content, told = _one_text(parts, given)
        parsed = delimited.parse(content, source, told)
        form = replace(parsed.format, skip=given.lines, encoding=given.codec)
        return parsed._replace(notes=[*parsed.notes, note], format=form, reads="")
    found = [parse(part, given) for part in parts]
    frames: list[Any] = [parsed.frame for parsed in found]
    first = frames[0]
    for part, frame in zip(parts, frames, strict=True):
        _check_same(first.columns, frame.columns, parts[0].name, part.name)
    tables = [plain(frame.select(first.columns)) for frame in frames]
    for part, table in zip(parts, tables, strict=True):
        for name, kind in table.schema.items():
            if not _goes_with(ours := tables[0].schema[name], kind):
                raise ValueError(
                    f"{part.name}: the column {name!r} is {kind}, but it is {ours} in {parts[0].name}: expected the "
                    "same type in all files."
                )
    frame = pl.concat(tables, how="vertical_relaxed")
    return found[0]._replace(frame=frame, notes=[*found[0].notes, note], reads="")


def _goes_with(ours: Any, theirs: Any) -> bool:
    return ours == theirs or pl.Null in (ours, theirs) or bool(ours.is_numeric() and theirs.is_numeric())


def _one_text(parts: Sequence[Part], given: delimited.Options) -> tuple[bytes, delimited.Options]:
    """Return the rows of all files under the header of the first, and how to read them."""
    texts: list[str] = []
    head: layout.Layout | None = None
    for part in parts:
        if head is not None:  # all have a header, or none
            expected = None if not head.header else [name for name in head.rows[0] if name]
            given = given._replace(header=head.header, expected=expected)
        found = delimited.laid_out(part.content, part.name, given)[0]
        if head is None:
            head, text = found, found.text
        else:
            if head.header:
                _check_same(head.rows[0], found.rows[0], parts[0].name, part.name)
            elif len(head.rows[0]) != len(found.rows[0]):
                raise ValueError(
                    f"{part.name} has {len(found.rows[0])} columns, but {parts[0].name} has {len(head.rows[0])}: "
                    "expected the same columns in all files."
                )
            text = layout.after(found.text, found.delimiter, 1 + found.below)[1] if head.header else found.text
            if (found.delimiter, found.rows[0]) != (head.delimiter, head.rows[0]) and head.header:
                text = _in_order(text, found, head)
        texts.append(text if text.endswith("\n") or not text else f"{text}\n")
    assert head is not None  # noqa: S101
    told = given._replace(delimiter=head.delimiter, header=head.header, skip=0, encoding="utf_8")
    return "".join(texts).encode(), told


def _in_order(text: str, found: layout.Layout, head: layout.Layout) -> str:
    """Return rows with the columns in the order of the first file, and its delimiter."""
    places = [found.rows[0].index(name) for name in head.rows[0]]
    file = io.StringIO()
    writer = csv.writer(file, delimiter=head.delimiter, lineterminator="\n")
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=found.delimiter, skipinitialspace=True):
        if any(field.strip() for field in row):
            writer.writerow([row[at] if at < len(row) else "" for at in places])
    return file.getvalue()


def _check_same(ours: Sequence[str], theirs: Sequence[str], first: str, name: str) -> None:
    for one, other, has, lacks in ((ours, theirs, first, name), (theirs, ours, name, first)):
        if left := [column for column in one if column not in other]:
            raise ValueError(
                f"{lacks} has no column {_listed([repr(column) for column in left])}, which {has} has: expected the "
                "same columns in all files."
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
