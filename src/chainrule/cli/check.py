"""``chainrule check``: the gradient check as a command."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli.errors import BAD_INPUT, FAILED, in_one_sentence, say

if TYPE_CHECKING:
    from chainrule.cli.checks import Check
    from chainrule.kernels.compare import Comparison
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
    inputs: Annotated[
        str | None, typer.Option(metavar="N", help="Inputs: a number, or a shape: 28x28x1.", rich_help_panel=NET)
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

    In a Python file: every Network, layer, loss or penalty under a name, and every class of these.

    Status: 0 all is right; 1 something is wrong; 2 something cannot be checked.
    Where there are no compiled kernels, --kernels says so, and that is no mistake.
    """
    from chainrule._checks import check_count  # noqa: PLC0415  (not needed for --help)

    check_count("check", "--rows", rows, least=2)
    check_count("check", "--seed", seed, least=0)
    described = _described(inputs, layers, loss, seed, target)
    if described is None and target is None:
        everything = True
    terms = _penalties(l1, l2)
    checks, not_made = _checks(target, described, rows, seed, terms)
    report = _Json() if as_json else _Text()
    report.checks(checks, not_made)
    if everything:
        from chainrule.cli.checks import shipped  # noqa: PLC0415

        library = list(shipped(rows, seed))
        report.library(library)
        checks = [*checks, *library]
    compared: list[Comparison] = []
    if kernels:
        from chainrule.kernels import compare  # noqa: PLC0415

        found = compare.compare(seed)
        compared = found or []
        report.kernels(found, compare.MISSING)
    report.end()
    if not (all(c.ok for c in checks) and all(c.ok for c in compared)):
        raise typer.Exit(FAILED)
    if not_made:
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


def _penalties(l1: float, l2: float) -> list[Penalty]:
    from chainrule.penalties import L1, L2  # noqa: PLC0415

    return [cls(strength) for cls, strength in ((L1, l1), (L2, l2)) if strength]


def _checks(
    target: str | None, described: Network | None, rows: int, seed: int, terms: Sequence[Penalty]
) -> tuple[list[Check], list[str]]:
    """Check the target, or the network in words; and say what could not be made."""
    if target is None and described is None:
        return [], []
    from chainrule.cli import checks, config, python_file  # noqa: PLC0415
    from chainrule.network import Network  # noqa: PLC0415

    if described is not None:
        return [checks.check_network("Network", described, rows, seed, terms)], []
    assert target is not None  # noqa: S101
    if python_file.is_python(target):
        with python_file.opened(target) as found:
            return [
                checks.check(name, thing, rows, seed, terms) for name, thing in found.subjects.items()
            ], found.not_made
    path = Path(target)
    if path.is_dir():
        run, network = config.read(path)
        return [checks.check_network(str(path), network, rows, seed, terms, *run.input_range)], []
    if not path.exists():
        raise FileNotFoundError(
            f"there is no {target}: expected a folder that chainrule train wrote, a .safetensors file or a Python file."
        )
    return [checks.check_network(str(path), Network.load(path), rows, seed, terms)], []


def is_terminal() -> bool:
    """Say whether somebody reads it on a terminal."""
    return sys.stdout.isatty()


class _Text:
    """Tables and sentences, as wide as the terminal."""

    def __init__(self) -> None:
        self.width = shutil.get_terminal_size().columns if is_terminal() else None
        self._first = True

    def checks(self, checks: Sequence[Check], not_made: Sequence[str]) -> None:
        for c in checks:
            self._part(*filter(None, (c.description, c.table(self.width) if c.parameters else "")))
            self._say(c.verdict, ok=c.ok)
        if len(checks) > 1:
            self._part()
            self._say(_count(checks), ok=all(c.ok for c in checks))
        for what in not_made:
            say(f"Not checked: {what}.")

    def library(self, checks: Sequence[Check]) -> None:
        from chainrule.cli.checks import table  # noqa: PLC0415

        self._part(table(checks, self.width))
        for c in checks:
            if not c.ok:
                self._say(c.verdict, ok=False)
        self._say(_count(checks), ok=all(c.ok for c in checks))

    def kernels(self, compared: Sequence[Comparison] | None, missing: str) -> None:
        if compared is None:
            self._part()
            self._say(missing)
            return
        from chainrule.gradient_check.report import aligned  # noqa: PLC0415
        from chainrule.kernels.compare import LARGEST  # noqa: PLC0415

        rows = [("compiled and reference", "", *LARGEST, "")]
        for c in compared:
            numbers = [f"{c.differences[dtype]:.1e}" if c.differences else "-" for dtype in LARGEST]
            state = "not compiled" if not c.differences else "ok" if c.ok else "WRONG"
            rows.append((c.name, c.kind, *numbers, state))
        self._part(aligned(rows, self.width))
        wrong = [c.name for c in compared if not c.ok]
        largest = ", ".join(
            f"{max((c.differences[d] for c in compared if c.differences), default=0.0):.1e} in {d}" for d in LARGEST
        )
        verdict = f"DIFFER from the reference for {', '.join(wrong)}" if wrong else "give what the reference gives"
        self._say(f"The compiled kernels {verdict}: the largest difference is {largest}.", ok=not wrong)

    def end(self) -> None:
        """Nothing is left to say."""

    def _part(self, *texts: str) -> None:
        """Leave a line free after what was printed before, and print texts, with a line between them."""
        if not self._first:
            typer.echo()
        if texts:
            typer.echo("\n\n".join(texts))
        self._first = not texts

    def _say(self, text: str, *, ok: bool | None = None) -> None:
        self._first = False
        colour = None if ok is None else typer.colors.GREEN if ok else typer.colors.RED
        for i, line in enumerate(text.splitlines()):
            indent = line[: len(line) - len(line.lstrip())]
            wrapped = textwrap.wrap(line, self.width, subsequent_indent=indent + "  ") if self.width else [line]
            for part in wrapped:
                typer.secho(part, fg=colour) if colour and not i else typer.echo(part)


class _Json:
    """One object with everything."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {"ok": True, "checks": [], "not_checked": []}

    def checks(self, checks: Sequence[Check], not_made: Sequence[str]) -> None:
        self._data["checks"] += [c.to_json() for c in checks]
        self._data["not_checked"] += not_made
        self._data["ok"] &= all(c.ok for c in checks) and not not_made

    def library(self, checks: Sequence[Check]) -> None:
        self.checks(checks, [])

    def kernels(self, compared: Sequence[Comparison] | None, missing: str) -> None:
        if compared is None:
            self._data["kernels"] = None
            say(missing)
            return
        self._data["kernels"] = [
            {"kind": c.kind, "name": c.name, "ok": c.ok, "differences": c.differences} for c in compared
        ]
        self._data["ok"] &= all(c.ok for c in compared)

    def end(self) -> None:
        typer.echo(json.dumps(self._data, indent=2, ensure_ascii=False, allow_nan=False))


def _count(checks: Sequence[Check]) -> str:
    wrong = [c.name for c in checks if not c.ok]
    if not wrong:
        return f"All {len(checks)} that were checked are right." if len(checks) > 1 else "What was checked is right."
    verb = "is" if len(wrong) == 1 else "are"
    return f"Of {len(checks)} that were checked {len(wrong)} {verb} WRONG: {', '.join(wrong)}."
