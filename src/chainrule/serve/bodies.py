"""The bodies of requests and answers: rows in JSON or CSV, and predictions in either."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple, NoReturn

from chainrule.pages.formatting import rows as counted
from chainrule.serve.bounds import RefusedError, shortened
from chainrule.tables.schema import Schema

SHAPE = 'expected {"rows": [...]}, a list of rows, or one row such as {"age": 41}'
LONGEST = 100_000  # characters of a value in CSV
UNKNOWN = 100  # names that are not columns of the table


class Request(NamedTuple):
    """The body of a request, and how it asks for predictions."""

    body: bytes
    is_csv: bool = False
    interval: float | None = None
    wants_csv: bool = False
    label: str | None = None


def read(request: Request, schema: Schema, most: int) -> tuple[Any, int, float | None]:
    """Return the rows of a request, at most so many, their number, and the share of intervals."""
    try:
        text = request.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"the body is not UTF-8 text (byte {error.start + 1:,}).") from None
    interval, rows = request.interval, None  # type: float | None, Any
    if request.is_csv:
        rows, count = _columns(text, schema, most)
        _check_names(rows, schema)
    else:
        given = _parsed(text)
        if isinstance(given, dict) and isinstance(given.get("rows"), list):
            if unknown := given.keys() - {"rows", "interval"}:
                raise RefusedError(400, f'expected "rows" and "interval", got {shortened(min(unknown))!r} beside them.')
            given, interval = given["rows"], given.get("interval", interval)
        rows = [given] if isinstance(given, dict) else given
        count = _checked(rows, most)
        _check_names(set().union(*rows), schema)
    if interval is not None and schema.task != "regression":
        raise RefusedError(400, f"interval: {schema.target!r} is not a number. Its probabilities are in every answer.")
    return rows, count, interval


def _refuse(name: str) -> NoReturn:
    raise RefusedError(400, f"{name} is not JSON: write null for a missing value.")


DECODER = json.JSONDecoder(parse_constant=_refuse)


def _parsed(text: str) -> Any:
    try:
        given = DECODER.decode(text)
        if "\\u" in text:  # an escape may be half of a character
            json.dumps(given, ensure_ascii=False).encode()
    except RecursionError:
        raise RefusedError(400, f"the JSON is nested too deeply: {SHAPE}.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RefusedError(400, f"the body is not JSON ({error.msg}, {where}): {SHAPE}.") from None
    except UnicodeEncodeError:
        raise RefusedError(400, "the JSON has an escape that is half of a character (a lone surrogate).") from None
    except ValueError:
        raise RefusedError(400, "the JSON has an integer of more digits than Python reads.") from None
    return given


def _checked(rows: Any, most: int) -> int:
    """Return the number of rows, which must be objects."""
    if not isinstance(rows, list):
        raise RefusedError(400, f"{SHAPE}, got {_kind(rows)}.")
    _check_count(len(rows), most)
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise RefusedError(400, f"row {i + 1} is {_kind(row)}: expected an object of values.", row=i + 1)
    return len(rows)


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise RefusedError(
            413, f"more than {counted(most)} in one request: send at most {most:,} at a time.", rows=count
        )


def _check_names(names: Iterable[str], schema: Schema) -> None:
    """Refuse rows with many names that are not columns: each would be a column of the request."""
    unknown = set(names).difference(column.name for column in (*schema.columns, *schema.targets))
    if len(unknown) > UNKNOWN:
        some = ", ".join(repr(shortened(name)) for name in sorted(unknown)[:3])
        raise RefusedError(400, f"{len(unknown):,} names are not columns of the table: {some}, ...")


def _kind(value: Any) -> str:
    known = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return known.get(type(value), "null")


def _columns(text: str, schema: Schema, most: int) -> tuple[dict[str, list[str | None]], int]:
    """Return the columns of a CSV text with a header, and the number of rows."""
    own = schema.format.delimiter
    delimiter = own if own and own in text.partition("\n")[0] else ","
    lines = filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    try:
        header = next(lines, None)
        rows = [*islice(lines, most + 1)]
    except csv.Error as error:
        raise RefusedError(400, f"the body is not CSV: {error}.") from None
    if any(len(value) > LONGEST for row in (header or [], *rows) for value in row):  # csv's own limit is the process's
        raise RefusedError(400, f"the body is not CSV: a value is longer than {LONGEST:,} characters.")
    if header is None:
        raise RefusedError(400, "the body is empty: expected CSV with a header.")
    if len(set(header)) < len(header):
        raise RefusedError(400, "the header has duplicate column names: rename them.")
    _check_count(len(rows), most)
    for i, row in enumerate(rows):
        if len(row) != len(header):
            raise RefusedError(400, f"row {i + 1} has {len(row)} values, but the header has {len(header)}.", row=i + 1)
    missing = {"", *schema.format.missing}
    columns = zip(*rows, strict=True) if rows else [() for _ in header]
    return {n: [None if v in missing else v for v in c] for n, c in zip(header, columns, strict=True)}, len(rows)


def written(entries: list[dict[str, Any]], notes: Iterable[str], schema: Schema, *, as_csv: bool) -> bytes:
    """Return predictions as JSON, or as CSV without the notes."""
    if not as_csv:
        answer = {"predictions": entries, "notes": [shortened(note) for note in notes]}
        return json.dumps(answer, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    flat = _flat if len(schema.targets) == 1 else _flat_labels if schema.task == "multilabel" else _flat_numbers
    rows = [flat(entry) for entry in entries]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([rows[0], *(row.values() for row in rows)])
    return text.getvalue().encode("utf-8", "replace")


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a prediction as cells, under the names that ``chainrule predict`` gives them.

    >>> _flat({"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}})
    {'prediction': 'yes', 'p_no': 0.25, 'p_yes': 0.75}
    """
    cells = {name: value for name, value in entry.items() if name != "probabilities"}
    return cells | {f"p_{name}": p for name, p in entry.get("probabilities", {}).items()}


def _flat_numbers(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the same for several numbers.

    >>> _flat_numbers({"price": {"prediction": 9.5}, "rent": {"prediction": 0.5}})
    {'prediction_price': 9.5, 'prediction_rent': 0.5}
    """
    parts = next(iter(entry.values()))
    return {f"{part}_{name}": one[part] for part in parts for name, one in entry.items()}


def _flat_labels(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the same for several labels.

    >>> _flat_labels({"late": {"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}})
    {'prediction_late': 'yes', 'p_late': 0.75}
    """
    chosen = {f"prediction_{name}": label["prediction"] for name, label in entry.items()}
    return chosen | {f"p_{name}": [*label["probabilities"].values()][1] for name, label in entry.items()}
