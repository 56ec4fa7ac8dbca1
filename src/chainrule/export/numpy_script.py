"""Python: one file that needs NumPy alone, to read from top to bottom."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.export.library import by, call, needed
from chainrule.export.program import Field, Program

FUNCTIONS = "functions.py"
SHORT = 8  # numbers that are written as they are
MODULES = ("base64", "contextlib", "datetime as dt", "json", "math", "re", "sys")


def script(program: Program) -> str:
    """Return the source of the script."""
    constants = [f"{name} = {_constant(value)}" for name, value in program.arrays.items()]
    lines = _given(program)
    for i, op in enumerate(program.ops):
        lines += [f"    # {ascii(op.note)[1:-1]}"] if op.note else []
        lines.append(f"    {op.y.name} = {call(FUNCTIONS, op, i, _spelled)}")
    lines.append(f"    return {program.y.name}")
    names = program.kinds | {"array"} | ({"read"} if program.columns else set())
    functions = [re.sub(r"  # (?:noqa|fmt).*", "", source) for source in needed(FUNCTIONS, names)]
    columns = "".join(f"    {column._asdict()!a},\n" for column in program.columns)
    described = [f"COLUMNS = [\n{columns}]"] if columns else []
    described += [f"NAMES = {[*program.names]!a}  # of the numbers in a row"] if program.names else []
    described += [f"CLASSES = {[*program.classes]!a}"] if program.classes else []
    halves = [of[0] if len(of) == 1 else [*of] for of in program.halves]
    described += [f"HALVES = {halves!r}  # of intervals for 1 %, 2 %, ..."] if halves else []
    about = f"Return the outputs of the model, (rows, {program.y.size})."
    body = "\n\n\n".join([
        *functions, "\n".join([*described, *constants]),
        "\n".join(["def outputs(rows: Any) -> Array:", f'    """{about}"""', *lines]), *_predict(program),
        'if __name__ == "__main__":\n    print(json.dumps(predict(json.load(sys.stdin))))',
    ])  # fmt: skip
    imports = "\n".join(f"import {name}" for name in MODULES if re.search(rf"(?<!\w){name.split()[-1]}\.", body))
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
    n = program.x.size
    return [f"    x = np.asarray(rows, np.{program.x.dtype}).reshape(len(rows), -1)", f"    if x.shape[1] != {n}:",
            f'        raise ValueError(f"expected {n} numbers in a row, got {{x.shape[1]}}.")']  # fmt: skip


def _predict(program: Program) -> list[str]:
    head = "def predict(rows: Any) -> list[Any]:\n"
    if not program.classes:
        one = "[:, 0]" if program.y.size == 1 else ""
        plain = [f'{head}    """Return the prediction for each row."""\n    return outputs(rows){one}.tolist()']
        return [*plain, _interval(program)] if program.halves else plain
    limits = None if program.thresholds is None else f"np.array({program.thresholds.tolist()!r})"
    if program.several:
        about, found = "1 for each label that applies, else 0", f"(p > {limits or 0.5}).astype(int).tolist()"
    else:
        chosen = f"(p / {limits})" if limits else "p"
        about, found = "the class of each row", f"[CLASSES[k] for k in {chosen}.argmax(axis=1)]"
    order = '    """Return the probabilities, in the order of CLASSES."""'
    return [f"def probabilities(rows: Any) -> Array:\n{order}\n    return outputs(rows)",
            f'{head}    """Return {about}."""\n    p = probabilities(rows)\n    return {found}']  # fmt: skip


def _interval(program: Program) -> str:
    most, least = len(program.halves), program.least
    low = "max(y - half, 0.0)" if least == (0,) else "y - half"
    kind, about, found = "list[list[float]]", "", f"[[{low}, y + half] for y in predict(rows)]"
    if len(least) > 1:
        kind, about = "list[list[list[float]]]", ", for each output"
        least_of = "[{}]".format(", ".join("0.0" if of == 0 else "-math.inf" for of in least))
        one = f"[max(y - h, least), y + h] for y, h, least in zip(row, half, {least_of}, strict=True)"
        found = f"[[{one}] for row in predict(rows)]"
    return f'''def interval(rows: Any, coverage: float = 0.9) -> {kind}:
    """Return the ends of intervals that contain a share of new values, to a whole percent{about}."""
    percent = math.ceil(round(coverage * 100, 9))
    if not 1 <= percent <= {most}:
        raise ValueError(f"coverage: expected a share of 0.01 to {most / 100:g}, got {{coverage!r}}.")
    half = HALVES[percent - 1]
    return {found}'''


def _constant(value: Array | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return f"{[*value]!a}"
    if value.ndim == 1 and value.size <= SHORT and np.isfinite(value).all():
        return f"np.array([{', '.join(value.astype(str).tolist())}], np.{value.dtype})"
    little = value.astype(value.dtype.newbyteorder("<"))
    shape = "".join(f", {size}" for size in value.shape)
    return f'array("{base64.b64encode(little.tobytes()).decode()}", "{little.dtype.str}"{shape})'


def _spelled(value: Any) -> str:
    if isinstance(value, Field):
        return f"row[{value.column.name!a}]"
    if isinstance(value, tuple):
        return ascii([field.column.name for field in value])
    return repr(value)


def _plain(text: str) -> str:
    return ascii(text)[1:-1].replace('"', "'")
