"""``--max-unpacked``: how large what a file holds may become, the same for every command that reads a table."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from chainrule.tables.unpacking import VARIABLE, size_of


def _set(context: typer.Context, value: str | None) -> str | None:
    """Set the variable that all readers look at, processes of workers too, for as long as the command runs."""
    if value is None:
        return None
    try:
        size = size_of(value, "--max-unpacked")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(size)

    def restore() -> None:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before

    context.call_on_close(restore)
    return value


MaxUnpacked = Annotated[
    str | None,
    typer.Option(
        "--max-unpacked",
        metavar="SIZE",
        callback=_set,
        expose_value=False,
        help="How large a packed table may become in memory, such as 8GB; by default 1.07GB, or 20 times its file.",
    ),
]
