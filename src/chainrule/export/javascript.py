"""JavaScript: one ES module without dependencies, for browsers and Node."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.export.library import by, call, needed
from chainrule.export.program import Field, Input, Program

FUNCTIONS = "functions.mjs"


def module(program: Program) -> str:
    """Return the source of the module."""
    row = "row" if program.columns else "x"
    lines = _given(program)
    for i, op in enumerate(program.ops):
        lines += [f"  // {_comment(op.note)}"] if op.note else []
        lines.append(f"  const {op.y.name} = {call(FUNCTIONS, op, i, _spelled)};")
    lines.append(f"  return {program.y.name};")
    constants = [f"const {name} = {_constant(value)};" for name, value in program.arrays.items()]
    names = program.kinds | {"floats", "doubles"} | ({"read"} if program.columns else set())
    return "\n".join([
        f"// {by()}.", f"// {_comment(program.about)}", "", "\n\n".join(needed(FUNCTIONS, names)), "", *constants, "",
        *_described(program), f"function outputs({row}) {{", *lines, "}", "", *_exported(program, row), "",
    ])  # fmt: skip


def _given(program: Program) -> list[str]:
    if program.x is None:
        return ["  row = Object.fromEntries(columns.map((column) => [column.name, read(row, column)]));"]
    n = program.x.size
    return [f"  if (x.length !== {n}) throw new Error(`expected {n} numbers, got ${{x.length}}.`);",
            "  x = Float64Array.from(x, (value) => value ?? NaN);"]  # fmt: skip


def _described(program: Program) -> list[str]:
    found = []
    if program.columns:
        given = ", ".join(f"\n  {_column(column, program)}" for column in program.columns)
        about = ("/** The columns: what `predict` takes. `kind` is number, yes/no, category, date or text. */",)
        found += [*about, f"export const columns = [{given},\n];", ""]
    if program.names:
        found += ["/** The names of the numbers that `predict` takes. */",
                  f"export const names = {_text(program.names)};", ""]  # fmt: skip
    if program.classes:
        found += ["/** The classes, in the order of the probabilities. */",
                  f"export const classes = {_text(program.classes)};", ""]  # fmt: skip
    if program.thresholds is not None:
        found += [f"const thresholds = {_text(program.thresholds.tolist())};", ""]
    return found


def _column(column: Input, program: Program) -> str:
    about = {name: value for name, value in column._asdict().items() if value is not None}
    keys = program.keys_of(column)
    del about["values"]
    values = f"{keys[0]}.filter((key) => key !== {_text(column.missing)})" if keys else _text(column.values)
    return f"{{ ...{_text(about)}, values: {values} }}"


def _exported(program: Program, row: str) -> list[str]:
    given = ("@param {Object<string, any>} row - a value for each column, as a person types it; null for an unknown one"
             if program.columns else f"@param {{ArrayLike<number>}} x - {program.x.size} numbers")  # type: ignore[union-attr]  # fmt: skip
    n = program.y.size
    if not program.classes:
        kind = "number" if n == 1 else "number[]"
        result = "outputs(%s)[0]" if n == 1 else "[...outputs(%s)]"
        plain = [f"/**\n * Return the prediction.\n * {given}\n * @returns {{{kind}}}\n */",
                 f"export function predict({row}) {{\n  return {result % row};\n}}"]  # fmt: skip
        return [*plain, *_interval(program, given)] if program.halves else plain
    limits = program.thresholds is not None
    if program.several:
        kind, about = "number[]", "1 for each label that applies, else 0"
        found = f"  return probabilities({row}).map((p, i) => (p > {'thresholds[i]' if limits else '0.5'} ? 1 : 0));"
    else:
        kind = "string" if isinstance(program.classes[0], str) else "number"
        about = "the class" if limits else "the most likely class"
        scores = "probabilities(%s).map((p, i) => p / thresholds[i])" if limits else "probabilities(%s)"
        found = f"  const p = {scores % row};\n  return classes[p.indexOf(Math.max(...p))];"
    return [
        f"/**\n * Return the probabilities, in the order of `classes`.\n * {given}\n * @returns {{number[]}}\n */",
        f"export function probabilities({row}) {{\n  return [...outputs({row})];\n}}\n",
        f"/**\n * Return {about}.\n * {given}\n * @returns {{{kind}}}\n */",
        f"export function predict({row}) {{\n{found}\n}}",
    ]


def _interval(program: Program, given: str) -> list[str]:
    most, least = len(program.halves), program.least
    low = "Math.max(y - half, 0)" if least == (0,) else "y - half"
    kind, found = "number[]", f"[{low}, y + half]"
    if len(least) > 1:
        ends = _text(["0" if of == 0 else "-Infinity" for of in least]).replace('"', "")
        kind, found = "number[][]", f"y.map((v, k) => [Math.max(v - half[k], {ends}[k]), v + half[k]])"
    halves = [of[0] if len(of) == 1 else [*of] for of in program.halves]
    return [
        f"\nconst halves = {_text(halves)}; // of intervals for 1 %, 2 %, ...\n",
        f"/**\n * Return the ends of an interval that contains a share of new values, to a whole percent.\n * {given}",
        f" * @param {{number}} [coverage]\n * @returns {{{kind}}}\n */",
        "export function interval(row, coverage = 0.9) {",
        "  const half = halves[Math.ceil(coverage * 100 - 1e-7) - 1], y = predict(row);",
        "  if (half === undefined) {",
        f"    throw new Error(`coverage: expected a share of 0.01 to {most / 100:g}, got ${{coverage}}.`);",
        "  }",
        f"  return {found};\n}}",
    ]


def _constant(value: Array | tuple[str, ...]) -> str:
    if isinstance(value, tuple) or value.dtype.kind == "i":
        return _text(value if isinstance(value, tuple) else value.tolist())
    kind = "floats" if value.dtype == np.float32 else "doubles"
    return f'{kind}("{base64.b64encode(value.astype(value.dtype.newbyteorder("<")).tobytes()).decode()}")'


def _spelled(value: Any) -> str:
    if isinstance(value, Field):
        return f"row[{_text(value.column.name)}]"
    if isinstance(value, tuple):
        return _text([field.column.name for field in value])
    return repr(value)


def _text(value: Any) -> str:
    r"""Return a value in JavaScript, in ASCII; nothing in it can end a script.

    >>> print(_text(["</script>", 'ü"', 1, float("-inf")]))
    ["\u003c/script>", "\u00fc\"", 1, -Infinity]
    """
    return json.dumps(value).replace("<", "\\u003c")


def _comment(text: str) -> str:
    return json.dumps(text)[1:-1].replace('\\"', '"').replace("<", "\\u003c")
