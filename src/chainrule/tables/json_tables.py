"""JSON as pandas writes it: a table in one object, by columns, by rows, or split."""

from __future__ import annotations

import json
from typing import Any

from chainrule._extras import require


def parse(content: bytes, name: str) -> tuple[Any, str] | None:  # noqa: PLR0911  (one for each orientation)
    """Return the table that is one JSON object, and its orientation; None if it is anything else.

    >>> parse(b'{"a": {"0": 1, "2": 2}, "b": {"0": "x", "2": null}}', "t.json")[0].rows()
    [(1, 'x'), (2, None)]
    >>> parse(b'{"a": 1}', "t.json")
    """
    if content.count(b"\n", 0, len(content.rstrip())) and b"}\n{" in content.replace(b"\r", b""):
        return None  # JSON lines
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or not data:
        return None
    if data.keys() <= {"columns", "index", "data"} and isinstance(data.get("data"), list) and "columns" in data:
        rows = [dict(zip(map(str, data["columns"]), row, strict=False)) for row in data["data"]]
        return _frame(rows, name), "split"
    if data.keys() == {"schema", "data"} and isinstance(data["data"], list):
        names = [field["name"] for field in data["schema"]["fields"]]
        keys = set(data["schema"].get("primaryKey", ()))
        return _frame([{n: row.get(n) for n in names if n not in keys} for row in data["data"]], name), "table"
    outer, inner = list(data), list(next(iter(data.values()))) if isinstance(next(iter(data.values())), dict) else []
    if not inner or any(not isinstance(v, dict) or v.keys() != data[outer[0]].keys() for v in data.values()):
        return None
    if all(map(str.isdigit, outer)) and not all(map(str.isdigit, inner)):
        return _frame(list(data.values()), name), "index"
    return _frame([{column: data[column][row] for column in outer} for row in inner], name), "columns"


def _frame(rows: list[dict[str, Any]], name: str) -> Any:
    polars = require("polars", "tables")
    try:
        return polars.DataFrame(rows, infer_schema_length=None)
    except (polars.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} cannot be read as a table in JSON: {str(error).splitlines()[0][:200]}.") from None
