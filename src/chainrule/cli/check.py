"""``chainrule check``: the gradient check as a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.cli import config, described, json_output
from chainrule.cli.errors import BAD_INPUT, FAILED, in_one_sentence
from chainrule.cli.folder import is_table_run
from chainrule.cli.options import check_bounds, option
from chainrule.files.serving import load
from chainrule.penalties import L1, L2, Penalty

NET, HOW = "Network description", "Check settings"


@in_one_sentence
def check(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="A folder written by chainrule train, a model file (.safetensors), or your own Python file (FILE.py "
            "or FILE.py:NAME; its code is executed, as with python FILE.py). By default, everything built in.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="For a run on a table: a file with labeled rows; by default, made-up rows are used."
        ),
    ] = None,
    inputs: Annotated[
        str | None,
        option(NET, "Number of inputs, or their shape, such as 28x28x1; also for layers in FILE.py.", metavar="N"),
    ] = None,
    layers: Annotated[str | None, option(NET, 'Layers, such as "dense 8, tanh, dropout 0.2, dense 3".')] = None,
    loss: Annotated[str | None, option(NET, 'Loss, such as softmax_cross_entropy or "huber 0.5".')] = None,
    l1: Annotated[float, option(HOW, "L1 penalty strength.", "--l1")] = 0.0,
    l2: Annotated[float, option(HOW, "L2 penalty strength.", "--l2")] = 0.0,
    rows: Annotated[int, option(HOW, "Rows in the random batch.")] = 8,
    seed: Annotated[int, option(HOW, "Random seed.")] = 0,
    everything: Annotated[bool, option(HOW, "Also check every built-in layer, loss and penalty.", "--all")] = False,
    engine: Annotated[
        bool, option(HOW, "Also compare the compiled engine with the reference on this machine.", "--engine")
    ] = False,
) -> None:
    """Check gradients against finite differences and layers against their contract, and explain any errors.

    In a Python file, this checks every module-level network, layer, loss, penalty or optimizer, object or class.

    It also checks a function named loss in plain NumPy, with its parameters and gradients.

    Exit status: 0 if all checks pass, 1 if any fails, 2 if something cannot be checked.

    If the compiled engine is not installed, --engine says so; this is not an error.
    """
    from chainrule.cli import checks as work  # noqa: PLC0415  (start-up time)
    from chainrule.cli.check_report import Json, Text  # noqa: PLC0415  (start-up time)
    from chainrule.gradient_check import engines  # noqa: PLC0415  (start-up time)

    check_bounds("check", {"rows": rows, "seed": seed, "l1": l1, "l2": l2})
    if target is None and inputs is layers is loss is None:
        everything = True
    terms = [cls(strength) for cls, strength in ((L1, l1), (L2, l2)) if strength]
    checks, not_made = _checks(target, file, (inputs, layers, loss), rows, seed, terms)
    report = Json() if json_output.is_asked() else Text()
    report.checks(checks, not_made)
    if everything:
        library = list(work.shipped(rows, seed))
        report.library(library)
        checks = [*checks, *library]
    compared = engines.compare(seed) if engine else []
    if engine:
        report.engine(compared)
    report.end()
    if any(c.wrong for c in checks) or not all(c.ok for c in compared or ()):
        raise typer.Exit(FAILED)
    if not_made or not all(c.ok for c in checks):
        raise typer.Exit(BAD_INPUT)


def _checks(
    target: str | None,
    file: str | None,
    words: tuple[str | None, str | None, str | None],
    rows: int,
    seed: int,
    terms: Sequence[Penalty],
) -> tuple[list[Any], list[str]]:
    """Check the target, or the described network (inputs, layers and loss); return also what could not be made."""
    from chainrule.cli import checks, python_file  # noqa: PLC0415  (start-up time)

    given = [name for name, value in zip(("--inputs", "--layers", "--loss"), words, strict=True) if value is not None]
    if target is None:
        if not given:
            return [], []
        return [checks.check_network("Network", described.network(*words, seed), rows, seed, terms)], []
    python = python_file.is_python(target)
    if given and not (python and given == ["--inputs"]):
        raise ValueError(f"{given[0]} cannot be combined with {target}: give one or the other.")
    path = Path(target)
    if is_table_run(path):
        from chainrule.cli import table_runs  # noqa: PLC0415  (an extra)

        return table_runs.checks(path, file, rows, seed, terms), []
    if file is not None:
        raise ValueError(f"{target} is not a run on a table, and is checked at random rows: omit {file}.")
    if python:
        shape = described.parse_inputs(words[0]) if words[0] is not None else None
        with python_file.opened(target) as found:
            subjects = found.subjects.items()
            return [checks.check(name, thing, rows, seed, terms, shape) for name, thing in subjects], found.not_made
    if path.is_file():
        model: Any = load(path)  # a network, or an estimator with one or more
        return checks.check_networks(str(path), getattr(model, "networks", [model]), rows, seed, terms), []
    if path.is_dir():
        run, network = config.read(path)
        return [checks.check_network(str(path), network, rows, seed, terms, *run.input_range)], []
    raise FileNotFoundError(
        f"{target} does not exist: give a folder written by chainrule train, a .safetensors file or a Python file."
    )
