"""Names, strings, comments and numbers in C: nothing in them can end them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np

from chainrule._internal.typing import Array
from chainrule.export.program import Input

TYPES = {"float32": "float", "float64": "double", "int32": "int"}
WORDS = """
asm auto bool break case catch char class const continue default delete do double else enum explicit export extern false
float for friend goto if inline int long mutable namespace new operator private protected public register restrict
return short signed sizeof static struct switch template this throw true try typedef typename union unsigned using
virtual void volatile while
"""
"""Words of C and of C++ that no field may be called."""
SAFE = {"?": "\\?", '"': '\\"', "\\": "\\\\"}


def identifier(text: str) -> str:
    """Return a name as an identifier.

    >>> identifier("my-model.v2"), identifier("2 nets"), identifier("Größe"), identifier("int")
    ('my_model_v2', 'x2_nets', 'Gr__e', 'int_')
    """
    found = re.sub(r"[^A-Za-z0-9_]", "_", text)
    found = found if found[:1].isalpha() else f"x{found}"
    return f"{found}_" if found in WORDS.split() else found


def fields(columns: Sequence[Input]) -> dict[str, str]:
    """Return the names of the fields of a row, all different, by the names of the columns."""
    found: dict[str, str] = {}
    for column in columns:
        base = identifier(column.name)
        names = [base, *(f"{base}_{i}" for i in range(2, len(columns) + 2))]
        found[column.name] = next(name for name in names if name not in found.values())
    return found


def string(text: str) -> str:
    r"""Return a string, in UTF-8.

    >>> print(string('5" ??/ ü'), string("a\\n\n"))
    "5\" \?\?/ \303\274" "a\\n\012"
    """
    letters = (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in text.encode("utf-8", "replace"))
    return f'"{"".join(SAFE.get(letter, letter) for letter in letters)}"'


def comment(text: str) -> str:
    r"""Return a text for a comment, in ASCII.

    >>> print(comment("a */ b\n/* ü"))
    a \u002a/ b\n/\u002a \u00fc
    """
    return json.dumps(text)[1:-1].replace("*", "\\u002a").replace("??", "\\u003f?").replace('\\"', '"')


def constant(name: str, value: Array | tuple[str, ...]) -> str:
    """Return the definition of a constant; C has no empty arrays."""
    if isinstance(value, tuple):
        return f"static const char *const {name}[] = {{{lines([string(text) for text in value] or ['0'])}}};"
    texts = numbers(value) or ["0"]
    return f"static const {TYPES[str(value.dtype)]} {name}[{len(texts)}] = {{{lines(texts)}}};"


def numbers(array: Array) -> list[str]:
    """Return the shortest texts that are read as these numbers.

    >>> numbers(np.array([0.1, -np.inf, 1e-5], np.float32)), numbers(np.array([0.1, np.nan]))
    (['0.1f', '-INFINITY', '1e-05f'], ['0.1', 'NAN'])
    """
    odd = {"inf": "INFINITY", "-inf": "-INFINITY", "nan": "NAN"}
    end = "f" if array.dtype == np.float32 else ""
    return [odd.get(text) or f"{text}{end}" for text in array.ravel().astype(str).tolist()]


def lines(texts: Sequence[str]) -> str:
    """Return texts with commas between them, in lines of at most 120 characters where they allow it."""
    made, width = [""], 0
    for text in texts:
        width += len(text) + 2
        if width > 116:
            made.append("")
            width = len(text) + 2
        made[-1] += f"{text}, "
    whole = "\n    ".join(line.rstrip() for line in made).rstrip(",")
    return f"\n    {whole}\n" if len(made) > 1 else whole
