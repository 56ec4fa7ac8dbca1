"""The description of a service: its columns in JSON, its interface as OpenAPI and as a page."""

from __future__ import annotations

import json
import re
import shlex
from html import escape
from typing import Any

from chainrule._version import __version__
from chainrule.serve.bounds import Bounds
from chainrule.tables.schema import Column, Schema

KINDS = {"many": "category", "yes/no": "category"}  # others keep their names
ERRORS = {
    400: "Not JSON or CSV, or not rows.",
    408: "The body did not arrive in time.",
    413: "Too many rows, or too large a body.",
    415: "Neither JSON nor CSV.",
    422: "A required column is missing, or a value does not fit its column: the answer names both.",
    503: "Too many requests at once, or no answer in time.",
}


def describe(schema: Schema) -> dict[str, Any]:
    """Return the target and the columns of a table, and a row of typical values.

    >>> died = Column("died", "yes/no", categories=("no", "yes"))
    >>> age = Column("age", "number", low=0.0, high=99.0, typical=41.0)
    >>> schema = Schema((age,), (died,), "binary", ("no", "yes"))
    >>> about = describe(schema)
    >>> about["classes"], about["columns"][0]["high"], about["example"]
    (['no', 'yes'], 99, {'age': 41})
    """
    columns = [_column(column) for column in schema.used]
    labels = {column.name: list(column.categories) for column in schema.targets}
    return {
        "target": schema.target,
        "task": schema.task,
        **({"classes": list(schema.classes)} if schema.classes else {}),
        **({"labels": labels} if schema.task == "multilabel" else {}),
        **({"numbers": [*labels]} if schema.task == "regression" and len(labels) > 1 else {}),
        "columns": columns,
        "example": {column["name"]: column["typical"] for column in columns},
    }


def _column(column: Column) -> dict[str, Any]:
    numbers = column.read_as in ("whole", "number")
    typical, low, high = (_plain(end) if numbers else end for end in (column.typical, column.low, column.high))
    return {
        "name": column.name,
        "kind": KINDS.get(column.kind, column.kind),
        "required": not column.optional,
        "typical": typical,
        **({} if low is None else {"low": low, "high": high}),
        **({"categories": list(column.categories)} if column.categories else {}),
        **({"format": column.date_format} if column.date_format else {}),
        **({"unit": column.notation.unit} if column.notation.unit else {}),
    }


def _plain(value: float | str | None) -> Any:
    """Return a number, or the text of one, as an integer where it is one.

    >>> _plain(3.0), _plain("2.5"), _plain("2020-01-01")
    (3, 2.5, '2020-01-01')
    """
    try:
        number = float(value or 0)
    except ValueError:
        return value
    return None if value is None else int(number) if number.is_integer() else number


def openapi(about: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
    """Return the interface in OpenAPI 3.1, for a table as described."""
    row = {
        "type": "object",
        "properties": {column["name"]: _property(column) for column in about["columns"]},
        "required": [column["name"] for column in about["columns"] if column["required"]],
        "example": about["example"],
    }
    rows = {"type": "array", "items": _ref("Row"), "maxItems": bounds.rows}
    asked = {
        "type": "object",
        "properties": {"rows": rows, "interval": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}},
        "required": ["rows"],
    }
    answer = {
        "type": "object",
        "properties": {
            "predictions": {"type": "array", "items": _prediction(about)},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["predictions", "notes"],
    }
    error = {
        "type": "object",
        "properties": {"error": {"type": "string"}, "field": {"type": "string"}, "row": {"type": "integer"}},
        "required": ["error"],
    }
    number = {"type": "number"}
    of_column = {"column": {"type": "string"}, "contribution": number, "standard_error": number}
    explained = {
        "about": {"type": "string"},
        "base": number,
        "prediction": number,
        "exact": {"type": "boolean"},
        "contributions": {"type": "array", "items": {"type": "object", "properties": of_column}},
        "notes": {"type": "array", "items": {"type": "string"}},
    }
    explanation = {"type": "object", "properties": explained, "required": [*explained]}
    any_rows = {"oneOf": [_ref("Row"), rows, asked]}
    text = {"text/csv": {"schema": {"type": "string"}}}
    responses = {
        "200": {"description": "A prediction for each row.",
                "content": {"application/json": {"schema": _ref("Answer")}, **text}},
    } | {
        str(status): {"description": said, "content": {"application/json": {"schema": _ref("Error")}}}
        for status, said in ERRORS.items()
    }  # fmt: skip
    post = {
        "summary": f"Predict {about['target']} for one row or many.",
        "requestBody": {"required": True, "content": {
            "application/json": {"schema": any_rows, "example": {"rows": [about["example"]]}}, **text}},
        "responses": responses,
    }  # fmt: skip
    explain = {
        "summary": f"Contributions of the columns to the prediction of {about['target']} for one row.",
        "parameters": [{"name": "label", "in": "query", "required": False, "schema": {"type": "string"},
                        "description": "The class or label whose probability is explained, or a number."}],
        "requestBody": {"required": True, "content": {
            "application/json": {"schema": _ref("Row"), "example": about["example"]}, **text}},
        "responses": {**responses, "200": {"description": "Shapley values: base + contributions = prediction.",
                                           "content": {"application/json": {"schema": _ref("Explanation")}}}},
    }  # fmt: skip
    gets = {
        "/schema": ("The columns, and a row of typical values.", "application/json"),
        "/health": ("Whether the service answers.", "application/json"),
        "/metrics": ("Counts in the text format of Prometheus.", "text/plain"),
        "/openapi.json": ("This interface.", "application/json"),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Predictions of {about['target']}", "version": __version__},
        "paths": {
            "/predict": {"post": post},
            "/explain": {"post": explain},
            **{
                path: {"get": {"summary": said, "responses": {"200": {"description": said, "content": {kind: {}}}}}}
                for path, (said, kind) in gets.items()
            },
        },
        "components": {"schemas": {"Row": row, "Answer": answer, "Explanation": explanation, "Error": error}},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _property(column: dict[str, Any]) -> dict[str, Any]:
    """Return a column as a property: any value may be missing, and numbers may be texts as in the table."""
    types = ["string", "null"] if column["kind"] in ("date", "text") else ["string", "number", "boolean", "null"]
    return {"type": types, "description": said_of(column), "examples": column.get("categories", [column["typical"]])}


def said_of(column: dict[str, Any]) -> str:
    """Return the values that a column takes, in words.

    >>> said_of({"kind": "number", "required": True, "low": 0, "high": 99, "unit": "kg"})
    'number in kg, 0 to 99 in training'
    """
    unit = f" in {column['unit']}" if "unit" in column else ""
    written = f" written as {column['format']}" if "format" in column else ""
    ends = f", {_end(column['low'])} to {_end(column['high'])} in training" if "low" in column else ""
    listed = f": {', '.join(column['categories'])}" if "categories" in column else ""
    return f"{column['kind']}{unit}{written}{ends}{listed}{'' if column['required'] else '; optional'}"


def _end(value: Any) -> str:
    return str(value).removesuffix("T00:00:00")


def _prediction(about: dict[str, Any]) -> dict[str, Any]:
    if about["task"] == "regression":
        number = {"type": "number"}
        ends = {"prediction": number, "low": number, "high": number}
        one = {"type": "object", "properties": ends, "required": ["prediction"]}
        names = about.get("numbers", [])
        return {"type": "object", "properties": dict.fromkeys(names, one), "required": names} if names else one
    if "labels" in about:
        return {"type": "object", "properties": {name: _class(values) for name, values in about["labels"].items()}}
    return _class(about["classes"])


def _class(values: list[Any]) -> dict[str, Any]:
    shares = {str(value): {"type": "number", "minimum": 0, "maximum": 1} for value in values}
    probabilities = {"type": "object", "properties": shares}
    return {"type": "object", "properties": {"prediction": {"enum": values}, "probabilities": probabilities}}


def documented(about: dict[str, Any], interface: dict[str, Any], form: str) -> str:
    """Return the interface as a page, in the style of the form."""
    style = re.search(r"<style>.*?</style>", form, re.DOTALL)
    example = json.dumps(about["example"], ensure_ascii=False)
    header = ",".join(about["example"])
    columns = [(c["name"], said_of(c), json.dumps(c["typical"], ensure_ascii=False)) for c in about["columns"]]
    paths = [(f"{m.upper()} {path}", of["summary"]) for path, by in interface["paths"].items() for m, of in by.items()]
    body = f"""<h1>{escape(interface["info"]["title"])}</h1>
<p><a href="/">Form</a> · <a href="/openapi.json">OpenAPI</a> · <a href="/schema">Schema</a></p>
<h2>Ask for predictions</h2>
<p>One row is an object, many are an array; an array also as the <code>rows</code> of an object.
CSV has a header. Answers are JSON, or CSV with <code>Accept: text/csv</code>. ADDRESS is that of this page.</p>
<pre tabindex="0">curl -H 'Content-Type: application/json' ADDRESS/predict -d {escape(shlex.quote(example))}
curl -H 'Content-Type: text/csv' ADDRESS/predict --data-binary @rows.csv   # {escape(header)}</pre>
<h2>Columns</h2>
{_table(("column", "takes", "example"), columns)}
<h2>Paths</h2>
{_table(("path", "answers"), paths)}
<h2>Errors</h2>
<p>Every error is an object with a sentence, and the column and the row that it is about, where there is one:
<code>{{"error": "...", "field": "...", "row": 1}}</code>.</p>
{_table(("status", "meaning"), list(ERRORS.items()))}"""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(interface['info']['title'])}</title>\n{style[0] if style else ''}\n</head>\n<body>\n"
        f"<main>{body}</main>\n</body>\n</html>\n"
    )


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = [f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>\n" for row in rows]
    return f'<div class="scroll"><table>\n<tr>{names}</tr>\n{"".join(lines)}</table></div>'
