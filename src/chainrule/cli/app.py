"""The application and its commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from chainrule._version import __version__
from chainrule.cli import (
    check,
    completing,
    drift,
    evaluate,
    explain,
    export,
    json_output,
    playground,
    predict,
    sample,
    serve,
    train,
    tune,
)
from chainrule.cli.examples import EXAMPLES

app = typer.Typer(
    cls=json_output.Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> bool:
    if asked:
        typer.echo(f"chainrule {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def chainrule(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Neural networks with hand-written gradients: train, inspect and use them."""


def _add(group: typer.Typer, command: Callable[..., None], before: str = "") -> None:
    name = f"{before}{command.__name__}"
    completing.complete(command)
    epilog = "\n\n".join(["Examples:", *EXAMPLES.get(name, ())])
    group.command(cls=json_output.Command, epilog=epilog)(json_output.takes_json(command, name))


for command in (
    train.train, tune.tune, evaluate.evaluate, predict.predict, serve.serve, export.export, explain.explain,
    check.check, drift.drift, sample.sample, playground.playground,
):  # fmt: skip
    _add(app, command)


def lessons() -> typer.Typer:
    """Return the commands of the course."""
    from chainrule.cli import course  # noqa: PLC0415  (start-up time)

    group = typer.Typer()
    for command in (course.start, course.check, course.solution, course.grade, course.handout):
        _add(group, command, "course ")
    return group


class _Lessons(json_output.Group):
    """The group of these commands, made when one is asked for, which keeps ``chainrule --help`` fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        self._make()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        self._make()
        return super().get_command(ctx, cmd_name)

    def _make(self) -> None:
        self.commands = self.commands or typer.main.get_group(lessons()).commands


app.add_typer(
    typer.Typer(), name="course", cls=_Lessons, no_args_is_help=True,
    help="Write backpropagation yourself: exercises, grades and handouts.",
)  # fmt: skip
