"""Python: one file that needs NumPy alone, to read from top to bottom."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.export.library import by, call, needed
from chainrule.export.program import Argument, Field, Program

__all__ = ["script"]

FUNCTIONS = "functions.py"
SHORT = 8  # numbers that are written as they are
MODULES = ("base64", "contextlib", "datetime", "json", "math", "re", "sys")


def script(program: Program) -> str:
    """Return the source of the script."""
    constants = [f"{name} = {_constant(value)}" for name, value in program.arrays.items()]
    lines = [*_given(program)]
    for i, op in enumerate(program.ops):
        lines += [f"    # {ascii(op.note)[1:-1]}"] if op.note else []
        lines.append(f"    {op.y.name} = {call(FUNCTIONS, op, i, _spelled)}")
    lines.append(f"    return {program.y.name}")
    functions = [re.sub(r"  # (?:noqa|fmt).*", "", source)
                 for source in needed(FUNCTIONS, program.kinds | {"array"} | ({"read"} if program.columns else set()))]  # fmt: skip
    described = (
        [f"COLUMNS = [\n{''.join(f'    {ascii(_column(c))},{chr(10)}' for c in program.columns)}]"]
        if program.columns
        else []
    )
    described += [f"CLASSES = {ascii([*program.classes])}"] if program.classes else []
    body = "\n\n\n".join([
        *functions, "\n".join([*described, *constants]),
        f'def outputs(rows: Any) -> Array:\n    """Return what the model computes: (rows, {program.y.size})."""\n' + "\n".join(lines),
        *_predict(program),
        'if __name__ == "__main__":\n    print(json.dumps(predict(json.load(sys.stdin))))',
    ])  # fmt: skip
    imports = "\n".join(f"import {name}" for name in MODULES if re.search(rf"(?<!\w){name}\.", body))
    more = "from collections.abc import Sequence\n" if "Sequence" in body else ""
    return (
        f'"""{_plain(program.about)}\n\n{_plain(by())}. It needs NumPy alone:\n\n    python FILE < rows.json\n"""\n\n'
        f"{imports}\n{more}from typing import Any\n\nimport numpy as np\nfrom numpy.typing import NDArray\n\n"
        f"Array = NDArray[Any]\n\n\n{body}\n"
    )


def _given(program: Program) -> list[str]:
    if program.x is None:
        return ["    rows = [rows] if isinstance(rows, dict) else rows",
                "    row = {column['name']: [read(each, column) for each in rows] for column in COLUMNS}"]  # fmt: skip
    return [f"    x = np.asarray(rows, np.{program.x.dtype}).reshape(len(rows), -1)",
            f"    if x.shape[1] != {program.x.size}:",
            f'        raise ValueError(f"expected {program.x.size} numbers in a row, got {{x.shape[1]}}.")']  # fmt: skip


def _predict(program: Program) -> list[str]:
    head = "def predict(rows: Any) -> list[Any]:\n"
    if not program.classes:
        one = "[:, 0]" if program.y.size == 1 else ""
        return [f'{head}    """Return the prediction for each row."""\n    return outputs(rows){one}.tolist()']
    limits = None if program.thresholds is None else f"np.array({program.thresholds.tolist()!r})"
    if program.several:
        about, found = (
            "1 for each label that applies, else 0, for each row",
            f"(p > {limits or 0.5}).astype(int).tolist()",
        )
    else:
        about, chosen = "the class of each row", f"(p / {limits})" if limits else "p"
        found = f"[CLASSES[k] for k in {chosen}.argmax(axis=1)]"
    return ['def probabilities(rows: Any) -> Array:\n    """Return the probabilities, in the order of CLASSES."""\n'
            "    return outputs(rows)",
            f'{head}    """Return {about}."""\n    p = probabilities(rows)\n    return {found}']  # fmt: skip


def _column(column: Any) -> dict[str, Any]:
    return {**column._asdict(), "values": [*column.values]}


def _constant(value: Array | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return ascii([*value])
    if value.ndim == 1 and value.size <= SHORT and np.isfinite(value).all():
        return f"np.array([{', '.join(value.astype(str).tolist())}], np.{value.dtype})"
    little = value.astype(value.dtype.newbyteorder("<"))
    shape = "".join(f", {size}" for size in value.shape)
    return f'array("{base64.b64encode(little.tobytes()).decode()}", "{little.dtype.str}"{shape})'


def _spelled(value: Argument) -> str:
    if isinstance(value, Field):
        return f"row[{ascii(value.column.name)}]"
    if isinstance(value, tuple):
        return ascii([field.column.name for field in value])
    return repr(value)


def _plain(text: str) -> str:
    return ascii(text)[1:-1].replace('"', "'")
