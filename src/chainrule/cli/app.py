"""The application and its commands."""

from __future__ import annotations

from typing import Annotated

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


for command in (
    train.train, tune.tune, evaluate.evaluate, predict.predict, serve.serve, export.export, explain.explain,
    check.check, drift.drift, sample.sample,
):  # fmt: skip
    completing.complete(command)
    epilog = "\n\n".join(["Examples:", *EXAMPLES.get(command.__name__, ())])
    app.command(cls=json_output.Command, epilog=epilog)(json_output.takes_json(command))
