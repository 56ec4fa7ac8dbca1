"""``chainrule playground``: see a network learn, in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule._internal.extras import check_installed
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.options import option
from chainrule.cli.output import announce


@in_one_sentence
def playground(
    begin: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|LINK|LESSON",
            help="A CSV file, a state saved as JSON, a link copied from the page, or a lesson; circles by default.",
        ),
    ] = None,
    port: Annotated[int, option(None, "Port to listen on; 0 picks a free one.")] = 0,
    no_browser: Annotated[bool, option(None, "Print the address without opening the browser.", "--no-browser")] = False,
) -> None:
    """Open the playground: build a network, watch it learn step by step, touch every number, and take it home.

    Lessons, as in the book: neuron, classes, hidden-layer, chain-rule, backpropagation, gradient-check.

    And: learning-rate, starting-well, overfitting, convolution.

    Everything stays on this machine. Ctrl-C stops the playground.
    """
    check_installed("starlette", "uvicorn", "websockets", extra="playground")
    from chainrule.playground.lessons import opened  # noqa: PLC0415  (start-up time)
    from chainrule.playground.server import listen, run  # noqa: PLC0415  (an extra)

    state = opened(begin)

    run(listen(port), state, browser=not no_browser, tell=announce)
