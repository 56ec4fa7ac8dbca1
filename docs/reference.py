"""Write docs/reference.md: every public name, with what its docstring says in one line.

python docs/reference.py        # or "-" for standard output
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

MODULES = {
    "chainrule.network": "The network",
    "chainrule.training.loop": "Training",
    "chainrule.advice": "Warnings that help",
    "chainrule.estimators": "scikit-learn's contract",
    "chainrule.ensemble": "Ensembles for tables",
    "chainrule.encoding": "Columns of a table as inputs",
    "chainrule.estimators.advice": "Warnings of the estimators",
    "chainrule.gradient_check": "The gradient check",
    "chainrule.tracing": "Worked examples",
    "chainrule.layers": "Layers",
    "chainrule.losses": "Losses",
    "chainrule.initializers": "Initializers",
    "chainrule.penalties": "Penalties and constraints",
    "chainrule.optimizers": "Optimizers",
    "chainrule.schedules": "Schedules",
    "chainrule.training.clipping": "Clipping",
    "chainrule.training.callbacks": "Callbacks",
    "chainrule.training.averaging": "Averages of the weights",
    "chainrule.training.augmentation": "Augmentation",
    "chainrule.training.rate_finder": "The learning-rate range test",
    "chainrule.training.checkpoints": "Checkpoints",
    "chainrule.parallel": "Several processes",
    "chainrule.metrics": "Metrics",
    "chainrule.files.networks": "Model files",
    "chainrule.files.folding": "Networks for prediction",
    "chainrule.onnx": "ONNX",
    "chainrule.export": "C, JavaScript and NumPy",
    "chainrule.serve": "The service",
    "chainrule.playground": "The playground",
    "chainrule.files.serving": "Prediction with NumPy alone",
    "chainrule.tables.report": "Reports of tables",
    "chainrule.tables.streaming": "Tables larger than memory",
    "chainrule.tables.tuning": "Tuning",
    "chainrule.tables": "Tables in Python",
    "chainrule.datasets": "Data sets",
    "chainrule.plotting": "Pictures",
}
ELSEWHERE = {
    "chainrule.network": ["Network"],
    "chainrule.training.loop": ["History", "Memo", "Workspace"],
}


def signature(thing: object) -> str:
    """Return the names of the parameters."""
    if not callable(thing) or (isinstance(thing, type) and issubclass(thing, Exception)):
        return ""
    try:
        names = [p.name for p in inspect.signature(thing).parameters.values()]
    except ValueError:
        return ""
    return f"({', '.join(names)})"


def page() -> str:
    """Return the page as Markdown."""
    import chainrule

    lines = [
        "# Reference",
        "",
        "Every public name. Its full page, with formula, shapes, errors, example and source, is its docstring:",
        "`python -m pydoc chainrule.layers.Dense`, or `help(...)` in Python. This list is made by `docs/reference.py`.",
    ]
    for module_name, title in MODULES.items():
        module = importlib.import_module(module_name)
        names = [*ELSEWHERE.get(module_name, []), *getattr(module, "__all__", [])]
        lines += ["", f"## {title}", "", f"{(module.__doc__ or '').strip().splitlines()[0]}", ""]
        lines += ["| name | what it is |", "|---|---|"]
        for name in names:
            thing = getattr(chainrule, name) if name in ELSEWHERE.get(module_name, []) else getattr(module, name)
            first = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split()) if callable(thing) else "A table."
            escaped = first.replace("|", "\\|")
            lines.append(f"| `{name}{signature(thing)}` | {escaped} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(page())
    else:
        Path(__file__).with_name("reference.md").write_text(page(), encoding="utf-8")
