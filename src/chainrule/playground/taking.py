"""Taking the network home: Python, a notebook, a model file, ONNX, C."""

from __future__ import annotations

import base64
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from chainrule import export, onnx
from chainrule._internal.config import Config
from chainrule.files.networks import save
from chainrule.network import Network
from chainrule.playground.bounds import RefusedError
from chainrule.playground.state import Plan


class Taken:
    """The source of a file: a plan, its network after some steps, and what was changed by hand."""

    def __init__(self, plan: Plan, network: Network, step: int, changes: int) -> None:
        self.plan, self.step, self.changes = plan, step, changes
        self.network = plan.network()  # of the library's own layers, also where a backward was edited
        self.network.values[:] = network.values


def take(taken: Taken, what: Any) -> dict[str, Any]:
    """Return the file as a message."""
    if not isinstance(what, str) or what not in KINDS:
        raise RefusedError("take", f"take: expected one of {', '.join(KINDS)}, got {what!r}.")
    try:
        name, content = KINDS[what](taken)
    except (ImportError, TypeError, ValueError) as error:
        raise RefusedError("take", f"take: {error}") from None
    return {"type": "file", "name": name, "base64": base64.b64encode(content).decode()}


def cells(taken: Taken) -> list[tuple[str, str]]:
    """Return the cells of the program, titles and code. It trains the same network, to the bit."""
    plan = taken.plan
    given = {k: v for k, v in vars(plan.data).items() if v not in (None, (), "")}
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    layers = ",\n".join(f"        {written(layer, 'layers')}" for layer in plan.layers)
    return [
        ("The rows", ROWS.format(arguments)),
        ("The network", NETWORK.format(plan.inputs, layers, written(plan.loss, "losses"), plan.seed)),
        ("Training", (STOP_AFTER if taken.step else "") + _training(plan, taken.step)),
        ("The result", "print(network)\nprint(cr.evaluate(network, data.X, data.t))"),
    ]


ROWS = """import chainrule as cr
from chainrule.playground.data import Data, prepare

data = prepare(Data({}))"""
NETWORK = """network = cr.Network(
    {},
    [
{},
    ],
    {},
    seed={},
)"""
STOP_AFTER = '''class StopAfter(cr.Callback):
    """Ends training after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_batch(self, run):
        self.steps -= 1
        if self.steps == 0:
            run.stop("the step of the playground")


'''


def _training(plan: Plan, step: int) -> str:
    arguments = {
        "optimizer": written(plan.optimizer, "optimizers"),
        "schedule": written(plan.schedule, "schedules"),
        "penalties": written(plan.penalties, "penalties"),
        "batch_size": plan.batch_size,
        "epochs": plan.epochs,
        "validation": "(data.X_test, data.t_test)" if len(plan.rows.X_test) else None,
        "callbacks": f"[StopAfter({step})]" if step else [],
        "seed": plan.training_seed,
    }
    lines = "".join(f"    {name}={value},\n" for name, value in arguments.items())
    return f"history = cr.train(\n    network,\n    data.X,\n    data.t,\n{lines})"


def written(value: Any, module: str) -> str:
    """Return the call that makes a part of the library.

    >>> from chainrule.layers import Dense
    >>> written(Dense(3, weights="he_normal"), "layers")
    'cr.layers.Dense(3, weights=cr.initializers.HeNormal())'
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(written(part, module) for part in value)}]"
    if not isinstance(value, Config):
        return repr(value)
    module = type(value).__module__.split(".")[1]
    typed: list[str] = []
    known: tuple[Field[Any], ...] = fields(value) if is_dataclass(value) else ()
    for field in known:
        argument: Any = getattr(value, field.name) if field.init else field.default
        if field.init and field.default is MISSING and field.default_factory is MISSING:
            typed.append(written(argument, module))
        elif field.init and argument != field.default:
            typed.append(f"{field.name}={written(argument, module)}")
    return f"cr.{module}.{type(value).__name__}({', '.join(typed)})"


def program(taken: Taken) -> str:
    """Return the program as one text."""
    note = f"# Not in this program: {taken.changes} change(s) by hand in the playground.\n" if taken.changes else ""
    return note + "\n\n".join(code for _, code in cells(taken)) + "\n"


def _python(taken: Taken) -> tuple[str, bytes]:
    return "playground.py", program(taken).encode()


def _notebook(taken: Taken) -> tuple[str, bytes]:
    written_cells: list[dict[str, Any]] = []
    for i, (title, code) in enumerate(cells(taken)):
        text = {"cell_type": "markdown", "id": f"title-{i}", "metadata": {}, "source": f"## {title}"}
        run: dict[str, Any] = {"cell_type": "code", "id": f"code-{i}", "metadata": {}, "source": code}
        written_cells += [text, run | {"execution_count": None, "outputs": []}]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": written_cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return "playground.ipynb", json.dumps(notebook, ensure_ascii=False, indent=1).encode()


def _model(taken: Taken) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "playground.safetensors")
        save(taken.network, path)
        return path.name, path.read_bytes()


def _onnx(taken: Taken) -> tuple[str, bytes]:
    return "playground.onnx", onnx.convert(taken.network).SerializeToString()


def _c(taken: Taken) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        export.save(taken.network, Path(folder, "playground.c"))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, path.name)
    return "playground-c.zip", packed.getvalue()


KINDS: Mapping[str, Callable[[Taken], tuple[str, bytes]]] = {
    "python": _python, "notebook": _notebook, "model": _model, "onnx": _onnx, "c": _c,
}  # fmt: skip
"""The files, by their names in a message."""
