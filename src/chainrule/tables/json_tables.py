"""JSON as pandas writes it: one object that holds a table by columns, by rows, or split."""

from __future__ import annotations

import json
import re
from typing import Any

from chainrule.tables._polars import first_line, pl


def parse(content: bytes, name: str) -> tuple[Any, str] | None:  # noqa: PLR0911  (one per orientation)
    """Return the table in one JSON object and its orientation, or None for anything else.

    >>> parse(b'{"a": {"0": 1, "2": 2}, "b": {"0": "x", "2": null}}', "t.json")[0].rows()
    [(1, 'x'), (2, None)]
    >>> parse(b'{"a": 1}', "t.json")
    """
    if re.search(rb"\}\s*\n\s*\{", content):
        return None  # JSON lines
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or not data:
        return None
    columns, rows, fields = data.get("columns"), data.get("data"), data.get("schema")
    if isinstance(columns, list) and isinstance(rows, list) and data.keys() <= {"columns", "index", "data"}:
        names = [str(column) for column in columns]
        if len(set(names)) < len(names) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
            raise ValueError(f"{name} cannot be read as a table in JSON: columns repeat, or rows differ in length.")
        return _frame([dict(zip(names, row, strict=True)) for row in rows], name), "split"
    if isinstance(fields, dict) and isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        keys = fields.get("primaryKey")
        index = set(keys if isinstance(keys, list) else [])
        return _frame([{n: v for n, v in row.items() if n not in index} for row in rows], name), "table"
    outer, inner = list(data), list(next(iter(data.values()))) if isinstance(next(iter(data.values())), dict) else []
    if not inner or any(not isinstance(v, dict) or v.keys() != data[outer[0]].keys() for v in data.values()):
        return None
    if all(map(str.isdigit, outer)) and not all(map(str.isdigit, inner)):
        return _frame(list(data.values()), name), "index"
    return _frame([{column: data[column][row] for column in outer} for row in inner], name), "columns"


def _frame(rows: list[dict[str, Any]], name: str) -> Any:
    try:
        return pl.DataFrame(rows, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} cannot be read as a table in JSON: {first_line(error)}.") from None
