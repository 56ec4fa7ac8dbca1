"""C: a header and a source in C99, without allocation and without dependencies but ``math.h``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.export.library import by, library, needed
from chainrule.export.program import Field, Input, Op, Program, Value, is_constant

__all__ = ["files", "identifier", "size"]

FUNCTIONS = "functions.c"
IN_PLACE = frozenset(
    "relu leaky_relu prelu elu sigmoid tanh hard_sigmoid softplus silu gelu gelu_tanh mish exp affine layer_norm "
    "rms_norm softmax add times mix missing filled squash scaled".split()
)
"""Functions whose result may replace their first vector."""
WORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm bool "
    "catch class delete explicit export false friend mutable namespace new operator private protected public template "
    "this throw true try typename using virtual".split()
)
"""Words of C and of C++ that no field may be called."""
TYPES = {"float32": "float", "float64": "double", "int32": "int"}
SAFE = {"?": "\\?", '"': '\\"', "\\": "\\\\"}


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
    name, memory = identifier(stem), _Memory(program)
    body = list(_body(program, memory))
    predict, label = _signatures(program, name)
    dated = any(column.kind == "date" for column in program.columns)
    kinds = {f"{kind}_" for kind in program.kinds} | program.kinds | ({"iso_seconds"} if dated else set())
    texts = {column.kind for column in program.read if column.kind not in ("number", "date")}
    functions = needed(FUNCTIONS, kinds | {"flag" if kind == "yes/no" else "given" for kind in texts})
    text = "\n".join([
        f'/* {by()}. */', "#include <math.h>", "#include <stdint.h>" if "uint32_t" in "".join(functions) else "",
        f'#include "{stem}.h"\n', *(_word_tables() if "words" in kinds else []), "\n\n".join(functions), "",
        *(_constant(key, value) for key, value in program.arrays.items()), "",
        *memory.declarations(), *_classes(program, name),
        *([f"double {name}_date(const char *text) {{\n    return iso_seconds(text);\n}}\n"] if dated else []),
        f"{predict} {{", *(f"    {line}" for line in body), *_returned(program, name), "}", label,
    ])  # fmt: skip
    return {".h": _header(program, name, memory.bytes, predict, label, dated=dated), ".c": f"{text.rstrip()}\n"}


def size(program: Program) -> str:
    """Return a clause on what a model takes, for microcontrollers."""
    return (
        f"{program.bytes:,} bytes of parameters, {_Memory(program).bytes:,} bytes of work buffer (static) and "
        f"{program.multiply_adds:,} multiply-adds for a row"
    )


def identifier(text: str) -> str:
    """Return a name as an identifier of C.

    >>> identifier("my-model.v2"), identifier("2 nets"), identifier("Größe"), identifier("int")
    ('my_model_v2', 'x2_nets', 'Gr__e', 'int_')
    """
    found = re.sub(r"[^A-Za-z0-9_]", "_", text)
    found = found if found[:1].isalpha() else f"x{found}"
    return f"{found}_" if found in WORDS else found


def fields(columns: tuple[Input, ...]) -> dict[str, str]:
    """Return the names of the fields of a row, by the names of the columns."""
    found: dict[str, str] = {}
    for column in columns:
        field = base = identifier(column.name)
        for i in range(2, len(columns) + 2):
            if field not in found.values():
                break
            field = f"{base}_{i}"
        found[column.name] = field
    return found


def string(text: str) -> str:
    r"""Return a string of C, in UTF-8; nothing in it can end the string.

    >>> print(string('5" ??/ ü'), string("a\\n\n"))
    "5\" \?\?/ \303\274" "a\\n\012"
    """
    letters = (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in text.encode("utf-8", "replace"))
    return f'"{"".join(SAFE.get(c, c) if len(c) == 1 else c for c in letters)}"'


def comment(text: str) -> str:
    r"""Return a text for a comment, which nothing in it can end.

    >>> print(comment("a */ b\n/* ü"))
    a \u002a/ b\n/\u002a \u00fc
    """
    return json.dumps(text)[1:-1].replace("*", "\\u002a").replace("??", "\\u003f?").replace('\\"', '"')


# ------------------------------------------------------------ the function


def _body(program: Program, memory: _Memory) -> Iterator[str]:
    names = fields(program.columns)
    for i, op in enumerate(program.ops):
        if op.note:
            yield f"/* {comment(op.note)} */"
        if op.kind == "numbers":
            columns: Any = op.arguments["fields"]
            yield from (f"{memory.at(op.y, k)}[0] = {_field(f, names)};" for k, f in enumerate(columns))
        elif op.kind != "join":
            kind = op.kind if op.kind in library(FUNCTIONS) else f"{op.kind}_"
            given = [_argument(op, i, name, memory, names) for name in library(FUNCTIONS)[kind].parameters]
            yield f"{kind}({', '.join(given)});"


def _argument(op: Op, i: int, name: str, memory: _Memory, names: dict[str, str]) -> str:
    if name == "y":
        return memory.at(op.y)
    if name in ("x", "f"):
        return memory.at(op.inputs[name == "f"])
    if name == "counts":
        return "word_counts"
    value = op.arguments[name]
    if isinstance(value, Field):
        return _field(value, names)
    if is_constant(value):
        return f"{name}{i}"
    if isinstance(value, int):
        return str(value)
    return _numbers(np.array([value], op.y.dtype))[0]


def _field(value: Field, names: dict[str, str]) -> str:
    column = value.column
    given = f"row->{names[column.name]}"
    if column.kind == "yes/no":
        return f"flag({given}, {string(column.values[0])}, {string(column.values[1])})"
    return given if column.kind in ("number", "date") else f"given({given}, {string(column.missing)})"


class _Memory:
    """Where each vector lies: in ``floats`` or ``doubles``, at the first place that is free while it is needed."""

    def __init__(self, program: Program) -> None:
        self._program, self._place = program, {program.y: ("y", 0)}
        if program.x is not None:
            self._place.setdefault(program.x, ("x", 0))
        self.sizes = {"float32": 0, "float64": 0}
        self.words = max((int(op.arguments["buckets"]) for op in program.ops if op.kind == "words"), default=0)  # type: ignore[arg-type]
        self._part = {part: (op.y, sum(p.size for p in op.inputs[:k]))
                      for op in program.ops if op.kind == "join" for k, part in enumerate(op.inputs)}  # fmt: skip
        last: dict[Value, int] = {}
        for i, op in enumerate(program.ops):
            for value in (op.y, *op.inputs):
                last[self._root(value)[0]] = i
        live: dict[Value, int] = {}
        for i, op in enumerate(program.ops):
            root, first = self._root(op.y)[0], op.inputs[0] if op.inputs else None
            if root not in self._place:
                free = {value: at for value, at in live.items() if value.dtype == root.dtype}
                if (
                    root is op.y
                    and op.kind in IN_PLACE
                    and first in live
                    and last[first] == i
                    and first.size == root.size
                ):  # type: ignore[index, union-attr]
                    at = live.pop(first)  # type: ignore[arg-type]
                else:
                    at = _free(root.size, free)
                live[root], self._place[root] = at, (root.dtype, at)
                self.sizes[root.dtype] = max(self.sizes[root.dtype], at + root.size)
            for value in [value for value in live if last[value] <= i]:
                del live[value]

    @property
    def bytes(self) -> int:
        """The size of the work buffer."""
        return 4 * (self.sizes["float32"] + self.words) + 8 * self.sizes["float64"]

    def at(self, value: Value, more: int = 0) -> str:
        """Return where a vector begins, as an expression."""
        root, offset = self._root(value)
        where, at = self._place[root]
        base = {"float32": "floats", "float64": "doubles"}.get(where, where)
        at += offset + more
        return f"({base} + {at})" if more or at else base

    def declarations(self) -> list[str]:
        """Return the work buffer."""
        named = {"float floats": self.sizes["float32"], "double doubles": self.sizes["float64"],
                 "float word_counts": self.words}  # fmt: skip
        return [f"static {name}[{count}];" for name, count in named.items() if count] + [""]

    def _root(self, value: Value) -> tuple[Value, int]:
        """Return the vector that a value is part of, and where it begins."""
        offset = 0
        while value in self._part:
            value, at = self._part[value]
            offset += at
        return value, offset


def _free(size: int, taken: dict[Value, int]) -> int:
    """Return the first place for a vector between those that are needed.

    >>> _free(3, {Value("a", 2): 0, Value("b", 1): 4}), _free(2, {Value("a", 2): 0, Value("b", 1): 4})
    (5, 2)
    """
    at = 0
    for start, end in sorted((start, start + value.size) for value, start in taken.items()):
        if start - at >= size:
            break
        at = max(at, end)
    return at


# ------------------------------------------------------------ constants, and what is around the function


def _constant(name: str, value: Array | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return f"static const char *const {name}[] = {{{_lines([string(text) for text in value] or ['0'])}}};"
    numbers = _numbers(value) or ["0"]
    return f"static const {TYPES[str(value.dtype)]} {name}[{len(numbers)}] = {{{_lines(numbers)}}};"


def _numbers(array: Array) -> list[str]:
    """Return the shortest texts that are read as these numbers."""
    texts: list[str] = array.ravel().astype(str).tolist()
    if array.dtype.kind == "i":
        return texts
    odd = {"inf": "INFINITY", "-inf": "-INFINITY", "nan": "NAN"}
    end = "f" if array.dtype == np.float32 else ""
    return [odd.get(text) or f"{text}{end}" for text in texts]


def _lines(texts: list[str]) -> str:
    """Return texts in lines, with commas between them."""
    lines, at = [""], 0
    for text in texts:
        at += len(text) + 2
        if at > 116:
            lines.append("")
            at = len(text) + 2
        lines[-1] += f"{text}, "
    return (
        ("\n    " + "\n    ".join(line.rstrip() for line in lines) + "\n").rstrip(",\n")
        if len(lines) > 1
        else lines[0].rstrip(", ")
    )


def _word_tables() -> Iterator[str]:
    """Yield which characters are in words, and their lower case."""
    inside = np.array([chr(c).isalnum() or c == 95 for c in range(sys.maxunicode + 1)])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]])))
    small = [(c, ord(chr(c).lower())) for c in range(128, sys.maxunicode + 1) if len(chr(c).lower()) == 1]
    pairs = np.array([(c, low) for c, low in small if c != low])
    tables = {
        "word_starts": edges[::2],
        "word_ends": edges[1::2] - 1,
        "upper_case": pairs[:, 0],
        "lower_case": pairs[:, 1],
    }
    for name, numbers in tables.items():
        yield f"static const uint32_t {name}[] = {{{_lines([str(number) for number in numbers])}}};"
    yield ""


def _signatures(program: Program, name: str) -> tuple[str, str]:
    """Return the head of ``predict``, and the function that finds the label among its results."""
    real = TYPES[program.y.dtype]
    vector = "" if program.x is None else f"const {TYPES[program.x.dtype]} *x"
    given, result = (vector, "void") if vector else (f"const struct {name}_row *row", "int")
    predict = f"{result} {name}_predict({given}, {real} *y)"
    n = program.y.size
    limits = None if program.thresholds is None else _lines(_numbers(program.thresholds.astype(program.y.dtype)))
    table = "" if limits is None else f"    static const {real} thresholds[{n}] = {{{limits}}};\n"
    limit = "thresholds[k]" if limits else "0.5" if real == "double" else "0.5f"
    if not program.classes:
        return predict, ""
    if program.several:
        return predict, (
            f"\nvoid {name}_labels(const {real} *y, int *labels) {{\n{table}    int k;\n"
            f"    for (k = 0; k < {n}; k++) labels[k] = y[k] > {limit};\n}}"
        )
    ratio = "y[k] / thresholds[k] > y[best] / thresholds[best]" if limits else "y[k] > y[best]"
    return predict, (
        f"\nint {name}_label(const {real} *y) {{\n{table}    int k, best = 0;\n"
        f"    for (k = 1; k < {n}; k++)\n        if ({ratio}) best = k;\n    return best;\n}}"
    )


def _returned(program: Program, name: str) -> list[str]:
    if not program.columns:
        return []
    return [f"    return {f'{name}_label(y)' if program.classes and not program.several else '0'};"]


def _classes(program: Program, name: str) -> list[str]:
    if not program.classes:
        return []
    texts = _lines([string(str(label)) for label in program.classes])
    return [f"const char *const {name}_classes[{len(program.classes)}] = {{{texts}}};\n"]


def _header(program: Program, name: str, memory: int, predict: str, label: str, *, dated: bool) -> str:
    guard, real = f"{name.upper()}_H", TYPES[program.y.dtype]
    lines = [
        f"/* {by()}.", " *", f" * {comment(program.about)}", " *",
        f" * It takes {size(program)}.",
        " * The work buffer is shared: let one thread predict at a time.", " */",
        f"#ifndef {guard}", f"#define {guard}", "", "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
        f"#define {name.upper()}_OUTPUTS {program.y.size}",
    ]  # fmt: skip
    if program.x is not None:
        lines += [f"#define {name.upper()}_INPUTS {program.x.size}"]
    lines.append("")
    if program.columns:
        lines += ["/* A row. A number that is missing is NAN, and a text that is missing is 0 (a null pointer). */",
                  f"struct {name}_row {{", *_fields(program), "};", ""]  # fmt: skip
    if dated:
        lines += ["/* Return a date such as 2024-05-03 or 2024-05-03 18:30 as seconds since 1970; NAN for other texts. */",
                  f"double {name}_date(const char *text);", ""]  # fmt: skip
    if program.classes:
        lines += [f"extern const char *const {name}_classes[{len(program.classes)}];", ""]
    about = f"the probability of {name}_classes[k]" if program.classes else "a prediction"
    found = (
        f" Return the index of the class in {name}_classes."
        if program.columns and label and not program.several
        else ""
    )
    lines += [f"/* Write {program.y.size} numbers: y[k] is {about}.{found} */", f"{predict};", ""]
    if label:
        found = f"Write 1 for each label that applies, else 0: {real} y[] are the probabilities."
        found = found if program.several else f"Return the index of the class in {name}_classes for the probabilities."
        lines += [f"/* {found} */", f"{label.strip().partition(' {')[0]};", ""]
    return "\n".join([*lines, "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""])


def _fields(program: Program) -> Iterator[str]:
    for column, field in fields(program.columns).items():
        about = next(given for given in program.columns if given.name == column)
        note = [comment(column)] if field != column else []
        if about.kind == "date":
            note.append("seconds since 1970" + (f", in the local time of {comment(about.zone)}" if about.zone else ""))
        if about.values:
            shown = ", ".join(comment(value) for value in about.values[:5])
            note.append(f"{shown}{', ...' if len(about.values) > 5 else ''}")
        kind = "double " if about.kind in ("number", "date") else "const char *"
        yield f"    {kind}{field};" + (f" /* {'; '.join(note)} */" if note else "")
