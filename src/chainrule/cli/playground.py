"""``chainrule playground``: see a network learn, in the browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule._internal.extras import require
from chainrule.cli import json_output
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.options import option
from chainrule.cli.output import tell


@in_one_sentence
def playground(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A CSV file, or a state saved as JSON; circles by default.")
    ] = None,
    port: Annotated[int, option(None, "Port to listen at; 0 for any that is free.")] = 0,
    no_browser: Annotated[bool, option(None, "Print the address without opening the browser.", "--no-browser")] = False,
) -> None:
    """Open the playground: build a network, watch it learn step by step, touch every number, and take it home.

    Everything stays on this machine. The playground stops at Ctrl-C.
    """
    for package in ("starlette", "uvicorn", "websockets"):
        require(package, "playground")
    from chainrule.playground.server import listen, run  # noqa: PLC0415  (an extra)
    from chainrule.playground.state import BEGIN  # noqa: PLC0415  (start-up time)

    begin = BEGIN if file is None else _state(file)

    def started(message: str) -> None:
        tell(message)
        if address := re.search(r"http://\S+", message):
            json_output.record(url=address[0])
            json_output.finish()

    run(listen(port), begin, browser=not no_browser, tell=started)


def _state(file: Path) -> Any:
    """Return the state that a file holds: rows, or a whole state."""
    from chainrule.playground.state import begin_with, read  # noqa: PLC0415  (start-up time)

    kind = file.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt", ".json"):
        raise ValueError(f"{file}: expected a .csv or .json file, got {kind or 'no ending'}.")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8 text, got other bytes: {error.reason}.") from None
    try:
        return read(json.loads(text)).json if kind == ".json" else begin_with(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: {error}") from None
