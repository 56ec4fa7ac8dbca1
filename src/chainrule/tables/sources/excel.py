"""Excel workbooks: one sheet as a table, with the header found as in CSV."""

from __future__ import annotations

import logging
from typing import Any

from chainrule._internal.extras import require
from chainrule._internal.names import did_you_mean
from chainrule.pages.formatting import rows as counted
from chainrule.tables import layout, unpacking
from chainrule.tables._polars import first_line, pl
from chainrule.tables.delimited import Options
from chainrule.tables.formats import Format
from chainrule.tables.frames import without
from chainrule.tables.sources.excel_size import sheet_sizes, unpacked_size


def parse(content: bytes, name: str, given: Options) -> tuple[Any, list[str], Format]:
    """Return the table in a sheet of a workbook, notes, and its format.

    Raises
    ------
    ValueError
        If the workbook is corrupt or encrypted, or has no such sheet.
    ImportError
        If fastexcel is not installed.
    """
    fastexcel = require("fastexcel", "sources")
    logging.getLogger("fastexcel").addHandler(logging.NullHandler())  # it says which columns are empty
    _check_size(content, name)
    try:
        book = fastexcel.read_excel(content)
        sheet = _sheet(book.sheet_names, given, name)
        head = _loaded(book, sheet, 0, n_rows=given.lines + layout.SAMPLE, dtypes="string")
        rows = [[(cell or "").strip() for cell in row] for row in head.rows()]
        used = _used(rows)
        rows = [[row[i] for i in used] for row in rows]
        at, header, notes = _header(rows, given)
        body = _body(book, sheet, at + header, used, fastexcel.FastExcelError)
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{name} is corrupt: it cannot be read as an Excel workbook ({first_line(error)}).") from None
    if len(rows) <= at:
        raise ValueError(f"{name}: the sheet {sheet!r} is empty: expected a table with a header and rows.")
    names = rows[at] if header else [""] * len(rows[at])
    frame = _tidy(body, names, given)
    said = [f"Excel, the sheet {sheet!r}", *notes]
    if others := [repr(other) for other in book.sheet_names if other != sheet]:
        said.insert(1, f"other sheets of the workbook, which --sheet chooses: {', '.join(others)}")
    told = str(given.sheet) if given.sheet is not None else given.schema.format.sheet if given.schema else ""
    form = Format(header=header, missing=given.missing, skip=given.lines, sheet=told)
    return frame, said, form


def _loaded(book: Any, sheet: str, skip: int, **options: Any) -> pl.DataFrame:
    return pl.DataFrame(book.load_sheet(sheet, header_row=None, skip_rows=skip, **options))


def _body(book: Any, sheet: str, skip: int, used: list[int], refused: type[Exception]) -> pl.DataFrame:
    """Return the rows below the header; a column of types that do not go together is read as text."""
    try:
        return _loaded(book, sheet, skip, schema_sample_rows=None, use_columns=used)
    except refused:
        columns = []
        for i in used:
            try:
                columns.append(_loaded(book, sheet, skip, schema_sample_rows=None, use_columns=[i]).to_series())
            except refused:
                columns.append(_loaded(book, sheet, skip, dtypes="string", use_columns=[i]).to_series())
        return pl.DataFrame([values.alias(str(i)) for i, values in enumerate(columns)])


def _used(rows: list[list[str]]) -> list[int]:
    """Return the columns with a value in a row that is not a title: a title has one value, beside a wider table."""
    wide = [row for row in rows if sum(map(bool, row)) > 1] or rows
    return [i for i in range(len(rows[0]) if rows else 0) if any(row[i] for row in wide)]


def _check_size(content: bytes, name: str) -> None:
    try:
        most = unpacking.limit(len(content))
        unpacking.check(unpacked_size(content, most), len(content), name)
        unpacking.check(sheet_sizes(content, most), len(content), name)
    except unpacking.TooLargeError:
        raise
    except unpacking.BROKEN as error:
        raise ValueError(f"{name} is corrupt: it cannot be read as an Excel workbook ({error}).") from None


def _sheet(names: list[str], given: Options, name: str) -> str:
    """Return the name of the wanted sheet, which is given by its name or its number from 1; by default the first."""
    if not names:
        raise ValueError(f"{name} has no sheet.")
    wanted = given.sheet if given.sheet is not None else given.schema.format.sheet if given.schema else ""
    if wanted in names:
        return str(wanted)
    if wanted == "":
        return names[0]
    if str(wanted).isdecimal() and 1 <= int(wanted) <= len(names):
        return names[int(wanted) - 1]
    hint = did_you_mean(str(wanted), names).replace("Known:", "It has:")
    raise ValueError(f"--sheet: {name} has no sheet {wanted!r}. {hint}")


def _header(rows: list[list[str]], given: Options) -> tuple[int, bool, list[str]]:
    """Return the number of rows above the header or the first row, whether there is a header, and notes."""
    filled = [i for i, row in enumerate(rows) if i >= given.lines and any(row)]
    if not filled:
        return len(rows), False, []
    known, schema = [rows[i] for i in filled], given.schema
    notes = [f"skipped the first {counted(given.lines, 'line')}"] if given.lines else []
    if given.header is not False and (titles := layout.titles(known)):
        notes.append(f"skipped {counted(titles)} above the header: {', '.join(repr(row[0]) for row in known[:titles])}")
        filled, known = filled[titles:], known[titles:]
    expected = {*(given.expected or ())}
    header = given.header
    if schema is not None:
        expected = {column.name for column in (*schema.columns, *schema.targets)}
        header = bool(expected & {*known[0]}) if header is None and not schema.format.header else header
    if header is None:
        header = layout.has_header(known, expected)
    return filled[0], header, notes


def _tidy(body: Any, names: list[str], given: Options) -> Any:
    """Return the rows with names, without empty rows and columns, and with missing values and times recognized."""
    made = []
    for i, values in enumerate(body):
        name = names[i] if i < len(names) else ""
        is_time = isinstance(values.dtype, pl.Datetime) and (values.dt.year() < 1900).all()  # without a day
        tidy = values.str.strip_chars() if values.dtype == pl.String else values.dt.time() if is_time else values
        if name or values.null_count() < len(values):
            made.append(tidy.alias(name or f"column_{i + 1}"))
    if len({values.name for values in made}) < len(made):
        twice = next(n for n in names if names.count(n) > 1)
        raise ValueError(f"duplicate column name {twice!r} in the sheet: rename one.")
    frame = without(pl.DataFrame(made), given.missing)
    return frame.filter(~pl.all_horizontal(pl.all().is_null())) if frame.width else frame
