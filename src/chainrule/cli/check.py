"""``chainrule check``: the gradient check as a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli.errors import BAD_INPUT, FAILED, in_one_sentence
from chainrule.cli.kinds import is_table_run

if TYPE_CHECKING:
    from chainrule.cli.check_result import Check
    from chainrule.gradient_check.engines import Comparison
    from chainrule.penalties import Penalty
else:
    Check = Comparison = Penalty = Any

NET, HOW = "A network in words", "How it is checked"


@in_one_sentence
def check(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="A folder that chainrule train wrote; a model file (.safetensors); or a Python file of your own, "
            "FILE.py or FILE.py:NAME, whose code is run, as by python FILE.py. Without: all that chainrule ships.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="For a table's run: a file with labeled rows to check at; by default made-up ones."
        ),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Inputs: a number, or a shape: 28x28x1; also of layers in FILE.py.", rich_help_panel=NET
        ),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help='"dense 8, tanh, dropout 0.2, dense 3".', rich_help_panel=NET)
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help='softmax_cross_entropy, "huber 0.5", ...', rich_help_panel=NET)
    ] = None,
    l1: Annotated[float, typer.Option("--l1", help="Strength of an L1 penalty.", rich_help_panel=HOW)] = 0.0,
    l2: Annotated[float, typer.Option("--l2", help="Strength of an L2 penalty.", rich_help_panel=HOW)] = 0.0,
    rows: Annotated[int, typer.Option(help="Rows of the random batch.", rich_help_panel=HOW)] = 8,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.", rich_help_panel=HOW)] = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="Also check every layer, loss and penalty of chainrule.", rich_help_panel=HOW)
    ] = False,
    kernels: Annotated[
        bool,
        typer.Option(
            "--kernels", help="Also compare the compiled kernels with the reference here.", rich_help_panel=HOW
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print data, for programs.", rich_help_panel=HOW)] = False,
) -> None:
    """Check gradients against finite differences, and layers against their contract; say in words what is wrong.

    In a Python file: every Network, layer, loss, penalty or optimizer under a name, and every class of these; and a
    function called loss with parameters and gradients, in plain NumPy.

    Status: 0 all is right; 1 something is wrong; 2 something cannot be checked.
    Where there are no compiled kernels, --kernels says so, and that is no mistake.
    """
    from chainrule.cli import bounds  # noqa: PLC0415  (start-up time: not needed for --help)
    from chainrule.cli.check_report import Json, Text  # noqa: PLC0415  (start-up time)
    from chainrule.penalties import L1, L2  # noqa: PLC0415  (start-up time)

    bounds.check("check", {"rows": rows, "seed": seed, "l1": l1, "l2": l2})
    if target is None and inputs is layers is loss is None:
        everything = True
    terms = [cls(strength) for cls, strength in ((L1, l1), (L2, l2)) if strength]
    checks, not_made = _checks(target, file, (inputs, layers, loss), rows, seed, terms)
    report = Json() if as_json else Text()
    report.checks(checks, not_made)
    if everything:
        from chainrule.cli.checks import shipped  # noqa: PLC0415

        library = list(shipped(rows, seed))
        report.library(library)
        checks = [*checks, *library]
    compared: list[Comparison] = []
    if kernels:
        from chainrule.gradient_check import engines as compare  # noqa: PLC0415

        found = compare.compare(seed)
        compared = found or []
        report.kernels(found, compare.MISSING)
    report.end()
    if any(c.wrong for c in checks) or not all(c.ok for c in compared):
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
) -> tuple[list[Check], list[str]]:
    """Check the target, or the network in words (inputs, layers and loss); and say what could not be made."""
    from chainrule.cli import checks, config, described, python_file  # noqa: PLC0415  (start-up time)
    from chainrule.files.serving import load  # noqa: PLC0415  (start-up time)
    from chainrule.network import Network  # noqa: PLC0415  (start-up time)

    inputs, layers, loss = words
    given = [name for name, value in zip(("--inputs", "--layers", "--loss"), words, strict=True) if value is not None]
    python = target is not None and python_file.is_python(target)
    shape = described.inputs(inputs) if inputs is not None else None  # also of the layers in a Python file
    if given and target is not None and not (python and given == ["--inputs"]):
        raise ValueError(f"{given[0]} describes a network, but {target} is to be checked: give one of the two.")
    if given and target is None:
        if layers is None or shape is None:
            raise ValueError(
                'a network in words needs both --inputs and --layers: --inputs 4 --layers "dense 8, tanh, dense 3".'
            )
        chosen = described.loss(loss or "softmax_cross_entropy")
        network = Network(shape, described.layers(layers), chosen, seed=seed)
        return [checks.check_network("Network", network, rows, seed, terms)], []
    if target is None:
        return [], []
    path = Path(target)
    if is_table_run(path):
        from chainrule.cli import table_runs  # noqa: PLC0415  (an extra)

        return table_runs.checks(path, file, rows, seed, terms), []
    if file is not None:
        raise ValueError(f"{file}: {target} is not the run of a table, and is checked at random rows: leave it out.")
    if python:
        with python_file.opened(target) as found:
            return [
                checks.check(name, thing, rows, seed, terms, shape) for name, thing in found.subjects.items()
            ], found.not_made
    if path.is_file():
        model: Any = load(path)  # a network, or an estimator with one or more
        networks = getattr(model, "networks", [model])
        names = [str(path)] if len(networks) == 1 else [f"{path}, network {i}" for i in range(len(networks))]
        return [checks.check_network(n, net, rows, seed, terms) for n, net in zip(names, networks, strict=True)], []
    if path.is_dir():
        run, network = config.read(path)
        return [checks.check_network(str(path), network, rows, seed, terms, *run.input_range)], []
    raise FileNotFoundError(
        f"there is no {target}: expected a folder that chainrule train wrote, a .safetensors file or a Python file."
    )
