"""``chainrule serve``: predictions of a trained table over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule._internal.extras import check_installed
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.options import option
from chainrule.cli.output import announce
from chainrule.serve.bounds import HELP, Bounds
from chainrule.tables.unpacking import size_of


@in_one_sentence
def serve(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=HELP["folder"])],
    host: Annotated[str, option(None, HELP["host"])] = "127.0.0.1",
    port: Annotated[int, option(None, HELP["port"])] = 8000,
    rows: Annotated[int, option(None, HELP["rows"])] = Bounds().rows,
    body: Annotated[str, option(None, HELP["body"], metavar="SIZE")] = "10MB",
    seconds: Annotated[float, option(None, HELP["seconds"])] = Bounds().seconds,
) -> None:
    """Serve predictions of the table in FOLDER: JSON and CSV for programs, and a page for people.

    Ctrl-C or SIGTERM stops the service, after it has answered the requests in progress.
    """
    check_installed("starlette", "uvicorn", extra="serve")
    from chainrule.serve.running import serve as run  # noqa: PLC0415  (an extra)

    run(folder, host, port, Bounds(rows, size_of(body, "--body"), seconds), announce)
