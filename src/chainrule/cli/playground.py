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
    begin: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|LINK|LESSON",
            help="A CSV file, a state saved as JSON, a link copied from the page, or a lesson; circles by default.",
        ),
    ] = None,
    port: Annotated[int, option(None, "Port to listen at; 0 for any that is free.")] = 0,
    no_browser: Annotated[bool, option(None, "Print the address without opening the browser.", "--no-browser")] = False,
) -> None:
    """Open the playground: build a network, watch it learn step by step, touch every number, and take it home.

    Lessons, as in the book: neuron, classes, hidden-layer, chain-rule, backpropagation, gradient-check.

    And: learning-rate, starting-well, overfitting, convolution.

    Everything stays on this machine. The playground stops at Ctrl-C.
    """
    for package in ("starlette", "uvicorn", "websockets"):
        require(package, "playground")
    from chainrule.playground.server import listen, run  # noqa: PLC0415  (an extra)
    from chainrule.playground.state import BEGIN  # noqa: PLC0415  (start-up time)

    state = BEGIN if begin is None else _state(begin)

    def started(message: str) -> None:
        tell(message)
        if address := re.search(r"http://\S+", message):
            json_output.record(url=address[0])
            json_output.finish()

    run(listen(port), state, browser=not no_browser, tell=started)


def _state(begin: str) -> Any:
    """Return the state of a lesson or a link, or that which a file holds: rows, or a whole state."""
    from chainrule.playground.lessons import LESSONS, from_link  # noqa: PLC0415  (start-up time)
    from chainrule.playground.state import begin_with, read  # noqa: PLC0415  (start-up time)

    if begin in LESSONS:
        return LESSONS[begin].state
    if "#" in begin:
        return read(from_link(begin)).json
    file = Path(begin)
    kind = file.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt", ".json"):
        raise ValueError(
            f"{file}: expected a .csv or .json file, a link with a #, or a lesson ({', '.join(LESSONS)}), "
            f"got {kind or 'no ending'}."
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8 text, got other bytes: {error.reason}.") from None
    try:
        return read(json.loads(text)).json if kind == ".json" else begin_with(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: {error}") from None
