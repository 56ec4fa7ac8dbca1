"""C: a header and a source in C99, without allocation and without dependencies but ``math.h``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import numpy as np

from chainrule.export.c_memory import Memory
from chainrule.export.c_text import TYPES, comment, constant, fields, identifier, lines, numbers, string
from chainrule.export.library import by, library, needed
from chainrule.export.program import Field, Input, Op, Program, is_constant

FUNCTIONS = "functions.c"


def files(program: Program, stem: str) -> dict[str, str]:
    """Return the header and the source, by their suffixes.

    Parameters
    ----------
    program : Program
    stem : str
        The name of the files, of which an identifier is made: the names of all functions begin with it.

    Raises
    ------
    ValueError
        If a file of this name could not be included.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", stem):
        raise ValueError(f"the name {stem!r}: expected letters of ASCII, digits, _, - and dots, such as model.c.")
    name, memory = identifier(stem), Memory(program)
    dated = any(column.kind == "date" for column in program.columns)
    kinds = {f"{kind}_" for kind in program.kinds} | program.kinds | ({"a_date"} if dated else set())
    kinds |= {_reader(column) for column in program.columns}
    texts = {column.kind for column in program.read if column.kind not in ("number", "date")}
    functions = needed(FUNCTIONS, kinds | {"flag" if kind == "yes/no" else "given" for kind in texts})
    predict, label = _heads(program, name)
    found = f"{name}_label(y)" if program.classes and not program.several else "0"
    source = [
        f"/* {by()}. */", "#include <math.h>", *(["#include <stdint.h>"] if "words" in kinds else []),
        f'#include "{stem}.h"\n', *(_letters() if "words" in kinds else []), "\n\n".join(functions), "",
        *(constant(key, value) for key, value in program.arrays.items()), "", *memory.declarations(), "",
        *_classes(program, name),
        *([f"double {name}_date(const char *text) {{\n    return a_date(text, 0, 0);\n}}\n"] if dated else []),
        *_reading(program, name),
        f"{predict} {{", *(f"    {line}" for line in _body(program, memory)),
        *([f"    return {found};"] if program.columns else []), "}\n",
        *([f"{label} {{", *_choice(program), "}\n"] if label else []),
        *([f"{_interval_head(program, name)} {{", *_interval(program), "}\n"] if program.halves else []),
    ]  # fmt: skip
    return {".h": _header(program, name, predict, label, dated=dated), ".c": "\n".join(source)}


def size(program: Program) -> str:
    """Return a clause on what a model takes, for microcontrollers."""
    return (
        f"{program.bytes:,} bytes of parameters, {Memory(program).bytes:,} bytes of work buffer (static) and "
        f"{program.multiply_adds:,} multiply-adds for a row"
    )


# ------------------------------------------------------------ the function


def _body(program: Program, memory: Memory) -> Iterator[str]:
    names = fields(program.columns)
    for i, op in enumerate(program.ops):
        if op.note:
            yield f"/* {comment(op.note)} */"
        if op.kind == "numbers":
            base, at = memory.at(op.y)
            yield from (f"{base}[{at + k}] = {_field(field, names)};" for k, field in enumerate(op.arguments["fields"]))
        elif op.kind != "join":
            kind = op.kind if op.kind in library(FUNCTIONS) else f"{op.kind}_"
            lies = (memory.at(value) for value in (op.y, *op.inputs))
            places = dict(zip(("y", "x", "f"), (f"{base} + {k}" if k else base for base, k in lies), strict=False))
            given = [places.get(name) or _argument(op, i, name, names) for name in library(FUNCTIONS)[kind].parameters]
            yield f"{kind}({', '.join(given)});"


def _argument(op: Op, i: int, name: str, names: dict[str, str]) -> str:
    value = op.arguments.get(name)
    if isinstance(value, Field):
        return _field(value, names)
    if isinstance(value, float):
        return numbers(np.array([value], op.y.dtype))[0]
    if is_constant(value):
        return f"{name}{i}"
    return "word_counts" if value is None else str(value)


def _field(value: Field, names: dict[str, str]) -> str:
    column = value.column
    given = f"row->{names[column.name]}"
    if column.kind == "yes/no":
        return f"flag({given}, {string(column.values[0])}, {string(column.values[1])})"
    return (
        given
        if column.kind in ("number", "date")
        else f"given({given}, {string(column.missing)}, {int('' in column.values)})"
    )


def _reader(column: Input) -> str:
    """Return the function that reads what a person types for a column."""
    if column.kind in ("number", "date"):
        return f"read_{column.kind}"
    return {"boolean": "read_boolean", "whole": "read_key", "number": "read_key"}.get(column.read_as, "read_text")


def _reading(program: Program, name: str) -> Iterator[str]:
    """Yield the function that reads a column of a row, and the names of the columns."""
    if not program.columns:
        return
    names, texts = fields(program.columns), lines([string(column.name) for column in program.columns])
    yield f"const char *const {name}_columns[{len(program.columns)}] = {{{texts}}};\n"
    yield f"{_reading_head(name)} {{\n    switch (column) {{"
    for k, column in enumerate(program.columns):
        lists = {"holes": column.holes, "formats": column.formats if column.kind == "date" else ()}
        keys = program.keys_of(column)
        if _reader(column) == "read_key" and not keys:
            lists["known"] = column.values
        at = {key: f"{key}{k}" if values else "0" for key, values in lists.items()}
        given = [f"&row->{names[column.name]}", "text", at["holes"]]
        if column.kind == "date":
            given += [at["formats"], str(int(column.zone in ("", "UTC")))]
        if _reader(column) == "read_key":
            known = next((op.arguments["count"] for op in program.ops if op.arguments.get("text") == Field(column)),
                         len(column.values))  # fmt: skip
            given += [keys[0] if keys else at["known"], str(known), str(int(column.read_as == "whole"))]
        yield f"    case {k}: {{"
        for key, values in lists.items():
            if values:
                yield f"        static const char *const {at[key]}[] = {{{lines([*map(string, values), '0'])}}};"
        yield f"        return {_reader(column)}({', '.join(given)});\n    }}"
    yield "    }\n    return 0;\n}\n"


def _reading_head(name: str) -> str:
    return f"int {name}_read(struct {name}_row *row, int column, const char *text)"


def _letters() -> Iterator[str]:
    """Yield which characters are in words, and their lower case."""
    letters = [chr(c) for c in range(sys.maxunicode + 1)]
    inside = np.array([False, *(letter.isalnum() or letter == "_" for letter in letters), False])
    edges = np.flatnonzero(np.diff(inside))
    pairs = [(ord(letter), ord(letter.lower())) for letter in letters[128:] if len(letter.lower()) == 1]
    upper, lower = np.array([pair for pair in pairs if pair[0] != pair[1]]).T
    tables = {"word_starts": edges[::2], "word_ends": edges[1::2] - 1, "upper_case": upper, "lower_case": lower}
    for name, codes in tables.items():
        yield f"static const uint32_t {name}[] = {{{lines([str(code) for code in codes])}}};"
    yield ""


# ------------------------------------------------------------ classes, and the header


def _heads(program: Program, name: str) -> tuple[str, str]:
    """Return the heads of the function that predicts, and of the one that finds the label among its results."""
    real = TYPES[program.y.dtype]
    vector = "" if program.x is None else f"const {TYPES[program.x.dtype]} *x"
    predict = (
        f"void {name}_predict({vector}, {real} *y)"
        if vector
        else f"int {name}_predict(const struct {name}_row *row, {real} *y)"
    )
    if not program.classes:
        return predict, ""
    several = f"void {name}_labels(const {real} *y, int *labels)"
    return predict, several if program.several else f"int {name}_label(const {real} *y)"


def _choice(program: Program) -> Iterator[str]:
    """Yield the body of the function that finds the label."""
    n, real = program.y.size, TYPES[program.y.dtype]
    limits = program.thresholds is not None
    if program.thresholds is not None:
        texts = numbers(program.thresholds.astype(program.y.dtype))
        yield f"    static const {real} thresholds[{n}] = {{{lines(texts)}}};"
    if program.several:
        limit = "thresholds[k]" if limits else "0.5f" if real == "float" else "0.5"
        yield f"    int k;\n    for (k = 0; k < {n}; k++) labels[k] = y[k] > {limit};"
        return
    ratio = "y[k] / thresholds[k] > y[best] / thresholds[best]" if limits else "y[k] > y[best]"
    yield f"    int k, best = 0;\n    for (k = 1; k < {n}; k++)\n        if ({ratio}) best = k;\n    return best;"


def _interval_head(program: Program, name: str) -> str:
    y = "double y" if len(program.least) == 1 else "const double *y"
    return f"void {name}_interval({y}, double coverage, double *low, double *high)"


def _interval(program: Program) -> Iterator[str]:
    """Yield the body of the function that writes the ends of an interval."""
    n, m = len(program.halves), len(program.least)
    if m > 1:
        ends = ", ".join("0" if of == 0 else "-INFINITY" for of in program.least)
        yield f"    static const double halves[{n * m}] = {{{lines(numbers(np.ravel(program.halves)))}}};"
        yield f"    static const double least[{m}] = {{{ends}}};"
        yield "    double percent = ceil(coverage * 100 - 1e-7), half;\n    int k;"
        yield f"    for (k = 0; k < {m}; k++) {{"
        yield f"        half = percent >= 1 && percent <= {n} ? halves[((int)percent - 1) * {m} + k] : NAN;"
        yield "        low[k] = y[k] - half < least[k] ? least[k] : y[k] - half;\n        high[k] = y[k] + half;\n    }"
        return
    yield f"    static const double halves[{n}] = {{{lines(numbers(np.ravel(program.halves)))}}};"
    yield "    double percent = ceil(coverage * 100 - 1e-7), half = NAN;"
    yield f"    if (percent >= 1 && percent <= {n}) half = halves[(int)percent - 1];"
    yield "    *low = y - half;\n    *high = y + half;"
    if program.least == (0,):
        yield "    if (*low < 0) *low = 0;"


def _classes(program: Program, name: str) -> list[str]:
    texts = lines([string(str(label)) for label in program.classes])
    return [f"const char *const {name}_classes[{len(program.classes)}] = {{{texts}}};\n"] if texts else []


def _header(program: Program, name: str, predict: str, label: str, *, dated: bool) -> str:
    guard, count, outputs = f"{name.upper()}_H", len(program.classes), program.y.size
    about = f"the probability of {name}_classes[k]" if count else "a prediction"
    what = f"Write 1 for each label of {name}_classes that applies, else 0," if program.several else (
        f"Return the index of the class in {name}_classes")  # fmt: skip
    says = f" Return the index of the class in {name}_classes." if program.columns and "_label(" in label else ""
    inputs = f"#define {name.upper()}_INPUTS {program.x.size}\n" if program.x is not None else ""
    shared = " * The work buffer is shared: let one thread predict at a time.\n */"
    row = "A row. A number that is missing is NAN, and a text that is missing is 0 (a null pointer) or empty."
    read = (
        f"Read what a person types for a column, given by its place in {name}_columns: a number, a date in ISO\n"
        " * format or in one of training, a category, or a word for a missing value. Texts are not copied. Return 1,\n"
        " * or 0 if the text does not fit the column, which is then missing."
    )
    date = "Return a date such as 2024-05-03 or 2024-05-03 18:30 as seconds since 1970; NAN for other texts."
    around = (
        "a prediction y that contains" if len(program.least) < 2 else f"each of {outputs} predictions y that contains"
    )
    within = (
        f"Write the ends of an interval around {around} a share of new values, such as 0.9, to a\n"
        f" * whole percent of 1 to {len(program.halves)}; NAN for others."
    )
    names = f" * x: {comment(', '.join(program.names))}\n *\n" if program.names else ""
    blocks = [
        f"/* {by()}.\n *\n * {comment(program.about)}\n *\n{names} * It takes {size(program)}.\n{shared}",
        f"#ifndef {guard}\n#define {guard}",
        '#ifdef __cplusplus\nextern "C" {\n#endif',
        f"{inputs}#define {name.upper()}_OUTPUTS {outputs}",
        f"/* {row} */\nstruct {name}_row {{\n{_fields(program)}\n}};" if program.columns else "",
        f"extern const char *const {name}_columns[{len(program.columns)}];" if program.columns else "",
        f"/* {read} */\n{_reading_head(name)};" if program.columns else "",
        f"/* {date} */\ndouble {name}_date(const char *text);" if dated else "",
        f"extern const char *const {name}_classes[{count}];" if count else "",
        f"/* Write {outputs} number{'s' * (outputs > 1)}: y[k] is {about}.{says} */\n{predict};",
        f"/* {what} for the probabilities y. */\n{label};" if label else "",
        f"/* {within} */\n{_interval_head(program, name)};" if program.halves else "",
        "#ifdef __cplusplus\n}\n#endif\n\n#endif\n",
    ]  # fmt: skip
    return "\n\n".join(block for block in blocks if block)


def _fields(program: Program) -> str:
    """Return the fields of a row, with what each of them takes."""
    found, names = [], fields(program.columns)
    for column in program.columns:
        field = names[column.name]
        zone = f", in the local time of {comment(column.zone)}" if column.zone else ""
        known = [*map(comment, column.values[:5]), *(["..."] if len(column.values) > 5 else [])]
        notes = [comment(column.name) if field != column.name else "", ", ".join(known), comment(column.unit),
                 f"seconds since 1970{zone}" if column.kind == "date" else ""]  # fmt: skip
        note = "; ".join(note for note in notes if note)
        kind = "double " if column.kind in ("number", "date") else "const char *"
        found.append(f"    {kind}{field};{f' /* {note} */' if note else ''}")
    return "\n".join(found)
