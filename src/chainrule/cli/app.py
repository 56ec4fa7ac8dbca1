"""The application: its commands and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule._version import __version__
from chainrule.cli import check, evaluate, explain, export, predict, train, tune

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
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
    """Neural networks whose every gradient is written by hand: train one, look at it, use it."""


app.command()(train.train)
app.command()(tune.tune)
app.command()(evaluate.evaluate)
app.command()(predict.predict)
app.command()(export.export)
app.command()(explain.explain)
app.command()(check.check)
