"""``--max-unpacked``: how large what a file holds may become, the same for every command that reads a table."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from chainrule.tables.unpacking import VARIABLE, size_of


def _set(value: str | None) -> str | None:
    """Set the variable that all readers look at, those in the processes of workers too."""
    if value is not None:
        try:
            os.environ[VARIABLE] = str(size_of(value, "--max-unpacked"))
        except ValueError as error:
            raise typer.BadParameter(str(error).removeprefix("--max-unpacked: ")) from None
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
