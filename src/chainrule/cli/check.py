"""``chainrule check``: the gradient check as a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli.errors import BAD_INPUT, FAILED, in_one_sentence

if TYPE_CHECKING:
    from chainrule.cli.check_result import Check
    from chainrule.gradient_check.engines import Comparison
    from chainrule.network import Network
    from chainrule.penalties import Penalty
else:
    Check = Comparison = Network = Penalty = Any

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
    from chainrule.cli import bounds  # noqa: PLC0415  (not needed for --help)
    from chainrule.cli.check_report import Json, Text  # noqa: PLC0415

    bounds.check("check", {"rows": rows, "seed": seed, "l1": l1, "l2": l2})
    described = _described(inputs, layers, loss, seed, target)
    if described is None and target is None:
        everything = True
    terms = _penalties(l1, l2)
    shape = _shape(inputs) if inputs is not None and described is None else None
    checks, not_made = _checks(target, file, described, rows, seed, terms, shape)
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


def _described(
    inputs: str | None, layers: str | None, loss: str | None, seed: int, target: str | None
) -> Network | None:
    """Return the network that the options describe, if they do."""
    given = [
        name for name, value in (("--inputs", inputs), ("--layers", layers), ("--loss", loss)) if value is not None
    ]
    if not given:
        return None
    from chainrule.cli import python_file  # noqa: PLC0415

    if target is not None and given == ["--inputs"] and python_file.is_python(target):
        return None  # the shape that its layers take
    if target is not None:
        raise ValueError(f"{given[0]} describes a network, but {target} is to be checked: give one of the two.")
    if layers is None or inputs is None:
        raise ValueError(
            'a network in words needs both --inputs and --layers: --inputs 4 --layers "dense 8, tanh, dense 3".'
        )
    from chainrule.cli import described  # noqa: PLC0415
    from chainrule.network import Network  # noqa: PLC0415

    chosen = described.loss(loss or "softmax_cross_entropy")
    return Network(described.inputs(inputs), described.layers(layers), chosen, seed=seed)


def _shape(text: str) -> tuple[int, ...]:
    from chainrule.cli import described  # noqa: PLC0415

    return described.inputs(text)


def _penalties(l1: float, l2: float) -> list[Penalty]:
    from chainrule.penalties import L1, L2  # noqa: PLC0415

    return [cls(strength) for cls, strength in ((L1, l1), (L2, l2)) if strength]


def _checks(
    target: str | None,
    file: str | None,
    described: Network | None,
    rows: int,
    seed: int,
    terms: Sequence[Penalty],
    shape: tuple[int, ...] | None = None,
) -> tuple[list[Check], list[str]]:
    """Check the target, or the network in words; and say what could not be made."""
    if target is None and described is None:
        return [], []
    from chainrule.cli import checks, config, python_file, table_runs  # noqa: PLC0415  (not needed for --help)
    from chainrule.files.serving import load  # noqa: PLC0415

    if described is not None:
        return [checks.check_network("Network", described, rows, seed, terms)], []
    assert target is not None  # noqa: S101
    path = Path(target)
    if path.is_dir() and table_runs.is_run(path):
        return table_runs.checks(path, file, rows, seed, terms), []
    if file is not None:
        raise ValueError(f"{file}: {target} is not the run of a table, and is checked at random rows: leave it out.")
    if python_file.is_python(target):
        with python_file.opened(target) as found:
            return [
                checks.check(name, thing, rows, seed, terms, shape) for name, thing in found.subjects.items()
            ], found.not_made
    if path.is_file():
        model: Any = load(path)  # a network, or an estimator with one or more
        networks = getattr(model, "networks", [model])
        return [
            checks.check_network(f"{path}, network {i}" if len(networks) > 1 else str(path), network, rows, seed, terms)
            for i, network in enumerate(networks)
        ], []
    if path.is_dir():
        run, network = config.read(path)
        return [checks.check_network(str(path), network, rows, seed, terms, *run.input_range)], []
    raise FileNotFoundError(
        f"there is no {target}: expected a folder that chainrule train wrote, a .safetensors file or a Python file."
    )
