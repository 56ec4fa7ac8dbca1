"""Exported files are run, and their results compared with those of the model."""

from __future__ import annotations

import datetime as dt
import json
import math
import runpy
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.export import c_text
from chainrule.export.functions import read
from chainrule.export.program import Input, Program
from chainrule.files.fitted import predict_samples
from chainrule.files.serving import Classifier
from chainrule.network import Network
from chainrule.tables.serving.model import TableModel
from chainrule.tables.serving.steps import inputs

FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1")
COMPILERS = ("gcc", "clang", "cc")
SECONDS = 120
EPOCH = dt.datetime(1970, 1, 1)


class Case(NamedTuple):
    """An exported file, and rows to predict: numbers (rows, inputs), or dictionaries as a person types them."""

    path: Path
    program: Program
    rows: Any


Results = tuple[Array, list[Any]]  # (rows, outputs), and a label or prediction for each row


def made_up(program: Program, count: int, low: float = -1.0, high: float = 1.0, seed: int = 0) -> Any:
    """Return random rows; those of a table have values in the ranges of training, and a few missing ones."""
    rng = np.random.default_rng(seed)
    if program.x is not None:
        return rng.uniform(low, high, (count, program.x.size)).astype(program.x.dtype)
    columns = {column.name: _values(column, count, rng) for column in program.columns}
    return [{name: values[i] for name, values in columns.items()} for i in range(count)]


def _values(column: Input, count: int, rng: np.random.Generator) -> list[Any]:
    low, high = (_end(end) for end in (column.low, column.high))
    if column.kind in ("number", "date"):
        found: list[Any] = rng.uniform(low, high, count).tolist()
        if column.kind == "date":
            found = [(EPOCH + dt.timedelta(seconds=round(seconds))).isoformat() for seconds in found]
    elif column.kind == "text":
        found = [" ".join(rng.choice(["a new bright kitchen", "near the lake", "..."], 2)) for _ in range(count)]
    else:
        known = column.values
        found = [known[i] for i in rng.integers(0, len(known), count)] if known else [None] * count
    return [None if rng.random() < 0.05 else value for value in found]


def _end(value: float | str | None) -> float:
    if isinstance(value, str):
        return (dt.datetime.fromisoformat(value).replace(tzinfo=None) - EPOCH).total_seconds()
    return 0.0 if value is None else float(value)


def read_columns(program: Program, rows: Sequence[dict[str, Any]]) -> dict[str, Array]:
    """Return the columns of rows as the steps of a table take them."""
    found = {}
    for column in program.columns:
        values = [read(row, column._asdict()) for row in rows]
        kind = np.float64 if column.kind in ("number", "date", "yes/no") else object
        found[column.name] = np.array(values, kind)
    return found


def run_numpy(cases: Sequence[Case]) -> list[Results]:
    """Return the results of Python scripts."""
    found = []
    for case in cases:
        script = runpy.run_path(str(case.path))
        found.append((np.asarray(script["outputs"](case.rows), np.float64), script["predict"](case.rows)))
    return found


JAVASCRIPT = """
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const found = [];
for (const [path, rows] of JSON.parse(readFileSync(0, "utf8"))) {
  const { predict, probabilities } = await import(pathToFileURL(path));
  found.push(rows.map((row) => [[].concat((probabilities ?? predict)(row)), predict(row)]));
}
console.log(JSON.stringify(found));
"""


def run_js(cases: Sequence[Case]) -> list[Results] | None:
    """Return the results of JavaScript modules; None without Node."""
    node = shutil.which("node")
    if node is None:
        return None
    given = [[str(case.path.absolute()), _plain(case.rows)] for case in cases]
    text = json.dumps(given).replace("Infinity", "1e999").replace("NaN", "null")
    done = _run([node, "--input-type=module", "--eval", JAVASCRIPT], text)
    return [(np.array([row[0] for row in rows], np.float64), [row[1] for row in rows]) for rows in json.loads(done)]


def run_c(cases: Sequence[Case], compiler: str | None = None, flags: Sequence[str] = ()) -> list[Results] | None:
    """Return the results of C sources, compiled to one program; None without a compiler."""
    compiler = compiler or next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return None
    names = [c_text.identifier(case.path.stem) for case in cases]
    main = "\n".join([
        "#include <math.h>\n#include <stdio.h>",
        *(f'#include "{case.path.stem}.h"' for case in cases),
        *(_c_rows(case, name) for case, name in zip(cases, names, strict=True)),
        "int main(void) {", *(f"    run_{name}();" for name in names), "    return 0;\n}\n",
    ])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "main.c"), Path(folder, "main")
        source.write_text(main, encoding="utf-8")
        places = sorted({f"-I{case.path.parent.absolute()}" for case in cases})
        sources = [str(case.path.absolute()) for case in cases]
        _run([compiler, *FLAGS, *flags, *places, str(source), *sources, "-o", str(program), "-lm"])
        lines = iter(_run([str(program)]).splitlines())
    found = []
    for case in cases:
        numbers = np.array([next(lines).split() for _ in range(len(case.rows))], np.float64)
        n, program_ = case.program.y.size, case.program
        y, rest = numbers[:, :n], numbers[:, n:].astype(int).tolist()
        labels = _flat(y)
        if program_.classes:
            labels = rest if program_.several else [program_.classes[row[0]] for row in rest]
        found.append((y, labels))
    return found


def _c_rows(case: Case, name: str) -> str:
    """Return a function that prints the results for the rows, NaN if a value does not fit.

    Those of a table are read as a person types them.
    """
    program, n = case.program, case.program.y.size
    real, columns = c_text.TYPES[program.y.dtype], len(program.columns)
    if program.columns:
        rows = [", ".join(_c_typed(row.get(column.name), column) for column in program.columns) for row in case.rows]
        dates = [", ".join(_c_date(row.get(column.name), column) for column in program.columns) for row in case.rows]
        table = f"static const char *const texts[][{columns}]"
        more = f"static const double seconds[][{columns}] = {{\n{_braced(dates)}}};\n"
        reads = [f"if (isnan(seconds[i][{k}])) bad |= !{name}_read(&row, {k}, texts[i][{k}]);"
                 f"{f' else row.{field} = seconds[i][{k}];' if column.kind == 'date' else ''}\n"
                 for k, (column, field) in enumerate(zip(program.columns, c_text.fields(program.columns).values(),
                                                         strict=True))]  # fmt: skip
        begin = f"struct {name}_row row;\nint bad = 0;\n{''.join(reads)}"
    else:
        rows = [", ".join(_c_number(float(value)) for value in row) for row in np.asarray(case.rows)]
        table = f"static const {c_text.TYPES[program.x.dtype]} rows[][{program.x.size}]"  # type: ignore[union-attr]
        more, begin = "", "int bad = 0;\n"
    given = "&row" if program.columns else "rows[i]"
    labels = ""
    if program.several:
        labels = f'int labels[{n}]; {name}_labels(y, labels); for (k = 0; k < {n}; k++) printf("%d ", labels[k]);'
    elif program.classes:
        labels = f'printf("%d", {name}_label(y));'
    return (
        f"static void run_{name}(void) {{\n{table} = {{\n{_braced(rows)}}};\n{more}int i, k;\n"
        f"for (i = 0; i < {len(rows)}; i++) {{\n{real} y[{n}];\n{begin}{name}_predict({given}, y);\n"
        f'for (k = 0; k < {n}; k++) printf("%.17g ", bad ? NAN : (double)y[k]);\n{{ {labels} }}\nprintf("\\n");\n}}\n}}'
    )


def _braced(rows: Sequence[str]) -> str:
    return ",\n".join(f"{{{row}}}" for row in rows)


def _c_typed(value: Any, column: Input) -> str:
    """Return the text of a value, as a person types it."""
    if value is None or (column.kind != "number" and value != value):  # noqa: PLR0124  (NaN)
        return "0"
    if isinstance(value, bool):
        texts = column.kind != "number" and column.read_as in ("text", "boolean")
        value = str(value).lower() if texts else int(value)
    return c_text.string(str(int(value) if isinstance(value, float) and value.is_integer() else value))


def _c_date(value: Any, column: Input) -> str:
    """Return the seconds of a date that is given as such, which nobody types."""
    seconds = column.kind == "date" and column.read_as != "whole" and isinstance(value, int | float)
    return _c_number(float(value)) if seconds else "NAN"


def _c_number(value: float) -> str:
    return "NAN" if math.isnan(value) else f"{'-' * (value < 0)}INFINITY" if math.isinf(value) else repr(value)


def _plain(rows: Any) -> Any:
    return rows.tolist() if isinstance(rows, np.ndarray) else rows


def _run(command: list[str], text: str | None = None) -> str:
    """Run a program and return what it prints; raise an error that has its message."""
    done = subprocess.run(  # noqa: S603  (a compiler, node, or the program itself)
        command, input=text, capture_output=True, text=True, check=False, timeout=SECONDS, encoding="utf-8"
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {done.stderr.strip() or f'status {done.returncode}'}")
    return done.stdout


def expected(model: Any, program: Program, rows: Any) -> Results:
    """Return the results of the model itself."""
    if isinstance(model, Network):
        y = predict_samples(model, rows)
        return y, [program.classes[k] for k in y.argmax(axis=1)] if program.classes else _flat(y)
    X, unit = rows, None
    if isinstance(model, TableModel):
        X, unit = inputs(model.table.steps, read_columns(program, rows)), model.table.unit
        model = model.model
    elif program.columns:
        X = np.array([[_value(row[column.name], column) for column in program.columns] for row in rows], object)
    if isinstance(model, Classifier):
        return model.predict_proba(X), model.predict(X).tolist()
    y = np.asarray(model.predict(X), np.float64).reshape(len(X), -1)
    y = y if unit is None else unit(y)
    return y, _flat(y)


def _value(value: Any, column: Input) -> Any:
    """Return a value as an estimator takes it: categories that are numbers as numbers."""
    return json.loads(value) if column.read_as in ("whole", "number") and isinstance(value, str) else value


def _flat(y: Array) -> list[Any]:
    return y[:, 0].tolist() if y.shape[1] == 1 else y.tolist()


LANGUAGES: dict[str, tuple[str, Callable[[Sequence[Case]], list[Results] | None]]] = {
    ".c": ("a C compiler", run_c), ".mjs": ("Node", run_js), ".js": ("Node", run_js), ".py": ("Python", run_numpy),
}  # fmt: skip
"""The program that runs the files of each suffix."""


def compared(model: Any, program: Program, path: Path, count: int, low: float, high: float) -> tuple[str, float | None]:
    """Return a clause on the largest difference between a file's results and the model's on random rows, and its size.

    The size is None if they could not be compared.
    """
    tool, run = LANGUAGES[path.suffix]
    try:
        rows = made_up(program, count, low, high)
        y, labels = expected(model, program, rows)
    except (OverflowError, ValueError) as error:  # an Embedding takes categories only; a schema may be damaged
        return f"not compared: the network rejects random rows: {error}", None
    try:
        found = run([Case(path, program, rows)])
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        return f"not compared: {' '.join(str(error).split())}", None
    if found is None:
        return f"not compared: {tool} is not installed.", None
    difference = float(np.abs(found[0][0] - y).max())
    clause = f"largest difference from chainrule on {len(rows)} {'made-up' if program.columns else 'random'} rows: "
    wrong = sum(a != b for a, b in zip(found[0][1], labels, strict=True)) if program.classes else 0
    return f"{clause}{difference:.1e}{f'; {wrong} labels differ' if wrong else ''}.", difference
